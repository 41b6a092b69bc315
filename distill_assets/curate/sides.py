"""Findings side by side, for people: two samples that say the same, a sample and the item that it leaks.

Belongs here: choosing some findings of each kind, always the same ones, and putting both texts next to each other. Does not belong
here: finding (duplicates, contamination) or showing (assets).
"""

from __future__ import annotations

import polars as pl

from distill_assets.curate.deduplicate.pairs import find_pairs
from distill_assets.curate.deduplicate.shingles import build_shingles
from distill_assets.curate.duplicates import list_documents
from distill_assets.curation import DuplicatesSpec

PER_KIND = 4
BAND_ROWS = 4_000
BAND_PAIRS = 8


def pair_duplicates(duplicates: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Some duplicates of each kind and field, beside the sample that stands for them.

    Args:
        samples: sample_id, question, sql.
    """
    texts = samples.select("sample_id", "question", "sql")
    some = (
        duplicates.sort("field", "duplicate_kind", "sample_id")
        .group_by("field", "duplicate_kind", maintain_order=True)
        .head(PER_KIND)
    )
    return (
        some.join(texts, on="sample_id")
        .join(texts, left_on="duplicate_of", right_on="sample_id", suffix="_of_other")
        .sort("field", "duplicate_kind", "sample_id")
        .select(
            "field", "duplicate_kind", pl.col("similarity").round(3), "question", "question_of_other", "sql", "sql_of_other", "sample_id",
            "duplicate_of",
        )
    )  # fmt: skip


def pair_band(samples: pl.DataFrame, duplicates: pl.DataFrame, spec: DuplicatesSpec) -> pl.DataFrame:
    """Pairs of samples that both stay and are alike, but less than it takes to be duplicates; the closest first.

    They are looked for among the BAND_ROWS samples of smallest id, which is a content hash.
    """
    gone = duplicates.filter(pl.col("field") == spec.fields[0])
    left = samples.join(gone, on="sample_id", how="anti").sort("sample_id").head(BAND_ROWS)
    documents = list_documents(left, spec.fields[0], spec)
    shingles = build_shingles(documents["text"], documents["grouped"], spec.shingle_words)
    pairs = find_pairs(shingles, spec.review_jaccard).filter(pl.col("similarity") < spec.jaccard)
    some = pairs.sort("similarity", "left", "right", descending=[True, False, False]).head(BAND_PAIRS)
    return pl.DataFrame(
        {
            "similarity": some["similarity"].round(3),
            "text": documents["text"].gather(some["left"]),
            "text_of_other": documents["text"].gather(some["right"]),
            "sample_id": documents["sample_id"].gather(some["left"]),
            "other_id": documents["sample_id"].gather(some["right"]),
        }
    )


def pair_hits(hits: pl.DataFrame, samples: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Some hits of each benchmark, rule and action, beside the item.

    Args:
        samples: sample_id, question, sql. items: benchmark, item_id, question.
    """
    some = hits.sort("benchmark", "rule", "action", "coverage_frac", "sample_id", descending=[False, False, False, True, False])
    some = some.group_by("benchmark", "rule", "action", maintain_order=True).head(PER_KIND)
    return (
        some.join(samples.select("sample_id", "question"), on="sample_id")
        .join(items.select("benchmark", "item_id", pl.col("question").alias("item")), on=["benchmark", "item_id"], how="left")
        .sort("benchmark", "rule", "action", "sample_id")
        .select(
            "benchmark", "rule", "action", pl.col("coverage_frac").round(3), "question", "item", "span", "reason", "sample_id", "item_id"
        )
    )  # fmt: skip
