"""Features and literals of queries."""

from __future__ import annotations

import pytest

from distill_assets.evaluate.features import collect_literals, find_features, find_literals


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT name FROM t", "plain"),
        ("SELECT COUNT(*) FROM t WHERE a = 'x'", "aggregate,filter"),
        ("SELECT a, AVG(b) FROM t GROUP BY a", "aggregate,group_by"),
        ("SELECT a FROM t JOIN s ON s.id = t.id ORDER BY b DESC LIMIT 3", "join,order_limit"),
        ("SELECT a FROM t GROUP BY a HAVING COUNT(*) > 3", "aggregate,group_by,having"),
        ("SELECT DISTINCT a FROM t WHERE year(b) = 2024", "date,distinct,filter"),
        ("SELECT a FROM t WHERE id NOT IN (SELECT t_id FROM s)", "filter,subquery"),
        ("SELECT (", "unparsed"),
    ],
)
def test_features_are_named(sql: str, expected: str) -> None:
    assert find_features(sql) == expected


def test_literals_are_folded_and_a_limit_is_none() -> None:
    assert find_literals("SELECT a FROM t WHERE b = 'X y' AND c > 12.5 ORDER BY d LIMIT 3") == {"x y", "12.5"}
    assert collect_literals(["SELECT 1", "SELECT 'a'"]) == {"1", "a"}
