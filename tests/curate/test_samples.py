"""What is curated: both kinds of samples in one frame, and the texts that are compared."""

from __future__ import annotations

import polars as pl
import pytest

from distill_assets.curate.samples import gather_samples, take_accepted, text_of
from distill_assets.tables import JUDGED_SAMPLES, REAL_SAMPLES, build_frame

MADE = {
    "seed_id": "s", "strategy": "write", "database": "shop", "question": "q", "sql": "SELECT 1", "teacher": "t", "sample_status": "accepted",
    "judged_status": "accepted", "is_shortcut": False, "critic_score": 0.5,
}  # fmt: skip
WRITTEN = {"database": "shop", "question": "r", "sql": "SELECT 2", "licence": "CC0-1.0", "source_file": "real.jsonl"}


def judged(*rows: dict) -> pl.DataFrame:
    return build_frame(JUDGED_SAMPLES, [MADE | row for row in rows])


def real(*rows: dict) -> pl.DataFrame:
    return build_frame(REAL_SAMPLES, [WRITTEN | row for row in rows])


def test_both_kinds_have_the_columns_of_judged_samples_sorted_by_id():
    both = gather_samples(judged({"sample_id": "c"}, {"sample_id": "a"}), real({"sample_id": "b"}, {"sample_id": "d"}))
    assert both.schema == {**judged().schema, "is_real": pl.Boolean}
    assert both.select("sample_id", "is_real").rows() == [("a", False), ("b", True), ("c", False), ("d", True)]
    written = both.row(1, named=True)
    assert {name for name, value in written.items() if value is None} >= {"seed_id", "critic_score", "quality_score", "trace"}
    assert (written["question"], written["sql"], written["sample_status"], written["cost_usd"]) == (
        "r",
        "SELECT 2",
        "accepted",
        0.0,
    )


@pytest.mark.parametrize("n_made", [0, 2])
@pytest.mark.parametrize("n_real", [None, 0, 2])
def test_either_kind_may_be_empty_or_absent(n_made: int, n_real: int | None):
    made = judged(*({"sample_id": f"a{i}"} for i in range(n_made)))
    written = None if n_real is None else real(*({"sample_id": f"b{i}"} for i in range(n_real)))
    both = gather_samples(made, written)
    assert both.height == n_made + (n_real or 0) and both["is_real"].sum() == (n_real or 0)
    assert take_accepted(both).equals(both)


def test_what_was_not_accepted_is_not_compared():
    rows = judged(
        {"sample_id": "a", "sample_status": "rejected"}, {"sample_id": "b", "sample_status": "unscored", "question": None}
    )
    assert take_accepted(gather_samples(rows, real({"sample_id": "c"})))["sample_id"].to_list() == ["c"]


def test_the_text_of_each_field():
    frame = pl.DataFrame({"question": ["how many"], "sql": ["SELECT 1"]})
    found = {field: frame.select(text_of(field)).to_series() for field in ("question", "answer", "both")}
    assert {series.name for series in found.values()} == {"text"}
    assert {field: series[0] for field, series in found.items()} == {
        "question": "how many", "answer": "SELECT 1", "both": "how many\nSELECT 1",
    }  # fmt: skip
