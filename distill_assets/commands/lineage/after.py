"""The dataset as it would be without what is withdrawn: built anew from recorded rows, nothing asked and nothing written.

Belongs here: which rows leave, and the dataset without them. Does not belong here: building one (curate/anew), or what the difference
means (erasing).
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from distill_assets.commands.lineage.recorded import Recorded, open_vectors
from distill_assets.config import RecipeFolder
from distill_assets.curate.anew import curate_anew
from distill_assets.curate.samples import gather_samples
from distill_assets.errors import LineageError, StorageError
from distill_assets.lineage.terms import describe_teachers
from distill_assets.lineage.withdrawals import Withdrawals
from distill_assets.storage import list_versions, read_table
from distill_assets.tables import (
    CONTAMINATION_HITS,
    DATABASES,
    JUDGED_SAMPLES,
    RAW_GENERATIONS,
    REAL_SAMPLES,
    SEED_CORPUS,
    TRAINING_DATASET,
    TableSpec,
    build_frame,
)

# Tables that hold what can be withdrawn.
HOLDING = (SEED_CORPUS, RAW_GENERATIONS, REAL_SAMPLES)
NEEDED = (SEED_CORPUS, RAW_GENERATIONS, JUDGED_SAMPLES, CONTAMINATION_HITS, DATABASES, TRAINING_DATASET)


class Leaving(NamedTuple):
    """What a withdrawal names in a recipe's tables: rows of the seeds, of the generations and of the samples that people wrote."""

    seeds: pl.DataFrame
    generations: pl.DataFrame
    real: pl.DataFrame

    @property
    def sample_ids(self) -> list[str]:
        """Ids of the rows that leave, sorted."""
        return sorted([*self.generations["generation_id"], *self.real["sample_id"]])


def check_built(head: Recorded) -> None:
    """Refuse to plan on a graph that was not built.

    Raises:
        LineageError: naming the tables that are missing.
    """
    if missing := [table.name for table in NEEDED if not head.has(table)]:
        raise LineageError(
            f"{', '.join(missing)} of recipe '{head.recipe}' are not there, so nothing can be planned. Nothing was done. Run: distill run"
        )


def find_leaving(folder: RecipeFolder, head: Recorded, withdrawals: Withdrawals) -> Leaving:
    """The rows that are withdrawn: named themselves, from a withdrawn seed, or by a withdrawn teacher."""
    frames = (head.read(table) if head.has(table) else build_frame(table, []) for table in HOLDING)
    return _pick_leaving(folder, *frames, withdrawals)


def find_leaving_anywhere(folder: RecipeFolder, head: Recorded, withdrawals: Withdrawals) -> Leaving:
    """`find_leaving` over every stored snapshot, also those that are not in use any more."""
    found = []
    for table in HOLDING:
        frames = [_read_old(head, table, version) for version in list_versions(head.workspace, head.recipe, table.name)]
        whole = pl.concat([build_frame(table, []), *(frame for frame in frames if frame is not None)])
        found.append(whole.unique(table.key[0], keep="first"))
    return _pick_leaving(folder, *found, withdrawals)


def _pick_leaving(
    folder: RecipeFolder, seeds: pl.DataFrame, generations: pl.DataFrame, real: pl.DataFrame, withdrawals: Withdrawals
) -> Leaving:
    gone = seeds.filter(withdrawals.mark_seeds(seeds))
    licences = dict(describe_teachers(folder.recipe.list_teachers()).select("teacher", "licence").iter_rows())
    marks = withdrawals.mark_generations(generations, licences) | generations["seed_id"].is_in(gone["seed_id"].implode())
    return Leaving(gone, generations.filter(marks), real.filter(withdrawals.mark_seeds(real, "sample_id")))


def _read_old(head: Recorded, table: TableSpec, version: str) -> pl.DataFrame | None:
    """A snapshot; None when it cannot be read, such as one of an older form."""
    try:
        return read_table(head.workspace, head.recipe, table, version)
    except StorageError:
        return None


def build_after(folder: RecipeFolder, head: Recorded, leaving: Leaving) -> pl.DataFrame:
    """training_dataset without the rows that leave.

    Raises:
        LineageError: vectors of a text are not in the workspace, so that duplicates by meaning cannot be told.
        NothingSurvivedError: no row would be left.
    """
    stays = ~pl.col("sample_id").is_in(leaving.sample_ids)
    real = head.read(REAL_SAMPLES) if head.has(REAL_SAMPLES) else None
    samples = gather_samples(head.read(JUDGED_SAMPLES), real).filter(stays)
    hits = head.read(CONTAMINATION_HITS).filter(stays)
    indexes = head.index_databases(head.read(DATABASES))
    return curate_anew(folder.recipe, samples, hits, indexes, open_vectors(folder, head.workspace)).dataset
