"""When two results say the same."""

from __future__ import annotations

import pytest

from distill_assets.verifiers.sql.compare import is_ordered, results_equal
from distill_assets.verifiers.sql.execution import QueryResult


def table(*rows: tuple) -> QueryResult:
    return QueryResult(tuple(f"c{i}" for i in range(len(rows[0]) if rows else 1)), rows)


@pytest.mark.parametrize(
    ("left", "right", "ordered", "equal"),
    [
        (table((1,)), table((1.0,)), False, True),
        (table((1,)), table(("1",)), False, False),
        (table((1,)), table((True,)), False, False),
        (table((0.1 + 0.2,)), table((0.3,)), False, True),
        (table((1_000_000,)), table((1_000_001,)), False, False),
        (table((1.0,)), table((1.001,)), False, False),
        (table((None,)), table((0,)), False, False),
        (table((None,)), table((None,)), False, True),
        (table(("a",), ("b",)), table(("b",), ("a",)), False, True),
        (table(("a",), ("b",)), table(("b",), ("a",)), True, False),
        (table(("a",), ("a",)), table(("a",)), False, False),
        (table(("a",), ("a",), ("b",)), table(("a",), ("b",), ("b",)), False, False),
        (table(("a", 1)), table((1, "a")), False, False),
        (table((4.5, 7), (4.5000000000001, 3)), table((4.5, 3), (4.5000000000001, 7)), False, True),
        (table((None, 1), (2, None)), table((2, None), (None, 1)), False, True),
        (table(([1, 2.0],)), table(([1, 2.0000000001],)), False, True),
        (QueryResult(("a",), ()), QueryResult(("b",), ()), True, True),
        (QueryResult(("a",), ()), QueryResult(("a", "b"), ()), False, False),
        (table((1,)), QueryResult(failure="timeout"), False, False),
        (QueryResult(failure="syntax"), QueryResult(failure="syntax"), False, False),
    ],
)
def test_results_equal(left: QueryResult, right: QueryResult, ordered: bool, equal: bool) -> None:
    assert results_equal(left, right, ordered) is equal
    assert results_equal(right, left, ordered) is equal


@pytest.mark.parametrize(
    ("sql", "ordered"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("select a from t order\n by a limit 3;", True),
        ("(SELECT a FROM t ORDER BY a)", True),
        ("WITH w AS (SELECT 1) SELECT * FROM w ORDER BY ALL", True),
        ("SELECT a FROM t", False),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", False),
        ("SELECT * FROM (SELECT a FROM t ORDER BY a)", False),
        ("SELECT list(a ORDER BY b) FROM t", False),
        ("SELECT 'order by' FROM t -- order by a", False),
        ('SELECT a AS "order by" FROM t /* order by */', False),
        ("(SELECT a FROM t ORDER BY a) UNION (SELECT b FROM u)", False),
        ("", False),
    ],
)
def test_is_ordered(sql: str, ordered: bool) -> None:
    assert is_ordered(sql) is ordered
