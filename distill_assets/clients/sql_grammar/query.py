"""The queries the grammar can mean, and their one written form.

Belongs here: the shape of a query and its rendering as SQL. Does not belong here: choosing what to
ask, or English. The one idea: equal meaning gives equal text (upper-case keywords, table names
written out, every column qualified, the detail table first, conditions in alphabetical order), because
a small student pays for every variant of form with samples. Columns are qualified without a join too: each sample then
teaches which table a column belongs to, and that is what tells when a join is needed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from distill_assets.databases import quote_name

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
_RESERVED = frozenset(
    [
        "all",
        "and",
        "any",
        "as",
        "asc",
        "between",
        "by",
        "case",
        "cast",
        "check",
        "column",
        "constraint",
        "create",
        "cross",
        "default",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "exists",
        "false",
        "fetch",
        "for",
        "foreign",
        "from",
        "full",
        "grant",
        "group",
        "having",
        "in",
        "inner",
        "intersect",
        "into",
        "is",
        "join",
        "lateral",
        "left",
        "like",
        "limit",
        "natural",
        "not",
        "null",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "outer",
        "pivot",
        "primary",
        "qualify",
        "references",
        "right",
        "select",
        "some",
        "summarize",
        "table",
        "then",
        "to",
        "true",
        "union",
        "unique",
        "unpivot",
        "using",
        "when",
        "where",
        "window",
        "with",
    ]
)


class Ref(NamedTuple):
    """A column of a table."""

    table: str
    column: str


class Item(NamedTuple):
    """One expression: a column, a function of it, or COUNT(*) when `ref` is None.

    `fn` is "", an aggregate (COUNT, COUNT DISTINCT, SUM, AVG, MIN, MAX, RANGE) or a date part.
    """

    fn: str
    ref: Ref | None = None
    times: Ref | None = None


class Test(NamedTuple):
    """One condition: `item op literal`; for IS NULL and booleans the literal is empty."""

    item: Item
    op: str
    literal: str = ""

    __test__ = False


class Edge(NamedTuple):
    """One step of a join, from a table's foreign key up to the table that it names."""

    child: Ref
    parent: Ref


class Query(NamedTuple):
    """A SELECT over one table or a chain of joins."""

    select: tuple[Item, ...]
    root: str
    edges: tuple[Edge, ...] = ()
    tests: tuple[Test, ...] = ()
    connector: str = "AND"
    distinct: bool = False
    group: tuple[Item, ...] = ()
    having: Test | None = None
    order: Item | None = None
    descending: bool = False
    limit: int = 0


COUNT = Item("COUNT")


def quote_where_needed(name: str) -> str:
    """Write an identifier plain where DuckDB reads it plain, quoted otherwise."""
    return name if _PLAIN.match(name) and name not in _RESERVED else quote_name(name)


def quote_text(value: str) -> str:
    """Write an SQL text literal."""
    return "'" + value.replace("'", "''") + "'"


def render_item(item: Item) -> str:
    """Write one expression."""
    if item.ref is None:
        return "COUNT(*)"
    column = _render_ref(item.ref)
    if item.times:
        column = f"{column} * {_render_ref(item.times)}"
    if item.fn == "":
        return column
    if item.fn == "COUNT DISTINCT":
        return f"COUNT(DISTINCT {column})"
    if item.fn == "RANGE":
        return f"MAX({column}) - MIN({column})"
    if item.fn == "DATE":
        return f"CAST({column} AS DATE)"
    return f"{item.fn}({column})"


def _render_ref(ref: Ref) -> str:
    column = quote_where_needed(ref.column)
    return f"{quote_where_needed(ref.table)}.{column}"


def render_test(test: Test) -> str:
    """Write one condition."""
    left = render_item(test.item)
    if test.op == "IS TRUE":
        return left
    if test.op == "IS FALSE":
        return f"NOT {left}"
    return f"{left} {test.op} {test.literal}".rstrip()


def render(query: Query) -> str:
    """Write the query on one line."""
    parts = ["SELECT DISTINCT" if query.distinct else "SELECT"]
    parts.append(", ".join(render_item(item) for item in query.select))
    parts.append(f"FROM {quote_where_needed(query.root)}")
    parts += [_render_edge(edge) for edge in query.edges]
    if query.tests:
        parts.append("WHERE " + f" {query.connector} ".join(sorted(render_test(t) for t in query.tests)))
    if query.group:
        parts.append("GROUP BY " + ", ".join(render_item(item) for item in query.group))
    if query.having:
        parts.append("HAVING " + render_test(query.having))
    if query.order:
        parts.append(f"ORDER BY {render_item(query.order)}" + (" DESC" if query.descending else ""))
    if query.limit:
        parts.append(f"LIMIT {query.limit}")
    return " ".join(parts)


def _render_edge(edge: Edge) -> str:
    table = quote_where_needed(edge.parent.table)
    return f"JOIN {table} ON {_render_ref(edge.child)} = {_render_ref(edge.parent)}"
