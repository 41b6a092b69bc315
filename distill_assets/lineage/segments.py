"""Segments: the ledger's rows, in Parquet files that are never changed and are named by their own hash.

Belongs here: writing a query's rows as a segment, and the DuckDB view over all segments of a kind. Does not belong here:
which segments count (chain) and what is asked of them (audits).

A segment is sorted by its kind's key and its row groups are small, so that one id is found by reading one row group.
DuckDB writes and reads a UUID as 16 bytes; its UHUGEINT would silently become a DOUBLE in Parquet and is never used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from distill_assets.errors import LineageError, StorageError, name_culprits
from distill_assets.identity import hash_file
from distill_assets.lineage.chain import SegmentRef
from distill_assets.lineage.kinds import KINDS, Kind
from distill_assets.storage import sync_path

SEGMENTS_FOLDER = "segments"
# A point look-up reads one row group of a key column; 20,480 ids are 320 KiB, and 2,000,000 rows have 98 row groups.
ROW_GROUP_ROWS = 20_480
LEDGER_FAULT = "distill-ledger-fault: "


def quote_text(text: object) -> str:
    """`text` as a SQL string."""
    return "'" + str(text).replace("'", "''") + "'"


def write_segment(connection, root: Path, kind: Kind, query: str, faults: Mapping[str, str]) -> tuple[Path, SegmentRef] | None:
    """Write the rows of `query` as a draft beside the segments: its path and what it will be called; None when there are no rows.

    Args:
        faults: what `connect_views` said; an error of the query that comes from there passes as it is.

    Raises:
        LineageError: the query fails, or its columns are not the kind's, or a row is null where it may not be, or twice.
        StorageError: the draft cannot be written.
    """
    import duckdb

    draft = root / SEGMENTS_FOLDER / f".{kind.name}.{os.getpid()}.tmp"
    order = ", ".join(kind.key)
    columns = ", ".join(kind.columns)
    try:
        _check_columns(connection, kind, query)
        connection.execute(
            f"copy (select {columns} from ({query}) order by {order}) to {quote_text(draft)} "
            f"(format parquet, compression zstd, row_group_size {ROW_GROUP_ROWS})"
        )
        n_rows = _check_rows(connection, kind, draft)
    except duckdb.IOException as error:
        if draft.name not in str(error) and find_fault(root, faults, error) is not None:
            raise
        raise _cannot_write(draft, error) from error
    except duckdb.Error as error:
        if find_fault(root, faults, error) is not None:
            raise
        raise LineageError(
            f"the rows of '{kind.name}' cannot be gathered: {error}. Nothing was recorded. Fix the query or the frame it reads."
        ) from error
    if not n_rows:
        draft.unlink()
        return None
    try:
        sync_path(draft)
        return draft, SegmentRef(kind.name, hash_file(draft), n_rows, draft.stat().st_size)
    except OSError as error:
        raise _cannot_write(draft, error.strerror) from error


def _cannot_write(draft: Path, why: object) -> StorageError:
    return StorageError(
        f"{draft} cannot be written: {why}. Nothing was recorded and what was recorded before is safe. "
        "Free disk space or fix the folder's permissions, then run again."
    )


def _check_columns(connection, kind: Kind, query: str) -> None:
    found = {name: type_ for name, type_, *_ in connection.execute(f"describe {query}").fetchall()}
    wrong = [
        f"{name} (expected {column.type}, got {found.get(name, 'nothing')})"
        for name, column in kind.columns.items()
        if found.get(name) != column.type
    ]
    wrong += [f"{name} (not expected)" for name in found if name not in kind.columns]
    if wrong:
        raise LineageError(f"{kind.name}: {name_culprits(wrong)}. Nothing was recorded. Fix the query that gathers the rows.")


def _check_rows(connection, kind: Kind, draft: Path) -> int:
    """Count the rows that were written; none may lack a value it needs, no two may share a key."""
    needed = [name for name, column in kind.columns.items() if not column.nullable]
    nulls = ", ".join(f"count(*) - count({name})" for name in needed)
    rows = f"read_parquet({quote_text(draft)}, hive_partitioning = false)"
    [(n_rows, *n_nulls)] = connection.execute(f"select count(*), {nulls} from {rows}").fetchall()
    wrong = [f"{name} is null in {n} of {n_rows} rows" for name, n in zip(needed, n_nulls, strict=True) if n]
    key = ", ".join(kind.key)
    [(n_keys,)] = connection.execute(f"select count(*) from (select distinct {key} from {rows})").fetchall()
    if n_keys != n_rows:
        wrong.append(f"{n_rows - n_keys} of {n_rows} rows have the key ({key}) of another one")
    if wrong:
        raise LineageError(f"{kind.name}: {name_culprits(wrong)}. Nothing was recorded. Fix the query that gathers the rows.")
    return n_rows


def publish_segment(root: Path, draft: Path, segment: SegmentRef) -> None:
    """Give a draft its name; the chain does not name it yet, so it does not count yet.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        draft.replace(root / SEGMENTS_FOLDER / segment.file_name)
        sync_path(root / SEGMENTS_FOLDER)
    except OSError as error:
        raise StorageError(
            f"{draft} cannot be renamed: {error.strerror}. Nothing was recorded. Fix the folder's permissions."
        ) from error


