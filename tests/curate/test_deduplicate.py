"""Duplicates: folded questions are exact; near ones are alike in words and equal in literals."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.deduplicate.first_rule import bigrams, find_literals, mark_duplicates


def frame(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=["sample_id", "database", "question", "sql"], orient="row")


def kinds(*rows: tuple[str, str], threshold: float = 0.7) -> list[str]:
    """Kinds of the marks of rows (question, sql) in one database."""
    marks = mark_duplicates(frame(*[(f"s{i}", "shop", q, sql) for i, (q, sql) in enumerate(rows)]), threshold)
    return sorted(mark.kind for mark in marks.values())


@pytest.mark.parametrize("other", ["How many orders?", "  how MANY\torders ", "how, many: orders!"])
def test_case_punctuation_and_space_make_no_difference(other: str):
    assert kinds(("how many orders", "SELECT 1"), (other, "SELECT 2")) == ["exact"]


LONG = "how many orders did we ship to York in the year {}"


@pytest.mark.parametrize(
    ("one", "two", "found"),
    [
        (("how many orders did we ship to York", "S"), ("how many orders did we ship to York now", "S"), ["near"]),
        ((LONG.format(2023), "WHERE y = 2023"), (LONG.format(2024), "WHERE y = 2024"), []),
        ((LONG.format("2023"), "WHERE y = 2023"), (LONG.format("2023 please"), "WHERE 2023 = y"), ["near"]),
        (("list the orders that went to York", "c = 'York'"), ("list the orders that went to Bath", "c = 'Bath'"), []),
        (("how many orders", "S"), ("list all customers by name", "S"), []),
    ],
)
def test_near_duplicates_are_alike_in_words_and_equal_in_literals(one, two, found):
    assert kinds(one, two) == found


def test_the_threshold_is_reached_and_not_only_passed():
    # 4 words have 5 two-grams with the ends; one word more shares 4 of 7.
    rows = (("a b c d", "S"), ("a b c d e", "S"))
    similarity = len(bigrams("a b c d") & bigrams("a b c d e")) / len(bigrams("a b c d") | bigrams("a b c d e"))
    assert kinds(*rows, threshold=similarity) == ["near"]
    assert kinds(*rows, threshold=similarity + 0.001) == []


def test_another_database_is_another_task():
    marks = mark_duplicates(frame(("a", "shop", "how many", "S"), ("b", "clinic", "how many", "S")), 0.7)
    assert marks == {}


def test_a_representative_is_never_marked_itself_so_there_are_no_chains():
    chain = ["a b c d e f g h", "a b c d e f g i", "a b c d e f j i", "a b c d e k j i", "a b c d l k j i"]
    marks = mark_duplicates(frame(*[(f"s{i}", "shop", q, "S") for i, q in enumerate(chain)]), 0.5)
    assert marks
    assert not {mark.duplicate_of for mark in marks.values()} & set(marks)
    assert all(mark.similarity >= 0.5 for mark in marks.values())


QUESTIONS = st.lists(st.lists(st.sampled_from("abcd"), max_size=7).map(" ".join), min_size=1, max_size=12)


@settings(deadline=None, max_examples=80)
@given(QUESTIONS, st.randoms())
def test_marks_are_free_of_row_order(questions, random):
    rows = [(f"s{i}", "shop", question, f"SELECT {i % 2}") for i, question in enumerate(questions)]
    assert mark_duplicates(frame(*rows), 0.6) == mark_duplicates(frame(*random.sample(rows, len(rows))), 0.6)


@settings(deadline=None, max_examples=80)
@given(QUESTIONS)
def test_of_questions_with_the_same_two_grams_one_is_left(questions):
    rows = [(f"s{i}", "shop", question, "S") for i, question in enumerate(questions)]
    marks = mark_duplicates(frame(*rows), 1.0)
    left = [bigrams(question) for id_, _, question, _ in rows if id_ not in marks]
    assert len(left) == len(set(left))
    assert set(left) == {bigrams(question) for question in questions}


@pytest.mark.parametrize(
    ("sql", "literals"),
    [
        ("SELECT a1 FROM t2 WHERE b = 'it''s' AND c > 3.5", "'it''s' 3.5"),
        ("SELECT 'a b', 'A'", "'A' 'a b'"),
        ("SELECT x FROM t LIMIT 10", "10"),
        ("SELECT x FROM t", ""),
    ],
)
def test_literals_are_strings_and_numbers_but_not_names(sql: str, literals: str):
    assert find_literals(sql) == literals
