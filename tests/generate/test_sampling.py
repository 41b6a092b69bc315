"""Planning: the same seeds make the same requests, and each goes to the teacher that its weight and strategy say."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.generate.sampling import Earlier, GenerationRows, count_requests, plan_requests
from distill_assets.prompts import Prompt
from distill_assets.storage import Workspace, scan_table, write_table_in_pieces
from distill_assets.tables import PLANTED_ERRORS, RAW_GENERATIONS, SEED_CORPUS, build_frame, check_frame, hash_frame
from distill_assets.teachers import GenerateSpec, StrategySpec, TeacherSpec

PROMPT = Prompt("p.v1#abc", "You write SQL.", "{{schema}} {{kind}} {{text}}")


def seeds(n: int, kind: str = "topic") -> pl.DataFrame:
    rows = [
        {"seed_id": f"{kind}{i}", "database": "d", "kind": kind, "text": f"text {i}", "licence": "x", "source_file": "f"}
        for i in range(n)
    ]  # fmt: skip
    return build_frame(SEED_CORPUS, rows)


def teacher(name: str, **fields: object) -> TeacherSpec:
    return TeacherSpec(name=name, model="m", base_url="http://x/v1", **fields)


def plan(frame: pl.DataFrame, teachers: list[TeacherSpec], generate: GenerateSpec) -> list[ChatRequest]:
    prompts = dict.fromkeys(generate.list_strategies(), PROMPT)
    planned = list(plan_requests(frame, {"d": "CARD"}, prompts, teachers, generate))
    assert len(planned) == count_requests(frame, generate)
    return planned


def routes(planned: list[ChatRequest]) -> dict[tuple, str]:
    return {(r.subject.seed_id, r.subject.strategy, r.sample_ix): r.route[0] for r in planned}


def test_a_plan_is_the_same_each_time_and_samples_differ():
    generate = GenerateSpec(samples_per_seed=5)
    first = plan(seeds(4), [teacher("a")], generate)
    assert first == plan(seeds(4), [teacher("a")], generate)
    assert len({(r.user, r.seed) for r in first}) == len(first) == 20
    assert {r.sample_ix for r in first} == set(range(5))
    assert first[0].user == "CARD topic text 0"


def test_weights_are_shares():
    teachers = [teacher("a", weight=3), teacher("b", weight=1)]
    counts = Counter(routes(plan(seeds(400), teachers, GenerateSpec(samples_per_seed=10))).values())
    assert counts["a"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_a_teacher_that_goes_moves_only_its_own_requests():
    generate = GenerateSpec(samples_per_seed=5)
    before = routes(plan(seeds(200), [teacher("a"), teacher("b", weight=2), teacher("c")], generate))
    after = routes(plan(seeds(200), [teacher("a"), teacher("b", weight=2)], generate))
    assert {before[key] for key in before if before[key] != after[key]} == {"c"}
    assert {after[key] for key in before if before[key] == "c"} == {"a", "b"}


def test_a_strategy_goes_to_who_serves_it_and_takes_its_kinds_of_seeds():
    generate = GenerateSpec(
        strategies={
            "hard": StrategySpec(prompt="p.v1", samples_per_seed=2, kinds=("question",)),
            "plain": StrategySpec(prompt="p.v1", samples_per_seed=3),
        }
    )
    frame = pl.concat([seeds(50), seeds(50, "question")])
    planned = plan(frame, [teacher("a", strategies=("hard",)), teacher("b", fallback="a")], generate)
    assert {r.route for r in planned if r.subject.strategy == "plain"} == {("b", "a")}
    hard = [r for r in planned if r.subject.strategy == "hard"]
    assert len(hard) == 100 and all(r.subject.seed_id.startswith("question") for r in hard)
    assert {r.route[0] for r in hard} == {"a", "b"}, "a teacher without strategies serves all"
    texts = [(r.system, r.user, r.seed, r.sample_ix) for r in planned]
    assert len(set(texts)) == len(texts), "two strategies with one prompt ask for samples of their own"


def test_rows_are_a_raw_generations_table_whatever_order_replies_come_in():
    planned = plan(seeds(6), [teacher("a")], GenerateSpec(samples_per_seed=2))
    statuses = ["ok", "invalid", "truncated", "refused", "rejected", "other_model", "error"]
    replies = [
        ChatReply(f"r{ix}", statuses[ix % 7], "a", {"question": "q", "reasoning": "", "sql": "s"} if ix % 7 == 0 else None,
                  extra={"planted_error": "typo"} if ix == 7 else None, cost_usd=0.001 * ix)
        for ix in range(len(planned))
    ]  # fmt: skip

    def build(order: list[int]) -> tuple[pl.DataFrame, pl.DataFrame]:
        rows = GenerationRows({"a": ("a:m", "x")})
        for ix in order:
            rows.add(planned[ix], replies[ix])
        return pl.concat(list(rows.pieces())), rows.build_planted_errors()

    frame, planted = build(list(range(12)))
    check_frame(RAW_GENERATIONS, frame)
    assert frame.height == 12 and planted["planted_error"].to_list() == ["typo"]
    assert planted["generation_id"][0] in frame["generation_id"].to_list()
    other, _ = build(list(reversed(range(12))))
    assert other.equals(frame)
    cheaper = frame.with_columns(cost_usd=pl.lit(0.0))
    assert hash_frame(RAW_GENERATIONS, cheaper) == hash_frame(RAW_GENERATIONS, frame), "a price changes no data"


def test_rows_of_equal_requests_are_taken_over_and_an_equal_plan_is_the_table_that_is_there(tmp_path):
    workspace, planned = Workspace(tmp_path), plan(seeds(30), [teacher("a")], GenerateSpec(samples_per_seed=2))
    answer = {"question": "q", "reasoning": "", "sql": "s"}

    def fill(rows: GenerationRows, requests: list[tuple[int, ChatRequest]]) -> None:
        known, take = rows.settled()
        for number, request in requests:
            if f"r{number}" in known:
                take(f"r{number}")
            else:
                status = "error" if number == 5 else "ok"
                rows.add(
                    request, ChatReply(f"r{number}", status, "a", answer, extra={"planted_error": "x"} if number % 7 == 0 else None)
                )

    def make(requests: list[tuple[int, ChatRequest]], earlier: Earlier | None) -> tuple[str, bool, list[str]]:
        rows = GenerationRows({"a": ("a:m", "x")}, earlier)
        fill(rows, requests)
        unchanged = rows.find_unchanged()
        version = unchanged or write_table_in_pieces(workspace, "r", RAW_GENERATIONS, rows.pieces())
        return version, unchanged is not None, rows.build_planted_errors()["generation_id"].to_list()

    numbered = list(enumerate(planned))
    for requests in (numbered, [pair for pair in numbered if pair[0] != 5]):
        version, is_unchanged, planted = make(requests, None)
        assert not is_unchanged
        stored = scan_table(workspace, "r", RAW_GENERATIONS, version)
        all_planted = build_frame(PLANTED_ERRORS, [{"generation_id": one, "planted_error": "x"} for one in planted])
        earlier = Earlier(version, stored, all_planted)
        assert make(requests, earlier) == (version, len(requests) < 60, planted), "a row that ended in an error is made anew"
        fewer = requests[10:]
        assert make(fewer, earlier)[:2] == (make(fewer, None)[0], False)
        assert make(fewer, earlier)[2] == make(fewer, None)[2]
