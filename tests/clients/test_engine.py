"""The engine's run: it ends when it must, at once, and delivers each request once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import open_desks
from distill_assets.clients.engine import Counts, ask
from distill_assets.clients.journal import Cap, open_journal
from distill_assets.errors import TeacherError
from distill_assets.generate.sampling import GenerationRows, Planned, SqlSample
from distill_assets.storage import Workspace, read_table, write_table
from distill_assets.tables import RAW_GENERATIONS
from distill_assets.teachers import TeacherSpec
from tests.endpoint import serve_endpoint
from tests.hostile_server import HostileServer, serve_hostile


@pytest.fixture(scope="module")
def served() -> Iterator[HostileServer]:
    with serve_hostile() as server:
        yield server


@pytest.fixture
def server(served: HostileServer) -> HostileServer:
    served.reset(with_settings=True)
    return served


def teacher(server: HostileServer, **fields: object) -> TeacherSpec:
    return TeacherSpec(**{"model": "m", "base_url": server.base_url, **fields})


def run(folder: Path, n: int, *teachers: TeacherSpec, route: tuple[str, ...] | None = None) -> tuple[list[ChatReply], Counts]:
    route = route or (teachers[0].called,)
    requests = (ChatRequest("Write SQL.", f"topic {ix}", ix, 0, route, ix) for ix in range(n))
    replies: dict[int, ChatReply] = {}

    def take(request: ChatRequest, reply: ChatReply) -> None:
        assert request.subject not in replies, "delivered twice"
        replies[request.subject] = reply

    with open_journal(folder) as journal:
        counts = ask(requests, open_desks(teachers, SqlSample, lambda _: "sk-a-planted-key"), journal, Cap(), take, lambda _: None)
    return [replies[ix] for ix in sorted(replies)], counts


def test_who_waits_for_a_slow_limit_gives_up_at_once_when_the_run_ends(server: HostileServer, tmp_path: Path):
    server.configure(fault="401", fault_after=1)
    started = time.monotonic()
    with pytest.raises(TeacherError, match="the key was refused"):
        run(tmp_path, 300, teacher(server, limits={"requests_per_minute": 60}))
    assert time.monotonic() - started < 60, "at one call a second the others would have waited for minutes"
    assert server.stats()["requests"] == 2
    server.reset(with_settings=True)
    replies, counts = run(tmp_path, 20, teacher(server))
    assert (len(replies), counts.reused, counts.sent) == (20, 1, 19)


def test_a_teacher_that_is_stopped_hands_all_that_waited_to_the_next_one(server: HostileServer, tmp_path: Path):
    with serve_hostile(fault="401", fault_after=3) as first:
        slow = teacher(first, name="slow", fallback="next", limits={"requests_per_minute": 120})
        started = time.monotonic()
        replies, _ = run(tmp_path, 100, slow, teacher(server, name="next"), route=("slow", "next"))
        assert time.monotonic() - started < 60
        assert first.stats()["requests"] <= 3 + 64
    assert {reply.status for reply in replies} == {"ok"}
    assert sum(reply.teacher == "slow" for reply in replies) == 3
    assert sum(reply.teacher == "next" for reply in replies) == 97


@pytest.mark.parametrize("fault", ["429", "429-noheader"])
def test_refusals_before_the_first_answer_do_not_slow_the_whole_run(server: HostileServer, tmp_path: Path, fault: str):
    server.configure(fault=fault, fault_frac=0.1, latency_s=0.2)
    started = time.monotonic()
    replies, _ = run(tmp_path, 100, teacher(server, limits={"first_wait_s": 0.01}))
    assert {reply.status for reply in replies} == {"ok"}
    assert time.monotonic() - started < 60, "a pace learnt from no answer at all would take minutes"


def test_an_empty_plan_is_no_run(server: HostileServer, tmp_path: Path):
    assert run(tmp_path, 0, teacher(server)) == ([], Counts(concurrency=16))
    assert server.stats()["requests"] == 0


def test_a_callers_own_error_ends_the_run_as_it_is(server: HostileServer, tmp_path: Path):
    def take(request: ChatRequest, reply: ChatReply) -> None:
        raise ZeroDivisionError("of the caller")

    requests = [ChatRequest("s", f"u{ix}", ix, 0, ("m",)) for ix in range(200)]
    with open_journal(tmp_path) as journal, pytest.raises(ZeroDivisionError, match="of the caller"):
        ask(requests, open_desks([teacher(server)], SqlSample, lambda _: "key"), journal, Cap(), take, lambda _: None)


def test_a_rerun_gives_the_same_replies_and_sends_nothing(server: HostileServer, tmp_path: Path):
    replies, _ = run(tmp_path, 30, teacher(server))
    again, counts = run(tmp_path, 30, teacher(server))
    assert again == replies and (counts.sent, counts.reused) == (0, 30)


@pytest.mark.parametrize("fault_after", [0, 5], ids=["before any answer", "later"])
def test_a_refused_request_reads_the_same_when_it_is_refused_and_ever_after(
    server: HostileServer, tmp_path: Path, fault_after: int
):
    server.configure(fault="filter-400", fault_frac=0.2, fault_after=fault_after)
    replies, _ = run(tmp_path, 30, teacher(server, limits={"concurrency": 2}))
    assert {reply.status for reply in replies} == {"ok", "refused"}
    again, counts = run(tmp_path, 30, teacher(server))
    assert again == replies and counts.sent == 0


def test_a_row_keeps_its_requests_id_when_a_later_call_of_it_fails(server: HostileServer, tmp_path: Path):
    server.configure(invalid_until_reask=1.0, fault="500", fault_after=4, fault_tries=None)
    limits = {"concurrency": 1, "max_tries": 1}
    failed, _ = run(tmp_path, 4, teacher(server, limits=limits))
    assert "error" in {reply.status for reply in failed}
    server.reset(with_settings=True)
    again, _ = run(tmp_path, 4, teacher(server))
    assert [reply.request_id for reply in again] == [reply.request_id for reply in failed]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (r'{"question": "a\ud800b", "reasoning": "", "sql": "x"}', "invalid"),  # half a character: no text that can be stored
        (r'{"question": "a\u0000\u001b[2J\u202e", "reasoning": "", "sql": "x"}', "ok"),
        ('{"question": "q", "reasoning": "", "sql": "x", "extra": 1e999, "n": 123456789012345678901234567890}', "ok"),
        ("[" * 5000, "invalid"),
        ('{"question": 7, "reasoning": "", "sql": "x"}', "invalid"),
        ('{"question": "q", "reasoning": "", "sql": ""}', "invalid"),
        ('```json\n{"question": "q", "reasoning": "", "sql": "x"}\n```', "invalid"),
    ],
)
def test_hostile_text_in_an_answer_is_a_row_and_breaks_nothing(content: str, status: str, tmp_path: Path):
    planned = Planned("seed", 0, "d", "write_sample", "p")
    rows = GenerationRows({"m": ("m", "host")})
    with serve_endpoint() as endpoint, open_journal(tmp_path / "journal") as journal:
        endpoint.content = content
        desks = open_desks([TeacherSpec(model="m", base_url=endpoint.base_url)], SqlSample, lambda _: "sk-key")
        ask([ChatRequest("s", "u", 1, 0, ("m",), planned)], desks, journal, Cap(), rows.add, lambda _: None)
    frame = pl.concat(list(rows.pieces()))
    assert frame["generation_status"].to_list() == [status]
    version = write_table(Workspace(tmp_path), "r", RAW_GENERATIONS, frame)
    assert read_table(Workspace(tmp_path), "r", RAW_GENERATIONS, version).equals(frame)


def test_a_fence_around_the_answer_is_read_where_the_mode_allows_it(tmp_path: Path):
    with serve_endpoint() as endpoint, open_journal(tmp_path) as journal:
        endpoint.content = 'Here:\n```json\n{"question": "q", "reasoning": "r", "sql": "x"}\n```'
        desks = open_desks([TeacherSpec(model="m", base_url=endpoint.base_url, mode="md_json")], SqlSample, lambda _: "sk-key")
        replies: list[ChatReply] = []
        ask([ChatRequest("s", "u", 1, 0, ("m",))], desks, journal, Cap(), lambda _, reply: replies.append(reply), lambda _: None)
        assert [(reply.status, reply.answer, reply.n_calls) for reply in replies] == [
            ("ok", {"question": "q", "reasoning": "r", "sql": "x"}, 1)
        ]
        assert len(endpoint.requests) == 1, "instructor reads it; nothing is asked again"
