"""What a recipe says of curation: duplicates, contamination, diversity, and which samples are selected.

Belongs here: the frozen specs. Does not belong here: the rest of a recipe (config) or any curating (curate).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from distill_assets.judging import CriticSpec
from distill_assets.teachers import NAME_PATTERN, Spec

# What of a sample is compared.
TextField = Literal["question", "answer", "both"]
# Which published rule an n-gram hit follows; cover is this project's own.
NgramRule = Literal["cover", "gpt3", "llama", "phi4", "tulu3", "open_r1"]
# How a sample is told from others when shares are counted.
Slice = Literal["teacher", "strategy", "database", "topic", "difficulty"]


class DuplicatesSpec(Spec):
    """Which samples say the same, by word n-grams and, with an embedding model, by meaning.

    From `jaccard` on, two samples are near duplicates; from `review_jaccard` on they are shown side by side and nothing
    follows. With strict `literals`, samples whose queries hold other literals are never duplicates. `method` minhash is for
    corpora beyond memory: it can miss pairs and makes up none. `engine` decides no result. `fields` are compared each by itself.
    """

    fields: tuple[TextField, ...] = Field(("question",), min_length=1)
    jaccard: float = Field(0.7, gt=0, le=1)
    review_jaccard: float = Field(0.5, gt=0, le=1)
    shingle_words: int = Field(2, ge=1, le=10)
    literals: Literal["strict", "free"] = "strict"
    method: Literal["exact", "minhash"] = "exact"
    engine: Literal["auto", "duckdb", "compiled", "daft"] = "auto"
    semantic_cosine: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def check_order(self) -> DuplicatesSpec:
        """Refuse a band that begins above the threshold."""
        if self.review_jaccard > self.jaccard:
            raise ValueError(f"review_jaccard {self.review_jaccard} is above jaccard {self.jaccard}")
        return self


class BenchmarkSpec(Spec):
    """A set of items that must not leak into training: a file of the recipe, or a data set of the hub.

    `question`, `answer` and `choices` name its columns. `sha256` pins the file's bytes, `revision` the data set's.
    """

    file: str | None = None
    hub: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str | None = None
    subset: str | None = None
    split: str = "test"
    question: str = "question"
    answer: str | None = None
    choices: str | None = None
    version: str = "unspecified"
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def check_source(self) -> BenchmarkSpec:
        """Refuse a benchmark that comes from nowhere or from two places, or from a data set that can change."""
        if (self.file is None) == (self.hub is None):
            raise ValueError("write either file or hub")
        if self.hub is not None and self.revision is None:
            raise ValueError(f"data set {self.hub} needs a revision, so that it cannot change under the same name")
        return self


class ContaminationSpec(Spec):
    """Which samples leak a holdout or benchmark item.

    `rule` and `ngram`: what n-gram overlap counts; `min_coverage` is the share of an item that must stand in the sample.
    `abstract_numbers` compares with numbers taken out as well, which finds an altered problem. `cosine` and
    `review_cosine` need an embedding model: from the first on a sample leaks, and in between one that keeps the item's numbers;
    of the others in between the `arbiter` is asked, or, without one, people can look. A sample that the arbiter could not judge is kept out.
    """

    fields: tuple[TextField, ...] = Field(("question",), min_length=1)
    rule: NgramRule = "cover"
    ngram: int = Field(8, ge=2, le=50)
    min_coverage: float = Field(0.5, gt=0, le=1)
    abstract_numbers: bool = True
    cosine: float = Field(0.85, gt=0, le=1)
    review_cosine: float = Field(0.75, gt=0, le=1)
    n_neighbours: int = Field(3, ge=1, le=20)
    arbiter: CriticSpec | None = None
    prompt: str = "same_item.v1"
    benchmarks: dict[str, BenchmarkSpec] = Field({})

    @model_validator(mode="after")
    def check_contamination(self) -> ContaminationSpec:
        """Refuse a band that begins above the threshold, and names that ids could not carry."""
        import re

        if self.review_cosine > self.cosine:
            raise ValueError(f"review_cosine {self.review_cosine} is above cosine {self.cosine}")
        if bad := [name for name in self.benchmarks if not re.match(NAME_PATTERN, name) or name == "holdout"]:
            raise ValueError(f"benchmark name {bad[0]!r} must match {NAME_PATTERN} and not be holdout")
        return self


class EmbeddingSpec(Spec):
    """The local model that turns a text into a vector: minilm-l6-v2, a folder or a hub id with @revision.

    A text longer than `max_tokens` is read in windows of that length, and each window counts.
    """

    model: str = "minilm-l6-v2"
    max_tokens: int = Field(128, ge=16, le=8192)


class QuotaSpec(Spec):
    """Bounds on the share of the selected samples that have one `value` of `by`, such as teacher or difficulty."""

    by: Slice
    value: str = Field(min_length=1)
    min_frac: float = Field(0, ge=0, le=1)
    max_frac: float = Field(1, ge=0, le=1)

    @model_validator(mode="after")
    def check_bounds(self) -> QuotaSpec:
        """Refuse bounds that nothing can keep."""
        if self.min_frac > self.max_frac:
            raise ValueError(f"min_frac {self.min_frac} is above max_frac {self.max_frac}")
        return self


class MixSpec(Spec):
    """What the selected samples are made of: bounds on shares, and the least share of samples that people wrote.

    `real_samples` are files of such samples: database, question, sql, and a licence.
    """

    quotas: tuple[QuotaSpec, ...] = ()
    max_per_template: int | None = Field(None, ge=1)
    min_real_frac: float = Field(0, ge=0, lt=1)
    real_samples: tuple[str, ...] = ()

    @model_validator(mode="after")
    def check_mix(self) -> MixSpec:
        """Refuse shares that cannot be kept together."""
        by_slice: dict[str, float] = {}
        seen: set[tuple[str, str]] = set()
        for quota in self.quotas:
            if (quota.by, quota.value) in seen:
                raise ValueError(f"two quotas for {quota.by} {quota.value!r}")
            seen.add((quota.by, quota.value))
            by_slice[quota.by] = by_slice.get(quota.by, 0) + quota.min_frac
        if over := [by for by, least in sorted(by_slice.items()) if least > 1]:
            raise ValueError(f"the least shares by {over[0]} sum to more than 1")
        if self.min_real_frac and not self.real_samples:
            raise ValueError("min_real_frac needs real_samples: files of samples that people wrote")
        return self


class CollapseSpec(Spec):
    """Bounds on the variety of what is trained on, as a whole and by teacher, strategy and database; null sets none.

    Shares are of samples: that repeat another one's question, whose questions hold or begin with the same four words, that share half
    of their word pairs with another one, or have the most common template. `min_template_effective_frac` is the number of
    templates that are as varied as those there are, by samples. `max_loss_frac` is how much less varied than the seeds the
    corpus may be, on equally many rows.
    """

    max_repeated_frac: float | None = Field(0.2, ge=0, le=1)
    max_compression_ratio: float | None = Field(6.0, ge=1)
    max_head_frac: float | None = Field(0.4, ge=0, le=1)
    max_opening_frac: float | None = Field(0.4, ge=0, le=1)
    max_nearest_frac: float | None = Field(0.3, ge=0, le=1)
    max_template_frac: float | None = Field(0.1, ge=0, le=1)
    min_template_effective_frac: float | None = Field(0.25, ge=0, le=1)
    max_loss_frac: float | None = Field(None, ge=0, le=1)


class CurateSpec(Spec):
    """What is marked, and which samples are selected.

    `best_of` keeps that many of a prompt's samples. `prefer` says which stay when there are more than `max_samples`, or more
    tokens than `max_tokens`: any, by chance; or those that are hardest to expect from their question while it still
    helps (instruction difficulty below 1), which needs judge.quality; or the best by score. `order` is the order of training.
    """

    duplicates: DuplicatesSpec = DuplicatesSpec()
    contamination: ContaminationSpec = ContaminationSpec()
    embedding: EmbeddingSpec | None = None
    mix: MixSpec = MixSpec()
    collapse: CollapseSpec = CollapseSpec()
    best_of: int | None = Field(None, ge=1)
    max_samples: int = Field(1600, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    prefer: Literal["any", "difficult", "best"] = "any"
    order: Literal["any", "easy_first", "hard_first"] = "any"
    heldout_frac: float = Field(0.06, ge=0, lt=1)
    seed: int = 17

    @model_validator(mode="after")
    def check_embedding(self) -> CurateSpec:
        """Refuse what only an embedding model could tell when there is none."""
        if self.embedding is None and self.duplicates.semantic_cosine is not None:
            raise ValueError("duplicates.semantic_cosine needs an embedding model; add embedding: {}")
        if self.embedding is None and self.contamination.arbiter is not None:
            raise ValueError("contamination.arbiter judges neighbours by embedding; add embedding: {}")
        return self
