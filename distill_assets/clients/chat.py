"""What passes between a stage and whoever answers: requests and replies.

Belongs here: plain data. Does not belong here: transport (wire, embedded_chat), durability (journal) or
meaning (stages).
"""

from __future__ import annotations

from typing import NamedTuple


class ChatRequest(NamedTuple):
    """One planned call: the messages by role, the seed sent with it, and which of several equal calls it is.

    `route` names the teachers to ask, each after the one before it failed; `subject` is the caller's own.
    """

    system: str
    user: str
    seed: int
    sample_ix: int = 0
    route: tuple[str, ...] = ()
    subject: object = None


class ChatReply(NamedTuple):
    """How a request ended. `answer` is the parsed object of an ok reply; tokens and USD are those of all its calls.

    `status`: ok; invalid (no answer in it), truncated, refused, rejected (the endpoint would not take the
    request), other_model (not the pinned one), error (no whole reply), or waiting (none yet: a batch has it).
    `trace` is reasoning that the endpoint gave beside the answer, and `trace_field` where it stood. `cost_usd` is
    None when no price is known.
    `headers` are those that say who answered, and are the same from call to call.
    `extra` holds what the endpoint said of itself outside the protocol; `logprobs` the answer's tokens with their
    probabilities, where they were asked for.
    """

    request_id: str
    status: str
    teacher: str = ""
    answer: dict[str, str] | None = None
    error: str | None = None
    served_model: str | None = None
    upstream: str | None = None
    system_fingerprint: str | None = None
    headers: dict[str, str] | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    trace: str | None = None
    trace_field: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    n_calls: int = 1
    extra: dict[str, object] | None = None
    logprobs: list[dict[str, object]] | None = None

    @property
    def is_final(self) -> bool:
        """True when asking again could only buy the same thing twice."""
        return self.status not in ("error", "waiting")
