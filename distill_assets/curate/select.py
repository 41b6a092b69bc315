"""The one place where rows leave, each with exactly one reason.

Belongs here: the order of reasons, and putting the selection together. Does not belong here: finding out (judge, deduplicate,
decontaminate, templates, difficulty), orders of preference and training (selection/ranking), or solving for shares
(selection/quotas).

Rows in = kept + dropped, asserted. Who is kept does not depend on row order: chance is a hash of the sample's id. Marks are
applied first; then `best_of` and `max_per_template`, each by the best score; then shares, tokens and rows, which hold together
on what is selected, train and held-out split alike. What people wrote is exempt from `best_of` and comes first in its template;
it has no scores, so that where the best are preferred, `min_real_frac` is what keeps it.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from distill_assets.curate.selection.fitting import Share, find_left_out, read_shares
from distill_assets.curate.selection.ranking import add_chance, add_position, add_split, sort_by_preference, sort_by_score
from distill_assets.curation import CurateSpec
from distill_assets.errors import NothingSurvivedError
from distill_assets.tables import DROPPED_SAMPLES, DUPLICATE_KINDS, B, F, N, S

# Columns that are read: dtype, and what stands there where the samples or marks have no such column.
READ: dict[str, tuple[type[pl.DataType], object]] = {
    "strategy": (S, ""), "is_real": (B, False), "critic_score": (F, None), "quality_score": (F, None),
    "instruction_difficulty": (F, None), "duplicate_of": (S, None), "duplicate_kind": (S, None), "contaminated_by": (S, None),
    "contamination_span": (S, None), "contamination_action": (S, "drop"), "template_id": (S, None), "topic": (S, None),
    "difficulty": (S, None), "n_tokens": (N, None),
}  # fmt: skip


class Selection(NamedTuple):
    """What stays (columns of the samples, topic, difficulty, split, position) and what leaves (dropped_samples); by sample_id."""

    kept: pl.DataFrame
    dropped: pl.DataFrame


def select_samples(samples: pl.DataFrame, marks: pl.DataFrame, spec: CurateSpec) -> Selection:
    """Part judged samples into kept and dropped.

    Args:
        samples: judged_samples with strategy and is_real. marks: curation_marks, one row for each accepted sample.

    Raises:
        NothingSurvivedError: no row is kept; says why they left.
        SelectionError: the shares of `spec.mix` leave no row, speak of a value that no sample has, or tokens are not counted.
    """
    marked = _join_marks(samples, marks)
    shares = read_shares(marked, spec)
    rows = add_chance(_drop_marked(marked), spec.seed)
    rows = _drop_best_of(rows, spec)
    rows = _drop_template(rows, spec)
    rows = _drop_left_out(rows, shares, spec)
    dropped = rows.filter(pl.col("drop_reason").is_not_null())
    dropped = dropped.select(name for name in DROPPED_SAMPLES.fields if name in dropped.columns).sort("sample_id")
    kept = rows.filter(pl.col("drop_reason").is_null()).select("sample_id", "is_real", "topic", "difficulty")
    if kept.is_empty():
        raise NothingSurvivedError(
            f"{samples.height} judged samples, 0 kept: {count_reasons(dropped)}. training_dataset was not replaced. "
            "Look at dropped_samples, or: distill explain <sample_id>."
        )
    if kept.height + dropped.height != samples.height:
        raise AssertionError(f"{samples.height} rows in, {kept.height} kept + {dropped.height} dropped")
    placed = add_position(add_split(kept, spec), spec).drop("is_real")
    return Selection(samples.join(placed, on="sample_id", how="inner").sort("sample_id"), dropped)


def _join_marks(samples: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """Samples with their marks and every column of READ, sorted by sample_id."""
    new = [name for name in marks.columns if name == "sample_id" or name not in samples.columns]
    marked = samples.join(marks.select(new), on="sample_id", how="left", validate="1:1").sort("sample_id")
    return marked.with_columns(
        pl.lit(value, dtype=dtype).alias(name) for name, (dtype, value) in READ.items() if name not in marked.columns
    )


def _drop_marked(marked: pl.DataFrame) -> pl.DataFrame:
    """Add drop_reason and evidence: the first reason that the verdict and the marks give."""
    status, kind = pl.col("sample_status"), pl.col("duplicate_kind")
    # Only what is marked for review stays: a finding without an action is dropped.
    is_leak = pl.col("contaminated_by").is_not_null() & (pl.col("contamination_action").fill_null("drop") != "review")
    leak = pl.format("{}: {}", "contaminated_by", pl.col("contamination_span").fill_null(""))
    found = [
        (status == "unscored", "unscored", pl.col("reason")),
        (status == "rejected", "rejected", pl.col("reason")),
        (is_leak, "contaminated", leak),
        *((kind == name, f"{name}_duplicate", pl.col("duplicate_of")) for name in DUPLICATE_KINDS),
    ]
    reason = pl.coalesce(pl.when(applies).then(pl.lit(name)) for applies, name, _ in found)
    evidence = pl.coalesce(pl.when(applies).then(words.cast(pl.String).fill_null("")) for applies, _, words in found)
    return marked.with_columns(drop_reason=reason, evidence=evidence)


def _drop_best_of(rows: pl.DataFrame, spec: CurateSpec) -> pl.DataFrame:
    if spec.best_of is None:
        return rows
    words = f"more than the best {spec.best_of} of its seed and strategy"
    return _drop_beyond(rows, ["seed_id", "strategy"], ~pl.col("is_real"), spec.best_of, ("over_best_of", words))


def _drop_template(rows: pl.DataFrame, spec: CurateSpec) -> pl.DataFrame:
    if spec.mix.max_per_template is None:
        return rows
    reason = ("over_template", f"more than {spec.mix.max_per_template} of its template")
    return _drop_beyond(rows, ["template_id"], pl.col("template_id").is_not_null(), spec.mix.max_per_template, reason)


def _drop_beyond(rows: pl.DataFrame, group: list[str], counts: pl.Expr, n: int, reason: tuple[str, str]) -> pl.DataFrame:
    """Give `reason` to what is not among the best `n` of its group, of the rows that stay so far and for which `counts` holds."""
    ranked = sort_by_score(rows.filter(pl.col("drop_reason").is_null() & counts))
    ranked = ranked.sort("is_real", descending=True, maintain_order=True)
    beyond = ranked.filter(pl.int_range(pl.len()).over(group) >= n)
    return _give_reason(rows, dict.fromkeys(beyond["sample_id"], reason))


def _give_reason(rows: pl.DataFrame, reasons: dict[str, tuple[str, str]]) -> pl.DataFrame:
    """Set drop_reason and evidence of the samples named."""
    schema = {"sample_id": pl.String, "new_reason": pl.String, "new_evidence": pl.String}
    new = pl.DataFrame([(sample_id, *found) for sample_id, found in reasons.items()], schema=schema, orient="row")
    return (
        rows.join(new, on="sample_id", how="left")
        .with_columns(
            drop_reason=pl.coalesce("drop_reason", "new_reason"),
            evidence=pl.coalesce("evidence", "new_evidence"),
        )
        .drop("new_reason", "new_evidence")
    )


def _drop_left_out(rows: pl.DataFrame, shares: list[Share], spec: CurateSpec) -> pl.DataFrame:
    left = sort_by_preference(rows.filter(pl.col("drop_reason").is_null()), spec.prefer)
    return _give_reason(rows, find_left_out(left, shares, spec)) if left.height else rows


def count_reasons(dropped: pl.DataFrame) -> str:
    """Say how many rows left for which reason, the most first."""
    counts = dropped["drop_reason"].value_counts().sort(["count", "drop_reason"], descending=[True, False])
    return ", ".join(f"{n} {reason}" for reason, n in counts.iter_rows()) or "none"
