"""When two results say the same.

Belongs here: equality of result tables and whether a query promises an order. Does not belong here:
running queries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

from distill_assets.verifiers.sql.execution import Cell, QueryResult

RELATIVE_TOLERANCE = 1e-6
ABSOLUTE_TOLERANCE = 1e-9

_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|[()]|\w+|\S", re.DOTALL)


def results_equal(gold: QueryResult, other: QueryResult, ordered: bool) -> bool:
    """Compare two results cell by cell; a failed result equals nothing.

    Rows are a multiset unless `ordered`; the number and order of columns count, their names do not;
    numbers are equal within a relative 1e-6.
    """
    if gold.failure or other.failure or len(gold.rows) != len(other.rows):
        return False
    if len(gold.columns) != len(other.columns):
        return False
    left, right = list(gold.rows), list(other.rows)
    if not ordered:
        left.sort(key=_sort_key)
        right.sort(key=_sort_key)
    return all(_same_cells(a, b) for a, b in zip(left, right, strict=True))


def _sort_key(row: Sequence[Cell]) -> tuple:
    """Order rows by what is exact first, then by numbers to nine digits, so that noise moves no row."""
    exact = tuple("#" if _is_number(cell) else f"{type(cell).__name__}:{cell!r}" for cell in row)
    numbers = tuple(float(f"{cell:.9g}") for cell in row if _is_number(cell))
    return exact, numbers


def _same_cells(left: Sequence[Cell], right: Sequence[Cell]) -> bool:
    return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))


def _same(left: Cell, right: Cell) -> bool:
    if _is_number(left) and _is_number(right):
        if isinstance(left, int) and isinstance(right, int):
            return left == right
        return math.isclose(left, right, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)
    if isinstance(left, list) and isinstance(right, list):
        return _same_cells(left, right)
    return type(left) is type(right) and left == right


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def is_ordered(sql: str) -> bool:
    """Say whether `sql` ends in an ORDER BY of its own, outside of any parentheses."""
    tokens = [match[0].lower() for match in _TOKEN.finditer(sql)]
    tokens = [token for token in tokens if not token.startswith(("--", "/*")) and token != ";"]
    while _is_wrapped(tokens):
        tokens = tokens[1:-1]
    depth = 0
    for token, follower in pairwise(tokens):
        depth += (token == "(") - (token == ")")
        if depth == 0 and token == "order" and follower == "by":
            return True
    return False


def _is_wrapped(tokens: list[str]) -> bool:
    """Say whether one pair of parentheses encloses all tokens."""
    if len(tokens) < 2 or tokens[0] != "(" or tokens[-1] != ")":
        return False
    depth = 0
    for i, token in enumerate(tokens):
        depth += (token == "(") - (token == ")")
        if depth == 0:
            return i == len(tokens) - 1
    return False
