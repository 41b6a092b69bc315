"""From seeds to planned requests, and from replies to rows of raw_generations.

Belongs here: which requests a seed makes, which teacher each one goes to, and what a reply's row looks like. Does
not belong here: calls and their durability (clients) or quality (judge).

A request's id covers all that decides its answer (endpoint, every byte of the body, sample index) and nothing else,
so an unchanged seed is never asked about twice, and a changed one always is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.endpoints import name_teacher
from distill_assets.clients.engine import Settled
from distill_assets.identity import canonical_json, make_id, unit_interval
from distill_assets.prompts import Prompt, fill
from distill_assets.tables import PLANTED_ERRORS, RAW_GENERATIONS, build_frame
from distill_assets.teachers import GenerateSpec, StrategySpec, TeacherSpec

REQUEST_SEED_SPAN = 2**31 - 1
CHUNK_ROWS = 5_000
PARTS = "0123456789abcdef"  # first characters of ids


class SqlSample(BaseModel):
    """The form of a teacher's answer."""

    model_config = ConfigDict(extra="ignore")

    question: str = Field(min_length=1, max_length=2_000)
    reasoning: str = Field(max_length=8_000)
    sql: str = Field(min_length=1, max_length=8_000)


class Planned(NamedTuple):
    """What a request was planned for."""

    seed_id: str
    sample_ix: int
    database: str
    strategy: str
    prompt_id: str


def plan_requests(
    seeds: pl.DataFrame,
    cards: Mapping[str, str],
    prompts: Mapping[str, Prompt],
    teachers: Sequence[TeacherSpec],
    generate: GenerateSpec,
) -> Iterator[ChatRequest]:
    """Plan each seed's requests, one after the other; nothing is held. Samples of one text are counted over its strategies.

    Args:
        cards: database -> schema card as JSON. prompts: strategy -> prompt.
    """
    for seed in seeds.iter_rows(named=True):
        values = {"schema": cards[seed["database"]], "kind": seed["kind"], "text": seed["text"]}
        n_planned: Counter[tuple[str, str]] = Counter()
        for name, strategy in generate.list_strategies().items():
            if not serves(strategy, seed["kind"]):
                continue
            prompt = prompts[name]
            system, user = fill(prompt.system, values), fill(prompt.user, values)
            first = n_planned[system, user]
            n_planned[system, user] += strategy.samples_per_seed
            for ix in range(first, first + strategy.samples_per_seed):
                number = int(unit_interval("request", generate.seed, seed["seed_id"], ix) * REQUEST_SEED_SPAN)
                planned = Planned(seed["seed_id"], ix, seed["database"], name, prompt.prompt_id)
                yield ChatRequest(system, user, number, ix, route_request(teachers, planned), planned)


def serves(strategy: StrategySpec, kind: str) -> bool:
    """Whether a strategy takes seeds of a kind."""
    return not strategy.kinds or kind in strategy.kinds


def count_requests(seeds: pl.DataFrame, generate: GenerateSpec) -> int:
    """How many requests `plan_requests` makes of `seeds`."""
    kinds = dict(seeds["kind"].value_counts().iter_rows())
    strategies = generate.list_strategies().values()
    return sum(n * s.samples_per_seed for s in strategies for kind, n in kinds.items() if serves(s, kind))


def route_request(teachers: Sequence[TeacherSpec], planned: Planned) -> tuple[str, ...]:
    """The teacher that a request goes to, and those that it falls back to.

    Weighted rendezvous hashing (Schindelhauer and Schomaker 2005): each teacher's share is its weight's, and a
    teacher that comes or goes moves no request between the others.
    """
    able = [teacher for teacher in teachers if not teacher.strategies or planned.strategy in teacher.strategies]
    chosen = able[0] if len(able) == 1 else max(able, key=lambda teacher: _draw(teacher, planned))
    by_name, route = {teacher.called: teacher for teacher in teachers}, [chosen.called]
    while (after := by_name[route[-1]].fallback) is not None and after not in route:
        route.append(after)
    return tuple(route)


