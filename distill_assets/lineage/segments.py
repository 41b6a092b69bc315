"""Segments: the ledger's rows, in Parquet files that are never changed and are named by their own hash.

Belongs here: writing a query's rows as a segment, and the DuckDB view over all segments of a kind. Does not belong here:
which segments count (chain) and what is asked of them (audits).

A segment is sorted by its kind's key and its row groups are small, so that one id is found by reading one row group.
DuckDB writes and reads a UUID as 16 bytes; its UHUGEINT would silently become a DOUBLE in Parquet and is never used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import contextmanager, suppress
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


def write_segment(connection, root: Path, kind: Kind, query: str) -> tuple[Path, SegmentRef] | None:
    """Write the rows of `query` as a draft beside the segments: its path and what it will be called; None when there are no rows.

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
        raise StorageError(
            f"{draft.parent} cannot be written: {error}. Nothing was recorded. Free disk space, then run again."
        ) from error
    except duckdb.Error as error:
        raise _say_query_failed(kind, error) from error
    if not n_rows:
        draft.unlink()
        return None
    try:
        sync_path(draft)
        return draft, SegmentRef(kind.name, hash_file(draft), n_rows, draft.stat().st_size)
    except OSError as error:
        raise StorageError(
            f"{draft} cannot be written: {error.strerror}. Nothing was recorded. Free disk space, then run again."
        ) from error


def _say_query_failed(kind: Kind, error: Exception) -> LineageError:
    text = str(error)
    if LEDGER_FAULT in text:
        return LineageError(text.split(LEDGER_FAULT, 1)[1])
    return LineageError(
        f"the rows of '{kind.name}' cannot be gathered: {text}. Nothing was recorded. Fix the query or the frame it reads."
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
    rows = f"read_parquet({quote_text(draft)})"
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


def connect_views(connection, root: Path, segments: Iterable[tuple[int, SegmentRef]]) -> None:
    """Make one view per kind over `segments`, given as (number of the line that names it, segment).

    A kind with a segment that is gone or cut gets a view that fails when it is read, so that the other kinds stay of use.
    """
    by_kind: dict[str, list[tuple[int, SegmentRef]]] = {name: [] for name in KINDS}
    for seq, segment in segments:
        if segment.kind in by_kind:
            by_kind[segment.kind].append((seq, segment))
    for name, found in by_kind.items():
        fault = next((words for seq, segment in found if (words := find_file_fault(root, seq, segment))), None)
        _create_view(connection, KINDS[name], root, [segment for _, segment in found], fault)


def _create_view(connection, kind: Kind, root: Path, segments: list[SegmentRef], fault: str | None) -> None:
    import duckdb

    try:
        connection.execute(f"create view {kind.name} as {_select_rows(kind, root, segments, fault)}")
    except duckdb.Error as error:
        if fault is not None:
            raise
        _create_view(connection, kind, root, segments, _say_damaged(error))


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


def _select_rows(kind: Kind, root: Path, segments: list[SegmentRef], fault: str | None) -> str:
    empty = ", ".join(f"null::{column.type} as {name}" for name, column in kind.columns.items())
    if fault is not None:  # a filter, since a column that nobody asks for would not be computed
        return f"select {empty} from (select 1) where error({quote_text(LEDGER_FAULT + fault)})::boolean"
    if not segments:
        return f"select {empty} where false"
    files = ", ".join(sorted({quote_text(root / SEGMENTS_FOLDER / segment.file_name) for segment in segments}))
    typed = ", ".join(f"{name}::{column.type} as {name}" for name, column in kind.columns.items())
    return f"select {typed} from read_parquet([{files}])"


@contextmanager
def translate_faults(root: Path):
    """Turn what DuckDB says of a segment that is gone or damaged into a LineageError; other errors of a query pass."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        if LEDGER_FAULT in text:
            raise LineageError(text.split(LEDGER_FAULT, 1)[1]) from error
        if str(root / SEGMENTS_FOLDER) in text:
            raise LineageError(_say_damaged(error)) from error
        raise
