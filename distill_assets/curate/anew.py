"""The curate stage at once, without an index or a cache: what a run builds with them must come out the same.

Belongs here: the stage's functions in their order. Does not belong here: those functions, screening (contamination; what it found is
given), or what the result is held against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from distill_assets import linking
from distill_assets.config import Recipe
from distill_assets.curate.dataset import render_dataset
from distill_assets.curate.duplicates import mark_duplicates
from distill_assets.curate.marks import Findings, build_marks
from distill_assets.curate.samples import take_accepted
from distill_assets.curate.select import select_samples
from distill_assets.curate.tokens import count_tokens, find_tokenizer
from distill_assets.curate.vectors.store import Vectors


class Curated(NamedTuple):
    """The tables duplicates, curation_marks and training_dataset."""

    duplicates: pl.DataFrame
    marks: pl.DataFrame
    dataset: pl.DataFrame


def curate_anew(
    recipe: Recipe,
    samples: pl.DataFrame,
    hits: pl.DataFrame,
    indexes: dict[str, linking.LinkIndex],
    embed: Callable[[pl.Series], Vectors] | None,
) -> Curated:
    """Mark and select.

    Args:
        samples: what was judged, and what people wrote. hits: the table contamination_hits of them. indexes: of each database's schema.
        embed: gives the vectors of texts; needed where duplicates are told by meaning.

    Raises:
        NothingSurvivedError: no row would be left.
    """
    spec = recipe.curate
    accepted = take_accepted(samples)
    is_semantic = spec.duplicates.semantic_cosine is not None
    duplicates = mark_duplicates(accepted, spec.duplicates, None, embed if is_semantic else None).frame
    tokens = count_tokens(accepted, find_tokenizer(recipe)) if spec.max_tokens is not None else None
    marks = build_marks(accepted, Findings(duplicates, hits, tokens), spec, None).frame
    return Curated(duplicates, marks, render_dataset(select_samples(samples, marks, spec).kept, indexes))