def _draw(teacher: TeacherSpec, planned: Planned) -> float:
    u = unit_interval("route", teacher.called, planned.seed_id, planned.strategy, planned.sample_ix)
    return teacher.weight / -math.log(max(u, 1e-18))


def _mark_none(rows: pl.DataFrame) -> pl.Series:
    return pl.repeat(False, rows.height, eager=True)


class Leaving(NamedTuple):
    """What is withdrawn: the ids of requests that are not asked again, and what marks rows that leave."""

    requests: Container[str] = frozenset()
    mark: Callable[[pl.DataFrame], pl.Series] = _mark_none


class Known(NamedTuple):
    """The requests that need no asking: their rows are here, or withdrawn."""

    final: frozenset[str]
    withdrawn: Container[str]

    def __bool__(self) -> bool:
        """Whether there is any, so that a first run names no request twice."""
        return bool(self.final) or bool(self.withdrawn)

    def __contains__(self, request_id: object) -> bool:
        """Whether a request is one of them."""
        return request_id in self.final or request_id in self.withdrawn


def leave_out_teachers(
    requests: Iterator[ChatRequest], teachers: Sequence[TeacherSpec], names: Container[str], licences: Container[str]
) -> Iterator[ChatRequest]:
    """The requests without teachers that are withdrawn, by name or by licence; one that nobody else serves is not asked.

    Others do not take over what was routed to them: that would spend money that nobody planned to spend.
    """
    gone = {t.called for t in teachers if name_teacher(t) in names or (t.terms.licence is not None and t.terms.licence in licences)}
    for request in requests:
        if request.route[0] not in gone:
            yield request._replace(route=tuple(name for name in request.route if name not in gone))


class GenerationRows:
    """Rows of raw_generations as replies come in: compressed columns, parted by the first character of their id.

    So the table is written part after part in the order of its key, and is never in memory as a whole.
    """

    def __init__(
        self, teachers: Mapping[str, tuple[str, str]], earlier: Earlier | None = None, leaving: Leaving | None = None
    ) -> None:
        """Args: teachers: name -> teacher with version, provider. earlier: rows to take over where planned again. leaving: what is withdrawn."""
        self._teachers, self._earlier, self._leaving = teachers, earlier, leaving or Leaving()
        self._left: set[str] = set()
        self._parts: dict[str, list[bytes]] = {part: [] for part in PARTS}
        self._rows: list[tuple[object, ...]] = []
        self._planted: list[dict[str, object]] = []
        self._known = earlier.list_final() if earlier else frozenset()
        self._taken: list[str] = []

    def add(self, request: ChatRequest, reply: ChatReply) -> None:
        """Take one reply in."""
        generation_id = name_generation(reply)
        self._rows.append((generation_id, *_describe_reply(request.subject, reply, self._teachers[reply.teacher])))
        if (reply.extra or {}).get("planted_error"):
            self._planted.append({"generation_id": generation_id, "planted_error": str(reply.extra["planted_error"])})
        if len(self._rows) >= CHUNK_ROWS:
            self._pack()

    def settled(self) -> Settled:
        """The requests whose rows are taken over as they are, and those that are withdrawn."""
        return Settled(Known(self._known, self._leaving.requests), self._take)

    def _take(self, request_id: str) -> None:
        if request_id not in self._leaving.requests:
            self._taken.append(request_id)

    @property
    def n_left(self) -> int:
        """Rows that were left out of the pieces because they are withdrawn."""
        return len(self._left)

    def _pack(self) -> None:
        schema = {name: field.dtype for name, field in RAW_GENERATIONS.fields.items()}
        chunk = pl.DataFrame(self._rows, schema=schema, orient="row")
        self._rows = []
        chunk = chunk.with_columns(part=pl.col("generation_id").str.head(1))
        for (part,), rows in chunk.partition_by("part", include_key=False, as_dict=True).items():
            self._parts[part].append(rows.write_ipc(None, compression="zstd").getvalue())

    def find_unchanged(self) -> str | None:
        """The earlier table's version, when each of its rows was planned again and nothing else was; else None."""
        is_same = self._earlier is not None and not self._rows and not any(self._parts.values())
        return self._earlier.version if is_same and len(self._taken) == self._earlier.count_rows() else None

    def pieces(self) -> Iterator[pl.DataFrame]:
        """raw_generations, one row a planned request, as frames in the order of its key."""
        self._pack()
        taken = pl.Series("request_id", self._taken, dtype=pl.String)
        for part in PARTS:
            frames = [pl.read_ipc(chunk) for chunk in self._parts.pop(part)]
            if self._earlier and self._taken:
                frames.append(self._earlier.read_rows(part, taken))
            if frames:
                yield self._leave_out(pl.concat(frames)).sort("generation_id")

    def _leave_out(self, rows: pl.DataFrame) -> pl.DataFrame:
        marks = self._leaving.mark(rows)
        self._left.update(rows.filter(marks)["generation_id"])
        return rows.filter(~marks)

    def build_planted_errors(self) -> pl.DataFrame:
        """What the embedded teacher recorded of its own planted errors, apart from the answers."""
        frame = build_frame(PLANTED_ERRORS, [row for row in self._planted if row["generation_id"] not in self._left])
        if not self._taken or self._earlier is None:
            return frame
        taken = self._earlier.read_planted(pl.Series("request_id", self._taken, dtype=pl.String))
        return pl.concat([frame, taken]).sort(list(PLANTED_ERRORS.key))


