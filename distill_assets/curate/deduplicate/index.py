"""Near duplicates that are kept up to date: documents come, go and change, and only what that touches is looked at again.

Belongs here: the index of documents, building and updating it. Does not belong here: the loop of a repair (repair), files
(index_files) or what a document is (duplicates).

The result of any series of updates is that of building the index from the documents that are left: similarity is a function of
two texts, and who stays a function of the graph of near duplicates and the ranks. Documents with the same set of shingles are
one unit; a unit's rank is that of its best member.

A base segment never changes; a small delta holds what came later. When the delta or the dead outgrow `MAX_DELTA_FRAC`, or a
change touches so much that a search from nothing is cheaper, all is settled anew from the stored shingles, no text is read again.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import polars as pl

from distill_assets.curate.deduplicate.pairs import class_shingles, find_table_bits, prepare_search
from distill_assets.curate.deduplicate.shingles import Shingles, build_shingles
from distill_assets.identity import make_id

MAX_DELTA_FRAC = 0.2
# Looking up one posting in a repair costs about as much as this many in a search from nothing.
VISITS_PER_DOCUMENT = 20
ROWS = {"document_id": pl.String, "unit": pl.Int32, "rank": pl.UInt64}


class Segment(NamedTuple):
    """Units that can be searched: their shingles in CSR form, signatures, prefixes in CSR form, postings by bucket."""

    tokens: Any
    starts: Any
    signatures: Any
    prefixes: Any
    offsets: Any
    cursors: Any
    postings: Any


class Units(NamedTuple):
    """What is known of each unit: rank of its best member, hash of its set, its representative (-1: none), similarity to that."""

    ranks: Any
    hashes: Any
    representative: Any
    similarity: Any


class Index(NamedTuple):
    """All documents by unit, the units, and how to search them; `base_id` names the base segment's content and order."""

    threshold: float
    n_words: int
    base_id: str
    classes: Any
    rows: pl.DataFrame
    units: Units
    base: Segment
    delta: Segment


def build_index(documents: pl.DataFrame, n_words: int, threshold: float) -> Index:
    """Index documents and settle who stays.

    Args:
        documents: document_id (unique), text, grouped (only equal ones are alike), rank (uint64, the lowest is the most wanted).
    """
    shingles = build_shingles(documents["text"], documents["grouped"], n_words)
    classes = class_shingles(shingles)
    first, unit_of = _group(shingles.set_hashes)
    rows = documents.select("document_id", pl.Series("unit", unit_of), "rank").cast(ROWS)
    distinct = _take(shingles, first)
    return _settle(_start(rows, distinct, classes, n_words, threshold))


def update_index(index: Index, added: pl.DataFrame, removed: pl.Series) -> Index:
    """Return the index after documents came and went; a changed document is removed and added.

    Args:
        added: as for `build_index`. removed: document ids; those that are not there are nothing to remove.
    """
    import numpy as np

    from distill_assets.curate.deduplicate import repair

    is_removed = pl.col("document_id").is_in(removed.implode())
    left = index.rows.filter(is_removed)
    shingles = build_shingles(added["text"], added["grouped"], index.n_words)
    unit_of, fresh = _find_or_add(index.units.hashes, shingles.set_hashes)
    arrived = added.select("document_id", pl.Series("unit", unit_of), "rank").cast(ROWS)
    rows = pl.concat([index.rows.filter(~is_removed) if left.height else index.rows, arrived])
    index = _append(index._replace(rows=rows), _take(shingles, fresh))
    touched = pl.concat([left["unit"], arrived["unit"]]).unique().sort()
    gone, dirty = _rerank(index, touched)
    if index.delta.starts.size - 1 > MAX_DELTA_FRAC * len(index.units.ranks):
        return _compact(index)
    budget = VISITS_PER_DOCUMENT * len(index.units.ranks) + 100_000
    base, delta = tuple(index.base), tuple(index.delta)
    visits = repair.repair_keep(base, delta, index.threshold, tuple(index.units), gone, dirty, budget)
    n_dead = int(np.count_nonzero(index.units.representative < 0))
    return _compact(index) if visits < 0 or n_dead > MAX_DELTA_FRAC * len(index.units.ranks) else index


