"""Holds documents against an item index: every leak with its item, rule, share and words.

Belongs here: the scan in chunks, the bound on hits, the evidence. Does not belong here: tables of n-grams (index, tables), what
happens to a sample that leaks (select).

A hit depends on one document and the items alone, so that the order of documents and the size of chunks decide nothing.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import polars as pl

from distill_assets.curate.decontaminate.index import GramIndex, ItemIndex, build_item_index
from distill_assets.curate.decontaminate.short_items import find_short
from distill_assets.curate.decontaminate.streams import Stream, StreamKind, fold_words, read_streams
from distill_assets.curate.decontaminate.tables import scan_stream
from distill_assets.curate.words import fold_texts, normalise_texts, view_bytes
from distill_assets.curation import ContaminationSpec

# A document can hit every item of a benchmark (it holds the file); these many are named, and `n_hits` says how many there are.
MAX_HITS = 20
SPAN_CHARS = 200
# Texts that are read at a time: their words and hashes stand in memory, about 8 bytes for each byte of text.
CHUNK_BYTES = 32 << 20

HIT_SCHEMA = {
    "document_id": pl.String, "benchmark": pl.String, "item_id": pl.String, "rule": pl.String, "action": pl.String,
    "coverage_frac": pl.Float64, "span": pl.String, "n_hits": pl.Int64,
}  # fmt: skip
FOUND_SCHEMA = {
    "document": pl.Int32, "item": pl.Int32, "rule": pl.String, "action": pl.String, "coverage_frac": pl.Float64,
    "place": pl.Int32, "n_span_words": pl.Int32,
}  # fmt: skip


def find_overlaps(items: pl.DataFrame, documents: pl.DataFrame, spec: ContaminationSpec) -> pl.DataFrame:
    """Find the documents that leak an item.

    Args:
        items: benchmark, item_id, question, answer, choices (items.gather_items).
        documents: document_id and text, and answer where a sample has one beside its text.
        spec: the recipe's rule.

    Returns:
        document_id, benchmark, item_id, rule, action (drop or review), coverage_frac (share of the item that stands in the
        document), span (the document's words, folded, at most 200 characters), n_hits (of this document in all, of which at most
        20 are named: drop before review, then by share); sorted by document_id, benchmark, item_id, rule.

    Raises:
        ContaminationError: an item cannot be protected.
    """
    return scan_documents(build_item_index(items, spec), documents)


def scan_documents(index: ItemIndex, documents: pl.DataFrame) -> pl.DataFrame:
    """`find_overlaps` with an index that is built already; call it as often as there are chunks of documents."""
    answers = pl.col("answer") if "answer" in documents.columns else pl.lit(None, pl.String).alias("answer")
    documents = documents.select("document_id", pl.col("text").fill_null(""), answers)
    sizes = documents["text"].str.len_bytes().cast(pl.Int64).cum_sum() // CHUNK_BYTES
    begins = [0, *(sizes.diff().fill_null(0) > 0).arg_true().to_list(), documents.height]
    chunks = [documents.slice(begin, end - begin) for begin, end in pairwise(begins) if end > begin]
    hits = [_scan_chunk(index, chunk) for chunk in chunks]
    return pl.concat([pl.DataFrame(schema=HIT_SCHEMA), *hits]).sort("document_id", "benchmark", "item_id", "rule")


def _scan_chunk(index: ItemIndex, documents: pl.DataFrame) -> pl.DataFrame:
    streams = read_streams(documents["text"], set(index.kinds))
    parts = [_find_grams(grams, streams[grams.overlap.stream]) for grams in index.grams]
    if index.short is not None:
        parts.append(find_short(index.short, documents, streams["words"]).cast(FOUND_SCHEMA))
    found = pl.concat(parts)
    if found.is_empty():
        return pl.DataFrame(schema=HIT_SCHEMA)
    best = _keep_best(found, list(dict.fromkeys(grams.overlap.rule for grams in index.grams)))
    kinds = {grams.overlap.rule: grams.overlap.stream for grams in index.grams}
    spans = _cut_spans(best, documents["text"], kinds)
    return best.select(
        documents["document_id"].gather(best["document"]).alias("document_id"),
        *(index.items[name].gather(best["item"]) for name in ("benchmark", "item_id")),
        "rule", "action", "coverage_frac", spans.alias("span"), "n_hits",
    )  # fmt: skip


def _find_grams(index: GramIndex, stream: Stream) -> pl.DataFrame:
    """Overlaps of one comparison as rows of FOUND_SCHEMA, places in the document's own words."""
    from distill_assets.curate.decontaminate import cover_kernels

    found = scan_stream(index.table, stream)
    table = index.table
    covers = cover_kernels.cover_variants(found, table.starts, table.posting_texts, table.posting_places, index.widths, index.n)
    share = _measure_share(index, *covers.T[1:4])
    is_leak = share > (0.0 if index.overlap.measure == "any" else index.overlap.above_frac)
    is_kept = is_leak | (covers[:, 5] >= index.overlap.review_words) if index.overlap.review_words else is_leak
    covers, share, is_leak = covers[is_kept], share[is_kept], is_leak[is_kept]
    documents, variants, place, n_span = covers[:, 0], covers[:, 1], *_place_words(stream, covers[:, 0], covers[:, 4], covers[:, 5])
    columns = (documents, index.variant_items[variants], share, place, n_span, is_leak)
    frame = pl.DataFrame(dict(zip(("document", "item", "coverage_frac", "place", "n_span_words", "is_leak"), columns, strict=True)))
    action = pl.when("is_leak").then(pl.lit("drop")).otherwise(pl.lit("review")).alias("action")
    return frame.with_columns(pl.lit(index.overlap.rule).alias("rule"), action).select(*FOUND_SCHEMA).cast(FOUND_SCHEMA)


