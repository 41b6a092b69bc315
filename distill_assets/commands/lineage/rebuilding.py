"""A dataset built again from recorded generations: every step that asks nobody, each table held against what was recorded.

Belongs here: the recorded tables of one dataset, the stages' own functions put together over them, and the first difference of two tables.
Does not belong here: those functions, training again, or what a difference means (proving).

What a model said is taken as it was recorded: generations, verdicts of critics, scores of a filter, an arbiter's word, vectors. All that
follows from it is computed anew, without an index or a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import polars as pl

from distill_assets.commands.lineage.recorded import Recorded, open_vectors
from distill_assets.commands.lineage.showing import plain
from distill_assets.config import Recipe, RecipeFolder
from distill_assets.curate.anew import curate_anew
from distill_assets.curate.contamination import find_hits
from distill_assets.curate.decontaminate.items import gather_items
from distill_assets.curate.samples import gather_samples, take_accepted
from distill_assets.errors import LineageError
from distill_assets.judge.settle import settle_samples
from distill_assets.lineage.audits.query import find_versions_at
from distill_assets.lineage.chain import Event
from distill_assets.reviews.measuring import name_decided
from distill_assets.storage import Workspace
from distill_assets.tables import (
    BENCHMARK_ITEMS,
    CONTAMINATION_HITS,
    CURATION_MARKS,
    DATABASES,
    DUPLICATES,
    HOLDOUT,
    JUDGED_SAMPLES,
    QUALITY_SCORES,
    RAW_GENERATIONS,
    REAL_SAMPLES,
    REVIEW_LABELS,
    TRAINING_DATASET,
    VERDICTS,
    TableSpec,
    hash_frame,
)

RECORDED, REBUILT = "as recorded", "rebuilt"


class Step(NamedTuple):
    """One table of the rebuild: how it came about, its recorded version and the one found, and the first difference in words."""

    table: str
    how: str
    recorded: str | None
    found: str
    difference: dict[str, Any] | None

    @property
    def is_same(self) -> bool:
        """Whether it is what was recorded."""
        return self.recorded == self.found


def list_recorded(workspace: Workspace, events: Sequence[Event], dataset: Event) -> Recorded:
    """The versions that were the latest when a dataset was recorded."""
    return Recorded(workspace, str(dataset.recipe), find_versions_at(events, dataset))


def rebuild_dataset(folder: RecipeFolder, recorded: Recorded, scratch: Workspace, steps: list[Step]) -> pl.DataFrame:
    """training_dataset from recorded generations; `steps` gets what was found of each table, also when a later one fails.

    Args:
        scratch: a workspace apart, for what a step writes.

    Raises:
        LineageError: a table that it needs is gone.
    """
    recipe = folder.recipe

    def take(table: TableSpec) -> pl.DataFrame:
        frame = recorded.read(table)
        steps.append(_compare(recorded, table, frame, RECORDED))
        return frame

    def make(table: TableSpec, frame: pl.DataFrame) -> pl.DataFrame:
        steps.append(_compare(recorded, table, frame, REBUILT))
        return frame

    judged = make(JUDGED_SAMPLES, _settle(recipe, take))
    samples = gather_samples(judged, take(REAL_SAMPLES) if recipe.curate.mix.real_samples else None)
    if recipe.curate.embedding:
        _link_vectors(recipe.name, recorded.workspace, scratch)
    embed = open_vectors(folder, scratch)
    hits = _screen(recipe, take_accepted(samples), embed, take, make)
    curated = curate_anew(recipe, samples, hits, recorded.index_databases(take(DATABASES)), embed)
    make(DUPLICATES, curated.duplicates)
    make(CURATION_MARKS, curated.marks)
    return make(TRAINING_DATASET, curated.dataset)


def _settle(recipe: Recipe, take: Callable[[TableSpec], pl.DataFrame]) -> pl.DataFrame:
    generations, verdicts = take(RAW_GENERATIONS), take(VERDICTS)
    decided = name_decided(generations, take(REVIEW_LABELS), recipe.judge.review.min_reviewers)
    return settle_samples(generations, verdicts, decided, take(QUALITY_SCORES) if recipe.judge.quality else None)


def _screen(
    recipe: Recipe, accepted: pl.DataFrame, embed: Any, take: Callable[..., pl.DataFrame], make: Callable[..., pl.DataFrame]
) -> pl.DataFrame:
    spec = recipe.curate.contamination
    if spec.arbiter is not None:  # a model had the last word, and is not asked again
        return take(CONTAMINATION_HITS)
    items = gather_items(take(HOLDOUT), take(BENCHMARK_ITEMS) if spec.benchmarks else None)
    return make(CONTAMINATION_HITS, find_hits(accepted, items, spec, embed).frame)


def _link_vectors(recipe: str, workspace: Workspace, scratch: Workspace) -> None:
    """Link the workspace's vectors into the scratch one, since reading a store locks and mends it."""
    source, target = (side.folder("vectors", recipe) for side in (workspace, scratch))
    for file in sorted(source.rglob("*.parquet")):
        link = target / file.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)


def _compare(recorded: Recorded, table: TableSpec, frame: pl.DataFrame, how: str) -> Step:
    """Hold a table against its recorded version; where that is another, name the first row and column that differ."""
    version, found = recorded.versions.get(table.name), hash_frame(table, frame)
    if version == found:
        return Step(table.name, how, version, found, None)
    if how == RECORDED:
        words = "the snapshot's rows are not those that its name is the hash of: the file was changed"
        return Step(table.name, how, version, found, {"row": None, "column": None, "words": words})
    return Step(table.name, how, version, found, _find_difference(recorded, table, frame))


def _find_difference(recorded: Recorded, table: TableSpec, frame: pl.DataFrame) -> dict[str, Any]:
    try:
        before = recorded.read(table)
    except LineageError:
        return {"row": None, "column": None, "words": "another version; the recorded snapshot is gone, so that no row can be named"}
    if hash_frame(table, before) != recorded.versions[table.name]:
        return {"row": None, "column": None, "words": "another version; the recorded snapshot was changed too"}
    return name_difference(table, before, frame)


def name_difference(table: TableSpec, before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
    """The first row, by key, and the first column in which two frames of a table differ; unversioned columns do not count."""
    key = list(table.key)
    columns = [name for name in table.fields if name not in table.unversioned and name not in key]
    sides = [{row[: len(key)]: row[len(key) :] for row in frame.select(*key, *columns).iter_rows()} for frame in (before, after)]
    for row in sorted(sides[0].keys() | sides[1].keys(), key=lambda row: tuple(map(str, row))):
        named = " ".join(map(str, row))
        if row not in sides[1]:
            return {"row": named, "column": None, "words": f"row {plain(named)} is missing"}
        if row not in sides[0]:
            return {"row": named, "column": None, "words": f"row {plain(named)} is new"}
        for column, old, new in zip(columns, sides[0][row], sides[1][row], strict=True):
            if old != new:
                words = f"row {plain(named)}, column {column}: recorded {plain(repr(old), 90)}, rebuilt {plain(repr(new), 90)}"
                return {"row": named, "column": column, "words": words}
    return {"row": None, "column": None, "words": "the same rows, and another version: the way rows are hashed has changed"}
