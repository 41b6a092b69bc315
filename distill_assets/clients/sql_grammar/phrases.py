# ruff: noqa: E501 (phrases read best one a line)
"""Noun phrases: a table's rows with conditions in their seats, measures, dimensions.

Belongs here: the pieces that questions of every intent share. Does not belong here: whole questions
or SQL.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from distill_assets.clients.sql_grammar import english
from distill_assets.clients.sql_grammar.conditions import Condition, draw_condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing, Words
from distill_assets.clients.sql_grammar.query import Item, Query, Test

ADDITIVE = frozenset(("price", "duration", "distance", "count", "size", "weight", ""))
_SINGULAR = (("are", "is"), ("were", "was"), ("have", "has"), ("don't", "doesn't"), ("haven't", "hasn't"), ("do", "does"), ("live", "lives"), ("cost", "costs"), ("come", "comes"), ("work", "works"), ("aren't", "isn't"), ("belong", "belongs"), ("use", "uses"))  # fmt: skip


class Draft(NamedTuple):
    """A question before its surface is roughened, and the query that it means."""

    intent: str
    question: str
    query: Query


class Dimension(NamedTuple):
    """What a grouping is by: expression, nouns, and the joints that fit ("per", "in each")."""

    item: Item
    nouns: tuple[str, ...]
    is_part: bool = False
    tests: tuple[Test, ...] = ()


def noun_of(d: Draw, thing: Thing, plural: bool = True) -> str:
    """Name the table's rows; its own name is the commonest."""
    noun = thing.nouns[0] if d.chance(0.66) else d.lean(thing.nouns)
    return english.pluralize(noun) if plural else noun


def to_singular(phrase: str) -> str:
    """Bring the first verb of a plural predicate to the singular."""
    for many, one in _SINGULAR:
        changed = re.sub(rf"(^|\b(?:that|who|and) ){many}\b", rf"\g<1>{one}", phrase)
        if changed != phrase:
            return changed
    return phrase


def noun_phrase(d: Draw, thing: Thing, conditions: tuple[Condition, ...] = (), plural: bool = True, noun: str = "") -> str:
    """Name rows under conditions: "delivered orders that cost more than 50"."""
    before: list[str] = []
    after: list[str] = []
    head = noun or noun_of(d, thing, plural)
    is_replaced = bool(noun)
    for condition in conditions:
        seat = _pick_seat(d, condition, is_replaced, bool(before))
        if seat == "nouns":
            head, is_replaced = d.pick(condition.nouns), True
            head = head if plural else english.singularize(head)
        elif seat == "before":
            before.append(d.pick(condition.before))
        elif seat == "after":
            after.append(d.pick(condition.after))
        else:
            after.append(("who " if thing.is_person else d.pick(("that ", "that ", "which "))) + d.pick(condition.predicate))
    phrase = " ".join([*before, head, d.pick((" and ", " and ", " ", ", ")).join(after) if len(after) > 1 else " ".join(after)])
    return (phrase if plural else to_singular(phrase)).replace(" , ", ", ").strip()


def _pick_seat(d: Draw, condition: Condition, is_replaced: bool, is_taken: bool) -> str:
    weights = {
        "nouns": 0.0 if is_replaced or not condition.nouns else 2.2,
        "before": (0.0 if not condition.before else 2.6) * (0.3 if is_taken else 1.0),
        "after": 2.4 if condition.after else 0.0,
        "predicate": 0.9 if condition.predicate else 0.0,
    }
    return d.weigh(weights)


def predicate_of(d: Draw, condition: Condition) -> str:
    """Say a condition as a plural predicate."""
    return d.pick(condition.predicate) if condition.predicate else "are " + d.pick(condition.after)


def tests_of(conditions: tuple[Condition, ...]) -> tuple[Test, ...]:
    """Collect the tests of several conditions."""
    return tuple(test for condition in conditions for test in condition.tests)


def draw_conditions(d: Draw, thing: Thing, n: int, avoid: tuple[str, ...] = ()) -> tuple[Condition, ...]:
    """Draw up to n conditions on different columns."""
    out: list[Condition] = []
    for _ in range(n):
        used = tuple(t.item.ref.column for c in out for t in c.tests if t.item.ref)
        condition = draw_condition(d, thing, avoid + used)
        if condition:
            out.append(condition)
    return tuple(out)


def pick_thing(d: Draw, lexicon: Lexicon, fits: object = None) -> Thing | None:
    """Pick a table that fits, those the seed names being likelier."""
    things = [t for t in lexicon.things.values() if fits is None or fits(t)]  # type: ignore[operator]
    return d.focus(things, lambda t: t.name) if things else None


def pick_measure(d: Draw, thing: Thing, fits: object = None) -> Words | None:
    """Pick a numeric column of the table."""
    columns = [c for c in thing.columns if c.kind == "number" and (fits is None or fits(c))]  # type: ignore[operator]
    return d.focus(columns, lambda c: str(c.ref)) if columns else None


def measure_noun(d: Draw, column: Words) -> str:
    """Name a measure; its first name is the commonest."""
    return column.nouns[0] if d.chance(0.45) else d.lean(column.nouns)


def own_dimensions(thing: Thing) -> list[Dimension]:
    """List what the table's own rows can be grouped by."""
    out = []
    for c in thing.columns:
        if c.kind == "category" or (c.kind == "number" and c.n_distinct <= 7) or (c.kind == "year" and c.n_distinct <= 40):
            out.append(Dimension(Item("", c.ref), c.nouns))
        elif c.kind == "flag":
            out.append(Dimension(Item("", c.ref), (f"{c.nouns[0]} or not", c.nouns[0])))
        elif c.kind == "date":
            clause = c.clause.removeprefix("was ")
            tail = (f"they {c.clause.replace('was ', 'were ')}",) if clause else ()
            out.append(Dimension(Item("year", c.ref), ("year", "year", *(f"year {t}" for t in tail), f"{d_noun(c)} year"), True))
            out.append(Dimension(Item("month", c.ref), ("month", "month", "month of the year"), True))
    return out


def d_noun(column: Words) -> str:
    """Name a date without the word date: "sign-up date" -> "sign-up"."""
    return re.sub(r" ?\b(?:date|time|day)\b ?(?:of the )?", "", column.nouns[0]).strip() or column.nouns[0]


def pick_dimension(d: Draw, thing: Thing, is_plain: bool = False) -> Dimension | None:
    """Pick a dimension of the table's own; categories are the commonest."""
    options = {
        dim: (4.0 if not dim.is_part else 0.8) * d.weight_of(str(dim.item.ref)) * (0.35 if dim.item.fn == "month" else 1.0)
        for dim in own_dimensions(thing)
        if not (is_plain and dim.is_part)
    }
    return d.weigh(options) if options else None
