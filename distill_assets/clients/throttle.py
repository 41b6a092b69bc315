"""How hard one endpoint is asked: calls in flight, calls and tokens a minute, and pauses.

Belongs here: admitting a call, and learning from how calls end. Does not belong here: what a call is (wire),
what its end means (faults) or money (budget).

Concurrency follows additive increase and multiplicative decrease (Chiu and Jain 1989; TCP Reno's slow start
until the first sign of trouble). Declared rates are kept by aiolimiter's leaky bucket in slices of a quarter of
a second, so that an endpoint that enforces by the second is not asked in bursts. An undeclared rate is taken from
`x-ratelimit-limit-*`, else learnt from refusals, once most calls are refused: an endpoint that sends away every tenth
call whatever the rate has no rate to learn. All times are monotonic: a wall clock that jumps changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from aiolimiter import AsyncLimiter

from distill_assets.clients.faults import read_duration_s
from distill_assets.teachers import LimitSpec

FIRST_CONCURRENCY = 16
USED_FRAC = 0.98  # of a limit: what two clocks and a network disagree about
SLICE_S = 0.25
CUT = 0.7
CUT_EVERY_S = 0.5
WINDOW = 64  # calls a latency median is taken over
SLOW_RATIO = 3.0
RATE_WINDOW_S = 4.0
LEARN_EVERY_S = 0.25
LATEST, MOST = 32, 20  # ends of calls, and how many of them say that most are refused
KNOWN_AFTER_S, KNOWN_CALLS = 0.5, 4  # what was accepted that long after the first refusal came at the endpoint's pace
KEPT = 0.95
FIRST_KEPT = 0.35  # of what was accepted before the first refusal: that emptied a full bucket
FLOOR = 0.5  # where refusals go on at this part of the pace they began at, they are not about the pace
MIN_PER_S = 0.2
LATE_S = 0.02  # a turn that came late by so much makes the next one come earlier
HELD_S = 1.5  # so long a pace is kept; then it grows, fast up to what was taken lately and slowly beyond
GROWTH_PER_S, REGROWTH_PER_S = 1.02, 1.5
MAX_TOLD_RESET_S = 1.0  # a longer one is often the time to a full bucket, not to the next call


class Throttle:
    """Admits calls to one endpoint; every call of `admit` is followed by one of `release`."""

    def __init__(self, limits: LimitSpec) -> None:
        self._limits = limits
        self._max = float(limits.concurrency)
        self.concurrency = min(float(FIRST_CONCURRENCY), self._max)
        self.in_flight = 0
        self._is_starting = True
        self._paused_until = self._last_cut = float("-inf")
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._best_s: float | None = None
        self._seen = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._requests = limiter(limits.requests_per_minute)
        self._tokens = limiter(limits.tokens_per_minute)
        self._token_balance = 0.0
        self._accepted: deque[float] = deque()
        self._latest_refused: deque[bool] = deque(maxlen=LATEST)
        self._first_refused = self._last_refused = float("-inf")
        self._learnt_per_s: float | None = None
        self._taken_per_s = self._began_per_s = 0.0
        self._learnt_at = float("-inf")
        self._next_start = 0.0
        self._turn = asyncio.Lock()

    async def admit(self, tokens: int) -> None:
        """Wait until one more call may start.

        Args:
            tokens: what it is expected to read and write; `release` corrects it.
        """
        await self._take_slot()
        try:
            await self._keep_rates(tokens)
        except asyncio.CancelledError:
            self._give_slot_back()
            raise

    async def _take_slot(self) -> None:
        if self.in_flight < int(self.concurrency) and not self._waiting:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn  # in order; whoever frees a slot hands it on, so in_flight counts it already
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_slot_back()
            raise

    def _give_slot_back(self) -> None:
        self.in_flight -= 1
        self._let_in()

    async def _keep_rates(self, tokens: int) -> None:
        if self._requests is not None:
            await self._requests.acquire()
        if self._tokens is not None:
            await self._take_tokens(tokens)
        if self._learnt_per_s is not None:
            async with self._turn:  # one at a time, so that what waited for a pause to end is no burst
                await self._keep_learnt_pace()
        while (wait := self._paused_until - now()) > 0:
            await asyncio.sleep(wait)

    async def _take_tokens(self, tokens: int) -> None:
        owed = tokens + self._token_balance
        self._token_balance = min(0.0, owed)
        piece = self._tokens.max_rate
        while owed > 0:
            await self._tokens.acquire(min(owed, piece))
            owed -= piece

    async def _keep_learnt_pace(self) -> None:
        while (wait := max(self._next_start, self._paused_until) - now()) > 0 and self._learnt_per_s is not None:
            await asyncio.sleep(min(wait, LEARN_EVERY_S))
        if self._learnt_per_s is not None:
            self._next_start = max(self._next_start, now() - LATE_S) + 1 / self._grow(self._learnt_per_s)

    def _grow(self, per_s: float) -> float:
        """A learnt pace as it may be by now, when nothing was refused since."""
        held_s = min(60.0, max(0.0, now() - self._learnt_at - HELD_S))
        fast, slow = per_s * REGROWTH_PER_S**held_s, max(per_s, KEPT * self._taken_per_s) * GROWTH_PER_S**held_s
        return min(fast, slow) if self._taken_per_s else fast

    def release(self, latency_s: float | None, expected_tokens: int, used_tokens: int) -> None:
        """A call ended.

        Args:
            latency_s: how long a whole reply took; None when there was none.
        """
        self._token_balance += used_tokens - expected_tokens
        if latency_s is not None:
            self._accept(latency_s)
        self._give_slot_back()

    def _let_in(self) -> None:
        while self._waiting and self.in_flight < int(self.concurrency):
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.in_flight += 1
                turn.set_result(None)

    def _accept(self, latency_s: float) -> None:
        self._accepted.append(now())
        self._latest_refused.append(False)
        while self._accepted and self._accepted[0] < now() - RATE_WINDOW_S:
            self._accepted.popleft()
        self._latencies.append(latency_s)
        self._seen += 1
        self.concurrency = min(self._max, self.concurrency + (1.0 if self._is_starting else 1.0 / self.concurrency))
        if self._seen % WINDOW == 0:
            self._look_at_latency()

    def _look_at_latency(self) -> None:
        """Cut when the median call takes a multiple of what it took at best: the endpoint queues."""
        median = sorted(self._latencies)[len(self._latencies) // 2]
        self._best_s = median if self._best_s is None else min(self._best_s * 1.02, median)
        if median > SLOW_RATIO * self._best_s and self.concurrency > FIRST_CONCURRENCY:
            self._cut()

    def _cut(self) -> None:
        self._is_starting = False
        if now() - self._last_cut >= CUT_EVERY_S:
            self._last_cut = now()
            self.concurrency = max(1.0, self.concurrency * CUT)

    def refuse(self, wait_s: float | None) -> None:
        """The endpoint said that this is too much: cut, pause as told, and keep to what it took lately."""
        self._cut()
        if wait_s is not None:
            self.pause(wait_s)
        self._latest_refused.append(True)
        if now() - self._last_refused > RATE_WINDOW_S:
            self._first_refused, self._began_per_s = now(), 0.0
        self._last_refused = now()
        is_declared = self._requests is not None or self._tokens is not None
        most = sum(self._latest_refused) >= MOST
        if not is_declared and (most or self._learnt_per_s) and now() - self._learnt_at >= LEARN_EVERY_S:
            self._learn_pace(most)

    def _learn_pace(self, are_most_refused: bool) -> None:
        """Ask a little slower, and no faster than what was taken since the refusals began, where that is known."""
        grown = self._grow(self._learnt_per_s) if self._learnt_per_s else None
        taken = self._measure_pace()
        if taken is not None:
            self._taken_per_s, self._began_per_s = taken, max(taken, self._began_per_s)
            pace = KEPT * (taken if are_most_refused or grown is None else min(taken, grown))
        elif grown is not None:
            pace = (CUT if are_most_refused else KEPT) * grown
        elif self._accepted:
            pace = FIRST_KEPT * len(self._accepted) / max(LEARN_EVERY_S, now() - self._accepted[0])
        else:
            return  # nothing was ever taken: requests back off one by one
        if pace < FLOOR * self._began_per_s:
            self._first_refused, self._began_per_s = now(), 0.0
            pace = pace if are_most_refused else None
        self._learnt_per_s, self._learnt_at = pace and max(MIN_PER_S, pace), now()

    def _measure_pace(self) -> float | None:
        """Calls a second that were accepted lately, none from before the first refusal; None while too little is known."""
        for window_s, n_needed in ((RATE_WINDOW_S / 4, 2 * KNOWN_CALLS), (RATE_WINDOW_S, KNOWN_CALLS)):
            since = max(self._first_refused, now() - window_s)
            n_taken = sum(at >= since for at in self._accepted)
            if n_taken >= n_needed and now() - since >= KNOWN_AFTER_S:
                return n_taken / (now() - since)
        return None

    def pause(self, wait_s: float) -> None:
        """Start nothing for a while."""
        self._paused_until = max(self._paused_until, now() + wait_s)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take over limits that the endpoint tells and the recipe does not."""
        for what in ("requests", "tokens"):
            told = headers.get(f"x-ratelimit-limit-{what}") or headers.get(f"anthropic-ratelimit-{what}-limit")
            if told and getattr(self, f"_{what}") is None and (rate := read_duration_s(told)):
                setattr(self, f"_{what}", limiter(rate))
            left = headers.get(f"x-ratelimit-remaining-{what}")
            reset = headers.get(f"x-ratelimit-reset-{what}")
            if left == "0" and reset and (wait := read_duration_s(reset)) and wait <= MAX_TOLD_RESET_S:
                self.pause(wait)


def limiter(per_minute: float | None) -> AsyncLimiter | None:
    """A bucket that keeps a minute's limit in slices; None when there is no limit."""
    if per_minute is None:
        return None
    per_s = per_minute / 60 * USED_FRAC
    capacity = max(1.0, per_s * SLICE_S)
    return AsyncLimiter(capacity, capacity / per_s)


def now() -> float:
    """The running loop's monotonic clock, in seconds."""
    return asyncio.get_running_loop().time()
