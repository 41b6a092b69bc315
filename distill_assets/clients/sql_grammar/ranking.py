# ruff: noqa: E501 (phrases read best one a line)
"""Questions about the first of an order: superlatives and top n over one table.

Belongs here: ORDER BY ... LIMIT over a single table, by a column or by group size. Does not belong
here: ranking across tables (joining).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking, english, meanings, spoken
from distill_assets.clients.sql_grammar.conditions import Condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing, Words
from distill_assets.clients.sql_grammar.phrases import (
    Draft,
    draw_conditions,
    measure_noun,
    noun_phrase,
    pick_measure,
    pick_thing,
    tests_of,
)  # fmt: skip
from distill_assets.clients.sql_grammar.query import COUNT, Item, Query

_RANKED = ("number", "date", "year")


def ask_superlative(d: Draw, lexicon: Lexicon) -> Draft | None:
    """The row at one end of an order, or the n rows there."""
    if d.chance(0.13):
        return _ask_most_common(d, lexicon)
    thing = pick_thing(d, lexicon, lambda t: (t.has_label or d.chance(0.15)) and any(c.kind in _RANKED for c in t.columns))
    if not thing:
        return None
    columns = [c for c in thing.columns if c.kind in _RANKED]
    column = d.focus(columns, lambda c: str(c.ref))
    is_top = d.chance(0.56)
    conditions = draw_conditions(d, thing, d.weigh({0: 6.0, 1: 4.0, 2: 0.4}), (column.ref.column,))
    limit = d.weigh({2: 1, 3: 4, 4: 1.2, 5: 4, 6: 0.5, 7: 0.5, 8: 0.4, 10: 2}) if d.chance(0.3) else 1
    query = Query(
        (Item("", thing.label.ref),),
        thing.name,
        tests=tests_of(conditions),
        order=Item("", column.ref),
        descending=is_top,
        limit=limit,
    )
    text = (
        say_superlative(d, thing, column, is_top, conditions)
        if limit == 1
        else say_top(d, thing, column, is_top, conditions, limit)
    )
    return Draft("superlative" if limit == 1 else "top", text, query)


def say_superlative(d: Draw, thing: Thing, column: Words, is_top: bool, conditions: tuple[Condition, ...]) -> str:
    """Word "the cheapest bike", "which doctor was hired first"."""
    degree = meanings.DEGREES.get(column.family, meanings.DEGREES[""])[0 if is_top else 1]
    frames: list[str] = []
    if degree.rows and _names_rows(thing, column):
        frames += spoken.ADJECTIVES + (spoken.PERSON_ADJECTIVES if thing.is_person else ())
    if column.kind in ("date", "year"):
        frames += _date_frames(d, thing, column, is_top)
    else:
        frames += spoken.DEGREES
        if thing.is_person:
            frames += spoken.AMONG_DEGREES if conditions else spoken.PERSON_DEGREES
        if column.family != "price" or column.clause or column.ref.column in ("price", "cost"):
            frames += [f for f in spoken.FAMILY_DEGREES.get(column.family, ()) if not (conditions and f.startswith("who"))]
    return d.say(
        d.pick(frames), s=noun_phrase(d, thing, conditions, plural=False), n=noun_phrase(d, thing, conditions),
        m=measure_noun(d, column), r=d.pick(degree.rows) if degree.rows else "", o=d.pick(degree.most),
        x="most" if is_top else "least", b="best" if is_top else "worst",
    )  # fmt: skip


def _names_rows(thing: Thing, column: Words) -> bool:
    """Tell whether an adjective alone ("cheapest") points at this column."""
    if column.kind == "date":
        return (
            column.family == "birth"
            or next(c for c in thing.columns if c.kind == "date" and c.family == column.family).ref == column.ref
        )
    if column.family == "price":
        return column.ref.column in ("price", "fee", "fare", "charge", "total", "amount") or bool(column.clause)
    return column.family != ""


def _date_frames(d: Draw, thing: Thing, column: Words, is_top: bool) -> list[str]:
    noun = d.lean(column.nouns)
    word = d.pick(("latest", "most recent", "last") if is_top else ("earliest", "first", "oldest"))
    frames = [f"(which|what) {{s}} has the {word} {noun}?", f"{{s}} with the {word} {noun}"]
    if column.clause and column.family != "birth":
        when = d.pick(("last", "most recently", "last", "latest") if is_top else ("first", "first", "earliest"))
        frames += [
            f"which {{s}} {column.clause} {when}?",
            f"(which|what) {{s}} {column.clause} {when}",
            f"{{s}} that {column.clause} {when}",
            f"(last|latest|most recent) {{s}} (that|to have) {column.clause}".replace(" to have", "")
            if is_top
            else f"first {{s}} that {column.clause}",
        ] * 2
        if thing.is_person:
            base = "be " + column.clause[4:] if column.clause.startswith("was ") else english.base_form(column.clause)
            frames += [f"who {column.clause} {when}?", f"who was the {'last' if is_top else 'first'} {{s}} to {base}?"]
            frames += ["who has been (a|our) {s} the longest?"] if column.family == "join" and not is_top else []
    elif column.family == "birth":
        frames += [f"which {{s}} was born {'last' if is_top else 'first'}?"]
    return frames


def say_top(d: Draw, thing: Thing, column: Words, is_top: bool, conditions: tuple[Condition, ...], limit: int) -> str:
    """Word "top 3 products by price", "the five oldest customers"."""
    degree = meanings.DEGREES.get(column.family, meanings.DEGREES[""])[0 if is_top else 1]
    rows, noun = noun_phrase(d, thing, conditions), measure_noun(d, column)
    k = english.NUMBER_WORDS[limit] if limit <= 10 and d.chance(0.4) else str(limit)
    if degree.rows and _names_rows(thing, column) and d.chance(0.6):
        frame = "({k} {r} {n}|our {k} {r} {n}|(the|our|show me the|give me the|list the|show our|find the|what are the|which are the|who are the|get the) {k} {r} {n}|{r} {k} {n}|(show|list|give me) {k} {r} {n}|{n}: the {k} {r}|which {k} {n} are the {r}?|the {k} {r} of our {n})"
        frame = frame if thing.is_person else frame.replace("who are the|", "")
        return d.say(frame, k=k, n=rows, r=d.pick(degree.rows))
    if column.kind in ("date", "year"):
        noun, most = d.lean(column.nouns), d.pick(degree.values)
    else:
        most = d.pick(degree.most)
    frames = (
        asking.TOP_FRAMES
        if is_top and column.kind == "number"
        else tuple(
            f.replace("top the", "the").replace("the top", "the bottom").replace("top", "bottom")
            for f in asking.TOP_FRAMES
            if f.startswith("(top")
        )
        + asking.TOP_FRAMES[1:-1]
    )
    if column.kind != "number":
        frames = asking.TOP_FRAMES[1:-1]
    return d.say(
        d.pick(frames),
        k=k,
        n=rows,
        m=noun,
        ms=noun if english.is_plural(noun) else english.pluralize(noun),
        o=most,
        h=d.pick(degree.values),
        top="top",
    )


def _ask_most_common(d: Draw, lexicon: Lexicon) -> Draft | None:
    thing = pick_thing(d, lexicon, lambda t: any(c.kind == "category" for c in t.columns))
    if not thing:
        return None
    column = d.focus([c for c in thing.columns if c.kind == "category"], lambda c: str(c.ref))
    conditions = draw_conditions(d, thing, d.weigh({0: 5, 1: 1.5}), (column.ref.column,))
    is_top = d.chance(0.72)
    measure = pick_measure(d, thing) if d.chance(0.25) else None
    noun, item = Item("", column.ref), Item("AVG", measure.ref) if measure else COUNT
    limit = d.pick((2, 3, 5)) if d.chance(0.15) and column.n_distinct > 4 else 1
    query = Query((noun,), thing.name, tests=tests_of(conditions), group=(noun,), order=item, descending=is_top, limit=limit)
    return Draft(
        "superlative_group",
        say_most(d, thing, d.lean(column.nouns), noun_phrase(d, thing, conditions), is_top, limit, measure),
        query,
    )


def say_most(d: Draw, thing: Thing, noun: str, rows: str, is_top: bool, limit: int, measure: Words | None) -> str:
    """Word the group with the most rows or the highest average."""
    if measure:
        degree = meanings.DEGREES.get(measure.family, meanings.DEGREES[""])[0 if is_top else 1]
        frame = "((which|what) {g} has the {x} average {m}?|{g} with the {x} (average|avg|mean) {m} (of {n}|)|{x} average {m}: which {g}?|(which|what) {g} has (on average|on average,) the {x} {m}?)"
        if limit > 1:
            frame = (
                "((top|the) {k} {gs} by average {m}|{k} {gs} with the {x} average {m})"
                if is_top
                else "{k} {gs} with the {x} average {m}"
            )
        return d.say(
            frame, g=noun, gs=english.pluralize(noun), x=d.pick(degree.values), m=measure_noun(d, measure), n=rows, k=str(limit)
        )
    if limit > 1:
        frame = (
            "((the|) {k} (most common|most frequent|most popular) {gs} (of|among|for) {n}|{k} {gs} with the most {n}|top {k} {gs} by number of {n})"
            if is_top
            else "({k} {gs} with the fewest {n}|the {k} (least common|rarest) {gs} (of|among|for) {n})"
        )
    elif is_top:
        frame = "((which|what) {g} has the most {n}?|{g} with the most {n}|(what is|what's) the most (common|popular|frequent|used) {g} (of|for|among) {n}?|most (common|popular|frequent|used) {g} (of|for|among) {n}|(which|what) {g} do most {n} have?|(what|which) {g} do (people|we|customers|they|our {n}) (use|have|see|get|choose) (the|) most (often|)?|what {g} is used most (for {n}|)?|where do we have the most {n}, by {g}?|which {g} has the (highest|largest|biggest) number of {n}?|which {g} is (the|) most (common|popular) (among|for) {n}?)"
    else:
        frame = "((which|what) {g} has the (fewest|least) {n}?|{g} with the (fewest|least) {n}|(what is|what's) the least (common|popular) {g} (of|for|among) {n}?|least (common|frequent) {g} (of|among) {n}|rarest {g} (of|among) {n}|which {g} has the (lowest|smallest) number of {n}?)"
    return d.say(frame, g=noun, gs=english.pluralize(noun), n=rows, k=str(limit))
