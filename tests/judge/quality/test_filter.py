"""The learned filter finds a planted signal, finds none in shuffled labels, and refuses to guess."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from distill_assets.errors import QualityError
from distill_assets.identity import make_id
from distill_assets.judge.quality.filter import bootstrap_auc, find_auc, fit_quality, score_quality
from distill_assets.judging import QualitySpec

N = 400
SPEC = QualitySpec()


def make_vectors(n: int = N, shift: float = 1.5, width: int = 24) -> tuple[pl.DataFrame, dict[str, float]]:
    """Vectors of good and bad samples that differ by `shift` standard deviations in one of `width` numbers."""
    dice = np.random.default_rng(7)
    is_good = dice.random(n) < 0.6
    vectors = dice.normal(size=(n, width))
    vectors[:, 3] += shift * is_good
    ids = [make_id("g", number) for number in range(n)]
    frame = pl.DataFrame(
        {"generation_id": ids, "text_key": [make_id("t", one) for one in ids], "embedding": vectors.tolist()},
        schema_overrides={"embedding": pl.List(pl.Float32)},
    ).with_columns(pl.lit(0.9).alias("instruction_difficulty"))
    return frame.sort("generation_id"), dict(zip(ids, is_good.astype(float).tolist(), strict=True))


def test_a_planted_signal_is_found_and_its_size_is_told() -> None:
    frame, labels = make_vectors(2_000)
    figures = fit_quality(frame, labels, SPEC).figures
    # Two normal distributions 1.5 standard deviations apart have an AUC of 0.856.
    assert figures.auc_low < 0.856 < figures.auc_high and figures.auc_high - figures.auc_low < 0.1
    assert figures.calibration_error < 0.08 and figures.brier < 0.18
    assert sum(one.n for one in figures.calibration) == figures.n_heldout == 2_000 - figures.n_train
    assert figures.kept_frac == pytest.approx(SPEC.keep_frac, abs=0.01)
    assert figures.precision > figures.good_frac


def test_shuffled_labels_are_told_from_chance_and_score_nothing() -> None:
    frame, labels = make_vectors(2_000)
    values = list(labels.values())
    random.Random(3).shuffle(values)
    shuffled = dict(zip(labels, values, strict=True))
    figures = fit_quality(frame, shuffled, QualitySpec(min_auc=0)).figures
    assert figures.auc_low < 0.5 < figures.auc_high and abs(figures.auc - 0.5) < 0.06
    with pytest.raises(QualityError, match=r"which is not surely 0\.60\. No sample is scored"):
        fit_quality(frame, shuffled, SPEC)


def test_a_few_labels_score_the_rest_and_again_the_same() -> None:
    frame, labels = make_vectors(N, shift=3.0)
    some = dict(sorted(labels.items())[:150])
    model = fit_quality(frame, some, SPEC)
    scores = score_quality(model, frame)
    assert len(scores) == N and all(0 <= score <= 1 for score in scores.values())
    unseen = [key for key in labels if key not in some]
    right = sum((scores[key] > 0.5) == bool(labels[key]) for key in unseen)
    assert right / len(unseen) > 0.85
    again = score_quality(fit_quality(frame.sample(fraction=1, shuffle=True, seed=1), some, SPEC), frame)
    assert again == scores


@pytest.mark.parametrize(
    ("pick", "words"),
    [
        (lambda labels: dict(list(labels.items())[:40]), "40 samples are labelled, the quality filter needs 60"),
        (lambda labels: {}, "0 samples are labelled"),
        (lambda labels: dict.fromkeys(labels, 1.0), r"0 bad \(good from 0.5\)"),
        (lambda labels: dict.fromkeys(labels, 0.0), "0 are good and"),
        (lambda labels: labels | {min(labels): 1.5}, "outside 0 to 1"),
        (lambda labels: labels | {min(labels): float("nan")}, "outside 0 to 1"),
        (lambda labels: {key + "x": value for key, value in labels.items()}, "0 samples are labelled"),
    ],
)
def test_without_enough_labels_of_both_kinds_nothing_is_scored(pick, words: str) -> None:
    frame, labels = make_vectors()
    with pytest.raises(QualityError, match=words):
        fit_quality(frame, pick(labels), SPEC)


def test_a_precision_that_is_asked_for_is_reached_or_refused() -> None:
    frame, labels = make_vectors(2_000)
    reached = fit_quality(frame, labels, QualitySpec(target_precision=0.9)).figures
    assert reached.precision >= 0.9 and 0.3 < reached.kept_frac < 0.9
    with pytest.raises(QualityError, match=r"reaches a precision of 1\.00"):
        fit_quality(*make_vectors(2_000, shift=0.8), QualitySpec(target_precision=1.0))


@pytest.mark.parametrize(
    ("field", "value"),
    [("good_from", 0.9), ("heldout_frac", 0.5), ("keep_frac", 0.3), ("min_labels", 500), ("min_auc", 0.99), ("seed", 3)],
)
def test_each_field_changes_a_result(field: str, value: float) -> None:
    frame, labels = make_vectors(N, shift=3.0)
    graded = {key: 0.95 if value and number % 3 else 0.6 if value else 0.1 for number, (key, value) in enumerate(labels.items())}

    def describe(spec: QualitySpec) -> object:
        try:
            return fit_quality(frame, graded, spec).figures
        except QualityError as error:
            return str(error)

    assert describe(SPEC) != describe(QualitySpec.model_validate({field: value}))


def test_the_interval_of_the_auc_narrows_with_more_samples() -> None:
    dice = np.random.default_rng(1)
    widths = []
    for n in (40, 1_000):
        is_good = np.arange(n) % 2 == 0
        low, high = bootstrap_auc(is_good, dice.normal(size=n) + is_good, 1)
        assert low < 0.76 < high  # two normals one standard deviation apart
        widths.append(high - low)
    assert widths[1] < widths[0] / 3


def test_the_auc_is_that_of_sklearn_ties_and_all() -> None:
    from sklearn.metrics import roc_auc_score

    dice = np.random.default_rng(1)
    for digits in (0, 1, 8):
        is_good = dice.random(200) < 0.3
        scores = (dice.normal(size=200) + is_good).round(digits)
        assert find_auc(is_good, scores) == pytest.approx(roc_auc_score(is_good, scores))
