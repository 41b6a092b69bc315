"""`python -m distill_assets.judge.quality.child --spec FILE.json`: a local model reads samples, in a process of its own.

Belongs here: reading texts, asking the model, writing what it found. Does not belong here: the reading itself
(reading) or which texts are read (measure).

The spec's keys are those of `ReadingSpec`. The results appear in one step, when all are there.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

import pydantic

from distill_assets.processes import Say, read_spec, run_as_child

SECONDS_BETWEEN_LINES = 3.0


class ModelSpec(pydantic.BaseModel):
    """A model's folder, the name it was asked by, and its revision."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    path: Path
    name: str
    revision: str


class ReadingSpec(pydantic.BaseModel):
    """What one reading process is told: Parquet of text_key, instruction, answer in, Parquet of readings out.

    `reader` expects answers, and gives the vectors too unless there is an `embedder`.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    reader: ModelSpec
    embedder: ModelSpec | None
    texts: Path
    readings: Path
    max_tokens: int = pydantic.Field(ge=16)
    threads: int = pydantic.Field(ge=1)
    seed: int


def main(arguments: list[str] | None = None) -> int:
    """Read as the spec file says; exit status 1 with the reason on stderr when that fails."""
    return run_as_child(
        "distill_assets.judge.quality.child",
        lambda file, say: read_samples(read_spec(file, ReadingSpec, "quality_scores"), say),
        arguments,
    )


def read_samples(spec: ReadingSpec, say: Say) -> dict[str, Any]:
    """Have the model read all texts, write the readings, and return the figures of it."""
    import polars as pl
    import torch

    from distill_assets.judge.quality.reading import embed_texts, load_reader, read_texts
    from distill_assets.storage import replace_atomically

    torch.set_num_threads(spec.threads)
    texts = pl.read_parquet(spec.texts).select("text_key", "instruction", "answer").rows(named=True)
    started_s = time.monotonic()
    reader = load_reader(spec.reader.path, spec.reader.name, spec.seed)
    say(f"{spec.reader.name}: loaded in {time.monotonic() - started_s:.1f} s, {len(texts)} samples to read on {reader.device}")
    rows = read_texts(reader, texts, spec.max_tokens, _tell_progress(spec.reader.name, say))
    if spec.embedder is not None:
        encoder = load_reader(spec.embedder.path, spec.embedder.name, spec.seed, is_causal=False)
        vectors = embed_texts(encoder, [f"{text['instruction']}\n{text['answer']}" for text in texts], spec.max_tokens)
        rows = [row | {"embedding": vector} for row, vector in zip(rows, vectors, strict=True)]
    schema = {"text_key": pl.String, "embedding": pl.List(pl.Float32), "loss_given": pl.Float64, "loss_alone": pl.Float64}
    with replace_atomically(spec.readings) as temporary:
        pl.DataFrame(rows, schema=schema).write_parquet(temporary)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "n_read": len(rows),
        "read_s": round(time.monotonic() - started_s, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "device": reader.device,
    }


def _tell_progress(name: str, say: Say) -> Any:
    started_s = last_s = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last_s
        now = time.monotonic()
        if now - last_s >= SECONDS_BETWEEN_LINES or done == total:
            last_s = now
            say(f"{name}: {done}/{total} samples read, {done / max(now - started_s, 1e-9):.1f} a second")

    return tell


if __name__ == "__main__":
    sys.exit(main())
