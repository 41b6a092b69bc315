"""An evaluation's figures as the ledger keeps them: one row a model and kind of item, with the version of what was asked.

Belongs here: that. Does not belong here: scoring or the report.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from distill_assets.identity import make_id
from distill_assets.intervals import wilson

BENCHMARKS = {"human": "holdout", "synthetic": "training_dataset/heldout"}
SCHEMA = {
    "evaluation_id": pl.String, "benchmark": pl.String, "version": pl.String, "digest": pl.String, "source": pl.String,
    "model_role": pl.String, "metric": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "n": pl.Int64,
}  # fmt: skip


def list_evaluations(results: pl.DataFrame, checkpoint_id: str, versions: Mapping[str, str]) -> pl.DataFrame:
    """Rows of SCHEMA.

    Args:
        results: eval_results. versions: human or synthetic -> data version of the table that the items come from.
    """
    rows = []
    groups = results.group_by("model_role", "source").agg(pl.col("is_correct").sum().alias("right"), pl.len().alias("n"))
    for role, source, right, n in groups.sort("model_role", "source").iter_rows():
        low, high = wilson(int(right), int(n))[3:]
        figure = {"benchmark": BENCHMARKS[source], "version": versions[source], "digest": versions[source], "source": source,
                  "model_role": role, "metric": "accuracy", "value": right / n, "low": low, "high": high, "n": n}  # fmt: skip
        rows.append({"evaluation_id": make_id("evaluation", checkpoint_id, figure), **figure})
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
