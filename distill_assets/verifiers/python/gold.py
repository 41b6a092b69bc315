"""What a Python answer is held against.

Belongs here: reading a gold text into one of three forms. Does not belong here: running anything (verify).

The forms: `{"entry": name, "cases": [{"args": [...], "kwargs": {...}, "expected": value}]}` (or `"raises": type name`
instead of `expected`; `"tolerance"` beside `cases` for floats); `{"entry": name, "tests": source}`, where the source
defines check(candidate) or asserts at once; `{"cases": [{"stdin": text, "stdout": text}]}`. A text that is no JSON is
a test source. Values are JSON; what JSON cannot say is written as sandbox/codec does, such as {"$tuple": [1, 2]}.
"""

from __future__ import annotations

import ast
import builtins
import json
from typing import NamedTuple

from distill_assets.verifiers.python.literal import read_literal_calls
from distill_assets.verifiers.sandbox.codec import CannotCross, from_json

MAX_CASES = 5000


class Call(NamedTuple):
    """One call as it crosses to the candidate, and what it should give: a value or the name of an exception."""

    message: list
    expected: object
    raises: str | None


class Gold(NamedTuple):
    """One of three: calls of `entry`, tests of `entry`, or (input, output) of a program."""

    entry: str | None
    calls: tuple[Call, ...] = ()
    tests: str = ""
    programs: tuple[tuple[str, str], ...] = ()
    tolerance: float = 0.0
    is_exact: bool = False  # expected values are Python's, not JSON's


class GoldError(ValueError):
    """A gold text cannot be used, so nothing can be said of an answer."""


def read_gold(text: str) -> Gold:
    """Read a gold text.

    Raises:
        GoldError: when it has none of the three forms.
    """
    try:
        found = json.loads(text)
    except ValueError:
        return _from_tests(text, _entry_of_tests(text))
    except RecursionError:
        raise GoldError("nested too deeply") from None
    try:
        return _from_object(found)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, CannotCross) as error:
        raise GoldError(f"{type(error).__name__}: {error}"[:300]) from None


def _from_object(found: dict) -> Gold:
    if not isinstance(found, dict):
        raise GoldError(f"a {type(found).__name__}, not an object")
    entry = found.get("entry")
    if entry is not None and not all(part.isidentifier() for part in entry.split(".")):
        raise GoldError(f"entry {entry!r} is no name")
    if "tests" in found:
        return _from_tests(found["tests"], entry or _entry_of_tests(found["tests"]))
    cases = found.get("cases")
    if not isinstance(cases, list) or not 0 < len(cases) <= MAX_CASES:
        raise GoldError(f"neither 'tests' nor 1 to {MAX_CASES} 'cases'")
    if entry is None:
        return Gold(None, programs=tuple((str(case.get("stdin", "")), str(case["stdout"])) for case in cases))
    return Gold(entry, calls=tuple(_read_call(case) for case in cases), tolerance=float(found.get("tolerance", 0)))


def _from_tests(source: str, entry: str | None) -> Gold:
    calls = read_literal_calls(source, entry) if entry else ()
    if calls:
        return Gold(entry, calls=tuple(Call(call.message, call.expected, None) for call in calls), is_exact=True)
    return Gold(entry, tests=source)


def _read_call(case: dict) -> Call:
    arguments, named = case.get("args", []), case.get("kwargs", {})
    if not isinstance(arguments, list) or not isinstance(named, dict):
        raise GoldError("args is no list or kwargs no object")
    from_json([arguments, named])
    if "raises" in case:
        return Call([arguments, named], None, str(case["raises"]))
    return Call([arguments, named], from_json(case["expected"]), None)


def _entry_of_tests(source: str) -> str | None:
    """The function that a test source calls: the argument of check(...), else the first name that it does not define itself."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GoldError(f"neither JSON nor Python: {type(error).__name__}") from None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    for call in calls:
        if call.func.id == "check" and len(call.args) == 1 and isinstance(call.args[0], ast.Name):
            return call.args[0].id
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    known = stored | defined | arguments | {"candidate"} | set(dir(builtins))
    return next((call.func.id for call in calls if call.func.id not in known), None)
