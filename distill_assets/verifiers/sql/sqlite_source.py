"""An SQLite file read through the standard library and written as DuckDB.

Belongs here: the copy of rows, and which declarations they keep to. No DuckDB extension is loaded,
so that nothing is downloaded. Does not belong here: SQLite's catalogue (sqlite_catalog), other
sources (instances).

SQLite promises little: a column may hold values of another type than declared and a key may be
violated. A column whose values do not fit becomes VARCHAR, and a key that the rows break is left
out; the rows are always kept whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from distill_assets.databases import quote_name
from distill_assets.errors import DatabaseSourceError
from distill_assets.verifiers.sql.layers import insert_layers
from distill_assets.verifiers.sql.sqlite_catalog import SqliteColumn, SqliteLink, SqliteTable, read_tables

CHUNK_ROWS = 5_000


def import_sqlite(source: Path, draft: Path) -> None:
    """Copy every table of the SQLite file `source` into the new DuckDB file `draft`.

    Raises:
        DatabaseSourceError: when the file is not SQLite or holds no table.
    """
    import duckdb

    uri = f"{source.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as old, duckdb.connect(str(draft), config={"threads": 1}) as new:
            old.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
            tables = read_tables(old)
            for table in _parents_first(tables):
                _copy_table(old, new, table)
            new.execute("CHECKPOINT")
    except (sqlite3.Error, duckdb.Error) as error:
        raise DatabaseSourceError(f"{source} cannot be read as SQLite: {error}. The target was not written.") from error
    if not tables:
        raise DatabaseSourceError(f"{source} holds no table. The target was not written. Name another file.")


def _parents_first(tables: dict[str, SqliteTable]) -> Iterator[SqliteTable]:
    """Order tables so that a link's target comes first; a link that closes a cycle is left out."""
    while True:
        needs = {table.name: sorted({link.target for link in table.links} - {table.name}) for table in tables.values()}
        try:
            return iter([tables[name] for name in TopologicalSorter(needs).static_order()])
        except CycleError as error:
            target, holder = error.args[1][:2]  # each name in the ring is needed by the next
            links = tuple(link for link in tables[holder].links if link.target != target)
            tables[holder] = tables[holder]._replace(links=links)


def _copy_table(old: sqlite3.Connection, new, table: SqliteTable) -> None:
    names = [column.name for column in table.columns]
    _stage_rows(old, new, table)
    types = [_settle_type(new, column) for column in table.columns]
    casts = ", ".join(f"CAST({quote_name(n)} AS {t}) AS {quote_name(n)}" for n, t in zip(names, types, strict=True))
    new.execute(f"CREATE OR REPLACE TEMP TABLE typed AS SELECT {casts} FROM staged ORDER BY rowid")
    has_key = bool(table.primary_key) and _keeps_key(new, table.primary_key)
    links = [link for link in table.links if _keeps_link(new, table, link, dict(zip(names, types, strict=True)), has_key)]
    body = [f"{quote_name(n)} {t}" for n, t in zip(names, types, strict=True)]
    body += [f"PRIMARY KEY ({_listed(table.primary_key)})"] if has_key else []
    body += [f"FOREIGN KEY ({_listed(k.columns)}) REFERENCES {quote_name(k.target)} ({_listed(k.target_columns)})" for k in links]
    new.execute(f"CREATE TABLE {quote_name(table.name)} ({', '.join(body)})")
    own = [(link.columns[0], link.target_columns[0]) for link in links if link.target == table.name]
    insert_layers(new, quote_name(table.name), "typed", names, own)


def _stage_rows(old: sqlite3.Connection, new, table: SqliteTable) -> None:
    """Write the rows as text (BLOB columns as bytes) to the temporary table `staged`."""
    kinds = ["BLOB" if column.type == "BLOB" else "VARCHAR" for column in table.columns]
    names = [quote_name(column.name) for column in table.columns]
    new.execute(f"CREATE OR REPLACE TEMP TABLE staged ({', '.join(f'{n} {k}' for n, k in zip(names, kinds, strict=True))})")
    wanted = ", ".join(f"CAST({n} AS BLOB)" if k == "BLOB" else n for n, k in zip(names, kinds, strict=True))
    rows = old.execute(f"SELECT {wanted} FROM {quote_name(table.name)}")
    slots = ", ".join(f"unnest(${i}::{kind}[])" for i, kind in enumerate(kinds, 1))
    while chunk := rows.fetchmany(CHUNK_ROWS):
        lists = [
            [_as_staged(value, kind) for value in values] for values, kind in zip(zip(*chunk, strict=True), kinds, strict=True)
        ]
        new.execute(f"INSERT INTO staged SELECT {slots}", lists)


