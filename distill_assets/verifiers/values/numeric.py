"""A numeric answer held against a number.

Belongs here: which number of a text is its answer, and the verdict. Does not belong here: reading one number (numbers).
"""

from __future__ import annotations

import re
from decimal import Decimal

from distill_assets.verifiers.registry import Verdict
from distill_assets.verifiers.values.numbers import Quantity, are_equal, find_boxed, read_quantities, read_quantity

# Where a text says that its answer comes now; "####" is how GSM8K (Cobbe et al. 2021) marks it.
_MARKER = re.compile(r"####|\b(?:final )?(?:answer|result)\b(?:\s*(?:is|are|=|:|equals|comes to|would be))+", re.IGNORECASE)


class NumericVerifier:
    """Compares the number that an answer ends in with the gold number.

    Args:
        relative_tolerance, absolute_tolerance: two numbers are equal within the larger of both.
    """

    def __init__(self, relative_tolerance: float = 1e-6, absolute_tolerance: float = 1e-9) -> None:
        self._relative, self._absolute = Decimal(str(relative_tolerance)), Decimal(str(absolute_tolerance))

    def verify(self, answer: str, gold: str | None) -> Verdict:
        r"""Compare the last \boxed{}, else the number after "the answer is", else the last number."""
        found = find_answer(answer)
        evidence: dict[str, object] = {"found": None if found is None else _describe(found)}
        expected = None if gold is None else find_answer(gold)
        if gold is not None and expected is None:
            return Verdict("unscored", None, f"gold holds no number: {gold[:60]!r}", evidence)
        if found is None:
            return Verdict("failed", 0.0, "no number in the answer", evidence)
        if expected is None:
            return Verdict("unscored", None, "no gold to compare with", evidence)
        evidence["expected"] = _describe(expected)
        if are_equal(found, expected, self._relative, self._absolute):
            return Verdict("passed", 1.0, "equal numbers", evidence)
        return Verdict("failed", 0.0, f"{_describe(found)} is not {_describe(expected)}", evidence)


def find_answer(text: str) -> Quantity | None:
    """The number that a text gives as its answer, or None."""
    if (boxed := find_boxed(text)) is not None:
        return read_quantity(boxed)
    marks = list(_MARKER.finditer(text))
    if marks:
        line = text[marks[-1].end() :].lstrip().split("\n", 1)[0]
        clause = re.split(r"(?<!\d)[.;(]\s|\.\s|\s\(", line, maxsplit=1)[0]
        if stated := read_quantities(clause):
            return stated[-1] if "=" in clause else stated[0]
    return read_quantity(text)


def _describe(quantity: Quantity) -> str:
    text = f"{quantity.value:f}" if abs(quantity.value.adjusted()) < 30 else f"{quantity.value:e}"
    return f"{text[:60]}{'%' if quantity.is_percent else ''}{f' {quantity.unit}' if quantity.unit else ''}"
