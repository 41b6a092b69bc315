"""What an SQLite file says of itself: tables, columns, keys.

Belongs here: SQLite's catalogue and the mapping of its loose types. Does not belong here: rows
(sqlite_source).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple


class SqliteColumn(NamedTuple):
    """A column and the DuckDB type its declaration stands for."""

    name: str
    type: str


class SqliteLink(NamedTuple):
    """A foreign key: `columns` refer to the primary key `target_columns` of `target`."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


class SqliteTable(NamedTuple):
    """A table as declared; whether its rows keep to it is not known yet."""

    name: str
    columns: tuple[SqliteColumn, ...]
    primary_key: tuple[str, ...]
    links: tuple[SqliteLink, ...]


def read_tables(old: sqlite3.Connection) -> dict[str, SqliteTable]:
    """Return every table of the open file by name, in name order."""
    names = old.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    ).fetchall()
    tables = {name: _read_table(old, name) for (name,) in names}
    return {name: table._replace(links=_resolve(table.links, tables)) for name, table in tables.items()}


def _read_table(old: sqlite3.Connection, name: str) -> SqliteTable:
    info = old.execute("SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid", [name]).fetchall()
    columns = tuple(SqliteColumn(column, duck_type(declared)) for column, declared, _ in info)
    key = tuple(column for column, _, pk in sorted(info, key=lambda row: row[2]) if pk)
    links: dict[int, list[tuple[str, str, str | None]]] = {}
    for link_id, target, mine, theirs in old.execute(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', [name]
    ):
        links.setdefault(link_id, []).append((target, mine, theirs))
    return SqliteTable(name, columns, key, tuple(_link(parts) for parts in links.values()))


def _link(parts: list[tuple[str, str, str | None]]) -> SqliteLink:
    theirs = tuple(part[2] for part in parts if part[2] is not None)
    return SqliteLink(tuple(part[1] for part in parts), parts[0][0], theirs)


def _resolve(links: Iterable[SqliteLink], tables: dict[str, SqliteTable]) -> tuple[SqliteLink, ...]:
    """Give every link its target's stored name and columns; drop those that point at no key."""
    by_name = {name.lower(): table for name, table in tables.items()}
    found = []
    for link in links:
        target = by_name.get(link.target.lower())
        key = {column.lower() for column in target.primary_key} if target else set()
        theirs = link.target_columns or (target.primary_key if target else ())
        if key and {column.lower() for column in theirs} == key and len(theirs) == len(link.columns):
            found.append(SqliteLink(link.columns, target.name, theirs))
    return tuple(found)


def duck_type(declared: str) -> str:
    """Map a declared SQLite type to a DuckDB type, close to SQLite's own rules of affinity.

    A column without a type counts as BIGINT here; the copy widens it to what its values need.
    """
    upper = declared.upper()
    if upper.startswith(("DECIMAL(", "NUMERIC(")) and upper.endswith(")"):
        return "DECIMAL" + upper[upper.index("(") :]
    for words, duck in _TYPES:
        if any(word in upper for word in words):
            return duck
    return "VARCHAR" if upper else "BIGINT"


_TYPES = (
    (("DATETIME", "TIMESTAMP"), "TIMESTAMP"),
    (("DATE",), "DATE"),
    (("BOOL",), "BOOLEAN"),
    (("INT",), "BIGINT"),
    (("CHAR", "CLOB", "TEXT"), "VARCHAR"),
    (("BLOB",), "BLOB"),
    (("REAL", "FLOA", "DOUB", "NUMERIC", "DECIMAL", "NUMBER"), "DOUBLE"),
)
