"""Whether the value that came back is the expected one.

Belongs here: equality of plain values. Does not belong here: how they crossed (sandbox/codec). Both sides are exact
built-in values, so no code of the candidate takes part.
"""

from __future__ import annotations

import math
import reprlib

from distill_assets.verifiers.sandbox.codec import Opaque, Values
from distill_assets.verifiers.sandbox.exchange import clean

MAX_SHOWN_CHARS = 300


def values_equal(expected: object, found: object, tolerance: float = 0.0, is_exact: bool = False) -> bool:
    """Equality as Python has it, but that NaN equals NaN and an expected list also takes a tuple (JSON knows no tuples).

    Args:
        tolerance: relative and absolute, for floats. is_exact: equality as Python has it and nothing else.
    """
    try:
        if is_exact:
            return bool(expected == found)
        return _equal(expected, found, tolerance)
    except (ArithmeticError, ValueError, TypeError, RecursionError):
        return False


def _equal(expected: object, found: object, tolerance: float) -> bool:
    if isinstance(found, Opaque | Values) or isinstance(expected, Opaque | Values):
        return isinstance(expected, Values) and isinstance(found, Values) and _equal(list(expected), list(found), tolerance)
    if isinstance(expected, float) or isinstance(found, float):
        return _floats_equal(expected, found, tolerance)
    if isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        if type(expected) is not type(found) and not isinstance(expected, list):
            return False
        return len(expected) == len(found) and all(
            _equal(one, other, tolerance) for one, other in zip(expected, found, strict=True)
        )
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(_equal(item, found[key], tolerance) for key, item in expected.items())
    return expected == found


def _floats_equal(expected: object, found: object, tolerance: float) -> bool:
    if isinstance(expected, float) and isinstance(found, float) and math.isnan(expected):
        return math.isnan(found)
    if tolerance and isinstance(expected, int | float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=tolerance, abs_tol=tolerance)
    return expected == found


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = MAX_SHOWN_CHARS // 2
        self.maxlist = self.maxtuple = self.maxset = self.maxdict = 12

    def repr_int(self, x: int, level: int) -> str:
        """A number; the interpreter refuses to write very long ones."""
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"<a number of {x.bit_length()} bits>"


def show(value: object) -> str:
    """A value for people, short and without control characters."""
    try:
        return clean(_Short().repr(value))[:MAX_SHOWN_CHARS]
    except (ValueError, RecursionError, ArithmeticError):
        return f"<{type(value).__name__}>"
