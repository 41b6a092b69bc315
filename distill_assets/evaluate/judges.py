"""The report's section on judging: how far each judge agrees with verifiers and with people.

Belongs here: choosing and wording rows of judge_calibration. Does not belong here: measuring them (judge/calibration).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from distill_assets.evaluate.statistics import percent

COLUMNS = (
    "layer",
    "judge",
    "criterion",
    "reference",
    "n",
    "agreement_frac",
    "kappa",
    "auc",
    "false_accept_frac",
    "false_reject_frac",
)


def list_judges(calibration: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of judge_calibration as plain data."""
    return list(calibration.select(COLUMNS).iter_rows(named=True))


def summarize_quality(scores: pl.DataFrame, good_from: float) -> dict[str, Any]:
    """The learned filter's figures on labels that it was not taught with.

    Args:
        scores: quality_scores. good_from: label from which a sample counts as good.
    """
    from sklearn.metrics import roc_auc_score

    held = scores.filter((pl.col("quality_split") == "heldout") & pl.col("quality_score").is_not_null())
    truth = [label >= good_from for label in held["quality_label"]]
    kept = scores.filter(pl.col("is_good"))
    return {
        "labels": scores["quality_label"].count(),
        "held_out_labels": held.height,
        "held_out_AUC": float(roc_auc_score(truth, held["quality_score"].to_list())) if len(set(truth)) == 2 else None,
        "threshold": float(kept["quality_score"].min()) if kept.height else None,
        "kept": kept.height,
        "of": scores.height,
    }


def judges_section(rows: Sequence[dict[str, Any]], quality: dict[str, Any] | None) -> str:
    """The section as markdown; empty when nobody was measured.

    Args:
        rows: of `list_judges`. quality: figures of the learned quality filter, or None where the recipe has none.
    """
    if not rows and not quality:
        return ""
    lines = ["## Judges", ""]
    if rows:
        lines += [
            "| judge | held against | n | agreement | kappa | AUC | wrongly passed | wrongly failed |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
        ]
        lines += [_render_row(row) for row in rows]
        lines += ["", "Verifiers without a gold answer say that a query runs and gives a value, not that it is right."]
    if quality:
        lines += ["", _render_quality(quality)]
    return "\n".join(lines)


def _render_row(row: dict[str, Any]) -> str:
    name = f"{row['judge']}, {row['criterion']}"
    shares = (percent(row[key]) for key in ("agreement_frac", "false_accept_frac", "false_reject_frac"))
    agreement, passed, failed = shares
    return f"| {name} | {row['reference']} | {row['n']} | {agreement} | {_number(row['kappa'])} | {_number(row['auc'])} | {passed} | {failed} |"


def _render_quality(quality: dict[str, Any]) -> str:
    words = ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in quality.items())
    return f"Learned quality filter: {words}."


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
