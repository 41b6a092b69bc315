"""Rubrics as files: criteria with weights, an anchored scale, a threshold.

Belongs here: reading `rubrics/<name>.vN.yaml`, its words for a critic, and the form of a critic's answer. Does not belong
here: what is asked about (asking) or what follows from scores (scoring).

A rubric's id is a hash of what a critic sees of it. The threshold is not in it: it decides what follows from a score and
never the score, so that changing it asks nobody again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, create_model, model_validator

from distill_assets.errors import RecipeError
from distill_assets.identity import fingerprint, hash_text
from distill_assets.prompts import check_lock
from distill_assets.teachers import NAME_PATTERN, Spec

MAX_REASONING_CHARS = 2_000
WEIGHT_TOLERANCE = 1e-6


class Scale(Spec):
    """Whole scores from `lowest` to `highest`."""

    lowest: int = Field(1, ge=0, le=1)
    highest: int = Field(5, ge=1, le=10)


class Criterion(Spec):
    """One thing that is scored: its share of the whole, the question, and what some of the scores mean."""

    weight: float = Field(gt=0, le=1)
    asks: str = Field(min_length=1)
    anchors: dict[int, str] = Field(min_length=2)


class Rubric(Spec):
    """What a critic scores."""

    name: str = ""
    task: str = Field(min_length=1)
    scale: Scale = Scale()
    threshold: float = Field(0.75, ge=0, le=1)
    criteria: dict[str, Criterion] = Field(min_length=1)

    @model_validator(mode="after")
    def check_criteria(self) -> Rubric:
        """Refuse weights that are no shares, scores outside the scale, and names that no answer could have."""
        import re

        total = sum(criterion.weight for criterion in self.criteria.values())
        if abs(total - 1) > WEIGHT_TOLERANCE:
            raise ValueError(f"the criteria's weights sum to {total:g}, not to 1")
        for name, criterion in self.criteria.items():
            if not re.match(NAME_PATTERN, name) or name == "reasoning":
                raise ValueError(f"a criterion cannot be called {name!r}")
            if stray := [score for score in criterion.anchors if not self.scale.lowest <= score <= self.scale.highest]:
                raise ValueError(f"criterion {name!r} has an anchor for {stray[0]}, outside of the scale")
        return self

    @property
    def rubric_id(self) -> str:
        """Name with version, and a hash of what a critic sees of it."""
        return f"{self.name}#{fingerprint(self.identity('threshold', 'name'))}"


def load_rubric(recipe_path: Path, name: str) -> Rubric:
    """Read `rubrics/<name>.yaml` and check it against `rubrics/rubrics.lock`.

    Raises:
        RecipeError: missing, or not a rubric. PromptLockError: the file differs from its locked hash.
    """
    file = recipe_path / "rubrics" / f"{name}.yaml"
    try:
        text = file.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{file}: rubric '{name}' cannot be read: {error}. Nothing was judged.") from error
    check_lock(file, name, hash_text(text))
    if not isinstance(data, dict):
        raise RecipeError(f"{file}:1: expected a mapping of fields, got {type(data).__name__}. Nothing was judged.")
    try:
        return Rubric.model_validate({**data, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "rubric"
        raise RecipeError(f"{file}: {where}: {first['msg'].removeprefix('Value error, ')}. Nothing was judged.") from error


def describe_rubric(rubric: Rubric) -> str:
    """The rubric in words, as a critic reads it."""
    lines = [rubric.task, f"Scores are whole numbers from {rubric.scale.lowest} (worst) to {rubric.scale.highest} (best)."]
    for name, criterion in rubric.criteria.items():
        lines.append(f"- {name} (weight {criterion.weight:g}): {criterion.asks}")
        lines += [f"    {score}: {words}" for score, words in sorted(criterion.anchors.items())]
    return "\n".join(lines)


def build_answer_model(rubric: Rubric) -> type:
    """The form of a critic's answer: its reasons first, then one score a criterion, each from a closed set."""
    scores: Any = Literal[tuple(range(rubric.scale.lowest, rubric.scale.highest + 1))]
    fields: dict[str, Any] = {"reasoning": (str, Field(max_length=MAX_REASONING_CHARS))}
    fields |= dict.fromkeys(rubric.criteria, (scores, ...))
    return create_model("Judgement", **fields)


def build_choice_model() -> type:
    """The form of a critic's choice between two samples."""
    return create_model(
        "Choice",
        reasoning=(str, Field(max_length=MAX_REASONING_CHARS)),
        winner=(Literal["first", "second", "tie"], ...),
    )


def to_unit(rubric: Rubric, score: float) -> float:
    """A score of the scale as 0 to 1."""
    return (score - rubric.scale.lowest) / (rubric.scale.highest - rubric.scale.lowest)
