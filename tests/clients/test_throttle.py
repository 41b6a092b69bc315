"""How hard an endpoint is asked: against a real server that keeps a rate, tells pauses, or refuses at random."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import open_desks
from distill_assets.clients.engine import ask
from distill_assets.clients.journal import Cap, open_journal
from distill_assets.generate.sampling import SqlSample
from distill_assets.teachers import LimitSpec, TeacherSpec
from tests.hostile_server import HostileServer, serve_hostile


@pytest.fixture(scope="module")
def served() -> Iterator[HostileServer]:
    with serve_hostile() as server:
        yield server


@pytest.fixture
def server(served: HostileServer) -> HostileServer:
    served.reset(with_settings=True)
    return served


def run(server: HostileServer, folder: Path, n: int, concurrency: int = 64) -> float:
    """Ask for `n` rows, all of which must be answered; return the seconds that it took."""
    limits = LimitSpec(concurrency=concurrency, first_wait_s=0.01)
    spec = TeacherSpec(model="m", base_url=server.base_url, limits=limits)
    replies: list[ChatReply] = []
    with open_journal(folder) as journal:
        desks = open_desks([spec], SqlSample, lambda _: "sk-of-the-throttle")
        requests = [ChatRequest("s", f"u{ix}", ix, 0, ("m",)) for ix in range(n)]
        started = time.monotonic()
        ask(requests, desks, journal, Cap(), lambda _, reply: replies.append(reply), lambda _: None)
    assert [reply.status for reply in replies] == ["ok"] * n
    return time.monotonic() - started


@pytest.mark.parametrize("tells_wait", [False, True])
def test_a_rate_that_nobody_tells_is_learnt(server: HostileServer, tmp_path: Path, tells_wait: bool) -> None:
    server.configure(rpm=12_000, rate_headers="none", retry_after=tells_wait, latency_s=0.02)
    took = run(server, tmp_path, 1_200)
    refused = server.stats()["statuses"]["429"]
    assert refused <= 0.15 * 1_200, "its pace is kept, not run into"
    assert took < 3 * 1_200 / 200, "and used"


@pytest.mark.parametrize("fault", ["429", "429-noheader"])
def test_refusals_that_are_not_about_the_rate_teach_no_pace(server: HostileServer, tmp_path: Path, fault: str) -> None:
    server.configure(fault=fault, fault_frac=0.4, fault_tries=None, latency_s=0.02)
    assert run(server, tmp_path, 200) < 60, "a pace that falls with each refusal would take minutes"


def test_a_told_pause_holds_for_all(server: HostileServer, tmp_path: Path) -> None:
    server.configure(fault="429-sec", latency_s=0.02)
    run(server, tmp_path, 6, concurrency=4)
    tries = server.stats(detail=True)["bodies"].values()
    first = min(body["first_s"] for body in tries)
    soon = [body for body in tries if body["first_s"] < first + 0.9]
    assert len(soon) <= 4, "only what was in flight already"
    assert all(body["last_s"] >= first + 0.9 for body in tries), "nobody was asked again before its end"
