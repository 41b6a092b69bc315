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
    """Sorted shingle hashes of all documents (uint64) and where each one's begin (int64, documents + 1).

    Of each whole set: a hash, and a signature of 64 parities (uint64 both).
    """

    tokens: Any
    starts: Any
    set_hashes: Any
    signatures: Any


def build_shingles(texts: pl.Series, groups: pl.Series | None, n_words: int) -> Shingles:
    """Return the shingles of `texts` in their order; no nulls.

    Args:
        groups: text a document; only documents of equal groups are alike. None: one group.
    """
    import numpy as np

    from distill_assets.curate.deduplicate import kernels

    words = hash_words(texts)
    is_wordless = np.diff(words.offsets) == 0
    raw = np.zeros(len(texts), np.uint64)
    if is_wordless.any():
        raw[is_wordless] = kernels.hash_bytes(*view_bytes(texts.filter(pl.Series(is_wordless))))
    group_hashes = np.zeros(len(texts), np.uint64) if groups is None else kernels.hash_bytes(*view_bytes(groups))
    return Shingles(*kernels.build_shingles(words.hashes, words.offsets, group_hashes, raw, n_words))
