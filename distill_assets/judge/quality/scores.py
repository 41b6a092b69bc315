"""The table quality_scores: what the filter says of every sample that was read, or why it says nothing.

Belongs here: putting model, labels and readings together as rows. Does not belong here: fitting (filter) or reading
(measure).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from distill_assets.errors import QualityError
from distill_assets.judge.quality.filter import QualityFigures, QualityModel, fit_quality, is_held_out, score_quality
from distill_assets.judge.quality.measure import ReadingModels
from distill_assets.judging import QualitySpec
from distill_assets.tables import QUALITY_SCORES, build_frame

# Another way to fit or to score: raise it, and its scores have another name.
FILTER = "logistic@1"


class Scored(NamedTuple):
    """The table, and either the filter's figures or why nothing is scored."""

    frame: pl.DataFrame
    figures: QualityFigures | None
    problem: str | None


def score_samples(measured: pl.DataFrame, labels: Mapping[str, float], spec: QualitySpec, models: ReadingModels) -> Scored:
    """Fit the filter and score every sample; where it cannot be fitted, all are unscored and keep their difficulty.

    Args:
        measured: of measure.measure_samples. labels: generation_id -> 0 (bad) to 1 (good).
    """
    scorer = name_scorer(models)
    try:
        model = fit_quality(measured, labels, spec)
    except QualityError as error:
        return Scored(build_quality_scores(measured, labels, None, spec, scorer), None, str(error))
    return Scored(build_quality_scores(measured, labels, model, spec, scorer), model.figures, None)


def label_quality(verdicts: pl.DataFrame, people: Mapping[str, str]) -> dict[str, float]:
    """What the filter is taught with: generation_id -> 0 (bad) to 1 (good). People's labels win over the critics' score.

    Args:
        verdicts: the table verdicts. people: generation_id -> accept or reject, where people agree.
    """
    by_critics = verdicts.filter((pl.col("layer") == "critic") & pl.col("is_decisive") & ~pl.col("is_canary"))
    scored = dict(by_critics.filter(pl.col("score").is_not_null()).select("generation_id", "score").iter_rows())
    return {**scored, **{generation_id: float(label == "accept") for generation_id, label in people.items()}}


def name_scorer(models: ReadingModels) -> str:
    """Who reads and who scores, with versions."""
    readers = [models.reader, *([models.embedder] if models.embedder else [])]
    return "+".join([*(f"{model.name}@{model.revision[:12]}" for model in readers), FILTER])


def build_quality_scores(
    measured: pl.DataFrame, labels: Mapping[str, float], model: QualityModel | None, spec: QualitySpec, scorer: str
) -> pl.DataFrame:
    """Return the table quality_scores; without a model all scores are null."""
    scores = score_quality(model, measured) if model else {}
    rows = []
    for row in measured.iter_rows(named=True):
        generation_id = row["generation_id"]
        score = scores.get(generation_id)
        split = "heldout" if is_held_out(row["text_key"], spec) else "train"
        rows.append(
            {
                "generation_id": generation_id,
                "quality_score": score,
                "is_good": None if score is None or model is None else score >= model.threshold,
                "quality_label": labels.get(generation_id),
                "quality_split": split if generation_id in labels else None,
                "instruction_difficulty": row["instruction_difficulty"],
                "scorer": scorer,
            }
        )
    return build_frame(QUALITY_SCORES, rows)


def figures_as_data(figures: QualityFigures) -> dict[str, Any]:
    """The figures as plain values, ready for JSON."""
    return {**figures._asdict(), "calibration": [one._asdict() for one in figures.calibration]}
