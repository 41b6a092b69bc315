"""What went wrong with a call, and what that means: wait, try again, give this one up, or stop the run.

Belongs here: reading statuses, error bodies and rate-limit headers; no key ever leaves in a text. Does not
belong here: waiting (throttle), trying again (engine) or whole replies (replies).

The table of faults and what each ends in is docs/teachers.md, "When a call fails".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import orjson

MAX_WORDS = 300
FATAL_STATUS = {
    401: "the key was refused",
    402: "the account cannot pay",
    403: "access was denied",
    404: "no such model or address",
    405: "the address takes no calls",
}
QUOTA_CODES = ("insufficient_quota", "billing_hard_limit_reached", "quota_exceeded", "credit_balance_too_low")
FILTER_CODES = ("content_filter", "content_policy_violation", "responsibleaipolicyviolation", "safety")
FILTER_WORDS = ("content filter", "content management policy", "content policy")
# As OpenAI, Anthropic, Gemini, vLLM and llama.cpp say that a prompt is too long for the model.
LENGTH_WORDS = (
    "context_length", "context length", "context window", "context size", "exceed_context", "too long", "token count",
    "string_above_max_length",
)  # fmt: skip
RETRIED_STATUS = (408, 409, 425, 429)


class Fault(NamedTuple):
    """One failed call.

    `kind`: limited (429), passing (worth another try), rejected or refused (final for this request), fatal (ends
    the teacher's run). `is_in_doubt`: the endpoint may have billed it. `wait_s`: as the endpoint asked.
    `is_of_row`: it is this request that is not taken, whatever becomes of the others.
    """

    kind: str
    words: str
    wait_s: float | None = None
    is_in_doubt: bool = False
    is_of_row: bool = False


def read_fault(status: int, headers: Mapping[str, str], content: bytes, key: str) -> Fault:
    """Say what an HTTP status other than 200 means."""
    code, message = read_error_body(content)
    words = redact(f"HTTP {status}: {message}" if message else f"HTTP {status}", key)[:MAX_WORDS]
    said = f"{code} {message}".lower()
    if status == 429 and not any(name in said for name in QUOTA_CODES):
        return Fault("limited", words, read_wait_s(headers))
    if status == 429:
        return Fault("fatal", f"the quota is used up ({words})")
    if 300 <= status < 400:
        to = redact(headers.get("location", "nowhere"), key)[:MAX_WORDS]
        return Fault("fatal", f"the address redirects to {to}, which is not followed with a key ({words})")
    if status in FATAL_STATUS:
        return Fault("fatal", f"{FATAL_STATUS[status]} ({words})")
    if status in RETRIED_STATUS or status >= 500:
        return Fault("passing", words, read_wait_s(headers))
    if any(name in code.lower() for name in FILTER_CODES) or any(name in said for name in FILTER_WORDS):
        return Fault("refused", words, is_of_row=True)
    return Fault("rejected", words, is_of_row=status == 413 or any(name in said for name in LENGTH_WORDS))


def read_error_body(content: bytes) -> tuple[str, str]:
    """Return code and message of an error body; a body that is not JSON is not quoted, for it may be a page."""
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError:
        return "", ""
    error = data.get("error", data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return "", str(error)
    inner = error.get("innererror")
    codes = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, dict) else None]
    return " ".join(str(code) for code in codes if code), str(error.get("message") or "")


def read_wait_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait: retry-after-ms, retry-after (seconds or a date), or None."""
    try:
        if (text := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(text) / 1000)
        if (text := headers.get("retry-after")) is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
            return float(text)
        if (sent := headers.get("date")) is None:
            return None
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(sent)).total_seconds())
    except (ValueError, TypeError):
        return None


def read_duration_s(text: str) -> float | None:
    """Seconds of a duration as rate-limit headers write it: `1s`, `6m0s`, `120ms`, or a bare number."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * units[unit] for number, unit in parts)


def redact(text: str, key: str) -> str:
    """Take a key out of a text that an endpoint or a library wrote, and line breaks with it."""
    text = text.replace(key, "[redacted]") if len(key) > 5 else text
    return " ".join(text.split())
