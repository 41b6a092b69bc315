# ruff: noqa: E501 (phrases read best one a line)
"""Questions for the attributes of rows: of one named row, or of all under a condition.

Belongs here: look-ups and lists that return a column other than the label. Does not belong here:
lists of labels (single).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import english, spoken, values
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Thing, Words
from distill_assets.clients.sql_grammar.phrases import (
    Draft,
    draw_conditions,
    measure_noun,
    noun_phrase,
    tests_of,
)
from distill_assets.clients.sql_grammar.query import Item, Query, Test, quote_text


def look_up(d: Draw, thing: Thing) -> Draft | None:
    """One attribute of one named row."""
    columns = [c for c in thing.columns if c.kind not in ("key", "ref", "label", "other")]
    if not columns or not thing.has_label or len(thing.label.values) < 2:
        return None
    column = d.focus(columns, lambda c: str(c.ref))
    value = d.focus(thing.label.values, str.lower)
    query = Query((Item("", column.ref),), thing.name, tests=(Test(Item("", thing.label.ref), "=", quote_text(value)),))
    return Draft("lookup", say_look_up(d, thing, column, values.spell(d, value)), query)


def say_look_up(d: Draw, thing: Thing, column: Words, value: str) -> str:
    """Word a question for one attribute of one named row."""
    noun, clause = measure_noun(d, column), column.clause
    named = value if thing.is_person else d.pick((value, f"the {value}", value, f"{thing.nouns[0]} {value}"))
    frames = _look_up_frames(thing, column, english.is_plural(noun))
    return d.say(
        d.pick(frames),
        m=noun,
        v=named,
        verb=clause.removeprefix("was "),
        base=english.base_form(clause),
        done=english.participle(clause),
    )


def _look_up_frames(thing: Thing, column: Words, is_plural: bool) -> tuple[str, ...]:
    if column.kind == "flag":
        return spoken.FLAGS
    if column.clause and column.kind in ("date", "year"):
        when = spoken.PASSIVE_WHEN if column.clause.startswith("was ") else spoken.ACTIVE_WHEN
        since = spoken.PERSON_SINCE if thing.is_person and not column.clause.startswith("was ") else ()
        return (when + since) * 2 + spoken.LOOK_UPS[:3]
    frames = spoken.LOOK_UPS
    if column.kind == "number":
        frames += ("how many {m} does {v} have?",) * 2 if is_plural else ("how much {m} does {v} have?",)
    if column.family == "place" and thing.is_person:
        return frames + spoken.PERSON_PLACE
    return frames + spoken.FAMILY_LOOK_UPS.get(column.family, ())


def list_attributes(d: Draw, thing: Thing) -> Draft | None:
    """An attribute of all rows under a condition, with or without their labels."""
    columns = [c for c in thing.columns if c.kind not in ("key", "ref", "label", "other", "flag")]
    if not columns:
        return None
    column = d.focus(columns, lambda c: str(c.ref))
    conditions = draw_conditions(d, thing, 1, (column.ref.column,))
    rows, noun = noun_phrase(d, thing, conditions), measure_noun(d, column)
    items = (Item("", column.ref),)
    if d.chance(0.65):
        first = (
            "names"
            if thing.has_label and thing.label.ref.column != "title"
            else ("titles" if thing.has_label else d.pick(("ids", "numbers")))
        )
        items = (Item("", thing.label.ref), *items)
        frame = "((list|show|show me|give me|get|) (the|) {l} and {ms} of {n}|{l} and {ms} (of|for) {n}|{n} (with|and) their {ms}|(show|list|give me) {n} (with|and|along with) their {m})"
    else:
        first = ""
        frame = "((show|show me|list|give me|get) (the|) {ms} of {n}|{ms} of {n}|(show|list|give me) the {m} of (every|each|all) {n}|what are the {ms} of {n}?)"
    text = d.say(frame, l=first, n=rows, m=noun, ms=noun if english.is_plural(noun) else english.pluralize(noun))
    return Draft("list_attributes", text, Query(items, thing.name, tests=tests_of(conditions)))
