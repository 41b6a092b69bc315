"""Settling: a failed criterion rejects, an unscored one never trains and is never a zero."""

from __future__ import annotations

import itertools

import pytest

from distill_assets.judge.settle import settle, settle_samples
from distill_assets.tables import (
    JUDGED_SAMPLES,
    QUALITY_SCORES,
    RAW_GENERATIONS,
    VERDICT_STATES,
    VERDICTS,
    build_frame,
    check_frame,
)


def verdict(status: str, criterion: str = "c", id_: str = "g1", reason: str | None = "why", **more: object) -> dict[str, object]:
    score = {"passed": 1.0, "failed": 0.0, "unscored": None}[status]
    row = {
        "generation_id": id_, "layer": "heuristic", "judge": "j@1", "criterion": criterion, "verdict_status": status,
        "score": score, "reason": reason, "is_decisive": True, "is_canary": False, "evidence": None, "judge_key": "k",
    }  # fmt: skip
    return row | more


@pytest.mark.parametrize("states", [s for n in (1, 2, 3) for s in itertools.product(VERDICT_STATES, repeat=n)])
def test_every_combination_of_verdicts_settles_by_the_rule(states: tuple[str, ...]):
    status, reason = settle([verdict(state, f"c{i}") for i, state in enumerate(states)])
    if "failed" in states:
        expected = "rejected", f"c{states.index('failed')}: why"
    elif "unscored" in states:
        expected = "unscored", f"c{states.index('unscored')}: why"
    else:
        expected = "accepted", None
    assert (status, reason) == expected


def test_no_verdict_is_not_accepted():
    assert settle([]) == ("unscored", "no verdict")


def test_a_verdict_without_words_still_names_its_criterion():
    assert settle([verdict("failed", reason=None)]) == ("rejected", "c: failed")


def test_each_generation_has_one_settled_row_joined_by_id():
    base = {name: "x" if field.dtype.__name__ == "String" else 0 for name, field in RAW_GENERATIONS.fields.items()}
    base |= {"generation_status": "ok"}
    generations = build_frame(RAW_GENERATIONS, [base | {"generation_id": f"g{i}", "completion": f"SELECT {i}"} for i in range(4)])
    rows = [
        verdict("passed", "a", "g0"), verdict("passed", "b", "g0"), verdict("passed", "a", "g1"), verdict("failed", "b", "g1"),
        verdict("unscored", "a", "g2"), verdict("failed", "a", "stranger"),
    ]  # fmt: skip
    frame = settle_samples(generations, build_frame(VERDICTS, rows), {})
    check_frame(JUDGED_SAMPLES, frame)
    assert [(r["sample_id"], r["sample_status"], r["reason"], r["sql"]) for r in frame.iter_rows(named=True)] == [
        ("g0", "accepted", None, "SELECT 0"),
        ("g1", "rejected", "b: why", "SELECT 1"),
        ("g2", "unscored", "a: why", "SELECT 2"),
        ("g3", "unscored", "no verdict", "SELECT 3"),
    ]


def test_what_is_not_decisive_settles_nothing():
    assert settle([verdict("passed"), verdict("failed", "d", is_decisive=False)]) == ("accepted", None)
    assert settle([verdict("failed", is_decisive=False)]) == ("unscored", "no verdict")


def test_the_most_trusted_layer_is_named_first():
    rows = [verdict("failed", "a", layer="critic"), verdict("failed", "z", layer="verifier"), verdict("unscored", "b")]
    assert settle(rows) == ("rejected", "z: why")


def settle_one(rows: list[dict[str, object]], labels: dict[str, str]) -> dict[str, object]:
    base = {name: "x" if field.dtype.__name__ == "String" else 0 for name, field in RAW_GENERATIONS.fields.items()}
    generations = build_frame(
        RAW_GENERATIONS, [base | {"generation_status": "ok", "generation_id": "g1", "completion": "SELECT 1"}]
    )
    return settle_samples(generations, build_frame(VERDICTS, rows), labels).row(0, named=True)


@pytest.mark.parametrize(
    ("state", "label", "status", "reason"),
    [
        ("passed", "reject", "rejected", "rejected by people; judges: accepted"),
        ("failed", "accept", "accepted", "accepted by people; judges: rejected (c: why)"),
        ("unscored", "accept", "accepted", "accepted by people; judges: unscored (c: why)"),
        ("passed", "accept", "accepted", None),
        ("failed", "reject", "rejected", "c: why"),
    ],
)
def test_people_overrule_judges_and_what_judges_said_stays(state: str, label: str, status: str, reason: str | None):
    row = settle_one([verdict(state)], {"g1": label})
    assert (row["sample_status"], row["label"], row["reason"]) == (status, label, reason)
    assert row["judged_status"] == settle([verdict(state)])[0]


def test_a_right_answer_from_a_wrong_derivation_is_a_shortcut():
    executed = verdict("passed", "executes", layer="verifier")
    wrong = verdict("failed", "derivation", layer="steps", is_decisive=False)
    assert settle_one([executed, wrong], {})["is_shortcut"]
    assert not settle_one([executed, verdict("passed", "derivation", layer="steps")], {})["is_shortcut"]
    assert not settle_one([verdict("failed", "executes", layer="verifier"), wrong], {})["is_shortcut"]


def test_a_canary_is_no_sample_and_the_critics_score_is_carried():
    rows = [
        verdict("passed", "rubric", layer="critic", judge="critics", score=0.8),
        verdict("failed", "rubric", "g1", layer="heuristic", is_canary=True),
    ]
    row = settle_one(rows, {})
    assert (row["sample_status"], row["critic_score"]) == ("accepted", 0.8)


def test_the_learned_filter_comes_last_and_without_a_score_leaves_unscored():
    base = {name: "x" if field.dtype.__name__ == "String" else 0 for name, field in RAW_GENERATIONS.fields.items()}
    ids = ["g1", "g2", "g3", "g4"]
    generations = build_frame(RAW_GENERATIONS, [base | {"generation_status": "ok", "generation_id": i} for i in ids])
    rows = [verdict("passed", id_=i) for i in ids[:3]] + [verdict("failed", id_="g4")]
    scores = [("g1", 0.9, True), ("g2", 0.2, False), ("g3", None, None), ("g4", 0.9, True)]
    quality = build_frame(QUALITY_SCORES, [
        {"generation_id": i, "quality_score": score, "is_good": good, "quality_label": None, "quality_split": None,
         "instruction_difficulty": 0.5, "scorer": "m@1"} for i, score, good in scores
    ])  # fmt: skip
    frame = settle_samples(generations, build_frame(VERDICTS, rows), {}, quality)
    assert list(frame.select("sample_status", "reason", "quality_score").iter_rows()) == [
        ("accepted", None, 0.9), ("rejected", "quality: score 0.20 is too low", 0.2),
        ("unscored", "quality: the filter has no score for it", None), ("rejected", "c: why", 0.9),
    ]  # fmt: skip
    assert set(frame["instruction_difficulty"]) == {0.5}
