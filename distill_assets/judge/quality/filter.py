"""The learned quality filter: from labels on some samples to a score for all.

Belongs here: the split, the classifier, how good it is, its threshold. Does not belong here: where vectors (measure) or
labels come from, the table (scores), or dropping anything (curate).

The idea is that of the Phi and FineWeb-Edu data: dear labels on a few samples teach a cheap classifier on a small model's
vectors (S. Gunasekar et al., "Textbooks Are All You Need", arXiv 2306.11644; G. Penedo et al., "The FineWeb
Datasets", arXiv 2406.17557). A classifier that cannot be told from chance on held-out labels scores nothing:
its samples are unscored, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from distill_assets.errors import QualityError
from distill_assets.identity import unit_interval
from distill_assets.judging import QualitySpec

# Fewest labels of either kind: in training one for each fold, held out enough for a rate to mean something.
MIN_TRAIN_PER_KIND = 10
MIN_HELDOUT_PER_KIND = 5
MIN_KEPT_HELDOUT = 10
FOLDS = 5
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
RESAMPLES = 500
BINS = 5
SCORE_DIGITS = 6


class Bin(NamedTuple):
    """Held-out samples of like score: how many, their mean score, and the share that is labelled good."""

    n: int
    mean_score: float
    good_frac: float


class QualityFigures(NamedTuple):
    """How good the classifier is on labels that it was not fitted to; fractions 0 to 1.

    `auc` with its 95% bootstrap interval; `brier` and `calibration_error` (expected, over `calibration`); `precision`
    and `recall` of what `threshold` keeps; `kept_frac` of all samples.
    """

    n_labels: int
    n_train: int
    n_heldout: int
    good_frac: float
    auc: float
    auc_low: float
    auc_high: float
    brier: float
    calibration_error: float
    calibration: tuple[Bin, ...]
    threshold: float
    kept_frac: float
    precision: float | None
    recall: float


class QualityModel(NamedTuple):
    """A fitted classifier, the score from which a sample is good, and how good it is."""

    classifier: Any
    threshold: float
    figures: QualityFigures


class _Labelled(NamedTuple):
    """Vectors (rows, width), whether each is good, and whether it is held out."""

    vectors: Any
    is_good: Any
    is_heldout: Any


def fit_quality(embeddings: pl.DataFrame, labels: Mapping[str, float], spec: QualitySpec) -> QualityModel:
    """Fit a logistic regression to the labelled samples and choose its threshold.

    Args:
        embeddings: generation_id, text_key, embedding of all samples. labels: generation_id -> 0 (bad) to 1 (good).

    Raises:
        QualityError: too few labels, labels of one kind only, or a classifier not to be told from chance.
    """
    from threadpoolctl import threadpool_limits

    rows = embeddings.drop_nulls("embedding").sort("generation_id")
    labelled = _take_labelled(rows, labels, spec)
    _check_labels(labelled, spec)
    with threadpool_limits(1):  # sums in one order, so that the same labels give the same scores
        classifier = _fit(labelled, spec.seed)
        every = _score(classifier, rows)
        held = _score_vectors(classifier, labelled.vectors[labelled.is_heldout])
        figures = _measure(labelled, held, every, spec)
    if figures.auc_low < spec.min_auc:
        raise QualityError(
            f"the quality filter tells good from bad with a held-out AUC of {figures.auc:.2f} "
            f"({figures.auc_low:.2f} to {figures.auc_high:.2f}), which is not surely {spec.min_auc:.2f}. No sample is scored. "
            "Label more samples, or set judge.quality: null."
        )
    return QualityModel(classifier, figures.threshold, figures)


def _take_labelled(rows: pl.DataFrame, labels: Mapping[str, float], spec: QualitySpec) -> _Labelled:
    import numpy as np

    known = rows.filter(pl.col("generation_id").is_in(list(labels)))
    values = np.array([labels[generation_id] for generation_id in known["generation_id"]], dtype=float)
    if ((values < 0) | (values > 1)).any() or np.isnan(values).any():
        raise QualityError("a quality label is outside 0 to 1. No sample is scored. Mend where the labels come from.")
    is_heldout = np.array([is_held_out(key, spec) for key in known["text_key"]], dtype=bool)
    return _Labelled(_to_matrix(known), values >= spec.good_from, is_heldout)


def is_held_out(text_key: str, spec: QualitySpec) -> bool:
    """Whether a label on this text measures instead of teaching: by a hash of the text, so equal texts go together."""
    return unit_interval("quality", spec.seed, text_key) < spec.heldout_frac


def _to_matrix(rows: pl.DataFrame) -> Any:
    import numpy as np

    if rows.is_empty():
        return np.empty((0, 0))
    return rows["embedding"].explode().to_numpy().astype(np.float64).reshape(rows.height, -1)


def _check_labels(labelled: _Labelled, spec: QualitySpec) -> None:
    n = len(labelled.is_good)
    if n < spec.min_labels:
        raise QualityError(
            f"{n} samples are labelled, the quality filter needs {spec.min_labels}. No sample is scored. Label more: distill review"
        )
    for name, part, least in (
        ("train on", ~labelled.is_heldout, MIN_TRAIN_PER_KIND),
        ("measure with", labelled.is_heldout, MIN_HELDOUT_PER_KIND),
    ):
        n_good = int(labelled.is_good[part].sum())
        n_bad = int(part.sum()) - n_good
        if min(n_good, n_bad) < least:
            raise QualityError(
                f"of the labels to {name}, {n_good} are good and {n_bad} bad (good from {spec.good_from}); the quality filter needs "
                f"{least} of each. No sample is scored. Label more of the rarer kind, or move judge.quality.good_from."
            )


def _fit(labelled: _Labelled, seed: int) -> Any:
    """Standardise, then a logistic regression whose strength of regularisation is chosen by cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    search = GridSearchCV(pipeline, {"logisticregression__C": STRENGTHS}, scoring="neg_log_loss", cv=folds, n_jobs=1)
    train = ~labelled.is_heldout
    return search.fit(labelled.vectors[train], labelled.is_good[train]).best_estimator_


