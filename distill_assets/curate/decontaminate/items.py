"""The items that must not leak: holdout and benchmarks as one frame.

Belongs here: what is protected, and the refusal of an item that cannot be. Does not belong here: reading files or data sets
(seed), how an item is found in a text (index, short_items).
"""

from __future__ import annotations

import json

import polars as pl

from distill_assets.curate.words import normalise_texts
from distill_assets.errors import ContaminationError, name_culprits

HOLDOUT_NAME = "holdout"
ITEM_COLUMNS = ("benchmark", "item_id", "question", "answer", "choices")
UNTOUCHED = "Nothing was selected."


def gather_items(holdout: pl.DataFrame, benchmarks: pl.DataFrame | None = None) -> pl.DataFrame:
    """Put holdout and benchmark items into one frame, sorted by benchmark and item_id.

    Args:
        holdout: the holdout table.
        benchmarks: the benchmark_items table; None when the recipe names none.

    Returns:
        benchmark, item_id, question, answer, choices (all String; answer and choices can be null).

    Raises:
        ContaminationError: there is no item, or one cannot be protected.
    """
    real = holdout.select(
        pl.lit(HOLDOUT_NAME).alias("benchmark"), "item_id", "question",
        pl.col("gold_sql").alias("answer"), pl.lit(None, pl.String).alias("choices"),
    )  # fmt: skip
    parts = [real] if benchmarks is None else [real, benchmarks.select(ITEM_COLUMNS)]
    return check_items(pl.concat(parts))


def list_screened(holdout_version: str, items: pl.DataFrame, benchmarks: pl.DataFrame | None = None) -> list[dict[str, object]]:
    """What is protected, for the record: name, version, digest and n_items of each benchmark; the holdout's version is its table's.

    Args:
        items: as `gather_items` returns them. benchmarks: the benchmark_items table.
    """
    counts = dict(items["benchmark"].value_counts().iter_rows())
    versions = {} if benchmarks is None else {row[0]: row[1:] for row in benchmarks.select("benchmark", "version", "digest").unique().iter_rows()}
    versions[HOLDOUT_NAME] = (holdout_version, holdout_version)
    return [
        {"name": name, "version": versions[name][0], "digest": versions[name][1], "n_items": counts[name]} for name in sorted(counts)
    ]


def check_items(items: pl.DataFrame) -> pl.DataFrame:
    """Refuse items that cannot be protected; return the others sorted.

    Raises:
        ContaminationError: there is none, one has no word, an id occurs twice, or choices are no list.
    """
    if items.is_empty():
        raise ContaminationError(f"the holdout and benchmarks hold no item, so nothing can be protected. {UNTOUCHED} Add items.")
    items = items.select(ITEM_COLUMNS).sort("benchmark", "item_id")
    words = normalise_texts(items["question"].fill_null(""))
    if (bare := items.filter(words == "")).height:
        shown = [f"{name} item {item} ({question!r:.80})" for name, item, question in bare.select(ITEM_COLUMNS[:3]).iter_rows()]
        raise ContaminationError(
            f"{bare.height} of {items.height} items have no word, so they cannot be protected: {name_culprits(shown)}. "
            f"{UNTOUCHED} Fix them; decontamination does not skip rows."
        )
    if (twice := items.filter(items.select("benchmark", "item_id").is_duplicated())).height:
        name, item = twice.row(0)[:2]
        raise ContaminationError(f"{name} item {item} stands there twice. {UNTOUCHED} Make ids unique within a benchmark.")
    _refuse_bad_choices(items)
    return items


def list_extras(answer: str | None, choices: str | None) -> list[str]:
    """The answer and the choices of an item: texts that, near a short question, tell that it is this item."""
    return [text for text in [*(json.loads(choices) if choices else []), answer] if text]


def _refuse_bad_choices(items: pl.DataFrame) -> None:
    for name, item, choices in items.filter(pl.col("choices").is_not_null()).select("benchmark", "item_id", "choices").iter_rows():
        try:
            values = json.loads(choices)
        except ValueError:
            values = None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ContaminationError(f"{name} item {item}: choices {choices!r:.80} are no JSON list of texts. {UNTOUCHED}")
