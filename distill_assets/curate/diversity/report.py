"""The diversity of a corpus in figures: as a whole, and for each teacher, strategy and database.

Belongs here: which measures are taken of which rows. Does not belong here: the measures (measures) and what counts as collapse
(collapse).

Every slice is measured on a fixed sample of its own rows, and the seeds beside it: what was made from them can be less varied
than they are, and that is what to look at. Since most measures change with the number of texts, the corpus is measured once more
on as many texts as there are seeds, and on a few fixed numbers, by which builds of different size can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from distill_assets.curate.diversity.measures import (
    MAX_EXAMPLE_CHARS,
    Measure,
    measure_labels,
    measure_pairs,
    measure_texts,
    measure_vectors,
)
from distill_assets.curate.diversity.samples import PAIR_ROWS, SAMPLE_ROWS, add_rank, take_sample

SLICES = ("teacher", "strategy", "database")
LABELS = ("template_id", "topic", "difficulty")
# Fewer rows than this say nothing of a slice.
MIN_ROWS = 20
WHOLE, SEEDS, AT_SEEDS, AT = "whole", "seeds", "whole_at_seeds", "whole_at"
SIZES = (128, 512, 2048)
SCHEMA = {
    "slice_by": pl.String, "slice_value": pl.String, "metric": pl.String, "value": pl.Float64, "n": pl.Int64,
    "example": pl.String,
}  # fmt: skip


def measure_corpus(samples: pl.DataFrame, reference: Iterable[str], vectors: pl.DataFrame | None = None) -> pl.DataFrame:
    """Measure a corpus.

    Args:
        samples: sample_id, question, sql, teacher, strategy, database, topic, difficulty, template_id and, to be shown,
            template; rows without a question are left out. reference: texts of the seeds. vectors: sample_id, vector (a list or array of numbers), of any rows.

    Returns:
        slice_by, slice_value, metric, value, n, example: sorted by the first three. slice_by is whole, teacher, strategy or
        database; seeds for the reference; whole_at_seeds for the whole on as many rows as there are seeds; whole_at for the whole
        on slice_value rows. n is how many rows were measured, example the text that the figure speaks of.
    """
    texts = samples.filter(pl.col("question").is_not_null()).rename({"question": "text"}).sort("sample_id")
    if vectors is not None:
        texts = texts.join(vectors.select("sample_id", "vector"), on="sample_id", how="left", maintain_order="left")
    ranked = add_rank(texts)
    seeds = add_rank(pl.DataFrame({"text": sorted(reference)}, schema={"text": pl.String}))
    rows = [_name_rows(WHOLE, "", ranked)]
    if seeds.height >= MIN_ROWS:
        rows += [_name_rows(SEEDS, "", seeds), _name_rows(AT_SEEDS, "", take_sample(ranked, seeds.height))]
    rows += [_name_rows(AT, f"{size:04d}", take_sample(ranked, size)) for size in SIZES if ranked.height >= size]
    for column in SLICES:
        values = ranked[column].drop_nulls().unique().sort()
        rows += [_name_rows(column, str(value), ranked.filter(pl.col(column) == value)) for value in values]
    found = [row for group in rows for row in group]
    return pl.DataFrame(found, schema=SCHEMA, orient="row").sort("slice_by", "slice_value", "metric")


def _name_rows(slice_by: str, value: str, ranked: pl.DataFrame) -> list[tuple[str, str, str, float, int, str | None]]:
    return [(slice_by, value, found.metric, found.value, n, found.example) for found, n in _measure_slice(ranked)]


def _measure_slice(ranked: pl.DataFrame) -> Iterator[tuple[Measure, int]]:
    """All measures of one slice, each with the number of rows that it was taken on."""
    if ranked.height < MIN_ROWS:
        return
    sample, pairs = take_sample(ranked, SAMPLE_ROWS), take_sample(ranked, PAIR_ROWS)
    yield from ((found, sample.height) for found in measure_texts(sample["text"]))
    yield from ((found, pairs.height) for found in measure_pairs(pairs["text"]))
    for column in LABELS:
        if column in sample.columns:
            name = column.removesuffix("_id")
            yield from ((_show_template(found, sample), sample[column].count()) for found in measure_labels(name, sample[column]))
    if "vector" in sample.columns:
        known = sample["vector"].drop_nulls()
        if known.len() >= MIN_ROWS:
            yield from ((found, known.len()) for found in measure_vectors(known.to_list()))


def _show_template(found: Measure, sample: pl.DataFrame) -> Measure:
    """A template is shown as its text, where there is one, instead of its id."""
    if found.metric != "template_frac" or "template" not in sample.columns:
        return found
    text = sample.filter(pl.col("template_id") == found.example)["template"][0]
    return found._replace(example=text[:MAX_EXAMPLE_CHARS])
