"""Database files that queries are run on: built from what a user hands in.

Belongs here: turning a source (an SQL script, a DuckDB file, an SQLite file) into one DuckDB file.
Does not belong here: filling it differently (refill), running model-written SQL (execution).
A source is trusted: it is the user's own file, and a script is run as it stands.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from distill_assets.errors import DatabaseSourceError
from distill_assets.verifiers.sql.publish import written_beside
from distill_assets.verifiers.sql.refill import refill_database
from distill_assets.verifiers.sql.sqlite_source import import_sqlite

__all__ = ["build_database", "refill_database"]

UNTOUCHED = "The target was not written."


def build_database(source: Path, target: Path) -> None:
    """Write the DuckDB file `target` from `source`; equal sources give equal contents.

    Args:
        source: .sql script, .duckdb file, or SQLite file (.db, .sqlite, .sqlite3); read only.
        target: DuckDB file to write or to replace.

    Raises:
        DatabaseSourceError: when the source is missing, of another kind, or cannot be loaded.
    """
    build = _BUILDERS.get(source.suffix.lower())
    if build is None:
        raise DatabaseSourceError(f"{source}: unknown kind '{source.suffix}' (known: {', '.join(_BUILDERS)}). {UNTOUCHED}")
    if not source.is_file():
        raise DatabaseSourceError(f"{source}: no such file. {UNTOUCHED} Correct the path in recipe.yaml.")
    with written_beside(target) as draft:
        build(source, draft)


def _run_script(source: Path, draft: Path) -> None:
    import duckdb

    try:
        with duckdb.connect(str(draft), config={"threads": 1}) as con:
            con.execute(source.read_text(encoding="utf-8"))
            con.execute("CHECKPOINT")
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise DatabaseSourceError(f"{source} does not load: {error} {UNTOUCHED} Mend the script.") from error


def _copy_duckdb(source: Path, draft: Path) -> None:
    import duckdb

    if source.with_name(source.name + ".wal").exists():
        raise DatabaseSourceError(f"{source} has an unmerged log beside it. {UNTOUCHED} CHECKPOINT it and close its writer.")
    shutil.copyfile(source, draft)
    try:
        duckdb.connect(str(draft), read_only=True).close()
    except duckdb.Error as error:
        raise DatabaseSourceError(f"{source} is not a DuckDB file this version reads: {error} {UNTOUCHED}") from error


_BUILDERS: dict[str, Callable[[Path, Path], None]] = {
    ".sql": _run_script,
    ".duckdb": _copy_duckdb,
    ".db": import_sqlite,
    ".sqlite": import_sqlite,
    ".sqlite3": import_sqlite,
}
