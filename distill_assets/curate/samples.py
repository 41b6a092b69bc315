"""What is curated: judged samples, and the ones that people wrote.

Belongs here: putting both into one frame, and the texts of a sample that are compared. Does not belong here: comparing.
"""

from __future__ import annotations

import polars as pl

from distill_assets.curation import TextField
from distill_assets.tables import JUDGED_SAMPLES

PEOPLE, REAL = "people", "real"


def gather_samples(judged: pl.DataFrame, real: pl.DataFrame | None) -> pl.DataFrame:
    """The columns of judged_samples and `is_real`, sorted by sample_id.

    Args:
        real: the real_samples table; None when the recipe names none. Its rows are accepted: their queries ran when they were read.
    """
    made = judged.with_columns(pl.lit(False).alias("is_real"))
    if real is None:
        return made.sort("sample_id")
    written = {
        "strategy": pl.lit(REAL), "teacher": pl.lit(PEOPLE), "sample_status": pl.lit("accepted"), "judged_status": pl.lit("accepted"),
        "is_shortcut": pl.lit(False), "cost_usd": pl.lit(0.0),
    }  # fmt: skip
    known = {name: pl.col(name) for name in ("sample_id", "database", "question", "sql")} | written
    columns = [known.get(name, pl.lit(None)).cast(field.dtype).alias(name) for name, field in JUDGED_SAMPLES.fields.items()]
    return pl.concat([made, real.select(*columns, pl.lit(True).alias("is_real"))]).sort("sample_id")


def take_accepted(samples: pl.DataFrame) -> pl.DataFrame:
    """Those that are compared: a rejected one must not stand for an accepted one."""
    return samples.filter(pl.col("sample_status") == "accepted")


def text_of(field: TextField) -> pl.Expr:
    """A sample's text in one field."""
    both = pl.concat_str("question", pl.lit("\n"), "sql")
    return {"question": pl.col("question"), "answer": pl.col("sql"), "both": both}[field].alias("text")
