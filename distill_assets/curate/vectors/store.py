"""Texts into vectors: which texts are new to the model, and the store of what it read.

Belongs here: a text's id, the store by model and text. Does not belong here: the model's work (child,
reading) or what vectors are compared for (neighbours).

Reading is the dear part, so vectors stay in the workspace under the model's revision, a file for each chunk that was read: a
new text costs its own reading, and a text that is gone costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from distill_assets.clients.base_model import BaseModel, resolve_base_model
from distill_assets.curate.vectors.child import VectorSpec
from distill_assets.curate.vectors.frames import VECTOR_SCHEMA
from distill_assets.curate.words import NORMALISER, fold_texts
from distill_assets.curation import EmbeddingSpec
from distill_assets.errors import TrainingError
from distill_assets.identity import make_id
from distill_assets.storage import Workspace, hold_lock, replace_atomically, write_text

# Another way to make windows or vectors: raise it, and everything is read again.
VECTOR_VERSION = "1"
CHILD = "distill_assets.curate.vectors.child"
# What a killed run loses at most, and what is one file.
CHUNK_TEXTS = 2_048
# One text's reading is bounded: so many characters are some 800 windows, half a minute of one core.
MAX_CHARS = 200_000
RunChild = Callable[[str, Path], object]


class TextReader(NamedTuple):
    """Who reads: the model, the longest window in tokens, threads."""

    model: BaseModel
    max_tokens: int
    threads: int

    @property
    def reading_id(self) -> str:
        """Content id of all that decides a vector besides its text; threads do not."""
        return make_id("vectors", VECTOR_VERSION, NORMALISER, self.model.revision, self.max_tokens)


class Vectors(NamedTuple):
    """Vectors of all windows of the texts asked for, as VECTOR_SCHEMA says, by text and window; and how many texts were read.

    `cut_ids` are the texts of which only the first MAX_CHARS were read, so that nothing near in them clears nobody.
    """

    frame: pl.DataFrame
    n_read: int
    cut_ids: frozenset[str] = frozenset()


def plan_reader(spec: EmbeddingSpec, threads: int, cache_dir: Path) -> TextReader:
    """Who reads, by the recipe.

    Raises:
        BaseModelError: the model is missing; says how to fetch it.
    """
    return TextReader(resolve_base_model(spec.model, cache_dir), spec.max_tokens, threads)


def name_texts(texts: pl.Series) -> pl.Series:
    """The content id of each text; no nulls."""
    return pl.Series("text_id", [make_id("text", text) for text in texts.to_list()], dtype=pl.String)


def join_vectors(texts: pl.DataFrame, vectors: pl.DataFrame) -> pl.DataFrame:
    """One row for each window of each text: the columns of `texts` but `text` itself, and those of VECTOR_SCHEMA.

    Args:
        texts: any columns and `text`, such as document_id, or benchmark and item_id. vectors: of these texts.
    """
    return texts.with_columns(name_texts(texts["text"])).drop("text").join(vectors, on="text_id", maintain_order="left_right")


def read_vectors(workspace: Workspace, recipe: str, reader: TextReader, texts: pl.Series, run_child: RunChild) -> Vectors:
    """Return the vectors of `texts`; only what the store lacks is read.

    Args:
        texts: without nulls; equal ones count once. The model reads them folded (words.fold_texts), so that letters that
        only look alike are the same to it. run_child: runs a module with a spec file, as resources.GpuResource does.

    Raises:
        TrainingError: the child ended without all vectors; those that it wrote are kept.
    """
    folder = workspace.folder("vectors", recipe) / reader.reading_id
    wanted = pl.DataFrame({"text_id": name_texts(texts), "text": texts}).unique("text_id").sort("text_id")
    with hold_lock(folder / "reading.lock", f"a reading of texts by {reader.model.name}"):
        known = read_store(folder, wanted["text_id"])
        new = wanted.join(known, on="text_id", how="anti")
        if new.height:
            _read_new(folder, new, reader, run_child)
            known = read_store(folder, wanted["text_id"])
    if missing := wanted.join(known, on="text_id", how="anti").height:
        raise TrainingError(
            f"{reader.model.name} left {missing} of {wanted.height} texts unread. Nothing was replaced. Run again: what was "
            "read is kept."
        )
    cut = wanted.filter(pl.col("text").str.len_chars() > MAX_CHARS)
    return Vectors(known, new.height, frozenset(cut["text_id"]))


def read_store(folder: Path, text_ids: pl.Series) -> pl.DataFrame:
    """All stored vectors of these texts; a file that cannot be read is removed, and its texts are read again."""
    found, wanted = [pl.DataFrame(schema=VECTOR_SCHEMA)], pl.DataFrame({"text_id": text_ids})
    for file in sorted(folder.glob("*.parquet")):
        try:
            rows = pl.read_parquet(file).select(list(VECTOR_SCHEMA)).cast(VECTOR_SCHEMA)
        except (OSError, pl.exceptions.PolarsError):
            file.unlink(missing_ok=True)
            continue
        found.append(rows.join(wanted, on="text_id", how="semi"))
    return pl.concat(found).unique(["text_id", "window_ix"], keep="first", maintain_order=True).sort("text_id", "window_ix")


def _read_new(folder: Path, texts: pl.DataFrame, reader: TextReader, run_child: RunChild) -> None:
    """Have a child read `texts` into files of `folder`."""
    inputs, spec_file = folder / "texts.new", folder / "spec.json"
    with replace_atomically(inputs) as temporary:
        texts.with_columns(fold_texts(texts["text"].str.head(MAX_CHARS)).alias("text")).write_parquet(temporary)
    spec = VectorSpec(
        path=reader.model.path,
        name=reader.model.name,
        texts=inputs,
        folder=folder,
        max_tokens=reader.max_tokens,
        threads=reader.threads,
        chunk_texts=CHUNK_TEXTS,
    )
    write_text(spec_file, json.dumps(spec.model_dump(mode="json"), indent=1, sort_keys=True))
    run_child(CHILD, spec_file)
    for leftover in (inputs, spec_file):
        leftover.unlink(missing_ok=True)
