"""What is asked of each model: holdout items and held-out samples, as prompts with answer keys.

Belongs here: choosing items, rendering their prompts, and which answers are known already. Does not
belong here: answering (child), scoring (scoring) or telling (report).

An answer is decided by the model's revision, the prompt and the decoding, so a base model that was
asked once is never asked again.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from distill_assets.config import EvaluateSpec
from distill_assets.identity import make_id, unit_interval
from distill_assets.linking import LinkIndex, link_question
from distill_assets.prompts import render_student_prompt

DECODING = "greedy@1"
ANSWER_SCHEMA = {
    "answer_key": pl.String,
    "text": pl.String,
    "finish_reason": pl.String,
    "n_prompt_tokens": pl.Int64,
    "n_completion_tokens": pl.Int64,
}


class Model(NamedTuple):
    """One model under evaluation: its role, its name for people, and what decides its answers."""

    role: str
    name: str
    revision: str


def build_items(holdout: pl.DataFrame, dataset: pl.DataFrame, indexes: dict[str, LinkIndex], spec: EvaluateSpec) -> pl.DataFrame:
    """Return the items: item_id, source, database, question, gold_sql, prompt, sorted by item_id.

    Human items are the whole holdout; synthetic ones are up to `max_synthetic_items` of split heldout,
    chosen by a hash of their id.
    """
    human = holdout.select("item_id", pl.lit("human").alias("source"), "database", "question", "gold_sql")
    held = dataset.filter(pl.col("split") == "heldout")
    chosen = sorted(held["sample_id"], key=lambda i: unit_interval("synthetic", i))[: spec.max_synthetic_items]
    synthetic = held.filter(pl.col("sample_id").is_in(chosen)).select(
        pl.col("sample_id").alias("item_id"),
        pl.lit("synthetic").alias("source"),
        "database",
        "question",
        pl.col("sql").alias("gold_sql"),
    )
    items = pl.concat([human, synthetic]).sort("item_id")
    prompts = [
        render_student_prompt(database, question, link_question(indexes[database], question))
        for database, question in items.select("database", "question").iter_rows()
    ]
    return items.with_columns(pl.Series("prompt", prompts, dtype=pl.String))


def name_answers(items: pl.DataFrame, model: Model, spec: EvaluateSpec) -> pl.DataFrame:
    """Add `answer_key` for one model."""
    keys = [make_id("answer", DECODING, spec.max_new_tokens, model.revision, prompt) for prompt in items["prompt"]]
    return items.with_columns(pl.Series("answer_key", keys, dtype=pl.String))


def empty_answers() -> pl.DataFrame:
    """No answers, with the right columns."""
    return pl.DataFrame(schema=ANSWER_SCHEMA)
