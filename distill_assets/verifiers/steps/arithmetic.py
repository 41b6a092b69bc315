"""Sums in a text: 3 * 4 = 12 is right, 3 * 4 = 13 is not.

Belongs here: finding equations, a parser of sums that evaluates nothing else, and comparing both sides. Does not
belong here: algebra (math), or what a sum is for.

Words around a sum are passed over, words after a number are its unit. A side that holds anything else, such as a
variable, is not checked. A result with decimals may be rounded or cut at its last one, one without must be exact,
unless the text says that it is about so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from itertools import pairwise
from typing import NamedTuple

from distill_assets.verifiers.values.numbers import MAGNITUDES, MAX_EXPONENT, PRECISION

MAX_TOKENS = 80
MAX_DEPTH = 30
MAX_POWER = 64
_TOKEN = re.compile(
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?P<percent>\s?%)?|(?P<op>\*\*|[-+*/^()×·÷−–]|\\times|\\cdot|\\div)"
    r"|(?P<equal>=|≈|≅|\\approx|->|→)|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)|(?P<money>\\?[$€£¥])|(?P<other>\S)"
)
_TIMES = {"×": "*", "·": "*", "\\times": "*", "\\cdot": "*", "÷": "/", "\\div": "/", "−": "-", "–": "-", "^": "**"}
_WORD_OPS = {"plus": "+", "minus": "-", "times": "*", "x": "*", "of": "of"}
# Words that a sum does not go on over.
_BREAKS = frozenset([
    "is", "are", "was", "so", "then", "and", "but", "or", "because", "gives", "makes", "leaves", "thus", "therefore", "hence", "get", "with",
])  # fmt: skip
_ABOUT = ("≈", "≅", "\\approx")


class Token(NamedTuple):
    """One token: kind is number, op, equal, word or other; `decimals` of a number as written."""

    kind: str
    text: str
    value: Decimal = Decimal(0)
    decimals: int = 0


class Equation(NamedTuple):
    """One equation as found, with whether it holds."""

    text: str
    is_right: bool


class _UnreadableError(Exception):
    """A side that is no sum."""


def check_equations(text: str) -> list[Equation]:
    """Find each `a = b` of two sums, of which at least one calculates, and say whether it holds."""
    return [
        equation
        for clause in re.split(r"[;\n]|(?<!\d)[.,](?=\s|\Z)|(?<=\d)[.,](?=\s|\Z)|\?|!", text)
        for equation in _check_clause(clause)
    ]


def _check_clause(clause: str) -> Iterator[Equation]:
    tokens = _tokenize(clause)
    places = [i for i, token in enumerate(tokens) if token.kind == "equal"]
    bounds = [-1, *places, len(tokens)]
    sides = [tokens[a + 1 : b] for a, b in pairwise(bounds)]
    for i, place in enumerate(places):
        left = _take_end(sides[i]) if i == 0 else sides[i]
        right = _take_start(sides[i + 1]) if i + 1 == len(places) else sides[i + 1]
        about = tokens[place].text in _ABOUT or any(
            t.text.lower() in ("about", "approximately", "roughly", "around") for t in sides[i + 1]
        )
        found = _compare(left, right, about)
        if found is not None:
            yield Equation(f"{_show(left)} = {_show(right)}", found)


def _compare(left: list[Token], right: list[Token], is_about: bool) -> bool | None:
    if not any(token.kind == "op" for token in (*left, *right)):
        return None
    try:
        ours, theirs = _evaluate(left), _evaluate(right)
    except (_UnreadableError, InvalidOperation, DivisionByZero, Overflow, RecursionError, ZeroDivisionError):
        return None
    decimals = max((token.decimals for token in right if token.kind == "number"), default=0)
    return any(_is_close(a, b, decimals, is_about) for a in ours for b in theirs)


def _is_close(a: Decimal, b: Decimal, decimals: int, is_about: bool) -> bool:
    with localcontext(PRECISION):
        size = max(abs(a), abs(b))
        slack = Decimal("1e-9") * size
        if decimals:
            slack = max(slack, Decimal(1).scaleb(-decimals))
        if is_about:
            slack = max(slack, Decimal("0.02") * size, Decimal("0.5"))
        return abs(a - b) <= slack


def _tokenize(text: str) -> list[Token]:
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        if match["number"]:
            digits = match["number"].replace(",", "")
            value = Decimal(digits) / 100 if match["percent"] else Decimal(digits)
            tokens.append(Token("number", match[0], value, len(digits.partition(".")[2]) + (2 if match["percent"] else 0)))
        elif match["op"]:
            tokens.append(Token("op", _TIMES.get(match[0], match[0])))
        elif match["equal"]:
            tokens.append(Token("equal", match[0]))
        elif match["word"]:
            tokens.append(_read_word(match, text))
        elif match["other"]:
            tokens.append(Token("other", match[0]))
    return tokens[: 4 * MAX_TOKENS]


def _read_word(match: re.Match[str], text: str) -> Token:
    """A word: an operator between numbers, a unit or other word; a variable when it is glued to a digit or a letter alone."""
    word = match[0].lower()
    if (
        word in _WORD_OPS
        and re.search(r"[\d)%]\s*\Z|\w\s+\Z", text[: match.start()][-12:])
        and re.match(r"\s*[\d($.]", text[match.end() :])
    ):
        return Token("op", _WORD_OPS[word])
    if word in _BREAKS:
        return Token("break", match[0])
    is_glued = text[: match.start()][-1:].isdigit() and len(word) < 2
    if word in MAGNITUDES:
        return Token("word", word, Decimal(1).scaleb(MAGNITUDES[word]))
    return Token("other" if is_glued or (len(word) == 1 and word not in "amghsl") else "word", match[0])


def _take_end(tokens: list[Token]) -> list[Token]:
    """The sum that a text ends in: back to the first token that cannot be part of one."""
    start = len(tokens)
    while start and tokens[start - 1].kind in ("number", "op", "word"):
        start -= 1
    is_beside = start and start < len(tokens) and tokens[start - 1].kind == "other" and tokens[start].kind != "word"
    if is_beside and tokens[start - 1].text not in ':`"':
        return tokens[start - 1 :]
    side = tokens[start:]
    first = next((i for i, token in enumerate(side) if token.kind == "number" or token.text in "(-"), len(side))
    return side[first:] if first == 0 or side[first - 1].kind == "word" else side


def _take_start(tokens: list[Token]) -> list[Token]:
    """The sum that a text begins with: up to words that no operator follows."""
    side: list[Token] = []
    for i, token in enumerate(tokens):
        if token.kind == "break":
            return side
        if token.kind == "other" or (token.kind == "op" and token.text == "(" and side and side[-1].kind in ("number", "word")):
            return side if side and token.kind == "op" else ([*side, token] if _goes_on(side) or not side else side)
        if token.kind == "word" and not any(rest.kind == "op" for rest in tokens[i + 1 : i + 3]):
            return [*side, token] if token.value else side
        side.append(token)
    return side


def _goes_on(side: list[Token]) -> bool:
    return bool(side) and side[-1].kind == "op" and side[-1].text != ")"


def _show(tokens: list[Token]) -> str:
    return " ".join(token.text for token in tokens)[:120]


def _evaluate(tokens: list[Token]) -> list[Decimal]:
    """The values that a side can mean: one, or two where a percent is added (50 + 10% is 55, or 50.1)."""
    values = [_Parser(tokens, is_relative).parse() for is_relative in (False, True)]
    return values if values[0] != values[1] else values[:1]


class _Parser:
    """Sums by precedence: + and -, * and / and of, signs, powers, brackets. Words after a number are passed over."""

    def __init__(self, tokens: list[Token], is_relative: bool) -> None:
        if len(tokens) > MAX_TOKENS:
            raise _UnreadableError
        self._tokens = [token for i, token in enumerate(tokens) if not _is_unit(tokens, i)]
        self._at = self._depth = 0
        self._is_relative = is_relative

    def parse(self) -> Decimal:
        with localcontext(PRECISION):
            value = self._sum()
        if self._at < len(self._tokens) or not value.is_finite() or (value and abs(value.adjusted()) > MAX_EXPONENT):
            raise _UnreadableError
        return value

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) and self._tokens[self._at].kind == "op" else ""

    def _sum(self) -> Decimal:
        value = self._product()
        while (op := self._peek()) in ("+", "-"):
            self._at += 1
            is_percent = self._is_relative and self._at < len(self._tokens) and self._tokens[self._at].text.endswith("%")
            term = self._product() * (value if is_percent else 1)
            value = value + term if op == "+" else value - term
        return value

    def _product(self) -> Decimal:
        value = self._sign()
        while (op := self._peek()) in ("*", "/", "of"):
            self._at += 1
            factor = self._sign()
            value = value / factor if op == "/" else value * factor
        return value

    def _sign(self) -> Decimal:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _UnreadableError
        if self._peek() in ("+", "-"):
            op = self._peek()
            self._at += 1
            value = self._sign()
            value = -value if op == "-" else value
        else:
            value = self._power()
        self._depth -= 1
        return value

    def _power(self) -> Decimal:
        base = self._atom()
        if self._peek() != "**":
            return base
        self._at += 1
        power = self._sign()
        if abs(power) > MAX_POWER:
            raise _UnreadableError
        return base**power

    def _atom(self) -> Decimal:
        if self._at >= len(self._tokens):
            raise _UnreadableError
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "number":
            if self._at < len(self._tokens) and self._tokens[self._at].kind == "word" and self._tokens[self._at].value:
                self._at += 1
                return token.value * self._tokens[self._at - 1].value
            return token.value
        if token.text != "(":
            raise _UnreadableError
        value = self._sum()
        if self._peek() != ")":
            raise _UnreadableError
        self._at += 1
        return value


def _is_unit(tokens: list[Token], i: int) -> bool:
    """A word that follows a number or another such word says what is counted, as in 3 red apples * 4."""
    if tokens[i].kind != "word" or tokens[i].value:
        return False
    before = i - 1
    while before >= 0 and tokens[before].kind == "word":
        before -= 1
    return before >= 0 and (tokens[before].kind == "number" or tokens[before].text == ")")