def drop_drafts(root: Path) -> None:
    """Remove what killed writers left; the caller holds the ledger's lock, so no draft is another writer's."""
    for leftover in (root / SEGMENTS_FOLDER).glob(".*.tmp"):
        with suppress(OSError):
            leftover.unlink()


def connect_views(connection, root: Path, segments: Iterable[tuple[int, SegmentRef]]) -> dict[str, str]:
    """Make one view per kind over `segments`, given as (number of the line that names it, segment).

    Returns:
        Kinds with a segment that is gone or damaged -> what to say of it. They get no view at all, so that no query over them
        can be answered, whatever a planner makes of it; the other kinds stay of use.
    """
    by_kind: dict[str, list[tuple[int, SegmentRef]]] = {name: [] for name in KINDS}
    for seq, segment in segments:
        if segment.kind in by_kind:
            by_kind[segment.kind].append((seq, segment))
    faults = {}
    for name, found in by_kind.items():
        fault = next((words for seq, segment in found if (words := find_file_fault(root, seq, segment))), None)
        fault = fault or _create_view(connection, KINDS[name], root, [segment for _, segment in found])
        if fault is not None:
            faults[name] = fault
    return faults


def _create_view(connection, kind: Kind, root: Path, segments: list[SegmentRef]) -> str | None:
    import duckdb

    try:
        connection.execute(f"create view {kind.name} as {_select_rows(kind, root, segments)}")
    except duckdb.Error as error:
        return _say_damaged(error)
    return None


def _say_damaged(error: Exception) -> str:
    return (
        f"a segment of the ledger is damaged: {error}. Nothing was changed. "
        "distill lineage verify names the file; restore it from a copy."
    )


def find_file_fault(root: Path, seq: int, segment: SegmentRef) -> str | None:
    """What is wrong with a segment's file at first sight: it is missing or has another size."""
    file = root / SEGMENTS_FOLDER / segment.file_name
    advice = (
        f"It holds {segment.n_rows} rows of '{segment.kind}' that line {seq} of the chain recorded. Restore the file from a copy."
    )
    try:
        n_bytes = file.stat().st_size
    except OSError:
        return f"{file} is missing. {advice}"
    return None if n_bytes == segment.n_bytes else f"{file} has {n_bytes} bytes, not {segment.n_bytes}. {advice}"


def _select_rows(kind: Kind, root: Path, segments: list[SegmentRef]) -> str:
    if not segments:
        return f"select {', '.join(f'null::{column.type} as {name}' for name, column in kind.columns.items())} where false"
    # A folder such as `status=ok` on the way to the ledger would otherwise give a column that hides the rows' own.
    files = ", ".join(sorted({quote_text(root / SEGMENTS_FOLDER / segment.file_name) for segment in segments}))
    typed = ", ".join(f"{name}::{column.type} as {name}" for name, column in kind.columns.items())
    return f"select {typed} from read_parquet([{files}], hive_partitioning = false)"


_NO_TABLE = re.compile(r"Table with name (\w+) does not exist")


def find_fault(root: Path, faults: Mapping[str, str], error: Exception) -> str | None:
    """What to say when a query failed since a segment is gone or damaged, or the salt is missing; None for any other error."""
    text = str(error)
    if LEDGER_FAULT in text:
        return text.split(LEDGER_FAULT, 1)[1]
    if (match := _NO_TABLE.search(text)) and match[1].lower() in faults:
        return faults[match[1].lower()]
    return _say_damaged(error) if str(root / SEGMENTS_FOLDER) in text else None
