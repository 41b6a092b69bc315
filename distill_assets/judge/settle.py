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


def settle_samples(
    generations: pl.DataFrame, verdicts: pl.DataFrame, labels: Mapping[str, str], quality: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return judged_samples: one row a generation.

    Args:
        labels: sample id -> accept or reject, where people agree. quality: quality_scores, where the recipe has a filter.
    """
    by_generation: dict[str, list[Verdict]] = {}
    for verdict in verdicts.filter(~pl.col("is_canary")).iter_rows(named=True):
        by_generation.setdefault(str(verdict["generation_id"]), []).append(verdict)
    scores = {row["generation_id"]: row for row in quality.iter_rows(named=True)} if quality is not None else {}
    rows = []
    for row in generations.iter_rows(named=True):
        sample_id = row["generation_id"]
        found, score = by_generation.get(sample_id, []), scores.get(sample_id)
        judged = [*found, read_quality(score)] if score else found
        read = {name: score[name] if score else None for name in ("quality_score", "instruction_difficulty")}
        rows.append(_describe_sample(row, judged, labels.get(sample_id)) | read)
    return build_frame(JUDGED_SAMPLES, rows)


def read_quality(score: Mapping[str, object]) -> Verdict:
    """The learned filter's word on a sample; a filter that could not be taught leaves it unscored."""
    is_good = score["is_good"]
    status = "unscored" if is_good is None else "passed" if is_good else "failed"
    reason = (
        "the filter has no score for it"
        if is_good is None
        else None
        if is_good
        else f"score {score['quality_score']:.2f} is too low"
    )
    return {
        "layer": "filter", "judge": score["scorer"], "criterion": "quality", "verdict_status": status, "score": score["quality_score"],
        "reason": reason, "is_decisive": True,
    }  # fmt: skip


def _describe_sample(row: Mapping[str, object], verdicts: Sequence[Verdict], label: str | None) -> dict[str, object]:
    judged, reason = settle(verdicts)
    status = STATUS_OF_LABEL[label] if label else judged
    if status != judged:
        reason = f"{label}ed by people; judges: {judged}" + (f" ({reason})" if reason else "")
    return {
        "sample_id": row["generation_id"],
        "seed_id": row["seed_id"],
        "strategy": row["strategy"],
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
