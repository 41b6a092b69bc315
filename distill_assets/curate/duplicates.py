"""Marks samples that say the same: exact, normalised, near, and by meaning, each field by itself.

Belongs here: what of a sample is compared, with which others, and which of two stands for the other. Does not belong here: the
search (deduplicate, neighbours) or dropping (select).

Exact: the same text but for white space. Normalised: the same words. Both hold within a database, whatever the queries are. Near:
the Jaccard similarity of the word n-grams reaches the threshold, and, with strict literals, both queries hold the same literals,
since "in 2023" and "in 2024" are different tasks (docs/adr/0006). Semantic: the cosine of the embeddings does, under the same
condition.

Who stands for the others: what people wrote before what a teacher wrote, then the higher score, then the smaller id, which is a
content hash. So nothing depends on row order, batch or machine. A mark names a sample that stays, directly: no chains.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from distill_assets.config import count_free_bytes
from distill_assets.curate.deduplicate import spread, sql
from distill_assets.curate.deduplicate.index import build_index, read_keep, update_index
from distill_assets.curate.deduplicate.index_files import load_index, save_index
from distill_assets.curate.deduplicate.pairs import Keep, keep_documents, keep_from_pairs
from distill_assets.curate.deduplicate.shingles import SHINGLER, build_shingles
from distill_assets.curate.neighbours import average_windows, find_semantic_pairs
from distill_assets.curate.samples import text_of
from distill_assets.curate.vectors.store import Vectors, name_texts
from distill_assets.curate.words import NORMALISER, normalise_texts
from distill_assets.curation import DuplicatesSpec, TextField
from distill_assets.identity import make_id

LITERAL = r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b"
SCHEMA = {
    "sample_id": pl.String, "field": pl.String, "duplicate_kind": pl.String, "duplicate_of": pl.String, "similarity": pl.Float64,
}  # fmt: skip
# The shingles of a text take about so many times its bytes, with all that a search needs.
BYTES_PER_BYTE = 12
SCORE_STEPS = 2**15 - 1


class Marked(NamedTuple):
    """Marks (SCHEMA, sorted by sample and field) and how many texts were new to the index."""

    frame: pl.DataFrame
    n_new: int


def mark_duplicates(
    samples: pl.DataFrame, spec: DuplicatesSpec, folder: Path | None = None, embed: Callable[[pl.Series], Vectors] | None = None
) -> Marked:
    """Mark each sample that another one stands for.

    Args:
        samples: sample_id, database, question, sql, critic_score, quality_score, is_real; texts are not null.
        folder: where the index is kept from run to run; None keeps none. embed: gives the vectors of texts; used where the spec
        asks for semantic duplicates.
    """
    marked = [_mark_field(samples, field, spec, folder, embed) for field in spec.fields]
    frame = pl.concat([part.frame for part in marked]).sort("sample_id", "field")
    return Marked(frame, sum(part.n_new for part in marked))


def list_documents(samples: pl.DataFrame, field: TextField, spec: DuplicatesSpec) -> pl.DataFrame:
    """What is compared: sample_id, text, words (normalised), grouped, rank, database; sorted by rank.

    `grouped`: only samples in which it is equal can be near duplicates. `rank` (uint64): the lowest stands for the others.
    """
    literals = pl.col("sql").str.extract_all(LITERAL).list.sort().list.join("\x1f") if spec.literals == "strict" else pl.lit("")
    score = pl.coalesce("critic_score", "quality_score", pl.lit(0.0)).clip(0, 1)
    inverted = ((1 - score) * SCORE_STEPS).round().cast(pl.UInt64)
    own = pl.col("sample_id").str.head(12).str.to_integer(base=16, strict=False, dtype=pl.UInt64).fill_null(0)
    rank = (~pl.col("is_real")).cast(pl.UInt64) * 2**63 + inverted * 2**48 + own
    frame = samples.select(
        "sample_id",
        "database",
        text_of(field),
        pl.concat_str("database", pl.lit("\x1e"), literals).alias("grouped"),
        rank.alias("rank"),
    )
    return frame.with_columns(normalise_texts(frame["text"]).alias("words")).sort("rank", "sample_id")


def _mark_field(
    samples: pl.DataFrame, field: TextField, spec: DuplicatesSpec, folder: Path | None, embed: Callable[[pl.Series], Vectors] | None
) -> Marked:
    documents = list_documents(samples, field, spec)
    same = ["database", pl.when(pl.col("words") == "").then("text").otherwise(pl.concat_str(pl.lit("\x1d"), "words"))]
    documents = documents.with_columns(
        pl.col("sample_id").first().over(same).alias("head_id"), pl.col("text").first().over(same).alias("head_text")
    )
    heads = documents.filter(pl.col("sample_id") == pl.col("head_id"))
    near, n_new = _keep_heads(heads, field, spec, folder)
    near = near.with_columns(pl.lit("near").alias("kind"))
    if embed is not None and spec.semantic_cosine is not None:
        near = _join_semantic(near, heads, spec.semantic_cosine, embed)
    joined = documents.join(near, left_on="head_id", right_on="sample_id", how="left")
    is_head = pl.col("sample_id") == pl.col("head_id")
    is_exact = _fold("text") == _fold("head_text")
    kind = pl.when(is_head).then("kind").when(is_exact).then(pl.lit("exact")).otherwise(pl.lit("normalized"))
    frame = joined.filter(~is_head | (pl.col("kept_id") != pl.col("sample_id"))).select(
        "sample_id",
        pl.lit(field).alias("field"),
        kind.alias("duplicate_kind"),
        pl.col("kept_id").alias("duplicate_of"),
        "similarity",
    )
    return Marked(frame.cast(SCHEMA), n_new)


def _join_semantic(near: pl.DataFrame, heads: pl.DataFrame, least: float, embed: Callable[[pl.Series], Vectors]) -> pl.DataFrame:
    """Let those that stayed stand for each other where their meaning is close, in the same order of who is wanted most."""
    left = heads.join(near.filter(pl.col("kept_id") == pl.col("sample_id")), on="sample_id", how="semi").sort("rank", "sample_id")
    named = left.with_columns(name_texts(left["text"]).alias("text_id")).with_row_index("place")
    close = find_semantic_pairs(average_windows(embed(left["text"]).frame), least)
    # Equal texts in two groups have one vector, so a pair of texts can be several pairs of samples.
    sides = named.select("text_id", "place", "grouped")
    own = sides.join(sides, on=["text_id", "grouped"], suffix="_right").with_columns(pl.lit(1.0).alias("cosine"))
    pairs = close.join(sides, left_on="left_id", right_on="text_id").join(
        sides, left_on=["right_id", "grouped"], right_on=["text_id", "grouped"], suffix="_right"
    )
    both = pl.concat([part.select("place", "place_right", "cosine") for part in (pairs, own)]).filter(
        pl.col("place") != pl.col("place_right")
    )
    found = (
        both.select(
            pl.min_horizontal("place", "place_right").cast(pl.Int32).alias("left"),
            pl.max_horizontal("place", "place_right").cast(pl.Int32).alias("right"),
            pl.col("cosine").alias("similarity"),
        )
        .unique(["left", "right"])
        .sort("left", "right")
    )
    keep = keep_from_pairs(left.height, found, named["place"].to_numpy())
    ids = left["sample_id"]
    new = pl.DataFrame({"kept_id": ids, "new_id": ids.gather(keep.representative), "cosine": keep.similarity})
    moved = pl.col("new_id") != pl.col("kept_id")
    is_head = pl.col("kept_id") == pl.col("sample_id")
    # Who stood under a sample that now goes itself is told of the one that stays; its own kind and similarity remain.
    return near.join(new, on="kept_id", how="left").select(
        "sample_id",
        pl.col("new_id").alias("kept_id"),
        pl.when(moved & is_head).then("cosine").otherwise("similarity").alias("similarity"),
        pl.when(moved & is_head).then(pl.lit("semantic")).otherwise("kind").alias("kind"),
    )


def _fold(column: str) -> pl.Expr:
    return pl.col(column).str.replace_all(r"\s+", " ").str.strip_chars()


def _keep_heads(heads: pl.DataFrame, field: TextField, spec: DuplicatesSpec, folder: Path | None) -> tuple[pl.DataFrame, int]:
    """sample_id, kept_id and similarity of each head, by the engine of the recipe; and how many texts were new."""
    engine = choose_engine(spec, heads)
    if engine == "compiled" and spec.method == "exact" and folder is not None:
        return _keep_by_index(heads, spec, folder / f"{field}-{_name_index(spec)}")
    keep = _search(heads, spec, engine, folder)
    ids = heads["sample_id"]
    found = pl.DataFrame({"sample_id": ids, "kept_id": ids.gather(keep.representative), "similarity": keep.similarity})
    return found, heads.height


def choose_engine(spec: DuplicatesSpec, heads: pl.DataFrame) -> str:
    """The recipe's engine; auto is the compiled one as long as the corpus fits into half of the free memory, then DuckDB."""
    if spec.engine != "auto":
        return spec.engine
    needed = BYTES_PER_BYTE * int(heads["text"].str.len_bytes().sum() or 0)
    return "compiled" if needed < count_free_bytes() // 2 else "duckdb"


