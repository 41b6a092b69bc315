"""What a recipe says of judging: rules and their thresholds, the sandbox, critics, people, filters.

Belongs here: the frozen specs. Does not belong here: the rest of a recipe (config) or any judging (judge, verifiers).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from distill_assets.teachers import Spec


class HeuristicsSpec(Spec):
    """Thresholds of the rules on a generation's text, lengths in characters; `disabled` names rules that are not applied."""

    disabled: tuple[str, ...] = ()
    min_question_chars: int = Field(8, ge=1)
    max_question_chars: int = Field(240, ge=1)
    max_sql_chars: int = Field(600, ge=1)


# From the weakest to the strongest: what a recipe can ask for at least.
SandboxTier = Literal["none", "limits", "confined", "namespaces"]


class SandboxSpec(Spec):
    """How model-written code is run. `minimum` is the weakest sandbox that it may run in; less stops the step.

    `cpu_s` bounds the processor time of one run, `wall_s` its time by the clock, `memory_mb` its memory.
    """

    minimum: SandboxTier = "confined"
    cpu_s: float = Field(10, gt=0)
    wall_s: float = Field(30, gt=0)
    memory_mb: int = Field(512, ge=64)


class ReviewSpec(Spec):
    """Which samples people are shown, and when their labels overrule the judges.

    `accepted`, `rejected` and `unscored` are how many of each are drawn; `min_reviewers` the fewest people whose
    majority overrules.
    """

    accepted: int = Field(50, ge=0)
    rejected: int = Field(25, ge=0)
    unscored: int = Field(25, ge=0)
    min_reviewers: int = Field(1, ge=1)
    seed: int = 17


class QualitySpec(Spec):
    """A filter learnt from labels on some samples, over vectors of a small local model.

    A label of `good_from` or more is good. `heldout_frac` of the labels measure it. It keeps the best `keep_frac` of all
    samples, or, with `target_precision`, as many as reach that share of good ones. With fewer than `min_labels`, or with
    a held-out AUC not surely `min_auc`, it scores nothing. `embedding_model` is another model's folder for the
    vectors; null is the student's base model. `max_tokens` is the longest text.
    """

    embedding_model: str | None = None
    good_from: float = Field(0.5, gt=0, le=1)
    heldout_frac: float = Field(0.25, gt=0, lt=1)
    keep_frac: float = Field(0.8, gt=0, le=1)
    target_precision: float | None = Field(None, gt=0, le=1)
    min_labels: int = Field(60, ge=30)
    min_auc: float = Field(0.6, ge=0, le=1)
    max_tokens: int = Field(256, ge=16)
    seed: int = 17


class JudgeSpec(Spec):
    """How generations are judged: rules, execution (seconds a query), steps of the reasoning, and who else is asked.

    `shortcut` says what a right answer from a wrong derivation is: rejected, or accepted with a mark.
    """

    heuristics: HeuristicsSpec = HeuristicsSpec()
    query_timeout_s: float = Field(5, gt=0)
    sandbox: SandboxSpec = SandboxSpec()
    shortcut: Literal["reject", "mark"] = "reject"
    review: ReviewSpec = ReviewSpec()
    quality: QualitySpec | None = None

    def identity(self, *leave_out: str) -> dict[str, Any]:
        """The literals that decide verdicts; what people are shown and what is learnt from verdicts decide none."""
        return super().identity("review", "quality", *leave_out)
