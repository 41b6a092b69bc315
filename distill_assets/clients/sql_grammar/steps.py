# ruff: noqa: E501 (phrases read best one a line)
"""Reasoning: the steps from question to SQL, in two to four short sentences.

Belongs here: saying what a query does. Does not belong here: the query. The one idea: the steps are
read off the query itself, so that they cannot drift from it unless an error is planted.
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.query import Item, Query, render_item, render_test

_FUNCTIONS = {"COUNT": "count the rows", "COUNT DISTINCT": "count the different {c}", "SUM": "add up {c}", "AVG": "take the average of {c}", "MAX": "take the largest {c}", "MIN": "take the smallest {c}", "RANGE": "take the largest {c} less the smallest"}  # fmt: skip


def explain(d: Draw, query: Query) -> str:
    """Write the steps of a query."""
    steps = [_say_source(d, query)]
    if query.tests:
        where = f" {query.connector.lower()} ".join(render_test(t) for t in query.tests)
        steps.append(d.pick(("Keep the rows where {w}.", "Filter on {w}.", "Only rows with {w} count.")).format(w=where))
    if query.group:
        groups = ", ".join(render_item(i) for i in query.group)
        steps.append(
            d.pick(("Group by {g}.", "Make one group per {g}.")).format(g=groups)
            if not query.having
            else f"Group by {groups} and keep groups with {render_test(query.having)}."
        )
    if query.order:
        way = "largest first" if query.descending else "smallest first"
        steps.append(f"Sort by {render_item(query.order)}, {way}, keep {query.limit}, return {_say_select(query)}.")
    else:
        steps.append(f"Then {_say_result(query)}.")
    return " ".join(f"{n}. {step}" for n, step in enumerate(steps[:1] + steps[1:][-3:], 1))


def _say_source(d: Draw, query: Query) -> str:
    if not query.edges:
        return d.pick(("The question is about {t}.", "Use the table {t}.", "All needed columns are in {t}.")).format(t=query.root)
    tables = ", ".join(edge.parent.table for edge in query.edges)
    return d.pick(("Start from {r} and join {t}.", "This needs {r} joined with {t}.")).format(r=query.root, t=tables)


def _say_select(query: Query) -> str:
    return ", ".join(render_item(item) for item in query.select)


def _say_result(query: Query) -> str:
    return " and ".join(_say_item(item, query.distinct) for item in query.select)


def _say_item(item: Item, is_distinct: bool) -> str:
    column = render_item(item._replace(fn="")) if item.ref else ""
    if item.fn in _FUNCTIONS:
        return _FUNCTIONS[item.fn].format(c=column)
    return f"return {'each different ' if is_distinct else ''}{render_item(item)}"
