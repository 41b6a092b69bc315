"""Agreement, position bias, canaries and drift, against figures worked out by hand."""

from __future__ import annotations

import pytest

from distill_assets.clients.chat import ChatReply
from distill_assets.judge.calibration import calibrate, measure_drift
from distill_assets.judge.critics.asking import Subject
from distill_assets.judge.findings import Finding, build_row
from distill_assets.tables import JUDGE_CALIBRATION, VERDICTS, build_frame, check_frame

JUDGE = "critic@r.v1#1"


def critic(sample_id: str, score: float | None, judge: str = JUDGE, is_canary: bool = False) -> dict:
    status = "unscored" if score is None else "passed" if score >= 0.75 else "failed"
    return build_row(sample_id, "k", Finding("critic", judge, "overall", status, score, None, False), is_canary)


def executes(sample_id: str, passed: bool) -> dict:
    return build_row(sample_id, "k", Finding("verifier", "sql@1", "executes", "passed" if passed else "failed", float(passed)))


def table(*rows: dict):
    return build_frame(VERDICTS, list(rows))


def find(frame, judge: str, reference: str) -> dict:
    [row] = [row for row in frame.iter_rows(named=True) if (row["judge"], row["reference"]) == (judge, reference)]
    return row


def test_agreement_with_verifiers_is_cohens_kappa_over_what_both_decided():
    # 4 good (3 passed), 4 bad (1 passed), and one that the critic could not score.
    said = [0.9, 0.9, 0.8, 0.1, 0.2, 0.3, 0.1, 0.9, None]
    good = [True] * 4 + [False] * 4 + [True]
    rows = [critic(f"g{i}", s) for i, s in enumerate(said)] + [executes(f"g{i}", g) for i, g in enumerate(good)]
    frame = calibrate(table(*rows), {}, {}, {})
    check_frame(JUDGE_CALIBRATION, frame)
    row = find(frame, JUDGE, "verifiers")
    assert row["n"] == 8
    assert row["agreement_frac"] == 0.75
    assert row["kappa"] == pytest.approx(0.5)
    assert (row["false_accept_frac"], row["false_reject_frac"]) == (0.25, 0.25)
    # Pairs (good, bad) with the good one higher, ties half: 0.9 wins 3.5, twice; 0.8 wins 3; 0.1 ties once.
    assert row["auc"] == pytest.approx((3.5 + 3.5 + 3 + 0.5) / 16)


def test_people_are_a_reference_of_their_own():
    rows = [critic("g1", 0.9), critic("g2", 0.9), executes("g1", True), executes("g2", True)]
    row = find(calibrate(table(*rows), {"g1": "accept", "g2": "reject"}, {}, {}), JUDGE, "people")
    assert (row["n"], row["agreement_frac"], row["false_accept_frac"], row["kappa"]) == (2, 0.5, 1.0, 0.0)


def test_without_disagreement_possible_there_is_no_kappa():
    row = find(calibrate(table(critic("g1", 0.9), executes("g1", True)), {}, {}, {}), JUDGE, "verifiers")
    assert (row["agreement_frac"], row["kappa"], row["auc"]) == (1.0, None, None)


def test_canaries_are_counted_apart_from_samples():
    rows = [critic("c1", 0.9, is_canary=True), critic("c2", 0.1, is_canary=True), critic("g1", 0.9), executes("g1", True)]
    frame = calibrate(table(*rows), {}, {}, {})
    row = find(frame, JUDGE, "canaries")
    assert (row["n"], row["false_accept_frac"]) == (2, 0.5)
    assert find(frame, JUDGE, "verifiers")["n"] == 1


def compared(*choices: tuple[str, str, str]) -> dict[Subject, ChatReply]:
    return {Subject("c", a, b): ChatReply("r", "ok", "c", {"reasoning": "", "winner": winner}) for a, b, winner in choices}


def test_position_bias_is_the_share_of_choices_for_the_first():
    replies = compared(
        ("g", "b", "first"), ("b", "g", "second"),  # the better one, both times
        ("h", "c", "first"), ("c", "h", "first"),  # whoever stands first
        ("i", "d", "second"), ("d", "i", "first"),  # the worse one, both times
        ("j", "e", "tie"), ("e", "j", "tie"),
    )  # fmt: skip
    replies[Subject("c", "k", "f")] = ChatReply("r", "invalid", "c")  # half a pair counts nowhere
    replies[Subject("c", "f", "k")] = ChatReply("r", "ok", "c", {"winner": "first"})
    verdicts = table(*(executes(x, True) for x in "ghijk"), *(executes(x, False) for x in "bcdef"))
    frame = calibrate(verdicts, {}, replies, {"c": JUDGE})
    swapped = find(frame, JUDGE, "swapped order")
    assert (swapped["n"], swapped["agreement_frac"]) == (4, 0.75)
    assert swapped["first_frac"] == pytest.approx(4 / 6)
    checked = find(frame, JUDGE, "verifiers")
    assert (checked["n"], checked["agreement_frac"]) == (4, 0.25)


def test_drift_compares_the_same_samples_under_two_rubrics():
    before = table(critic("g1", 0.9, "critic@r.v1#1"), critic("g2", 0.2, "critic@r.v1#1"), critic("g9", 0.2, "critic@r.v1#1"))
    now = table(critic("g1", 0.5, "critic@r.v2#2"), critic("g2", 0.2, "critic@r.v2#2"), critic("g3", 1.0, "critic@r.v2#2"))
    [row] = measure_drift(now, before)
    assert (row["before"], row["judge"], row["n"]) == ("critic@r.v1#1", "critic@r.v2#2", 2)
    assert (row["mean_shift"], row["changed_frac"]) == (-0.2, 0.5)
