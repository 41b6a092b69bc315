"""The one place where rows leave, each with exactly one reason.

Belongs here: the order of reasons, the limit on rows, the synthetic held-out split. Does not belong
here: finding out (judge, deduplicate, decontaminate).

Rows in = kept + dropped, asserted. Who is kept does not depend on row order: the limit and the split
go by a hash of the sample's id.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from distill_assets.curation import CurateSpec
from distill_assets.errors import NothingSurvivedError
from distill_assets.identity import unit_interval
from distill_assets.tables import DROP_REASONS, DROPPED_SAMPLES, build_frame


class Selection(NamedTuple):
    """What stays (columns of judged_samples plus split) and what leaves (dropped_samples)."""

    kept: pl.DataFrame
    dropped: pl.DataFrame


def select_samples(judged: pl.DataFrame, marks: pl.DataFrame, spec: CurateSpec) -> Selection:
    """Part judged samples into kept and dropped.

    Raises:
        NothingSurvivedError: no row is kept; says why they left.
    """
    marked = judged.join(marks, on="sample_id", how="left").sort("sample_id")
    rows = [row | _find_reason(row) for row in marked.iter_rows(named=True)]
    candidates = [row for row in rows if row["drop_reason"] is None]
    for row in _beyond_limit(candidates, spec):
        row |= {"drop_reason": "over_limit", "evidence": f"more than {spec.max_samples} samples"}
    kept = [row["sample_id"] for row in rows if row["drop_reason"] is None]
    dropped = build_frame(
        DROPPED_SAMPLES,
        [{name: row[name] for name in DROPPED_SAMPLES.fields} for row in rows if row["drop_reason"] is not None],
    )
    if not kept:
        raise NothingSurvivedError(
            f"{judged.height} judged samples, 0 kept: {count_reasons(dropped)}. training_dataset was not replaced. "
            "Look at dropped_samples, or: distill explain <sample_id>."
        )
    if len(kept) + dropped.height != judged.height:
        raise AssertionError(f"{judged.height} rows in, {len(kept)} kept + {dropped.height} dropped")
    return Selection(_add_split(judged.filter(pl.col("sample_id").is_in(kept)), spec), dropped)


def _find_reason(row: dict[str, object]) -> dict[str, object]:
    """The first reason that applies, in the fixed order of DROP_REASONS."""
    found = {
        "unscored": row["sample_status"] == "unscored" and row["reason"],
        "rejected": row["sample_status"] == "rejected" and row["reason"],
        "contaminated": row["contaminated_by"] and f"{row['contaminated_by']}: {row['contamination_span']}",
        "exact_duplicate": row["duplicate_kind"] == "exact" and row["duplicate_of"],
        "near_duplicate": row["duplicate_kind"] == "near" and row["duplicate_of"],
    }
    for reason in DROP_REASONS:
        if evidence := found.get(reason):
            return {"drop_reason": reason, "evidence": str(evidence)}
    return {"drop_reason": None, "evidence": None}


def _beyond_limit(candidates: list[dict[str, object]], spec: CurateSpec) -> list[dict[str, object]]:
    by_chance = sorted(candidates, key=lambda row: unit_interval("limit", spec.seed, row["sample_id"]))
    ordered = sorted(by_chance, key=_rank_difficulty) if spec.prefer == "difficult" else by_chance
    return ordered[spec.max_samples :]


def _rank_difficulty(row: dict[str, object]) -> tuple[int, float]:
    """The hardest first, as long as the question helps at all; then those where it does not, then those that nobody read.

    Source: M. Li et al., "Superfiltering", ACL 2024 (arXiv 2402.00530), section 3: the highest scores below 1.
    """
    difficulty = row["instruction_difficulty"]
    if difficulty is None:
        return 2, 0.0
    return (0, -float(difficulty)) if difficulty < 1 else (1, float(difficulty))


def _add_split(kept: pl.DataFrame, spec: CurateSpec) -> pl.DataFrame:
    splits = [
        "heldout" if unit_interval("split", spec.seed, sample_id) < spec.heldout_frac else "train"
        for sample_id in kept["sample_id"]
    ]
    return kept.with_columns(pl.Series("split", splits, dtype=pl.String))


def count_reasons(dropped: pl.DataFrame) -> str:
    """Say how many rows left for which reason, the most first."""
    counts = dropped["drop_reason"].value_counts().sort(["count", "drop_reason"], descending=[True, False])
    return ", ".join(f"{n} {reason}" for reason, n in counts.iter_rows()) or "none"
