"""`distill sql`: the recipe's tables under their names, in DuckDB.

Belongs here: finding the latest versions and printing a result. Does not belong here: storage.
"""

from __future__ import annotations

import dagster as dg
import polars as pl

from distill_assets.config import RecipeFolder, home_folder
from distill_assets.errors import DistillError
from distill_assets.gates import asset_key, read_latest, read_version
from distill_assets.resources import SnapshotDuckDB
from distill_assets.storage import Workspace
from distill_assets.tables import PLANTED_ERRORS, RAW_GENERATIONS, TABLES

MAX_ROWS = 1_000


def find_versions(folder: RecipeFolder, instance: dg.DagsterInstance) -> dict[str, str]:
    """Table -> data version of its latest materialization; side tables go with their owner."""
    name = folder.recipe.name
    keys = {table: asset_key(name, table) for table in TABLES}
    latest = read_latest(instance, keys.values())
    versions = {table: read_version(latest, key) for table, key in keys.items()}
    versions[PLANTED_ERRORS.name] = versions[RAW_GENERATIONS.name]
    return {table: version for table, version in versions.items() if version}


def query_tables(folder: RecipeFolder, instance: dg.DagsterInstance, query: str | None) -> str:
    """Return the result of `query` as text, or the list of tables.

    Raises:
        DistillError: nothing was materialized yet, or the query fails.
    """
    import duckdb

    versions = find_versions(folder, instance)
    if not versions:
        raise DistillError(f"recipe '{folder.recipe.name}' has no table yet. Run: distill run")
    if query is None:
        return "\n".join(f"{table:<18} {TABLES[table].meaning}" for table in TABLES if table in versions)
    try:
        frame = SnapshotDuckDB().query(Workspace(home_folder()), folder.recipe.name, versions, query)
    except duckdb.Error as error:
        raise DistillError(f"the query fails: {error}") from error
    with pl.Config(tbl_rows=MAX_ROWS, tbl_cols=-1, fmt_str_lengths=120, tbl_width_chars=200, tbl_hide_dataframe_shape=True):
        return f"{frame.head(MAX_ROWS)}\n{frame.height} rows"
