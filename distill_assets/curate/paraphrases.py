"""What follows from closeness: which near items are leaks, which need a judgement, and the rows that say so.

Belongs here: the rule that two texts say the same, and the findings. Does not belong here: finding near items (neighbours),
asking the arbiter (arbiter), or dropping (select).

From `cosine` on a sample leaks. In the band below it, a sample that keeps the item's numbers leaks too: two problems of a
kind are often this close, but they have other numbers, and a rephrasing keeps them. The rest of the band is for the arbiter
or for people. Measured on GSM8K (benchmarks/curate/rephrasing.py): with the numbers, 0.98 instead of 0.92 of the rephrased
questions are found, at 0.3% instead of 0.2% of the clean ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from distill_assets.curate.numbers import list_numbers, share_numbers
from distill_assets.curate.words import fold_texts
from distill_assets.curation import ContaminationSpec

# The same numbers: at least so many in common, and this share of all that either names.
LEAST_NUMBERS = 2
NUMBERS_ALIKE = 0.75
SPAN_CHARS = 200

RULES = ("embedding", "embedding_numbers", "arbiter", "arbiter_failed")
KEYS = ["document_id", "benchmark", "item_id"]
FINDING_SCHEMA = {
    "document_id": pl.String, "benchmark": pl.String, "item_id": pl.String, "rule": pl.String, "action": pl.String,
    "coverage_frac": pl.Float64, "span": pl.String, "reason": pl.String,
}  # fmt: skip


class Texts(NamedTuple):
    """What the ids stand for: document_id -> text; (benchmark, item_id) -> text."""

    documents: Mapping[str, str]
    items: Mapping[tuple[str, str], str]


def judge_closeness(near: pl.DataFrame, spec: ContaminationSpec, texts: Texts) -> pl.DataFrame:
    """Say of each near pair by which rule it is a leak; null where a judgement is needed.

    Args:
        near: as neighbours.find_near_items gives it with spec.review_cosine.

    Returns:
        The pairs from spec.review_cosine on, with `rule`: embedding, embedding_numbers or null. A document that one pair
        settles keeps only the pairs that settle it.
    """
    near = near.filter(pl.col("cosine") >= spec.review_cosine).sort(KEYS)
    rules = []
    for document_id, benchmark, item_id, cosine, start, end in near.select(*KEYS, "cosine", "start_chars", "end_chars").iter_rows():
        if cosine >= spec.cosine:
            rules.append("embedding")
            continue
        window = cut_window(texts.documents[document_id], start, end)
        rules.append("embedding_numbers" if has_same_numbers(window, texts.items[benchmark, item_id]) else None)
    judged = near.with_columns(pl.Series("rule", rules, dtype=pl.String))
    return judged.filter(pl.col("rule").is_not_null() | pl.col("rule").is_null().all().over("document_id"))


def has_same_numbers(left: str, right: str) -> bool:
    """Whether two texts name the same numbers, but for a few."""
    numbers = list_numbers(left), list_numbers(right)
    return len(numbers[0] & numbers[1]) >= LEAST_NUMBERS and share_numbers(*numbers) >= NUMBERS_ALIKE


def settle_neighbours(judged: pl.DataFrame, verdicts: pl.DataFrame | None, texts: Texts) -> pl.DataFrame:
    """What is found about documents with near items.

    Pairs with a rule: drop. The others: review, by rule embedding, without an arbiter (`verdicts` None); with one, drop where
    it says leak (arbiter) or nothing that counts (arbiter_failed, also a pair that it was not asked about), and no row
    where it says clean.

    Args:
        judged: as judge_closeness gives it. verdicts: as arbiter.ask_arbiter gives them.

    Returns:
        FINDING_SCHEMA, sorted by document_id, benchmark, item_id. coverage_frac is the cosine; `span` is null when the whole
        text is close; `reason` is the arbiter's.
    """
    close = judged.filter(pl.col("rule").is_not_null()).with_columns(pl.lit("drop").alias("action"))
    band = judged.filter(pl.col("rule").is_null())
    settled = _review_band(band) if verdicts is None else _judge_band(band, verdicts)
    findings = pl.concat([close.with_columns(pl.lit(None, dtype=pl.String).alias("reason")), settled], how="diagonal")
    places = findings.select("document_id", "start_chars", "end_chars").iter_rows()
    spans = [_cut_span(texts.documents[document_id], start, end) for document_id, start, end in places]
    named = findings.rename({"cosine": "coverage_frac"}).with_columns(pl.Series("span", spans, dtype=pl.String))
    return named.select(list(FINDING_SCHEMA)).sort(KEYS)


def _review_band(band: pl.DataFrame) -> pl.DataFrame:
    reason = pl.lit(None, dtype=pl.String).alias("reason")
    return band.with_columns(pl.lit("embedding").alias("rule"), pl.lit("review").alias("action"), reason)


def _judge_band(band: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The band's pairs that the arbiter did not clear."""
    judged = band.join(verdicts.select(*KEYS, "verdict", "reason"), on=KEYS, how="left", maintain_order="left")
    rule = pl.when(pl.col("verdict") == "leak").then(pl.lit("arbiter")).otherwise(pl.lit("arbiter_failed"))
    kept_out = judged.filter(pl.col("verdict").fill_null("unscored") != "clean")
    return kept_out.with_columns(rule.alias("rule"), pl.lit("drop").alias("action")).drop("verdict")


def cut_window(text: str, start_chars: int, end_chars: int) -> str:
    """The part of a text that a window holds; the text as it is written when that is all of it.

    Args:
        start_chars, end_chars: of the window, in the folded text, which is what the model read.
    """
    folded = str(fold_texts(pl.Series([text], dtype=pl.String))[0])
    if start_chars <= len(folded) - len(folded.lstrip()) and end_chars >= len(folded.rstrip()):
        return text
    return folded[start_chars:end_chars]


def _cut_span(text: str, start_chars: int, end_chars: int) -> str | None:
    window = cut_window(text, start_chars, end_chars)
    return None if window == text else window[:SPAN_CHARS]
