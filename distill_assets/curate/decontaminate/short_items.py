"""Items into which no n-gram fits: found whole, and only where more than a few common words tells that it is they.

Belongs here: what protects a short item. Does not belong here: n-gram overlap (index, scan).

A text that holds a short item whole leaks it when one of these is so, and `rule` says which:
short_whole     the text's words are the item's, no more;
short_choice    one of the item's choices, or its answer, stands within 50 words before or after it, or in the beginning of the
                sample's answer;
short_text      the text has at most twice the item's words, and the item ends where a sentence or line ends;
short_sentence  the item is a sentence or line by itself;
short_head      an item of one or two words ("neural networks") is one of the text's first sentences or lines.
Very short items elsewhere on a line of their own (short_sentence) and items of five words or more within a sentence
(short_inside) are for review.

Source of short_choice: AI2 decon, doc/simple.md (an answer near the question); the bounds are this project's, chosen on 819 clean
general texts and GSM8K's training questions, none of which they mark.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from distill_assets.curate.decontaminate.items import list_extras
from distill_assets.curate.decontaminate.streams import Stream, read_streams
from distill_assets.curate.decontaminate.tables import GramTable, build_table, list_grams, scan_stream
from distill_assets.curate.words import normalise_texts

HEAD_WORDS = 3  # an item is looked up by so many of its first words, or by its first when it has fewer
NEAR_WORDS = 50
TEXT_RATIO = 2
VERY_SHORT_WORDS = 2
REVIEW_WORDS = 5
REACHED_WORDS = 20  # where the first sentences or lines of a text end, at most
SENTENCE_END = r"[\n\r\x0B\f\x85\u{2028}\u{2029}:：。？！]+|[.?!;]+[^\w\s]*(?:\s|$)"
# Before and after these a sentence ends too, whatever stands there: tags of chat templates, who speaks, the letters of choices.
LABELS = (
    r"(<[|/]?\w{1,30}[|]?>|\[/?INST\]|\b(?:User|USER|Human|Assistant|ASSISTANT|AI|Question|Answer|Response|Solution|Choices|Options)\s*:"
    r"|\([A-Ea-e]\)\s|\b[A-E][).]\s)"
)
MATCH_SCHEMA = {"document": pl.Int32, "item": pl.Int32, "place": pl.Int32, "n_words": pl.Int32}


class ShortIndex(NamedTuple):
    """Short items' variants: the tables by head, all their words, each one's item; and the items' choices and answers.

    `extra_starts`: for each item, where its runs begin among `extras`.
    """

    heads: tuple[GramTable, ...]
    words: Stream
    variant_items: Any
    extras: Stream
    extra_starts: Any


def build_short_index(items: pl.DataFrame, variants: pl.DataFrame) -> ShortIndex:
    """Compile short items: `variants` (item, text) of them, `items` all protected items by number."""
    import numpy as np

    words = _read_words(variants["text"])
    lengths = np.diff(words.offsets)
    heads = []
    for n, is_sized in ((1, lengths < HEAD_WORDS), (HEAD_WORDS, lengths >= HEAD_WORDS)):
        chosen = np.flatnonzero(is_sized)
        if len(chosen):
            heads.append(_index_heads(_read_words(variants["text"].gather(chosen)), chosen, n))
    extras, starts = _index_extras(items, set(variants["item"]))
    return ShortIndex(tuple(heads), words, variants["item"].to_numpy(), extras, starts)


def _index_heads(words: Stream, numbers: Any, n: int) -> GramTable:
    """The n-grams with which the variants `numbers`, whose words are `words`, begin."""
    grams, texts, places = list_grams(words, n)
    is_head = places == 0
    return build_table(grams[is_head], numbers[texts[is_head]].astype("int32"), places[is_head], n)


def _index_extras(items: pl.DataFrame, short: set[int]) -> tuple[Stream, Any]:
    """Words of the choices and answers of `short` items, and where each item's begin; those without a word say nothing."""
    import numpy as np

    rows = items.select("answer", "choices").iter_rows()
    pairs = [(number, text) for number, row in enumerate(rows) if number in short for text in list_extras(*row)]
    runs = pl.DataFrame(pairs, schema={"item": pl.Int64, "text": pl.String}, orient="row")
    runs = runs.filter(normalise_texts(runs["text"]) != "")
    starts = np.searchsorted(runs["item"].to_numpy(), np.arange(items.height + 1))
    return _read_words(runs["text"]), starts


def find_short(index: ShortIndex, documents: pl.DataFrame, words: Stream) -> pl.DataFrame:
    """Short items that stand whole in `documents` (text, answer), whose words are `words`.

    Returns:
        document, item, rule, action, coverage_frac, place, n_span_words; the strongest rule of each document and item.
    """
    matches = _match_variants(index, words)
    if matches.is_empty():
        return _name_rules(
            matches.with_columns(n_text=pl.lit(0), is_near=pl.lit(False), is_begin=pl.lit(False), is_end=pl.lit(False))
        )
    lengths = pl.Series(words.offsets).diff(null_behavior="drop").gather(matches["document"])
    matches = matches.with_columns(
        lengths.alias("n_text"),
        _find_extras(index, matches, words, documents["answer"]).alias("is_near"),
        *_find_bounds(matches, documents["text"]),
    )
    return _name_rules(matches)