def score_quality(model: QualityModel, embeddings: pl.DataFrame) -> dict[str, float]:
    """Return generation_id -> probability of being good, 0 to 1, of every sample that has a vector."""
    from threadpoolctl import threadpool_limits

    rows = embeddings.drop_nulls("embedding").sort("generation_id")
    with threadpool_limits(1):
        return dict(zip(rows["generation_id"], _score(model.classifier, rows).tolist(), strict=True))


def _score(classifier: Any, rows: pl.DataFrame) -> Any:
    return _score_vectors(classifier, _to_matrix(rows))


def _score_vectors(classifier: Any, vectors: Any) -> Any:
    return classifier.predict_proba(vectors)[:, 1].round(SCORE_DIGITS)


def _measure(labelled: _Labelled, held: Any, every: Any, spec: QualitySpec) -> QualityFigures:
    from sklearn.metrics import brier_score_loss

    is_good = labelled.is_good[labelled.is_heldout]
    threshold = _choose_threshold(is_good, held, every, spec)
    low, high = bootstrap_auc(is_good, held, spec.seed)
    bins = bin_scores(is_good, held)
    kept = held >= threshold
    return QualityFigures(
        n_labels=len(labelled.is_good),
        n_train=int((~labelled.is_heldout).sum()),
        n_heldout=len(is_good),
        good_frac=float(labelled.is_good.mean()),
        auc=find_auc(is_good, held),
        auc_low=low,
        auc_high=high,
        brier=float(brier_score_loss(is_good, held)),
        calibration_error=sum(one.n * abs(one.mean_score - one.good_frac) for one in bins) / len(is_good),
        calibration=bins,
        threshold=threshold,
        kept_frac=float((every >= threshold).mean()),
        precision=float(is_good[kept].mean()) if kept.any() else None,
        recall=float(kept[is_good].mean()),
    )


def find_auc(is_good: Any, scores: Any) -> float:
    """How often a good sample scores above a bad one, a tie counting half; from the sum of the good ones' ranks.

    Source: H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18 (1947), 50-60. sklearn's gives the same
    and takes twenty times as long, which the bootstrap would feel.
    """
    from scipy.stats import rankdata

    n_good = int(is_good.sum())
    n_bad = len(is_good) - n_good
    return float((rankdata(scores)[is_good].sum() - n_good * (n_good + 1) / 2) / (n_good * n_bad))


def bootstrap_auc(is_good: Any, scores: Any, seed: int) -> tuple[float, float]:
    """95% percentile interval of the AUC over resamples of the good and of the bad.

    Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    import numpy as np

    dice = np.random.default_rng(seed)
    kinds = [np.flatnonzero(is_good), np.flatnonzero(~is_good)]
    found = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([dice.choice(kind, len(kind)) for kind in kinds])
        found.append(find_auc(is_good[drawn], scores[drawn]))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def bin_scores(is_good: Any, scores: Any) -> tuple[Bin, ...]:
    """Cut the samples, sorted by score, into parts of equal size."""
    import numpy as np

    parts = np.array_split(np.argsort(scores, kind="stable"), BINS)
    return tuple(Bin(len(part), float(scores[part].mean()), float(is_good[part].mean())) for part in parts if len(part))


def _choose_threshold(is_good: Any, held: Any, every: Any, spec: QualitySpec) -> float:
    """The score above which `keep_frac` of all samples lie, or the lowest that reaches the precision that is asked for."""
    import numpy as np

    if spec.target_precision is None:
        return float(np.quantile(every, 1 - spec.keep_frac, method="higher"))
    for threshold in np.unique(held):
        kept = held >= threshold
        if kept.sum() < MIN_KEPT_HELDOUT:
            break
        if is_good[kept].mean() >= spec.target_precision:
            return float(threshold)
    raise QualityError(
        f"no threshold of the quality filter that keeps {MIN_KEPT_HELDOUT} held-out samples reaches a precision of "
        f"{spec.target_precision:.2f}. No sample is scored. Lower judge.quality.target_precision or label more samples."
    )
