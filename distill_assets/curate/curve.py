"""The operating curve of a run: how many samples another cosine threshold would drop.

Belongs here: counting and drawing. Does not belong here: what a threshold finds of known leaks, which needs labels
(benchmarks/curate/rephrasing.py).
"""

from __future__ import annotations

import polars as pl

from distill_assets.drawing import AMBER, BLUE, GREY, INK, RED, new_axes, save_png

STEP = 0.025
CURVE_SCHEMA = {"threshold": pl.Float64, "n_drop": pl.Int64, "n_review": pl.Int64, "drop_frac": pl.Float64}


def build_curve(near: pl.DataFrame, n_documents: int, review_cosine: float) -> pl.DataFrame:
    """Count what each threshold from `review_cosine` to 1 would drop and leave for a judgement, by cosine alone.

    Args:
        near: rows of document_id and cosine, all pairs from review_cosine on. n_documents: of the whole corpus.

    Returns:
        CURVE_SCHEMA by threshold: n_drop documents reach it, n_review reach only review_cosine.
    """
    best = near.group_by("document_id").agg(pl.col("cosine").max())["cosine"]
    best = best.filter(best >= review_cosine)
    rows = []
    for threshold in list_thresholds(review_cosine):
        n_drop = int((best >= threshold).sum())
        rows.append((threshold, n_drop, best.len() - n_drop, n_drop / n_documents if n_documents else 0.0))
    return pl.DataFrame(rows, schema=CURVE_SCHEMA, orient="row")


def list_thresholds(least: float) -> list[float]:
    """`least`, and the multiples of 0.025 above it up to 1."""
    multiples = [round(step * STEP, 3) for step in range(1, round(1 / STEP) + 1)]
    return [least, *(threshold for threshold in multiples if threshold > least)]


def draw_curve(curve: pl.DataFrame, cosine: float, review_cosine: float) -> dict[str, bytes]:
    """The curve with the recipe's two thresholds; nothing when no document is near any item."""
    if not (curve["n_drop"] + curve["n_review"]).sum():
        return {}
    figure, axes = new_axes(7, 2.8)
    axes.step(curve["threshold"], curve["n_drop"], where="post", color=BLUE, label="samples that a threshold drops")
    axes.axvline(cosine, color=RED, linewidth=1, label=f"cosine {cosine:g}: drop")
    axes.axvline(review_cosine, color=AMBER, linewidth=1, label=f"review_cosine {review_cosine:g}: judge")
    axes.set_xlabel("cosine to the nearest item", fontsize=9, color=INK)
    axes.set_ylabel("samples", fontsize=9, color=INK)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=GREY, alpha=0.2)
    axes.legend(frameon=False, fontsize=9)
    return {"contamination by threshold": save_png(figure)}
