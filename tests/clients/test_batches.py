"""Batches against a real HTTP server: their life over several runs, what can go wrong in it, and what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from distill_assets.clients import batch_api, batches
from distill_assets.clients.batch_files import COLLECTED, CREATED, ENDED, FOLDER, Batch, are_held, hold_batches, input_file
from distill_assets.clients.batch_lines import Collected, Collector
from distill_assets.clients.desk import open_desks
from distill_assets.clients.endpoints import plan_endpoint
from distill_assets.clients.journal import BATCHED, OURS, Cap, Claim, open_journal
from distill_assets.errors import BudgetError, StorageError, TeacherError
from distill_assets.generate.sampling import SqlSample
from tests.clients.batch_world import (
    KEY,
    billed_twice,
    carry_out_all,
    find_key,
    make_requests,
    make_teacher,
    run_once,
    run_until_done,
)
from tests.hostile_server import HostileServer, serve_hostile

N = 12
PRICES = {"price_in": 10.0, "price_out": 100.0}


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with serve_hostile(api_key=KEY, **PRICES) as running:
        yield running


@pytest.fixture
def hostile(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> HostileServer:
    server.reset(with_settings=True)
    monkeypatch.setattr(batch_api, "CREATE_GRACE_S", 0.3)
    monkeypatch.setattr(batch_api, "LIST_EVERY_S", 0.05)
    return server


def test_a_batch_lives_over_three_runs_and_its_table_is_that_of_calls_online(hostile: HostileServer, tmp_path: Path) -> None:
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    first = run_once(tmp_path, teacher, requests)
    assert (first.counts.waiting, first.counts.sent, first.count("waiting")) == (N, 0, N)
    [batch] = first.batches
    assert (batch.state, batch.n_calls, batch.batch_id) == (CREATED, N, "batch_000001")
    assert first.spent.usd == 0 and first.spent.usd_in_doubt == pytest.approx(batch.usd_at_most) and batch.usd_at_most > 0

    second = run_once(tmp_path, teacher, requests)
    assert second.counts.waiting == N and "in_progress" in " ".join(second.said)
    done = run_until_done(tmp_path, teacher, requests)
    assert done.count("ok") == N
    assert [batch.state for batch in done.batches] == [COLLECTED]
    assert not input_file(tmp_path / FOLDER, batch.id).exists()
    stats = hostile.stats(detail=True)
    assert (stats["billed"], stats["duplicates"]) == (N, 0)
    assert done.spent.usd == pytest.approx(stats["usd"]) == pytest.approx(done.counts.usd), "half the price"
    assert (done.spent.usd_in_doubt, done.spent.tokens_in_doubt) == (0, 0)
    assert sum(reply.cost_usd for reply in done.replies.values()) == pytest.approx(stats["usd"])
    assert run_once(tmp_path, teacher, requests).counts.usd == 0
    assert hostile.stats()["billed"] == N

    online = run_once(tmp_path / "online", make_teacher(hostile.base_url, batch=False), requests)
    assert online.table == done.table
    assert online.spent.usd == pytest.approx(2 * done.spent.usd)


def test_errors_of_rows_and_an_expiry_leave_what_came_and_the_rest_goes_into_the_next_batch(
    hostile: HostileServer, tmp_path: Path
) -> None:
    hostile.configure(batch_polls=1, batch_outcome="expired", batch_partial_frac=0.5)
    teacher, requests = make_teacher(hostile.base_url), make_requests(2 * N)
    run_once(tmp_path, teacher, requests)
    hostile.configure(batch_error_frac=0.3)
    second = run_once(tmp_path, teacher, requests)
    n_first = hostile.stats()["billed"]
    assert 0 < n_first <= N and second.counts.waiting == 2 * N - n_first
    hostile.configure(batch_outcome="cancelled", batch_partial_frac=0.6, batch_error_frac=0.0)
    run_once(tmp_path, teacher, requests)
    hostile.configure(batch_outcome="completed")
    done = run_until_done(tmp_path, teacher, requests)
    assert done.count("ok") == 2 * N and len(done.batches) >= 3
    assert {batch.status for batch in done.batches} >= {"expired", "cancelled", "completed"}
    stats = hostile.stats(detail=True)
    assert (stats["billed"], billed_twice(stats)) == (2 * N, 0)
    assert done.spent.usd == pytest.approx(stats["usd"]) and done.spent.usd_in_doubt == 0


def test_a_call_that_batches_keep_failing_ends_as_an_error_after_max_tries(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1, batch_error_frac=1.0)
    teacher = make_teacher(hostile.base_url, limits={"max_tries": 2})
    done = run_until_done(tmp_path, teacher, make_requests(3))
    assert done.count("error") == 3 and len(done.batches) == 2
    assert "HTTP 500" in done.replies[0].error and "in 2 batches" in done.replies[0].error
    again = run_once(tmp_path, teacher, make_requests(3))
    assert again.count("error") == 3 and len(again.batches) == 2, "nothing more is sent"
    hostile.configure(batch_error_frac=0.0)
    more = run_until_done(tmp_path, make_teacher(hostile.base_url, limits={"max_tries": 3}), make_requests(3))
    assert more.count("ok") == 3


def test_a_batch_that_fails_its_validation_is_told_and_nothing_is_lost(
    hostile: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    with monkeypatch.context() as spoiled:
        spoiled.setattr(batch_api, "name_path", lambda _: "/v1/else")
        hostile.configure(batch_polls=1)
        run_once(tmp_path, teacher, requests)
    hostile.configure(batch_outcome="failed")
    with pytest.raises(TeacherError, match="was not carried out: The batch could not be processed"):
        run_once(tmp_path, teacher, requests)
    hostile.configure(batch_outcome="completed")
    assert run_until_done(tmp_path, teacher, requests).count("ok") == N
    stats = hostile.stats(detail=True)
    assert (stats["billed"], billed_twice(stats)) == (N, 0)


def test_what_does_not_fit_is_asked_again_and_what_is_cut_is_asked_for_longer_in_a_second_batch(
    hostile: HostileServer, tmp_path: Path
) -> None:
    hostile.configure(batch_polls=1, invalid_until_reask=0.4, fault="length", fault_frac=0.3, length_needs=1_200)
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    done = run_until_done(tmp_path, teacher, requests)
    online = run_once(tmp_path / "online", make_teacher(hostile.base_url, batch=False), requests)
    assert online.table == done.table
    assert {reply.n_calls for reply in done.replies.values()} >= {1, 2}
    assert len(done.batches) >= 2
    assert done.batches[0].n_calls == N > done.batches[1].n_calls


@pytest.mark.parametrize("fault", ["wrong-schema", "empty-choices", "null-content", "content_filter", "filter-400", "refusal",
                                   "context", "no-usage", "wrong-model"])  # fmt: skip
def test_each_kind_of_bad_answer_ends_as_it_does_online(hostile: HostileServer, tmp_path: Path, fault: str) -> None:
    hostile.configure(batch_polls=1, fault=fault, fault_frac=0.5)
    teacher, requests = make_teacher(hostile.base_url, max_reasks=0), make_requests(N)
    done = run_until_done(tmp_path, teacher, requests)
    for _ in range(2):  # a rejection counts as a call only when it is read from the journal
        online = run_once(tmp_path / "online", make_teacher(hostile.base_url, max_reasks=0, batch=False), requests)
    assert online.table == done.table
    stats = hostile.stats(detail=True)
    assert all(tally["billed"] in (0, 2) for tally in stats["bodies"].values()), "once in a batch, once online"
    assert len(done.batches) == 1, "a negative answer is kept"


def test_an_endpoint_that_rejects_all_is_told_and_its_rejections_are_not_kept(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1, fault="context")
    teacher, requests = make_teacher(hostile.base_url), make_requests(25)
    run_once(tmp_path, teacher, requests)
    with pytest.raises(TeacherError, match="all 25 requests of batch batch_000001 were rejected"):
        run_once(tmp_path, teacher, requests)
    hostile.configure(fault=None)
    assert run_until_done(tmp_path, teacher, requests).count("ok") == 25


def test_another_model_than_the_pinned_one_stops_the_run_and_its_replies_are_kept(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1, fault="wrong-model", fault_frac=0.5)
    pin = {"served_model": "served-model-2026-01-01"}
    teacher, requests = make_teacher(hostile.base_url, pin=pin), make_requests(N)
    run_once(tmp_path, teacher, requests)
    with pytest.raises(TeacherError, match="'another-model-2025-06-01', not the pinned 'served-model-2026-01-01'"):
        run_once(tmp_path, teacher, requests)
    assert hostile.stats()["billed"] == N
    warned = run_until_done(tmp_path, make_teacher(hostile.base_url, pin={**pin, "otherwise": "warn"}), requests)
    assert warned.count("ok") + warned.count("other_model") == N and warned.count("other_model") > 0
    assert hostile.stats()["billed"] == N
    hostile.configure(fault=None)
    assert run_until_done(tmp_path, teacher, requests).count("ok") == N
    assert hostile.stats()["billed"] == N + warned.count("other_model"), "only those are bought again"


@pytest.mark.parametrize("lost", [1, 2])
def test_a_batch_whose_news_was_lost_is_found_and_not_bought_again(hostile: HostileServer, tmp_path: Path, lost: int) -> None:
    hostile.configure(batch_lost_replies=lost, batch_polls=2)
    done = run_until_done(tmp_path, make_teacher(hostile.base_url), make_requests(N))
    assert done.count("ok") == N and len(done.batches) == 1
    assert carry_out_all(hostile.base_url) == 1
    stats = hostile.stats(detail=True)
    assert (stats["billed"], billed_twice(stats)) == (N, 0)


def test_files_are_cut_by_calls_and_by_bytes(hostile: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile.configure(batch_polls=1)
    monkeypatch.setattr(batches, "MAX_CALLS", 5)
    first = run_once(tmp_path, make_teacher(hostile.base_url), make_requests(N))
    assert sorted(batch.n_calls for batch in first.batches) == [2, 5, 5]
    assert run_until_done(tmp_path, make_teacher(hostile.base_url), make_requests(N)).count("ok") == N
    monkeypatch.setattr(batches, "MAX_BYTES", 4_000)
    more = run_once(tmp_path, make_teacher(hostile.base_url), make_requests(2 * N))
    assert len(more.batches) > 3 + N / 5 and more.counts.waiting == N
    assert run_until_done(tmp_path, make_teacher(hostile.base_url), make_requests(2 * N)).count("ok") == 2 * N
    assert hostile.stats()["billed"] == 2 * N


def test_a_budget_sends_what_fits_and_goes_on_with_what_comes_free(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1)
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    whole = run_once(tmp_path / "whole", teacher, requests).spent.usd_in_doubt
    hostile.reset()
    cap = Cap(usd=0.5 * whole)
    first = run_once(tmp_path, teacher, requests, cap)
    assert first.batches[0].n_calls == N // 2 and first.counts.waiting == N
    done = run_until_done(tmp_path, teacher, requests, cap)
    assert done.count("ok") == N and done.spent.usd == pytest.approx(hostile.stats()["usd"])
    assert len(done.batches) >= 2

    hostile.reset()
    with pytest.raises(BudgetError, match=r"the budget is used up: 0\.0000 USD"):
        run_once(tmp_path / "none", teacher, requests, Cap(usd=0.01 * whole))
    assert hostile.stats()["paths"] == [], "nothing was sent"
    tight = Cap(usd=1.2 * hostile_cost(hostile, tmp_path, teacher, requests) / 2)
    with pytest.raises(BudgetError):
        run_until_done(tmp_path / "tight", teacher, requests, tight)
    assert hostile.stats()["usd"] <= tight.usd


def hostile_cost(hostile: HostileServer, folder: Path, teacher, requests) -> float:
    hostile.reset()
    run_until_done(folder / "cost", teacher, requests)
    usd = hostile.stats()["usd"]
    hostile.reset()
    return usd


def test_a_bound_on_enqueued_tokens_sends_part_after_part(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1)
    requests = make_requests(N)
    [whole] = run_once(tmp_path / "whole", make_teacher(hostile.base_url), requests).batches
    teacher = make_teacher(hostile.base_url, limits={"enqueued_tokens": whole.prompt_tokens // 3})
    first = run_once(tmp_path, teacher, requests)
    assert [batch.n_calls for batch in first.batches] == [N // 3] or first.batches[0].n_calls == N // 3 - 1
    done = run_until_done(tmp_path, teacher, requests)
    assert done.count("ok") == N and len(done.batches) >= 3
    one = make_teacher(hostile.base_url, limits={"enqueued_tokens": 1})
    assert run_once(tmp_path / "one", one, requests).batches[0].n_calls == 1


def test_a_full_queue_at_the_endpoint_waits_while_another_batch_is_open_and_is_told_otherwise(
    hostile: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "ENQUEUED_CODE", "server_error")  # the code that the hostile server's failures have
    monkeypatch.setattr(batches, "MAX_CALLS", 6)
    hostile.configure(batch_polls=2)
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    assert len(run_once(tmp_path, teacher, requests).batches) == 2
    hostile.configure(batch_outcome="failed")
    look = batch_api.look

    def end_the_second_only(client, endpoint, batch_id, tries=None):
        return look(client, endpoint, batch_id) if batch_id == "batch_000002" else batch_api.Told(batch_id, "in_progress")

    with monkeypatch.context() as first_is_slow:
        first_is_slow.setattr(batch_api, "look", end_the_second_only)
        run_once(tmp_path, teacher, requests)
        waits = run_once(tmp_path, teacher, requests)
    assert waits.counts.waiting == N and len(waits.batches) == 2, "nothing is sent again while the first is open"
    with pytest.raises(TeacherError, match=r"limits\.enqueued_tokens"):
        for _ in range(3):
            run_once(tmp_path, teacher, requests)
    hostile.configure(batch_outcome="completed")
    assert run_until_done(tmp_path, teacher, requests).count("ok") == N
    assert hostile.stats()["billed"] == N


def test_an_online_run_beside_it_does_not_buy_what_is_in_a_batch(hostile: HostileServer, tmp_path: Path) -> None:
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    run_once(tmp_path, teacher, requests)
    online = make_teacher(hostile.base_url, batch=False)
    beside = run_once(tmp_path, online, make_requests(N + 3))
    assert (beside.count("waiting"), beside.count("ok"), beside.counts.sent) == (N, 3, 3)
    done = run_until_done(tmp_path, online, make_requests(N + 3))
    assert done.count("ok") == N + 3
    stats = hostile.stats(detail=True)
    assert (stats["billed"], billed_twice(stats)) == (N + 3, 0)
    assert done.spent.usd == pytest.approx(stats["usd"]), "half the price for what was in the batch, the whole one for the rest"


def test_teachers_online_and_in_batches_share_a_plan_and_fall_back_to_each_other(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1, fault="filter-400", fault_frac=0.4)
    batched = make_teacher(hostile.base_url, name="batched", fallback="online", retry_outcomes=[])
    online = make_teacher(hostile.base_url, name="online", model="other-model", batch=False)
    requests = [*make_requests(8, "batched", "online"), *(r._replace(subject=r.subject + 8) for r in make_requests(4, "online"))]
    first = run_once(tmp_path, [batched, online], requests)
    assert (first.counts.waiting, first.counts.sent) == (8, 4)
    done = run_until_done(tmp_path, [batched, online], requests)
    assert done.counts.waiting == 0
    assert {reply.teacher for reply in done.replies.values()} >= {"batched", "online"}
    assert billed_twice(hostile.stats(detail=True)) == 0


def test_a_fallback_may_be_the_one_in_batches(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1)
    dead = make_teacher("http://127.0.0.1:9/v1", name="dead", batch=False, fallback="batched", limits={"max_tries": 1})
    batched = make_teacher(hostile.base_url, name="batched")
    done = run_until_done(tmp_path, [dead, batched], make_requests(5, "dead", "batched"))
    assert [reply.teacher for reply in done.replies.values()] == ["batched"] * 5 and done.count("ok") == 5


def test_a_batch_of_a_teacher_that_left_the_recipe_is_left_alone_until_it_comes_back(
    hostile: HostileServer, tmp_path: Path
) -> None:
    hostile.configure(batch_polls=1)
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    run_once(tmp_path, teacher, requests)
    other = make_teacher(hostile.base_url, model="other-model", batch=False)
    with pytest.raises(BudgetError, match="among them 12 calls in batches that no teacher of the recipe waits for"):
        run_once(tmp_path, other, make_requests(2, "other-model"), Cap(usd=0.01))
    beside = run_once(tmp_path, other, make_requests(2, "other-model"))
    assert beside.count("ok") == 2 and beside.batches[0].is_left
    assert "belongs to no teacher of the recipe" in " ".join(beside.said)
    assert beside.spent.usd_in_doubt > 0
    done = run_until_done(tmp_path, make_teacher(hostile.base_url, name="renamed"), make_requests(N, "renamed"))
    assert done.count("ok") == N and done.spent.usd_in_doubt == 0
    assert hostile.stats()["billed"] == N + 2


def test_a_batch_whose_state_was_deleted_counts_as_spent_and_its_calls_are_asked_again(
    hostile: HostileServer, tmp_path: Path
) -> None:
    hostile.configure(batch_polls=1)
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    [batch] = run_once(tmp_path, teacher, requests).batches
    (tmp_path / FOLDER / f"{batch.id}.json").write_text("{")
    with pytest.raises(StorageError, match="cannot be read as the state of a batch"):
        run_once(tmp_path, teacher, requests)
    (tmp_path / FOLDER / f"{batch.id}.json").unlink()
    done = run_until_done(tmp_path, teacher, requests)
    assert done.count("ok") == N
    assert done.spent.usd == pytest.approx(batch.usd_at_most + hostile.stats()["usd"])


@pytest.mark.parametrize("wrong", ["sk-another-key-that-is-wrong", None])
def test_a_refusal_is_told_without_the_key_and_nothing_stays_claimed(
    hostile: HostileServer, tmp_path: Path, wrong: str | None
) -> None:
    hostile.configure(api_key=wrong or "sk-right-6a7b8c9d0e1f")
    teacher, requests = make_teacher(hostile.base_url, limits={"max_tries": 2}), make_requests(N)
    with pytest.raises(TeacherError, match="the key was refused") as refused:
        run_once(tmp_path, teacher, requests)
    assert KEY not in str(refused.value)
    with open_journal(tmp_path) as journal:
        assert len(journal.batched) == 0 and journal.spent() == (0, 0, 0, 0)
    hostile.configure(api_key=KEY)
    assert run_until_done(tmp_path, teacher, requests).count("ok") == N


def test_an_endpoint_that_is_not_there_is_told_and_asked_again_later(hostile: HostileServer, tmp_path: Path) -> None:
    limits = {"max_tries": 2, "timeout_s": 2}
    with pytest.raises(TeacherError, match=r"upload of a batch: 127\.0\.0\.1:9.*after 2 tries"):
        run_once(tmp_path, make_teacher("http://127.0.0.1:9/v1", limits=limits), make_requests(2))


def test_the_key_is_in_no_file_also_when_the_endpoint_echoes_it(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1, served_model=f"model-{KEY}", batch_error_frac=0.3)
    done = run_until_done(tmp_path, make_teacher(hostile.base_url), make_requests(N))
    assert done.count("ok") == N and done.replies[0].served_model == "model-[redacted]"
    assert find_key(tmp_path) == []
    assert hostile.stats()["keys"] == [KEY]


def test_batches_are_worked_on_by_one_process_at_a_time(tmp_path: Path) -> None:
    with hold_batches(tmp_path):
        assert are_held(tmp_path)
    assert not are_held(tmp_path)


def test_a_call_enters_and_leaves_its_batch_whatever_segment_says_so(tmp_path: Path) -> None:
    """Read in any order, by any process: a call is in a batch until that very batch is done with it."""
    one, two = "a" * 32, "b" * 32
    claim = Claim("f" * 32, 0.5, 10)
    with open_journal(tmp_path) as first, open_journal(tmp_path) as second:
        assert second.claim_batch(one, [claim], Cap()) == ([claim], None)
        assert first.claim(*claim[:3], Cap()) == BATCHED
        first.leave_batch(claim.key, one, "HTTP 500")
        assert second.claim(*claim[:3], Cap()) == OURS
        second.fail(claim.key)
        assert first.claim_batch(two, [claim], Cap()) == ([claim], None)
        second.claim(*claim[:3], Cap())
        second.append(claim.key, 0.1, 5, {"s": 200}, b"{}", batch_id=two)
        for journal in (first, second):
            journal.look(claim.key, 0, 0, Cap())
            assert len(journal.batched) == 0 and journal.batched.count_failures(claim.key) == 1
            assert journal.spent() == (pytest.approx(0.1), 5, 0, 0)
            assert journal.find(claim.key) == [{"body": {}, "s": 200}]
    with open_journal(tmp_path) as later:
        assert len(later.batched) == 0 and later.spent() == (pytest.approx(0.1), 5, 0, 0)
        assert later.claim_batch(one[:31] + "c", [claim._replace(may_repeat=True)], Cap(usd=0.5)) == (
            [],
            claim._replace(may_repeat=True),
        )
        assert later.claim_batch(one[:31] + "c", [claim._replace(may_repeat=True)], Cap(usd=0.61))[1] is None
        assert later.spent().usd_in_doubt == pytest.approx(0.5)


def test_two_runs_at_once_make_one_batch(hostile: HostileServer, tmp_path: Path) -> None:
    teacher, requests = make_teacher(hostile.base_url), make_requests(N)
    with ThreadPoolExecutor() as pool:
        ran = list(pool.map(lambda _: run_until_done(tmp_path, teacher, requests, limit=200), range(3)))
    assert [one.count("ok") for one in ran] == [N, N, N]
    assert carry_out_all(hostile.base_url) == 1
    stats = hostile.stats(detail=True)
    assert (stats["billed"], billed_twice(stats), len(ran[0].batches)) == (N, 0, 1)


def test_azure_names_the_path_without_its_version(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1)
    azure = make_teacher(hostile.base_url.removesuffix("/v1"), endpoint="azure", api_version="2024-10-21")
    done = run_until_done(tmp_path, azure, make_requests(3))
    assert done.count("ok") == 3
    stats = hostile.stats()
    assert stats["queries"] == ["api-version=2024-10-21"] and "api-key" in stats["header_names"]
    assert "/openai/batches" in stats["paths"]


def test_no_redirect_is_followed_with_the_key(tmp_path: Path) -> None:
    with serve_redirects() as (base_url, seen):
        with pytest.raises(TeacherError, match="redirects to http://127"):
            run_once(tmp_path, make_teacher(base_url), make_requests(2))
        assert seen == ["/v1/files"]


@contextmanager
def serve_redirects() -> Iterator[tuple[str, list[str]]]:
    """A server that sends everybody on to itself."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(307)
            self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/v1", seen
        running.shutdown()


