"""Batches: a recipe's missing calls, sent in files for half the price and collected when the endpoint is done.

Belongs here: the order of steps from missing calls to journaled replies, over as many runs as it takes. Does not
belong here: which call is missing (resolve), exchanges (batch_api), files (batch_files), lines (batch_lines).

The one idea: a run never waits. It collects what has ended, resolves all requests, sends what is missing and in no
batch yet, and ends; the next run does the same. Re-asks become a second batch by that alone. Each step is durable
before the next begins, so that a kill between any two neither loses a reply nor buys one twice:

    prepared written -> calls claimed -> input written -> uploaded -> created -> ended -> lines journaled -> collected

Up to `prepared` the endpoint can have started nothing, so a run that finds it lets the calls go. From `uploaded` on it
may have: then its list is asked for our name before anything is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from distill_assets.clients import batch_api, batch_files
from distill_assets.clients.batch_files import COLLECTED, CREATED, ENDED, PREPARED, UPLOADED, Batch
from distill_assets.clients.batch_lines import Collected, Collector
from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import Desk, describe_cap, exceed_budget, refuse_teacher
from distill_assets.clients.endpoints import plan_endpoint
from distill_assets.clients.engine import Counts, Settled, ask
from distill_assets.clients.journal import Cap, Claim, Journal
from distill_assets.clients.outbox import Outbox
from distill_assets.clients.prices import find_price
from distill_assets.errors import BudgetError, TeacherError, name_culprits
from distill_assets.identity import make_id
from distill_assets.teachers import TeacherSpec

MAX_CALLS = 50_000  # OpenAI's guide to batches: calls in a file; its bytes below 200 MB
MAX_BYTES = 190_000_000
POLL_S = 10.0
ENQUEUED_CODE = "token_limit_exceeded"


class Batches:
    """One run's work on a recipe's batches, around the engine."""

    def __init__(
        self,
        desks: dict[str, Desk],
        journal: Journal,
        cap: Cap,
        read_wall_clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self.desks, self.journal, self.cap = desks, journal, cap
        self.read_wall_clock, self.say = read_wall_clock, say
        self.folder = journal.folder / batch_files.FOLDER
        self.open: list[Batch] = []
        self.submitted: list[Batch] = []
        self.collected: list[Collected] = []
        self._over: Claim | None = None
        self._is_full: set[str] = set()  # teachers whose endpoint takes no more for now
        self._problems: list[TeacherError] = []
        self._stack = ExitStack()
        self._clients: dict[str, Any] = {}

    def ask(
        self,
        requests: Iterable[ChatRequest],
        on_reply: Callable[[ChatRequest, ChatReply], None],
        on_progress: Callable[[Counts], None],
        settled: Settled | None = None,
    ) -> Counts:
        """What the engine's `ask` does, with batches before and after it: requests that wait for one are `waiting`.

        Raises:
            TeacherError, BudgetError, StorageError: as the engine's; besides, when a batch was not carried out.
        """
        if not self._is_needed():
            return ask(requests, self.desks, self.journal, self.cap, on_reply, on_progress, self.read_wall_clock, settled)
        with self._stack:
            with batch_files.hold_batches(self.folder):
                self._take_up_all()
                self._open_outboxes()
            counts = ask(requests, self.desks, self.journal, self.cap, on_reply, on_progress, self.read_wall_clock, settled)
            with batch_files.hold_batches(self.folder):
                self._submit_all()
        self.open = self._find_open()
        if counts.waiting and not self.open:
            self._check_budget()
        usd, tokens = sum(c.usd for c in self.collected), sum(c.tokens for c in self.collected)
        return counts._replace(usd=counts.usd + usd, tokens=counts.tokens + tokens)

    def _is_needed(self) -> bool:
        is_batched = any(desk.spec.batch for desk in self.desks.values()) or len(self.journal.batched) > 0
        return is_batched or any(batch.is_open for batch in batch_files.read_batches(self.folder))

    def _check_budget(self) -> None:
        """Requests wait, and for no batch: for money that no batch will free, or else for another run, which is no error."""
        if self._over is not None:
            raise exceed_budget(self.journal, self.cap, self._over.usd, self._over.tokens)
        if self.cap != Cap() and len(self.journal.batched):
            spent = self.journal.spent()
            raise BudgetError(
                f"the budget has no room: {spent.usd:.4f} USD and {spent.tokens} tokens are spent, and {spent.usd_in_doubt:.4f} USD "
                f"and {spent.tokens_in_doubt} tokens are reserved, among them {len(self.journal.batched)} calls in batches that no "
                f"teacher of the recipe waits for ({describe_cap(self.cap)}). Nothing more was sent; all replies so far are kept. "
                "Put the teacher back to collect them, or raise the budget in recipe.yaml, and run again."
            )

    # --- what earlier runs have left ---

    def _take_up_all(self) -> None:
        """Take each batch as far as it goes.

        Raises:
            TeacherError: for the first batch that cannot go on, after all others did.
        """
        self.journal.refresh()
        all_batches = batch_files.read_batches(self.folder)
        batch_files.sweep(self.folder, all_batches)
        known = [batch for batch in all_batches if batch.state != COLLECTED]
        self._release(self.journal.batched.list_batches() - {batch.id for batch in known})
        for batch in known:
            desk = find_desk(batch, self.desks)
            if desk is None:
                self._leave(batch)
                continue
            try:
                self._take_up(desk, batch._replace(is_left=False))
            except TeacherError as error:
                self._problems.append(error)
        if self._problems:
            raise self._problems[0]

    def _release(self, batch_ids: Iterable[str]) -> None:
        """Let calls go whose batch's file a person has deleted: they may have been bought."""
        for batch_id in sorted(batch_ids):
            keys = self.journal.batched.list_keys(batch_id)
            self.say(f"batch {batch_id[:8]} is known no more: its {len(keys)} calls count as spent, and are asked again")
            for key in keys:
                self.journal.leave_batch(key, batch_id, is_in_doubt=True)
        self.journal.sync()

    def _leave(self, batch: Batch) -> None:
        self.say(
            f"batch {batch.batch_id or batch.id[:8]} ({batch.n_calls} calls of {batch.model} at {batch.provider}) belongs to no "
            "teacher of the recipe any more; it is left alone, and its cost stays reserved"
        )
        if not batch.is_left:
            batch_files.write_batch(self.folder, batch._replace(is_left=True))

    def _take_up(self, desk: Desk, batch: Batch) -> None:
        if batch.state == PREPARED:
            self._discard(batch)
            return
        if batch.state == UPLOADED:
            passed_s = max(0.0, self.read_wall_clock() - batch.at)
            batch = self._start(desk, batch, max(0.01, batch_api.CREATE_GRACE_S - passed_s))
        if batch.state == CREATED:
            batch = self._look(desk, batch)
        if batch.state == ENDED:
            self._collect(desk, batch)

    def _discard(self, batch: Batch) -> None:
        """Forget a batch that the endpoint was never asked to start."""
        for key in self.journal.batched.list_keys(batch.id):
            self.journal.leave_batch(key, batch.id)
        self.journal.sync()
        batch_files.forget_batch(self.folder, batch.id)

    def _look(self, desk: Desk, batch: Batch) -> Batch:
        told = batch_api.look(self._client(desk), desk.endpoint, batch.batch_id)
        if not told.has_ended:
            self.say(f"batch {batch.batch_id}: {told.status}, {told.n_done}/{told.n_total or batch.n_calls} calls")
            return self._move(batch, CREATED, status=told.status) if told.status != batch.status else batch
        files = {"output_file_id": told.output_file_id, "error_file_id": told.error_file_id}
        return self._move(batch, ENDED, status=told.status, codes=told.codes, words=told.words, **files)

    def _collect(self, desk: Desk, batch: Batch) -> None:
        price = find_price(desk.spec.model_copy(update={"batch": True}))
        collector = Collector(batch, desk, price, self.journal, batch_files.read_sizes(self.folder, batch.id))
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                batch_api.download(
                    self._client(desk), desk.endpoint, file_id, lambda line: collector.take(line, self.read_wall_clock)
                )
        got = collector.finish()
        self.journal.sync()
        self._move(batch, COLLECTED)
        batch_files.input_file(self.folder, batch.id).unlink(missing_ok=True)
        self.collected.append(got)
        self.say(
            f"batch {batch.batch_id} {batch.status}: {got.n_answered} answered, {got.n_rejected} rejected, {got.n_failed} to be "
            f"asked again, {got.usd:.4f} USD" + (f"; {collector.n_stray} lines belong to no call" if collector.n_stray else "")
        )
        if got.problem is not None:
            self._judge_problem(desk, batch, got.problem)

    def _judge_problem(self, desk: Desk, batch: Batch, problem: str) -> None:
        """End the run, unless the endpoint only has too much to do with the batches that are open."""
        if ENQUEUED_CODE not in batch.codes:
            raise refuse_teacher(desk, problem)
        self._is_full.add(desk.spec.called)
        if not any(other.belongs_to(desk.spec) for other in self._find_open()):
            raise refuse_teacher(desk, f"{problem} Bound what is sent at once: limits.enqueued_tokens in recipe.yaml")

    def _find_open(self) -> list[Batch]:
        return batch_files.find_open(self.folder, [desk.spec for desk in self.desks.values()])

    # --- what is missing now ---

    def _open_outboxes(self) -> None:
        for desk in self.desks.values():
            if desk.spec.batch:
                desk.outbox = Outbox(desk.spec, self.journal, self.folder, batch_api.name_path(desk.endpoint))
                self._stack.callback(desk.outbox.close)

    def _submit_all(self) -> None:
        for desk in self.desks.values():
            if desk.outbox is not None:
                self._submit(desk, desk.outbox)

    def _submit(self, desk: Desk, outbox: Outbox) -> None:
        there = [batch for batch in self._find_open() if batch.belongs_to(desk.spec)]
        if desk.spec.called in self._is_full and there:
            return
        bound, taken = desk.spec.limits.enqueued_tokens, sum(batch.prompt_tokens for batch in there)
        for keys in cut_batches(outbox):
            fitting = keys if bound is None else fit_tokens(desk, outbox, keys, bound - taken, may_be_one=taken == 0)
            batch, over = self._prepare(desk, outbox, fitting) if fitting else (None, None)
            if batch is not None:
                self.submitted.append(self._send(desk, batch))
                taken += batch.prompt_tokens
            self._over = over or self._over
            if over is not None or len(fitting) < len(keys):
                return

    def _prepare(self, desk: Desk, outbox: Outbox, keys: list[str]) -> tuple[Batch | None, Claim | None]:
        """Claim calls for a new batch and write its file; return it, if any may be sent, and the first that costs too much."""
        spec, provider = desk.spec, desk.endpoint.provider
        batch = Batch(self._name(desk, keys), spec.called, provider, spec.model, at=self.read_wall_clock())
        batch_files.write_batch(self.folder, batch)
        claims = [Claim(key, *reserve(desk, outbox, key), outbox.calls[key].is_repeat) for key in keys]
        ours, over = self.journal.claim_batch(batch.id, claims, self.cap)
        if not ours:
            self._discard(batch)
            return None, over
        self.journal.sync()
        names = [claim.key for claim in ours]
        batch_files.write_input(self.folder, batch.id, outbox.read_lines(names))
        prompts = sum(desk.reserve_bytes(outbox.calls[name].n_content, 0)[1] for name in names)
        return batch._replace(n_calls=len(ours), prompt_tokens=prompts, usd_at_most=sum(claim.usd for claim in ours)), over

    def _name(self, desk: Desk, keys: Sequence[str]) -> str:
        """The id of a batch: whose it is, its calls, and how often these were sent before."""
        attempt = 0
        while True:
            name = make_id("batch", desk.endpoint.provider, desk.spec.model, list(keys), attempt)
            if name not in self.journal.batched.names and not batch_files.state_file(self.folder, name).exists():
                return name
            attempt += 1

    def _send(self, desk: Desk, batch: Batch) -> Batch:
        try:
            file_id = batch_api.upload(self._client(desk), desk.endpoint, batch_files.input_file(self.folder, batch.id))
        except TeacherError:
            self._discard(batch)
            raise
        return self._start(desk, self._move(batch, UPLOADED, file_id=file_id))

    def _start(self, desk: Desk, batch: Batch, grace_s: float = 0.0) -> Batch:
        try:
            told = batch_api.create(self._client(desk), desk.endpoint, batch.id, batch.file_id, grace_s)
        except batch_api.NotStartedError:
            self._discard(batch)
            raise
        self.say(f"{batch.n_calls} calls are in batch {told.batch_id}, for at most {batch.usd_at_most:.4f} USD")
        return self._move(batch, CREATED, batch_id=told.batch_id, status=told.status)

    def _move(self, batch: Batch, state: str, **facts: Any) -> Batch:
        moved = batch._replace(state=state, at=self.read_wall_clock(), **facts)
        batch_files.write_batch(self.folder, moved)
        return moved

    def _client(self, desk: Desk) -> Any:
        name = desk.spec.called
        if name not in self._clients:
            self._clients[name] = self._stack.enter_context(batch_api.open_client(desk.endpoint))
        return self._clients[name]


