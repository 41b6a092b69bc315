"""What a recipe says of its teachers: who they are, how requests are routed, limits, prices, budget.

Belongs here: the frozen specs and the rules that one recipe's teachers must keep together. Does not belong
here: the rest of a recipe (config) or any call (clients).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

EMBEDDED_TEACHER = "embedded/sql-grammar"
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,59}$"


class Spec(BaseModel):
    """Base of all specs: frozen, and a key that nobody reads is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def identity(self, *leave_out: str) -> dict[str, Any]:
        """The literals that decide a result, ready for a fingerprint."""
        return self.model_dump(mode="json", exclude=set(leave_out))


class LimitSpec(Spec):
    """How hard an endpoint is asked; none of it decides a result.

    `concurrency` is the most calls in flight; the number in use adapts. Rates are a minute's; what is not
    said is learnt from the endpoint. `timeout_s` is the deadline of one whole call. `enqueued_tokens` is the most
    prompt tokens in batches at once.
    """

    concurrency: int = Field(64, ge=1, le=2048)
    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    enqueued_tokens: int | None = Field(None, gt=0)
    timeout_s: float = Field(120, gt=0)
    max_tries: int = Field(5, ge=1, le=20)
    first_wait_s: float = Field(0.5, gt=0)


class PriceSpec(Spec):
    """A price in USD per million tokens, with the day it was read; wins over the library's table."""

    input_usd_per_mtok: float = Field(ge=0)
    output_usd_per_mtok: float = Field(ge=0)
    cached_input_usd_per_mtok: float | None = Field(None, ge=0)
    as_of: date


class TermsSpec(Spec):
    """What a teacher is, and under which terms its outputs may be used; carried into the lineage as it stands.

    `sha256` is that of the terms' text on the day they were accepted. `base_lineage` names the models it was made from,
    `checkpoint` the id of a checkpoint of ours that it is.
    """

    family: str | None = None
    base_lineage: tuple[str, ...] = ()
    checkpoint: str | None = Field(None, pattern=r"^[0-9a-f]{12,32}$")
    licence: str | None = None
    url: str | None = None
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    accepted_on: date | None = None


class PinSpec(Spec):
    """Which served model is expected, and what a reply from another one does."""

    served_model: str = Field(min_length=1)
    otherwise: Literal["stop", "warn"] = "stop"


# How a call can end, other than well, and still be final: asked again only when the recipe says so.
RetriableOutcome = Literal["invalid", "truncated", "refused", "rejected", "other_model"]
EndpointKind = Literal[
    "compatible", "openai", "azure", "openrouter", "vllm", "llama_cpp", "litellm", "gemini", "anthropic", "deepseek"
]


class TeacherSpec(Spec):
    """Who writes the data. `model` alone means the embedded teacher or api.openai.com.

    `weight` and `strategies` route requests among several teachers; a teacher without strategies serves all.
    """

    role: ClassVar[str] = "teacher"

    name: str | None = Field(None, pattern=NAME_PATTERN)
    model: str = Field(EMBEDDED_TEACHER, min_length=1)
    endpoint: EndpointKind | None = None
    base_url: str | None = None
    api_version: str | None = None
    api_key_env: str = Field("OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    mode: Literal["json_schema", "tools", "json", "md_json"] | None = None
    temperature: float | None = Field(0.9, ge=0, le=2)
    max_tokens: int = Field(600, ge=16)
    extra_body: dict[str, Any] = {}
    error_frac: float = Field(0.08, ge=0, le=1)
    max_reasks: int = Field(1, ge=0, le=5)
    retry_truncated: bool = True
    retry_outcomes: tuple[RetriableOutcome, ...] = ()
    batch: bool = False
    weight: float = Field(1, gt=0)
    strategies: tuple[str, ...] = ()
    fallback: str | None = None
    pin: PinSpec | None = None
    terms: TermsSpec = TermsSpec()
    price: PriceSpec | None = None
    limits: LimitSpec = LimitSpec()

    @property
    def is_embedded(self) -> bool:
        """True for the rule-based teacher that runs inside this process."""
        return self.model == EMBEDDED_TEACHER

    @property
    def called(self) -> str:
        """The name that routes and fallbacks use: its own, else the model's."""
        return self.name or self.model

    @model_validator(mode="after")
    def check_endpoint(self) -> TeacherSpec:
        """Refuse a combination that no call could be made with."""
        if self.endpoint in ("azure", "compatible") and not self.base_url:
            raise ValueError(f"endpoint {self.endpoint} needs base_url: it has no address of its own")
        if self.api_version and self.endpoint != "azure":
            raise ValueError("api_version is a parameter of endpoint azure only")
        if self.batch and self.is_embedded:
            raise ValueError("the embedded teacher has no batch API; leave batch out")
        return self


class StrategySpec(Spec):
    """One way in which seeds become requests: a prompt, how often, and for which kinds of seeds (none: all)."""

    prompt: str
    samples_per_seed: int = Field(ge=1, le=10_000)
    kinds: tuple[Literal["topic", "question", "document"], ...] = ()


DEFAULT_STRATEGY = "write_sample"


class GenerateSpec(Spec):
    """How seeds become requests: by one prompt, or by several named strategies."""

    samples_per_seed: int = Field(11, ge=1, le=10_000)
    prompt: str = "write_sample.v1"
    strategies: dict[str, StrategySpec] = {}
    seed: int = 17

    def list_strategies(self) -> dict[str, StrategySpec]:
        """The strategies by name; without any, the one that `prompt` makes."""
        return self.strategies or {DEFAULT_STRATEGY: StrategySpec(prompt=self.prompt, samples_per_seed=self.samples_per_seed)}


class BudgetSpec(Spec):
    """The most that a recipe may ever spend on its teachers, over all runs: USD and tokens read and written."""

    usd: float | None = Field(None, gt=0)
    tokens: int | None = Field(None, gt=0)


def find_routing_problem(teachers: Sequence[TeacherSpec], strategies: set[str]) -> str | None:
    """What is wrong with the teachers taken together, or None."""
    names = [teacher.called for teacher in teachers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"two teachers are called {twice[0]!r}; give each a name"
    for teacher in teachers:
        if teacher.fallback is not None and (teacher.fallback == teacher.called or teacher.fallback not in names):
            return f"teacher {teacher.called!r} falls back to {teacher.fallback!r}, which is no other teacher"
        if stray := sorted(set(teacher.strategies) - strategies):
            return f"teacher {teacher.called!r} serves the strategy {stray[0]!r}; known are {', '.join(sorted(strategies))}"
    for strategy in sorted(strategies):
        if not any(not teacher.strategies or strategy in teacher.strategies for teacher in teachers):
            return f"no teacher serves the strategy {strategy!r}"
    return None