def _as_staged(value: object, kind: str) -> object:
    if value is None or isinstance(value, str) or kind == "BLOB":
        return value
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _settle_type(new, column: SqliteColumn) -> str:
    """Return the first type that every value fits without loss: the declared one, a wider one, VARCHAR."""
    for candidate in dict.fromkeys([column.type, *_WIDER.get(column.type.split("(")[0], ())]):
        if not _any_row(new, f"SELECT 1 FROM staged WHERE {_misfit(quote_name(column.name), candidate)}"):
            return candidate
    return "VARCHAR"


_WIDER = {
    "BIGINT": ("DOUBLE",),
    "DECIMAL": ("DOUBLE",),
    "DATE": ("TIMESTAMP", "BIGINT", "DOUBLE"),
    "TIMESTAMP": ("BIGINT", "DOUBLE"),
    "BOOLEAN": ("BIGINT",),
}


def _misfit(name: str, candidate: str) -> str:
    """Return the condition of a staged value that `candidate` cannot hold whole."""
    cast = f"TRY_CAST({name} AS {candidate})"
    if candidate in ("BIGINT", "DATE"):
        return f"{name} IS NOT NULL AND CAST({cast} AS VARCHAR) IS DISTINCT FROM {name}"
    loses = f" OR TRY_CAST({name} AS DOUBLE) <> CAST({cast} AS DOUBLE)" if candidate.startswith("DECIMAL") else ""
    return f"{name} IS NOT NULL AND ({cast} IS NULL{loses})"


def _keeps_key(new, columns: Sequence[str]) -> bool:
    null = " OR ".join(f"{quote_name(column)} IS NULL" for column in columns)
    twice = f"SELECT 1 FROM typed GROUP BY {_listed(columns)} HAVING count(*) > 1"
    return not _any_row(new, f"SELECT 1 FROM typed WHERE {null}") and not _any_row(new, twice)


def _keeps_link(new, table: SqliteTable, link: SqliteLink, types: dict[str, str], has_key: bool) -> bool:
    """Say whether every row's reference is there, of the same type, and can be inserted."""
    if link.target == table.name:
        return has_key and len(link.columns) == 1 and _is_forest(new, link.columns[0], link.target_columns[0])
    theirs_types = _types_of(new, link.target)
    mine_types = {name.lower(): kind for name, kind in types.items()}
    pairs = list(zip(link.columns, link.target_columns, strict=True))
    if not _has_key(new, link.target) or any(mine_types[m.lower()] != theirs_types[t.lower()] for m, t in pairs):
        return False
    match = " AND ".join(f"p.{quote_name(theirs)} = c.{quote_name(mine)}" for mine, theirs in pairs)
    filled = " AND ".join(f"c.{quote_name(mine)} IS NOT NULL" for mine, _ in pairs)
    parent = f"SELECT 1 FROM {quote_name(link.target)} AS p WHERE {match}"
    return not _any_row(new, f"SELECT 1 FROM typed AS c WHERE {filled} AND NOT EXISTS ({parent})")


def _is_forest(new, child: str, parent: str) -> bool:
    """Say whether every row of `typed` hangs, through its own table, from a row that refers to none."""
    mine, theirs = quote_name(child), quote_name(parent)
    reached = (
        f"WITH RECURSIVE reached AS (SELECT {theirs} AS k FROM typed WHERE {mine} IS NULL"
        f" UNION SELECT t.{theirs} FROM typed AS t JOIN reached AS r ON t.{mine} = r.k)"
        f" SELECT 1 FROM typed WHERE {theirs} NOT IN (SELECT k FROM reached)"
    )
    return not _any_row(new, reached)


def _types_of(new, table: str) -> dict[str, str]:
    listed = "SELECT lower(column_name), data_type FROM duckdb_columns() WHERE table_name = ?"
    return dict(new.execute(listed, [table]).fetchall())


def _has_key(new, table: str) -> bool:
    keyed = "SELECT 1 FROM duckdb_constraints() WHERE table_name = ? AND constraint_type = 'PRIMARY KEY'"
    return bool(new.execute(keyed, [table]).fetchall())


def _any_row(new, sql: str) -> bool:
    return bool(new.execute(f"{sql} LIMIT 1").fetchall())


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(quote_name(column) for column in columns)
