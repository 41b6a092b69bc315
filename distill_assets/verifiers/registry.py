"""The seam for verifiers: what one is, and the names a recipe may ask for.

Belongs here: the protocol and the dict of factories. Does not belong here: any check itself. To add a
verifier, write a factory that returns an object with `verify` and name it in VERIFIERS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from distill_assets.errors import RecipeError

STATUSES = ("passed", "failed", "unscored")


class Verdict(NamedTuple):
    """What a verifier found.

    `status` is one of STATUSES; `score` is 0..1, None when unscored; `reason` is one line for people;
    `evidence` is plain JSON-able detail.
    """

    status: str
    score: float | None
    reason: str
    evidence: dict[str, object]


class Verifier(Protocol):
    """A deterministic check of an answer, with or without a known right answer."""

    def verify(self, answer: str, gold: str | None) -> Verdict:
        """Check `answer`; without a gold answer, check what can be checked without one."""
        ...


def _make_sql(*args, **kwargs) -> Verifier:
    from distill_assets.verifiers.sql.verify import SqlVerifier

    return SqlVerifier(*args, **kwargs)


def _make_python(*args, **kwargs) -> Verifier:
    from distill_assets.verifiers.python.verify import PythonVerifier

    return PythonVerifier(*args, **kwargs)


def _make_numeric(*args, **kwargs) -> Verifier:
    from distill_assets.verifiers.values.numeric import NumericVerifier

    return NumericVerifier(*args, **kwargs)


def _make_math(*args, **kwargs) -> Verifier:
    from distill_assets.verifiers.math.verify import MathVerifier

    return MathVerifier(*args, **kwargs)


def _make_json(*args, **kwargs) -> Verifier:
    from distill_assets.verifiers.values.json_value import JsonVerifier

    return JsonVerifier(*args, **kwargs)


def _make_exact(*args, **kwargs) -> Verifier:
    from distill_assets.verifiers.values.texts import ExactVerifier

    return ExactVerifier(*args, **kwargs)


def _make_normalized_text(*args, **kwargs) -> Verifier:
    from distill_assets.verifiers.values.texts import NormalizedTextVerifier

    return NormalizedTextVerifier(*args, **kwargs)


def _make_choice(*args, **kwargs) -> Verifier:
    from distill_assets.verifiers.values.choice import ChoiceVerifier

    return ChoiceVerifier(*args, **kwargs)


VERIFIERS: dict[str, Callable[..., Verifier]] = {
    "sql": _make_sql,
    "python": _make_python,
    "numeric": _make_numeric,
    "math": _make_math,
    "json": _make_json,
    "exact": _make_exact,
    "normalized_text": _make_normalized_text,
    "choice": _make_choice,
}


def get_verifier(name: str) -> Callable[..., Verifier]:
    """Return the factory called `name`.

    Raises:
        RecipeError: when no verifier has that name.
    """
    if name not in VERIFIERS:
        raise RecipeError(f"no verifier '{name}' (known: {', '.join(sorted(VERIFIERS))}). Correct it in recipe.yaml.")
    return VERIFIERS[name]
