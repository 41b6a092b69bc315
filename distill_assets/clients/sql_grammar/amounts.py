"""Numbers in conditions: thresholds people choose and how they compare.

Belongs here: drawing a comparison on a numeric column, and its phrases. Does not belong here:
dates, or conditions on text.
"""

from __future__ import annotations

import re
from math import floor, log10

from distill_assets.clients.sql_grammar import english
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Thing, Words

_MONEY = {
    "GBP": ("{n} pounds", "£{n}", "{n} GBP"),
    "EUR": ("{n} euros", "€{n}", "{n} eur"),
    "USD": ("{n} dollars", "${n}", "{n} USD"),
}
_UNITS = {
    "minutes": ("{n} minutes", "{n} min", "{n} mins"), "days": ("{n} days",), "km": ("{n} km", "{n} kilometers", "{n}km", "{n} kilometres"),
    "m": ("{n} m", "{n} meters", "{n}m", "{n} metres"), "mg": ("{n} mg", "{n}mg"), "percent": ("{n} percent", "{n}%", "{n} %"),
    "kg": ("{n} kg",), "hours": ("{n} hours",),
}  # fmt: skip
COMPARE = {
    ">": ("more than", "more than", "over", "above", "greater than", "higher than", "exceeding"),
    ">=": ("at least", "at least", "a minimum of", "no less than", "{n} or more"),
    "<": ("less than", "under", "below", "lower than", "fewer than"),
    "<=": ("at most", "up to", "no more than", "a maximum of", "{n} or less"),
    "=": ("exactly", "", ""),
}
_LONG = {">": ("longer than", "more than", "over", "above"), "<": ("shorter than", "less than", "under", "below")}


_TIME_UNIT = re.compile(r" (?:minutes|mins?|days|hours)\Z")
_PRICE_NAMES = ("price", "cost", "fare", "fee", "charge", "amount", "total")
_PRICE_AFTER = ("that cost {t}", "costing {t}", "priced {t}", "{t}", "{d}")
# family -> phrases after the noun, as predicate; {l} compares by "longer than", {t} by "more than"
_LENGTHS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "duration": (("{l}", "of {t}", "lasting {t}", "that took {l}", "that lasted {l}", "that were {l}"), ("lasted {l}", "took {l}", "were {l}", "are {l}")),
    "distance": (("{l}", "of {t}", "that covered {t}", "that were {l}"), ("were {l}", "covered {t}", "are {l}")),
}  # fmt: skip
_STARS = (
    ("{n} star", "{n}-star", "{n} star"),
    ("with {n} {s}", "rated {n}", "that got {n} {s}", "rated {n} {s}", "with a {n} star rating", "with a rating of {n}"),
    ("got {n} {s}", "were rated {n}", "have {n} {s}", "received {n} {s}", "were given {n} {s}", "got a {n} star rating"),
)
_RATED = (
    (),
    ("rated {t}", "with {t} stars", "rated {t} stars"),
    ("got {t} stars", "were rated {t}", "have {t} stars", "received {t} stars"),
)


def draw_number_test(d: Draw, column: Words) -> tuple[str, str, str]:
    """Draw operator, SQL literal and spoken amount for a comparison that leaves some rows."""
    values = [float(v) for v in column.values]
    if column.n_distinct <= 12 and d.chance(0.55 if column.n_distinct <= 7 else 0.25):
        value = _write(d.pick(values))
        return "=", value, _speak(d, column, value)
    op = d.weigh({">": 4.0, "<": 2.6, ">=": 2.4, "<=": 0.8, "BETWEEN": 0.6})
    if op == "BETWEEN":
        low, high = sorted((pick_threshold(d, values), pick_threshold(d, values)))
        low, high = (low, high) if low < high else (values[0], values[-1])
        joint = d.pick(("and", "and", "to"))
        spoken = f"{_write(low)} {joint} {_speak(d, column, _write(high))}"
        return op, f"{_write(low)} AND {_write(high)}", ("from " if joint == "to" else "between ") + spoken
    value = _write(_inside(op, pick_threshold(d, values), values))
    return op, value, _speak(d, column, value)


def pick_threshold(d: Draw, values: list[float]) -> float:
    """Pick a round number somewhere inside the range of the values."""
    raw = values[min(len(values) - 1, int(d.between(0.15, 0.85) * len(values)))]
    if abs(raw) < 10:
        return float(round(raw)) if d.chance(0.85) or raw == 0 else round(raw * 2) / 2
    step = 10.0 ** floor(log10(abs(raw)))
    return (
        round(raw / (step / d.pick((1, 2, 2, 10)))) * (step / 2) if d.chance(0.5) else float(round(raw / (step / 10)) * (step / 10))
    )