def _measure_share(index: GramIndex, variants: Any, n_covered: Any, n_grams: Any) -> Any:
    """The share of each variant that the rule looks at, 0 to 1."""
    if index.overlap.measure == "ngrams":
        return n_grams / index.variant_grams[variants]
    return n_covered / index.variant_words[variants]


def _place_words(stream: Stream, documents: Any, place: Any, n_span: Any) -> tuple[Any, Any]:
    """From places in a stream to places among the document's own words."""
    if stream.places is None:
        return place, n_span
    at = stream.offsets[documents] + place
    begins = stream.places[at]
    return begins, stream.places[at + n_span - 1] - begins + 1


def _keep_best(found: pl.DataFrame, rules: list[str]) -> pl.DataFrame:
    """The strongest finding of each document and item, by action and then in the order of `rules`, short items' last; and of these
    the best MAX_HITS of each document. Items' numbers sort as their ids."""
    ranked = found.with_columns(
        rank=pl.col("rule").replace_strict(rules, list(range(len(rules))), default=len(rules), return_dtype=pl.Int32)
    )
    order = ["document", "item", "action", "rank", "coverage_frac", "place", "n_span_words", "rule"]
    strongest = ranked.sort(order, descending=[name == "coverage_frac" for name in order])
    distinct = strongest.unique(["document", "item"], keep="first", maintain_order=True)
    order = ["document", "action", "coverage_frac", "item"]
    ordered = distinct.sort(order, descending=[name == "coverage_frac" for name in order])
    counted = ordered.with_columns(n_hits=pl.len().over("document").cast(pl.Int64))
    return counted.filter(pl.int_range(pl.len()).over("document") < MAX_HITS)


def _cut_spans(hits: pl.DataFrame, texts: pl.Series, kinds: dict[str, StreamKind]) -> pl.Series:
    """The words of each hit's longest shared run, as the rule's stream parts them."""
    is_spaced = pl.Series([kinds.get(rule) == "spaced" for rule in hits["rule"]], dtype=pl.Boolean)
    spans = pl.Series(pl.repeat("", hits.height, dtype=pl.String, eager=True))
    for cut, chosen in ((_cut_spaced, is_spaced.arg_true()), (_cut_words, (~is_spaced).arg_true())):
        if chosen.len():
            spans = spans.scatter(chosen, cut(hits[chosen], texts))
    return spans


def _cut_spaced(hits: pl.DataFrame, texts: pl.Series) -> pl.Series:
    spans = []
    for document, place, n_words in hits.select("document", "place", "n_span_words").iter_rows():
        words = fold_words(texts[document : document + 1], "spaced")[0].split(" ")
        spans.append(" ".join(words[place : place + min(n_words, SPAN_CHARS)])[:SPAN_CHARS])
    return pl.Series(spans, dtype=pl.String)


def _cut_words(hits: pl.DataFrame, texts: pl.Series) -> pl.Series:
    """Only the spans themselves are folded as words; where they stand is found in the bytes."""
    import numpy as np

    from distill_assets.curate.decontaminate import stream_kernels

    distinct = hits["document"].unique().sort()
    data, starts = view_bytes(fold_texts(texts.gather(distinct)))
    places = hits.select("place", pl.min_horizontal("n_span_words", pl.lit(SPAN_CHARS))).to_numpy()
    rows = np.column_stack([distinct.search_sorted(hits["document"]).to_numpy(), places]).astype(np.int64)
    found = stream_kernels.place_spans(data, starts, rows)
    cut = [data[begin:end].tobytes().decode("utf-8") for begin, end in found.tolist()]
    return normalise_texts(pl.Series(cut, dtype=pl.String)).str.head(SPAN_CHARS)
