"""Near duplicates in memory: all pairs above a similarity, and the documents that stay.

Belongs here: the exact join and its keep rule over shingles. Does not belong here: other engines (sql, spread, minhash),
incremental work (index) or what a duplicate means for a sample (duplicates).

Who stays: the lexicographically first maximal independent set of the graph of near duplicates, by rank. No chain: who leaves
has a direct duplicate that stays. It depends on texts and ranks alone, not on row order, batch, seed or threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from distill_assets.curate.deduplicate.shingles import Shingles

MIN_BITS, MAX_BITS = 12, 24
# Meets pairs of similarity 0.7 in 9,998 cases of 10,000, and 0.5 in 8,732.
N_BANDS, BAND_ROWS, MINHASH_SEED = 32, 4, 17
CLASS_BITS = 21  # 2 MiB: what a processor's own memory holds


class Keep(NamedTuple):
    """Each document's representative (int32, itself when it stays) and the similarity to it (float64)."""

    representative: Any
    similarity: Any


class Search(NamedTuple):
    """Documents prepared for a search: what the kernels take, in their order."""

    tokens: Any
    begins: Any
    ends: Any
    signatures: Any
    prefixes: Any
    offsets: Any


def find_table_bits(n: int) -> int:
    """Bits of a hashed table for `n` entries, one or two a bucket: a smaller table is nearer to the processor."""
    return min(MAX_BITS, max(MIN_BITS, int(n).bit_length() - 1))


def prepare_search(shingles: Shingles, documents: Any, classes: Any, threshold: float) -> Search:
    """Make the chosen documents searchable.

    Args:
        documents: their positions (int array). classes: of `class_shingles`; any classes give the same pairs, good ones sooner.
    """
    from distill_assets.curate.deduplicate import set_kernels

    begins, ends = shingles.starts[:-1][documents], shingles.starts[1:][documents]
    prefixes, offsets = set_kernels.choose_prefixes(shingles.tokens, begins, ends, classes, threshold)
    return Search(shingles.tokens, begins, ends, shingles.signatures[documents], prefixes, offsets)


def class_shingles(shingles: Shingles) -> Any:
    """How common shingles are, in a hashed table."""
    from distill_assets.curate.deduplicate import set_kernels

    return set_kernels.find_classes(shingles.tokens, min(CLASS_BITS, find_table_bits(len(shingles.tokens))))


def find_pairs(shingles: Shingles, threshold: float) -> pl.DataFrame:
    """All pairs of documents with a Jaccard similarity of at least `threshold`: left, right (positions, left < right), similarity.

    Documents with the same set are pairs of similarity 1 as well, so a corpus of n equal rows has n (n - 1) / 2.
    """
    import numpy as np

    from distill_assets.curate.deduplicate import join_kernels

    units, unit_of = _sort_units(shingles, *find_units(shingles))
    search = prepare_search(shingles, units, class_shingles(shingles), threshold)
    by_size = np.arange(len(units), dtype=np.int32)
    left, right, similarity = join_kernels.join_pairs(*search, threshold, by_size, find_table_bits(len(search.prefixes)))
    pairs = pl.DataFrame({"left": left, "right": right, "similarity": similarity})
    return _spread_to_members(pairs, unit_of).sort("left", "right")


def keep_documents(shingles: Shingles, threshold: float, ranks: Any, method: str = "exact") -> Keep:
    """Decide which documents stay.

    Args:
        ranks: uint64 a document, the lowest is the most wanted; equal ranks go by position.
        method: exact meets all pairs; minhash meets a pair with the chance of `find_meeting_probability`, and takes none below
        the threshold either, since each one that meets is compared.
    """
    import numpy as np

    from distill_assets.curate.deduplicate import join_kernels

    order = np.argsort(ranks, kind="stable")
    units, unit_of = find_units(shingles, order)
    is_banded = method == "minhash"
    search = _band_search(shingles, units) if is_banded else prepare_search(shingles, units, class_shingles(shingles), threshold)
    by_rank = np.argsort(ranks[units], kind="stable").astype(np.int32)
    keep = join_kernels.solve_keep(*search, threshold, by_rank, find_table_bits(len(search.prefixes)))
    return spread_keep(Keep(*keep), units, unit_of)


