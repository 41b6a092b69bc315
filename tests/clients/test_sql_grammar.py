"""The embedded teacher's samples, executed: right ones run and return rows, planted ones differ."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import distill_assets
from distill_assets.clients.sql_grammar import write_sample
from distill_assets.clients.sql_grammar.mistakes import KINDS
from distill_assets.databases import Column, Schema, Table, read_schema

SCRIPTS = Path(distill_assets.__file__).parent / "recipes" / "text_to_sql" / "databases"
BARE = """
    CREATE TABLE author (author_id INTEGER PRIMARY KEY, full_name VARCHAR, country VARCHAR, born DATE);
    CREATE TABLE book (
        isbn VARCHAR PRIMARY KEY, title VARCHAR, author_id INTEGER REFERENCES author (author_id), genre VARCHAR,
        page_count INTEGER, list_price DOUBLE, is_translated BOOLEAN, published TIMESTAMP
    );
    INSERT INTO author SELECT i, 'Author ' || i, ['Peru', 'Chad', 'France'][1 + i % 3], DATE '1950-01-01' + (i * 400)::INTEGER
    FROM range(1, 21) AS t (i);
    INSERT INTO book SELECT 'X' || i, 'Book ' || i, 1 + i % 18, ['novel', 'poems', 'essay'][1 + i % 3], 80 + i * 7 % 400,
        5 + i * 3 % 40, i % 4 = 0, TIMESTAMP '1990-01-01 10:00:00' + to_days((i * 90)::INTEGER) FROM range(1, 121) AS t (i);
"""
ODD = """
    CREATE TABLE "Line Items 2024" (
        "Order" INTEGER, "Unit Price (€)" DOUBLE, "group" VARCHAR, "shipDate" DATE, "it's" VARCHAR, "select" INTEGER
    );
    INSERT INTO "Line Items 2024" SELECT i, i * 1.5, ['a ''b''', 'c (d)', 'e {f}'][1 + i % 3], DATE '2024-01-01' + i::INTEGER,
        'v' || i, i % 5 FROM range(1, 61) AS t (i);
"""


def build(folder: Path, name: str, script: str):
    """Build a database and return its card and an open connection."""
    path = folder / f"{name}.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(script)
    return read_schema(name, path), duckdb.connect(str(path), read_only=True)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Card and connection of the recipe's databases, an undocumented one and one with odd names."""
    folder = tmp_path_factory.mktemp("databases")
    scripts = {p.stem: p.read_text(encoding="utf-8") for p in SCRIPTS.glob("*.sql")} | {"bare": BARE, "odd": ODD}
    opened = {name: build(folder, name, script) for name, script in scripts.items()}
    yield opened
    for _, con in opened.values():
        con.close()


DATABASES = ("shop", "clinic", "bikeshare", "bare", "odd")


def write_many(schema, n, error_frac=0.0, text="", kind="topic"):
    """Write n samples from one seed."""
    return [write_sample(schema, text, kind, seed, error_frac) for seed in range(n)]


def is_empty(rows):
    """Tell whether a result holds nothing to look at."""
    return not rows or all(value is None for row in rows for value in row)


@pytest.mark.parametrize("name", DATABASES)
def test_right_samples_run_and_most_return_rows(worlds, name):
    schema, con = worlds[name]
    samples = write_many(schema, 1200)
    n_empty = sum(is_empty(con.execute(sample.sql).fetchall()) for sample in samples)
    assert n_empty <= 0.15 * len(samples)
    assert all(sample.planted_error is None for sample in samples)


@pytest.mark.parametrize("name", ("shop", "clinic", "bikeshare"))
def test_questions_vary(worlds, name):
    samples = write_many(worlds[name][0], 2000)
    counts = Counter(sample.question.lower().strip("?. ") for sample in samples)
    assert counts.most_common(1)[0][1] <= 20
    assert len(counts) > 1900
    assert len({sample.intent for sample in samples}) > 20


@pytest.mark.parametrize("name", DATABASES)
def test_questions_speak_no_sql(worlds, name):
    for sample in write_many(worlds[name][0], 800):
        assert not re.search(r"[a-z]_[a-z]", sample.question), sample.question
        assert not re.search(r"[{}|]", sample.question.replace("{f}", "")), sample.question
        assert "  " not in sample.question and sample.question == sample.question.strip()
        assert len(sample.question) < 260


def test_equal_arguments_give_equal_samples_and_seeds_differ(worlds):
    schema = worlds["shop"][0]
    assert write_many(schema, 50, 0.5) == write_many(schema, 50, 0.5)
    assert write_sample(schema, "a", "topic", 1, 0.0) != write_sample(schema, "b", "topic", 1, 0.0)
    assert write_sample(schema, "a", "topic", 1, 0.0) != write_sample(schema, "a", "topic", 2, 0.0)


