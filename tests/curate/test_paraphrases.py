"""What follows from closeness: drop, review, or what the arbiter said; a judgement that failed keeps the sample out."""

from __future__ import annotations

import polars as pl
import pytest

from distill_assets.curate.arbiter import VERDICT_SCHEMA
from distill_assets.curate.neighbours import NEAR_SCHEMA
from distill_assets.curate.paraphrases import (
    FINDING_SCHEMA,
    Texts,
    cut_window,
    has_same_numbers,
    judge_closeness,
    settle_neighbours,
)
from distill_assets.curation import ContaminationSpec

SPEC = ContaminationSpec(cosine=0.85, review_cosine=0.75)
ITEM = "Tom has 12 pens and gives 5 away. How many are left?"
TEXTS = Texts(
    {
        "close": "anything",
        "numbers": "After giving five of his 12 pens away, how many pens does Tom have?",
        "topic": "Ann has 30 pens and buys 7. How many has she?",
        "far": "unrelated",
    },
    {("maths", "i1"): ITEM, ("maths", "i2"): "Name the capital."},
)


def make_near(*rows: tuple) -> pl.DataFrame:
    full = [(document, "maths", item, cosine, 0, len(TEXTS.documents[document])) for document, item, cosine in rows]
    return pl.DataFrame(full, schema=NEAR_SCHEMA, orient="row")


NEAR = make_near(("close", "i1", 0.85), ("close", "i2", 0.8), ("numbers", "i1", 0.76), ("topic", "i1", 0.84), ("far", "i1", 0.7))


def give_verdict(*rows: tuple[str, str]) -> pl.DataFrame:
    full = [(document, "maths", "i1", verdict, "because") for document, verdict in rows]
    return pl.DataFrame(full, schema=VERDICT_SCHEMA, orient="row")


def list_findings(verdicts: pl.DataFrame | None) -> list[tuple]:
    found = settle_neighbours(judge_closeness(NEAR, SPEC, TEXTS), verdicts, TEXTS)
    assert dict(found.schema) == FINDING_SCHEMA
    return found.select("document_id", "item_id", "rule", "action").rows()


SURE = [("close", "i1", "embedding", "drop"), ("numbers", "i1", "embedding_numbers", "drop")]


def test_the_pairs_that_need_a_judgement_are_those_of_the_band_of_unsettled_documents():
    judged = judge_closeness(NEAR, SPEC, TEXTS)
    assert judged.select("document_id", "item_id", "rule").rows() == [
        ("close", "i1", "embedding"), ("numbers", "i1", "embedding_numbers"), ("topic", "i1", None),
    ]  # fmt: skip


def test_without_an_arbiter_the_band_is_for_people():
    assert list_findings(None) == [*SURE, ("topic", "i1", "embedding", "review")]


@pytest.mark.parametrize(
    ("verdicts", "rows"),
    [
        (give_verdict(("topic", "clean")), []),
        (give_verdict(("topic", "leak")), [("topic", "i1", "arbiter", "drop")]),
        (give_verdict(("topic", "unscored")), [("topic", "i1", "arbiter_failed", "drop")]),
        (give_verdict(), [("topic", "i1", "arbiter_failed", "drop")]),
        (give_verdict(("close", "clean"), ("numbers", "clean"), ("topic", "clean")), []),
    ],
)
def test_with_an_arbiter_only_what_it_cleared_passes(verdicts: pl.DataFrame, rows: list[tuple]):
    assert list_findings(verdicts) == [*SURE, *rows]


def test_a_finding_carries_the_cosine_and_names_the_window_of_a_long_text():
    long = "x" * 600 + " " + ITEM
    texts = Texts({"long": long}, TEXTS.items)
    near = pl.DataFrame([("long", "maths", "i1", 0.9, 601, len(long))], schema=NEAR_SCHEMA, orient="row")
    [finding] = settle_neighbours(judge_closeness(near, SPEC, texts), None, texts).rows(named=True)
    assert (finding["coverage_frac"], finding["span"], finding["reason"]) == (0.9, ITEM, None)
    assert settle_neighbours(judge_closeness(NEAR, SPEC, TEXTS), None, TEXTS)["span"].null_count() == 3


def test_nothing_near_is_nothing_found():
    for verdicts in (None, give_verdict()):
        found = settle_neighbours(judge_closeness(NEAR.clear(), SPEC, TEXTS), verdicts, TEXTS)
        assert found.is_empty() and dict(found.schema) == FINDING_SCHEMA


@pytest.mark.parametrize(
    ("left", "right", "is_same"),
    [
        ("12 pens and five", "5 of 12", True),
        ("12 pens", "12 pens", False),
        ("no number", "none here either", False),
        ("1 2 3 4", "1 2 3 4 5", True),
        ("1 2", "1 2 3", False),
        ("30 and 7", ITEM, False),
    ],
)
def test_the_same_numbers_are_at_least_two_and_nearly_all(left: str, right: str, is_same: bool):
    assert has_same_numbers(left, right) is has_same_numbers(right, left) is is_same


def test_a_window_that_is_the_whole_text_is_the_text_as_written():
    assert cut_window(" “How many?” ", 2, 11) == " “How many?” "  # folded: "  how many?  "
    assert cut_window("abc def", 4, 7) == "def"
    assert cut_window("", 0, 0) == ""
