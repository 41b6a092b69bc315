"""What people's labels mean together: what they overrule, and how often the judges are wrong by them.

Belongs here: settling several reviewers, error rates with their intervals. Does not belong here: the labels (labels)
or what a gate makes of a rate (checks).

An error rate is of randomly drawn samples alone: those that a person chose, often because they look wrong, would
lift it. It is taken status by status, because the drawing is, and put together by how many samples each status has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from distill_assets.intervals import wilson
from distill_assets.reviews.drawing import STATUSES
from distill_assets.reviews.labels import name_text

# What contradicts the judges; of an unscored sample they say nothing that could be wrong.
WRONG = {"accepted": "reject", "rejected": "accept"}


class Settled(NamedTuple):
    """What the reviewers of one sample say together: `unsure` overrules nobody. `n_disagree` said something else."""

    label: str
    n_reviewers: int
    n_disagree: int


class Stratum(NamedTuple):
    """One judged status: how many samples there are, how many were labelled, how often people contradict.

    `n_reviewed` counts accept and reject; unsure is beside it. `error_frac` of those, 0 to 1, with its 95% Wilson
    interval; None when nothing was labelled, and for unscored samples.
    """

    status: str
    n_samples: int
    n_reviewed: int
    n_accept: int
    n_unsure: int
    n_wrong: int | None
    error_frac: float | None
    low: float | None
    high: float | None


class ReviewFigures(NamedTuple):
    """The error rate of judging by people: by status, and over accepted and rejected samples weighted by their number.

    `n_moved` samples were drawn under another status than they have now, `n_gone` are no more or have another
    text; both count nowhere. The weighted figures are None while a status that has samples was not reviewed.
    """

    strata: tuple[Stratum, ...]
    n_reviewed: int
    n_wrong: int
    error_frac: float | None
    low: float | None
    high: float | None
    n_moved: int
    n_gone: int


def settle_labels(labels: pl.DataFrame, min_reviewers: int = 1) -> dict[str, Settled]:
    """Settle each sample's reviewers: the label of more than half of them, else `unsure`.

    Args:
        labels: the table review_labels, or a part of it. min_reviewers: with fewer, the sample is `unsure`.
    """
    votes: dict[str, Counter[str]] = {}
    for sample_id, label in labels.sort("sample_id", "reviewer").select("sample_id", "label").iter_rows():
        votes.setdefault(sample_id, Counter())[label] += 1
    return {sample_id: _settle(counts, min_reviewers) for sample_id, counts in votes.items()}


def _settle(votes: Counter[str], min_reviewers: int) -> Settled:
    n = votes.total()
    [(label, n_most)] = votes.most_common(1)
    is_settled = n_most * 2 > n and n >= min_reviewers
    return Settled(label if is_settled else "unsure", n, n - n_most)


def name_decided(generations: pl.DataFrame, labels: pl.DataFrame, min_reviewers: int) -> dict[str, str]:
    """Sample id -> accept or reject, where enough people agree and the text is the one that they saw.

    Args:
        generations: the table raw_generations. labels: the table review_labels.
    """
    shown = generations.select("question", "trace", sample_id="generation_id", sql="completion")
    settled = settle_labels(keep_current(labels, shown), min_reviewers)
    return {sample_id: found.label for sample_id, found in settled.items() if found.label != "unsure"}


def keep_current(labels: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """The labels of samples that are still there with the text that was shown.

    Args:
        samples: has sample_id, question, trace and sql.
    """
    labelled = samples.join(labels.select("sample_id").unique(), on="sample_id", how="semi")
    rows = labelled.select("sample_id", "question", "trace", "sql").iter_rows()
    now = {"sample_id": [], "text_id": []}
    for sample_id, *text in rows:
        now["sample_id"].append(sample_id)
        now["text_id"].append(name_text(*text))
    return labels.join(
        pl.DataFrame(now, schema={"sample_id": pl.String, "text_id": pl.String}), on=["sample_id", "text_id"], how="semi"
    )


def measure_review(labels: pl.DataFrame, judged: pl.DataFrame) -> ReviewFigures:
    """Say how often the judges are wrong, by the randomly drawn labels.

    Args:
        labels: the table review_labels. judged: judged samples (sample_id, judged_status, question, trace, sql).
    """
    random = labels.filter(pl.col("drawn") == "random")
    current = keep_current(random, judged)
    still = judged.select("sample_id", pl.col("judged_status").alias("seen_status"))
    unmoved = current.join(still, on=["sample_id", "seen_status"], how="semi")
    sizes = Counter(judged["judged_status"].to_list())
    status_of = dict(unmoved.select("sample_id", "seen_status").iter_rows())
    settled: dict[str, Counter[str]] = {status: Counter() for status in STATUSES}
    for sample_id, answer in settle_labels(unmoved).items():
        settled[status_of[sample_id]][answer.label] += 1
    strata = tuple(_measure_stratum(status, sizes[status], settled[status]) for status in STATUSES)
    n_gone = random["sample_id"].n_unique() - current["sample_id"].n_unique()
    return _sum_up(strata, current["sample_id"].n_unique() - len(status_of), n_gone)


def _measure_stratum(status: str, n_samples: int, answers: Counter[str]) -> Stratum:
    n = answers["accept"] + answers["reject"]
    n_wrong = answers[WRONG[status]] if status in WRONG else None
    _, _, frac, low, high = wilson(n_wrong or 0, n if n_wrong is not None else 0)
    return Stratum(status, n_samples, n, answers["accept"], answers["unsure"], n_wrong, frac, low, high)


def _sum_up(strata: Sequence[Stratum], n_moved: int, n_gone: int) -> ReviewFigures:
    judged = [stratum for stratum in strata if stratum.status in WRONG]
    n_wrong = sum(stratum.n_wrong or 0 for stratum in judged)
    n_reviewed = sum(stratum.n_reviewed for stratum in judged)
    counted = [stratum for stratum in judged if stratum.n_samples]
    frac = low = high = None
    if counted and all(stratum.error_frac is not None for stratum in counted):
        frac, low, high = _weigh(counted)
    return ReviewFigures(tuple(strata), n_reviewed, n_wrong, frac, low, high, n_moved, n_gone)


def _weigh(strata: Sequence[Stratum]) -> tuple[float, float, float]:
    """Weighted mean of the strata's rates with an interval made from theirs.

    Source: G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27 (2008), 1693-1702 (limits of a sum from the limits of its terms).
    """
    total = sum(stratum.n_samples for stratum in strata)
    terms = [(s.n_samples / total, s.error_frac, s.low, s.high) for s in strata]
    frac = sum(weight * p for weight, p, _, _ in terms)
    below = sum((weight * (p - low)) ** 2 for weight, p, low, _ in terms) ** 0.5
    above = sum((weight * (high - p)) ** 2 for weight, p, _, high in terms) ** 0.5
    return frac, max(0.0, frac - below), min(1.0, frac + above)
