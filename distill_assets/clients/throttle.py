"""How hard one endpoint is asked: calls in flight, calls and tokens a minute, and pauses.

Belongs here: admitting a call, and learning from how calls end. Does not belong here: what a call is (wire),
what its end means (faults) or money (budget).

Concurrency follows additive increase and multiplicative decrease (Chiu and Jain 1989; TCP Reno's slow start
until the first sign of trouble). Declared rates are kept by aiolimiter's leaky bucket in slices of a quarter of
a second, so that an endpoint that enforces by the second is not asked in bursts. An undeclared rate is taken from
`x-ratelimit-limit-*`, else learnt from refusals. All times are monotonic: a wall clock that jumps changes nothing.
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
KEPT = 0.95
MIN_PER_S = 0.2
GROWTH_PER_S = 0.03
MAX_GROWTH_S = 600.0  # by then any pace has left its limit behind, and the figure stays finite
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
        self._learnt_per_s: float | None = None
        self._learnt_at = float("-inf")
        self._next_start = 0.0

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
        await self._keep_learnt_pace()
        while (wait := self._paused_until - now()) > 0:
            await asyncio.sleep(wait)
            await self._keep_learnt_pace()  # whoever sat out a pause would start together otherwise

    async def _take_tokens(self, tokens: int) -> None:
        owed = tokens + self._token_balance
        self._token_balance = min(0.0, owed)
        piece = self._tokens.max_rate
        while owed > 0:
            await self._tokens.acquire(min(owed, piece))
            owed -= piece

    async def _keep_learnt_pace(self) -> None:
        if self._learnt_per_s is None:
            return
        rate = self._learnt_per_s * (1 + GROWTH_PER_S) ** min(MAX_GROWTH_S, max(0.0, now() - self._learnt_at))
        start = max(now(), self._next_start)
        self._next_start = start + 1 / rate
        await asyncio.sleep(max(0.0, start - now()))

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

    def _learn_pace(self) -> None:
        """Keep to what the endpoint took lately; while little is known, a good deal below it.

        Before the first answer nothing is known: refusals come at once, and answers take their time.
        """
        is_known = self._requests is not None or self._tokens is not None
        if is_known or not self._accepted or now() - self._learnt_at < LEARN_EVERY_S:
            return
        span = now() - self._accepted[0]
        measured = max(MIN_PER_S, len(self._accepted) / max(LEARN_EVERY_S, span))
        if span >= RATE_WINDOW_S / 2:
            self._learnt_per_s = KEPT * measured
        else:
            self._learnt_per_s = max(MIN_PER_S, min(KEPT * measured, CUT * (self._learnt_per_s or measured / CUT)))
        self._learnt_at = now()
        self._next_start = max(self._next_start, now())

    def refuse(self, wait_s: float | None) -> None:
        """The endpoint said that this is too much: cut, pause as told, and keep to what it took lately."""
        self._cut()
        if wait_s is not None:
            self._paused_until = max(self._paused_until, now() + wait_s)
        self._learn_pace()

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
