"""Topics and example items are made of what the card says, and the items are right."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from distill_assets.databases import Schema, read_schema
from distill_assets.recipes.suggestions import make_example_items, make_topics, read_name

SCRIPT = """
CREATE TABLE doctors (id INTEGER PRIMARY KEY, name VARCHAR, "Specialty" VARCHAR, born DATE, span INTERVAL);
CREATE TABLE "order" (id INTEGER PRIMARY KEY, doctor_id INTEGER REFERENCES doctors (id), "unit price" DECIMAL(6,2), note VARCHAR);
CREATE TABLE empty_things (a INTEGER, b VARCHAR);
INSERT INTO doctors SELECT i, 'Dr ' || i, CASE WHEN i % 2 = 0 THEN 'Ear, Nose' ELSE 'd''Or' END, DATE '1970-01-01' + i::INTEGER,
  INTERVAL 1 DAY FROM range(1, 9) AS t (i);
INSERT INTO "order" SELECT i, 1 + i % 8, i * 1.5, 'note ' || i FROM range(1, 31) AS t (i);
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Schema]:
    file = tmp_path_factory.mktemp("db") / "odd.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(SCRIPT)
    return file, read_schema("odd", file)


def test_topics_name_counts_groups_amounts_dates_and_relations(built):
    texts = {row["text"] for row in make_topics(built[1])}
    assert {
        "how many doctors there are",
        "doctors by specialty",
        "doctors by year and month of born",
        "order per doctor",
        "unit price of order: total, average, highest and lowest",
        "how many empty things there are",
    } <= texts


def test_keys_names_free_texts_and_intervals_make_no_topic(built):
    words = " | ".join(row["text"] for row in make_topics(built[1]))
    for absent in (" id", "by name", "by note", "span", "a of empty", "things by b"):
        assert absent not in words


def test_topics_do_not_repeat_and_carry_the_database(built):
    rows = make_topics(built[1])
    assert len({row["text"] for row in rows}) == len(rows)
    assert {(row["database"], row["kind"]) for row in rows} == {("odd", "topic")}


def test_example_items_run_and_count_what_they_say(built):
    file, schema = built
    with duckdb.connect(str(file), read_only=True) as con:
        answers = {row["question"]: con.sql(row["gold_sql"]).fetchall()[0][0] for row in make_example_items(schema)}
    assert answers == {
        "How many doctors are there?": 8,
        "How many doctors have the specialty Ear, Nose?": 4,
        "How many order are there?": 30,
        "How many empty things are there?": 0,
    }


@pytest.mark.parametrize(
    ("name", "words"), [("order_items", "order items"), ("orderItems", "order items"), ("Unit Price", "unit price"), ("x", "x")]
)
def test_names_are_read_as_words(name, words):
    assert read_name(name) == words
