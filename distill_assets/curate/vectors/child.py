"""`python -m distill_assets.curate.vectors.child --spec FILE.json`: a local model reads texts, in a process of its own.

Belongs here: reading texts, asking the model, writing vectors chunk by chunk. Does not belong here: the reading itself
(reading) or which texts are read (store).

Each chunk appears in one step when it is whole, so that a killed child loses at most one.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic

from distill_assets.processes import Say, read_spec, run_as_child

SECONDS_BETWEEN_LINES = 3.0


class VectorSpec(pydantic.BaseModel):
    """What one reading process is told: Parquet of text_id and text in, a file of vectors in `folder` for each chunk out."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    path: Path
    name: str
    texts: Path
    folder: Path
    max_tokens: int = pydantic.Field(ge=16)
    threads: int = pydantic.Field(ge=1)
    chunk_texts: int = pydantic.Field(ge=1)


def main(arguments: list[str] | None = None) -> int:
    """Read as the spec file says; exit status 1 with the reason on stderr when that fails."""
    return run_as_child(
        "distill_assets.curate.vectors.child",
        lambda file, say: read_texts(read_spec(file, VectorSpec, "curation_marks"), say),
        arguments,
    )


def read_texts(spec: VectorSpec, say: Say) -> dict[str, Any]:
    """Have the model read all texts, write their vectors, and return the figures of it."""
    import polars as pl
    import torch

    from distill_assets.curate.vectors.reading import load_encoder
    from distill_assets.storage import replace_atomically

    torch.set_num_threads(spec.threads)
    texts = pl.read_parquet(spec.texts).select("text_id", "text").sort("text_id")
    started_s = last_s = time.monotonic()
    encoder = load_encoder(spec.path, spec.name, spec.max_tokens)
    say(f"{spec.name}: loaded in {time.monotonic() - started_s:.1f} s, {texts.height} texts to read on {encoder.device}")
    n_read = n_windows = 0
    for name, chunk in _cut_chunks(texts, spec.chunk_texts):
        vectors = _read_chunk(encoder, chunk, spec.max_tokens)
        with replace_atomically(spec.folder / f"{name}.parquet") as temporary:
            vectors.write_parquet(temporary)
        n_read, n_windows, now_s = n_read + chunk.height, n_windows + vectors.height, time.monotonic()
        if now_s - last_s >= SECONDS_BETWEEN_LINES or n_read == texts.height:
            last_s = now_s
            say(f"{spec.name}: {n_read}/{texts.height} texts read, {n_read / max(now_s - started_s, 1e-9):.1f} a second")
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "n_read": n_read,
        "n_windows": n_windows,
        "read_s": round(time.monotonic() - started_s, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "device": encoder.device,
    }


def _cut_chunks(texts: Any, chunk_texts: int) -> Iterator[tuple[str, Any]]:
    """Chunks of the texts, each with a name that its texts give it."""
    from distill_assets.identity import make_id

    for start in range(0, texts.height, chunk_texts):
        chunk = texts.slice(start, chunk_texts)
        yield make_id("chunk", chunk["text_id"].to_list()), chunk


def _read_chunk(encoder: Any, chunk: Any, max_tokens: int) -> Any:
    from distill_assets.curate.vectors.frames import build_vectors
    from distill_assets.curate.vectors.reading import cut_windows, embed_windows

    windows = cut_windows(encoder, chunk["text"].to_list(), max_tokens)
    return build_vectors(chunk["text_id"].to_list(), windows, embed_windows(encoder, windows, max_tokens))


if __name__ == "__main__":
    sys.exit(main())
