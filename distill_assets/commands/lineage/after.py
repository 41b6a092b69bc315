"""The dataset as it would be without what is withdrawn: built anew from recorded rows, nothing asked and nothing written.

Belongs here: putting the stages' own functions together over tables that are there. Does not belong here: those functions, or what the
difference means (erasing).

This is the rebuild from scratch: no index, no cache. What a run then builds with its indexes must come out the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from distill_assets import linking
from distill_assets.clients.base_model import TINY_NAME, resolve_base_model
from distill_assets.config import RecipeFolder, cache_folder, count_cores
from distill_assets.curate.dataset import render_dataset
from distill_assets.curate.duplicates import mark_duplicates
from distill_assets.curate.marks import Findings, build_marks
from distill_assets.curate.samples import gather_samples, take_accepted
from distill_assets.curate.select import select_samples
from distill_assets.curate.tokens import count_tokens
from distill_assets.curate.vectors.store import Vectors, plan_reader, read_vectors
from distill_assets.errors import LineageError, StorageError
from distill_assets.lineage.terms import describe_teachers
from distill_assets.lineage.withdrawals import Withdrawals
from distill_assets.storage import Workspace, find_instances, list_versions, read_table
from distill_assets.tables import (
    CONTAMINATION_HITS,
    DATABASES,
    JUDGED_SAMPLES,
    RAW_GENERATIONS,
    REAL_SAMPLES,
    SEED_CORPUS,
    TRAINING_DATASET,
    TableSpec,
)

NEEDED = (SEED_CORPUS, RAW_GENERATIONS, JUDGED_SAMPLES, CONTAMINATION_HITS, DATABASES, TRAINING_DATASET)


class Head(NamedTuple):
    """A recipe's tables as they are: where they lie and which version of each."""

    workspace: Workspace
    recipe: str
    versions: dict[str, str]

    def read(self, table: TableSpec) -> pl.DataFrame | None:
        """One table; None when the recipe has none."""
        version = self.versions.get(table.name)
        return read_table(self.workspace, self.recipe, table, version) if version else None

    def check(self) -> None:
        """Refuse to plan on a graph that was not built.

        Raises:
            LineageError: naming the tables that are missing.
        """
        if missing := [table.name for table in NEEDED if table.name not in self.versions]:
            raise LineageError(
                f"{', '.join(missing)} of recipe '{self.recipe}' are not there, so nothing can be planned. Nothing was done. Run: distill run"
            )


class Leaving(NamedTuple):
    """What a withdrawal names in a recipe's tables: rows of the seeds, of the generations and of the samples that people wrote."""

    seeds: pl.DataFrame
    generations: pl.DataFrame
    real: pl.DataFrame

    @property
    def sample_ids(self) -> list[str]:
        """Ids of the rows that leave, sorted."""
        return sorted([*self.generations["generation_id"], *self.real["sample_id"]])


def find_leaving(folder: RecipeFolder, head: Head, withdrawals: Withdrawals) -> Leaving:
    """The rows that are withdrawn: named themselves, from a withdrawn seed, or by a withdrawn teacher."""
    seeds, generations = head.read(SEED_CORPUS), head.read(RAW_GENERATIONS)
    assert seeds is not None and generations is not None
    gone = seeds.filter(withdrawals.mark_seeds(seeds))
    licences = dict(describe_teachers(folder.recipe.list_teachers()).select("teacher", "licence").iter_rows())
    marks = withdrawals.mark_generations(generations, licences) | generations["seed_id"].is_in(gone["seed_id"].implode())
    real = head.read(REAL_SAMPLES)
    real = pl.DataFrame(schema={name: field.dtype for name, field in REAL_SAMPLES.fields.items()}) if real is None else real
    return Leaving(gone, generations.filter(marks), real.filter(withdrawals.mark_seeds(real, "sample_id")))


def find_leaving_anywhere(folder: RecipeFolder, head: Head, withdrawals: Withdrawals) -> Leaving:
    """`find_leaving` over every stored snapshot, also those that are not in use any more."""
    found = []
    for table in (SEED_CORPUS, RAW_GENERATIONS, REAL_SAMPLES):
        empty = pl.DataFrame(schema={name: field.dtype for name, field in table.fields.items()})
        frames = [_read_old(head, table, version) for version in list_versions(head.workspace, head.recipe, table.name)]
        found.append(pl.concat([empty, *(frame for frame in frames if frame is not None)]).unique(table.key[0], keep="first"))
    seeds, generations, real = found
    gone = seeds.filter(withdrawals.mark_seeds(seeds))
    licences = dict(describe_teachers(folder.recipe.list_teachers()).select("teacher", "licence").iter_rows())
    marks = withdrawals.mark_generations(generations, licences) | generations["seed_id"].is_in(gone["seed_id"].implode())
    return Leaving(gone, generations.filter(marks), real.filter(withdrawals.mark_seeds(real, "sample_id")))


def _read_old(head: Head, table: TableSpec, version: str) -> pl.DataFrame | None:
    """A snapshot; None when it cannot be read, such as one of an older form."""
    try:
        return read_table(head.workspace, head.recipe, table, version)
    except StorageError:
        return None


def build_after(folder: RecipeFolder, head: Head, leaving: Leaving) -> pl.DataFrame:
    """training_dataset without the rows that leave.

    Raises:
        LineageError: vectors of a text are not in the workspace, so that duplicates by meaning cannot be told.
        NothingSurvivedError: no row would be left.
    """
    recipe, gone = folder.recipe, leaving.sample_ids
    judged, hits, databases = (head.read(table) for table in (JUDGED_SAMPLES, CONTAMINATION_HITS, DATABASES))
    real = head.read(REAL_SAMPLES)
    assert judged is not None and hits is not None and databases is not None
    samples = gather_samples(judged, real).filter(~pl.col("sample_id").is_in(gone))
    accepted = take_accepted(samples)
    embed = _open_vectors(folder, head.workspace) if recipe.curate.duplicates.semantic_cosine is not None else None
    marked = mark_duplicates(accepted, recipe.curate.duplicates, None, embed)
    tokens = count_tokens(accepted, _find_tokenizer(folder)) if recipe.curate.max_tokens is not None else None
    marks = build_marks(
        accepted, Findings(marked.frame, hits.filter(~pl.col("sample_id").is_in(gone)), tokens), recipe.curate, None
    )
    kept = select_samples(samples, marks.frame, recipe.curate).kept
    instances = find_instances(head.workspace, recipe.name, databases)
    return render_dataset(kept, {name: linking.build_index(files[0]) for name, files in instances.items()})


def _open_vectors(folder: RecipeFolder, workspace: Workspace) -> Any:
    reader = plan_reader(folder.recipe.curate.embedding, count_cores(), cache_folder())

    def refuse(module: str, spec_file: Path) -> None:
        raise LineageError(f"texts have no vectors in the workspace ({spec_file.parent}), so no plan can be made. Run: distill run")

    def embed(texts: pl.Series) -> Vectors:
        return read_vectors(workspace, folder.recipe.name, reader, texts, refuse)

    return embed


def _find_tokenizer(folder: RecipeFolder) -> Path | None:
    base = resolve_base_model(folder.recipe.student.base_model, cache_folder())
    return None if base.name == TINY_NAME else base.path / "tokenizer.json"
