"""What a whole reply means: answer, reasoning, tokens, who answered, and whether it is one at all.

Belongs here: reading a chat completion's JSON. Does not belong here: statuses other than 200 (faults), asking
again (resolve) or what an answer is worth (judge).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

THINK = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)
MAX_TOKENS = 1 << 31  # who says more counts nonsense
CHARS_PER_TOKEN = 4  # OpenAI's rule of thumb for English; used only where an endpoint tells nothing


class Reading(NamedTuple):
    """A completion, read. `text` is what should hold the answer; `status` is ok while nothing speaks against it."""

    status: str
    text: str
    error: str | None
    trace: str | None
    trace_field: str | None
    finish_reason: str | None


class Usage(NamedTuple):
    """Tokens as billed; `is_estimated` when the endpoint told none."""

    prompt: int
    completion: int
    reasoning: int
    cached: int
    is_estimated: bool


def clean_json(content: bytes) -> bytes:
    """A reply's JSON without what no table can store: half characters become `?`, infinities null.

    Some servers write what a model gave, lone surrogates and bytes that are no UTF-8 and all. Such a reply is paid for; it is
    read, not asked again.
    """
    try:
        orjson.loads(content)
        return content
    except orjson.JSONDecodeError:
        pass
    try:
        data = json.loads(content.decode("utf-8-sig", "replace"), parse_constant=lambda _: None, parse_float=_read_float)
    except (ValueError, RecursionError):
        return content
    return json.dumps(data, ensure_ascii=False).encode("utf-8", errors="replace")


def _read_float(text: str) -> float | None:
    return value if math.isfinite(value := float(text)) else None


def find_choice(data: Any) -> Mapping[str, Any] | None:
    """The first choice with a message, or None when this is no chat completion."""
    choices = data.get("choices") if isinstance(data, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return None
    return choice


def read_completion(data: Any) -> Reading:
    """Read a reply's JSON."""
    choice = find_choice(data)
    if choice is None:
        return Reading("invalid", "", "the reply is no chat completion with a choice", None, None, None)
    message, finish = choice["message"], choice.get("finish_reason")
    text = find_text(message)
    trace, field = find_trace(message)
    if trace is None and text is not None:
        trace, text = split_think(text)
        field = "think" if trace is not None else None
    common = (trace, field, finish if isinstance(finish, str) else None)
    if finish == "content_filter" or message.get("refusal"):
        words = str(message.get("refusal") or "the endpoint's content filter")[:300]
        return Reading("refused", text or "", words, *common)
    if finish == "length":
        return Reading("truncated", text or "", "the reply reached max_tokens", *common)
    if text is None:
        return Reading("invalid", "", "the reply has no content", *common)
    return Reading("ok", text, None, *common)


def find_text(message: Mapping[str, Any]) -> str | None:
    """The text that should hold the answer: a tool call's arguments, else the content."""
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls and isinstance(calls[0], dict):
        function = calls[0].get("function")
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            return function["arguments"]
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) and content else None


def find_trace(message: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Reasoning beside the answer, and the field that it stood in.

    vLLM and OpenRouter write `reasoning`, DeepSeek, LiteLLM and llama.cpp `reasoning_content`; OpenRouter's
    `reasoning_details` hold the parts.
    """
    for field in ("reasoning", "reasoning_content"):
        if isinstance(message.get(field), str) and message[field]:
            return message[field], field
    details = message.get("reasoning_details")
    if isinstance(details, list):
        parts = [str(part.get("text") or part.get("summary") or "") for part in details if isinstance(part, dict)]
        if any(parts):
            return "".join(parts), "reasoning_details"
    return None, None


def split_think(text: str) -> tuple[str | None, str]:
    """Part `<think>…</think>` from the answer; a chat template may have written the opening tag itself."""
    if (match := THINK.match(text)) is not None:
        return match[1].strip() or None, text[match.end() :]
    head, tag, rest = text.partition("</think>")
    if tag and not text.lstrip().startswith(("{", "[", "```")):
        return head.strip() or None, rest.lstrip()
    return None, text


def read_usage(data: Any, n_prompt_chars: int) -> Usage:
    """Tokens of one call; from lengths where the endpoint tells none."""
    usage = data.get("usage") if isinstance(data, dict) else None
    prompt, completion = _read_count(usage, "prompt_tokens"), _read_count(usage, "completion_tokens")
    if prompt is None or completion is None:
        choice = find_choice(data)
        text = (find_text(choice["message"]) or "") if choice else ""
        return Usage(n_prompt_chars // CHARS_PER_TOKEN + 1, len(text) // CHARS_PER_TOKEN + 1, 0, 0, True)
    reasoning = _read_count(usage.get("completion_tokens_details"), "reasoning_tokens")
    cached = _read_count(usage.get("prompt_tokens_details"), "cached_tokens")
    return Usage(prompt, completion, reasoning or 0, cached or 0, False)


def _read_count(data: Any, name: str) -> int | None:
    """A number of tokens, or None where something else stands in its place."""
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_TOKENS else None


def find_logprobs(data: Any) -> list[dict[str, Any]] | None:
    """The answer's tokens with their probabilities, each with `token` and `top_logprobs`; None where there are none."""
    logprobs = (find_choice(data) or {}).get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    whole = isinstance(tokens, list) and all(isinstance(token, dict) for token in tokens)
    return tokens if whole and tokens else None


def find_upstream(data: Any, headers: Mapping[str, str]) -> str | None:
    """Who stood behind a router: OpenRouter's `provider`, LiteLLM's true model name."""
    provider = data.get("provider") if isinstance(data, dict) else None
    return str(provider) if provider else headers.get("x-litellm-model-name")


# Of the headers that are kept, those that name the server and not the call.
SERVER_HEADERS = (
    "openai-version", "openai-organization", "server", "x-ms-region", "x-litellm-version", "x-litellm-model-id",
    "x-litellm-model-name", "x-litellm-model-group",
)  # fmt: skip


def name_server(headers: Mapping[str, str]) -> dict[str, str] | None:
    """What the headers say of who answered; None when they say nothing."""
    return {name: headers[name] for name in SERVER_HEADERS if headers.get(name)} or None


def has_fallen_back(headers: Mapping[str, str]) -> bool:
    """Whether a LiteLLM proxy answered from another model than was asked."""
    return headers.get("x-litellm-attempted-fallbacks", "0") not in ("", "0")