def keep_from_pairs(n: int, pairs: pl.DataFrame, ranks: Any) -> Keep:
    """Decide which of `n` documents stay, from pairs (left, right, similarity) that any engine found."""
    import numpy as np

    from distill_assets.curate.deduplicate import join_kernels

    order = np.argsort(ranks, kind="stable").astype(np.int32)
    columns = (pairs["left"].to_numpy(), pairs["right"].to_numpy(), pairs["similarity"].to_numpy())
    return Keep(*join_kernels.solve_pairs(n, *columns, order))


def find_meeting_probability(similarity: float) -> float:
    """The chance that two documents of this similarity share a MinHash band: 1 - (1 - s^r)^b (Leskovec et al., MMDS, 3.4.2)."""
    return 1 - (1 - similarity**BAND_ROWS) ** N_BANDS


def _sort_units(shingles: Shingles, units: Any, unit_of: Any) -> tuple[Any, Any]:
    """Units by size and then position, so that the join walks through memory in order."""
    import numpy as np

    order = np.argsort((np.diff(shingles.starts)[units].astype(np.uint64) << np.uint64(32)) | units.astype(np.uint64))
    number = np.empty(len(units), np.int32)
    number[order] = np.arange(len(units), dtype=np.int32)
    return units[order], number[unit_of]


def _band_search(shingles: Shingles, documents: Any) -> Search:
    """Documents that are searched by MinHash bands; the hash functions are fixed, so the same texts meet everywhere."""
    import numpy as np

    from distill_assets.curate.deduplicate import set_kernels

    drawn = np.random.default_rng(MINHASH_SEED).integers(0, 2**64, (2, N_BANDS * BAND_ROWS), dtype=np.uint64)
    begins, ends = shingles.starts[:-1][documents], shingles.starts[1:][documents]
    bands = set_kernels.build_bands(shingles.tokens, begins, ends, drawn[0] | np.uint64(1), drawn[1], BAND_ROWS)
    return Search(shingles.tokens, begins, ends, shingles.signatures[documents], *bands)


def spread_keep(keep: Keep, units: Any, unit_of: Any) -> Keep:
    """What holds for units, told of their members.

    Args:
        units: position of each unit's first member. unit_of: unit of each document.
    """
    return Keep(units[keep.representative[unit_of]].astype("int32"), keep.similarity[unit_of])


def find_units(shingles: Shingles, order: Any = None) -> tuple[Any, Any]:
    """Documents with the same set as one: each unit's first document along `order`, and each document's unit (int32)."""
    import numpy as np

    hashes = shingles.set_hashes if order is None else shingles.set_hashes[order]
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    if order is None:
        return first, inverse.astype(np.int32)
    unit_of = np.empty(len(hashes), np.int32)
    unit_of[order] = inverse
    return order[first], unit_of


def _spread_to_members(pairs: pl.DataFrame, unit_of: Any) -> pl.DataFrame:
    """Pairs of units as pairs of their members, with those inside a unit."""
    members = pl.DataFrame({"unit": unit_of, "member": pl.Series(range(len(unit_of)), dtype=pl.Int32)})
    between = (
        pairs.join(members, left_on="left", right_on="unit")
        .join(members, left_on="right", right_on="unit", suffix="_right")
        .select(pl.col("member").alias("a"), pl.col("member_right").alias("b"), "similarity")
    )
    shared = members.filter(pl.col("unit").is_duplicated())
    inside = (
        shared.join(shared, on="unit", suffix="_right")
        .filter(pl.col("member") < pl.col("member_right"))
        .select(pl.col("member").alias("a"), pl.col("member_right").alias("b"), pl.lit(1.0).alias("similarity"))
    )
    both = pl.concat([between, inside])
    return both.select(pl.min_horizontal("a", "b").alias("left"), pl.max_horizontal("a", "b").alias("right"), "similarity")
