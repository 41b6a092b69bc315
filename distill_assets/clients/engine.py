"""The engine: many requests to one or more teachers, at the speed of their endpoints, each bought once.

Belongs here: taking requests in, which teacher answers, and delivery. Does not belong here: buying one call
(caller), what its reply means (resolve), or how hard to ask (throttle).

A reply is delivered after it is durable: written at once, flushed in groups. Requests are taken from their
iterator only as there is room, so memory does not grow with their number. When something ends the run (a refused
key, a used-up quota or budget, a full disk, a model that is not the pinned one), nothing more is sent, what is in
flight is awaited and kept, and then the error is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable
from contextlib import AsyncExitStack
from typing import NamedTuple

import orjson

from distill_assets.clients.caller import Caller
from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import Desk, check_budget
from distill_assets.clients.journal import Cap, Journal
from distill_assets.clients.outcomes import weigh_reply
from distill_assets.clients.resolve import Call, name_first_call, resolve
from distill_assets.clients.throttle import Throttle
from distill_assets.clients.wire import open_session
from distill_assets.errors import DistillError

FLUSH_S = 0.005
TELL_EVERY_S = 1.0
INLINE_GROUP = 64
AHEAD = 64
MAX_UNDELIVERED = 4_096
FALLS_BACK = ("error", "rejected")


class Counts(NamedTuple):
    """What asking did so far: requests that ended, how many of them needed no call, calls sent, and the rest.

    `waiting` are those that ended without a reply, since their call is in a batch or on its way into one.
    """

    done: int = 0
    reused: int = 0
    sent: int = 0
    failed: int = 0
    usd: float = 0.0
    tokens: int = 0
    concurrency: int = 0
    waiting: int = 0


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
        self.on_reply, self.on_progress = on_reply, on_progress
        self.tasks: set[asyncio.Task[None]] = set()
        self.undelivered: list[tuple[ChatRequest, ChatReply]] = []
        self.dirty, self.moved = asyncio.Event(), asyncio.Event()
        self.caller = Caller(desks, journal, cap, read_wall_clock, self.moved.set)
        self.done = self.reused = self.failed = self.waiting = 0

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
                self.caller.settle_rejections()
            finally:
                for task in (*self.tasks, *helpers):
                    task.cancel()
                await asyncio.gather(*self.tasks, *helpers, return_exceptions=True)
                self._deliver_all()
        if self.caller.stop is not None:
            raise self.caller.stop
        counts = self.count()
        self.on_progress(counts)
        return counts

    async def _dispatch(self, requests: Iterable[ChatRequest]) -> None:
        for number, request in enumerate(requests, start=1):
            if self.caller.stop is not None:
                return
            missing = self._settle_at_once(request)
            if missing is not None:
                task = asyncio.create_task(self._complete(request, missing))
                self.tasks.add(task)
                task.add_done_callback(self._forget)
            if number % INLINE_GROUP == 0:
                await asyncio.sleep(0)
            while self.caller.stop is None and (len(self.tasks) >= self._room() or len(self.undelivered) > MAX_UNDELIVERED):
                await self._wait_for_a_task()

    def _room(self) -> int:
        return AHEAD + 2 * sum(int(desk.throttle.concurrency) for desk in self.desks.values() if desk.throttle)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.moved.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.caller.end(error)

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
            desk.has_answered |= isinstance(step, ChatReply) and step.status not in FALLS_BACK
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
                self.desks[name].has_answered = True
                return True
        return False

    def _answer_inline(self, desk: Desk, request: ChatRequest, step: Call | ChatReply) -> ChatReply:
        from distill_assets.clients.embedded_chat import BadRequestError, answer_body

        while isinstance(step, Call):
            self.caller.sent += 1
            try:
                body = answer_body(step.content)
            except BadRequestError as error:
                return ChatReply(step.key, "rejected", desk.spec.called, error=str(error)[:300], n_calls=0)
            whole = weigh_reply(desk.price, {"s": 200, "headers": {}}, body, orjson.dumps(body), len(step.content))
            self.caller.keep_reply(desk, step, whole)
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
                self.caller.look_at_refusals(desk, step)
                return step
            ended = await self.caller.buy(desk, step)
            if ended is not None:
                return describe_failure(name_first_call(desk.form, request), desk, *ended)
            step = None

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
                self.caller.end(error)
                return  # what is not on the disk is not delivered
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
        c = self.caller
        return Counts(self.done, self.reused, c.sent, self.failed, c.usd, c.tokens, concurrency, self.waiting)


def describe_failure(request_id: str, desk: Desk, status: str, words: str) -> ChatReply:
    """The reply to a request that the journal has no reply to."""
    cost_usd = 0.0 if desk.price is not None else None
    return ChatReply(request_id, status, desk.spec.called, error=words, n_calls=0, cost_usd=cost_usd)