def read_keep(index: Index) -> pl.DataFrame:
    """Each document's representative and the similarity to it, sorted by document_id.

    Returns:
        document_id, representative_id (its own when it stays), similarity, is_same_set (they have the same shingles).
    """
    best = index.rows.group_by("unit").agg(pl.col("document_id").sort_by("rank", "document_id").first().alias("best_id"))
    units = pl.DataFrame(
        {
            "unit": pl.Series(range(len(index.units.ranks)), dtype=pl.Int32),
            "stands": index.units.representative,
            "similarity": index.units.similarity,
        }
    )
    of_unit = units.join(best, left_on="stands", right_on="unit", how="inner")
    return (
        index.rows.join(of_unit, on="unit", how="left")
        .select(
            "document_id",
            pl.col("best_id").alias("representative_id"),
            "similarity",
            (pl.col("stands") == pl.col("unit")).alias("is_same_set"),
        )
        .sort("document_id")
    )


def _start(rows: pl.DataFrame, distinct: Shingles, classes: Any, n_words: int, threshold: float) -> Index:
    """An index whose units are not settled yet."""
    import numpy as np

    n = len(distinct.set_hashes)
    ranks = np.zeros(n, np.uint64)
    best = rows.group_by("unit").agg(pl.col("rank").min())
    ranks[best["unit"].to_numpy()] = best["rank"].to_numpy()
    units = Units(ranks, distinct.set_hashes, np.full(n, -1, np.int32), np.ones(n))
    base = build_segment(distinct, classes, threshold)
    nothing = build_segment(_take(distinct, np.zeros(0, np.int64)), classes, threshold)
    base_id = make_id("base", threshold, n_words, hashlib.sha256(distinct.set_hashes.tobytes()).hexdigest())
    return Index(threshold, n_words, base_id, classes, rows, units, base, nothing)


def _settle(index: Index) -> Index:
    """Settle all units of a fresh index by one search."""
    import numpy as np

    from distill_assets.curate.deduplicate import join_kernels

    units, base = index.units, index.base
    order = np.lexsort((units.hashes, units.ranks)).astype(np.int32)
    begins, ends = base.starts[:-1], base.starts[1:]
    bits = find_table_bits(len(base.prefixes))
    representative, similarity = join_kernels.solve_keep(
        base.tokens, begins, ends, base.signatures, base.prefixes, base.offsets, index.threshold, order, bits
    )
    return index._replace(units=units._replace(representative=representative, similarity=similarity))


def build_segment(distinct: Shingles, classes: Any, threshold: float) -> Segment:
    """Make units searchable."""
    import numpy as np

    from distill_assets.curate.deduplicate import join_kernels

    search = prepare_search(distinct, np.arange(len(distinct.set_hashes)), classes, threshold)
    bits = find_table_bits(len(search.prefixes))
    postings = join_kernels.build_postings(search.prefixes, search.offsets, distinct.starts, distinct.signatures, bits)
    return Segment(distinct.tokens, distinct.starts, distinct.signatures, search.prefixes, search.offsets, *postings)


def _append(index: Index, fresh: Shingles) -> Index:
    """The index with further units, not settled, in a new delta."""
    import numpy as np

    if not len(fresh.set_hashes):
        return index._replace(units=Units(*(np.array(values) for values in index.units)))
    delta, units, n = index.delta, index.units, len(fresh.set_hashes)
    n_base = len(index.base.starts) - 1
    both = _join(Shingles(delta.tokens, delta.starts, units.hashes[n_base:], delta.signatures), fresh)
    grown = Units(
        np.concatenate([units.ranks, np.zeros(n, np.uint64)]),
        np.concatenate([units.hashes, fresh.set_hashes]),
        np.concatenate([units.representative, np.full(n, -1, np.int32)]),
        np.concatenate([units.similarity, np.ones(n)]),
    )
    return index._replace(units=grown, delta=build_segment(both, index.classes, index.threshold))