def _search(heads: pl.DataFrame, spec: DuplicatesSpec, engine: str, folder: Path | None) -> Keep:
    texts, groups, ranks = heads["text"], heads["grouped"], heads["rank"].to_numpy()
    if engine == "compiled":
        return keep_documents(build_shingles(texts, groups, spec.shingle_words), spec.jaccard, ranks, spec.method)
    if engine == "daft":
        pairs = spread.find_pairs(texts, groups, spec.shingle_words, spec.jaccard)
    else:
        spill = folder / "spill" if folder is not None else None
        pairs = sql.find_pairs(texts, groups, spec.shingle_words, spec.jaccard, count_free_bytes() // 2 // 2**20, spill)
    return keep_from_pairs(heads.height, pairs, ranks)


def _name_index(spec: DuplicatesSpec) -> str:
    return make_id("index", NORMALISER, SHINGLER, LITERAL, spec.shingle_words, spec.jaccard, spec.literals)[:12]


def _keep_by_index(heads: pl.DataFrame, spec: DuplicatesSpec, folder: Path) -> tuple[pl.DataFrame, int]:
    """Bring the kept index up to these heads and read it."""
    documents = heads.select(
        pl.concat_str("sample_id", pl.lit(":"), _hash_content(heads)).alias("document_id"), "sample_id", "text", "grouped", "rank"
    )
    index = load_index(folder, spec.shingle_words, spec.jaccard)
    if index is None:
        index, n_new = build_index(documents, spec.shingle_words, spec.jaccard), documents.height
        save_index(folder, index)
    else:
        added = documents.join(index.rows, on=["document_id", "rank"], how="anti")
        removed = index.rows.join(documents, on=["document_id", "rank"], how="anti")["document_id"]
        n_new = added.height
        if added.height or removed.len():
            index = update_index(index, added, removed)
            save_index(folder, index)
    keep = read_keep(index).with_columns(pl.col("document_id", "representative_id").str.head(-17))
    return keep.select(pl.col("document_id").alias("sample_id"), pl.col("representative_id").alias("kept_id"), "similarity"), n_new


def _hash_content(heads: pl.DataFrame) -> pl.Series:
    """16 hex characters of text and group, so that a sample whose text was read otherwise is another document."""
    from distill_assets.curate.deduplicate import set_kernels
    from distill_assets.curate.kernels import FNV_PRIME
    from distill_assets.curate.words import view_bytes

    text, group = (set_kernels.hash_bytes(*view_bytes(heads[name])) for name in ("text", "grouped"))
    mixed: Any = text * FNV_PRIME ^ group
    return pl.Series("content", [f"{value:016x}" for value in mixed.tolist()], dtype=pl.String)
