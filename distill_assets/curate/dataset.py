"""The training_dataset table: kept samples, rendered as the student reads and writes them.

Belongs here: rendering rows. Does not belong here: the prompt's form (prompts) or selection (select).
"""

from __future__ import annotations

import polars as pl

from distill_assets.linking import LinkIndex, link_question
from distill_assets.prompts import render_student_completion, render_student_prompt
from distill_assets.tables import TRAINING_DATASET, build_frame


def render_dataset(kept: pl.DataFrame, indexes: dict[str, LinkIndex]) -> pl.DataFrame:
    """Return training_dataset for the kept samples; `indexes` are the databases' text values."""
    rows = []
    for row in kept.iter_rows(named=True):
        hints = link_question(indexes[row["database"]], row["question"])
        rows.append(
            {
                "sample_id": row["sample_id"],
                "seed_id": row["seed_id"],
                "strategy": row["strategy"],
                "database": row["database"],
                "question": row["question"],
                "sql": row["sql"],
                "prompt": render_student_prompt(row["database"], row["question"], hints),
                "completion": render_student_completion(row["sql"]),
                "teacher": row["teacher"],
                "topic": row["topic"],
                "difficulty": row["difficulty"],
                "split": row["split"],
                "position": row["position"],
            }
        )
    return build_frame(TRAINING_DATASET, rows)
