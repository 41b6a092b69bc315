"""What was spent: never less than what the endpoint bills, whatever it sends, and never more than a budget allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import open_desks
from distill_assets.clients.engine import ask
from distill_assets.clients.journal import Cap, Spent, open_journal
from distill_assets.errors import BudgetError
from distill_assets.generate.sampling import SqlSample
from distill_assets.teachers import TeacherSpec
from tests.hostile_answers import MIX
from tests.hostile_server import HostileServer, serve_hostile

PRICE = {"input_usd_per_mtok": 10, "output_usd_per_mtok": 100, "as_of": "2026-11-01"}
N = 24


@pytest.fixture(scope="module")
def served() -> Iterator[HostileServer]:
    with serve_hostile(price_in=10.0, price_out=100.0, drip_s=0.05) as server:
        yield server


@pytest.fixture
def server(served: HostileServer) -> HostileServer:
    served.reset(with_settings=True)
    return served


def run(server: HostileServer, folder: Path, n: int = N, cap: Cap = Cap()) -> tuple[list[ChatReply], Spent]:  # noqa: B008 - frozen
    limits = {"concurrency": 8, "first_wait_s": 0.01, "timeout_s": 0.5}
    spec = TeacherSpec(model="m", base_url=server.base_url, price=PRICE, max_tokens=400, limits=limits)
    replies: dict[int, ChatReply] = {}
    with open_journal(folder) as journal:
        requests = [ChatRequest("s", f"topic {ix}", ix, 0, ("m",), ix) for ix in range(n)]
        desks = open_desks([spec], SqlSample, lambda _: "sk-of-the-money")
        try:
            ask(requests, desks, journal, cap, lambda q, reply: replies.update({q.subject: reply}), lambda _: None)
        except BudgetError:
            assert cap != Cap()
        return [replies[ix] for ix in sorted(replies)], journal.spent()


def test_no_fault_is_billed_and_not_counted(server: HostileServer, tmp_path: Path) -> None:
    for fault in MIX:
        server.reset()
        server.configure(fault=fault, fault_frac=0.7)
        _, spent = run(server, tmp_path / fault)
        stats = server.stats()
        assert spent.usd >= stats["usd"] - 1e-9, fault
        assert spent.tokens >= stats["tokens_in"] + stats["tokens_out"], fault


@pytest.mark.parametrize("fault", ["no-usage", "wrong-schema", "truncated-json", "mix"])
def test_a_cap_holds_whatever_is_not_told(server: HostileServer, tmp_path: Path, fault: str) -> None:
    server.configure(fault=fault)
    for _ in range(2):
        run(server, tmp_path, 200, Cap(usd=0.3))
        assert server.stats()["usd"] <= 0.3


def test_rows_and_journal_tell_the_same_cost_where_the_endpoint_tells_its_tokens(server: HostileServer, tmp_path: Path) -> None:
    server.configure(fault="length", fault_frac=0.5, invalid_until_reask=0.5)
    replies, spent = run(server, tmp_path)
    assert sum(reply.cost_usd for reply in replies) == pytest.approx(spent.usd) == pytest.approx(server.stats()["usd"])
    assert sum(reply.n_calls for reply in replies) == server.stats()["requests"] > N
