"""From a recipe's database sources to the databases table: built, refilled, described.

Belongs here: which instances exist and under which content id their files lie. Does not belong here:
how a source is read or refilled (verifiers/sql) or how a schema card is made (databases).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from distill_assets.databases import Schema, quote_name, read_schema, schema_to_json
from distill_assets.errors import DatabaseSourceError
from distill_assets.identity import make_id
from distill_assets.seed.files import UNTOUCHED
from distill_assets.storage import Workspace
from distill_assets.tables import DATABASES, build_frame
from distill_assets.verifiers.sql.instances import build_database
from distill_assets.verifiers.sql.refill import refill_database

REFILL_SEED = 101


def prepare_databases(workspace: Workspace, recipe: str, folder: Path, sources: dict[str, str], n_instances: int) -> pl.DataFrame:
    """Build each database and its refilled instances; files that are there already are kept.

    Args:
        sources: database name -> path of a .sql script, DuckDB or SQLite file, relative to `folder`.
        n_instances: differently filled instances of each, the one as written included.

    Raises:
        DatabaseSourceError: a source is missing or cannot be built.
    """
    rows = []
    for name, source in sorted(sources.items()):
        drafts = workspace.folder("databases", recipe) / "drafts"
        drafts.mkdir(parents=True, exist_ok=True)
        first = drafts / f"{name}.duckdb"
        build_database(_find_source(folder, name, source), first)
        schema = read_schema(name, first)
        card = schema_to_json(schema)
        for instance in range(n_instances):
            draft = first if instance == 0 else drafts / f"{name}.{instance}.duckdb"
            if instance:
                refill_database(first, draft, seed=REFILL_SEED + instance)
            rows.append(_describe(draft, schema, card, instance))
        for row in rows[-n_instances:]:
            draft = first if row["instance"] == 0 else drafts / f"{name}.{row['instance']}.duckdb"
            draft.replace(workspace.database_file(recipe, name, int(row["instance"]), str(row["content_id"])))
    return build_frame(DATABASES, rows)


def _find_source(folder: Path, name: str, source: str) -> Path:
    file = folder / source
    if not file.is_file():
        raise DatabaseSourceError(f"database '{name}': {file} is not there. {UNTOUCHED} Fix databases in recipe.yaml.")
    return file


def _describe(file: Path, schema: Schema, card: str, instance: int) -> dict[str, object]:
    content_id, n_rows = _hash_content(file, schema)
    return {
        "database": schema.name,
        "instance": instance,
        "schema_id": make_id("schema", card),
        "card": card,
        "content_id": content_id,
        "n_tables": len(schema.tables),
        "n_rows": n_rows,
    }


def _hash_content(file: Path, schema: Schema) -> tuple[str, int]:
    """Content id over all rows in row order of their text, and the number of rows."""
    import duckdb

    parts: list[object] = []
    n_rows = 0
    with duckdb.connect(str(file), read_only=True) as con:
        for table in schema.tables:
            columns = ", ".join(f"{quote_name(c.name)}::varchar" for c in table.columns)
            rows = con.sql(f"select {columns} from {quote_name(table.name)} order by all").fetchall()
            parts.append([table.name, [[c.name, c.type] for c in table.columns], rows])
            n_rows += len(rows)
    return make_id("content", parts), n_rows
