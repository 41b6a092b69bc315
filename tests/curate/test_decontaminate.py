"""Decontamination: whole questions, n-grams, and short items that have no n-gram."""

from __future__ import annotations

import polars as pl
import pytest

from distill_assets.curate.decontaminate import build_holdout_index, find_contamination
from distill_assets.errors import ContaminationError
from distill_assets.tables import HOLDOUT, build_frame


def holdout(*questions: str) -> pl.DataFrame:
    rows = [{"item_id": f"h{i}", "database": "shop", "question": q, "gold_sql": "S"} for i, q in enumerate(questions)]
    return build_frame(HOLDOUT, [row | {"gold_checked": 2} for row in rows])


LONG = "which of our customers in York ordered more than ten lamps last year"
INDEX = build_holdout_index(holdout(LONG, "total sales", "orders per city please"), 8)


@pytest.mark.parametrize(
    ("question", "rule", "item"),
    [
        (LONG, "same_question", "h0"),
        (LONG.upper() + "?!", "same_question", "h0"),
        ("Tell me: customers in York ordered more than ten lamps?", "8_gram", "h0"),
        ("Total sales?", "same_question", "h1"),
        ("show me the orders per city please and sort them", "contains_question", "h2"),
        ("orders per city, please", "same_question", "h2"),
    ],
)
def test_overlap_is_found_with_its_rule_and_item(question: str, rule: str, item: str):
    hit = find_contamination(INDEX, question)
    assert (hit.rule, hit.item_id) == (rule, item)
    assert hit.span in question.lower().replace(",", "").replace(":", "")


@pytest.mark.parametrize(
    "question",
    [
        "which of our customers in York ordered ten lamps",  # seven words in a row, then others
        "total sales per city",  # two words alone are not a holdout item
        "orders per town please",
        "",
    ],
)
def test_what_only_sounds_alike_is_kept(question: str):
    assert find_contamination(INDEX, question) is None


@pytest.mark.parametrize("n_words", range(1, 12))
def test_an_item_of_any_length_is_protected_against_itself(n_words: int):
    question = " ".join(f"w{i}" for i in range(n_words))
    assert find_contamination(build_holdout_index(holdout(question), 8), question).item_id == "h0"


@pytest.mark.parametrize("n_words", range(4, 12))
def test_an_item_of_four_words_and_more_is_protected_inside_a_longer_question(n_words: int):
    question = " ".join(f"w{i}" for i in range(n_words))
    assert find_contamination(build_holdout_index(holdout(question), 8), f"please say {question} now").item_id == "h0"


@pytest.mark.parametrize("question", ["", "?!", "  "])
def test_an_item_without_a_word_stops_the_run(question: str):
    with pytest.raises(ContaminationError, match=r"holdout item h0 .* has no word.*does not skip rows"):
        build_holdout_index(holdout(question), 8)


def test_letters_of_any_script_count():
    index = build_holdout_index(holdout("заказы по городам за год", "注文"), 8)
    assert find_contamination(index, "Заказы по городам за год!").item_id == "h0"
    assert find_contamination(index, "注文").item_id == "h1"
