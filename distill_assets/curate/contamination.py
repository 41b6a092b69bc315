"""The contamination_hits table: samples held against all items, by words and, with an embedding model, by meaning.

Belongs here: which texts of a sample are compared, and the findings of all rules as one table. Does not belong here: the rules
(decontaminate, paraphrases), vectors, asking the arbiter, or dropping (select).

What the rules by words keep out is not asked about again. A text that the model read in part only, because it is too long, is kept
out: nothing near in its beginning clears nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from distill_assets.curate.decontaminate.scan import find_overlaps
from distill_assets.curate.neighbours import find_near_items
from distill_assets.curate.paraphrases import Texts, judge_closeness, settle_neighbours
from distill_assets.curate.samples import text_of
from distill_assets.curate.vectors.store import Vectors, join_vectors, name_texts
from distill_assets.curation import ContaminationSpec, TextField
from distill_assets.tables import CONTAMINATION_HITS

CUT_RULE = "read_in_part"
Embed = Callable[[pl.Series], Vectors]
Judge = Callable[[pl.DataFrame, Texts], pl.DataFrame]


class Hits(NamedTuple):
    """contamination_hits, and the near pairs that closeness was judged on (document_id, cosine; empty without a model)."""

    frame: pl.DataFrame
    near: pl.DataFrame


def find_hits(
    samples: pl.DataFrame, items: pl.DataFrame, spec: ContaminationSpec, embed: Embed | None = None, judge: Judge | None = None
) -> Hits:
    """Hold samples against items.

    Args:
        samples: accepted ones: sample_id, question, sql. items: of decontaminate.items.gather_items. embed: gives the vectors of
        texts; None compares words only. judge: asks the arbiter about pairs and returns its verdicts; None asks nobody.
    """
    frames, near = [], []
    for field in spec.fields:
        documents = samples.select(pl.col("sample_id").alias("document_id"), text_of(field), pl.col("sql").alias("answer"))
        by_words = find_overlaps(items, documents, spec).with_columns(pl.lit(None, pl.String).alias("reason"))
        parts = [by_words.drop("n_hits")]
        if embed is not None:
            settled = by_words.filter(pl.col("action") == "drop").select("document_id").unique()
            left = documents.join(settled, on="document_id", how="anti").select("document_id", "text")
            found = _find_close(left, items, spec, embed, judge)
            parts.append(found.frame)
            near.append(found.near)
        frames.append(pl.concat(parts, how="diagonal").with_columns(pl.lit(field).alias("field")))
    schema = {name: column.dtype for name, column in CONTAMINATION_HITS.fields.items()}
    hits = pl.concat(frames).rename({"document_id": "sample_id"}).select(list(schema)).cast(schema)
    nothing = pl.DataFrame(schema={"document_id": pl.String, "cosine": pl.Float64})
    return Hits(hits.sort(list(CONTAMINATION_HITS.key)), pl.concat([nothing, *near]))


def _find_close(documents: pl.DataFrame, items: pl.DataFrame, spec: ContaminationSpec, embed: Embed, judge: Judge | None) -> Hits:
    """Findings by meaning, columns as those by words."""
    protected = items.select("benchmark", "item_id", pl.col("question").alias("text"))
    vectors = embed(pl.concat([documents["text"], protected["text"]]))
    near = find_near_items(
        join_vectors(documents, vectors.frame), join_vectors(protected, vectors.frame), spec.review_cosine, spec.n_neighbours
    )
    texts = Texts(
        dict(documents.select("document_id", "text").iter_rows()),
        {(benchmark, item_id): text for benchmark, item_id, text in protected.iter_rows()},
    )
    judged = judge_closeness(near, spec, texts)
    found = settle_neighbours(judged, judge(judged, texts) if judge else None, texts)
    is_cut = name_texts(documents["text"]).is_in(list(vectors.cut_ids))
    cut = documents.filter(is_cut).select(
        "document_id", pl.lit("any").alias("benchmark"), pl.lit("any").alias("item_id"), pl.lit(CUT_RULE).alias("rule"),
        pl.lit("drop").alias("action"),
    )  # fmt: skip
    return Hits(pl.concat([found, cut], how="diagonal"), near.select("document_id", "cosine"))


def summarise_hits(hits: pl.DataFrame, fields: tuple[TextField, ...]) -> pl.DataFrame:
    """The strongest hit of each sample: drop before review, then by share, then by item.

    Returns:
        sample_id, contaminated_by ("benchmark:item_id"), contamination_rule, contamination_action, contamination_span.
    """
    place = pl.col("field").replace_strict(list(fields), list(range(len(fields))), return_dtype=pl.Int32)
    ordered = hits.with_columns(place.alias("place"), pl.col("coverage_frac").fill_null(0.0)).sort(
        "sample_id", "action", "coverage_frac", "place", "benchmark", "item_id", "rule",
        descending=[False, False, True, False, False, False, False],
    )  # fmt: skip
    return ordered.unique("sample_id", keep="first", maintain_order=True).select(
        "sample_id",
        pl.concat_str("benchmark", pl.lit(":"), "item_id").alias("contaminated_by"),
        pl.col("rule").alias("contamination_rule"),
        pl.col("action").alias("contamination_action"),
        pl.col("span").alias("contamination_span"),
    )
