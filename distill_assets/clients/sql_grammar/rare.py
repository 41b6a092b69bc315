# ruff: noqa: E501 (phrases read best one a line)
"""Rarer questions: distinct values, one of two conditions, compared with the average.

Belongs here: intents too rare for a module of their own. Does not belong here: anything across
tables.
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking, english
from distill_assets.clients.sql_grammar.conditions import draw_condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon
from distill_assets.clients.sql_grammar.phrases import (
    Draft,
    draw_conditions,
    measure_noun,
    noun_phrase,
    pick_measure,
    pick_thing,
    predicate_of,
    tests_of,
)
from distill_assets.clients.sql_grammar.query import COUNT, Item, Query, Test, render_item
from distill_assets.clients.sql_grammar.query import quote_where_needed as quote


def ask_distinct(d: Draw, lexicon: Lexicon) -> Draft | None:
    """The different values of a category."""
    thing = pick_thing(d, lexicon, lambda t: any(c.kind == "category" for c in t.columns))
    if not thing:
        return None
    column = d.focus([c for c in thing.columns if c.kind == "category"], lambda c: str(c.ref))
    conditions = draw_conditions(d, thing, d.weigh({0: 3, 1: 1}), (column.ref.column,))
    known = (Test(Item("", column.ref), "IS NOT NULL"),) if column.null_words else ()
    text = d.say(
        "((which|what) (different|distinct|) {g} (are there|do we have|exist) (for|among|across) {n}?|(list|show|show me|give me) (all|the|all the|) (different|distinct|unique|) {g} (of|for|among) {n}"
        "|(all|unique|distinct|different) {g} (of|for) {n}|what {g} do {n} (have|come from|belong to)?|(list|show) (the|all|) {g}|what are the (possible|different|) {g} of {n}?|what kinds of {g} do we have?)"
        if not conditions else
        "((which|what) {g} do {n} have?|(list|show me) the (different|distinct) {g} of {n}|(distinct|unique|different) {g} (of|for|among) {n})",
        g=english.pluralize(d.lean(column.nouns)), n=noun_phrase(d, thing, conditions),
    )  # fmt: skip
    return Draft("distinct", text, Query((Item("", column.ref),), thing.name, tests=(*tests_of(conditions), *known), distinct=True))


def ask_either(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Rows that meet one of two conditions on different columns."""
    thing = pick_thing(d, lexicon, lambda t: len(t.columns) > 3)
    first = draw_condition(d, thing) if thing else None
    second = draw_condition(d, thing, tuple(t.item.ref.column for t in first.tests if t.item.ref)) if thing and first else None
    if not thing or not first or not second or len(first.tests) + len(second.tests) > 2:
        return None
    who = "who" if thing.is_person else "that"
    rows = f"{noun_phrase(d, thing)} {who} {d.pick(('either ', ''))}{predicate_of(d, first)} or {predicate_of(d, second)}"
    is_count = d.chance(0.4)
    text = d.say("(how many {n}|number of {n}|count {n})" if is_count else d.pick(asking.LIST_FRAMES[:5]), n=rows)
    item = COUNT if is_count else Item("", thing.label.ref)
    return Draft("either", text, Query((item,), thing.name, tests=(*first.tests, *second.tests), connector="OR"))


def ask_beyond_average(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Rows whose measure lies above or below the average."""
    thing = pick_thing(d, lexicon, lambda t: any(c.kind == "number" for c in t.columns))
    column = pick_measure(d, thing) if thing else None
    if not thing or not column:
        return None
    op, word = d.pick(((">", "above"), (">", "higher than"), (">", "over"), ("<", "below"), ("<", "lower than")))
    inner = f"(SELECT {render_item(Item('AVG', column.ref))} FROM {quote(thing.name)})"
    text = d.say(
        "({n} with {a} {w} (the average|average)|(which|what) {n} have {a} {w} (the|) average?|(list|show me) {n} with {a} {w} average"
        "|{n} whose {m} is {w} (the average|average)|(how many {n} have {a} {w} average?))",
        n=noun_phrase(d, thing), m=measure_noun(d, column), w=word, a=english.with_article(measure_noun(d, column)),
    )  # fmt: skip
    item = COUNT if text.startswith("how many") else Item("", thing.label.ref)
    return Draft("beyond_average", text, Query((item,), thing.name, tests=(Test(Item("", column.ref), op, inner),)))
