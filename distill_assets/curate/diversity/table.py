"""The corpus_diversity table: measures of what is trained on, each with what is wrong with it.

Belongs here: which corpora are measured, and measures beside their bounds. Does not belong here: measuring (report), bounds
(collapse), or what a problem prevents (checks).
"""

from __future__ import annotations

import polars as pl

from distill_assets.curate.diversity.collapse import find_collapse, find_losses
from distill_assets.curate.diversity.report import WHOLE, measure_corpus
from distill_assets.curation import CollapseSpec
from distill_assets.tables import CORPUS_DIVERSITY

ACCEPTED = "accepted"
KEYS = ["slice_by", "slice_value", "metric"]


def build_diversity(kept: pl.DataFrame, accepted: pl.DataFrame, seeds: list[str], bounds: CollapseSpec) -> pl.DataFrame:
    """Build corpus_diversity.

    Args:
        kept, accepted: sample_id, question, sql, teacher, strategy, database, topic, difficulty, template_id, template: what is
        selected, which must keep the bounds; and all that was accepted, which is shown beside it. seeds: their texts.
    """
    measured = measure_corpus(kept, seeds)
    before = measure_corpus(accepted, []).filter(pl.col("slice_by") == WHOLE).with_columns(pl.lit(ACCEPTED).alias("slice_by"))
    problems = find_collapse(measured, bounds)
    if bounds.max_loss_frac is not None:
        problems = pl.concat([problems, find_losses(measured, bounds.max_loss_frac)])
    problem = problems.select(*KEYS, pl.col("words").alias("problem")).unique(KEYS, keep="first", maintain_order=True)
    frame = pl.concat([measured, before]).join(problem, on=KEYS, how="left")
    return frame.select(list(CORPUS_DIVERSITY.fields)).sort(KEYS)
