"""The fault matrix: each fault of an endpoint ends in its documented state, costs no other row and is bought once.

The server is a process of its own that counts what it was asked. Every case is followed by a rerun without the fault:
what was final is not asked again, the rest is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import open_desks
from distill_assets.clients.engine import Counts, ask
from distill_assets.clients.journal import Cap, open_journal
from distill_assets.errors import BudgetError, TeacherError
from distill_assets.generate.sampling import SqlSample
from distill_assets.teachers import TeacherSpec
from tests.hostile_server import HostileServer, serve_hostile

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-planted-in-the-fault-matrix"
N = 30
NO_CAP = Cap()
SERVED = "served-model-2026-01-01"
PRICE = {"input_usd_per_mtok": 10, "output_usd_per_mtok": 100, "as_of": "2026-11-01"}


class Case(NamedTuple):
    """A fault of the list, what becomes of the rows that it hits, and how often a hit row is asked."""

    fault: str
    status: str
    n_asked: int
    words: str = ""
    settings: dict[str, object] = {}  # noqa: RUF012
    fields: dict[str, object] = {}  # noqa: RUF012


# Passing: the next try is answered. `n_asked` counts the try that failed.
PASSING = [
    Case("429", "ok", 2), Case("429-noheader", "ok", 2), Case("429-sec", "ok", 2, settings={"fault_frac": 0.1}),
    Case("500", "ok", 2), Case("502", "ok", 2), Case("503-html", "ok", 2), Case("503-huge", "ok", 2), Case("reset-before", "ok", 2), Case("reset-mid", "ok", 2),
    Case("truncated-json", "ok", 2), Case("empty-body", "ok", 2), Case("not-json", "ok", 2),
    Case("hang", "ok", 2, fields={"timeout_s": 0.6}),
    Case("slowloris", "ok", 2, fields={"timeout_s": 0.6}),
]  # fmt: skip
# Final: kept as it is and never asked again.
FINAL = [
    Case("wrong-schema", "invalid", 1, "no chat completion"), Case("empty-choices", "invalid", 1, "no chat completion"),
    Case("null-content", "invalid", 1, "no content"), Case("content_filter", "refused", 1, "content filter"),
    Case("refusal", "refused", 1), Case("filter-400", "refused", 1, "HTTP 400"), Case("context", "rejected", 1, "HTTP 400"),
    Case("400", "rejected", 1, "Unsupported value"), Case("litellm-fallback", "other_model", 1, "answered by"),
    Case("huge", "invalid", 1, "over 4 MiB"), Case("no-usage", "ok", 1), Case("length", "truncated", 2, "max_tokens", settings={"fault_frac": 1.0}),
    Case("length", "ok", 2, settings={"length_needs": 1200}), Case("invalid-content", "invalid", 2, "validation error", settings={"fault_frac": 1.0}),
]  # fmt: skip
# Fatal: the run stops with these words; what was answered before is kept.
FATAL = [
    Case("401", "", 1, "the key was refused"), Case("insufficient_quota", "", 1, "the quota is used up"),
    Case("redirect", "", 1, "redirects"), Case("429-huge", "", 1, "asks to wait 999999 s"),
]  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Iterator[HostileServer]:
    with serve_hostile() as server:
        yield server


@pytest.fixture
def server(served: HostileServer) -> HostileServer:
    served.reset(with_settings=True)
    return served


def teacher(server: HostileServer, limits: dict[str, object] | None = None, **fields: object) -> TeacherSpec:
    limits = {"first_wait_s": 0.01, "concurrency": 8, **(limits or {})}
    return TeacherSpec(**{"model": "m", "base_url": server.base_url, "price": PRICE, "limits": limits, **fields})


def run(
    folder: Path, spec: TeacherSpec, n: int = N, cap: Cap = NO_CAP, key: str = KEY, samples: int = 1
) -> tuple[list[ChatReply], Counts]:
    requests = [
        ChatRequest("Write SQL.", f"topic {ix}", ix, sample, (spec.called,), (ix, sample))
        for ix in range(n)
        for sample in range(samples)
    ]
    replies: dict[object, ChatReply] = {}
    with open_journal(folder) as journal:
        desks = open_desks([spec], SqlSample, lambda _: key)
        try:
            counts = ask(requests, desks, journal, cap, lambda q, reply: replies.update({q.subject: reply}), lambda _: None)
        finally:
            assert journal.n_damaged == 0
    assert KEY not in b"".join(file.read_bytes() for file in folder.glob("*.log")).decode(errors="replace")
    return [replies[subject] for subject in sorted(replies)], counts


def rerun_asks_nothing(server: HostileServer, folder: Path, spec: TeacherSpec, replies: list[ChatReply]) -> None:
    server.configure(fault=None)
    asked = server.stats()["requests"]
    assert run(folder, spec)[0] == replies
    assert server.stats()["requests"] == asked


@pytest.mark.parametrize("case", PASSING, ids=lambda case: case.fault)
def test_a_passing_fault_costs_tries_and_no_row(case: Case, server: HostileServer, tmp_path: Path):
    server.configure(fault=case.fault, **{"fault_frac": 0.4, **case.settings})
    spec = teacher(server, dict(case.fields))
    replies, _ = run(tmp_path, spec)
    assert {reply.status for reply in replies} == {case.status} and len(replies) == N
    stats = server.stats()
    assert N < stats["requests"] <= N * case.n_asked, "each hit row was asked once more"
    assert stats["answers"] == N and stats["duplicates"] == 0
    rerun_asks_nothing(server, tmp_path, spec, replies)


@pytest.mark.parametrize("case", FINAL, ids=lambda case: f"{case.fault}-{case.status}")
def test_a_final_fault_is_a_row_of_its_own_and_is_never_bought_again(case: Case, server: HostileServer, tmp_path: Path):
    server.configure(fault=case.fault, **{"fault_frac": 0.3, **case.settings})
    spec = teacher(server, dict(case.fields))
    replies, _ = run(tmp_path, spec)
    hit = [reply for reply in replies if reply.n_calls > 1 or reply.status != "ok" or case.fault == "no-usage"]
    assert len(hit) > 0 and {reply.status for reply in hit} == {case.status}
    assert all(case.words in (reply.error or "") for reply in hit)
    assert sum(reply.status == "ok" for reply in replies) == N - (len(hit) if case.status != "ok" else 0)
    stats = server.stats()
    assert stats["requests"] == N + (case.n_asked - 1) * len(hit), "no try was wasted on it"
    assert stats["duplicates"] == 0
    rerun_asks_nothing(server, tmp_path, spec, replies)


@pytest.mark.parametrize("case", FATAL, ids=lambda case: case.fault)
def test_a_fatal_fault_stops_the_run_and_keeps_what_is_done(case: Case, server: HostileServer, tmp_path: Path):
    server.configure(fault=case.fault, fault_after=10, fault_tries=100, latency_s=0.02)
    spec = teacher(server)
    with pytest.raises(TeacherError, match=case.words) as told:
        run(tmp_path, spec)
    assert KEY not in str(told.value)
    stats = server.stats()
    assert stats["requests"] <= 10 + 16, "at most what was in flight"
    assert stats["redirected"] in (0, [], {}, None), "a redirect is never followed with the key"
    done = stats["answers"]
    assert done >= 10
    server.configure(fault=None)
    replies, counts = run(tmp_path, spec)
    assert {reply.status for reply in replies} == {"ok"} and counts.reused == done and counts.sent == N - done
    assert server.stats()["duplicates"] == 0


def test_a_key_that_was_changed_repeats_nothing(server: HostileServer, tmp_path: Path):
    server.configure(fault="401", fault_after=10, fault_tries=100)
    with pytest.raises(TeacherError):
        run(tmp_path, teacher(server))
    server.configure(fault=None)
    run(tmp_path, teacher(server), key="sk-another-key-of-the-matrix")
    assert server.stats()["answers"] == N and server.stats()["duplicates"] == 0


def test_a_mix_of_faults_loses_nothing_and_buys_nothing_twice(server: HostileServer, tmp_path: Path):
    server.configure(fault="mix", fault_frac=0.4, latency_s=0.002)
    spec = teacher(server, {"timeout_s": 3.0, "concurrency": 64, "max_tries": 8})
    replies, _ = run(tmp_path, spec, 600)
    assert len(replies) == 600
    stats = server.stats()
    assert stats["duplicates"] == 0
    statuses = {status: sum(reply.status == status for reply in replies) for status in {reply.status for reply in replies}}
    assert statuses.get("error", 0) == 0 and statuses["ok"] > 400, statuses
    server.configure(fault=None)
    asked = server.stats()["requests"]
    assert run(tmp_path, spec, 600)[0] == replies
    assert server.stats()["requests"] == asked


def test_five_rows_refused_for_ever_cost_five_rows(server: HostileServer, tmp_path: Path):
    server.configure(refuse_frac=0.01)
    replies, _ = run(tmp_path, teacher(server), 1000)
    bad = [reply for reply in replies if reply.status != "ok"]
    assert 2 <= len(bad) <= 25 and {reply.status for reply in bad} <= {"refused", "rejected"}
    assert all(reply.error for reply in bad)
    assert server.stats()["requests"] == 1000, "no wasted try, and no other row"
    run(tmp_path, teacher(server), 1000)
    assert server.stats()["requests"] == 1000


@pytest.mark.parametrize("fault_after", [0, 40], ids=["from the start", "in the middle"])
def test_an_endpoint_that_takes_nothing_stops_the_run_and_condemns_no_row(server: HostileServer, tmp_path: Path, fault_after: int):
    server.configure(fault="400", fault_after=fault_after)
    with pytest.raises(TeacherError, match="20 requests in a row were rejected, the last with: HTTP 400: Unsupported value"):
        run(tmp_path, teacher(server), 100)
    answered = server.stats()["answers"]
    server.configure(fault=None)
    replies, counts = run(tmp_path, teacher(server), 100)
    assert {reply.status for reply in replies} == {"ok"} and counts.sent == 100 - answered


def test_prompts_that_are_too_long_are_rows_of_their_own_however_many(server: HostileServer, tmp_path: Path):
    server.configure(fault="context")
    replies, _ = run(tmp_path, teacher(server), 40)
    assert {reply.status for reply in replies} == {"rejected"}
    assert run(tmp_path, teacher(server), 40) == (replies, Counts(40, 40, concurrency=8))
    server.configure(fault=None)
    replies, counts = run(tmp_path, teacher(server, retry_outcomes=["rejected"]), 40)
    assert {reply.status for reply in replies} == {"ok"} and counts.sent == 40


def test_rows_that_are_rejected_by_an_endpoint_that_takes_others_are_not_asked_again(server: HostileServer, tmp_path: Path):
    server.configure(fault="400")
    replies, _ = run(tmp_path, teacher(server), 15)
    assert {reply.status for reply in replies} == {"rejected"}
    assert run(tmp_path, teacher(server), 15)[1].sent == 15, "it has taken nothing yet, so it may be the endpoint"
    server.configure(fault=None)
    run(tmp_path, teacher(server), 10)
    server.configure(fault="400")
    replies, counts = run(tmp_path, teacher(server, retry_outcomes=["rejected"]), 15)
    assert (counts.reused, counts.sent) == (10, 10), "five rows, each asked twice"
    assert run(tmp_path, teacher(server, retry_outcomes=["rejected"]), 15) == (replies, Counts(15, 15, concurrency=8))


def test_an_endpoint_that_is_not_there_stops_the_run(tmp_path: Path):
    for base_url in ("http://127.0.0.1:9/v1", "http://nowhere.invalid/v1"):
        spec = TeacherSpec(model="m", base_url=base_url, limits={"first_wait_s": 0.01, "max_tries": 2})
        with pytest.raises(TeacherError, match="20 requests in a row failed, the last with: no connection"):
            run(tmp_path, spec, 100)


def test_k_samples_of_a_prompt_are_k_calls(server: HostileServer, tmp_path: Path):
    for _ in range(2):
        replies, _ = run(tmp_path, teacher(server, endpoint="anthropic"), 5, samples=4)
        assert len({reply.request_id for reply in replies}) == 20
        assert server.stats()["requests"] == 20


def test_a_reply_of_another_model_stops_or_is_kept_apart_and_counts_when_it_is_pinned(server: HostileServer, tmp_path: Path):
    server.configure(fault="wrong-model", fault_frac=0.3, fault_tries=100)
    with pytest.raises(TeacherError, match="'another-model-2025-06-01', not the pinned 'served-model-2026-01-01'"):
        run(tmp_path / "stop", teacher(server, pin={"served_model": SERVED}))
    server.reset()
    replies, _ = run(tmp_path / "warn", teacher(server, pin={"served_model": SERVED, "otherwise": "warn"}))
    apart = [reply for reply in replies if reply.status == "other_model"]
    assert 0 < len(apart) < N and all(reply.answer is None and reply.served_model == "another-model-2025-06-01" for reply in apart)
    asked = server.stats()["requests"]
    again, _ = run(tmp_path / "warn", teacher(server, pin={"served_model": "another-model-2025-06-01", "otherwise": "warn"}))
    assert [reply.status == "ok" for reply in again] == [reply.status == "other_model" for reply in replies]
    assert server.stats()["requests"] == asked, "a pin that is moved buys nothing again"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "think"])
def test_reasoning_is_kept_apart_from_the_answer(field: str, server: HostileServer, tmp_path: Path):
    server.configure(reasoning=field)
    replies, _ = run(tmp_path, teacher(server), 3)
    assert {(reply.status, reply.trace_field) for reply in replies} == {("ok", field)}
    assert all(reply.trace and reply.trace not in str(reply.answer) for reply in replies)


def test_an_answer_of_the_wrong_form_is_asked_for_again_with_the_error_and_each_call_is_counted(
    server: HostileServer, tmp_path: Path
):
    server.configure(invalid_until_reask=1.0, keep_bodies=True, price_in=10.0, price_out=100.0)
    replies, _ = run(tmp_path, teacher(server), 6)
    assert {(reply.status, reply.n_calls) for reply in replies} == {("ok", 2)}
    stats = server.stats(detail=True)
    assert stats["requests"] == 12
    longer = [entry["body"] for entry in stats["bodies"].values() if len(entry["body"]["messages"]) > 2]
    assert len(longer) == 6 and all("validation error" in str(body["messages"]).lower() for body in longer)
    assert sum(reply.prompt_tokens + reply.completion_tokens for reply in replies) == stats["tokens_in"] + stats["tokens_out"]
    assert sum(reply.cost_usd for reply in replies) == pytest.approx(stats["usd"])
    with open_journal(tmp_path) as journal:
        assert journal.spent().usd == pytest.approx(stats["usd"])


def test_what_ended_badly_is_asked_once_more_when_the_recipe_says_so(server: HostileServer, tmp_path: Path):
    server.configure(fault="refusal", fault_frac=0.3)
    replies, _ = run(tmp_path, teacher(server))
    refused = sum(reply.status == "refused" for reply in replies)
    server.configure(fault=None)
    replies, counts = run(tmp_path, teacher(server, retry_outcomes=["refused"]))
    assert counts.sent == refused and {reply.status for reply in replies} == {"ok"}
    assert run(tmp_path, teacher(server, retry_outcomes=["refused"]))[1].sent == 0


@pytest.mark.parametrize("fault", [None, "reset-mid"])
def test_a_budget_is_never_exceeded_and_counts_what_is_in_doubt(fault: str | None, server: HostileServer, tmp_path: Path):
    server.configure(fault=fault, fault_frac=0.3, price_in=10.0, price_out=100.0)
    cap = Cap(usd=0.5)
    for _ in range(2):
        with pytest.raises(BudgetError, match=r"the budget is used up: .* \(budget: 0.5 USD\)"):
            run(tmp_path, teacher(server, max_tokens=400), 300, cap)
        assert server.stats()["usd"] <= 0.5
    assert server.stats()["usd"] > 0.3 or fault, "it is used, too"
    asked = server.stats()["requests"]
    with open_journal(tmp_path) as journal:
        spent = journal.spent()
        assert spent.usd + spent.usd_in_doubt <= 0.5
    with pytest.raises(BudgetError):
        run(tmp_path, teacher(server, max_tokens=400), 300, Cap(tokens=spent.tokens + 10))
    assert server.stats()["requests"] == asked
    replies, _ = run(tmp_path, teacher(server, max_tokens=400), 300)
    assert len(replies) == 300 and server.stats()["duplicates"] == 0


TWIN = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.clients.test_faults import run, TeacherSpec
replies, counts = run(Path(sys.argv[1]), TeacherSpec(model="m", base_url=sys.argv[2], limits={{"concurrency": 8}}), 200)
assert len(replies) == 200 and all(reply.status == "ok" for reply in replies)
print(counts.sent)
"""


