"""Marks are found anew only where the sample or what it is held against changed."""

from __future__ import annotations

import polars as pl

from distill_assets.curate.marks import build_marks
from distill_assets.curation import CurateSpec
from distill_assets.tables import HOLDOUT, JUDGED_SAMPLES, build_frame


def judged(*rows: tuple[str, str]) -> pl.DataFrame:
    """Rows of (sample_id, question)."""
    fixed = {"seed_id": "s", "database": "shop", "trace": None, "teacher": "t", "served_model": None, "sample_status": "accepted"}
    return build_frame(JUDGED_SAMPLES, [fixed | {"sample_id": id_, "question": question, "sql": "S"} for id_, question in rows])


def holdout(*questions: str) -> pl.DataFrame:
    rows = [{"item_id": f"h{i}", "database": "shop", "question": q, "gold_sql": "SELECT 1"} for i, q in enumerate(questions)]
    return build_frame(HOLDOUT, [row | {"gold_checked": 2} for row in rows])


def test_contamination_is_reused_while_rule_and_holdout_are_the_same():
    rows = judged(("a", "how many orders"), ("b", "who ships to York"))
    spec, items = CurateSpec(), holdout("how many orders")
    first, n_first = build_marks(rows, items, spec, None)
    again, n_again = build_marks(rows, items, spec, first)
    assert (n_first, n_again) == (0, 2)
    assert again.equals(first)
    mended, n_mended = build_marks(rows, holdout("who ships to York"), spec, first)
    assert n_mended == 0
    assert mended["contaminated_by"].to_list() == [None, "h0"]
    assert build_marks(rows, items, CurateSpec(contamination={"ngram": 3}), first)[1] == 0
