"""What a text-to-SQL recipe knows of a database: its schema card.

Belongs here: the card's shape, reading it from a DuckDB file, and its JSON form, which is what a
prompt carries and what a teacher reads. Does not belong here: building or running databases
(verifiers/sql) and anything that writes questions (clients).

Documentation lives in the database as COMMENT ON, in the form
`'<noun phrase>[; also: synonym, synonym][; unit: USD][; note]'`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from distill_assets.errors import DatabaseSourceError

MAX_SAMPLE_VALUES = 24
# A text column with more different values than this is a free text or a name, not a category.
MAX_CATEGORY_VALUES = 24


class Column(NamedTuple):
    """One column: DuckDB type, documentation, and what its values look like.

    `values` holds up to 24 distinct sample values as text in value order spread over the whole
    range (so for numbers and dates the first is the minimum and the last the maximum);
    `n_distinct` counts all. `references` is "table.column" or None.
    """

    name: str
    type: str
    doc: str
    values: tuple[str, ...]
    n_distinct: int
    is_primary_key: bool
    references: str | None


class Table(NamedTuple):
    """One table: documentation, number of rows, columns in their order."""

    name: str
    doc: str
    n_rows: int
    columns: tuple[Column, ...]


class Schema(NamedTuple):
    """A database's schema card."""

    name: str
    tables: tuple[Table, ...]


def read_schema(name: str, path: Path) -> Schema:
    """Describe the DuckDB file at `path` as a schema card.

    Raises:
        DatabaseSourceError: when the file cannot be opened or holds no table.
    """
    import duckdb

    try:
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise DatabaseSourceError(f"database '{name}' at {path} cannot be opened: {error}. Nothing was written.") from error
    with con:
        tables = con.sql(
            "select table_name, comment from duckdb_tables() where schema_name = 'main' and not internal order by table_name"
        ).fetchall()
        if not tables:
            raise DatabaseSourceError(f"database '{name}' at {path} holds no table in schema main. Fill it, or name another file.")
        names = {table.lower(): table for table, _ in tables}
        return Schema(name, tuple(_read_table(con, table, doc or "", names) for table, doc in tables))


def _read_table(con, table: str, doc: str, names: dict[str, str]) -> Table:
    rows = con.execute(
        "select column_name, data_type, comment from duckdb_columns()"
        " where schema_name = 'main' and table_name = ? order by column_index",
        [table],
    ).fetchall()
    primary, foreign = _read_keys(con, table, names)
    n_rows = con.sql(f"select count(*) from {quote_name(table)}").fetchall()[0][0]
    columns = tuple(
        _read_column(con, table, (name, type_, comment or ""), name in primary, foreign.get(name)) for name, type_, comment in rows
    )
    return Table(table, doc, n_rows, columns)


def _read_keys(con, table: str, names: dict[str, str]) -> tuple[set[str], dict[str, str]]:
    """Primary key columns, and foreign key column -> "table.column" with the table spelled as it was made."""
    rows = con.execute(
        "select constraint_type, constraint_column_names, referenced_table, referenced_column_names"
        " from duckdb_constraints() where schema_name = 'main' and table_name = ?",
        [table],
    ).fetchall()
    primary: set[str] = set()
    foreign: dict[str, str] = {}
    for kind, columns, target, target_names in rows:
        if kind == "PRIMARY KEY":
            primary.update(columns)
        elif kind == "FOREIGN KEY" and len(columns) == 1:
            foreign[columns[0]] = f"{names[target.lower()]}.{target_names[0]}"
    return primary, foreign


def _read_column(con, table: str, head: tuple[str, str, str], is_key: bool, references: str | None) -> Column:
    name, type_, doc = head
    column = quote_name(name)
    values = con.sql(f"select distinct {column} as v from {quote_name(table)} where {column} is not null order by v").fetchall()
    shown = [_as_text(value) for (value,) in _spread(values, MAX_SAMPLE_VALUES)]
    return Column(name, type_, doc, tuple(shown), len(values), is_key, references)


def _spread(values: list, n: int) -> list:
    """Take `n` items at even steps, the first and the last among them."""
    if len(values) <= n:
        return values
    return [values[round(i * (len(values) - 1) / (n - 1))] for i in range(n)]


def _as_text(value: object) -> str:
    return value.isoformat(sep=" ") if hasattr(value, "hour") and hasattr(value, "year") else str(value)


def quote_name(name: str) -> str:
    """Quote an SQL identifier by doubling its quotes."""
    return '"' + name.replace('"', '""') + '"'


def schema_to_json(schema: Schema) -> str:
    """Return the card as compact JSON: the form a prompt carries.

    Tables: name, doc, n_rows, columns; columns: name, type, doc, values, n_distinct, key, references.
    """
    tables = [
        {"name": t.name, "doc": t.doc, "n_rows": t.n_rows, "columns": [_column_to_dict(c) for c in t.columns]}
        for t in schema.tables
    ]
    return json.dumps({"database": schema.name, "tables": tables}, ensure_ascii=False, separators=(",", ":"))


def _column_to_dict(column: Column) -> dict[str, object]:
    out: dict[str, object] = {"name": column.name, "type": column.type}
    if column.doc:
        out["doc"] = column.doc
    out |= {"values": list(column.values), "n_distinct": column.n_distinct}
    if column.is_primary_key:
        out["key"] = True
    if column.references:
        out["references"] = column.references
    return out


def schema_from_json(text: str) -> Schema:
    """Read a card back from `schema_to_json`'s form.

    Raises:
        DatabaseSourceError: when the text is not a schema card.
    """
    try:
        card = json.loads(text)
        return Schema(card["database"], tuple(_table_from_dict(t) for t in card["tables"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseSourceError(f"not a schema card: {error!r} in {text[:80]!r}") from error


def _table_from_dict(table: dict) -> Table:
    columns = tuple(
        Column(
            c["name"], c["type"], c.get("doc", ""), tuple(c.get("values", ())), c.get("n_distinct", 0),
            bool(c.get("key")), c.get("references"),
        )
        for c in table["columns"]
    )  # fmt: skip
    return Table(table["name"], table.get("doc", ""), table.get("n_rows", 0), columns)