def _match_variants(index: ShortIndex, words: Stream) -> pl.DataFrame:
    import numpy as np

    from distill_assets.curate.decontaminate import cover_kernels

    parts = []
    for table in index.heads:
        found = scan_stream(table, words, is_first_only=False)
        parts.append(cover_kernels.match_whole(found, table.starts, table.posting_texts, index.words[:2], words[:2]))
    rows = np.concatenate(parts)
    n_words = np.diff(index.words.offsets)[rows[:, 1]]
    columns = (rows[:, 0], index.variant_items[rows[:, 1]], rows[:, 2], n_words)
    return pl.DataFrame(dict(zip(MATCH_SCHEMA, columns, strict=True)), schema=MATCH_SCHEMA).unique().sort(list(MATCH_SCHEMA))


def _find_extras(index: ShortIndex, matches: pl.DataFrame, words: Stream, answers: pl.Series) -> pl.Series:
    """Whether a choice or the answer stands near each match, or within the first words of the sample's answer."""
    from distill_assets.curate.decontaminate import cover_kernels

    rows = matches.select("document", "place", "n_words", "item").to_numpy().astype("int32")
    near = cover_kernels.find_near(rows, index.extras[:2], index.extra_starts, words[:2], NEAR_WORDS)
    in_answer = matches.select(pl.int_range(pl.len(), dtype=pl.Int32), place=0, n_words=0, item="item").to_numpy().astype("int32")
    said = _read_words(answers.gather(matches["document"]).fill_null(""))
    return pl.Series(near | cover_kernels.find_near(in_answer, index.extras[:2], index.extra_starts, said[:2], NEAR_WORDS)).cast(
        pl.Boolean
    )


def _find_bounds(matches: pl.DataFrame, texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """is_begin, is_end: whether each match begins where a sentence or line begins, and ends where one ends."""
    numbers = matches["document"].unique().sort()
    parts = texts.gather(numbers).str.replace_all(LABELS, "\n${1}\n").str.replace_all(SENTENCE_END, "\n").str.split("\n")
    parted = pl.DataFrame({"document": numbers, "part": parts}).explode("part", empty_as_null=True)
    parted = parted.with_columns(words=normalise_texts(parted["part"].fill_null(""))).filter(pl.col("words") != "")
    ends = parted.select("document", word=(pl.col("words").str.count_matches(" ") + 1).cum_sum().over("document").cast(pl.Int32))
    begins = pl.concat([ends, pl.DataFrame({"document": numbers}).with_columns(word=pl.lit(0, pl.Int32))])
    spans = matches.select("document", begin="place", end=pl.col("place") + pl.col("n_words"))
    return _is_at(spans, "begin", begins), _is_at(spans, "end", ends)


def _is_at(spans: pl.DataFrame, side: str, bounds: pl.DataFrame) -> pl.Series:
    marked = bounds.unique().with_columns(yes=pl.lit(True))
    joined = spans.join(marked, left_on=["document", side], right_on=["document", "word"], how="left", maintain_order="left")
    return joined["yes"].fill_null(False).alias(f"is_{side}")


def _name_rules(matches: pl.DataFrame) -> pl.DataFrame:
    n, n_text, is_long = pl.col("n_words"), pl.col("n_text"), pl.col("n_words") > VERY_SHORT_WORDS
    is_sentence = pl.col("is_begin") & pl.col("is_end")
    rank = (
        pl.when(n_text == n).then(pl.lit("0 drop short_whole"))
        .when("is_near").then(pl.lit("1 drop short_choice"))
        .when(is_long & pl.col("is_end") & (n_text <= TEXT_RATIO * n)).then(pl.lit("2 drop short_text"))
        .when(is_long & is_sentence).then(pl.lit("3 drop short_sentence"))
        .when(is_sentence & (pl.col("place") + n <= REACHED_WORDS)).then(pl.lit("4 drop short_head"))
        .when(is_sentence).then(pl.lit("5 review short_sentence"))
        .when(n >= REVIEW_WORDS).then(pl.lit("6 review short_inside"))
    )  # fmt: skip
    ranked = matches.with_columns(rank.alias("rank")).drop_nulls("rank").sort("document", "item", "rank", "place")
    best = ranked.unique(["document", "item"], keep="first", maintain_order=True)
    parts = pl.col("rank").str.split(" ").list
    return best.select(
        "document", "item", rule=parts.get(2), action=parts.get(1), coverage_frac=pl.lit(1.0), place="place", n_span_words="n_words"
    )


def _read_words(texts: pl.Series) -> Stream:
    return read_streams(texts, {"words"})["words"]
