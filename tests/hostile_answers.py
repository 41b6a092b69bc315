"""What the hostile server answers to a body, and the faults: pure functions of body, settings and count of tries.

Belongs here: settings, the envelope of a chat completion, which body a fault hits, and what each fault looks
like. Does not belong here: the texts inside (hostile_samples.py), sending and counting (hostile_server.py), or
batches (hostile_batches.py).

A fault's id is that of the list of faults the design keeps. `PERMANENT` faults hit every try of a body that they
hit; the others its first `fault_tries` tries, so that a retry passes.

Billed are answers that a model wrote, whether or not they arrive: whole answers of any shape, and those that
are cut, reset in the middle, dripped or oversized. Not billed are refusals with a 4xx or 5xx, redirects, empty
and HTML bodies, `reset-before` and `hang`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tests.hostile_samples import Draw, share, wanted_schema, write_text

CREATED = 1_767_225_600
FINGERPRINT = "fp_test"
JSON_HEADERS = {"Content-Type": "application/json"}
# What a LiteLLM proxy tells when another deployment than the asked one has answered.
FALLEN_BACK = {"x-litellm-attempted-fallbacks": "1", "x-litellm-model-name": "other/model"}
HTML_HEADERS = {"Content-Type": "text/html"}


@dataclass
class Settings:
    """How the server behaves; every field can be changed while it runs."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    straggler_frac: float = 0.0
    straggler_factor: float = 20.0
    seed: int = 0
    api_key: str | None = None
    served_model: str = "served-model-2026-01-01"
    wrong_model: str = "another-model-2025-06-01"
    reasoning: str | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    keep_bodies: bool = False

    fault: str | None = None
    mix: list[str] | None = None
    fault_frac: float = 1.0
    # None: each call is hit by chance of its own.
    fault_tries: int | None = 1
    # None: 300 for quota-midway, else 0.
    fault_after: int | None = None
    refuse_hashes: list[str] = field(default_factory=list)
    refuse_frac: float = 0.0
    invalid_until_reask: float = 0.0
    length_needs: int | None = None
    drip_s: float = 0.3
    huge_mib: int = 20

    rpm: float | None = None
    tpm: float | None = None
    burst_s: float = 1.0
    rate_headers: str = "on_429"
    retry_after: bool = True

    batch_polls: int = 3
    batch_outcome: str = "completed"
    batch_partial_frac: float = 0.5
    batch_error_frac: float = 0.0
    batch_price_frac: float = 0.5
    # So many batches are made without their maker hearing of it: the connection is reset first.
    batch_lost_replies: int = 0


SETTING_NAMES = frozenset(f.name for f in fields(Settings))


@dataclass(slots=True)
class Call:
    """One try at one body."""

    body: dict[str, Any]
    digest: str
    settings: Settings
    key: str = ""


@dataclass(slots=True)
class Reply:
    """What is sent, how, and what it costs.

    `manner` is "whole", or how the sending goes wrong: "reset-before", "reset-mid", "drip", "hang", "huge".
    """

    status: int
    data: bytes
    headers: dict[str, str]
    manner: str = "whole"
    is_answer: bool = False
    billed: bool = False
    tokens_in: int = 0
    tokens_out: int = 0


def hash_body(body: dict[str, Any]) -> str:
    """The name of a body in the counts: sha256 of its canonical JSON."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# ---------------------------------------------------------------- a whole answer


def completion(call: Call) -> dict[str, Any]:
    """A well-formed chat completion."""
    body, settings = call.body, call.settings
    choices, letters = [], 0
    for index in range(body.get("n") or 1):
        draw = Draw(f"{call.digest}/{index}")
        message, written = write_message(body, draw, settings.reasoning)
        letters += written
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        choices.append({"index": index, "message": message, "finish_reason": finish, "logprobs": None})
    tokens_in, tokens_out = count_tokens(body), max(1, letters // 4)
    return {
        "id": f"chatcmpl-{call.digest[:24]}",
        "object": "chat.completion",
        "created": CREATED,
        "model": settings.served_model,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
        "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
    }


def write_message(body: dict[str, Any], draw: Draw, reasoning: str | None) -> tuple[dict[str, Any], int]:
    """An assistant's message, and how many letters the model wrote for it."""
    text = write_text(body, draw)
    _, tool = wanted_schema(body)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if tool is not None:
        call = {"id": f"call_{draw.word()}", "type": "function", "function": {"name": tool, "arguments": text}}
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
    if reasoning is None:
        return message, len(text)
    trace = f"First I look at the tables, {draw.word()}. Then I write the query and read it once more, {draw.word()}."
    if reasoning == "think":
        message["content"] = f"<think>\n{trace}\n</think>\n\n{message['content'] or ''}"
    else:
        message[reasoning] = trace
    return message, len(text) + len(trace)


