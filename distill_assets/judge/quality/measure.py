"""Samples into readings: which texts are new to the model, and the cache of what it read.

Belongs here: a sample's text, the cache by model and text, instruction-following difficulty. Does not belong here:
the model's work (child, reading) or what is learnt from it (filter).

Reading is the dear part, so what was read stays in the workspace under the model's revision: a new sample costs its own
reading, and another filter none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from distill_assets.clients.base_model import BaseModel, resolve_base_model
from distill_assets.errors import TrainingError
from distill_assets.identity import make_id
from distill_assets.judge.quality.child import ReadingSpec
from distill_assets.judging import QualitySpec
from distill_assets.storage import Workspace, replace_atomically, write_text

# Another way to make texts or readings: raise it, and everything is read again.
READING_VERSION = "1"
CHILD = "distill_assets.judge.quality.child"
# One child's work: what a killed run loses at most.
CHUNK_TEXTS = 4_096
READING_SCHEMA = {"text_key": pl.String, "embedding": pl.List(pl.Float32), "loss_given": pl.Float64, "loss_alone": pl.Float64}
RunChild = Callable[[str, Path], object]


class ReadingModels(NamedTuple):
    """Who reads: a causal model, an encoder for the vectors if that is another, the longest text in tokens."""

    reader: BaseModel
    embedder: BaseModel | None
    max_tokens: int
    seed: int
    threads: int

    @property
    def reading_id(self) -> str:
        """Content id of all that decides a reading besides its text; threads do not."""
        embedder = self.embedder.revision if self.embedder else None
        return make_id("reading", READING_VERSION, self.reader.revision, embedder, self.max_tokens, self.seed)


def plan_reading(spec: QualitySpec, base: BaseModel, threads: int, cache_dir: Path) -> ReadingModels:
    """Who reads, by the recipe.

    Args:
        base: the student's base model, which reads and, unless the recipe names another, gives the vectors too.

    Raises:
        BaseModelError: the other model is missing.
    """
    embedder = None if spec.embedding_model is None else resolve_base_model(spec.embedding_model, cache_dir)
    return ReadingModels(base, embedder, spec.max_tokens, spec.seed, threads)


class Measured(NamedTuple):
    """Readings by generation (generation_id, text_key, embedding, instruction_difficulty), and how many are new."""

    frame: pl.DataFrame
    n_read: int


def list_texts(generations: pl.DataFrame) -> pl.DataFrame:
    """The texts of generations that have an answer: generation_id, text_key, instruction, answer.

    Args:
        generations: has generation_id, question, trace and completion. The instruction is the question; the answer
        what the teacher wrote to it: reasoning, then query.
    """
    rows = []
    columns = ("generation_id", "question", "trace", "completion")
    for generation_id, question, trace, sql in generations.sort("generation_id").select(columns).iter_rows():
        if not question or not sql:
            continue
        answer = f"{trace}\n{sql}" if trace else sql
        rows.append(
            {
                "generation_id": generation_id,
                "text_key": make_id("text", question, answer),
                "instruction": question,
                "answer": answer,
            }
        )
    return pl.DataFrame(rows, schema=dict.fromkeys(("generation_id", "text_key", "instruction", "answer"), pl.String))


def measure_samples(workspace: Workspace, recipe: str, models: ReadingModels, texts: pl.DataFrame, run_child: RunChild) -> Measured:
    """Return the readings of all texts; only what the cache lacks is read.

    Args:
        texts: of `list_texts`. run_child: runs a module with a spec file, as resources.GpuResource does.

    Raises:
        TrainingError: the child ended without all readings.
    """
    cache = workspace.folder("readings", recipe) / f"{models.reading_id}.parquet"
    known = _read_cache(cache)
    wanted = texts.select("text_key", "instruction", "answer").unique("text_key").sort("text_key")
    new = wanted.join(known, on="text_key", how="anti")
    for start in range(0, new.height, CHUNK_TEXTS):
        known = _read_chunk(cache, known, new.slice(start, CHUNK_TEXTS), models, run_child)
    if (missing := wanted.join(known, on="text_key", how="anti").height) > 0:
        raise TrainingError(
            f"{models.reader.name} left {missing} of {wanted.height} samples unread. Nothing was replaced. Run again."
        )
    difficulty = pl.struct("loss_given", "loss_alone").map_elements(_find_difficulty, return_dtype=pl.Float64)
    joined = texts.select("generation_id", "text_key").join(known, on="text_key", how="left").sort("generation_id")
    named = joined.with_columns(difficulty.alias("instruction_difficulty"))
    return Measured(named.select("generation_id", "text_key", "embedding", "instruction_difficulty"), new.height)


def _find_difficulty(losses: dict[str, float | None]) -> float | None:
    return find_difficulty(losses["loss_given"], losses["loss_alone"])


def find_difficulty(loss_given: float | None, loss_alone: float | None) -> float | None:
    """Instruction-following difficulty: perplexity of the answer given the question over that of the answer alone.

    Below 1 the question helps to expect the answer; the nearer to 1, the less: an answer that does not follow from its
    question, or one that is hard to follow. From 1 on the question does not help at all.

    Args:
        loss_given, loss_alone: mean losses of the answer's tokens in nats; None gives None.

    Source: M. Li et al., "Superfiltering: Weak-to-Strong Data Filtering for Fast Instruction-Tuning", ACL 2024
    (arXiv 2402.00530), after M. Li et al., "From Quantity to Quality", NAACL 2024 (arXiv 2308.12032).
    """
    if loss_given is None or loss_alone is None:
        return None
    return round(math.exp(loss_given - loss_alone), 3)


def _read_cache(cache: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(cache).select(list(READING_SCHEMA)).cast(READING_SCHEMA)
    except (OSError, pl.exceptions.PolarsError):
        return pl.DataFrame(schema=READING_SCHEMA)


def _read_chunk(cache: Path, known: pl.DataFrame, texts: pl.DataFrame, models: ReadingModels, run_child: RunChild) -> pl.DataFrame:
    """Have a child read `texts`, add its readings to the cache, and return all."""
    inputs, results, spec_file = (cache.with_suffix(ending) for ending in (".texts", ".new", ".json"))
    with replace_atomically(inputs) as temporary:
        texts.write_parquet(temporary)
    spec = ReadingSpec(
        reader=_describe(models.reader),
        embedder=_describe(models.embedder) if models.embedder else None,
        texts=inputs,
        readings=results,
        max_tokens=models.max_tokens,
        threads=models.threads,
        seed=models.seed,
    )
    write_text(spec_file, json.dumps(spec.model_dump(mode="json"), indent=1, sort_keys=True))
    run_child(CHILD, spec_file)
    merged = pl.concat([known, _read_cache(results)]).unique("text_key").sort("text_key")
    with replace_atomically(cache) as temporary:
        merged.write_parquet(temporary)
    for leftover in (inputs, results, spec_file):
        leftover.unlink(missing_ok=True)
    return merged


def _describe(model: BaseModel) -> dict[str, str]:
    return {"path": str(model.path), "name": model.name, "revision": model.revision}
