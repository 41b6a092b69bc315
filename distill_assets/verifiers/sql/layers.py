"""Filling a table whose rows refer to rows of the same table.

Belongs here: the order of insertion. DuckDB checks a foreign key against rows of earlier statements
only, so that rows are inserted in layers: first those that refer to nothing, then their children.
"""

from __future__ import annotations

from collections.abc import Sequence

from distill_assets.databases import quote_name


def insert_layers(con, target: str, source: str, columns: Sequence[str], own_links: Sequence[tuple[str, str]]) -> int:
    """Insert the rows of `source` into `target`, parents before children.

    Args:
        con: open DuckDB connection.
        target: quoted name of the table to fill.
        source: quoted name of a temporary table with (at least) `columns`; it is emptied.
        columns: unquoted column names to insert.
        own_links: (referring column, referred column) pairs within the table.

    Returns:
        The number of rows left over because they refer to each other in a ring or to nobody.
    """
    names = ", ".join(quote_name(column) for column in columns)
    if not own_links:
        con.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM {source} ORDER BY rowid")
        return 0
    ready = " AND ".join(
        f"({quote_name(child)} IS NULL OR {quote_name(child)} IN (SELECT {quote_name(parent)} FROM {target}))"
        for child, parent in own_links
    )
    layer = f"SELECT rowid AS r, {names} FROM {source} WHERE {ready} ORDER BY rowid"
    while True:
        con.execute(f"CREATE OR REPLACE TEMP TABLE layer AS {layer}")
        if not con.execute("SELECT count(*) FROM layer").fetchall()[0][0]:
            return con.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0]
        con.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM layer ORDER BY r")
        con.execute(f"DELETE FROM {source} WHERE rowid IN (SELECT r FROM layer)")
