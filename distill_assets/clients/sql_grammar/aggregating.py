# ruff: noqa: E501 (phrases read best one a line)
"""Questions for one aggregate over one table: average, total, largest, smallest.

Belongs here: aggregate intents without grouping and their spoken forms ("how long is a visit on
average"). Does not belong here: groups (grouping) and aggregates over a join (across).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking, english, meanings, spoken
from distill_assets.clients.sql_grammar.conditions import Condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing, Words
from distill_assets.clients.sql_grammar.phrases import (
    ADDITIVE,
    Draft,
    draw_conditions,
    measure_noun,
    noun_phrase,
    pick_measure,
    pick_thing,
    tests_of,
)
from distill_assets.clients.sql_grammar.query import Item, Query


def ask_aggregate(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Average, total or extreme of a measure, under up to two conditions."""
    thing = pick_thing(d, lexicon, lambda t: any(c.kind in ("number", "date") for c in t.columns))
    if not thing:
        return None
    if d.chance(0.1) and (draft := _date_extreme(d, thing)):
        return draft
    fn = d.weigh({"AVG": 4.0, "SUM": 3.0, "MAX": 2.2, "MIN": 1.6, "RANGE": 0.12})
    column = pick_measure(d, thing, (lambda c: c.family in ADDITIVE) if fn == "SUM" else None)
    if not column:
        return None
    conditions = draw_conditions(d, thing, d.weigh({0: 2.6, 1: 6.0, 2: 1.0}), (column.ref.column,))
    query = Query((Item(fn, column.ref),), thing.name, tests=tests_of(conditions))
    return Draft(f"aggregate_{fn.lower()}", say_aggregate(d, thing, fn, column, conditions), query)


def say_aggregate(d: Draw, thing: Thing, fn: str, column: Words, conditions: tuple[Condition, ...], rows: str = "") -> str:
    """Word one aggregate of one measure."""
    noun, n_slot = measure_noun(d, column), rows or noun_phrase(d, thing, conditions)
    one = rows or noun_phrase(d, thing, conditions, plural=False)
    article = one if rows else english.with_article(one)
    frames = _spoken_aggregates(fn, column)
    if conditions and not rows and d.chance(0.3) and (adverb := _adverb(d, conditions)):
        return _say_timed(d, fn, column, noun, adverb)
    if frames and d.chance(0.4):
        return d.say(d.pick(frames), n=n_slot, a=article, s=one, m=noun)
    if fn == "RANGE":
        return d.say(
            "((what is|what's|) (the|) (difference|gap|spread) between the (highest|largest) and (the|) (lowest|smallest) {m} (of|for) {n}|range of {m} (of|for) {n})",
            n=n_slot,
            m=noun,
        )
    if fn in ("MAX", "MIN"):
        high, low = meanings.DEGREES.get(column.family, meanings.DEGREES[""])
        words = (high if fn == "MAX" else low).values + (("max", "maximum") if fn == "MAX" else ("min", "minimum"))
        return d.say(
            d.pick(
                asking.EXTREME_FRAMES
                if conditions or rows or d.chance(0.6)
                else ("{x} {m}", "what (is|was) the {x} {m}?", "{x} {s} {m}", "{x} {m} (ever|of all|overall|so far|we have)")
            ),
            x=d.pick(words),
            m=noun,
            n=n_slot,
            s=one,
        )
    frames = asking.AVERAGE_FRAMES if fn == "AVG" else asking.SUM_FRAMES
    if fn == "SUM" and english.is_plural(noun) and d.chance(0.4):
        frames = asking.MANY_SUM_FRAMES
    if not conditions and not rows and d.chance(0.15):
        frames = (
            ("average {m}", "avg {m}", "what's the average {m}?")
            if fn == "AVG"
            else ("total {m}", "what's the total {m}?", "sum of all {m}")
        )
    return d.say(d.pick(frames), m=noun, n=n_slot, a=article)


def _adverb(d: Draw, conditions: tuple[Condition, ...]) -> str:
    """Return the adverb of a lone date condition: "in 2024"."""
    if len(conditions) != 1:
        return ""
    bare = [
        a
        for a in conditions[0].after
        if a.split()[0] in ("in", "during", "before", "after", "since", "until", "between", "from") and any(c.isdigit() for c in a)
    ]
    return (
        d.pick(bare)
        if bare
        and conditions[0].tests[0].item.fn in ("year", "month", "")
        and "DATE" in (conditions[0].tests[0].literal + "DATE" * bool(conditions[0].tests[0].item.fn))
        else ""
    )


def _say_timed(d: Draw, fn: str, column: Words, noun: str, adverb: str) -> str:
    high, low = meanings.DEGREES.get(column.family, meanings.DEGREES[""])
    words = {"MAX": high.values, "MIN": low.values, "RANGE": ("range of",)}.get(fn) or asking.FUNCTION_WORDS[fn]
    many = english.pluralize(noun) if fn == "SUM" and not english.is_plural(noun) and d.chance(0.3) else noun
    frame = "({f} {m} {t}|(what was|what is|what's|show me|give me) the {f} {m} {t}?|{t}, what was the {f} {m}?|{f} {m} (charged|recorded|we had|paid|booked) {t}|{f} {m} {t})"
    return d.say(frame, f=d.pick(words), m=many, t=adverb)


def _spoken_aggregates(fn: str, column: Words) -> tuple[str, ...]:
    family = column.family
    if family == "price" and column.ref.column not in spoken.PRICE_NAMES:
        return ()
    if fn in spoken.COUNTED_EXTREMES and family in spoken.COUNTED:
        return spoken.COUNTED_EXTREMES[fn]
    return spoken.AGGREGATES.get(("count" if family == "size" else family, fn), ())


def _date_extreme(d: Draw, thing: Thing) -> Draft | None:
    columns = [c for c in thing.columns if c.kind == "date"]
    if not columns:
        return None
    column = d.focus(columns, lambda c: str(c.ref))
    fn = d.pick(("MIN", "MAX"))
    conditions = draw_conditions(d, thing, d.weigh({0: 3, 1: 2}), (column.ref.column,))
    one = noun_phrase(d, thing, conditions, plural=False)
    noun = d.lean(column.nouns)
    word = d.pick(("first", "earliest", "oldest") if fn == "MIN" else ("last", "latest", "most recent", "newest"))
    frames = [
        "{w} {m} of {n}",
        "(what is|what's|what was|when is|when was) the {w} {m} (of|for) {n}?",
        "{w} {m}" if not conditions else "{w} {m} for {n}",
    ]
    if column.clause:
        clause = column.clause
        ask = (
            "when was the {w} {s} " + clause[4:] + "?"
            if clause.startswith("was ")
            else "when did the {w} {s} " + english.base_form(clause) + "?"
        )
        frames += [ask, ask, "date of the {w} {s}"]
    else:
        frames += ["when was the {w} {s}?", "date of the {w} {s}"]
    text = d.say(d.pick(frames), w=word, m=noun, n=noun_phrase(d, thing, conditions), s=one)
    return Draft("aggregate_date", text, Query((Item(fn, column.ref),), thing.name, tests=tests_of(conditions)))