def find_owner(batch: Batch, specs: Iterable[TeacherSpec]) -> TeacherSpec | None:
    """The teacher that a batch belongs to: the one of its name, else any that would have asked the same."""
    able = [spec for spec in specs if batch.belongs_to(spec)]
    return next((spec for spec in able if spec.called == batch.teacher), able[0] if able else None)


def find_desk(batch: Batch, desks: Mapping[str, Desk]) -> Desk | None:
    """The desk of the teacher that a batch belongs to."""
    owner = find_owner(batch, [desk.spec for desk in desks.values()])
    return None if owner is None else desks[owner.called]


def reserve(desk: Desk, outbox: Outbox, key: str) -> tuple[float, int]:
    """The most that a call in the outbox can cost, in USD and in tokens."""
    posted = outbox.calls[key]
    return desk.reserve_bytes(posted.n_content, posted.max_tokens)


def cut_batches(outbox: Outbox) -> Iterator[list[str]]:
    """The outbox's calls by key, in lots that one file can hold."""
    lot: list[str] = []
    size = 0
    for key in sorted(outbox.calls):
        n_bytes = outbox.calls[key].n_bytes
        if lot and (len(lot) >= MAX_CALLS or size + n_bytes > MAX_BYTES):
            yield lot
            lot, size = [], 0
        lot.append(key)
        size += n_bytes
    if lot:
        yield lot


