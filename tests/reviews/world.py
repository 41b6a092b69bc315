"""Judged samples and labels for the tests of reviewing: ids are hashes of a number, texts differ."""

from __future__ import annotations

import polars as pl

from distill_assets.identity import make_id
from distill_assets.reviews.labels import Label, name_text


def sample_id(number: int) -> str:
    return make_id("sample", number)


def make_samples(**counts: int) -> pl.DataFrame:
    """So many samples of each status."""
    statuses = [status for status, n in counts.items() for _ in range(n)]
    return pl.DataFrame(
        [
            {
                "sample_id": sample_id(i),
                "sample_status": status,
                "judged_status": status,
                "question": f"question {i}",
                "trace": None,
                "sql": f"SELECT {i}",
            }
            for i, status in enumerate(statuses)
        ],
        schema_overrides={"trace": pl.String},
    )


def make_label(number: int = 0, label: str = "accept", reviewer: str = "ann", **changes: str) -> Label:
    values = {
        "sample_id": sample_id(number),
        "reviewer": reviewer,
        "label": label,
        "labelled_at": "2026-11-21T10:00:00Z",
        "seen_status": "accepted",
        "drawn": "random",
        "text_id": name_text(f"question {number}", None, f"SELECT {number}"),
    }
    return Label.model_validate(values | changes)
