"""Immutable snapshots: every table as `tables/<recipe>/<table>/<data_version>.parquet`.

Belongs here: writing and reading tables, reports and locks of the workspace folder, and the DuckDB
views that query them. Does not belong here: what a table holds (tables) or which version a
step reads (gates).

A file is written under a temporary name, fsynced and renamed, so a table is there whole or not at
all; nothing is ever overwritten by other content. No process holds a lock on a database file: DuckDB
only reads Parquet.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import polars as pl

from distill_assets.errors import LockedError, StorageError, TableShapeError
from distill_assets.tables import TABLES, TableSpec, build_frame, check_frame, digest_rows, hash_frame, version_of


class Workspace(NamedTuple):
    """The folder that holds everything a recipe makes."""

    root: Path

    def table_file(self, recipe: str, table: str, version: str) -> Path:
        """Where a table's snapshot lies."""
        return self.root / "tables" / recipe / table / f"{version}.parquet"

    def database_file(self, recipe: str, database: str, instance: int, content_id: str) -> Path:
        """Where an instance of a recipe's database lies."""
        return self.root / "databases" / recipe / f"{database}-{instance}-{content_id}.duckdb"

    def folder(self, kind: str, recipe: str) -> Path:
        """A recipe's folder for `kind`: checkpoints, databases, journal, reports, work, checks."""
        return self.root / kind / recipe


def write_table(workspace: Workspace, recipe: str, spec: TableSpec, frame: pl.DataFrame) -> str:
    """Store `frame` sorted by its key and return its data version; equal content is written once.

    Raises:
        TableShapeError: the frame does not fit `spec`; nothing was written.
        StorageError: the file cannot be written; the last good table stays.
    """
    check_frame(spec, frame)
    version = hash_frame(spec, frame)
    is_sorted = len(spec.key) == 1 and frame[spec.key[0]].is_sorted()
    write_snapshot(workspace.table_file(recipe, spec.name, version), frame if is_sorted else frame.sort(list(spec.key)))
    return version


def write_table_in_pieces(workspace: Workspace, recipe: str, spec: TableSpec, pieces: Iterable[pl.DataFrame]) -> str:
    """Store a table that comes as frames in key order, one after the other in memory; return its data version.

    Raises:
        TableShapeError: a piece does not fit `spec`, or does not follow the one before; nothing was written.
        StorageError: the file cannot be written; the last good table stays.
    """
    from pyarrow.parquet import ParquetWriter

    folder = workspace.table_file(recipe, spec.name, "x").parent
    digests: list[str] = []
    with replace_atomically(folder / "in-pieces.parquet", lambda: _name_pieces(workspace, recipe, spec, digests)) as temporary:
        writer, last = None, None
        try:
            for piece in pieces:
                check_frame(spec, piece)
                last = _check_follows(spec, last, piece)
                digests += digest_rows(spec, piece)
                arrow = piece.to_arrow()
                writer = writer or ParquetWriter(temporary, arrow.schema, compression="zstd")
                writer.write_table(arrow)
            if writer is None:
                build_frame(spec, []).write_parquet(temporary)
        finally:
            if writer is not None:
                writer.close()
    return version_of(digests)


def _name_pieces(workspace: Workspace, recipe: str, spec: TableSpec, digests: list[str]) -> Path:
    return workspace.table_file(recipe, spec.name, version_of(digests))


def _check_follows(spec: TableSpec, last: object, piece: pl.DataFrame) -> object:
    [key] = spec.key
    if piece.height and (not piece[key].is_sorted() or (last is not None and piece[key][0] <= last)):
        raise TableShapeError(
            f"{spec.name}: pieces are not in the order of '{key}'. Fix the function that built it; nothing was written."
        )
    return piece[key][-1] if piece.height else last


def write_side_table(workspace: Workspace, recipe: str, spec: TableSpec, frame: pl.DataFrame, version: str) -> None:
    """Store a table that belongs to another one's version, such as planted_errors to raw_generations."""
    check_frame(spec, frame)
    write_snapshot(workspace.table_file(recipe, spec.name, version), frame.sort(list(spec.key)))


def write_snapshot(target: Path, frame: pl.DataFrame) -> None:
    """Write a Parquet file atomically unless a readable one is already there."""
    if target.exists() and _is_readable(target):
        return
    with replace_atomically(target) as temporary:
        frame.write_parquet(temporary, compression="zstd")


def _is_readable(file: Path) -> bool:
    try:
        pl.scan_parquet(file).select(pl.len()).collect()
    except (pl.exceptions.PolarsError, OSError):
        return False
    return True


