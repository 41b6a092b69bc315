"""The corpus_diversity table: measures of what is kept and, beside it, of all that was accepted, each with what is wrong."""

from __future__ import annotations

import polars as pl
import pytest

from distill_assets.curate.diversity.table import build_diversity
from distill_assets.curation import CollapseSpec
from distill_assets.tables import CORPUS_DIVERSITY, check_frame
from tests.curate.diversity.test_collapse import SEEDS, VARIED, make_corpus

ALL_VARIED = make_corpus(VARIED)
COPIES = make_corpus(VARIED[:30] * 10)
DEFAULT = CollapseSpec()
NO_BOUNDS = CollapseSpec(**dict.fromkeys(CollapseSpec.model_fields))


def build(kept: pl.DataFrame, accepted: pl.DataFrame, bounds: CollapseSpec = DEFAULT, seeds: list[str] = SEEDS) -> pl.DataFrame:
    frame = build_diversity(kept, accepted, seeds, bounds)
    check_frame(CORPUS_DIVERSITY, frame)
    return frame


def problems(frame: pl.DataFrame) -> set[tuple[str, str]]:
    return set(frame.filter(pl.col("problem").is_not_null()).select("slice_by", "metric").iter_rows())


def test_varied_samples_have_no_problem_and_every_slice_is_there():
    frame = build(ALL_VARIED, ALL_VARIED)
    assert problems(frame) == set()
    assert set(frame["slice_by"]) == {"whole", "teacher", "strategy", "database", "seeds", "whole_at_seeds", "whole_at", "accepted"}
    accepted, whole = (frame.filter(pl.col("slice_by") == name).select("metric", "value", "n") for name in ("accepted", "whole"))
    assert accepted.equals(whole), "nothing was dropped"


def test_a_collapse_is_told_of_what_is_kept_in_words_and_only_shown_of_what_was_accepted():
    collapsed = build(COPIES, ALL_VARIED)
    assert ("whole", "repeated_frac") in problems(collapsed) and ("database", "repeated_frac") in problems(collapsed)
    row = collapsed.filter((pl.col("slice_by") == "whole") & (pl.col("metric") == "repeated_frac")).row(0, named=True)
    assert row["problem"].startswith("90% of the questions repeat another one") and row["problem"].endswith("at most 0.2")
    mended = build(ALL_VARIED, pl.concat([ALL_VARIED, COPIES.with_columns(sample_id="copy" + pl.col("sample_id"))]))
    assert problems(mended) == set()
    shown = mended.filter((pl.col("slice_by") == "accepted") & (pl.col("metric") == "repeated_frac"))
    assert shown["value"][0] > 0.2


def test_bounds_that_are_null_and_too_few_rows_name_no_problem():
    assert problems(build(COPIES, COPIES, NO_BOUNDS)) == set()
    assert problems(build(COPIES.head(99), COPIES)) == set()


def test_a_loss_against_the_seeds_is_told_where_the_recipe_bounds_it():
    alike = make_corpus([f"Sure! Here is one for you: {text}" for text in VARIED])
    loose = NO_BOUNDS.model_copy(update={"max_loss_frac": 0.5})
    assert problems(build(alike, alike, NO_BOUNDS)) == set()
    assert ("whole_at_seeds", "opening_frac") in problems(build(alike, alike, loose))


def test_the_order_of_rows_and_seeds_decides_nothing():
    frame = build(COPIES, ALL_VARIED)
    shuffled = build(COPIES.sample(fraction=1, shuffle=True, seed=1), ALL_VARIED.reverse(), seeds=SEEDS[::-1])
    assert frame.equals(shuffled)


@pytest.mark.parametrize("n_kept", [0, 1, 19, 20])
def test_few_or_no_rows_make_a_table_that_says_less(n_kept: int):
    frame = build(ALL_VARIED.head(n_kept), ALL_VARIED.head(n_kept), seeds=[])
    assert frame.is_empty() == (n_kept < 20)


def test_hostile_texts_are_measured_and_a_missing_topic_is_no_row_of_its_own():
    texts = ["", " ", "?!", "…", "\u200b\u202e", "سؤال", "a" * 10_000_000, "\0", *VARIED[:100]]
    corpus = make_corpus(texts).with_columns(topic=pl.lit(None, pl.String))
    frame = build(corpus, corpus)
    whole = frame.filter(pl.col("slice_by") == "whole")
    assert whole.height and whole["value"].is_finite().all() and whole["n"].max() == len(texts)
    assert not [name for name in whole["metric"] if name.startswith("topic")]
    assert whole["example"].str.len_chars().max() <= 200
