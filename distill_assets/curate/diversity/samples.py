"""The fixed sample on which a corpus is measured.

Belongs here: which rows are measured. Does not belong here: what is measured (measures).

Most measures of diversity change with the number of texts, so that corpora can be compared at the same number only. A row's rank
is a hash of its text and of how many equal texts came before it: free of row order, and a corpus of copies keeps its share of
copies.
"""

from __future__ import annotations

import hashlib

import polars as pl

# Rows for what costs as much as there are words; at 5,000 rows 805 texts repeated 25 times still compress 6 times better.
SAMPLE_ROWS = 5000
# Rows for what compares each with each: half a million pairs.
PAIR_ROWS = 1000
# Of a longer text only its beginning is measured, so that one row cannot outweigh all others.
MAX_MEASURED_CHARS = 20_000


def add_rank(texts: pl.DataFrame) -> pl.DataFrame:
    """Add `rank`, a 64-bit hash by which a sample of rows is taken.

    Args:
        texts: a column `text` without nulls; rows of equal text in an order that does not depend on how they came.
    """
    occurrence = texts.select(pl.int_range(pl.len()).over("text")).to_series()
    ranks = [_hash_row(text, number) for text, number in zip(texts["text"], occurrence, strict=True)]
    return texts.with_columns(pl.Series("rank", ranks, dtype=pl.UInt64))


def take_sample(ranked: pl.DataFrame, n_rows: int) -> pl.DataFrame:
    """The `n_rows` rows of lowest rank, in the order of rank; a text is cut at MAX_MEASURED_CHARS."""
    return ranked.sort("rank", "text").head(n_rows).with_columns(pl.col("text").str.head(MAX_MEASURED_CHARS))


def _hash_row(text: str, number: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{number}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