def test_errors_are_planted_at_the_asked_rate_and_recorded(worlds):
    schema, con = worlds["clinic"]
    samples = write_many(schema, 3000, 0.1)
    n_planted = sum(sample.planted_error is not None for sample in samples)
    assert abs(n_planted - 300) < 4 * (3000 * 0.1 * 0.9) ** 0.5
    assert {sample.planted_error for sample in samples} == {None, *KINDS}
    for sample in samples:
        if sample.planted_error in ("broken_syntax", "unknown_column"):
            with pytest.raises(duckdb.ParserException if sample.planted_error == "broken_syntax" else duckdb.BinderException):
                con.execute(sample.sql)
        else:
            con.execute(sample.sql)


def test_a_planted_error_changes_the_sql_or_the_reasoning_and_nothing_else(worlds):
    schema = worlds["bikeshare"][0]
    for seed in range(600):
        right, wrong = (write_sample(schema, "", "topic", seed, frac) for frac in (0.0, 1.0))
        assert (right.question, right.intent) == (wrong.question, wrong.intent)
        if wrong.planted_error == "contradicting_reasoning":
            assert wrong.sql == right.sql and wrong.reasoning != right.reasoning
        else:
            assert wrong.sql != right.sql


def test_a_topic_pulls_tables_and_columns(worlds):
    schema = worlds["shop"][0]

    def share(text, word):
        return sum(word in sample.sql for sample in write_many(schema, 400, text=text)) / 400

    assert share("inventory of articles", "stock") > 2 * share("", "stock") > 0
    assert share("inventory of articles", "products") > 1.5 * share("customers and their loyalty balance", "products")
    assert 0 < share("zebras and quarks", "products") < 1


def test_a_question_pulls_the_intent(worlds):
    schema = worlds["clinic"][0]

    def share(text, intent):
        return sum(intent in sample.intent for sample in write_many(schema, 400, text=text, kind="question")) / 400

    assert share("average fee for each doctor", "group") > 2 * share("which patients live in Salem", "group")
    assert share("how many visits did Felix Baptiste make", "count") > 1.5 * share("oldest patient", "count")


@pytest.mark.parametrize("name", DATABASES)
def test_sql_is_canonical(worlds, name):
    for sample in write_many(worlds[name][0], 400):
        assert (
            sample.sql.startswith("SELECT ") and " AS " not in sample.sql.replace(" AS DATE)", "") and "SELECT *" not in sample.sql
        )
        assert sample.reasoning.startswith("1. ") and 2 <= len(re.findall(r"(?:^| )\d\. ", sample.reasoning)) <= 4


_VALUES = {
    "INTEGER": st.integers(-50, 3000).map(str),
    "DOUBLE": st.floats(-1e6, 1e6).map(lambda x: f"{x:.2f}") | st.sampled_from(["nan", "inf", "1e+20"]),
    "DATE": st.dates().map(str) | st.just("infinity"),
    "TIMESTAMP": st.datetimes().map(lambda t: t.isoformat(sep=" ")),
    "BOOLEAN": st.sampled_from(["True", "False"]),
    "VARCHAR": st.text(max_size=12),
    "TIME": st.just("10:00:00"),
    "INTEGER[]": st.just("[1, 2]"),
}
_NAMES = st.sampled_from(
    ["name", "price", "birth_year", "is_new", "city", "started", "a b", "Order", "minutes", "rating", "x"]
) | st.text(min_size=1, max_size=10)


@st.composite
def cards(draw):
    """A card of one to three tables with any columns, values and keys."""
    names = draw(st.lists(_NAMES, min_size=1, max_size=3, unique_by=str.lower))
    tables = []
    for name in names:
        columns = [Column("id", "INTEGER", "", ("1", "2"), 2, True, None)] if draw(st.booleans()) else []
        for column in draw(st.lists(_NAMES, min_size=1, max_size=4, unique_by=str.lower)):
            type_ = draw(st.sampled_from(sorted(_VALUES)))
            values = tuple(sorted(draw(st.lists(_VALUES[type_], max_size=4, unique=True))))
            target = draw(st.none() | st.sampled_from([f"{other}.id" for other in names]))
            columns.append(
                Column(
                    column, type_, draw(st.text(max_size=20)), values, len(values), False, target if type_ == "INTEGER" else None
                )
            )
        tables.append(Table(name, draw(st.sampled_from(["", "a person; also: member"])), 9, tuple(columns)))
    return Schema("any", tuple(tables))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cards(), st.integers(0, 10**9))
def test_any_card_gives_sql_that_parses(schema, seed):
    _assert_it_parses(schema, seed)


def test_a_year_that_is_not_whole_is_a_number() -> None:
    born = Column("birth_year", "DOUBLE", "", ("0.00", "1970.50"), 2, False, None)
    for seed in range(40):
        _assert_it_parses(Schema("any", (Table("people", "", 9, (born,)),)), seed)


def _assert_it_parses(schema, seed):
    for step in range(6):
        sample = write_sample(schema, "most x per city", "question", seed + step, 0.0)
        assert len(duckdb.extract_statements(sample.sql)) == 1
        assert sample.question.strip() and sample.reasoning