class Earlier(NamedTuple):
    """The last table that the same code and spec made, and its planted errors; read as far as they are needed."""

    version: str
    rows: pl.LazyFrame
    planted: pl.DataFrame

    def count_rows(self) -> int:
        """How many rows there are, those that ended in an error included."""
        return int(self.rows.select(pl.len()).collect().item())

    def list_final(self) -> frozenset[str]:
        """Ids of the requests that ended for good."""
        final = self.rows.filter(pl.col("generation_status") != "error").select("request_id").collect()
        return frozenset(final["request_id"])

    def read_rows(self, part: str, taken: pl.Series) -> pl.DataFrame:
        """The rows of some requests in one part."""
        column = pl.col("generation_id")  # bounds rather than a prefix: they skip the other parts' row groups
        here = self.rows.filter((column >= part) & (column < chr(ord(part) + 1))).collect()
        return here.filter(pl.col("request_id").is_in(taken.implode()))

    def read_planted(self, taken: pl.Series) -> pl.DataFrame:
        """The planted errors of some requests."""
        ids = self.rows.select("generation_id", "request_id").collect().filter(pl.col("request_id").is_in(taken.implode()))
        return self.planted.join(ids, on="generation_id", how="semi")


def name_generation(reply: ChatReply) -> str:
    """A generation's id: the request and what came back for it."""
    return make_id("generation", reply.request_id, reply.status, reply.answer)


def _describe_reply(planned: Planned, reply: ChatReply, teacher: tuple[str, str]) -> tuple[object, ...]:
    """A row's columns after its id, in the order of RAW_GENERATIONS."""
    answer = reply.answer or {}
    return (
        reply.request_id, planned.seed_id, planned.sample_ix, planned.strategy, planned.database, planned.prompt_id,
        answer.get("question"), answer.get("reasoning"), answer.get("sql"), reply.trace, reply.trace_field,
        reply.status, reply.error, *teacher, reply.served_model, reply.upstream, reply.system_fingerprint,
        canonical_json(reply.headers) if reply.headers else None, reply.response_id, reply.finish_reason, reply.prompt_tokens, reply.completion_tokens, reply.reasoning_tokens,
        reply.n_calls, reply.cost_usd,
    )  # fmt: skip