def _rerank(index: Index, touched: pl.Series) -> tuple[Any, Any]:
    """Give touched units the rank of their best member; return those that stayed and no longer count, and those to settle."""
    import numpy as np

    units = index.units
    now = index.rows.filter(pl.col("unit").is_in(touched.implode())).group_by("unit").agg(pl.col("rank").min()).sort("unit")
    alive, ranks = now["unit"].to_numpy(), now["rank"].to_numpy()
    places = touched.to_numpy()
    is_dead = ~np.isin(places, alive)
    is_new = units.representative[alive] < 0
    is_moved = (units.ranks[alive] != ranks) | is_new
    changed = np.concatenate([places[is_dead], alive[is_moved]])
    gone = changed[units.representative[changed] == changed]
    units.representative[changed] = -1
    units.ranks[alive] = ranks
    return gone.astype(np.int64), alive[is_moved].astype(np.int64)


def _compact(index: Index) -> Index:
    """The same documents in one base segment, settled from nothing."""
    import numpy as np

    n_base = len(index.base.starts) - 1
    hashes = index.units.hashes
    stored = _join(
        Shingles(index.base.tokens, index.base.starts, hashes[:n_base], index.base.signatures),
        Shingles(index.delta.tokens, index.delta.starts, hashes[n_base:], index.delta.signatures),
    )
    alive = np.unique(index.rows["unit"].to_numpy())
    numbers = np.full(len(hashes), -1, np.int32)
    numbers[alive] = np.arange(len(alive), dtype=np.int32)
    rows = index.rows.with_columns(pl.Series("unit", numbers[index.rows["unit"].to_numpy()]))
    distinct = _take(stored, alive)
    return _settle(_start(rows, distinct, class_shingles(distinct), index.n_words, index.threshold))


def _group(hashes: Any) -> tuple[Any, Any]:
    """First place of each distinct hash, and the number of each one's hash (int32)."""
    import numpy as np

    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return first, inverse.astype(np.int32)


def _find_or_add(known: Any, hashes: Any) -> tuple[Any, Any]:
    """The unit of each hash, new ones numbered after the known; and the first place of each new one.

    A few hashes are looked for among many, so the few are sorted, not the many.
    """
    import numpy as np

    distinct, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    number = np.full(len(distinct), -1, np.int64)
    if len(distinct):
        at = np.minimum(np.searchsorted(distinct, known), len(distinct) - 1)
        hits = np.flatnonzero(distinct[at] == known)
        number[at[hits]] = hits
    fresh = np.flatnonzero(number < 0)
    number[fresh] = len(known) + np.arange(len(fresh))
    return number[inverse].astype(np.int32), first[fresh]


def _take(shingles: Shingles, places: Any) -> Shingles:
    """The shingles of some documents, in the order of `places`."""
    import numpy as np

    sizes = np.diff(shingles.starts)[places]
    starts = np.zeros(len(places) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    at = np.repeat(shingles.starts[:-1][places] - starts[:-1], sizes) + np.arange(starts[-1])
    return Shingles(shingles.tokens[at], starts, shingles.set_hashes[places], shingles.signatures[places])


def _join(a: Shingles, b: Shingles) -> Shingles:
    import numpy as np

    return Shingles(
        np.concatenate([a.tokens, b.tokens]),
        np.concatenate([a.starts, b.starts[1:] + a.starts[-1]]),
        np.concatenate([a.set_hashes, b.set_hashes]),
        np.concatenate([a.signatures, b.signatures]),
    )
