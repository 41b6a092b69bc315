"""Questions over one table: counts, lists, look-ups, aggregates.

Belongs here: intents whose query reads a single table without grouping. Does not belong here:
groups (grouping), order and top n (ranking), joins (joining).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking, english
from distill_assets.clients.sql_grammar.attributes import list_attributes, look_up
from distill_assets.clients.sql_grammar.conditions import Condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing
from distill_assets.clients.sql_grammar.phrases import (
    Draft,
    draw_conditions,
    noun_phrase,
    pick_thing,
    predicate_of,
    tests_of,
    to_singular,
)
from distill_assets.clients.sql_grammar.query import COUNT, Item, Query


def ask_count(d: Draw, lexicon: Lexicon) -> Draft | None:
    """How many rows, under up to two conditions."""
    thing = pick_thing(d, lexicon)
    if not thing:
        return None
    if d.chance(0.07):
        return _count_distinct(d, thing)
    conditions = draw_conditions(d, thing, d.weigh({0: 2.2, 1: 6.4, 2: 1.4}))
    query = Query((COUNT,), thing.name, tests=tests_of(conditions))
    if conditions and d.chance(0.45):
        who = "who" if thing.is_person else "that"
        rest = noun_phrase(d, thing, conditions[1:], noun="people" if thing.is_person and d.chance(0.12) else "")
        text = d.say(d.pick(asking.COUNT_PREDICATE_FRAMES), n=rest, p=predicate_of(d, conditions[0]), w=who)
    else:
        text = _say_count(d, thing, conditions)
    return Draft("count", text, query)


def _say_count(d: Draw, thing: Thing, conditions: tuple[Condition, ...]) -> str:
    if conditions and conditions[0].inverted and d.chance(0.45):
        return d.say(d.pick(asking.INVERTED_FRAMES), n=noun_phrase(d, thing, conditions[1:]), i=d.pick(conditions[0].inverted))
    rows = noun_phrase(d, thing, conditions)
    frames = asking.COUNT_FRAMES + (asking.ALL_COUNT_FRAMES * 3 if not conditions else ())
    if len(rows.split()) < 4:
        frames += asking.SHORT_COUNT_FRAMES
    return d.say(d.pick(frames), n=rows)


def _count_distinct(d: Draw, thing: Thing) -> Draft | None:
    columns = [c for c in thing.columns if c.kind in ("category", "ref") and c.n_distinct > 1]
    if not columns:
        return None
    column = d.focus(columns, lambda c: str(c.ref))
    things = english.pluralize(d.lean(column.nouns))
    conditions = draw_conditions(d, thing, d.weigh({0: 3, 1: 1}), (column.ref.column,))
    rows = noun_phrase(d, thing, conditions)
    text = d.say(
        "(how many (different|distinct|unique|) {g} (are there|do we have|appear|) (among|for|in|across) {n}?"
        "|number of (different|distinct|unique) {g} (of|among|in) {n}|count (the|) (distinct|different) {g} of {n}"
        "|how many different {g} do {n} have?|in how many (different|) {g} are {n}?|how many (different|) {g} do {n} come from?)",
        g=things, n=rows,
    )  # fmt: skip
    return Draft("count_distinct", text, Query((Item("COUNT DISTINCT", column.ref),), thing.name, tests=tests_of(conditions)))


def ask_list(d: Draw, lexicon: Lexicon) -> Draft | None:
    """List the rows under conditions, by label or key."""
    thing = pick_thing(d, lexicon, lambda t: t.has_label or d.chance(0.45))
    if not thing:
        return None
    if d.chance(0.2):
        return look_up(d, thing)
    if d.chance(0.1):
        return list_attributes(d, thing)
    conditions = draw_conditions(d, thing, d.weigh({0: 0.35, 1: 5.4, 2: 3.6}))
    query = Query((Item("", thing.label.ref),), thing.name, tests=tests_of(conditions))
    return Draft("list", say_list(d, thing, conditions), query)


def say_list(d: Draw, thing: Thing, conditions: tuple[Condition, ...]) -> str:
    """Word a list of rows under conditions."""
    who = "who" if thing.is_person else d.pick(("that", "that", "which"))
    if thing.is_person and conditions and d.chance(0.3):
        rest = conditions[1:]
        extra = "".join(f" and {predicate_of(d, c)}" for c in rest)
        return d.say(d.pick(asking.WHO_FRAMES), p=_who_form(d, conditions[0]) + extra)
    if conditions and d.chance(0.42):
        return d.say(d.pick(asking.WHICH_FRAMES), n=noun_phrase(d, thing, conditions[1:]), p=predicate_of(d, conditions[0]), w=who)
    frames = asking.WHO_LIST_FRAMES if thing.is_person and d.chance(0.2) else asking.LIST_FRAMES
    return d.say(d.pick(frames), n=noun_phrase(d, thing, conditions))


def _who_form(d: Draw, condition: Condition) -> str:
    phrase = predicate_of(d, condition)
    return to_singular(phrase) if d.chance(0.75) else phrase
