"""A recipe's stored tables at given versions, and the vectors of its texts: what planning, erasing and proving read.

Belongs here: reading. Does not belong here: which versions (find_versions for today's, rebuilding for a dataset's), or what is done
with the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from distill_assets import linking
from distill_assets.config import RecipeFolder, cache_folder, count_cores
from distill_assets.curate.vectors.store import Vectors, plan_reader, read_vectors
from distill_assets.errors import LineageError, StorageError
from distill_assets.storage import Workspace, find_instances, read_table
from distill_assets.tables import TableSpec


class Recorded(NamedTuple):
    """Where a recipe's tables lie, and which version of each."""

    workspace: Workspace
    recipe: str
    versions: dict[str, str]

    def has(self, table: TableSpec) -> bool:
        """Whether there is a version of it."""
        return table.name in self.versions

    def read(self, table: TableSpec) -> pl.DataFrame:
        """One table.

        Raises:
            LineageError: no version of it is known, or its snapshot is gone or damaged.
        """
        if not self.has(table):
            raise LineageError(f"no version of {table.name} of recipe '{self.recipe}' is known at that point. Nothing was changed.")
        try:
            return read_table(self.workspace, self.recipe, table, self.versions[table.name])
        except StorageError as error:
            raise LineageError(f"{table.name} at version {self.versions[table.name]} is gone or cannot be read: {error}") from error

    def index_databases(self, databases: pl.DataFrame) -> dict[str, linking.LinkIndex]:
        """What the schema linker knows of each database of the table `databases`."""
        instances = find_instances(self.workspace, self.recipe, databases)
        return {name: linking.build_index(files[0]) for name, files in instances.items()}


def open_vectors(folder: RecipeFolder, workspace: Workspace) -> Callable[[pl.Series], Vectors] | None:
    """What gives the vectors of texts out of the workspace, where no model reads any; None where the recipe has no embedding.

    The function raises LineageError for a text that has none.
    """
    embedding, name = folder.recipe.curate.embedding, folder.recipe.name
    if embedding is None:
        return None

    def refuse(module: str, spec_file: Path) -> None:
        raise LineageError(
            f"the workspace has no vectors of some texts ({spec_file.parent}), so nothing by meaning can be told. "
            "Nothing was changed. Run: distill run"
        )

    def embed(texts: pl.Series) -> Vectors:
        reader = plan_reader(embedding, count_cores(), cache_folder())
        return read_vectors(workspace, name, reader, texts, refuse)

    return embed
