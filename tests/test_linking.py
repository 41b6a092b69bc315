"""Linking shows the student which stored values a question mentions."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.linking import MAX_HINTS, ValueIndex, build_index, link_values


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ValueIndex:
    file = tmp_path_factory.mktemp("db") / "x.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("""
            CREATE TABLE singers (name VARCHAR, country VARCHAR, born INTEGER);
            CREATE TABLE "tour dates" (city VARCHAR, country VARCHAR);
            INSERT INTO singers VALUES ('Fay O''Neill', 'Norway', 1980), ('Gus', NULL, 1990), ('York', 'New Zealand', 1), ('...', '', 2);
            INSERT INTO "tour dates" VALUES ('New York', 'Norway'), ('York', 'USA'), ('St. Ives', 'UK'), ('Straße', 'D');
        """)
    return build_index(file)


@pytest.mark.parametrize(
    ("question", "hints"),
    [
        ("singers from norway?", ["singers.country or tour dates.country = 'Norway'"]),
        ("SHOWS IN NEW YORK", ["tour dates.city = 'New York'"]),
        ("who is Fay O'Neill", ["singers.name = 'Fay O''Neill'"]),
        ("gigs in St. Ives.", ["tour dates.city = 'St. Ives'"]),
        ("gigs in Gus.", ["singers.name = 'Gus'"]),
        ("born in 1980", []),
        ("norwayish newyork", []),
        ("Norway and Norway", ["singers.country or tour dates.country = 'Norway'"]),
        ("", []),
        ("...?!", []),
    ],
)
def test_hints(index: ValueIndex, question: str, hints: list[str]):
    assert link_values(index, question) == hints


def test_the_longest_value_wins_and_order_is_the_questions(index: ValueIndex):
    assert link_values(index, "York, New York, Gus") == [
        "singers.name or tour dates.city = 'York'",
        "tour dates.city = 'New York'",
        "singers.name = 'Gus'",
    ]


def test_hints_are_few(index: ValueIndex):
    assert len(link_values(index, "Norway USA UK Gus York New Zealand")) == MAX_HINTS


def test_values_without_a_word_are_not_linked(index: ValueIndex):
    assert "" not in index.entries


@given(st.text())
def test_any_question_gives_hints_of_stored_values_only(index: ValueIndex, question: str):
    stored = {value.replace("'", "''") for places in index.entries.values() for _, value in places}
    assert all(hint.rpartition(" = ")[2][1:-1] in stored for hint in link_values(index, question))
