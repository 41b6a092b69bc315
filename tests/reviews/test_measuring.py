"""What labels mean together, against figures worked out by hand."""

from __future__ import annotations

import polars as pl
import pytest

from distill_assets.intervals import wilson
from distill_assets.reviews.labels import tabulate_labels
from distill_assets.reviews.measuring import Settled, measure_review, settle_labels
from tests.reviews.world import make_label, make_samples, sample_id


def votes(*labels: str) -> pl.DataFrame:
    return tabulate_labels([make_label(0, label, f"person {number}") for number, label in enumerate(labels)])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("accept",), Settled("accept", 1, 0)),
        (("unsure",), Settled("unsure", 1, 0)),
        (("accept", "reject"), Settled("unsure", 2, 1)),
        (("accept", "unsure"), Settled("unsure", 2, 1)),
        (("reject", "accept", "reject"), Settled("reject", 3, 1)),
        (("reject", "accept", "reject", "unsure"), Settled("unsure", 4, 2)),
    ],
)
def test_more_than_half_of_the_reviewers_settle_and_nothing_else_does(labels: tuple[str, ...], expected: Settled) -> None:
    assert settle_labels(votes(*labels)) == {sample_id(0): expected}


def test_fewer_reviewers_than_asked_for_overrule_nobody() -> None:
    assert settle_labels(votes("reject"), min_reviewers=2) == {sample_id(0): Settled("unsure", 1, 0)}
    assert settle_labels(votes("reject", "reject"), min_reviewers=2) == {sample_id(0): Settled("reject", 2, 0)}


def label_range(first: int, n: int, n_wrong: int, seen: str) -> list:
    right, wrong = ("accept", "reject") if seen == "accepted" else ("reject", "accept")
    return [make_label(first + i, wrong if i < n_wrong else right, seen_status=seen) for i in range(n)]


def test_the_error_rate_is_by_status_and_weighted_by_their_sizes() -> None:
    judged = make_samples(accepted=900, rejected=100, unscored=10)
    labels = [*label_range(0, 50, 5, "accepted"), *label_range(900, 20, 10, "rejected"), *label_range(1000, 2, 1, "unscored")]
    figures = measure_review(tabulate_labels(labels), judged)
    accepted, rejected, unscored = figures.strata
    assert (accepted.n_samples, accepted.n_reviewed, accepted.n_wrong, accepted.error_frac) == (900, 50, 5, 0.1)
    assert (accepted.low, accepted.high) == pytest.approx((0.0435, 0.2136), abs=1e-4)  # Wilson's interval of 5 of 50
    assert (rejected.n_wrong, rejected.error_frac) == (10, 0.5)
    assert (unscored.n_reviewed, unscored.n_wrong, unscored.error_frac) == (2, None, None)
    assert (figures.n_reviewed, figures.n_wrong) == (70, 15)
    assert figures.error_frac == pytest.approx(0.9 * 0.1 + 0.1 * 0.5)
    assert 0.08 < figures.low < 0.1 < figures.error_frac < 0.2 < figures.high < 0.25


def test_chosen_unsure_moved_and_changed_samples_count_nowhere() -> None:
    judged = make_samples(accepted=5, rejected=5)
    labels = [
        make_label(0, "reject"),
        make_label(1, "reject", drawn="chosen"),
        make_label(2, "unsure"),
        make_label(7, "reject"),
        make_label(3, "reject", text_id="0" * 32),
        make_label(99, "reject"),
    ]
    figures = measure_review(tabulate_labels(labels), judged)
    assert (figures.n_reviewed, figures.n_wrong, figures.strata[0].n_unsure) == (1, 1, 1)
    assert (figures.n_moved, figures.n_gone) == (1, 2)


def test_what_was_not_reviewed_is_unknown_and_not_0() -> None:
    judged = make_samples(accepted=5, rejected=5)
    none = measure_review(tabulate_labels([]), judged)
    assert none.error_frac is None and none.strata[0].error_frac is None and none.n_reviewed == 0
    only_accepted = measure_review(tabulate_labels([make_label(0)]), judged)
    assert only_accepted.strata[0].error_frac == 0 and only_accepted.error_frac is None
    nothing_rejected = measure_review(tabulate_labels([make_label(0)]), make_samples(accepted=5))
    assert nothing_rejected.error_frac == 0 and nothing_rejected.high == pytest.approx(wilson(0, 1).high)


def test_the_weighted_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    import random

    rates, sizes, drawn = (0.06, 0.3), (900, 100), (50, 25)
    truth = sum(rate * size for rate, size in zip(rates, sizes, strict=True)) / 1000
    dice, covered = random.Random(5), 0
    judged = make_samples(accepted=900, rejected=100)
    for _ in range(200):
        wrong = [sum(dice.random() < rate for _ in range(n)) for rate, n in zip(rates, drawn, strict=True)]
        labels = [*label_range(0, 50, wrong[0], "accepted"), *label_range(900, 25, wrong[1], "rejected")]
        figures = measure_review(tabulate_labels(labels), judged)
        covered += figures.low <= truth <= figures.high
    assert 180 <= covered <= 199
