"""Hash tables of word n-grams, with where each gram stands.

Belongs here: building the arrays that the compiled scan reads, and running it. Does not belong here: what the grams are of.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from distill_assets.curate.decontaminate.streams import Stream

# Bits of the first look for each gram, at least: with two bits set, about one place in 20 then passes by chance. 15,000 benchmark
# items have half a million grams, and their bits (1 MiB at most) stay in the processor's cache.
BITS_PER_GRAM = 8
LEAST_BITS = 1 << 14


class GramTable(NamedTuple):
    """Distinct n-grams: the scan's tables, and the postings of each gram: text and word at which it stands."""

    n: int
    lookup: tuple[Any, Any, Any, int]
    starts: Any
    posting_texts: Any
    posting_places: Any


def list_grams(stream: Stream, n: int) -> tuple[Any, Any, Any]:
    """All n-grams of `stream`: hash, number of the text, number of the word."""
    from distill_assets.curate.decontaminate import gram_kernels

    return gram_kernels.hash_ngrams(stream.hashes, stream.offsets, n)


def is_shared_by(grams: Any, owners: Any, most: int) -> Any:
    """Whether each gram stands in the texts of more than `most` owners."""
    import numpy as np
    import polars as pl

    pairs = pl.DataFrame({"gram": grams, "owner": owners}).unique()
    shared = pairs.group_by("gram").len().filter(pl.col("len") > most)["gram"]
    return np.isin(grams, shared.to_numpy())


def build_table(grams: Any, texts: Any, places: Any, n: int) -> GramTable:
    """Enter n-grams: the hash of each, its text and the word at which it stands there."""
    import numpy as np

    from distill_assets.curate.decontaminate import gram_kernels

    distinct, numbers = np.unique(grams, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    starts = np.zeros(len(distinct) + 1, np.int64)
    np.cumsum(np.bincount(numbers, minlength=len(distinct)), out=starts[1:])
    n_bits = _next_power(max(LEAST_BITS, BITS_PER_GRAM * len(distinct)))
    bits, keys = np.zeros(n_bits // 64, np.uint64), np.zeros(_next_power(4 * len(distinct)), np.uint64)
    slots = np.full(len(keys), -1, np.int32)
    gram_kernels.fill_tables(distinct, bits, keys, slots)
    return GramTable(n, (bits, keys, slots, len(distinct)), starts, texts[order], places[order])


def scan_stream(table: GramTable, stream: Stream, is_first_only: bool = True) -> Any:
    """Where grams of `table` stand in `stream`: rows of text, word within it, gram (int32)."""
    from distill_assets.curate.decontaminate import gram_kernels

    return gram_kernels.scan_ngrams(stream.hashes, stream.offsets, table.n, table.lookup, is_first_only)


def _next_power(least: int) -> int:
    return 1 << max(0, least - 1).bit_length()
