"""From verdicts to one settled state a sample: accepted, rejected or unscored.

Belongs here: the rule that settles. Does not belong here: judging (heuristics, verdicts) or dropping
(curate/select).

A failed criterion rejects. Otherwise an unscored one leaves the sample unscored: a judge's failure is
never a 0 and never trains. Accepted means that every criterion passed.
"""

from __future__ import annotations

import polars as pl

from distill_assets.tables import JUDGED_SAMPLES, build_frame


def settle_samples(generations: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return judged_samples: one row a generation."""
    by_generation: dict[str, list[dict[str, object]]] = {}
    for verdict in verdicts.sort("generation_id", "judge", "criterion").iter_rows(named=True):
        by_generation.setdefault(str(verdict["generation_id"]), []).append(verdict)
    rows = []
    for row in generations.iter_rows(named=True):
        status, reason = settle(by_generation.get(row["generation_id"], []))
        rows.append(
            {
                "sample_id": row["generation_id"],
                "seed_id": row["seed_id"],
                "database": row["database"],
                "question": row["question"],
                "trace": row["trace"],
                "sql": row["completion"],
                "teacher": row["teacher"],
                "served_model": row["served_model"],
                "sample_status": status,
                "reason": reason,
                "cost_usd": row["cost_usd"],
            }
        )
    return build_frame(JUDGED_SAMPLES, rows)


def settle(verdicts: list[dict[str, object]]) -> tuple[str, str | None]:
    """Settle one generation's verdicts into (status, reason)."""
    if not verdicts:
        return "unscored", "no verdict"
    for state, status in (("failed", "rejected"), ("unscored", "unscored")):
        for verdict in verdicts:
            if verdict["verdict_status"] == state:
                return status, f"{verdict['criterion']}: {verdict['reason'] or state}"
    return "accepted", None
