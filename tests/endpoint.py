"""A real HTTP server that speaks Chat Completions: the process border for tests of real teachers.

It answers every request with a question and query over the scenario's database, counts what it was
asked, and can be told to fail. Error bodies echo the key, as real endpoints have done.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HALLS = ("Grand Hall", "Opera House", "Town Square")


class Endpoint:
    """What the server was asked, and how it shall answer."""

    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.keys: set[str] = set()
        self.fail_after: int | None = None
        self.failure: tuple[int, dict] = (401, {"message": "Incorrect API key provided", "code": "invalid_api_key"})
        self.content: str | None = None
        self.finish_reason = "stop"
        self.lock = threading.Lock()
        self.base_url = ""

    def answer(self, body: dict, key: str) -> tuple[int, dict]:
        """Status and body of a reply."""
        with self.lock:
            self.requests.append(body)
            self.keys.add(key)
            n = len(self.requests)
        if self.fail_after is not None and n > self.fail_after:
            status, error = self.failure
            return status, {"error": {**error, "message": f"{error['message']}: {key}"}}
        hall, seats = HALLS[body["seed"] % 3], 60 + body["seed"] % 300
        sample = {
            "question": f"how many concerts at the {hall} sold more than {seats} seats",
            "reasoning": "Take concerts. Keep the hall and the seats. COUNT the rows.",
            "sql": f"SELECT COUNT(*) FROM concerts WHERE hall = '{hall}' AND \"seats sold\" > {seats}",
        }
        content = json.dumps(sample) if self.content is None else self.content
        message = {"role": "assistant", "content": content, "refusal": None}
        return 200, {
            "id": f"chatcmpl-{n}", "object": "chat.completion", "created": 0, "model": "served-model-2026-01-01",
            "system_fingerprint": "fp_test", "usage": {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140},
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason, "logprobs": None}],
        }  # fmt: skip


@contextmanager
def serve_endpoint() -> Iterator[Endpoint]:
    """Run the server on loopback until the block ends."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = endpoint.answer(body, self.headers["authorization"].removeprefix("Bearer "))
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
