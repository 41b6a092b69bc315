"""What a plan would cost before it is run: requests, tokens, money and time, and how much of it is paid for already.

Belongs here: the estimate, from the plan and the journal alone. Does not belong here: sending (clients) or how it is
shown (commands/plan).

Where a teacher has answered before, its own mean tokens and latency are the measure; else the rules of thumb below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import Desk
from distill_assets.clients.journal import Journal
from distill_assets.clients.replies import CHARS_PER_TOKEN
from distill_assets.clients.resolve import Call, resolve
from distill_assets.clients.throttle import USED_FRAC

MIN_SAMPLE = 20  # replies before a teacher's own means are believed
WRITTEN_FRAC = 0.4  # of max_tokens, for a teacher that has not answered yet; a guess, and shown as one
MAX_TIMED = 200


class Estimate(NamedTuple):
    """One teacher's part of a plan. Money is None when no price is known, seconds when nothing tells the speed.

    `at_most_usd` and `at_most_tokens` are for one call a request, each as long as it may be; re-asks come on top.
    `batched` requests have a call in a batch: they are neither cached nor missing, and their cost is reserved.
    """

    teacher: str
    requests: int
    cached: int
    missing: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    at_most_tokens: int
    at_most_usd: float | None
    seconds: float | None
    is_measured: bool
    price: str
    batched: int = 0


class _Tally:
    def __init__(self) -> None:
        self.requests = self.cached = self.missing = self.batched = 0
        self.seen_prompt = self.seen_completion = self.chars = self.at_most_prompt = self.at_most_tokens = 0
        self.latencies: list[float] = []


def estimate_plan(requests: Iterable[ChatRequest], desks: Mapping[str, Desk], journal: Journal) -> list[Estimate]:
    """Estimate a plan, teacher by teacher, in the order of `desks`."""
    tallies = {name: _Tally() for name in desks}
    for request in requests:
        _count(request, desks, tallies, journal)
    return [_conclude(name, desks[name], tally) for name, tally in tallies.items() if tally.requests]


def _count(request: ChatRequest, desks: Mapping[str, Desk], tallies: Mapping[str, _Tally], journal: Journal) -> None:
    steps = {name: resolve(desks[name].form, desks[name].price, request, journal) for name in request.route}
    answered = next((name for name, step in steps.items() if isinstance(step, ChatReply)), None)
    name = answered or request.route[0]
    tally, step = tallies[name], steps[name]
    tally.requests += 1
    if isinstance(step, Call) and journal.batched.find(step.key) is not None:
        tally.batched += 1
        return
    if isinstance(step, Call):
        tally.missing += 1
        tally.chars += len(step.content)
        tally.at_most_prompt += desks[name].reserve(step.content, 0)[1]
        tally.at_most_tokens += desks[name].reserve(step.content, step.max_tokens)[1]
        return
    tally.cached += 1
    tally.seen_prompt += step.prompt_tokens
    tally.seen_completion += step.completion_tokens
    if len(tally.latencies) < MAX_TIMED:
        tally.latencies += [record["ms"] / 1000 for record in journal.find(step.request_id)[-1:] if _is_timed(record)]


def _is_timed(record: Mapping[str, Any]) -> bool:
    return "ms" in record and "batch" not in record


def _conclude(name: str, desk: Desk, tally: _Tally) -> Estimate:
    is_measured = tally.cached >= MIN_SAMPLE
    if is_measured:
        prompt = round(tally.missing * tally.seen_prompt / tally.cached)
        completion = round(tally.missing * tally.seen_completion / tally.cached)
    else:
        prompt = tally.chars // CHARS_PER_TOKEN
        completion = round(tally.missing * desk.spec.max_tokens * WRITTEN_FRAC)
    price, at_most_written = desk.price, tally.at_most_tokens - tally.at_most_prompt
    return Estimate(
        name, tally.requests, tally.cached, tally.missing, prompt, completion,
        price.at_most_usd(prompt, completion) if price else None,
        tally.at_most_tokens,
        price.at_most_usd(tally.at_most_prompt, at_most_written) if price else None,
        _estimate_seconds(desk, tally, prompt + completion),
        is_measured,
        price.source if price else "not known",
        tally.batched,
    )  # fmt: skip


def _estimate_seconds(desk: Desk, tally: _Tally, tokens: int) -> float | None:
    """The longest of what the limits and the latency allow."""
    limits, n = desk.spec.limits, tally.missing
    if n == 0 or desk.spec.is_embedded:
        return 0.0
    if desk.spec.batch:
        return None
    bounds = []
    if limits.requests_per_minute:
        bounds.append(n * 60 / (limits.requests_per_minute * USED_FRAC))
    if limits.tokens_per_minute:
        bounds.append(tokens * 60 / (limits.tokens_per_minute * USED_FRAC))
    if tally.latencies:
        bounds.append(n * sum(tally.latencies) / len(tally.latencies) / limits.concurrency)
    return max(bounds) if bounds else None