def _inside(op: str, value: float, values: list[float]) -> float:
    is_fine = {">": value < values[-1], "<": value > values[0], ">=": value <= values[-1], "<=": value >= values[0]}[op]
    middle = values[len(values) // 2]
    return value if is_fine else float(floor(middle)) if op.startswith(">") else float(floor(middle) + 1)


def _write(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.2f}".rstrip("0")


def _speak(d: Draw, column: Words, value: str) -> str:
    text = value
    if value.isdigit() and int(value) <= 10 and d.chance(0.35):
        text = english.NUMBER_WORDS[int(value)]
    forms = _MONEY.get(column.unit) or _UNITS.get(column.unit)
    if forms and d.chance(0.5):
        form = d.pick(forms)
        return form.format(n=text if form.startswith("{n} ") else value)
    return text


def compare(d: Draw, op: str, amount: str, words: dict[str, tuple[str, ...]] = COMPARE) -> str:
    """Say a comparison: "more than 20 euros", "20 or more"."""
    if op == "BETWEEN":
        return amount
    chosen = d.pick(words.get(op, COMPARE[op]))
    return chosen.format(n=amount) if "{n}" in chosen else f"{chosen} {amount}".strip()


def say_number(d: Draw, thing: Thing, column: Words, op: str, amount: str) -> tuple[tuple[str, ...], ...]:
    """Return the seats (before, after, predicate) of a comparison on a number."""
    noun = d.lean(column.nouns)
    than = compare(d, op, amount)
    is_plural = english.is_plural(noun) or (column.family == "count" and not noun.endswith(("balance", "score")))
    symbol = {"BETWEEN": ""}.get(op, op)
    after = [
        f"with {english.with_article(noun)} (of|of|) {than}",
        f"whose {noun} is {than}",
        f"with {noun} {than}",
        f"where {noun} is {than}",
    ]
    after += [f"with {noun} {symbol} {amount}", f"{noun} {symbol} {amount}"] if symbol and d.chance(0.15) else []
    have = [f"have {english.with_article(noun)} of {than}", f"had {english.with_article(noun)} of {than}"]
    if is_plural:
        than = _TIME_UNIT.sub("", than) if column.family == "duration" else than
        after = [f"with {than} {noun}", f"that have {than} {noun}", f"having {than} {noun}", f"with {noun} {than}"]
        have = [f"have {than} {noun}", f"had {than} {noun}", f"got {than} {noun}"]
    before, extra_after, extra_have = _family_seats(d, column, op, amount, than)
    return before, tuple(map(d.say, after)) + extra_after * 2, tuple(map(d.say, have)) + extra_have * 2


def _family_seats(d: Draw, column: Words, op: str, amount: str, than: str) -> tuple[tuple[str, ...], ...]:
    family = column.family
    if family == "price" and (column.ref.column in _PRICE_NAMES or column.clause):
        more = {">": ("more expensive than",), "<": ("cheaper than",)}
        dear = compare(d, op, amount, more) if op in more else than
        after = _fill(_PRICE_AFTER, t=f"at {amount}" if op == "=" else than, d=dear)
        return (
            (),
            after,
            _fill(("cost {t}", "cost {t}", "are priced {t}", "are {d}" if dear != than else "cost {t}"), t=than, d=dear),
        )
    if family == "distance" and not any(letter.isalpha() for letter in amount.split(" ")[-1]):
        return (), (), ()
    if family in _LENGTHS:
        long = compare(d, op, amount, _LONG | {k: v for k, v in COMPARE.items() if k not in _LONG})
        after, have = _LENGTHS[family]
        return (), _fill(after, t=than, l=long), _fill(have, t=than, l=long)
    if family == "rating":
        star = "star" if amount in ("1", "one") else "stars"
        return tuple(_fill(seat, t=than, n=amount, s=star) for seat in (_STARS if op == "=" else _RATED))
    if family == "percent":
        noun = d.lean(column.nouns)
        after = _fill(("with {n} {m}", "with a {m} of {t}", "that had a {m} of {t}"), n=amount, m=noun, t=than) if op == "=" else ()
        return (), after, (f"had a {noun} of {than}", f"got a {noun} of {than}")
    return (), (), ()


def _fill(seat: tuple[str, ...], **words: str) -> tuple[str, ...]:
    return tuple(phrase.format(**words) for phrase in seat)
