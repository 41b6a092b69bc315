"""Rows that a gold query's ORDER BY leaves in any order.

Belongs here: whether another order of rows, or other rows at a LIMIT, is one that the gold query allows as well. Does
not belong here: equality of results as they stand (compare).

The gold query is run once more with its sort keys as further columns and without its LIMIT. Rows with equal keys are a
tie: inside of it any order is right, and where the LIMIT cuts a tie, any of its rows. Where the keys cannot be told so
(a set operation, DISTINCT with keys that are not returned), the order stands as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from distill_assets.verifiers.sql.compare import results_equal
from distill_assets.verifiers.sql.execution import Cell, QueryResult

Row = tuple[Cell, ...]


class Keyed(NamedTuple):
    """A gold query with its keys as last columns; `places` says which columns are the keys."""

    sql: str
    places: tuple[int, ...]
    offset: int
    limit: int | None


def equal_but_for_ties(gold: str, found: QueryResult, run: Callable[[str], QueryResult]) -> bool:
    """Whether `found` is a result that `gold` could have given with its ties in another order.

    Args:
        gold: a query with an ORDER BY of its own. run: runs a query on the instance that `found` comes from.
    """
    keyed = add_keys(gold)
    if keyed is None or found.failure:
        return False
    everything = run(keyed.sql)
    if everything.failure:
        return False
    width = len(found.columns)
    start = keyed.offset
    stop = len(everything.rows) if keyed.limit is None else min(len(everything.rows), start + keyed.limit)
    if len(found.rows) != max(0, stop - start) or len(everything.columns) < width:
        return False
    place = 0
    for _, tie in groupby(everything.rows, key=lambda row: [row[i] for i in keyed.places]):
        rows = [row[:width] for row in tie]
        first, last = max(place, start), min(place + len(rows), stop)
        place += len(rows)
        if first < last and not _are_among(list(found.rows[first - start : last - start]), rows):
            return False
    return True


def _are_among(some: list[Row], rows: list[Row]) -> bool:
    """Whether `some` are of `rows`, each taken once at most."""
    if len(some) == len(rows):
        return _same(some, rows)
    left = list(rows)
    for row in some:
        at = next((i for i, other in enumerate(left) if _same([row], [other])), None)
        if at is None:
            return False
        left.pop(at)
    return True


def _same(some: list[Row], others: list[Row]) -> bool:
    names = tuple(map(str, range(len(some[0]))))
    return results_equal(QueryResult(names, tuple(some)), QueryResult(names, tuple(others)), ordered=False)


def add_keys(gold: str) -> Keyed | None:
    """Return `gold` with its sort keys as further columns and no LIMIT, or None when that cannot be said."""
    import sqlglot
    from sqlglot import expressions as e

    try:
        tree = sqlglot.parse_one(gold, dialect="duckdb")
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError):
        return None
    order = tree.args.get("order")
    if not isinstance(tree, e.Select) or order is None or any(isinstance(c, e.Star) or c.is_star for c in tree.expressions):
        return None
    limit, offset = _read_number(tree.args.get("limit"), None), _read_number(tree.args.get("offset"), 0)
    if limit == -1 or offset == -1:
        return None
    columns = [column.alias_or_name if isinstance(column, e.Alias) else column.sql("duckdb") for column in tree.expressions]
    places: list[int] = []
    added: list[e.Expression] = []
    for term in order.expressions:
        key = term.this if isinstance(term, e.Ordered) else term
        if isinstance(key, e.Literal) and not key.is_string and key.name.isdigit() and 0 < int(key.name) <= len(columns):
            places.append(int(key.name) - 1)
        elif key.sql("duckdb") in columns:
            places.append(columns.index(key.sql("duckdb")))
        else:
            places.append(len(columns) + len(added))
            added.append(e.alias_(key.copy(), f"sort_key_{len(added)}"))
    if added and tree.args.get("distinct"):
        return None
    tree = tree.copy()
    tree.set("expressions", [*tree.expressions, *added])
    tree.set("limit", None)
    tree.set("offset", None)
    return Keyed(tree.sql("duckdb"), tuple(places), int(offset or 0), limit)


def _read_number(clause, default: int | None) -> int | None:
    """The number of a LIMIT or OFFSET; `default` without one, -1 when it is no plain number."""
    if clause is None:
        return default
    number = clause.args.get("expression")
    return int(number.name) if number is not None and number.name.isdigit() and len(number.name) < 10 else -1