def test_two_runs_at_a_time_share_the_work_and_buy_each_call_once(server: HostileServer, tmp_path: Path):
    server.configure(latency_s=0.2)
    command = [sys.executable, "-c", TWIN.format(root=str(ROOT)), str(tmp_path), server.base_url]
    twins = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sent = [int(twin.communicate(timeout=60)[0]) for twin in twins]
    assert sum(sent) == 200 == server.stats()["requests"]
    assert min(sent) > 0, "neither was kept out"


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.clients.test_faults import run, TeacherSpec
from distill_assets.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, n_room = Path(sys.argv[1]), int(sys.argv[3])
size = sum(file.stat().st_size for file in folder.glob("segment-*.log"))
resource.setrlimit(resource.RLIMIT_FSIZE, (size + n_room, size + n_room))
try:
    run(folder, TeacherSpec(model="m", base_url=sys.argv[2], limits={{"concurrency": 4}}), 300)
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("n_room", [340, 60_000], ids=["room for intents, and for no reply", "room for some replies"])
def test_a_disk_that_fills_up_in_the_middle_stops_the_run_and_loses_nothing_acknowledged(
    n_room: int, server: HostileServer, tmp_path: Path
):
    spec = TeacherSpec(model="m", base_url=server.base_url, limits={"concurrency": 4})
    run(tmp_path, spec, 20)
    command = [sys.executable, "-c", FULL.format(root=str(ROOT)), str(tmp_path), server.base_url, str(n_room)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r"cannot be written: (File too large|No space left on device). Replies that were acknowledged are safe", told)
    answered = server.stats()["answers"]
    replies, counts = run(tmp_path, spec, 300)
    assert len(replies) == 300 and counts.reused >= answered - 4, "only what was in flight is bought again"
    assert server.stats()["duplicates"] <= 4


