"""Reading numbers as people and models write them.

Belongs here: from text to a value with its unit, and equality within a tolerance. Does not belong here: verdicts
(numeric) or expressions with operators (steps/arithmetic, math).

A value is a Decimal, so that 0.1 is a tenth and a number of 40 digits keeps them all. What no float could hold is no
number here: nobody means 1e999999999.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation, localcontext
from typing import NamedTuple

MAX_TEXT_CHARS = 100_000
MAX_EXPONENT = 300
PRECISION = Context(prec=60, Emax=10_000, Emin=-10_000, traps=[InvalidOperation])
MAGNITUDES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
CURRENCIES = {
    "$": "usd", "usd": "usd", "dollar": "usd", "dollars": "usd", "€": "eur", "eur": "eur", "euro": "eur", "euros": "eur",
    "£": "gbp", "gbp": "gbp", "¥": "jpy", "yen": "jpy",
}  # fmt: skip
# Dimension -> names and their factor to its base unit. Words that English also uses otherwise ("in", "a") are left out.
DIMENSIONS = {
    "length": {
        "mm millimetre millimeter": "0.001", "cm centimetre centimeter": "0.01", "m metre meter": "1",
        "km kilometre kilometer": "1000", "inch inches": "0.0254", "ft foot feet": "0.3048", "yard": "0.9144", "mile": "1609.344",
    },
    "mass": {
        "mg milligram": "0.000001", "g gram": "0.001", "kg kilogram": "1", "tonne": "1000", "lb lbs": "0.45359237",
        "ounce": "0.028349523125",
    },
    "time": {
        "ms": "0.001", "s sec second": "1", "min minute": "60", "h hr hour": "3600", "day": "86400", "week": "604800",
    },
    "volume": {"ml millilitre milliliter": "0.001", "cl": "0.01", "l litre liter": "1"},
}  # fmt: skip
UNITS = {
    name: (dimension, Decimal(factor))
    for dimension, units in DIMENSIONS.items()
    for names, factor in units.items()
    for name in names.split()
}

_DIGITS = r"(?:\d{1,3}(?:[,\u00a0\u2009\u202f]\d{3})+(?!\d)|\d{1,3}(?:\{,\}\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_POWER = r"(?:[eE][+-]?\d{1,6}(?!\d)|\s*(?:\\times|\\cdot|[x×·*])\s*10\s*(?:\^|\*\*)\s*\{?\s*[+−-]?\d{1,6}\s*\}?)"
NUMBER = re.compile(
    rf"(?P<sign>[-+−]\s?)?(?P<money>[$€£¥]|\\\$)?\s?(?P<minus>[-−])?(?:\\d?t?frac\s*\{{\s*(?P<top>-?\d+)\s*\}}\s*\{{\s*(?P<bottom>\d+)\s*\}}"
    rf"|(?:(?P<whole>\d+)\s+)?(?P<above>\d+)\s*/\s*(?P<below>\d+)(?![\d/.])|(?P<digits>{_DIGITS})(?P<power>{_POWER})?)"
    r"(?:\s*(?P<percent>\\?%|percent\b|per cent\b)|\s*(?:\\text\{)?\s*(?P<word>[a-zA-Z]{1,12}\b|[€£¥]))?"
)


class Quantity(NamedTuple):
    """A number with what was said of its unit; `unit` is a currency, a name in UNITS, or empty. A percent stands as written."""

    value: Decimal
    unit: str = ""
    is_percent: bool = False


def read_quantities(text: str) -> list[Quantity]:
    """All numbers of a text in their order; what is no number or too large to be meant is left out."""
    found = (_read_match(match) for match in NUMBER.finditer(text[-MAX_TEXT_CHARS:]))
    return [quantity for quantity in found if quantity is not None]


def read_quantity(text: str) -> Quantity | None:
    """The only number of a text, or its last one; None when there is none."""
    quantities = read_quantities(text)
    return quantities[-1] if quantities else None


def find_boxed(text: str) -> str | None:
    r"""What the last \boxed{} or \fbox{} of a text holds, with braces in it balanced; None when there is none."""
    start = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if start < 0:
        return None
    start = text.index("{", start) + 1
    depth = 1
    for end in range(start, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[start:end]
    return None


def are_equal(left: Quantity, right: Quantity, relative: Decimal, absolute: Decimal) -> bool:
    """Whether two quantities say the same within the larger of both tolerances.

    Units count where both sides have one: known ones are converted, unlike dimensions or currencies differ. A percent
    on one side alone may mean the number as written or a hundredth of it.
    """
    if (converted := _convert(left, right)) is None:
        return False
    a, b = converted
    candidates = [(a, b)]
    if left.is_percent != right.is_percent:
        candidates.append((a / 100, b) if left.is_percent else (a, b / 100))
    return any(_is_close(x, y, relative, absolute) for x, y in candidates)


def _convert(left: Quantity, right: Quantity) -> tuple[Decimal, Decimal] | None:
    if not left.unit or not right.unit or left.unit == right.unit:
        return left.value, right.value
    one, other = UNITS.get(left.unit), UNITS.get(right.unit)
    if one is None or other is None or one[0] != other[0]:
        return None
    with localcontext(PRECISION):
        return left.value * one[1], right.value * other[1]


def _is_close(a: Decimal, b: Decimal, relative: Decimal, absolute: Decimal) -> bool:
    with localcontext(PRECISION):
        return abs(a - b) <= max(relative * max(abs(a), abs(b)), absolute)


def _read_match(match: re.Match[str]) -> Quantity | None:
    try:
        with localcontext(PRECISION):
            value = _read_value(match)
            word = (match["word"] or "").lower()
            if word in MAGNITUDES:
                value = value.scaleb(MAGNITUDES[word])
    except (InvalidOperation, ZeroDivisionError, OverflowError):
        return None
    if not value.is_finite() or (value and abs(value.adjusted()) > MAX_EXPONENT):
        return None
    is_negative = match["minus"] or (("-" in (match["sign"] or "") or "−" in (match["sign"] or "")) and _is_sign(match))
    return Quantity(-value if is_negative else value, _read_unit(match, word), bool(match["percent"]))


def _is_sign(match: re.Match[str]) -> bool:
    """A dash after a digit, letter or closing bracket is a range or a subtraction, and `- 3` on a line's start a list."""
    before = match.string[max(0, match.start() - 200) : match.start()]
    is_bullet = match["sign"][-1:].isspace() and not before.rpartition("\n")[2].strip()
    last = before.rstrip(" ")[-1:] if match["sign"][-1:].isspace() else before[-1:]
    return not is_bullet and not (last.isalnum() or (last and last in ")]}%"))


def _read_value(match: re.Match[str]) -> Decimal:
    if match["top"]:
        return Decimal(match["top"]) / Decimal(match["bottom"])
    if match["above"]:
        return Decimal(match["whole"] or 0) + Decimal(match["above"]) / Decimal(match["below"])
    value = Decimal(re.sub(r"[^\d.]", "", match["digits"]))
    if match["power"]:
        exponent = re.search(r"([+−-]?\d+)\s*\}?\Z", match["power"])
        value = value.scaleb(int(exponent[1].replace("−", "-"))) if exponent else value
    return value


def _read_unit(match: re.Match[str], word: str) -> str:
    money = CURRENCIES.get((match["money"] or "").lstrip("\\")) or CURRENCIES.get(word)
    if money:
        return money
    for name in (word, word.removesuffix("s")):
        if name in UNITS:
            return name
    return ""
