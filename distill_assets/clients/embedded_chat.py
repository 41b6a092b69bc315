"""The embedded teacher behind the Chat Completions protocol, in process.

Belongs here: routes, request reading, replies and errors in OpenAI's shapes.
Does not belong here: what is written (sql_grammar) or who asks (engine). The one
idea: the teacher reads nothing but the request, so it stands where any real endpoint stands.

A request carries the card between lines `<schema>` and `</schema>`, the seed in
`<seed kind="topic">...</seed>` (the last one in the user messages), `seed`, `model`, and
optionally `metadata: {"error_frac": "0.08"}`. A reply carries, outside the answer, what was
planted: `"embedded": {"planted_error": ..., "intent": ...}`. Token counts are characters / 4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.clients.sql_grammar import VERSION, Sample, write_sample
from distill_assets.databases import Schema, schema_from_json
from distill_assets.errors import DatabaseSourceError
from distill_assets.identity import hash_file, make_id

MODEL = f"sql-grammar@{VERSION}"
DEFAULT_ERROR_FRAC = 0.08
CHARS_PER_TOKEN = 4
_SCHEMA = re.compile(r"^<schema>[ \t]*\r?\n(.*?)\r?\n</schema>", re.DOTALL | re.MULTILINE)
_SEED = re.compile(r'<seed kind="(topic|question)">(.*?)</seed>', re.DOTALL)


class BadRequestError(ValueError):
    """The request cannot be answered; `code` and `status` go into the reply."""

    def __init__(self, message: str, code: str = "invalid_request", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class _Task(NamedTuple):
    schema: Schema
    kind: str
    text: str
    seed: int
    error_frac: float


def answer_body(content: bytes) -> dict[str, Any]:
    """Answer the body of a chat request: the bulk path, without a client between.

    Raises:
        BadRequestError: the body names no card or no seed.
    """
    return route("POST", "/v1/chat/completions", content)


def route(method: str, path: str, content: bytes) -> dict[str, Any]:
    """Answer one request.

    Raises:
        BadRequestError: an unknown path or model, or a body that names no card or no seed.
    """
    if (method, path) == ("GET", "/v1/models"):
        return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "distill_assets"}]}
    if (method, path) == ("POST", "/v1/chat/completions"):
        return complete(_read_body(content))
    raise BadRequestError(f"no such route: {method} {path}", "unknown_url", 404)


def _read_body(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise BadRequestError("the body has no list 'messages'")
    if body.get("stream"):
        raise BadRequestError("streaming is not supported", "unsupported_parameter")
    if body.get("model") != MODEL:
        raise BadRequestError(f"the model '{body.get('model')}' does not exist; this is {MODEL}", "model_not_found", 404)
    return body


def complete(body: Mapping[str, Any]) -> dict[str, Any]:
    """Write the completion of a chat request.

    Raises:
        BadRequestError: the messages hold no readable card or seed, or a parameter is malformed.
    """
    task = _read_task(body)
    sample = write_sample(task.schema, task.text, task.kind, task.seed, task.error_frac)
    answer = json.dumps({"question": sample.question, "reasoning": sample.reasoning, "sql": sample.sql}, ensure_ascii=False)
    message, finish_reason = _shape_message(body, answer)
    return {
        "id": f"chatcmpl-{make_id(body)}",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "system_fingerprint": fingerprint_source(),
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
        "usage": _count_tokens(body, answer),
        "embedded": _describe(sample),
    }


def _describe(sample: Sample) -> dict[str, str | None]:
    return {"planted_error": sample.planted_error, "intent": sample.intent}


def _shape_message(body: Mapping[str, Any], answer: str) -> tuple[dict[str, Any], str]:
    """Put the answer into the content, or into a tool call where tools were sent."""
    message: dict[str, Any] = {"role": "assistant", "content": answer, "refusal": None}
    tools = body.get("tools")
    if not tools:
        return message, "stop"
    try:
        name = tools[0]["function"]["name"]
    except (LookupError, TypeError) as error:
        raise BadRequestError("'tools' holds no function with a name") from error
    call = {"id": f"call_{make_id(answer)[:24]}", "type": "function", "function": {"name": name, "arguments": answer}}
    return message | {"content": None, "tool_calls": [call]}, "tool_calls" if body.get("tool_choice") == "auto" else "stop"


def _count_tokens(body: Mapping[str, Any], answer: str) -> dict[str, int]:
    prompt = sum(len(text) for _, text in _read_texts(body)) // CHARS_PER_TOKEN + 1
    completion = len(answer) // CHARS_PER_TOKEN + 1
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _read_texts(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List role and text of the messages; content may be text or a list of parts."""
    texts = []
    for message in body["messages"]:
        if not isinstance(message, dict):
            raise BadRequestError("a message is not an object")
        content = message.get("content")
        if isinstance(content, list):
            content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        texts.append((str(message.get("role")), content if isinstance(content, str) else ""))
    return texts


def _read_task(body: Mapping[str, Any]) -> _Task:
    texts = _read_texts(body)
    cards = [found[1] for _, text in texts for found in _SCHEMA.finditer(text)]
    if not cards:
        raise BadRequestError("no message holds a schema card between lines <schema> and </schema>")
    seeds = [found for role, text in texts if role == "user" for found in _SEED.finditer(text)]
    if not seeds:
        raise BadRequestError('no user message holds <seed kind="topic">...</seed> or <seed kind="question">...</seed>')
    return _Task(_read_card(cards[-1]), seeds[-1][1], seeds[-1][2].strip(), _read_seed(body), _read_error_frac(body))


@lru_cache(maxsize=64)
def _parse_card(text: str) -> Schema:
    return schema_from_json(text)


def _read_card(text: str) -> Schema:
    try:
        schema = _parse_card(text)
    except DatabaseSourceError as error:
        raise BadRequestError(f"the schema card cannot be read: {error}") from error
    if not any(table.columns for table in schema.tables):
        raise BadRequestError("the schema card holds no table with a column")
    return schema


def _read_seed(body: Mapping[str, Any]) -> int:
    seed = body.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise BadRequestError(f"'seed' must be an integer, not {seed!r}")
    return seed or 0


def _read_error_frac(body: Mapping[str, Any]) -> float:
    metadata = body.get("metadata") or {}
    text = metadata.get("error_frac", DEFAULT_ERROR_FRAC) if isinstance(metadata, dict) else None
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise BadRequestError(f"metadata.error_frac must be a number, not {text!r}") from error
    if not 0.0 <= value <= 1.0:
        raise BadRequestError(f"metadata.error_frac must lie in 0..1, not {value}")
    return value


@cache
def fingerprint_source() -> str:
    """Return the fingerprint of the grammar's own source files: `fp_` and 12 hex characters."""
    folder = Path(__file__).parent / "sql_grammar"
    return "fp_" + make_id(*((path.name, hash_file(path)) for path in sorted(folder.glob("*.py"))))[:12]
