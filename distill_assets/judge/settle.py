"""From verdicts and people's labels to one settled state a sample: accepted, rejected or unscored.

Belongs here: the rule that settles. Does not belong here: judging (heuristics, verdicts, critics) or dropping
(curate/select).

A failed decisive criterion rejects. Otherwise an unscored one leaves the sample unscored: a judge's failure is
never a 0 and never trains. Accepted means that every decisive criterion passed. People stand above all judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from distill_assets.tables import JUDGED_SAMPLES, VERDICT_LAYERS, build_frame

STATUS_OF_LABEL = {"accept": "accepted", "reject": "rejected"}
SHORTCUT_LAYER = "steps"

Verdict = Mapping[str, object]


def settle_samples(generations: pl.DataFrame, verdicts: pl.DataFrame, labels: Mapping[str, str]) -> pl.DataFrame:
    """Return judged_samples: one row a generation.

    Args:
        labels: sample id -> accept or reject, where people agree.
    """
    by_generation: dict[str, list[Verdict]] = {}
    for verdict in verdicts.filter(~pl.col("is_canary")).iter_rows(named=True):
        by_generation.setdefault(str(verdict["generation_id"]), []).append(verdict)
    return build_frame(
        JUDGED_SAMPLES,
        [
            _describe_sample(row, by_generation.get(row["generation_id"], []), labels.get(row["generation_id"]))
            for row in generations.iter_rows(named=True)
        ],
    )


def _describe_sample(row: Mapping[str, object], verdicts: Sequence[Verdict], label: str | None) -> dict[str, object]:
    judged, reason = settle(verdicts)
    status = STATUS_OF_LABEL[label] if label else judged
    if status != judged:
        reason = f"{label}ed by people; judges: {judged}" + (f" ({reason})" if reason else "")
    return {
        "sample_id": row["generation_id"],
        "seed_id": row["seed_id"],
        "database": row["database"],
        "question": row["question"],
        "trace": row["trace"],
        "sql": row["completion"],
        "teacher": row["teacher"],
        "served_model": row["served_model"],
        "sample_status": status,
        "judged_status": judged,
        "label": label,
        "reason": reason,
        "critic_score": _find_critic_score(verdicts),
        "is_shortcut": is_shortcut(verdicts),
        "cost_usd": row["cost_usd"],
    }


def settle(verdicts: Sequence[Verdict]) -> tuple[str, str | None]:
    """Settle one generation's verdicts into (status, reason): the most trusted layer that speaks against it is named."""
    decisive = sorted((v for v in verdicts if v["is_decisive"]), key=_rank)
    if not decisive:
        return "unscored", "no verdict"
    for state, status in (("failed", "rejected"), ("unscored", "unscored")):
        for verdict in decisive:
            if verdict["verdict_status"] == state:
                return status, f"{verdict['criterion']}: {verdict['reason'] or state}"
    return "accepted", None


def _rank(verdict: Verdict) -> tuple[int, str, str]:
    return VERDICT_LAYERS.index(str(verdict["layer"])), str(verdict["judge"]), str(verdict["criterion"])


def is_shortcut(verdicts: Sequence[Verdict]) -> bool:
    """The answer holds by all that executes, and the steps of its reasoning do not."""
    states = {layer: {v["verdict_status"] for v in verdicts if v["layer"] == layer} for layer in ("verifier", SHORTCUT_LAYER)}
    return "failed" in states[SHORTCUT_LAYER] and states["verifier"] == {"passed"}


def _find_critic_score(verdicts: Sequence[Verdict]) -> float | None:
    scores = [v["score"] for v in verdicts if v["layer"] == "critic" and v["is_decisive"]]
    return scores[0] if scores else None
