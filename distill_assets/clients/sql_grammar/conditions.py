"""Conditions on one column, with the ways people say them.

Belongs here: for each kind of column, drawing a test and its phrases. Does not belong here:
joining phrases into questions. The one idea: a condition knows four grammatical seats: before the
noun ("delivered orders"), after it ("orders over 50 euros"), as predicate ("orders were
delivered") and in place of the noun ("students"); the question picks a seat.
"""

from __future__ import annotations

from typing import NamedTuple

from distill_assets.clients.sql_grammar import amounts, dates, english, seats
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Thing, Words
from distill_assets.clients.sql_grammar.query import Item, Test, quote_text


class Condition(NamedTuple):
    """Tests and their phrases; an empty tuple is a seat this condition cannot take."""

    tests: tuple[Test, ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    predicate: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    inverted: tuple[str, ...] = ()


_KINDS = {"category": 5.0, "number": 2.6, "date": 2.2, "year": 1.2, "flag": 3.0, "label": 0.0, "text": 0.15, "ref": 0.0}


# Phrases after the noun and as predicate; slots: {n} the column, {a} with its article, {c} its clause.
_KNOWN = (("with {a}", "that have {a}", "with a known {n}"), ("have {a}", "have {a} on file"))
_KNOWN_CLAUSE = (("already {c}", "that have been {c}"), ("have been {c}", "were {c}"))
_MISSING = (
    (
        "without {a}", "with no {n}", "missing {a}", "without {n}", "where the {n} is (missing|empty|unknown|not known|null|blank)",
        "with {n} missing", "with no {n} on file",
    ),
    ("have no {n}", "don't have {a}", "do not have {a}", "are missing {a}", "have no known {n}", "did not give {a}"),
)  # fmt: skip
_NOT_YET = (
    ("not {c}", "not yet {c}", "that haven't been {c} (yet|)", "still not {c}", "that were never {c}"),
    ("haven't been {c} (yet|)", "were not {c}", "were never {c}", "are not {c} yet", "still have to be {c}", "have not been {c}"),
)
_UNTOLD = ("haven't told us their {n}", "didn't give us {a}")


def draw_condition(d: Draw, thing: Thing, avoid: tuple[str, ...] = (), kinds: tuple[str, ...] = ()) -> Condition | None:
    """Draw a condition on one of the thing's own columns, None when it has no column for one."""
    columns = [
        c for c in thing.columns
        if c.ref.column not in avoid and (c.kind in kinds if kinds else _weight(d, c) > 0) and (c.values or c.null_words)
    ]  # fmt: skip
    if not columns:
        return None
    column = d.weigh(
        {c: _weight(d, c) * (2.0 if dates.is_main_date(thing, c) else 1.0) * d.weight_of(str(c.ref)) or 0.01 for c in columns}
    )
    return condition_on(d, thing, column)


def _weight(d: Draw, column: Words) -> float:
    return _KINDS.get(column.kind, 0.0) + (1.0 if column.null_words else 0.0)


def condition_on(d: Draw, thing: Thing, column: Words) -> Condition:
    """Draw a condition on this column."""
    item = Item("", column.ref)
    if column.null_words and d.chance(0.16 if column.kind not in ("text", "ref") else 1.0):
        return _null_condition(d, thing, column, item)
    if column.kind == "flag":
        return _flag_condition(d, column, item)
    if column.kind in ("date", "year"):
        tests, words = dates.draw_date_test(d, column)
        phrases = dates.say_date(d, thing, column, words)
        return Condition(tests, (), *phrases, (), dates.say_inverted(d, thing, column, words))
    if column.kind == "number":
        return _number_condition(d, thing, column, item)
    return _text_condition(d, thing, column, item)


def _null_condition(d: Draw, thing: Thing, column: Words, item: Item) -> Condition:
    noun = d.lean(column.nouns)
    clause = (
        column.clause.removeprefix("was ").removeprefix("last ")
        if column.kind == "date" and column.clause.startswith("was ")
        else ""
    )
    if d.chance(0.25):
        after, have = _KNOWN_CLAUSE if clause else _KNOWN
        tests, before = (Test(item, "IS NOT NULL"),), ()
    else:
        tests, (before, after, have) = (Test(item, "IS NULL"),), _say_missing(thing, column.null_words, clause)
    fill = lambda seats: tuple(d.say(s, n=noun, a=english.with_article(noun), c=clause) for s in seats)  # noqa: E731
    return Condition(tests, before, fill(after), fill(have))


def _say_missing(thing: Thing, words: str, clause: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    if clause:
        before = (f"un{clause}",) if clause in ("shipped", "paid", "delivered", "returned") else ()
        return before, _NOT_YET[0] * 2 + _MISSING[0][:2], _NOT_YET[1]
    after, have = _MISSING[0], _MISSING[1] + (_UNTOLD if thing.is_person else ("lack {a}",))
    if " " not in words:
        return (words,), (words, f"that are {words}", f"that were {words}", *after), (f"are {words}", f"were {words}", *have)
    if words.startswith(("not ", "never ")):
        before = (f"un{words.split()[-1]}",) if words.endswith("ed") else ()
        return before, (words, f"that are {words}", f"that were {words}", *after), (f"are {words}", f"were {words}", *have)
    return (), after, have


def _flag_condition(d: Draw, column: Words, item: Item) -> Condition:
    noun = d.pick(column.nouns)
    name = english.split_name(column.ref.column)
    clause = column.doc.split(";")[0].removeprefix("whether ") if column.doc.startswith("whether ") else ""
    is_state = name.startswith("is ") or not name.startswith(("has ", "can "))
    if d.chance(0.5):
        after = [f"with {noun}", f"that have {noun}", f"that offer {noun}", f"where there is {noun}", f"that support {noun}"]
        after += [f"where {clause}"] * 2 if clause else []
        phrases = (
            ((noun,), (f"that are {noun}", noun), (f"are {noun}",))
            if is_state
            else ((), tuple(after), (f"have {noun}", f"offer {noun}", f"come with {noun}"))
        )
        return Condition((Test(item, "IS TRUE"),), *phrases)
    after = [
        f"without {noun}",
        f"with no {noun}",
        f"that have no {noun}",
        f"that don't have {noun}",
        f"without any {noun}",
        f"lacking {noun}",
    ]
    after += [f"where {clause.replace(' can ', ' cannot ')}"] if " can " in clause else []
    have = (f"have no {noun}", f"don't have {noun}", f"lack {noun}", f"do not have any {noun}")
    phrases = ((f"not {noun}",), (f"that are not {noun}",), (f"are not {noun}",)) if is_state else ((), tuple(after), have)
    return Condition((Test(item, "IS FALSE"),), *phrases)


def _number_condition(d: Draw, thing: Thing, column: Words, item: Item) -> Condition:
    if column.zero_words and column.values[0].strip("0.") == "" and d.chance(0.2):
        return _zero_condition(d, column, item)
    op, literal, amount = amounts.draw_number_test(d, column)
    return Condition((Test(item, op, literal),), *amounts.say_number(d, thing, column, op, amount))


def _zero_condition(d: Draw, column: Words, item: Item) -> Condition:
    words, noun = column.zero_words, d.pick(column.nouns)
    if words.startswith("free "):
        words = "free " + noun.split()[0] if column.family == "price" and d.chance(0.6) else words
        after = [f"with {words}", f"with {words}", f"with no {noun}", f"that had {words}", f"without {noun}"]
        return Condition(
            (Test(item, "=", "0"),),
            (),
            tuple(map(d.say, after)),
            (
                f"had {words}",
                f"have {words}",
                f"got {words}",
                f"had no {noun}",
                "shipped free" if "shipping" in words else f"had {words}",
            ),
        )
    after = (words, f"that are {words}", f"currently {words}", f"with no {noun}", f"with zero {noun}")
    return Condition(
        (Test(item, "=", "0"),), (), after, (f"are {words}", f"are currently {words}", f"have no {noun}", f"are {words} right now")
    )


def _text_condition(d: Draw, thing: Thing, column: Words, item: Item) -> Condition:
    value = d.focus(column.values, str.lower)
    if len(column.values) > 2 and d.chance(0.07):
        return _not_condition(d, column, item, value)
    if len(column.values) > 3 and column.kind == "category" and d.chance(0.06):
        return _either_condition(d, thing, column, item, value)
    phrases = seats.text_seats(d, thing, column, value)
    return Condition((Test(item, "=", quote_text(value)),), *phrases, seats.say_inverted(column, value))


def _not_condition(d: Draw, column: Words, item: Item, value: str) -> Condition:
    noun = d.lean(column.nouns)
    after = (
        f"not {_in_words(column, value)}",
        f"with {english.with_article(noun)} other than {value}",
        f"whose {noun} is not {value}",
        f"except {value} ones",
        f"that are not {_in_words(column, value)}",
    )
    return Condition(
        (Test(item, "<>", quote_text(value)),),
        (f"non-{value}",),
        after,
        (f"are not {_in_words(column, value)}", f"have {english.with_article(noun)} other than {value}", f"aren't {value}"),
    )


def _in_words(column: Words, value: str) -> str:
    joint = {"place": "in ", "maker": "by ", "insurer": "with ", "plan": "on ", "reason": "for ", "drug": "for ", "channel": "via "}
    return joint.get(column.family, "") + value


def _either_condition(d: Draw, thing: Thing, column: Words, item: Item, value: str) -> Condition:
    other = d.pick([v for v in column.values if v != value])
    both = f"{value} (or|and|or) {other}"
    before, after, predicate, _ = seats.text_seats(d, thing, column, "\0")
    literal = f"({quote_text(value)}, {quote_text(other)})"
    fill = lambda seats: tuple(d.say(s.replace("\0", "{v}"), v=d.say(both)) for s in seats)  # noqa: E731
    return Condition((Test(item, "IN", literal),), fill(before), fill(after), fill(predicate))
