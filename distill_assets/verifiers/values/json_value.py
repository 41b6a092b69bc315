"""A JSON answer held against a schema and a value.

Belongs here: reading strict JSON and comparing values. Does not belong here: schemas' rules (jsonschema).

Objects have no order, lists have one. Numbers are equal within a tolerance; true is not 1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

from distill_assets.errors import RecipeError
from distill_assets.verifiers.registry import Verdict

MAX_CHARS = 1_000_000
MISSING = object()


class JsonVerifier:
    """Checks that an answer is JSON, fits a schema and equals the gold value.

    Args:
        schema: a JSON Schema, or None. paths: compare these places only, as JSON pointers (RFC 6901) such as /items/0/id.
        tolerance: relative and absolute tolerance of numbers.

    Raises:
        RecipeError: when the schema is none, or a path does not begin with /.
    """

    def __init__(self, schema: Mapping[str, object] | None = None, paths: Sequence[str] = (), tolerance: float = 1e-9) -> None:
        self._schema = None if schema is None else _prepare_schema(schema)
        self._paths, self._tolerance = tuple(paths), tolerance
        if wrong := [path for path in self._paths if path and not path.startswith("/")]:
            raise RecipeError(f"path {wrong[0]!r} is no JSON pointer; write it as '/a/b/0'. Nothing was verified.")

    def verify(self, answer: str, gold: str | None) -> Verdict:
        """Check the schema, then equality; without gold, the schema alone."""
        expected: object = MISSING
        if gold is not None:
            try:
                expected = read_json(gold)
            except ValueError as error:
                return Verdict("unscored", None, f"gold is no JSON: {error}", {})
        try:
            value = read_json(answer)
            problem = self._find_schema_problem(value)
            difference = None if problem or expected is MISSING else self._find_difference(value, expected)
        except ValueError as error:
            return Verdict("failed", 0.0, f"the answer is no JSON: {error}", {})
        except RecursionError:
            return Verdict("failed", 0.0, "the answer is nested too deeply", {})
        if problem:
            return Verdict("failed", 0.0, f"does not fit the schema: {problem}", {"schema": problem})
        if difference:
            return Verdict("failed", 0.0, difference, {"difference": difference})
        compared = "fits" if gold is None else "equal values"
        return Verdict("passed", 1.0, compared, {"has_schema": self._schema is not None, "paths": list(self._paths)})

    def _find_schema_problem(self, value: object) -> str | None:
        if self._schema is None:
            return None
        errors = sorted(self._schema.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        if not errors:
            return None
        return f"{errors[0].json_path}: {errors[0].message[:160]}"

    def _find_difference(self, value: object, expected: object) -> str | None:
        for path in self._paths or ("",):
            there = _follow(expected, path)
            found = find_difference(_follow(value, path), there, path, self._tolerance)
            if found:
                return found
        return None


def read_json(text: str) -> object:
    """Read one JSON text, perhaps in a code fence; a key that stands twice, NaN and infinities are refused.

    Raises:
        ValueError: it is no JSON.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"{len(text)} characters, at most {MAX_CHARS} are read")
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*?)\n?```\s*", text, re.DOTALL | re.IGNORECASE)
    try:
        return json.loads(fenced[1] if fenced else text, parse_constant=_refuse_constant, object_pairs_hook=_build_object)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON number")


def _build_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def find_difference(found: object, expected: object, path: str, tolerance: float) -> str | None:
    """Say where two values differ first, or None; `path` is the place of both."""
    place = path or "/"
    if found is MISSING or expected is MISSING:
        return None if found is expected else f"{place} is missing{'' if found is MISSING else ' in the gold'}"
    if isinstance(found, dict) and isinstance(expected, dict):
        if found.keys() != expected.keys():
            odd = sorted(found.keys() ^ expected.keys())
            return f"{place}: key {odd[0][:40]!r} is {'missing' if odd[0] in expected else 'one too many'}"
        pairs = ((f"{path}/{key}", found[key], expected[key]) for key in sorted(expected))
    elif isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            return f"{place}: {len(found)} items, not {len(expected)}"
        pairs = ((f"{path}/{i}", a, b) for i, (a, b) in enumerate(zip(found, expected, strict=True)))
    else:
        return None if _are_same(found, expected, tolerance) else f"{place}: {str(found)[:40]!r} is not {str(expected)[:40]!r}"
    return next((problem for where, a, b in pairs if (problem := find_difference(a, b, where, tolerance))), None)


def _are_same(found: object, expected: object, tolerance: float) -> bool:
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, int) and isinstance(expected, int):
        return found == expected
    if isinstance(found, int | float) and isinstance(expected, int | float):
        try:
            return math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
        except OverflowError:
            return False
    return type(found) is type(expected) and found == expected


def _follow(value: object, path: str) -> object:
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key, MISSING)
        elif isinstance(value, list) and re.fullmatch(r"\d{1,9}", key) and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value


def _prepare_schema(schema: Mapping[str, object]):
    import jsonschema

    try:
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        return kind(schema)
    except (jsonschema.SchemaError, AttributeError, TypeError) as error:
        raise RecipeError(f"no JSON Schema: {getattr(error, 'message', error)}. Nothing was verified.") from error
