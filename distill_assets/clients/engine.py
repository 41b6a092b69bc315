"""The engine: many requests to one or more teachers, at the speed of their endpoints, each bought once.

Belongs here: the order of claim, call, journal and delivery; tries, deadlines, and when a run stops. Does not
belong here: what a call is (wire), what its reply means (resolve), how hard to ask (throttle).

A reply is delivered after it is durable: written at once, flushed in groups. Requests are taken from their
iterator only as there is room, so memory does not grow with their number. When something ends the run (a refused
key, a used-up quota or budget, a full disk, a model that is not the pinned one), nothing more is sent, what is in
flight is awaited and kept, and then the error is raised.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, NamedTuple

import orjson

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import Desk, check_budget, exceed_budget, refuse_teacher
from distill_assets.clients.faults import Fault, redact
from distill_assets.clients.journal import ANSWERED, BATCHED, OURS, OVER, THEIRS, Cap, Journal
from distill_assets.clients.outcomes import Whole, describe_rejection, find_stranger, read_outcome, weigh_reply
from distill_assets.clients.resolve import Call, name_first_call, resolve
from distill_assets.clients.throttle import Throttle
from distill_assets.clients.wire import Exchange, exchange, keep_headers, open_session
from distill_assets.errors import DistillError, TeacherError

FLUSH_S = 0.005
WAIT_S = 0.05
TELL_EVERY_S = 1.0
INLINE_GROUP = 64
AHEAD = 64
MAX_UNDELIVERED = 4_096
MAX_WAIT_S = 120.0
MAX_BACKOFF_S = 30.0
LIMITED_TRIES = 8  # a refusal for rate costs nothing, so it has this many times the tries of a failure
MAX_STREAK = 20  # requests in a row that fail or are rejected, before that is the endpoint's state and not a row's
MAX_REFUSED_STREAK = 50
FALLS_BACK = ("error", "rejected")
REFUSED_FREE = ("rejected", "refused")  # by a status of 400 and the like, which costs nothing


class Counts(NamedTuple):
    """What asking did so far: requests that ended, how many of them needed no call, calls sent, and the rest.

    `waiting` are those that ended without a reply, since their call is in a batch or on its way into one.
    """

    done: int = 0
    reused: int = 0
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    usd: float = 0.0
    tokens: int = 0
    concurrency: int = 0


class Settled(NamedTuple):
    """Requests whose result the caller has already: their ids, and what to do with one that is planned again."""

    known: Container[str]
    take: Callable[[str], None]


def ask(
    requests: Iterable[ChatRequest],
    desks: dict[str, Desk],
    journal: Journal,
    cap: Cap,
    on_reply: Callable[[ChatRequest, ChatReply], None],
    on_progress: Callable[[Counts], None],
    read_wall_clock: Callable[[], float] | None = None,
    settled: Settled | None = None,
) -> Counts:
    """Answer each request once, from the journal or by calls whose replies are journaled first.

    Args:
        desks: teachers by name; a request's `route` names them. on_reply: called once a request, in any order.
        on_progress: called about once a second and at the end. read_wall_clock: seconds since 1970, for the journal only.
        settled: requests that the caller has the result of, so that not even the journal is read for them.

    Raises:
        TeacherError: an endpoint refused for good, or keeps failing. BudgetError: the budget is used up.
        StorageError: the journal cannot be written. All that was answered before is kept.
    """
    check_budget(desks, cap)
    engine = _Engine(desks, journal, cap, on_reply, on_progress, read_wall_clock, settled or Settled({}, lambda _: None))
    with asyncio.Runner(loop_factory=find_loop_factory()) as runner:
        return runner.run(engine.run(requests))


def find_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed (it comes with the UI's server), else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class _Engine:
    def __init__(self, desks, journal, cap, on_reply, on_progress, read_wall_clock, settled) -> None:
        self.settled: Settled = settled
        self.desks: dict[str, Desk] = desks
        self.journal: Journal = journal
        self.cap: Cap = cap
        self.on_reply, self.on_progress, self.read_wall_clock = on_reply, on_progress, read_wall_clock
        self.stop: BaseException | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.undelivered: list[tuple[ChatRequest, ChatReply]] = []
        self.dirty, self.moved = asyncio.Event(), asyncio.Event()
        self.done = self.reused = self.sent = self.failed = self.waiting = self.tokens = 0
        self.usd = 0.0
        self.jitter = random.Random(0)  # when a retry happens decides no result

    # --- the run ---

    async def run(self, requests: Iterable[ChatRequest]) -> Counts:
        async with AsyncExitStack() as stack:
            for desk in self.desks.values():
                desk.throttle = Throttle(desk.spec.limits)
                if desk.endpoint.provider != "embedded":
                    desk.session = await stack.enter_async_context(open_session(desk.form.url, desk.spec.limits.concurrency))
            helpers = [asyncio.create_task(self._deliver_when_durable()), asyncio.create_task(self._tell_now_and_then())]
            for task in helpers:
                task.add_done_callback(self._forget)
            try:
                await self._dispatch(requests)
                while self.tasks:
                    await self._wait_for_a_task()
                self._release_held()
            finally:
                for task in (*self.tasks, *helpers):
                    task.cancel()
                await asyncio.gather(*self.tasks, *helpers, return_exceptions=True)
                self._deliver_all()
        if self.stop is not None:
            raise self.stop
        counts = self.count()
        self.on_progress(counts)
        return counts

    async def _dispatch(self, requests: Iterable[ChatRequest]) -> None:
        for number, request in enumerate(requests, start=1):
            if self.stop is not None:
                return
            missing = self._settle_at_once(request)
            if missing is not None:
                task = asyncio.create_task(self._complete(request, missing))
                self.tasks.add(task)
                task.add_done_callback(self._forget)
            if number % INLINE_GROUP == 0:
                await asyncio.sleep(0)
            while self.stop is None and (len(self.tasks) >= self._room() or len(self.undelivered) > MAX_UNDELIVERED):
                await self._wait_for_a_task()

    def _room(self) -> int:
        return AHEAD + 2 * sum(int(desk.throttle.concurrency) for desk in self.desks.values() if desk.throttle)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.moved.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)

    async def _wait_for_a_task(self) -> None:
        self.moved.clear()
        await self.moved.wait()

    # --- one request ---

    def _settle_at_once(self, request: ChatRequest) -> dict[str, Call] | None:
        """Deliver what needs no network: a known reply, or the embedded teacher's; else return the missing calls by teacher."""
        missing: dict[str, Call] = {}
        if self.settled.known and self._take_settled(request):
            return None
        for name in request.route:
            desk = self.desks[name]
            step = resolve(desk.form, desk.price, request, self.journal)
            if isinstance(step, ChatReply) and not (step.status in FALLS_BACK and (missing or name != request.route[-1])):
                self.reused += 1
                self._hand_over(request, step)
                return None
            if isinstance(step, Call) and desk.session is None and not missing:
                self._queue(request, self._answer_inline(desk, request, step))
                return None
            if isinstance(step, Call):
                missing[name] = step
        return missing

    def _take_settled(self, request: ChatRequest) -> bool:
        for name in request.route:
            if (key := name_first_call(self.desks[name].form, request)) in self.settled.known:
                self.done += 1
                self.reused += 1
                self.settled.take(key)
                return True
        return False

    def _answer_inline(self, desk: Desk, request: ChatRequest, step: Call | ChatReply) -> ChatReply:
        from distill_assets.clients.embedded_chat import BadRequestError, answer_body

        while isinstance(step, Call):
            self.sent += 1
            try:
                body = answer_body(step.content)
            except BadRequestError as error:
                return ChatReply(step.key, "rejected", desk.spec.called, error=str(error)[:300], n_calls=0)
            whole = weigh_reply(desk.price, {"s": 200, "headers": {}}, body, orjson.dumps(body), len(step.content))
            self._journal_reply(desk, step, whole)
            step = resolve(desk.form, desk.price, request, self.journal)
        return step

    async def _complete(self, request: ChatRequest, missing: dict[str, Call]) -> None:
        reply = None
        for name in request.route:
            desk = self.desks[name]
            if desk.stopped is not None and name != request.route[-1]:
                continue
            reply = await self._ask_desk(desk, request, missing.get(name))
            if reply.status not in FALLS_BACK:
                break
        if reply is not None:
            self._queue(request, reply)

    async def _ask_desk(self, desk: Desk, request: ChatRequest, step: Call | ChatReply | None) -> ChatReply:
        """Buy what is missing, call by call. `step`: the first missing call, when that was looked up already."""
        while True:
            step = step or resolve(desk.form, desk.price, request, self.journal)
            if isinstance(step, ChatReply):
                self._look_at_refusals(desk, step)
                return step
            ended = await self._buy(desk, step)
            if ended is not None:
                return describe_failure(name_first_call(desk.form, request), desk, *ended)
            step = None

    async def _buy(self, desk: Desk, call: Call) -> tuple[str, str] | None:
        """Send a call until its reply is in the journal; else say with which status and words it ended."""
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
            if outcome.kind in REFUSED_FREE:
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

    def _end(self, error: BaseException) -> None:
        """End the run: nothing more is sent, whoever waits gives up, what is in flight is awaited."""
        self.stop = self.stop or error
        for desk in self.desks.values():
            self._give_up_waits(desk)
        self.moved.set()

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
            self._end(exceed_budget(self.journal, self.cap, usd, tokens))
        return claimed

    async def _call(self, desk: Desk, call: Call) -> Exchange | Fault:
        import aiohttp

        self.sent += 1
        key = desk.endpoint.api_key
        try:
            async with asyncio.timeout(desk.spec.limits.timeout_s):
                return await exchange(desk.session, desk.form, call.content)
        except aiohttp.ClientConnectorError as error:  # includes names that do not resolve: nothing was sent
            return Fault("passing", redact(f"no connection to {desk.endpoint.provider}: {error}", key))
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
        if got.is_too_large:
            return self._journal_too_large(desk, call, facts)
        outcome = read_outcome(got, facts, desk.endpoint, desk.price, len(call.content))
        if isinstance(outcome, Fault):
            return self._fail(desk, call, outcome), 0
        self._journal_reply(desk, call, outcome)
        return None, outcome.tokens

    def _fail(self, desk: Desk, call: Call, fault: Fault) -> Fault:
        if fault.kind == "limited":
            desk.throttle.refuse(fault.wait_s if (fault.wait_s or 0) <= MAX_WAIT_S else None)
        reserved = desk.reserve(call.content, call.max_tokens) if fault.is_in_doubt else (0.0, 0)
        self.journal.fail(call.key, *reserved)
        return fault

    def _journal_reply(self, desk: Desk, call: Call, whole: Whole) -> None:
        tokens = whole.tokens
        self.journal.append(call.key, whole.usd or 0.0, tokens, whole.facts, whole.content)
        self.usd += whole.usd or 0.0
        self.tokens += tokens
        desk.streak, desk.has_answered = 0, True
        desk.mean_tokens = tokens if desk.mean_tokens is None else 0.95 * desk.mean_tokens + 0.05 * tokens
        self._release_held()
        if (stranger := find_stranger(desk.spec, whole)) is not None:
            self._stop_desk(desk, stranger)
        if self.journal.is_full:
            self._end(TeacherError("the disk is full. Replies in flight were still kept; nothing more was sent. Free disk space."))

    def _journal_too_large(self, desk: Desk, call: Call, facts: dict[str, Any]) -> tuple[None, int]:
        usd, tokens = desk.reserve(call.content, call.max_tokens)
        self.journal.append(call.key, usd, tokens, {**facts, "outcome": "invalid", "error": "the reply is over 4 MiB", "usd": usd})
        return None, tokens

    def _settle_rejection(self, desk: Desk, call: Call, fault: Fault) -> tuple[str, str] | None:
        """Keep a rejection, so that it is not asked again; but not while it may be the endpoint that takes nothing.

        Returns:
            None when it is in the journal; else its status and words.
        """
        if desk.has_answered:
            self.journal.append(call.key, 0.0, 0, describe_rejection(fault))
            return None
        desk.held.append((call.key, describe_rejection(fault)))
        if len(desk.held) >= MAX_STREAK or desk.stopped is not None:
            desk.held.clear()
            self._stop_desk(desk, f"the first {MAX_STREAK} requests were all rejected, the last with: {fault.words}")
        return fault.kind, fault.words

    def _release_held(self) -> None:
        for desk in self.desks.values():
            for key, record in desk.held:
                self.journal.append(key, 0.0, 0, record)
            desk.held.clear()

    def _look_at_refusals(self, desk: Desk, reply: ChatReply) -> None:
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
            self._end(desk.stopped)
        else:
            self._give_up_waits(desk)

    # --- delivery ---

    def _queue(self, request: ChatRequest, reply: ChatReply) -> None:
        self.undelivered.append((request, reply))
        self.dirty.set()

    def _hand_over(self, request: ChatRequest, reply: ChatReply) -> None:
        self.done += 1
        self.failed += reply.status == "error"
        self.waiting += reply.status == "waiting"
        self.on_reply(request, reply)

    async def _deliver_when_durable(self) -> None:
        while True:
            await self.dirty.wait()
            self.dirty.clear()
            await asyncio.sleep(FLUSH_S)
            n_written = len(self.undelivered)
            try:
                await asyncio.to_thread(self.journal.sync)
            except DistillError as error:
                self._end(error)
            self._deliver(n_written)
            self.moved.set()

    def _deliver(self, n: int) -> None:
        """Deliver the first `n` replies; they stay in line until they are, also when this is cancelled before."""
        group, self.undelivered = self.undelivered[:n], self.undelivered[n:]
        for request, reply in group:
            self._hand_over(request, reply)

    def _deliver_all(self) -> None:
        self.journal.sync()
        self._deliver(len(self.undelivered))

    async def _tell_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            self.on_progress(self.count())

    def count(self) -> Counts:
        concurrency = sum(int(desk.throttle.concurrency) for desk in self.desks.values() if desk.session is not None)
        return Counts(self.done, self.reused, self.sent, self.failed, self.waiting, self.usd, self.tokens, concurrency)


def describe_failure(request_id: str, desk: Desk, status: str, words: str) -> ChatReply:
    """The reply to a request that the journal has no reply to. A rejection that is held back reads as it will from there."""
    is_free = status in REFUSED_FREE
    cost_usd = 0.0 if is_free or desk.price is not None else None
    return ChatReply(request_id, status, desk.spec.called, error=words, n_calls=int(is_free), cost_usd=cost_usd)


def describe_fatal(fault: Fault) -> str:
    """Why nothing more is sent, in words."""
    if fault.kind == "fatal":
        return fault.words
    return f"it asks to wait {fault.wait_s:.0f} s, which is more than {MAX_WAIT_S:.0f} s ({fault.words})"
