"""What a recipe says of judging: rules and their thresholds, the sandbox, critics, people, filters.

Belongs here: the frozen specs. Does not belong here: the rest of a recipe (config) or any judging (judge, verifiers).
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from distill_assets.teachers import Spec, TeacherSpec

# What an answer is written in, and the languages that questions are told apart by.
AnswerForm = Literal["sql", "python", "json", "text"]
Language = Literal["en", "de", "fr", "es", "it", "pt", "nl", "ru", "ar", "zh", "ja", "ko"]


class HeuristicsSpec(Spec):
    """Thresholds of the rules on a generation's text, lengths in characters; `disabled` names rules that are not applied.

    `doubt_words` are further markers of uncertainty. An overlap is the share of the answer's runs of three words that
    the question holds (most), or of the answer's words (least). Repetition is bounded by the share of runs of five
    words that stood before, and by how many times smaller a text gets when it is compressed. None sets no bound.
    """

    disabled: tuple[str, ...] = ()
    min_question_chars: int = Field(8, ge=1)
    max_question_chars: int = Field(240, ge=1)
    min_trace_chars: int = Field(0, ge=0)
    max_trace_chars: int = Field(8_000, ge=1)
    min_answer_chars: int = Field(1, ge=0)
    max_sql_chars: int = Field(600, ge=1)
    answer_form: AnswerForm = "sql"
    answer_pattern: str | None = None
    language: Language | None = "en"
    doubt_words: tuple[str, ...] = ()
    min_overlap_frac: float | None = Field(None, ge=0, le=1)
    max_overlap_frac: float | None = Field(0.8, ge=0, le=1)
    max_repeated_frac: float | None = Field(0.5, ge=0, le=1)
    max_compression_ratio: float | None = Field(6, ge=1)

    @field_validator("answer_pattern")
    @classmethod
    def check_pattern(cls, pattern: str | None) -> str | None:
        """Refuse what is no regular expression."""
        try:
            re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"no regular expression: {error}") from error
        return pattern


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


class CriticSpec(TeacherSpec):
    """An LLM that judges by a rubric: reached like a teacher, asked greedily; `weight` counts when several are asked.

    `use_logprobs` weighs each score by the probabilities that the endpoint gives beside it.
    """

    role: ClassVar[str] = "critic"

    model: str = Field(min_length=1)
    temperature: float | None = Field(0.0, ge=0, le=2)
    max_tokens: int = Field(500, ge=16)
    use_logprobs: bool = False

    @model_validator(mode="after")
    def check_critic(self) -> CriticSpec:
        """Refuse what a critic cannot be."""
        if self.is_embedded:
            raise ValueError("the embedded teacher is rules and judges nothing; name the model of an endpoint")
        if self.batch or self.strategies or self.fallback:
            raise ValueError("a critic takes no batch, strategies or fallback: each one answers for itself, at once")
        return self


class CriticsSpec(Spec):
    """Who judges by which rubric, and what follows from the scores. A changed `threshold` or `aggregate` asks nobody again.

    `threshold` None is the rubric's. `quorum`: how many must have scored. `ask_failed_frac`: the share of samples that
    failed a cheaper check and is asked about all the same, so that agreement can be measured. `n_canaries`: known-bad
    answers with an instruction to the judge, mixed in. `n_pairs`: pairs compared in both orders. `families` adds to the
    table of model families: a part of a model's name -> family.
    """

    judges: tuple[CriticSpec, ...] = ()
    rubric: str = "judge_sample.v1"
    prompt: str = "judge_sample.v1"
    pair_prompt: str = "compare_samples.v1"
    threshold: float | None = Field(None, ge=0, le=1)
    aggregate: Literal["mean", "median", "min", "majority"] = "mean"
    quorum: int = Field(1, ge=1)
    ask_failed_frac: float = Field(0.1, ge=0, le=1)
    n_canaries: int = Field(12, ge=0, le=1000)
    n_pairs: int = Field(0, ge=0)
    same_family: Literal["flag", "refuse"] = "flag"
    families: dict[str, str] = Field({})

    @model_validator(mode="after")
    def check_judges(self) -> CriticsSpec:
        """Refuse critics that could not be told apart, and a quorum that none could reach."""
        names = [critic.called for critic in self.judges]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two critics are called {twice[0]!r}; give each a name")
        if self.judges and self.quorum > len(self.judges):
            raise ValueError(f"quorum {self.quorum} of {len(self.judges)} critics can never be reached")
        return self


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
    critics: CriticsSpec = CriticsSpec()
    review: ReviewSpec = ReviewSpec()
    quality: QualitySpec | None = None
