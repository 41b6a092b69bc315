# ruff: noqa: E501 (phrases read best one a line)
"""Questions over one table with a group: counts and aggregates per category, year or month; HAVING.

Belongs here: grouped intents over a single table. Does not belong here: groups across tables
(joining) and order (ranking).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking, english, meanings
from distill_assets.clients.sql_grammar.conditions import Condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing, Words
from distill_assets.clients.sql_grammar.phrases import (
    ADDITIVE,
    Dimension,
    Draft,
    draw_conditions,
    measure_noun,
    noun_phrase,
    own_dimensions,
    pick_dimension,
    pick_measure,
    pick_thing,
    predicate_of,
    tests_of,
    to_singular,
)  # fmt: skip
from distill_assets.clients.sql_grammar.query import COUNT, Item, Query, Test


def ask_group(d: Draw, lexicon: Lexicon) -> Draft | None:
    """A count or an aggregate per group."""
    thing = pick_thing(d, lexicon, own_dimensions)
    dimension = pick_dimension(d, thing) if thing else None
    if not thing or not dimension:
        return None
    name = dimension.item.ref.column if dimension.item.ref else ""
    conditions = draw_conditions(d, thing, d.weigh({0: 6.5, 1: 3.5}), (name,) if not dimension.is_part else ())
    if any(t.item.ref == dimension.item.ref and dimension.item.fn != "month" for c in conditions for t in c.tests):
        conditions = ()
    column = pick_measure(d, thing, lambda c: c.ref.column != name) if d.chance(0.45) else None
    if not column:
        tail = ""
        if conditions and d.chance(0.3) and dimension.item.fn != "year":
            text = d.say(
                d.pick(asking.GROUP_PREDICATE_FRAMES),
                n=noun_phrase(d, thing),
                p=predicate_of(d, conditions[0]),
                g=d.lean(dimension.nouns),
            )
            return Draft("group_count", text, _grouped(thing, dimension, COUNT, conditions))
        if conditions and d.chance(0.35):
            tail = " " + d.pick(conditions[0].after) if conditions[0].after else ""
        text = say_group_count(d, noun_phrase(d, thing, () if tail else conditions), dimension).rstrip("?") + tail
        return Draft("group_count", text, _grouped(thing, dimension, COUNT, conditions))
    fn = pick_function(d, column)
    text = say_group_measure(d, fn, column, noun_phrase(d, thing, conditions), dimension, bool(conditions))
    return Draft("group_aggregate", text, _grouped(thing, dimension, Item(fn, column.ref), conditions))


def pick_function(d: Draw, column: Words) -> str:
    """Pick an aggregate that makes sense for the measure."""
    return d.weigh({"AVG": 5.0, "SUM": 3.6 if column.family in ADDITIVE else 0.0, "MAX": 1.3, "MIN": 0.8})


def _grouped(thing: Thing, dimension: Dimension, item: Item, conditions: tuple[Condition, ...]) -> Query:
    return Query((dimension.item, item), thing.name, tests=tests_of(conditions), group=(dimension.item,))


def say_group_count(d: Draw, rows: str, dimension: Dimension) -> str:
    """Word a count per group."""
    noun = d.lean(dimension.nouns)
    if dimension.is_part and d.chance(0.35):
        frame = "({n} (per|by|each|in each) {g}|how many {n} (per|each|in each|by) {g}?|{g}ly (number|count) of {n}|{g}ly {n}|number of {n} (per|by|each) {g})"
        return d.say(frame, n=rows, g=noun if noun in ("year", "month") else "year" if "year" in noun else "month")
    return d.say(d.pick(asking.GROUP_FRAMES), n=rows, g=noun)


def say_group_measure(d: Draw, fn: str, column: Words, rows: str, dimension: Dimension, needs_rows: bool) -> str:
    """Word an aggregate per group."""
    high, low = meanings.DEGREES.get(column.family, meanings.DEGREES[""])
    words = asking.FUNCTION_WORDS[fn]
    if fn in ("MAX", "MIN"):
        words += (high if fn == "MAX" else low).values
    if fn in ("MAX", "MIN") and column.family == "duration" and d.chance(0.4):
        word = "longest" if fn == "MAX" else "shortest"
        return d.say(
            "({x} {s} (per|for each|by|in each) {g}|how long is the {x} {s} (per|for each|by) {g}?|{x} {s} in {m} (for each|per|by) {g})",
            x=word,
            s=to_singular(english.singularize(rows)),
            g=d.lean(dimension.nouns),
            m=measure_noun(d, column),
        )
    frames = [frame for frame in asking.GROUP_MEASURE_FRAMES if "{n}" in frame or not needs_rows]
    noun = d.lean(dimension.nouns)
    name = measure_noun(d, column)
    name = english.pluralize(name) if fn == "SUM" and not english.is_plural(name) and d.chance(0.3) else name
    return d.say(d.pick(frames), f=d.pick(words), m=name, n=rows, g=noun, gs=english.pluralize(noun))


def count_comparison(d: Draw, typical: float) -> tuple[str, str, str]:
    """Draw operator, literal and words of a comparison of a count with a typical size."""
    op = d.weigh({">": 4.0, ">=": 3.0, "<": 2.0, "=": 0.7, "<=": 0.3})
    number = max(1, round(typical * d.between(0.6, 1.25)))
    if number > 20:
        number = round(number / 5) * 5
    number = max(number, 2) if op == "<" else number
    spoken = english.NUMBER_WORDS[number] if number <= 10 and d.chance(0.4) else str(number)
    words = {
        ">": ("more than {n}", "more than {n}", "over {n}", "above {n}"), ">=": ("at least {n}", "at least {n}", "{n} or more", "a minimum of {n}"),
        "<": ("fewer than {n}", "less than {n}", "under {n}"), "=": ("exactly {n}", "{n}", "just {n}"), "<=": ("at most {n}", "up to {n}", "no more than {n}"),
    }  # fmt: skip
    return op, str(number), d.pick(words[op]).format(n=spoken)


def ask_having(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Groups with a count or an average beyond a bound."""
    thing = pick_thing(d, lexicon, lambda t: any(c.kind == "category" for c in t.columns))
    column = d.focus([c for c in thing.columns if c.kind == "category"], lambda c: str(c.ref)) if thing else None
    if not thing or not column:
        return None
    group, noun = Item("", column.ref), d.lean(column.nouns)
    known = (Test(group, "IS NOT NULL"),) if column.null_words else ()
    measure = pick_measure(d, thing) if d.chance(0.4) else None
    if measure:
        op, literal, text = _say_having_measure(d, thing, measure, noun)
        having = Test(Item("AVG", measure.ref), op, literal)
    else:
        op, literal, than = count_comparison(d, thing.n_rows / max(1, column.n_distinct))
        text = d.say(
            "({gs} with {t} {n}|(which|what) {gs} have {t} {n}?|(list|show|show me|find|give me) (the|all|) {gs} (with|that have|having) {t} {n}"
            "|{gs} (that have|having) {t} {n}|{t} {n}: which {gs}?|(are there|do we have) any {gs} with {t} {n}?|in which {gs} (do we have|are there) {t} {n}?|which {g} has {t} {n}?)",
            gs=english.pluralize(noun), g=noun, t=than, n=noun_phrase(d, thing),
        )  # fmt: skip
        having = Test(COUNT, op, literal)
    return Draft("having", text, Query((group,), thing.name, tests=known, group=(group,), having=having))


def _say_having_measure(d: Draw, thing: Thing, measure: Words, noun: str) -> tuple[str, str, str]:
    values = sorted(float(v) for v in measure.values)
    middle = values[len(values) // 2]
    literal = f"{middle * d.between(0.7, 1.15):.0f}" if middle >= 3 else f"{middle:.0f}"
    op = d.pick((">", ">", "<"))
    words = ("above", "over", "of more than", "higher than") if op == ">" else ("below", "under", "of less than", "lower than")
    text = d.say(
        "({gs} with an (average|avg|mean) {m} {w} {v}|(which|what) {gs} have an average {m} {w} {v}?|{gs} (whose|where the) average {m} is {w2} {v}"
        "|(list|show me|find) {gs} (with|having) an average {m} {w} {v}|{gs} where {n} have an average {m} {w} {v})",
        gs=english.pluralize(noun), m=measure_noun(d, measure), w=d.pick(words), w2=d.pick(words[:2]), v=literal, n=noun_phrase(d, thing),
    )  # fmt: skip
    return op, literal, text
