"""The protected items, compiled once: n-grams in hash tables with the items that hold them.

Belongs here: from items and a recipe's spec to arrays that a scan reads. Does not belong here: reading texts against it (scan),
which short items count (short_items), the parameters (rules).

An item has several variants: its question as it stands, and with punctuation deleted as careless copies delete it ("tank's"
becomes "tanks", where the words would be "tank s"). A variant counts for its item.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from distill_assets.curate.decontaminate.items import check_items
from distill_assets.curate.decontaminate.rules import (
    MAX_SHARING,
    RULES_VERSION,
    STRETCH_MORE,
    STRETCH_TIMES,
    Overlap,
    list_overlaps,
    percentile_ngram,
)
from distill_assets.curate.decontaminate.short_items import ShortIndex, build_short_index
from distill_assets.curate.decontaminate.streams import Stream, StreamKind, read_streams
from distill_assets.curate.decontaminate.tables import GramTable, build_table, is_shared_by, list_grams
from distill_assets.curate.words import NORMALISER, normalise_texts
from distill_assets.curation import ContaminationSpec
from distill_assets.identity import hash_rows, make_id

APOSTROPHES = r"['’ʼ`´]"
MARKS = r"""[.,:;!?'"’“”]"""


class GramIndex(NamedTuple):
    """One comparison's n-grams: `table` of them, and for each variant its item, and its words and n-grams that count, and the
    words of a text within which they must stand (arrays)."""

    overlap: Overlap
    n: int
    table: GramTable
    variant_items: Any
    variant_words: Any
    variant_grams: Any
    widths: Any


class ItemIndex(NamedTuple):
    """All that a scan needs. `items` is sorted, and an item's number is its row; `key` names items, rule and normaliser."""

    items: pl.DataFrame
    grams: tuple[GramIndex, ...]
    short: ShortIndex | None
    kinds: frozenset[StreamKind]
    key: str


def build_item_index(items: pl.DataFrame, spec: ContaminationSpec) -> ItemIndex:
    """Compile `items` (of gather_items) for the rule of `spec`.

    Raises:
        ContaminationError: an item cannot be protected.
    """
    items = check_items(items)
    variants = list_variants(items["question"])
    overlaps = list_overlaps(spec)
    grams = [index for overlap in overlaps for index in index_overlap(items, variants, overlap)]
    uncovered = find_uncovered(items.height, [index for index in grams if index.overlap.rule == spec.rule])
    short = build_short_index(items, variants.filter(pl.col("item").is_in(uncovered.implode()))) if uncovered.len() else None
    kinds = frozenset[StreamKind](overlap.stream for overlap in overlaps) | {"words"}
    key = make_id(
        RULES_VERSION, NORMALISER, [list(map(str, overlap)) for overlap in overlaps], hash_rows(items.iter_rows(named=True))
    )
    return ItemIndex(items, tuple(grams), short, kinds, key)


def find_uncovered(n_items: int, indexes: list[GramIndex]) -> pl.Series:
    """Numbers of the items that no comparison of the rule sees whole: none of their n-grams counts, or a variant has none."""
    counts = [pl.DataFrame({"item": index.variant_items, "n": index.variant_grams}).cast(pl.Int64) for index in indexes]
    least = pl.concat([frame.group_by("item").agg(pl.col("n").min()) for frame in counts])
    covered = least.filter(pl.col("n") > 0)["item"].unique()
    return pl.int_range(n_items, eager=True).filter(~pl.int_range(n_items, eager=True).is_in(covered.implode())).cast(pl.Int32)


def list_variants(questions: pl.Series) -> pl.DataFrame:
    """The ways in which each question is read, no two alike.

    Returns:
        item (Int32, the question's row), text, is_own (the question as it stands), n_words (of the question as it stands).
    """
    own = normalise_texts(questions.clone())
    numbered = pl.DataFrame({"item": pl.int_range(questions.len(), dtype=pl.Int32, eager=True), "text": questions, "words": own})
    numbered = numbered.with_columns(is_own=pl.lit(True), n_words=own.str.count_matches(" ") + 1)
    frames = [numbered]
    for marks in (APOSTROPHES, MARKS):
        changed = numbered.with_columns(text=questions.str.replace_all(marks, "")).filter(pl.col("text") != questions)
        frames.append(changed.with_columns(words=normalise_texts(changed["text"]), is_own=pl.lit(False)))
    distinct = pl.concat(frames).filter(pl.col("words") != "").unique(["item", "words"], keep="first", maintain_order=True)
    return distinct.sort("item", maintain_order=True).drop("words")


def index_overlap(items: pl.DataFrame, variants: pl.DataFrame, overlap: Overlap) -> list[GramIndex]:
    """One index, or as many as there are different n when the rule takes n from each benchmark."""
    is_sized = pl.col("n_words").is_between(overlap.least_words, overlap.most_words)
    variants = variants.filter(is_sized if overlap.is_own else pl.col("is_own"))
    if overlap.n is not None:
        return [_index_variants(variants, overlap, overlap.n)]
    sized = variants.with_columns(items["benchmark"].gather(variants["item"]).alias("benchmark"))
    chosen = {name: percentile_ngram(group["n_words"].to_list()) for (name,), group in sized.group_by("benchmark")}
    sized = sized.with_columns(n=pl.col("benchmark").replace_strict(chosen, return_dtype=pl.Int64))
    return [_index_variants(sized.filter(pl.col("n") == n), overlap, n) for n in sorted(set(chosen.values()))]


def _index_variants(variants: pl.DataFrame, overlap: Overlap, n: int) -> GramIndex:
    import numpy as np

    from distill_assets.curate.decontaminate import gram_kernels

    owners = variants["item"].to_numpy()
    stream = read_streams(variants["text"], {overlap.stream})[overlap.stream]
    grams, texts, places = list_grams(stream, n)
    if overlap.stream == "numbers":
        grams, texts, places = (column[_has_number(stream)[texts]] for column in (grams, texts, places))
    if overlap.is_own:
        kept = ~is_shared_by(grams, owners[texts], MAX_SHARING)
        grams, texts, places = grams[kept], texts[kept], places[kept]
    n_words, n_grams = gram_kernels.count_covered(texts, places, n, len(owners)), np.bincount(texts, minlength=len(owners))
    widths = np.diff(stream.offsets) * STRETCH_TIMES + STRETCH_MORE if overlap.is_own else np.full(len(owners), 1 << 40)
    return GramIndex(overlap, n, build_table(grams, texts, places, n), owners, n_words, n_grams, widths)


def _has_number(stream: Stream) -> Any:
    """Whether each text of a numbers stream holds a number: without one, its words are all there is to compare."""
    import numpy as np

    from distill_assets.curate.decontaminate.stream_kernels import NUMBER

    counts = np.concatenate(([0], np.cumsum(stream.hashes == NUMBER)))
    return counts[stream.offsets[1:]] > counts[stream.offsets[:-1]]