def fit_tokens(desk: Desk, outbox: Outbox, keys: Sequence[str], room: int, may_be_one: bool) -> list[str]:
    """The first of the calls, up to so many prompt tokens; one at least when nothing else is on its way."""
    fitting: list[str] = []
    for key in keys:
        room -= desk.reserve_bytes(outbox.calls[key].n_content, 0)[1]
        if room < 0 and not (may_be_one and not fitting):
            break
        fitting.append(key)
    return fitting


# --- from outside a run ---


def poll_batches(folder: Path, specs: Sequence[TeacherSpec], read_secret: Callable[[str], str | None]) -> list[tuple[Batch, bool]]:
    """The batches that a recipe's teachers wait for, and whether a run would bring each further now.

    That is so when it has ended, or when a run was killed in the middle of it.

    Raises:
        TeacherError: a key's variable is empty, or an endpoint cannot be asked.
    """
    polled = []
    with ExitStack() as stack:
        clients: dict[str, Any] = {}
        for batch in batch_files.find_open(folder, specs):
            if batch.state != CREATED:
                polled.append((batch, True))
                continue
            spec = find_owner(batch, specs)
            endpoint = plan_endpoint(spec, read_secret)
            if spec.called not in clients:
                timeout_s = min(POLL_S, spec.limits.timeout_s)
                clients[spec.called] = stack.enter_context(batch_api.open_client(endpoint, timeout_s))
            told = batch_api.look(clients[spec.called], endpoint, batch.batch_id, tries=1)
            polled.append((batch._replace(status=told.status), told.has_ended))
    return polled


def describe_waiting(batches: Sequence[Batch]) -> str:
    """One line on what is waited for."""
    if not batches:
        return "waiting for another run, which is asking for the same"
    n_calls = sum(batch.n_calls for batch in batches)
    names = name_culprits([batch.batch_id or f"{batch.id[:8]} ({batch.state})" for batch in batches])
    return f"waiting for {n_calls:,} calls in {len(batches)} batch{'es' if len(batches) != 1 else ''} ({names})"
