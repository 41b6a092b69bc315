"""From replies to scores and one verdict; a failure is unscored and never a zero."""

from __future__ import annotations

import math

import pytest

from distill_assets.clients.chat import ChatReply
from distill_assets.config import built_in_recipe
from distill_assets.judge.critics.rubric import load_rubric
from distill_assets.judge.critics.scoring import Scores, aggregate, list_findings, read_judgement, weigh_by_logprobs
from distill_assets.judging import CriticsSpec

RUBRIC = load_rubric(built_in_recipe("text_to_sql"), "judge_sample.v1")


def reply(accuracy: int, completeness: int, clarity: int, **more: object) -> ChatReply:
    answer = {"reasoning": "because", "accuracy": accuracy, "completeness": completeness, "clarity": clarity}
    return ChatReply("r", "ok", "c", answer, **more)


def critics(*names: str, **spec: object) -> CriticsSpec:
    judges = [{"name": name, "model": name, "base_url": "http://x/v1"} for name in names]
    return CriticsSpec.model_validate({"judges": judges, **spec})


def test_the_overall_score_is_weighted_by_the_rubric():
    scores = read_judgement(reply(5, 3, 1), RUBRIC, False)
    assert scores.overall == pytest.approx(0.4 * 1 + 0.3 * 0.5 + 0.3 * 0)
    assert scores.by_criterion == {"accuracy": 1, "completeness": 0.5, "clarity": 0}


@pytest.mark.parametrize("status", ["invalid", "truncated", "refused", "rejected", "other_model", "error"])
def test_a_reply_without_a_judgement_is_unscored(status: str):
    scores = read_judgement(ChatReply("r", status, "c", error="why"), RUBRIC, False)
    assert scores.overall is None
    assert scores.reason == f"the critic's reply is {status}: why"
    findings = list_findings({"a": scores}, {"a": "a@r"}, critics("a"), 0.75)
    assert {(f.status, f.score) for f in findings} == {("unscored", None)}


def tokens(*texts: str, options: dict[str, dict[str, float]]) -> list[dict]:
    return [
        {"token": text, "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in options.get(text, {text: 1.0}).items()]}
        for text in texts
    ]


def judged_tokens(accuracy: dict[str, float]) -> list[dict]:
    texts = ('{"reasoning": "', "ok", '", "accuracy":', " 4", ', "completeness": ', "3", ', "clarity"', ":", "2", "}")
    return tokens(*texts, options={" 4": accuracy})


def test_logprobs_give_the_expected_score():
    found = weigh_by_logprobs(judged_tokens({" 4": 0.5, " 5": 0.25, " 3": 0.25}), RUBRIC)
    assert found == pytest.approx({"accuracy": 4.0, "completeness": 3.0, "clarity": 2.0})
    found = weigh_by_logprobs(judged_tokens({" 4": 0.6, " 1": 0.2, " maybe": 0.2}), RUBRIC)
    assert found["accuracy"] == pytest.approx((4 * 0.6 + 1 * 0.2) / 0.8)


def test_a_score_that_the_reasoning_names_is_not_the_score():
    texts = (
        '{"reasoning": "',
        '"accuracy": ',
        "1",
        ' is what it wants", "accuracy": ',
        "5",
        ', "completeness": ',
        "5",
        ', "clarity": ',
        "5",
        "}",
    )
    assert weigh_by_logprobs(tokens(*texts, options={}), RUBRIC)["accuracy"] == 5


@pytest.mark.parametrize("accuracy", [{" perhaps": 0.9, " 4": 0.1}, {" 9": 1.0}])
def test_logprobs_that_tell_too_little_leave_the_written_score(accuracy: dict[str, float]):
    assert weigh_by_logprobs(judged_tokens(accuracy), RUBRIC) is None
    scores = read_judgement(reply(4, 3, 2, logprobs=judged_tokens(accuracy)), RUBRIC, True)
    assert scores.source == "written"
    assert scores.by_criterion["accuracy"] == 0.75


@pytest.mark.parametrize(
    "damage", [None, [], [{}], [{"token": 5}], [{"token": '"accuracy": '}, {"token": "4", "top_logprobs": None}]]
)
def test_damaged_logprobs_break_nothing(damage: list | None):
    assert weigh_by_logprobs(damage, RUBRIC) is None


def scores_of(**overall: float | None) -> dict[str, Scores]:
    return {name: Scores({}, value, "why") for name, value in overall.items()}


@pytest.mark.parametrize(
    ("how", "overall", "status", "score"),
    [
        ("mean", {"a": 0.9, "b": 0.6}, "passed", 0.75),
        ("mean", {"a": 0.9, "b": 0.5}, "failed", 0.7),
        ("median", {"a": 0.9, "b": 0.8, "c": 0.1}, "passed", 0.8),
        ("median", {"a": 0.9, "b": 0.5}, "failed", 0.7),
        ("min", {"a": 0.9, "b": 0.76}, "passed", 0.76),
        ("min", {"a": 0.9, "b": 0.74}, "failed", 0.74),
        ("majority", {"a": 0.9, "b": 0.8, "c": 0.1}, "passed", 2 / 3),
        ("majority", {"a": 0.9, "b": 0.1}, "failed", 0.5),
    ],
)
def test_how_several_critics_become_one_verdict(how: str, overall: dict[str, float], status: str, score: float):
    found = aggregate(scores_of(**overall), critics(*overall, aggregate=how), 0.75)
    assert (found.status, found.is_decisive) == (status, True)
    assert found.score == pytest.approx(score)
    assert (found.reason is None) == (status == "passed")


def test_weights_count():
    spec = CriticsSpec.model_validate({"judges": [
        {"name": "a", "model": "a", "base_url": "http://x/v1", "weight": 3}, {"name": "b", "model": "b", "base_url": "http://x/v1"},
    ]})  # fmt: skip
    assert aggregate(scores_of(a=1.0, b=0.0), spec, 0.75).score == 0.75
    assert aggregate(scores_of(a=1.0, b=0.0), spec.model_copy(update={"aggregate": "median"}), 0.75).score == 1.0


def test_one_silent_critic_leaves_the_others_unless_the_quorum_wants_more():
    scores = scores_of(a=1.0, b=None)
    assert aggregate(scores, critics("a", "b"), 0.75).score == 1.0
    silent = aggregate(scores, critics("a", "b", quorum=2), 0.75)
    assert (silent.status, silent.score) == ("unscored", None)
    assert "1 of 2 critics scored, 2 must. b: why" in silent.reason
