"""Marks put findings together, the strongest first, and what depends on a sample alone is not found twice."""

from __future__ import annotations

import polars as pl

from distill_assets.curate.contamination import find_hits
from distill_assets.curate.decontaminate.items import gather_items
from distill_assets.curate.duplicates import mark_duplicates
from distill_assets.curate.marks import Findings, build_marks
from distill_assets.curate.samples import gather_samples, take_accepted
from distill_assets.curation import CurateSpec
from distill_assets.tables import HOLDOUT, JUDGED_SAMPLES, REAL_SAMPLES, build_frame

FIXED = {
    "seed_id": "s", "strategy": "write", "database": "shop", "trace": None, "teacher": "t", "served_model": None, "sample_status": "accepted",
    "judged_status": "accepted", "is_shortcut": False,
}  # fmt: skip


def judged(*rows: tuple[str, str], **columns: object) -> pl.DataFrame:
    """Rows of (sample_id, question)."""
    return build_frame(JUDGED_SAMPLES, [FIXED | columns | {"sample_id": id_, "question": q, "sql": "SELECT 1"} for id_, q in rows])


def holdout(*questions: str) -> pl.DataFrame:
    rows = [{"item_id": f"h{i}", "database": "shop", "question": q, "gold_sql": "SELECT 1"} for i, q in enumerate(questions)]
    return build_frame(HOLDOUT, [row | {"gold_checked": 2} for row in rows])


def mark(samples: pl.DataFrame, items: pl.DataFrame, spec: CurateSpec, previous: pl.DataFrame | None = None):
    hits = find_hits(samples, gather_items(items), spec.contamination).frame
    return build_marks(samples, Findings(mark_duplicates(samples, spec.duplicates).frame, hits), spec, previous)


def test_a_samples_own_marks_are_found_once():
    rows = gather_samples(judged(("a", "how many orders of 2023"), ("b", "who ships to York")), None)
    items, spec = holdout("a question that nobody asks of any shop at all"), CurateSpec()
    first = mark(rows, items, spec)
    more = gather_samples(judged(("a", "how many orders of 2023"), ("b", "who ships to York"), ("c", "list the regions")), None)
    again = mark(more, items, spec, first.frame)
    assert (first.n_reused, again.n_reused) == (0, 2)
    assert again.frame.equals(mark(more, items, spec).frame)
    assert first.frame["template"][0].startswith("shop | how many orders of ___")


def test_a_changed_holdout_marks_anew():
    rows = gather_samples(judged(("a", "how many orders are still open"), ("b", "who ships to York")), None)
    first = mark(rows, holdout("how many orders are still open"), CurateSpec())
    assert first.frame["contaminated_by"].to_list() == ["holdout:h0", None]
    assert first.frame["contamination_action"].to_list() == ["drop", None]
    mended = mark(rows, holdout("who ships to York"), CurateSpec(), first.frame)
    assert mended.frame["contaminated_by"].to_list() == [None, "holdout:h0"]


def test_the_first_field_with_a_finding_names_the_duplicate():
    rows = gather_samples(judged(("a", "how many orders"), ("b", "number of orders"), ("c", "How many orders?")), None)
    spec = CurateSpec(duplicates={"fields": ["question", "answer"]})
    marks = mark(rows, holdout("a question that nobody asks of any shop at all"), spec).frame
    assert marks.select("duplicate_of", "duplicate_field").rows() == [(None, None), ("a", "answer"), ("a", "question")]


def test_what_people_wrote_is_accepted_and_known_as_theirs():
    written = {"database": "shop", "question": "q", "sql": "SELECT 2", "licence": "CC0-1.0", "source_file": "real.jsonl"}
    real = build_frame(REAL_SAMPLES, [written | {"sample_id": "r"}])
    both = gather_samples(judged(("a", "how many orders"), ("b", "broken"), sample_status="rejected"), real)
    assert both.select("sample_id", "is_real").rows() == [("a", False), ("b", False), ("r", True)]
    [row] = take_accepted(both).rows(named=True)
    assert (row["teacher"], row["strategy"], row["seed_id"]) == ("people", "real", None)
