"""From what came back to what the journal keeps of it: the same for a call of its own and for a line of a batch.

Belongs here: telling a whole reply from a fault, its tokens and its cost. Does not belong here: what a fault's status
means (faults), what a reply's text means (replies), or what follows for the run (engine, batches).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from distill_assets.clients.endpoints import Endpoint
from distill_assets.clients.faults import Fault, read_fault
from distill_assets.clients.prices import Price
from distill_assets.clients.replies import clean_json, find_choice, read_usage
from distill_assets.clients.resolve import is_expected
from distill_assets.clients.wire import Exchange
from distill_assets.teachers import TeacherSpec


class Whole(NamedTuple):
    """A whole reply with its cost. `facts` is what is kept beside `content`, its own JSON; `usd` None: no price is known."""

    facts: dict[str, Any]
    body: Any
    content: bytes
    usd: float | None
    tokens: int

    @property
    def is_estimated(self) -> bool:
        """True when the endpoint told no tokens."""
        return "estimated" in self.facts


def read_outcome(
    got: Exchange, facts: Mapping[str, Any], endpoint: Endpoint, price: Price | None, n_prompt_bytes: int
) -> Whole | Fault:
    """Read what came back: a whole reply, or a fault. No key of ours stays in either."""
    key = endpoint.api_key
    content = hide_key(got.content, key)
    if got.status != 200:
        return read_fault(got.status, got.headers, content, key)
    if (alone := parse_alone(content)) is None and (alone := parse_alone(content := clean_json(content))) is None:
        what = "an empty body" if not content else f"{len(content)} bytes that are no JSON"
        return Fault("passing", f"HTTP 200 with {what}", is_in_doubt=True)
    [body] = alone
    if find_choice(body) is None and isinstance(body, dict) and body.get("error"):
        return read_error_in_200(body, got, content, key)
    return weigh_reply(price, facts, body, content, n_prompt_bytes)


def parse_alone(content: bytes) -> list[Any] | None:
    """A JSON document in a list, or None; so deep that the journal, which keeps it one level deeper, could not read it back is none."""
    try:
        alone = orjson.loads(b"[" + content + b"]")
    except orjson.JSONDecodeError:
        return None
    return alone if len(alone) == 1 else None


def weigh_reply(price: Price | None, facts: Mapping[str, Any], body: Any, content: bytes, n_prompt_bytes: int) -> Whole:
    """Put tokens and cost to a whole reply."""
    usage = read_usage(body, n_prompt_bytes)
    usd = price.cost_usd(usage) if price else None
    known = {**facts, "usd": usd, **({"estimated": True} if usage.is_estimated else {})}
    return Whole(known, body, content, usd, usage.prompt + usage.completion)


def hide_key(content: bytes, key: str) -> bytes:
    """Bytes without the key; some endpoints echo it."""
    secret = key.encode()
    return content.replace(secret, b"[redacted]") if len(secret) > 5 else content


def read_error_in_200(body: dict[str, Any], got: Exchange, content: bytes, key: str) -> Fault:
    """An error inside a reply of status 200, as OpenRouter sends it: its code is the status that is meant."""
    error = body["error"]
    code = error.get("code") if isinstance(error, dict) else None
    return read_fault(code if isinstance(code, int) and 400 <= code < 600 else 502, got.headers, content, key)


def describe_rejection(fault: Fault) -> dict[str, Any]:
    """What the journal keeps of a request that the endpoint would not take."""
    return {"s": 400, "outcome": fault.kind, "error": fault.words, "usd": 0.0}


def find_stranger(spec: TeacherSpec, whole: Whole) -> str | None:
    """Words on a reply that ends the run, since another model than the pinned one wrote it; None when it does not."""
    pin = spec.pin
    if pin is None or pin.otherwise != "stop" or is_expected(spec, {**whole.facts, "body": whole.body}):
        return None
    served = whole.body.get("model") if isinstance(whole.body, dict) else None
    return f"the model that answered is {str(served)[:100]!r}, not the pinned {pin.served_model!r}"
