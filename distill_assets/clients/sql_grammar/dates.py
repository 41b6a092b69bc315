"""Dates in conditions: years, months, days and how people say them.

Belongs here: drawing a test on a date, timestamp or year column, and its phrases. Does not belong
here: grouping by a part of a date. The one idea: whole years are compared by `year(col)`, months by
half-open bounds, so that every meaning has one form.
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import english
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Thing, Words
from distill_assets.clients.sql_grammar.query import Item, Test

_YEAR_WORDS = {
    "=": ("in {y}", "in {y}", "in {y}", "during {y}", "in the year {y}"),
    ">": ("after {y}", "after {y}", "later than {y}"),
    "<": ("before {y}", "before {y}", "earlier than {y}"),
    ">=": ("since {y}", "since {y}", "in {y} or later", "from {y} on", "from {y} onwards", "since the start of {y}"),
    "<=": ("until {y}", "up to {y}", "in {y} or earlier", "by the end of {y}"),
}
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def draw_date_test(d: Draw, column: Words) -> tuple[tuple[Test, ...], str]:
    """Draw tests on a date and their adverbial ("in March 2024", "before 2020")."""
    if column.kind == "year":
        return _year_test(d, Item("", column.ref), sorted(int(v) for v in column.values))
    years = sorted(int(v[:4]) for v in column.values)
    if years[-1] - years[0] > 12 or d.chance(0.62):
        return _year_test(d, Item("year", column.ref), years)
    value = d.pick(column.values)
    year, month, day = int(value[:4]), int(value[5:7]), int(value[8:10])
    return _month_test(d, column, year, month) if d.chance(0.8) else _day_test(d, column, (year, month, day))


def _year_test(d: Draw, item: Item, years: list[int]) -> tuple[tuple[Test, ...], str]:
    year = d.pick(years)
    op = d.weigh({"=": 5.0 if item.fn else 1.5, ">": 1.7, "<": 1.7, ">=": 1.4, "<=": 0.4, "BETWEEN": 0.6})
    if op == "BETWEEN" and years[0] < years[-1]:
        low = d.whole(years[0], years[-1] - 1)
        high = d.whole(low + 1, years[-1])
        words = d.pick(
            (
                f"between {low} and {high}",
                f"from {low} to {high}",
                f"in {low} or {high}" if high == low + 1 else f"between {low} and {high}",
            )
        )
        return (Test(item, "BETWEEN", f"{low} AND {high}"),), words
    if op == "BETWEEN" or (op == ">" and year >= years[-1]) or (op == "<" and year <= years[0]):
        op = "="
    return (Test(item, op, str(year)),), d.pick(_YEAR_WORDS[op]).format(y=year)


def _month_test(d: Draw, column: Words, year: int, month: int) -> tuple[tuple[Test, ...], str]:
    item = Item("", column.ref)
    name = english.MONTHS[month - 1]
    name = name[:3] if d.chance(0.12) else name
    spoken = d.pick((f"{name} {year}", f"{name} {year}", f"{name} {year}", f"{name} of {year}"))
    op = d.weigh({"=": 6.0, ">": 1.2, "<": 1.0, ">=": 1.0, "any": 0.5})
    if op == "=":
        tests = (Test(Item("year", column.ref), "=", str(year)), Test(Item("month", column.ref), "=", str(month)))
        return tests, d.pick((f"in {spoken}", f"in {spoken}", f"during {spoken}"))
    if op == "any":
        return (Test(Item("month", column.ref), "=", str(month)),), d.pick(
            (f"in {name}", f"in any {name}", f"in the month of {name}")
        )
    start, after = f"DATE '{year}-{month:02d}-01'", f"DATE '{year + month // 12}-{month % 12 + 1:02d}-01'"
    if op == "<":
        return (Test(item, "<", start),), f"before {spoken}"
    return (Test(item, ">=", after if op == ">" else start),), ("after " if op == ">" else "since ") + spoken


def _day_test(d: Draw, column: Words, day: tuple[int, int, int]) -> tuple[tuple[Test, ...], str]:
    year, month, number = day
    item = Item("DATE" if column.is_timestamp else "", column.ref)
    literal = f"DATE '{year}-{month:02d}-{number:02d}'"
    name = english.MONTHS[month - 1]
    spoken = d.pick((f"{name} {number}, {year}", f"{number} {name} {year}", literal[6:-1], f"{name} {number} {year}"))
    op, word = d.pick((("=", "on"), (">", "after"), ("<", "before")))
    return (Test(item, op, literal),), f"{word} {spoken}"


def say_date(d: Draw, thing: Thing, column: Words, words: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the seats (after, predicate) of a date's adverbial."""
    noun, clause = d.lean(column.nouns), column.clause
    who = "who" if thing.is_person else "that"
    if not clause:
        if is_main_date(thing, column):
            return (words, words, f"that took place {words}", f"we had {words}"), (
                f"took place {words}",
                f"happened {words}",
                f"were {words}",
            )
        return (f"with {english.with_article(noun)} {words}", f"whose {noun} is {words}"), (
            f"have {english.with_article(noun)} {words}",
        )
    plural = clause.replace("was ", "were ", 1) if clause.startswith("was ") else clause
    verb = clause.removeprefix("was ")
    after = [f"{who} {plural} {words}", f"{verb} {words}" if clause.startswith("was ") else f"{who} {plural} {words}"]
    if is_main_date(thing, column) and not thing.is_person:
        after += [words, words]
    after += [f"with {english.with_article(noun)} {words}"]
    return tuple(after), (f"{plural} {words}",) * 3


def say_inverted(d: Draw, thing: Thing, column: Words, words: str) -> tuple[str, ...]:
    """Return what follows "how many orders" in an inverted question: "did we ship in 2024"."""
    clause = column.clause.removeprefix("was ").removeprefix("last ")
    if column.clause.startswith("was ") and column.kind == "date" and clause != "born":
        return (
            f"did we {english.base_form(clause)} {words}",
            f"were {clause} {words}",
            f"have we {clause} {words}" if clause.endswith("ed") else f"did we {english.base_form(clause)} {words}",
        )
    if is_main_date(thing, column):
        return (f"did we have {words}", f"were there {words}", f"do we have {words}")
    return ()


def is_main_date(thing: Thing, column: Words) -> bool:
    """Tell whether the column is the date of the row itself: the first date of an event's table."""
    first = next((c for c in thing.columns if c.kind == "date"), None)
    return not thing.is_person and not thing.is_place and first is not None and first.ref == column.ref and bool(thing.links)
