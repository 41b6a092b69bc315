"""Documents as sets of hashed word n-grams.

Belongs here: texts into shingles, and documents with the same set as one. Does not belong here: comparing them (pairs, index).

A document of k words has the n-grams of its words with a mark before and behind them, so that even one word has two 2-grams.
A text without a word stands for itself, byte for byte. Shingles carry the document's group (such as database and literals), so
documents of two groups share none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from distill_assets.curate.words import hash_words, view_bytes

# Raise it when the same texts get other shingles.
SHINGLER = "shingles@1"


class Shingles(NamedTuple):
    """Sorted shingle hashes of all documents (uint64), where each one's begin (int64, documents + 1), a hash of each whole set."""

    tokens: Any
    starts: Any
    set_hashes: Any


def build_shingles(texts: pl.Series, groups: pl.Series | None, n_words: int) -> Shingles:
    """Return the shingles of `texts` in their order; no nulls.

    Args:
        groups: text a document; only documents of equal groups are alike. None: one group.
    """
    import numpy as np

    from distill_assets.curate.deduplicate import kernels

    words = hash_words(texts)
    raw = kernels.hash_bytes(*view_bytes(texts))
    group_hashes = np.zeros(len(texts), np.uint64) if groups is None else kernels.hash_bytes(*view_bytes(groups))
    return Shingles(*kernels.build_shingles(words.hashes, words.offsets, group_hashes, raw, n_words))


def take_documents(shingles: Shingles, documents: Any) -> Shingles:
    """The shingles of some documents, in the order of `documents` (int array)."""
    import numpy as np

    sizes = np.diff(shingles.starts)[documents]
    starts = np.zeros(len(documents) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    places = np.repeat(shingles.starts[:-1][documents] - starts[:-1], sizes) + np.arange(starts[-1])
    return Shingles(shingles.tokens[places], starts, shingles.set_hashes[documents])
