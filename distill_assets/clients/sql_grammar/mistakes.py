"""Planted teacher errors: the ways in which a teacher is wrong, on purpose and on record.

Belongs here: turning a right query into a wrong one of a named kind. Does not belong here: deciding
how often (writer). The one idea: each kind is something that real teachers do and that some later
stage should catch: broken syntax, unknown columns, wrong columns, aggregates or directions, and
reasoning that contradicts its own SQL.
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon
from distill_assets.clients.sql_grammar.query import Item, Query, Ref, Test, render

KINDS = ("wrong_column", "wrong_aggregate", "wrong_operator", "broken_syntax", "unknown_column", "contradicting_reasoning")
_OPPOSITE = {
    ">": "<",
    "<": ">",
    ">=": "<",
    "<=": ">",
    "=": "<>",
    "<>": "=",
    "IS NULL": "IS NOT NULL",
    "IS NOT NULL": "IS NULL",
    "IS TRUE": "IS FALSE",
    "IS FALSE": "IS TRUE",
    "NOT IN": "IN",
    "IN": "NOT IN",
    "BETWEEN": "NOT BETWEEN",
}
_OTHER_AGGREGATE = {"AVG": "SUM", "SUM": "AVG", "MAX": "MIN", "MIN": "MAX", "RANGE": "MAX", "COUNT DISTINCT": "COUNT"}


def plant(d: Draw, lexicon: Lexicon, query: Query) -> tuple[str, str, Query]:
    """Return the kind of error planted, the wrong SQL, and the query that the reasoning shall follow."""
    right = render(query)
    kinds = d.sample(KINDS, len(KINDS))
    for kind in kinds:
        if kind == "contradicting_reasoning":
            other = _wrong_operator(d, query) or _wrong_aggregate(query) or _wrong_column(d, lexicon, query)
            if other and render(other) != right:
                return kind, right, other
            continue
        if kind == "broken_syntax":
            return kind, _break(d, right), query
        wrong = {
            "wrong_column": lambda: _wrong_column(d, lexicon, query), "wrong_aggregate": lambda: _wrong_aggregate(query),
            "wrong_operator": lambda: _wrong_operator(d, query), "unknown_column": lambda: _unknown_column(d, query),
        }[kind]()  # fmt: skip
        if wrong and render(wrong) != right:
            return kind, render(wrong), wrong
    return "broken_syntax", _break(d, right), query


def _wrong_column(d: Draw, lexicon: Lexicon, query: Query) -> Query | None:
    item = query.select[-1]
    if item.ref is None:
        return None
    kinds = ("number",) if item.fn not in ("", "COUNT DISTINCT") else ("label", "category", "text", "date", "number", "year")
    others = [c.ref for c in lexicon.things[item.ref.table].columns if c.kind in kinds and c.ref != item.ref]
    if not others:
        return None
    new = item._replace(ref=d.pick(others))
    return _swap_item(query, item, new)


def _wrong_aggregate(query: Query) -> Query | None:
    item = query.select[-1]
    if item.fn not in _OTHER_AGGREGATE:
        return None
    return query._replace(select=(*query.select[:-1], item._replace(fn=_OTHER_AGGREGATE[item.fn])))


def _wrong_operator(d: Draw, query: Query) -> Query | None:
    if query.order and (not query.tests or d.chance(0.6)):
        return query._replace(descending=not query.descending)
    if query.having:
        return query._replace(having=query.having._replace(op=_OPPOSITE[query.having.op]))
    if not query.tests:
        return None
    at = d.whole(0, len(query.tests) - 1)
    test = query.tests[at]
    wrong = Test(test.item, _OPPOSITE[test.op], test.literal)
    return query._replace(tests=(*query.tests[:at], wrong, *query.tests[at + 1 :]))


def _unknown_column(d: Draw, query: Query) -> Query | None:
    items = [i for i in (*query.select, *(t.item for t in query.tests)) if i.ref]
    if not items:
        return None
    item = d.pick(items)
    old = item.ref.column if item.ref else ""
    name = d.pick((f"{query.root}_{old}", f"{old}_value", f"total_{old}", f"{old}_name"))
    new = item._replace(ref=Ref(item.ref.table if item.ref else query.root, name))
    return _swap_item(query, item, new)


def _swap_item(query: Query, old: Item, new: Item) -> Query:
    change = lambda items: tuple(new if i == old else i for i in items)  # noqa: E731
    tests = tuple(t._replace(item=new) if t.item == old else t for t in query.tests)
    return query._replace(select=change(query.select), group=change(query.group), tests=tests)


def _break(d: Draw, sql: str) -> str:
    return d.pick(
        (
            sql.replace("SELECT ", "SELECT FROM ", 1),
            sql.replace(" FROM ", " FORM FROM ", 1) + " WHERE WHERE",
            sql + " AND (",
            sql.replace(" FROM ", ", FROM (", 1),
        )
    )