def count_tokens(body: dict[str, Any]) -> int:
    """Tokens of a prompt: a quarter of its letters."""
    letters = 0
    for message in body.get("messages") or ():
        content = message.get("content") or ""
        letters += len(content) if isinstance(content, str) else sum(len(part.get("text") or "") for part in content)
    return max(1, letters // 4)


def answer(call: Call, change: Callable[[dict[str, Any]], None] | None = None, **how: Any) -> Reply:
    """A 200 with a completion in it, after `change` had its way with it."""
    whole = completion(call)
    usage = whole["usage"]
    if change is not None:
        change(whole)
    tokens = {"tokens_in": usage["prompt_tokens"], "tokens_out": usage["completion_tokens"]}
    sent = {"headers": JSON_HEADERS, "is_answer": True, "billed": True, **tokens, **how}
    return Reply(200, json.dumps(whole).encode(), **sent)


def error(status: int, message: str, code: str | None, headers: dict[str, str] | None = None, /, **more: Any) -> Reply:
    """An error as OpenAI words it."""
    kind = {429: "rate_limit_error", 401: "authentication_error"}.get(status, "server_error" if status >= 500 else None)
    body = {"error": {"message": message, "type": kind or "invalid_request_error", "param": None, "code": code, **more}}
    return Reply(status, json.dumps(body).encode(), {**JSON_HEADERS, **(headers or {})})


def page(status: int, title: str) -> Reply:
    """An HTML page, from something between the client and the model."""
    return Reply(status, f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>".encode(), HTML_HEADERS)


# ---------------------------------------------------------------- faults


def edit_text(whole: dict[str, Any], edit: Callable[[str], str | None]) -> None:
    """Change what each choice says, in its content or in its tool call."""
    for choice in whole["choices"]:
        message = choice["message"]
        if calls := message.get("tool_calls"):
            text = edit(calls[0]["function"]["arguments"])
            if text is None:
                message.pop("tool_calls")
            else:
                calls[0]["function"]["arguments"] = text
        elif message["content"] is not None:
            message["content"] = edit(message["content"])


def cut_by_length(call: Call) -> Reply:
    """finish_reason length, unless the request allows enough tokens."""
    allowed = call.body.get("max_completion_tokens") or call.body.get("max_tokens") or 0
    if call.settings.length_needs is not None and allowed >= call.settings.length_needs:
        return answer(call)

    def change(whole: dict[str, Any]) -> None:
        edit_text(whole, lambda text: text[: len(text) // 2])
        for choice in whole["choices"]:
            choice["finish_reason"] = "length"

    return answer(call, change)


def filter_answer(call: Call) -> Reply:
    """finish_reason content_filter and nothing said."""

    def change(whole: dict[str, Any]) -> None:
        edit_text(whole, lambda _: None)
        for choice in whole["choices"]:
            choice["finish_reason"] = "content_filter"

    return answer(call, change)


def refuse(call: Call) -> Reply:
    """The model itself says no."""

    def change(whole: dict[str, Any]) -> None:
        edit_text(whole, lambda _: None)
        for choice in whole["choices"]:
            choice["message"]["refusal"] = "I'm sorry, I can't help with that."
            choice["finish_reason"] = "stop"

    return answer(call, change)


def silence(call: Call) -> Reply:
    """content null and no tool call."""
    return answer(call, lambda whole: edit_text(whole, lambda _: None))


def misfit(call: Call) -> Reply:
    """A well-formed completion whose JSON does not fill the schema."""
    return answer(call, lambda whole: edit_text(whole, lambda _: json.dumps({"unexpected": call.digest[:8]})))


def another_model(call: Call) -> Reply:
    """The answer of a model that was not asked for."""
    return answer(call, lambda whole: whole.update(model=call.settings.wrong_model))


def another_shape(call: Call) -> Reply:
    """JSON, but no completion."""
    reply = answer(call)
    reply.data = json.dumps({"status": "done", "output": [{"text": call.digest}]}).encode()
    return reply


def cut_body(call: Call) -> Reply:
    """A body that HTTP calls whole and JSON does not."""
    reply = answer(call, is_answer=False)
    reply.data = reply.data[: len(reply.data) * 2 // 3]
    return reply


def filter_prompt(call: Call) -> Reply:
    """400 of a content filter, as Azure words it."""
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"violence": {"filtered": True, "severity": "high"}}}
    text = "The response was filtered due to the prompt triggering the content management policy."
    return error(400, text, "content_filter", param="prompt", status=400, innererror=inner)


def over_context(call: Call) -> Reply:
    """400: the prompt is longer than the model reads."""
    text = (
        f"This model's maximum context length is 128 tokens. However, your messages resulted in {count_tokens(call.body)} tokens."
    )
    return error(400, text, "context_length_exceeded", param="messages")


def wrong_key(call: Call) -> Reply:
    """401 that echoes the key, as real endpoints have done."""
    return error(401, f"Incorrect API key provided: {call.key}. You can find your API key in your account.", "invalid_api_key")


def out_of_quota(_: Call) -> Reply:
    """429 that no waiting helps."""
    text = "You exceeded your current quota, please check your plan and billing details."
    return error(429, text, "insufficient_quota", type="insufficient_quota")


def too_many(headers: dict[str, str]) -> Callable[[Call], Reply]:
    """429 with these headers."""
    return lambda _: error(429, "Rate limit reached for requests.", "rate_limit_exceeded", headers)


FAULTS: dict[str, Callable[[Call], Reply]] = {
    "ok": answer,
    "429": too_many({"retry-after-ms": "50"}),
    "429-sec": too_many({"retry-after": "1"}),
    "429-noheader": too_many({}),
    "429-huge": too_many({"retry-after": "999999"}),
    "500": lambda _: error(500, "The server had an error while processing your request.", None),
    "502": lambda _: page(502, "502 Bad Gateway"),
    "503-html": lambda _: page(503, "503 Service Temporarily Unavailable"),
    "503-huge": lambda _: replace(page(503, "503 Service Temporarily Unavailable"), manner="huge"),
    "reset-before": lambda _: Reply(0, b"", {}, manner="reset-before"),
    "reset-mid": lambda call: answer(call, is_answer=False, manner="reset-mid"),
    "truncated-json": cut_body,
    "slowloris": lambda call: answer(call, manner="drip"),
    "hang": lambda _: Reply(0, b"", {}, manner="hang"),
    "empty-body": lambda _: Reply(200, b"", JSON_HEADERS),
    "not-json": lambda _: page(200, "Please log in to this network"),
    "wrong-schema": another_shape,
    "invalid-content": misfit,
    "empty-choices": lambda call: answer(call, lambda whole: whole.update(choices=[])),
    "null-content": silence,
    "length": cut_by_length,
    "content_filter": filter_answer,
    "filter-400": filter_prompt,
    "refusal": refuse,
    "no-usage": lambda call: answer(call, lambda whole: whole.pop("usage")),
    "huge": lambda call: answer(call, manner="huge"),
    "context": over_context,
    "400": lambda _: error(400, "Unsupported value: 'temperature' does not support 0.9 with this model.", "unsupported_value"),
    # The server puts the address of its second port in.
    "redirect": lambda _: Reply(307, b"", {}),
    "401": wrong_key,
    "insufficient_quota": out_of_quota,
    "quota-midway": out_of_quota,
    "wrong-model": another_model,
    "litellm-fallback": lambda call: answer(call, headers={**JSON_HEADERS, **FALLEN_BACK}),
}
PERMANENT = frozenset({
    "wrong-schema", "invalid-content", "empty-choices", "null-content", "length", "content_filter", "filter-400", "refusal",
    "huge", "context", "400", "401", "insufficient_quota", "quota-midway", "no-usage", "wrong-model", "429-huge", "redirect",
    "litellm-fallback",
})  # fmt: skip
# A batch answers its rows out of sight of the network.
IN_BATCHES = frozenset({
    "wrong-schema", "invalid-content", "empty-choices", "null-content", "length", "content_filter", "filter-400", "refusal",
    "context", "400", "no-usage", "wrong-model",
})  # fmt: skip
# Those that leave a run to go on; the rest is there to stop it.
MIX = tuple(name for name in FAULTS if name not in {"ok", "429-huge", "401", "insufficient_quota", "quota-midway", "redirect"})


def choose_fault(call: Call, tries: int, answered: int) -> str | None:
    """The fault that hits this try, if one does.

    Args:
        tries: how often this body was tried, this try included.
        answered: whole answers that the server has sent.
    """
    settings, name = call.settings, call.settings.fault
    if name is None or name == "ok":
        return None
    after = settings.fault_after if settings.fault_after is not None else 300 * (name == "quota-midway")
    if answered < after:
        return None
    if name == "mix":
        names = settings.mix or MIX
        name = names[Draw(f"kind/{settings.seed}/{call.digest}").below(len(names))]
    by_call = settings.fault_tries is None and name not in PERMANENT
    drawn = f"fault/{settings.seed}/{call.digest}/{tries if by_call else ''}"
    if settings.fault_frac < 1.0 and share(drawn) >= settings.fault_frac:
        return None
    is_over = name not in PERMANENT and settings.fault_tries is not None and tries > settings.fault_tries
    return None if is_over else name


def is_refused(call: Call) -> bool:
    """Whether this body is refused for ever."""
    settings = call.settings
    by_chance = settings.refuse_frac > 0 and share(f"refuse/{settings.seed}/{call.digest}") < settings.refuse_frac
    return by_chance or call.digest in settings.refuse_hashes


def needs_reask(call: Call) -> bool:
    """Whether this body gets JSON that does not fill the schema: until it quotes such an answer."""
    frac = call.settings.invalid_until_reask
    if not frac or any(message.get("role") == "assistant" for message in call.body["messages"]):
        return False
    return frac >= 1 or share(f"reask/{call.settings.seed}/{call.digest}") < frac


def delay_of(call: Call, tries: int) -> float:
    """Seconds until this try is answered."""
    settings = call.settings
    delay = settings.latency_s
    if settings.jitter_s:
        delay += settings.jitter_s * (2 * share(f"jitter/{settings.seed}/{call.digest}/{tries}") - 1)
    if settings.straggler_frac and share(f"straggler/{settings.seed}/{call.digest}") < settings.straggler_frac:
        delay *= settings.straggler_factor
    return max(0.0, delay)
