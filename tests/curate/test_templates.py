"""Templates: what is left of a sample when names, numbers and values are taken out; and queries taken apart for it."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.queries import MAX_PARSED_CHARS, list_tables, make_skeleton, mask_query, parse_query
from distill_assets.curate.templates import find_templates, mask_question


def samples(*rows: tuple[str | None, str | None], database: str = "shop") -> pl.DataFrame:
    """Rows of (question, sql)."""
    schema = {"sample_id": pl.String, "database": pl.String, "question": pl.String, "sql": pl.String}
    return pl.DataFrame([(f"{i:03d}", database, q, sql) for i, (q, sql) in enumerate(rows)], schema=schema, orient="row")


def skeleton(sql: str) -> str:
    return make_skeleton(mask_query(sql).text)


@pytest.mark.parametrize(
    ("question", "literals", "masked"),
    [
        ("how many customers live in Leeds?", (), "how many customers live in ___"),
        ("how many customers live in leeds?", ("Leeds",), "how many customers live in ___"),
        ("Orders for the oak side table", ("Oak Side Table",), "Orders for the ___ ___ ___"),
        ("orders over 12 or twelve", (), "orders over ___ or ___"),
        ("which one has one star", ("1",), "which ___ has ___ star"),
        ("which one is it", (), "which one is it"),
        ("placed on 3 May 2024", ("May",), "placed on ___ ___ ___"),
        ("joined in Aug 2024", (), "joined in ___ ___"),
        ('books called "War and Peace" by him', (), "books called ___ by him"),
        ("boxes of 10kg", (), "boxes of ___ kg"),
        ("We told it to Bob. Bob knows it", (), "We told it to ___ ___ knows it"),
        ("List The Customers By City", (), "List The Customers By City"),
        ("and then I left", (), "and then I left"),
        ("2024年の注文", (), "___ 年の注文"),
    ],
)
def test_what_is_masked_in_a_question(question, literals, masked):
    assert mask_question(question, literals) == masked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t WHERE b = 'x''y'", "select A from T where B='z'"),
        ("SELECT c.name FROM customers AS c WHERE c.points > 5", "SELECT name FROM customers WHERE points > 71.5"),
        (
            "SELECT o.id FROM orders o JOIN customers c ON o.customer_id = c.id",
            "SELECT orders.id FROM orders JOIN customers ON orders.customer_id = customers.id",
        ),
        ("SELECT a FROM t WHERE b IN (1, 2, 3)", "SELECT a FROM t WHERE b IN (4)"),
        ("SELECT COUNT(*) AS n FROM t GROUP BY b ORDER BY n", "SELECT COUNT(*) AS total FROM t GROUP BY b ORDER BY total"),
        ("SELECT a FROM t WHERE b > -3", "SELECT a FROM t WHERE b > 3 -- not negative"),
        ("SELECT a FROM t WHERE d >= DATE '2024-09-01' LIMIT 3;", "SELECT a FROM t WHERE d >= DATE '2020-01-01' LIMIT 10"),
    ],
)
def test_queries_with_one_skeleton(one, other):
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t", "SELECT b FROM t"),
        ("SELECT a FROM t", "SELECT a FROM u"),
        ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b > 1"),
        ("SELECT MIN(a) FROM t", "SELECT MAX(a) FROM t"),
        ("SELECT year(sold) AS sold FROM t", "SELECT year(shipped) AS shipped FROM t"),
        ("SELECT x.a FROM t x JOIN t y ON x.b = y.c", "SELECT y.a FROM t x JOIN t y ON x.b = y.c"),
    ],
)
def test_queries_with_other_skeletons(one, other):
    assert skeleton(one) != skeleton(other)


def test_the_skeleton_of_a_query_reads_as_sql():
    found = skeleton("SELECT x.a FROM t AS x JOIN t AS y ON x.b = y.c WHERE x.d IN (1, 2) AND y.e = -4")
    assert found == "SELECT t_1.a FROM t AS t_1 JOIN t AS t_2 ON t_1.b = t_2.c WHERE t_1.d IN (?) AND t_2.e = ?"
    assert make_skeleton(found.replace("?", "0")) == found


def test_literals_of_a_query():
    masked = mask_query("SELECT t1.a2 FROM t1 WHERE b = 'it''s' AND \"c 3\" > 4.5 /* 6 */ -- 7")
    assert masked.literals == ("it's", "4.5")
    assert masked.text == "SELECT t1.a2 FROM t1 WHERE b = '0' AND \"c 3\" > 0"


def test_tables_are_those_that_are_stored():
    tree = parse_query("WITH recent AS (SELECT * FROM Orders) SELECT 1 FROM recent JOIN customers ON TRUE JOIN orders o ON TRUE")
    assert list_tables(tree) == ["customers", "orders"]


def test_samples_of_one_template_and_of_others():
    found = find_templates(
        samples(
            ("How many customers live in Leeds?", "SELECT COUNT(*) FROM customers WHERE city = 'Leeds'"),
            ("how many customers live in new york", "SELECT COUNT(*) FROM customers AS c WHERE c.city = 'New York'"),
            ("how many customers live in York", "SELECT COUNT(*) FROM customers WHERE town = 'York'"),
            ("who lives in York", "SELECT COUNT(*) FROM customers WHERE city = 'York'"),
            ("how many customers live in York", None),
        )
    )
    ids, skeletons = found["template_id"].to_list(), found["skeleton_id"].to_list()
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert skeletons[0] == skeletons[1] == skeletons[3]
    assert skeletons[2] != skeletons[0]
    assert skeletons[4] is None
    assert found["template"][0] == "shop | how many customers live in ___ | SELECT COUNT(*) FROM customers WHERE city = ?"
    assert found["template"][4] == "shop | how many customers live in ___"


def test_another_database_is_another_template():
    row = ("how many", "SELECT COUNT(*) FROM t")
    one, other = find_templates(samples(row)), find_templates(samples(row, database="clinic"))
    assert one["template_id"][0] != other["template_id"][0]


HOSTILE = (
    "", " ", "\x00", "'" * 9001, '"' * 9001, "/*" * 5000, "(" * 5000, "SELECT " + "(" * 3000 + "1" + ")" * 3000, "SELECT 'abc",
    "SELECT 1; DROP TABLE t", "DROP TABLE t", "CASE WHEN " * 1900, "SELECT 1" + "+1" * 4000, "\u202eevil\u200b", "x" * 10_000_000,
    "1 " * 2_000_000, "日本語 2024",
)  # fmt: skip


def test_hostile_texts_have_templates_too():
    """Nothing crashes, nothing is lost, nothing that is written is longer than a few times what is read."""
    rows = samples(*((text, text) for text in HOSTILE), *((text, None) for text in HOSTILE), (None, None), (None, "SELECT 1"))
    found = find_templates(rows)
    assert found.height == rows.height
    assert found.select("template_id", "template").null_count().sum_horizontal()[0] == 0
    assert found["template"].str.len_chars().max() < 10 * MAX_PARSED_CHARS


def test_long_texts_that_differ_at_their_end_have_other_templates():
    long = "word " * 10_000
    found = find_templates(samples((long + "a", None), (long + "b", None), ("q", long + "a"), ("q", long + "b")))
    assert found["template_id"].n_unique() == 4


texts = st.text("abXY 12'\".,?(é年", max_size=30)
queries = st.sampled_from([None, "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 'XY'", "nonsense '"])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(texts, queries), min_size=1, max_size=8), st.randoms())
def test_a_template_depends_on_its_own_sample_alone(rows, random):
    whole = find_templates(samples(*rows).sample(fraction=1, shuffle=True, seed=random.randrange(99)))
    place = random.randrange(len(rows))
    alone = find_templates(samples(rows[place]))
    assert whole.row(place)[1:] == alone.row(0)[1:]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(["Leeds", "Port Said"]), st.sampled_from(["Oslo", "La Paz"]))
def test_numbers_and_values_do_not_change_the_template(number, other, city, town):
    def make(n: int, place: str) -> tuple[str, str]:
        return f"orders over {n} from {place.lower()}", f"SELECT id FROM orders WHERE total > {n} AND city = '{place}'"

    assert find_templates(samples(make(number, city), make(other, town)))["template_id"].n_unique() == 1
