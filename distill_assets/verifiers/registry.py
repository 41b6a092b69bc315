"""The seam for verifiers: what one is, and the names a recipe may ask for.

Belongs here: the protocol and the table of verifiers. Does not belong here: any check itself. To add a
verifier, write a class with `verify` and name it in VERIFIERS.
"""

from __future__ import annotations

import importlib
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


# name -> module beneath this package and class; imported when it is asked for.
VERIFIERS: dict[str, tuple[str, str]] = {
    "sql": ("sql.verify", "SqlVerifier"),
    "python": ("python.verify", "PythonVerifier"),
    "numeric": ("values.numeric", "NumericVerifier"),
    "math": ("math.verify", "MathVerifier"),
    "json": ("values.json_value", "JsonVerifier"),
    "exact": ("values.texts", "ExactVerifier"),
    "normalized_text": ("values.texts", "NormalizedTextVerifier"),
    "choice": ("values.choice", "ChoiceVerifier"),
}


def get_verifier(name: str) -> Callable[..., Verifier]:
    """Return the factory called `name`.

    Raises:
        RecipeError: when no verifier has that name.
    """
    if name not in VERIFIERS:
        raise RecipeError(f"no verifier '{name}' (known: {', '.join(sorted(VERIFIERS))}). Correct it in recipe.yaml.")
    module, factory = VERIFIERS[name]
    return getattr(importlib.import_module(f"distill_assets.verifiers.{module}"), factory)
