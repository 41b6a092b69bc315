"""Topic and difficulty: Spider's own examples and rules, and what cannot be read."""

from __future__ import annotations

import polars as pl
import pytest

from distill_assets.curate.difficulty import Parts, count_parts, rate_difficulty, rate_parts, rate_samples
from distill_assets.curate.queries import parse_query

# The first two queries of figure 3 in T. Yu et al., "Spider", EMNLP 2018, with the level that stands there.
FIGURE_3 = [
    ("SELECT COUNT(*) FROM cars_data WHERE cylinders > 4", "easy"),
    (
        "SELECT T2.name, COUNT(*) FROM concert AS T1 JOIN stadium AS T2 ON T1.stadium_id = T2.stadium_id GROUP BY T1.stadium_id",
        "medium",
    ),
]


@pytest.mark.parametrize(("sql", "level"), FIGURE_3)
def test_levels_of_the_paper(sql, level):
    assert rate_difficulty(sql) == level


@pytest.mark.parametrize(
    ("sql", "parts", "level"),
    [
        ("SELECT a FROM t", Parts(0, 0, 0), "easy"),
        ("SELECT a FROM t WHERE b = 1", Parts(1, 0, 0), "easy"),
        ("SELECT a, c FROM t WHERE b = 1", Parts(1, 0, 1), "medium"),
        ("SELECT a FROM t WHERE b = 1 ORDER BY c", Parts(2, 0, 0), "medium"),
        ("SELECT a FROM t WHERE b = 1 AND c = 2", Parts(1, 0, 1), "medium"),
        ("SELECT a FROM t JOIN u ON t.i = u.i WHERE b LIKE 'x%'", Parts(3, 0, 0), "hard"),
        ("SELECT a FROM t WHERE b IN (SELECT c FROM u)", Parts(1, 1, 0), "hard"),
        ("SELECT a FROM t UNION SELECT a FROM u", Parts(0, 1, 0), "hard"),
        ("SELECT a, MAX(b), MIN(c) FROM t GROUP BY a, d ORDER BY e", Parts(2, 0, 3), "hard"),
        ("WITH x AS (SELECT 1 AS n), y AS (SELECT 2 AS n) SELECT x.n FROM x JOIN y ON TRUE", Parts(1, 2, 0), "extra"),
        ("SELECT a FROM t JOIN u ON t.i = u.i WHERE b = 1 OR c = 2 ORDER BY d LIMIT 3", Parts(5, 0, 1), "extra"),
        ("SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d = 1 AND e LIKE 'x')", Parts(1, 1, 0), "hard"),
    ],
)
def test_the_parts_of_a_query_and_its_level(sql, parts, level):
    assert count_parts(parse_query(sql)) == parts
    assert rate_difficulty(sql) == level


def spider_rules(clauses: int, nested: int, others: int) -> str:
    """The conditions of `eval_hardness` of the paper's evaluation, as they stand there."""
    if clauses <= 1 and others == 0 and nested == 0:
        return "easy"
    if (others <= 2 and clauses <= 1 and nested == 0) or (clauses <= 2 and others < 2 and nested == 0):
        return "medium"
    if (
        (others > 2 and clauses <= 2 and nested == 0)
        or (2 < clauses <= 3 and others <= 2 and nested == 0)
        or (clauses <= 1 and others == 0 and nested <= 1)
    ):
        return "hard"
    return "extra"


def test_levels_are_spiders_for_all_counts():
    for clauses in range(7):
        for nested in range(4):
            for others in range(5):
                assert rate_parts(Parts(clauses, nested, others)) == spider_rules(clauses, nested, others)


def test_topic_and_difficulty_of_samples():
    rows = [
        ("c", "shop", "SELECT o.id FROM Orders o JOIN customers c ON o.customer_id = c.id"),
        ("b", "shop", "SELEC"),
        ("a", "shop", None),
        ("d", None, "SELECT a FROM t"),
        ("e", "shop", "SELECT 1"),
    ]
    schema = {"sample_id": pl.String, "database": pl.String, "sql": pl.String}
    assert rate_samples(pl.DataFrame(rows, schema=schema, orient="row")).rows() == [
        ("a", None, "unparsed"),
        ("b", None, "unparsed"),
        ("c", "shop: customers, orders", "easy"),
        ("d", "t", "easy"),
        ("e", "shop", "easy"),
    ]


@pytest.mark.parametrize("sql", ["", "(" * 5000, "SELECT 'abc" * 4000, "DROP TABLE t", "\x00", "SELECT " * 5000])
def test_garbage_is_unparsed(sql):
    assert rate_difficulty(sql) == "unparsed"
