"""Frames that checks look at beside the tables themselves: shares, agreements, counts.

Belongs here: making such a frame of a table. Does not belong here: what is expected of it (checks).
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from distill_assets.config import ThresholdSpec
from distill_assets.reviews.measuring import measure_review
from distill_assets.tables import ALL_CRITICS, ANSWERED, JUDGED_SAMPLES, REVIEW_LABELS, TableSpec

Read = Callable[[TableSpec], pl.DataFrame]


def share_by_rule(verdicts: pl.DataFrame, read: Read) -> pl.DataFrame:
    """judge, criterion and the share of generations that the rule failed; whether there is an answer is no rule on it."""
    is_rule = (pl.col("layer") == "heuristic") & (pl.col("criterion") != ANSWERED)
    return (
        verdicts.filter(is_rule & ~pl.col("is_canary"))
        .group_by("judge", "criterion")
        .agg((pl.col("verdict_status") == "failed").mean().alias("failed_frac"))
        .sort("judge", "criterion")
    )


def share_of_canaries(verdicts: pl.DataFrame, read: Read) -> pl.DataFrame:
    """judge and the share of canaries that it passed: all critics together."""
    return (
        verdicts.filter(pl.col("is_canary") & (pl.col("judge") == ALL_CRITICS))
        .group_by("judge")
        .agg((pl.col("verdict_status") == "passed").mean().alias("passed_frac"), pl.len().cast(pl.Int64).alias("n"))
    )


def agreement_of_critics(thresholds: ThresholdSpec) -> Callable[[pl.DataFrame, Read], pl.DataFrame]:
    """Rows of judge_calibration with enough samples: reference, n and kappa of all critics together."""

    def derive(calibration: pl.DataFrame, read: Read) -> pl.DataFrame:
        enough = pl.col("n") >= thresholds.min_judge_samples
        wanted = (pl.col("judge") == ALL_CRITICS) & pl.col("reference").is_in(["verifiers", "people"])
        return calibration.filter(wanted & enough).select("judge", "reference", "n", "kappa").sort("reference")

    return derive


def review_of_dataset(thresholds: ThresholdSpec) -> Callable[[pl.DataFrame, Read], pl.DataFrame]:
    """One row: rows of the dataset, labels that are missing before it may be trained on, share of errors found by people."""

    def derive(dataset: pl.DataFrame, read: Read) -> pl.DataFrame:
        figures = measure_review(read(REVIEW_LABELS), read(JUDGED_SAMPLES))
        accepted = next(stratum for stratum in figures.strata if stratum.status == "accepted")
        is_free = thresholds.review_above_rows is None or dataset.height <= thresholds.review_above_rows
        row = {
            "n_rows": dataset.height,
            "n_reviewed": accepted.n_reviewed,
            "n_labels_missing": 0 if is_free else max(0, thresholds.min_reviewed - accepted.n_reviewed),
            "error_frac": None if is_free else accepted.error_frac,
        }
        schema = {"n_rows": pl.Int64, "n_reviewed": pl.Int64, "n_labels_missing": pl.Int64, "error_frac": pl.Float64}
        return pl.DataFrame([row], schema=schema)

    return derive
