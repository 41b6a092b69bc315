"""Findings side by side: some of each kind, always the same ones, with the right text beside each."""

from __future__ import annotations

import polars as pl

from distill_assets.curate.contamination import CUT_RULE, find_hits
from distill_assets.curate.decontaminate.items import gather_items
from distill_assets.curate.duplicates import mark_duplicates
from distill_assets.curate.samples import gather_samples, take_accepted
from distill_assets.curate.sides import BAND_PAIRS, PER_KIND, pair_band, pair_duplicates, pair_hits
from distill_assets.curation import ContaminationSpec, DuplicatesSpec
from distill_assets.tables import CONTAMINATION_HITS, DUPLICATES, build_frame
from tests.curate.test_samples import judged

SPEC = DuplicatesSpec(fields=("question", "answer"))
WORDS = ("orders", "customers", "trips", "bikes", "riders", "visits", "doctors", "stations")
ITEM = "how many of the orders that came in during May were sent back by riders"


def texts() -> dict[str, tuple[str, str]]:
    """Pairs of an exact, a normalised and a near copy for each word, and pairs below the threshold."""
    rows = {}
    for n, word in enumerate(WORDS):
        base = f"which {word} had the highest cost of all that we saw there in the north"
        variants = (base, f"{base} ", base.upper() + "?", f"{base} again", f"{base} with nobody else around")
        rows |= {f"{n:02d}{place}": (text, f"SELECT a FROM {word}") for place, text in enumerate(variants)}
    return rows


def frame(rows: dict[str, tuple[str, str]]) -> pl.DataFrame:
    return take_accepted(gather_samples(judged(*({"sample_id": i, "question": q, "sql": s} for i, (q, s) in rows.items())), None))


def test_some_duplicates_of_each_kind_stand_beside_the_sample_that_stays():
    samples = frame(texts())
    marks = mark_duplicates(samples, SPEC).frame
    shown = pair_duplicates(marks, samples)
    counts = marks.group_by("field", "duplicate_kind").len()
    assert set(counts["duplicate_kind"]) == {"exact", "normalized", "near"}
    expected = {(field, kind): min(n, PER_KIND) for field, kind, n in counts.iter_rows()}
    assert {(field, kind): n for field, kind, n in shown.group_by("field", "duplicate_kind").len().iter_rows()} == expected
    for row in shown.iter_rows(named=True):
        assert row["question"] == texts()[row["sample_id"]][0] and row["question_of_other"] == texts()[row["duplicate_of"]][0]
        assert row["sql_of_other"] == texts()[row["duplicate_of"]][1]
    assert pair_duplicates(marks.sample(fraction=1, shuffle=True, seed=3), samples.reverse()).equals(shown)


def test_pairs_just_below_the_threshold_both_stay_and_are_alike():
    samples = frame(texts())
    spec = DuplicatesSpec(review_jaccard=0.4)
    marks = mark_duplicates(samples, spec).frame
    band = pair_band(samples, marks, spec)
    assert 0 < band.height <= BAND_PAIRS
    assert band["similarity"].is_between(0.4, 0.7).all() and band["similarity"].is_sorted(descending=True)
    assert not set(band["sample_id"]) & set(marks["sample_id"]) and not set(band["other_id"]) & set(marks["sample_id"])
    assert all(row["text"] == texts()[row["sample_id"]][0] for row in band.iter_rows(named=True))
    assert pair_band(samples.reverse(), marks, spec).equals(band)


def test_hits_stand_beside_their_item_and_one_without_an_item_is_shown_too():
    samples = frame({"a": (ITEM, "SELECT 1"), "b": (f"{ITEM} please", "SELECT 2"), "c": ("list the regions", "SELECT 3")})
    items = pl.DataFrame(
        {"benchmark": ["quiz"], "item_id": ["i"], "question": [ITEM], "answer": [None], "choices": [None]},
        schema_overrides={"answer": pl.String, "choices": pl.String},
    )
    found = find_hits(samples, items, ContaminationSpec()).frame
    cut = {"sample_id": "c", "field": "question", "benchmark": "any", "item_id": "any", "rule": CUT_RULE, "action": "drop"}
    hits = pl.concat([found, build_frame(CONTAMINATION_HITS, [cut])])
    shown = pair_hits(hits, samples, items)
    assert dict(shown.select("sample_id", "item").iter_rows()) == {"a": ITEM, "b": ITEM, "c": None}
    assert dict(shown.select("sample_id", "question").iter_rows())["c"] == "list the regions"


def test_nothing_found_is_nothing_shown():
    for samples in (frame({}), frame({"a": ("", "SELECT 1")}), frame({"a": ("?!", ""), "b": ("…", "")})):
        assert pair_duplicates(build_frame(DUPLICATES, []), samples).is_empty()
        assert pair_band(samples, build_frame(DUPLICATES, []), SPEC).is_empty()
        assert pair_hits(build_frame(CONTAMINATION_HITS, []), samples, gather_items(*holdout())).is_empty()


def holdout() -> tuple[pl.DataFrame]:
    return (pl.DataFrame({"item_id": ["h"], "question": ["how many"], "gold_sql": ["SELECT 1"]}),)


def test_a_huge_text_is_paired_like_any_other():
    big = " ".join(f"word{i % 5_000}" for i in range(1_200_000))
    samples = frame({"a": (big, "SELECT 1"), "b": (big + " more", "SELECT 1"), "c": ("short", "SELECT 1")})
    assert len(big) > 10_000_000
    marks = mark_duplicates(samples, DuplicatesSpec()).frame
    assert pair_duplicates(marks, samples)["sample_id"].to_list() == ["b"]
    assert pair_band(samples, marks, DuplicatesSpec()).is_empty()
