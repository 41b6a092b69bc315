"""Buying one call: claim it, send it, try again, journal what came back, and know when to stop asking.

Belongs here: the order of those steps, tries and deadlines, and what ends a teacher or a run. Does not belong here:
which call is next (resolve), which requests there are (engine), bytes (wire), or how hard to ask (throttle).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from distill_assets.clients.chat import ChatReply
from distill_assets.clients.desk import Desk, exceed_budget, refuse_teacher
from distill_assets.clients.faults import Fault, redact
from distill_assets.clients.journal import ANSWERED, BATCHED, OURS, OVER, THEIRS, Cap, Journal
from distill_assets.clients.outcomes import Whole, describe_rejection, find_stranger, read_outcome
from distill_assets.clients.resolve import Call
from distill_assets.clients.wire import Exchange, exchange, keep_headers
from distill_assets.errors import StorageError, TeacherError

WAIT_S = 0.05
MAX_WAIT_S = 120.0
MAX_BACKOFF_S = 30.0
LIMITED_TRIES = 8  # a refusal for rate costs nothing, so it has this many times the tries of a failure
MAX_STREAK = 20  # requests in a row that fail or are rejected, before that is the endpoint's state and not a row's
MAX_REFUSED_STREAK = 50


class Caller:
    """Buys calls for one run. `stop` is the error that ended it, once there is one; `on_end` is told then."""

    def __init__(
        self,
        desks: dict[str, Desk],
        journal: Journal,
        cap: Cap,
        read_wall_clock: Callable[[], float] | None,
        on_end: Callable[[], None],
    ) -> None:
        self.desks, self.journal, self.cap = desks, journal, cap
        self.read_wall_clock, self.on_end = read_wall_clock, on_end
        self.stop: BaseException | None = None
        self.sent = self.tokens = 0
        self.usd = 0.0
        self.jitter = random.Random(0)  # when a retry happens decides no result

    async def buy(self, desk: Desk, call: Call) -> tuple[str, str] | None:
        """Send a call until its reply is in the journal; else say with which status and words it ended."""
        try:
            return await self._buy(desk, call)
        except StorageError as error:
            self.end(error)  # at once: whoever waits for this call's slot would buy what cannot be kept
            raise

    async def _buy(self, desk: Desk, call: Call) -> tuple[str, str] | None:
        if desk.outbox is not None:
            return desk.outbox.put(call)
        words, failures, refusals = "not sent", 0, 0
        while failures < desk.spec.limits.max_tries and refusals < desk.spec.limits.max_tries * LIMITED_TRIES:
            stopped = self.stop or desk.stopped
            if stopped is not None:
                return "error", f"not sent: {stopped}"[:300]
            outcome = await self._try_once(desk, call)
            if outcome is None:
                return None
            if outcome == BATCHED:
                return "waiting", "a batch has this call, or the budget that it needs"
            if not isinstance(outcome, Fault):
                await self._wait_while(desk, call, outcome)
                continue
            words = outcome.words
            if outcome.kind == "fatal" or (outcome.wait_s or 0) > MAX_WAIT_S:
                self._stop_desk(desk, describe_fatal(outcome))
                return "error", words
            if outcome.kind in ("rejected", "refused"):
                return self._settle_rejection(desk, call, outcome)
            failures += outcome.kind == "passing"
            refusals += outcome.kind == "limited"
            with self._waiting(desk):
                await asyncio.sleep(self._back_off_s(desk, outcome, failures, refusals))
        self._count_failure(desk, words)
        return "error", f"{words} (after {failures + refusals} tries)"

    def _back_off_s(self, desk: Desk, fault: Fault, failures: int, refusals: int) -> float:
        """Exponential with jitter, unless the endpoint said how long; a rate refusal's told pause is the throttle's."""
        if fault.wait_s is not None:
            return 0.0 if fault.kind == "limited" else fault.wait_s
        exponent = min(10, max(failures, refusals) - 1)
        return self.jitter.uniform(0.5, 1.0) * min(MAX_BACKOFF_S, desk.spec.limits.first_wait_s * 2**exponent)

    async def _try_once(self, desk: Desk, call: Call) -> Fault | str | None:
        """One try: None when its reply is journaled, a Fault when it failed, a word when it was not sent."""
        expected, is_admitted = desk.expect_tokens(call.content), False
        with self._waiting(desk):
            await desk.throttle.admit(expected)
            is_admitted = True
        if not is_admitted:
            return THEIRS
        latency, used = None, expected
        try:
            claimed = self._claim(desk, call)
            if claimed != OURS:
                used = 0
                return None if claimed == ANSWERED else claimed
            started = asyncio.get_running_loop().time()
            got = await self._call(desk, call)
            took = asyncio.get_running_loop().time() - started
            fault, used = self._take_in(desk, call, got, took)
            latency = took if fault is None else None
            return fault
        finally:
            desk.throttle.release(latency, expected, used)

    @contextmanager
    def _waiting(self, desk: Desk) -> Iterator[None]:
        """A wait that ends at once when the run or the teacher is stopped; what follows it finds that out."""
        task = asyncio.current_task()
        desk.waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if (self.stop or desk.stopped) is None:
                raise
            task.uncancel()
        finally:
            desk.waiting.discard(task)

    def end(self, error: BaseException) -> None:
        """End the run: nothing more is sent, whoever waits gives up, what is in flight is awaited."""
        self.stop = self.stop or error
        for desk in self.desks.values():
            self._give_up_waits(desk)
        self.on_end()

    def _give_up_waits(self, desk: Desk) -> None:
        for task in desk.waiting:
            task.cancel()

    async def _wait_while(self, desk: Desk, call: Call, why: str) -> None:
        """Wait while another run has the call in flight, or while calls in flight could still leave room in the budget."""
        reserved = desk.reserve(call.content, call.max_tokens)
        while (self.stop or desk.stopped) is None:
            with self._waiting(desk):
                await asyncio.sleep(WAIT_S)
            if self.journal.look(call.key, *reserved, self.cap, call.is_repeat) != why:
                return
            if why == OVER and self.journal.count_in_flight() == 0:
                return

    def _claim(self, desk: Desk, call: Call) -> str:
        if self.stop is not None or desk.stopped is not None:
            return THEIRS
        usd, tokens = desk.reserve(call.content, call.max_tokens)
        claimed = self.journal.claim(call.key, usd, tokens, self.cap, call.is_repeat)
        if claimed == OVER and self.journal.count_in_flight() == 0:
            if len(self.journal.batched):  # what is reserved for a batch comes free when that ends
                return BATCHED
            self.end(exceed_budget(self.journal, self.cap, usd, tokens))
        return claimed

    async def _call(self, desk: Desk, call: Call) -> Exchange | Fault:
        import aiohttp

        self.sent += 1
        key = desk.endpoint.api_key
        try:
            async with asyncio.timeout(desk.spec.limits.timeout_s):
                return await exchange(desk.session, desk.form, call.content)
        except aiohttp.ClientConnectorError as error:  # includes names that do not resolve: nothing was sent
            why = error.os_error.strerror or str(error.os_error)
            return Fault("passing", redact(f"no connection to {desk.endpoint.provider}: {why}", key))
        except TimeoutError:
            return Fault("passing", f"no whole reply within {desk.spec.limits.timeout_s:g} s", is_in_doubt=True)
        except (aiohttp.ClientError, OSError) as error:
            return Fault("passing", redact(f"the connection broke: {type(error).__name__}: {error}", key), is_in_doubt=True)

    # --- what came back ---

    def _take_in(self, desk: Desk, call: Call, got: Exchange | Fault, latency_s: float) -> tuple[Fault | None, int]:
        """Journal what came back; return its fault, if it is one, and the tokens that it used."""
        if isinstance(got, Fault):
            return self._fail(desk, call, got), 0
        desk.throttle.learn(got.headers)
        facts = {"s": got.status, "ms": round(latency_s * 1000), "headers": keep_headers(got.headers), "teacher": desk.spec.called}
        if self.read_wall_clock is not None:
            facts["at"] = round(self.read_wall_clock(), 3)
        if got.is_too_large and got.status == 200:  # an error's page may be as large as it likes
            return self._journal_too_large(desk, call, facts)
        outcome = read_outcome(got, facts, desk.endpoint, desk.price, len(call.content))
        if isinstance(outcome, Fault):
            return self._fail(desk, call, outcome), 0
        self.keep_reply(desk, call, outcome)
        return None, outcome.tokens

    def _fail(self, desk: Desk, call: Call, fault: Fault) -> Fault:
        if fault.kind == "limited":
            desk.throttle.refuse(fault.wait_s if (fault.wait_s or 0) <= MAX_WAIT_S else None)
        reserved = desk.reserve(call.content, call.max_tokens) if fault.is_in_doubt else (0.0, 0)
        self.journal.fail(call.key, *reserved)
        return fault

    def keep_reply(self, desk: Desk, call: Call, whole: Whole) -> None:
        """Journal a whole reply, and see what it says of its teacher."""
        tokens = whole.tokens
        # An estimate may be too low; what counts against the budget may not.
        cost = desk.reserve(call.content, call.max_tokens) if whole.is_estimated else (whole.usd or 0.0, tokens)
        self.journal.append(call.key, *cost, whole.facts, whole.content)
        self.usd += whole.usd or 0.0
        self.tokens += tokens
        desk.streak, desk.has_answered = 0, True
        desk.mean_tokens = tokens if desk.mean_tokens is None else 0.95 * desk.mean_tokens + 0.05 * tokens
        self._settle_held(desk, is_kept=True)
        if (stranger := find_stranger(desk.spec, whole)) is not None:
            self._stop_desk(desk, stranger)
        if self.journal.is_full:
            self.end(TeacherError("the disk is full. Replies in flight were still kept; nothing more was sent. Free disk space."))

    def _journal_too_large(self, desk: Desk, call: Call, facts: dict[str, Any]) -> tuple[None, int]:
        usd, tokens = desk.reserve(call.content, call.max_tokens)
        self.journal.append(call.key, usd, tokens, {**facts, "outcome": "invalid", "error": "the reply is over 4 MiB", "usd": usd})
        return None, tokens

    def _settle_rejection(self, desk: Desk, call: Call, fault: Fault) -> tuple[str, str] | None:
        """Keep a rejection, so that it is not asked again; but not before an answer shows that the endpoint takes others.

        Returns:
            None when the journal can be asked for it; else the status and words that its request ends with.
        """
        if fault.is_of_row:
            self.journal.append(call.key, 0.0, 0, describe_rejection(fault))
            return None
        self.journal.hold(call.key, describe_rejection(fault))
        desk.held.append(call.key)
        if len(desk.held) < MAX_STREAK and desk.stopped is None:
            return None
        self._settle_held(desk, is_kept=False)
        self._stop_desk(desk, f"{MAX_STREAK} requests in a row were rejected, the last with: {fault.words}")
        return "error", fault.words

    def _settle_held(self, desk: Desk, is_kept: bool) -> None:
        self.journal.settle_held(desk.held, is_kept)
        desk.held.clear()

    def settle_rejections(self) -> None:
        """At the end, keep the rejections of each teacher that has answered anything at all."""
        for desk in self.desks.values():
            self._settle_held(desk, is_kept=desk.has_answered)

    def look_at_refusals(self, desk: Desk, reply: ChatReply) -> None:
        """Stop a teacher that refuses one request after the other."""
        desk.refused_streak = desk.refused_streak + 1 if reply.status == "refused" else 0
        if desk.refused_streak >= MAX_REFUSED_STREAK:
            self._stop_desk(desk, f"{MAX_REFUSED_STREAK} requests in a row were refused, the last with: {reply.error}")

    def _count_failure(self, desk: Desk, words: str) -> None:
        desk.streak += 1
        if desk.streak >= MAX_STREAK:
            self._stop_desk(desk, f"{MAX_STREAK} requests in a row failed, the last with: {words}")

    def _stop_desk(self, desk: Desk, why: str) -> None:
        """Ask this teacher nothing more; without another one to fall back to, that ends the run."""
        if desk.stopped is None:
            desk.stopped = refuse_teacher(desk, why)
        is_last = all(other.stopped is not None for other in self.desks.values())
        if desk.spec.fallback is None or is_last:
            self.end(desk.stopped)
        else:
            self._give_up_waits(desk)


def describe_fatal(fault: Fault) -> str:
    """Why nothing more is sent, in words."""
    if fault.kind == "fatal":
        return fault.words
    return f"it asks to wait {fault.wait_s:.0f} s, which is more than {MAX_WAIT_S:.0f} s ({fault.words})"