def read_table(workspace: Workspace, recipe: str, spec: TableSpec, version: str) -> pl.DataFrame:
    """Read a table's snapshot back and check that it is that table.

    Raises:
        StorageError: the snapshot is missing or damaged.
    """
    file = workspace.table_file(recipe, spec.name, version)
    try:
        frame = pl.read_parquet(file)
        check_frame(spec, frame)
    except (OSError, pl.exceptions.PolarsError, TableShapeError) as error:
        raise StorageError(
            f"{spec.name} of recipe '{recipe}' at version {version} cannot be read back from {file}: {error}. "
            f"Nothing was changed. Materialize {spec.name} again; if the file is damaged, delete it first."
        ) from error
    return frame


def scan_table(workspace: Workspace, recipe: str, spec: TableSpec, version: str) -> pl.LazyFrame:
    """A table's snapshot, to be read in part.

    Raises:
        StorageError: it is missing, damaged, or another table's.
    """
    file = workspace.table_file(recipe, spec.name, version)
    try:
        rows = pl.scan_parquet(file)
        found = dict(rows.collect_schema())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StorageError(f"{file} cannot be read: {error}. Nothing was changed. Materialize {spec.name} again.") from error
    if found != {name: field.dtype for name, field in spec.fields.items()}:
        raise StorageError(f"{file} is no {spec.name} of this version. Nothing was changed. Materialize {spec.name} again.")
    return rows


@contextmanager
def replace_atomically(target: Path, name_target: Callable[[], Path] | None = None) -> Iterator[Path]:
    """Give a temporary path beside `target`; on success fsync it and rename it over `target`.

    Args:
        name_target: says what the file is called in the same folder once it is written, where that is not known before.

    Raises:
        StorageError: disk full, read-only folder and the like; `target` is as it was.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync_path(temporary)
        temporary.replace(name_target() if name_target else target)
        sync_path(target.parent)
    except (OSError, pl.exceptions.PolarsError) as error:  # polars reports a full disk as a compute error
        raise StorageError(
            f"{target} cannot be written: {getattr(error, 'strerror', None) or error}. What was there before is untouched. "
            "Free disk space or fix the folder's permissions, then run again."
        ) from error
    finally:
        with suppress(OSError):  # nothing to remove, or the folder is none: the error above says so
            temporary.unlink()


def sync_path(path: Path) -> None:
    """Flush a file's or a folder's content to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with replace_atomically(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(target: Path, data: bytes) -> None:
    """Write a binary file atomically."""
    with replace_atomically(target) as temporary:
        temporary.write_bytes(data)


@contextmanager
def hold_lock(file: Path, holder: str) -> Iterator[None]:
    """Hold an exclusive lock that the kernel frees when this process ends, however it ends.

    Raises:
        LockedError: another process holds it; its own description of itself is in the message.
        StorageError: the folder cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = file.open("a+", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"the workspace cannot be locked: {file}: {error.strerror}. Nothing was run. "
            "Fix the folder's permissions or set DISTILL_HOME to a folder that you can write."
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            raise LockedError(
                f"{file} is held by {handle.read().strip() or 'another process'}. Nothing was run. "
                "Wait until it ends, or use another workspace: DISTILL_HOME=/other/folder"
            ) from error
        handle.truncate(0)
        handle.write(holder)
        handle.flush()
        yield


def find_instances(workspace: Workspace, recipe: str, databases: pl.DataFrame) -> dict[str, dict[int, Path]]:
    """Return database -> instance -> file for a databases table.

    Raises:
        StorageError: a file is gone.
    """
    found: dict[str, dict[int, Path]] = {}
    for row in databases.sort("database", "instance").iter_rows(named=True):
        file = workspace.database_file(recipe, row["database"], row["instance"], row["content_id"])
        if not file.is_file():
            raise StorageError(f"{file} is gone. Nothing was changed. Materialize {recipe}/databases again.")
        found.setdefault(row["database"], {})[row["instance"]] = file
    return found


def list_versions(workspace: Workspace, recipe: str, table: str) -> list[str]:
    """Versions of a table that are stored, oldest file first."""
    files = (workspace.root / "tables" / recipe / table).glob("*.parquet")
    return [file.stem for file in sorted(files, key=lambda file: (file.stat().st_mtime_ns, file.name))]


def connect_tables(connection, workspace: Workspace, recipe: str, versions: dict[str, str]) -> None:
    """Make one view per table of `versions` (table -> data version) in a DuckDB connection."""
    for table, version in sorted(versions.items()):
        if table in TABLES and (file := workspace.table_file(recipe, table, version)).exists():
            path = str(file).replace("'", "''")
            connection.execute(f"create view {table} as select * from read_parquet('{path}')")