def test_a_reply_that_drips_ends_at_its_deadline(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            with suppress(OSError):
                for _ in range(200):
                    self.wfile.write(b" ")
                    time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        endpoint = plan_endpoint(make_teacher(f"http://127.0.0.1:{running.server_port}/v1"), lambda _: KEY)
        started = time.monotonic()
        with batch_api.open_client(endpoint, timeout_s=0.4) as client, pytest.raises(TeacherError, match="deadline"):
            batch_api._ask(endpoint, "a batch", lambda: client.batches.create(**CREATE), tries=1)
        assert time.monotonic() - started < 3
        running.shutdown()


CREATE = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_are_split_at_line_feeds_only_and_one_that_is_too_long_is_left_out(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(batch_api, "MAX_LINE_BYTES", 20)
    lines = [b"one", "two\u2028\x85 \r".encode(), b"", b"x" * 50, b"five", b"y" * 50, b"seven"]
    whole = b"\n".join(lines)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    wanted = [line for line in lines if len(line) <= 20 or size > 50]
    assert list(batch_api.split_lines(pieces)) == wanted


def collect(folder: Path, batch: Batch, lines: list[object], keys: list[str]) -> tuple[Collected, dict[str, dict], int]:
    """Collect lines of a batch that has `keys`, twice over, as after a kill just before its end."""
    desks = open_desks([make_teacher("http://127.0.0.1:9/v1")], SqlSample, lambda _: KEY)
    desk = desks["asked-model"]
    with open_journal(folder) as journal:
        claims = [Claim(key, 0.5, 100) for key in keys if not journal.find(key)]
        journal.claim_batch(batch.id, claims, Cap())
        for _ in range(2):
            collector = Collector(batch, desk, desk.price, journal, dict.fromkeys(keys, 400))
            for line in lines:
                collector.take(line if isinstance(line, bytes) else json.dumps(line).encode(), time.time)
            got = collector.finish()
        assert len(journal.batched) == 0
        kept = {key: journal.find(key)[0] for key in keys if journal.find(key)}
        assert all(len(journal.find(key)) <= 1 for key in keys), "collected twice, kept once"
        return got, kept, sum(journal.batched.count_failures(key) for key in keys)


BATCH = Batch("b" * 32, "asked-model", "127.0.0.1:9", "asked-model", ENDED, batch_id="batch_1", status="completed")


def row(key: str, status: int, body: object, error: object = None) -> dict[str, object]:
    response = {"status_code": status, "request_id": "req_1", "body": body} if status else None
    return {"id": "x", "custom_id": key, "response": response, "error": error}


def test_lines_that_belong_to_no_call_or_say_nothing_do_no_harm(tmp_path: Path) -> None:
    whole = {"id": "c", "model": "m", "choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}]}
    keys = [f"{number:032x}" for number in range(7)]
    lines = [
        b"", b"not json", b"[]", b"null", b'"x"', b"{}", row("f" * 32, 200, whole),
        row(keys[0], 200, whole), row(keys[0], 200, whole), row(keys[0], 500, None),
        row(keys[1], 0, None, None), row(keys[2], 0, None, {"code": "batch_expired", "message": "x"}),
        row(keys[3], 0, None, "words only"), row(keys[4], 200, None), row(keys[5], 429, {"error": {"code": "rate_limit_exceeded"}}),
    ]  # fmt: skip
    got, kept, n_failures = collect(tmp_path, BATCH, lines, keys)
    assert set(kept) == {keys[0], keys[4]} and got.n_answered == 2 and got.problem is None
    assert n_failures == 5, "and the one that no line spoke of"
    with open_journal(tmp_path) as journal:
        assert journal.batched.tell_failure(keys[1]) == "the batch gave no reply and no reason"
        assert journal.batched.tell_failure(keys[2]) == "the batch expired before its turn"
        assert journal.batched.tell_failure(keys[6]) == "the batch's files do not hold it"
        assert journal.spent().usd > 0.5, "of that one nobody knows whether it was billed"


def test_a_reply_with_half_a_character_is_read_and_not_bought_again(tmp_path: Path) -> None:
    whole = {"id": "c", "model": "m", "choices": [{"message": {"content": "HALF"}, "finish_reason": "stop"}]}
    line = json.dumps(row("a" * 32, 200, whole)).encode().replace(b"HALF", b"half \\ud83d of one")
    got, kept, n_failures = collect(tmp_path, BATCH, [line], ["a" * 32])
    assert (got.n_answered, n_failures) == (1, 0)
    assert kept["a" * 32]["body"]["choices"][0]["message"]["content"].startswith("half ")


def test_a_row_that_is_refused_for_good_ends_the_run_and_counts_as_no_try(tmp_path: Path) -> None:
    keys = [f"{number:032x}" for number in range(2)]
    lines = [
        row(keys[0], 401, {"error": {"message": f"wrong key {KEY}"}}),
        row(keys[1], 429, {"error": {"code": "insufficient_quota"}}),
    ]
    got, kept, n_failures = collect(tmp_path, BATCH, lines, keys)
    assert (kept, n_failures, got.n_answered) == ({}, 0, 0)
    desks = open_desks([make_teacher("http://127.0.0.1:9/v1")], SqlSample, lambda _: KEY)
    with open_journal(tmp_path / "fresh") as journal:
        journal.claim_batch(BATCH.id, [Claim(keys[0], 0.5, 100)], Cap())
        collector = Collector(BATCH, desks["asked-model"], None, journal, {})
        collector.take(json.dumps(lines[0]).encode(), time.time)
        assert collector.finish().problem == "the key was refused (HTTP 401: wrong key [redacted])"


def test_a_reply_over_the_size_of_any_is_not_kept_but_its_cost_is(tmp_path: Path) -> None:
    key = "a" * 32
    got, kept, _ = collect(tmp_path, BATCH, [row(key, 200, {"padding": "x" * (4 << 20)})], [key])
    assert kept[key]["outcome"] == "invalid" and kept[key]["usd"] == 0.5 and got.n_answered == 1


def test_what_a_batch_says_is_for_its_owner_only(hostile: HostileServer, tmp_path: Path) -> None:
    run_once(tmp_path / "journal", make_teacher(hostile.base_url), make_requests(2))
    assert (tmp_path / "journal" / FOLDER).stat().st_mode & 0o077 == 0


def test_halves_of_files_that_a_kill_left_are_swept(hostile: HostileServer, tmp_path: Path) -> None:
    hostile.configure(batch_polls=1)
    run_once(tmp_path, make_teacher(hostile.base_url), make_requests(2))
    (tmp_path / FOLDER / ".x.jsonl.123.tmp").write_text("half")
    run_until_done(tmp_path, make_teacher(hostile.base_url), make_requests(2))
    assert {file.suffix for file in (tmp_path / FOLDER).iterdir()} == {".json", ".lock"}
