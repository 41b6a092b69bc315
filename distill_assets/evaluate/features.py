"""What a gold query is made of: the slices of the report.

Belongs here: features and literals of an SQL text, by sqlglot's parse tree. Does not belong here:
counting (report).
"""

from __future__ import annotations

from collections.abc import Iterable


def find_features(sql: str) -> str:
    """Return the sorted, comma-separated features of a query; `plain` when it has none of them."""
    import sqlglot
    from sqlglot import errors
    from sqlglot import expressions as e

    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except errors.SqlglotError:
        return "unparsed"
    kinds = {
        "aggregate": (e.AggFunc,), "date": (e.Year, e.Month, e.Date, e.Cast, e.TsOrDsToDate), "distinct": (e.Distinct,),
        "filter": (e.Where,), "group_by": (e.Group,), "having": (e.Having,), "join": (e.Join,),
        "order_limit": (e.Limit,), "subquery": (e.Subquery, e.Exists),
    }  # fmt: skip
    found = {name for name, types in kinds.items() if tree.find(*types) is not None}
    if len(list(tree.find_all(e.Select))) > 1:
        found.add("subquery")
    return ",".join(sorted(found)) or "plain"


def find_literals(sql: str) -> frozenset[str]:
    """Return the literals of a query as folded text, the number of a LIMIT aside."""
    import sqlglot
    from sqlglot import errors
    from sqlglot import expressions as e

    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except errors.SqlglotError:
        return frozenset()
    return frozenset(str(node.this).lower() for node in tree.find_all(e.Literal) if not isinstance(node.parent, e.Limit))


def collect_literals(queries: Iterable[str]) -> frozenset[str]:
    """All literals of the queries."""
    return frozenset(literal for sql in queries for literal in find_literals(sql))
