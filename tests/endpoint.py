"""A real HTTP server that speaks Chat Completions: the process border for tests of real teachers.

It answers every request with a question and query over the scenario's database, counts what it was
asked, and can be told to fail. Error bodies echo the key, as real endpoints have done. Asked to judge or to compare,
it reads the quoted samples and grades: a constant answer is bad, all else is good, unless `judge` says otherwise.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
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
        self.judge: Callable[[list[dict]], dict | str] = grade
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
        if name_form(body) in ("Judgement", "Choice"):
            return 200, self.reply(n, self.judge(read_samples(body["messages"][-1]["content"])))
        hall, seats = HALLS[body["seed"] % 3], 60 + body["seed"] % 300
        sample = {
            "question": f"how many concerts at the {hall} sold more than {seats} seats",
            "reasoning": "Take concerts. Keep the hall and the seats. COUNT the rows.",
            "sql": f"SELECT COUNT(*) FROM concerts WHERE hall = '{hall}' AND \"seats sold\" > {seats}",
        }
        return 200, self.reply(n, sample if self.content is None else self.content)

    def reply(self, n: int, content: dict | str) -> dict:
        """A completion with this content."""
        content = content if isinstance(content, str) else json.dumps(content)
        message = {"role": "assistant", "content": content, "refusal": None}
        return {
            "id": f"chatcmpl-{n}", "object": "chat.completion", "created": 0, "model": "served-model-2026-01-01",
            "system_fingerprint": "fp_test", "usage": {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140},
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason, "logprobs": None}],
        }  # fmt: skip


def name_form(body: dict) -> str:
    """Name of the form that a request wants its answer in."""
    return body.get("response_format", {}).get("json_schema", {}).get("name", "")


def read_samples(content: str) -> list[dict]:
    """The samples that a critic is asked about: lines of JSON between fences."""
    return [json.loads(line) for line in content.splitlines() if line.startswith('{"question"')]


def is_bad(sample: dict) -> bool:
    """Whether a sample answers with a constant, or counts another hall than it asks for."""
    return sample["sql"].startswith("SELECT 0 AS answer")


def grade(samples: list[dict]) -> dict | str:
    """Score one sample, or choose between two."""
    if len(samples) == 2:
        return {"reasoning": "read both", "winner": "second" if is_bad(samples[0]) and not is_bad(samples[1]) else "first"}
    score = 1 if is_bad(samples[0]) else 5
    return {"reasoning": f"score {score}", "accuracy": score, "completeness": score, "clarity": score}


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
