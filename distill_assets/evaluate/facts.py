"""What the report says beside the scores: planted errors, rows, versions.

Belongs here: counting over the tables of the earlier stages. Does not belong here: wording (report).
"""

from __future__ import annotations

from typing import Any

import polars as pl


def count_planted(planted: pl.DataFrame, judged: pl.DataFrame, dataset: pl.DataFrame) -> dict[str, Any] | None:
    """How many of the teacher's planted errors judging caught, and how many slipped through.

    Caught: the sample is not accepted. Returns None when the teacher keeps no such record.
    """
    if planted.is_empty():
        return None
    joined = judged.select("sample_id", "sample_status").join(planted, left_on="sample_id", right_on="generation_id", how="left")
    erring = joined.filter(pl.col("planted_error").is_not_null())
    sound = joined.filter(pl.col("planted_error").is_null())
    caught = erring.filter(pl.col("sample_status") != "accepted")
    trained = dataset.filter(pl.col("split") == "train").join(planted, left_on="sample_id", right_on="generation_id")
    return {
        "n_generations": judged.height,
        "n_planted": erring.height,
        "n_caught": caught.height,
        "n_slipped": erring.height - caught.height,
        "n_trained": trained.height,
        "n_sound": sound.height,
        "n_false_alarms": sound.filter(pl.col("sample_status") != "accepted").height,
        "by_kind": _count_by_kind(erring),
    }


def _count_by_kind(erring: pl.DataFrame) -> list[dict[str, Any]]:
    counts = (
        erring.group_by(pl.col("planted_error").alias("kind"))
        .agg(pl.len().alias("planted"), (pl.col("sample_status") != "accepted").sum().alias("caught"))
        .with_columns((pl.col("planted") - pl.col("caught")).alias("slipped"))
        .sort("kind")
    )
    return counts.to_dicts()


def count_funnel(generations: pl.DataFrame, judged: pl.DataFrame, dropped: pl.DataFrame, dataset: pl.DataFrame) -> dict[str, int]:
    """Rows from generation to training split, and why the others left."""
    reasons = {f"dropped: {name}": n for name, n in dropped["drop_reason"].value_counts().sort("drop_reason").iter_rows()}
    return {
        "generations": generations.height,
        "accepted by judging": judged.filter(pl.col("sample_status") == "accepted").height,
        **reasons,
        "in training_dataset": dataset.height,
        "trained on": dataset.filter(pl.col("split") == "train").height,
    }
