"""Which vectors lie close to which: every pair, exactly, in blocks.

Belongs here: cosines of stored vectors, the nearest items of a document, all pairs of a corpus. Does not belong here: making
vectors (vectors) or what follows from closeness (arbiter, marks).

Vectors are whole numbers, and their inner products stay below 2^24, so a product of float32 matrices gives them exactly,
whatever the order of sums, the block or the number of threads. A cosine is then one division and one root, which every
machine rounds alike. Nothing is approximated: an index that skips pairs could skip the leak, or answer otherwise tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from distill_assets.curate.vectors.frames import sum_squares, unpack_vectors
from distill_assets.errors import DuplicatesError

# Rows of either side in one block: 16 MiB of products at a time.
BLOCK_DOCUMENTS = 1_024
BLOCK_ITEMS = 4_096
# float32 products with the items' inverse lengths are this close to the exact ones; who passes is then measured exactly.
SLACK = 1e-5
# About 1 GiB of ids and cosines.
MAX_PAIRS = 10_000_000

NEAR_SCHEMA = {
    "document_id": pl.String, "benchmark": pl.String, "item_id": pl.String, "cosine": pl.Float64,
    "start_chars": pl.Int64, "end_chars": pl.Int64,
}  # fmt: skip
PAIR_SCHEMA = {"left_id": pl.String, "right_id": pl.String, "cosine": pl.Float64}


class _Side(NamedTuple):
    """Vectors of one side: float32 whole numbers, their squared lengths (int64)."""

    numbers: Any
    norms_sq: Any


def find_near_items(documents: pl.DataFrame, items: pl.DataFrame, least_cosine: float, n_neighbours: int) -> pl.DataFrame:
    """The nearest items of each document, over all windows of both.

    Args:
        documents: rows of document_id, start_chars, end_chars, vector; one a window. items: rows of benchmark, item_id, vector;
        one a window. least_cosine: closer than this, or just so close, is near. n_neighbours: items a document at most.

    Returns:
        NEAR_SCHEMA: each document's items by cosine, then by benchmark and item, with the document's window that is closest
        (the first of several); sorted by document_id, cosine from the highest, benchmark, item_id.
    """
    documents = documents.sort("document_id", "start_chars")
    items = items.sort("benchmark", "item_id")
    left, right = _take_side(documents), _take_side(items)
    found = [pl.DataFrame(schema=NEAR_SCHEMA)]
    for start in range(0, documents.height, BLOCK_DOCUMENTS):
        rows = slice(start, min(start + BLOCK_DOCUMENTS, documents.height))
        best = pl.DataFrame(schema=NEAR_SCHEMA)
        for hits in _find_hits(left, rows, right, least_cosine):
            best = keep_nearest(pl.concat([best, _name_hits(hits, documents, items)]), n_neighbours)
        found.append(best)
    return keep_nearest(pl.concat(found), n_neighbours)  # a document's windows may lie in two blocks


def keep_nearest(near: pl.DataFrame, n_neighbours: int) -> pl.DataFrame:
    """One row for each document and item, the closest, and the first `n_neighbours` of each document."""
    order = ["document_id", "cosine", "benchmark", "item_id", "start_chars"]
    ranked = near.sort(order, descending=[False, True, False, False, False])
    single = ranked.unique(["document_id", "benchmark", "item_id"], keep="first", maintain_order=True)
    return single.filter(pl.int_range(pl.len()).over("document_id") < n_neighbours)


def find_semantic_pairs(vectors: pl.DataFrame, least_cosine: float, new_ids: pl.Series | None = None) -> pl.DataFrame:
    """All pairs of texts whose cosine is at least `least_cosine`.

    Args:
        vectors: rows of text_id and vector, one a text (see average_windows). new_ids: only pairs with one of these texts; with
            the pairs that were found before without them, that is all pairs.

    Returns:
        PAIR_SCHEMA, left_id < right_id, sorted by both.

    Raises:
        DuplicatesError: there are more than MAX_PAIRS; a table of them would not fit memory.
    """
    vectors = vectors.sort("text_id")
    is_new = pl.repeat(True, vectors.height, eager=True) if new_ids is None else vectors["text_id"].is_in(new_ids.implode())
    ordered = pl.concat([vectors.filter(is_new), vectors.filter(~is_new)])  # then each pair once: its left before its right
    side, ids, n_pairs = _take_side(ordered), ordered["text_id"], 0
    found = [pl.DataFrame(schema=PAIR_SCHEMA)]
    for start in range(0, int(is_new.sum()), BLOCK_DOCUMENTS):
        rows = slice(start, min(start + BLOCK_DOCUMENTS, int(is_new.sum())))
        for left, right, cosines in _find_hits(side, rows, side, least_cosine, is_triangle=True):
            n_pairs += len(cosines)
            check_pairs(n_pairs, least_cosine)
            found.append(pl.DataFrame({"left_id": ids[left], "right_id": ids[right], "cosine": cosines}, schema=PAIR_SCHEMA))
    one, other = pl.col("left_id"), pl.col("right_id")
    pairs = pl.concat(found).select(pl.min_horizontal(one, other), pl.max_horizontal(one, other).alias("right_id"), "cosine")
    return pairs.sort("left_id", "right_id")


def check_pairs(n_pairs: int, least_cosine: float) -> None:
    """Refuse more pairs than a table of them could hold."""
    if n_pairs > MAX_PAIRS:
        raise DuplicatesError(
            f"more than {MAX_PAIRS:,} pairs of texts have a cosine of {least_cosine:g} or more, so nearly all of the corpus says "
            "the same. Nothing was marked. Raise duplicates.semantic_cosine, or have near duplicates dropped first."
        )


def average_windows(vectors: pl.DataFrame) -> pl.DataFrame:
    """One vector a text: the mean of its windows' directions, rounded as they are.

    Args:
        vectors: rows of text_id, window_ix, vector.

    Returns:
        Rows of text_id, norm_sq, vector, sorted by text_id.
    """
    import numpy as np

    from distill_assets.curate.vectors.reading import round_vectors

    ordered = vectors.sort("text_id", "window_ix")
    starts = ordered.select((pl.col("text_id") != pl.col("text_id").shift()).fill_null(True).arg_true()).to_series().to_numpy()
    ids = ordered["text_id"].gather(starts) if ordered.height else ordered["text_id"]
    schema = {"text_id": pl.String, "norm_sq": pl.Int64, "vector": pl.Binary}
    if ordered.is_empty():
        return pl.DataFrame(schema=schema)
    numbers = unpack_vectors(ordered).astype(np.float64)
    directions = numbers / np.maximum(np.sqrt((numbers**2).sum(axis=1, keepdims=True)), 1.0)
    means = round_vectors(np.add.reduceat(directions, starts, axis=0))
    return pl.DataFrame({"text_id": ids, "norm_sq": sum_squares(means), "vector": [row.tobytes() for row in means]}, schema=schema)


def find_cosine(left: bytes, right: bytes) -> float:
    """The exact cosine of two stored vectors."""
    import numpy as np

    pair = [np.frombuffer(vector, np.int8).astype(np.int64) for vector in (left, right)]
    return float(_divide(np.dot(*pair), *(np.dot(vector, vector) for vector in pair)))


def _take_side(frame: pl.DataFrame) -> _Side:
    import numpy as np

    whole = unpack_vectors(frame)
    return _Side(whole.astype(np.float32), sum_squares(whole))


def _find_hits(left: _Side, rows: slice, right: _Side, least: float, is_triangle: bool = False) -> Iterator[tuple[Any, Any, Any]]:
    """Places on the left, places on the right, and cosines of all pairs of `rows` with the right that reach `least`."""
    import numpy as np

    bounds = ((least - SLACK) * np.sqrt(left.norms_sq[rows])).astype(np.float32)[:, None]
    for start in range(rows.start if is_triangle else 0, len(right.norms_sq), BLOCK_ITEMS):
        columns = slice(start, start + BLOCK_ITEMS)
        products = left.numbers[rows] @ right.numbers[columns].T
        inverse = (1 / np.sqrt(np.maximum(right.norms_sq[columns], 1))).astype(np.float32)
        near_left, near_right = np.nonzero(products * inverse >= bounds)
        dots = products[near_left, near_right]
        near_left, near_right = near_left + rows.start, near_right + start
        cosines = _divide(dots, left.norms_sq[near_left], right.norms_sq[near_right])
        kept = cosines >= least
        if is_triangle:
            kept &= near_left < near_right
        yield near_left[kept], near_right[kept], cosines[kept]


def _divide(dots: Any, left_sq: Any, right_sq: Any) -> Any:
    """Inner products over both lengths, in float64; a vector without any length is close to nothing."""
    import numpy as np

    lengths = np.sqrt(np.asarray(left_sq, np.float64) * np.asarray(right_sq, np.float64))
    return np.asarray(dots, np.float64) / np.maximum(lengths, 1.0)


def _name_hits(hits: tuple[Any, Any, Any], documents: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    left, right, cosines = hits
    near = documents.select("document_id", "start_chars", "end_chars")[left]
    columns = {**near.to_dict(), **items.select("benchmark", "item_id")[right].to_dict(), "cosine": cosines}
    return pl.DataFrame({name: columns[name] for name in NEAR_SCHEMA}, schema=NEAR_SCHEMA)
