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
CHUNK_DOCUMENTS = 25_000  # read at a time, so that the words of the corpus stand nowhere twice


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

    from distill_assets.curate.deduplicate import set_kernels

    most = int(texts.str.len_bytes().sum() or 0) // 2 + 3 * len(texts)  # a word and its space take two bytes; two marks
    tokens, begin = np.empty(most, np.uint64), 0  # pages that are never written take no memory
    ends, hashes, signatures = [np.zeros(1, np.int64)], [], []
    for start in range(0, max(1, len(texts)), CHUNK_DOCUMENTS):
        part = texts.slice(start, CHUNK_DOCUMENTS)
        words = hash_words(part)
        grouped = None if groups is None else groups.slice(start, CHUNK_DOCUMENTS)
        group_hashes = np.zeros(len(part), np.uint64) if grouped is None else set_kernels.hash_bytes(*view_bytes(grouped))
        found = set_kernels.build_shingles(*words, group_hashes, _hash_wordless(part, words.offsets), n_words, tokens, begin)
        begin = int(found[0][-1]) if len(part) else begin
        for values, more in zip((ends, hashes, signatures), found, strict=True):
            values.append(more)
    return Shingles(tokens[:begin], np.concatenate(ends), np.concatenate(hashes), np.concatenate(signatures))


def _hash_wordless(texts: pl.Series, offsets: Any) -> Any:
    """A hash of each text that has no word; 0 for the others."""
    import numpy as np

    from distill_assets.curate.deduplicate import set_kernels

    is_wordless = np.diff(offsets) == 0
    raw = np.zeros(len(texts), np.uint64)
    if is_wordless.any():
        raw[is_wordless] = set_kernels.hash_bytes(*view_bytes(texts.filter(pl.Series(is_wordless))))
    return raw