def test_a_wall_clock_that_jumps_changes_nothing(server: HostileServer, tmp_path: Path):
    times = iter([1e9, 1e9 + 3600, 1e9 - 7200, 5.0] * 100)
    requests = [ChatRequest("s", f"u{ix}", ix, 0, ("m",)) for ix in range(40)]
    replies: list[ChatReply] = []
    started = time.monotonic()
    with open_journal(tmp_path) as journal:
        desks = open_desks([teacher(server, {"requests_per_minute": 1200})], SqlSample, lambda _: KEY)
        ask(requests, desks, journal, Cap(), lambda _, reply: replies.append(reply), lambda _: None, lambda: next(times))
    assert {reply.status for reply in replies} == {"ok"}
    assert 1.2 < time.monotonic() - started < 8, "20 calls a second, whatever the wall clock says"


def test_the_ballast_keeps_what_is_in_flight_on_a_full_disk(server: HostileServer, tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip(
            "only root mounts a small disk, which the ballast needs; that a full one loses nothing is tested by a file-size limit too"
        )
    try:
        folder = disk / "journal"
        with open_journal(folder):
            assert (folder / "ballast").stat().st_size == 4 << 20
        with (disk / "filler").open("wb") as filler:
            filler.write(os.urandom((6 << 20) - (4 << 20) - 400_000))
        server.configure(latency_s=0.2)
        with pytest.raises(TeacherError, match=r"the disk is full. Replies in flight were still kept"):
            run(folder, teacher(server, {"concurrency": 64}), 2000)
        answered = server.stats()["answers"]
        (disk / "filler").unlink()
        server.configure(latency_s=0.0)
        _, counts = run(folder, teacher(server), 700)
        assert counts.reused >= min(700, answered) and server.stats()["duplicates"] == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
