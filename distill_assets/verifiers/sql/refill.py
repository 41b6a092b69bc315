"""The same database with other contents, so that a query cannot be right by accident.

Belongs here: `refill_database`. Does not belong here: reading sources (instances), running queries
(execution).

The idea: about 15% of each table's rows go; each other value is dealt anew within its column, so
that single values stay real and literals still hit, but rows say something else. Keys stay valid:
a row keeps its primary key, a foreign key moves through one map from old to surviving parents, so
that a busy parent has a busy successor and a parent without children stays likely. Ranks come from
md5(seed, table, column, row), so that a seed means the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from distill_assets.databases import quote_name
from distill_assets.errors import DatabaseSourceError
from distill_assets.verifiers.sql.layers import insert_layers
from distill_assets.verifiers.sql.publish import written_beside

DROPPED_FRAC = 0.15


class _Table(NamedTuple):
    """What decides how a table is refilled.

    `fixed` columns stay with their row; `parents` are foreign keys of one column to other tables;
    `own_links` point into the table itself; `wide_links` are foreign keys of several columns.
    """

    name: str
    columns: tuple[str, ...]
    fixed: frozenset[str]
    parents: dict[str, tuple[str, str]]
    own_links: tuple[tuple[str, str], ...]
    wide_links: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...]


def refill_database(source_db: Path, target: Path, seed: int) -> None:
    """Write `target`: the schema and comments of the DuckDB file `source_db`, filled differently.

    The same source and seed give the same rows. A table that refers to itself loses no row and
    keeps its keys as they are; only its other columns are dealt anew.

    Raises:
        DatabaseSourceError: when the source cannot be read or a constraint refuses the new rows.
    """
    import duckdb

    with written_beside(target) as draft:
        try:
            with duckdb.connect(config={"threads": 1}) as con:
                con.execute(f"ATTACH {_text(source_db)} AS old (READ_ONLY)")
                con.execute(f"ATTACH {_text(draft)} AS new")
                con.execute("COPY FROM DATABASE old TO new (SCHEMA)")
                for table in _read_tables(con):
                    _refill_table(con, table, seed)
                con.execute("CHECKPOINT new")
                con.execute("DETACH new")
        except duckdb.Error as error:
            raise DatabaseSourceError(f"{source_db} cannot be refilled: {error} {target} was not written.") from error


def _read_tables(con) -> Iterable[_Table]:
    """Yield the tables of schema main, parents before children."""
    columns = con.execute(
        "SELECT c.table_name, list(c.column_name ORDER BY c.ordinal_position) FROM information_schema.columns AS c"
        " JOIN duckdb_tables() AS t ON t.database_name = c.table_catalog AND t.schema_name = c.table_schema"
        " AND t.table_name = c.table_name WHERE c.table_catalog = 'old' AND c.table_schema = 'main'"
        " AND c.is_generated = 'NEVER' GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    rules = _read_rules(con, {name: tuple(listed) for name, listed in columns})
    tables = {name: _describe_table(name, tuple(listed), rules) for name, listed in columns}
    needs = {name: sorted({rule[3] for rule in rules if rule[0] == name and rule[3]} - {name}) for name in tables}
    return [tables[name] for name in TopologicalSorter(needs).static_order()]


def _read_rules(con, columns: dict[str, tuple[str, ...]]) -> list[tuple]:
    """Return (table, kind, columns, target, target columns) of every constraint, names spelled as declared."""
    rules = con.execute(
        "SELECT table_name, constraint_type, constraint_column_names, referenced_table, referenced_column_names"
        " FROM duckdb_constraints() WHERE database_name = 'old' AND schema_name = 'main'"
        " AND constraint_type <> 'NOT NULL' ORDER BY constraint_index"
    ).fetchall()
    rules += con.execute(
        "SELECT table_name, 'UNIQUE', string_split(trim(expressions, '[]'), ', '), NULL, []"
        " FROM duckdb_indexes() WHERE database_name = 'old' AND schema_name = 'main' AND is_unique ORDER BY index_name"
    ).fetchall()
    spelled = {name.lower(): name for name in columns}
    out = []
    for table, kind, mine, target, theirs in rules:
        parent = spelled[target.lower()] if target else None
        out.append((table, kind, _spell(mine, columns[table]), parent, _spell(theirs, columns.get(parent, ()))))
    return out


def _spell(names: Iterable[str], columns: tuple[str, ...]) -> list[str]:
    """Return `names` in the spelling of the table; what is no column, such as an expression, is left out."""
    spelled = {column.lower(): column for column in columns} | {quote_name(c).lower(): c for c in columns}
    return [spelled[name.lower()] for name in names if name.lower() in spelled]


def _describe_table(name: str, columns: tuple[str, ...], rules: list[tuple]) -> _Table:
    mine = [rule[1:] for rule in rules if rule[0] == name]
    links = [(tuple(cols), target, tuple(theirs)) for kind, cols, target, theirs in mine if kind == "FOREIGN KEY"]
    own = tuple((cols[0], theirs[0]) for cols, target, theirs in links if target == name and len(cols) == 1)
    wide = tuple(link for link in links if len(link[0]) > 1 and link[1] != name)
    tied = {column for cols, target, _ in links if target == name or len(cols) > 1 for column in cols}
    parents = {cols[0]: (target, theirs[0]) for cols, target, theirs in links if len(cols) == 1 and cols[0] not in tied}
    fixed = {column for rule in rules if rule[3] == name for column in rule[4]} | tied
    for kind, cols, _, _ in mine:
        if kind == "PRIMARY KEY" or (kind != "FOREIGN KEY" and (len(cols) > 1 or set(cols) & parents.keys())):
            fixed.update(cols)
    return _Table(name, columns, frozenset(fixed), parents, own, wide)


def _refill_table(con, table: _Table, seed: int) -> None:
    kept = _keep_rows(con, table, seed)
    joins, values = [], []
    for i, column in enumerate(table.columns):
        parent = table.parents.get(column)
        if parent:
            _map_parents(con, i, parent, seed)
        if column in table.fixed:
            source = f"o.{quote_name(column)}"
        else:
            _deal_column(con, table, i, kept, seed)
            joins.append(f"LEFT JOIN dealt_{i} AS d{i} ON d{i}.n = k.n")
            source = f"d{i}.v"
        if parent:
            joins.append(f"LEFT JOIN moved_{i} AS m{i} ON m{i}.was = {source}")
            source = f"m{i}.now"
        values.append(f"{source} AS {quote_name(column)}")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE refilled AS SELECT {', '.join(values)} FROM kept AS k"
        f" JOIN {_old(table.name)} AS o ON o.rowid = k.r {' '.join(joins)} ORDER BY k.n"
    )
    left = insert_layers(con, f"new.main.{quote_name(table.name)}", "refilled", table.columns, table.own_links)
    if left:
        raise DatabaseSourceError(f"table {table.name}: {left} rows refer to each other in a ring. Nothing was written.")


def _keep_rows(con, table: _Table, seed: int) -> int:
    """Write `kept` (r: old row id, n: 1..) with the rows that stay, and return their number."""
    total = con.execute(f"SELECT count(*) FROM {_old(table.name)}").fetchall()[0][0]
    wanted = total if table.own_links else total - int(total * DROPPED_FRAC)
    links = [((column,), *parent) for column, parent in table.parents.items() if column in table.fixed]
    links = [(mine, target, (theirs,)) for mine, target, theirs in links] + list(table.wide_links)
    alive = "".join(f" AND {_has_parent(*link)}" for link in links)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE kept AS SELECT r, row_number() OVER (ORDER BY r) AS n FROM"
        f" (SELECT c.rowid AS r FROM {_old(table.name)} AS c WHERE true{alive}"
        f" ORDER BY {_rank(seed, table.name, 'keep', 'c.rowid')} LIMIT {wanted})"
    )
    return con.execute("SELECT count(*) FROM kept").fetchall()[0][0]


def _has_parent(mine: tuple[str, ...], target: str, theirs: tuple[str, ...]) -> str:
    null = " OR ".join(f"c.{quote_name(column)} IS NULL" for column in mine)
    match = " AND ".join(f"p.{quote_name(t)} = c.{quote_name(m)}" for m, t in zip(mine, theirs, strict=True))
    return f"({null} OR EXISTS (SELECT 1 FROM new.main.{quote_name(target)} AS p WHERE {match}))"


def _map_parents(con, i: int, parent: tuple[str, str], seed: int) -> None:
    """Write `moved_i` (was -> now): survivors change places one to one, the dropped fall to any survivor."""
    target, column = parent
    key = quote_name(column)
    alive = f"SELECT {key} AS k FROM new.main.{quote_name(target)} WHERE {key} IS NOT NULL"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE moved_{i} AS WITH alive AS ({alive}),"
        f" placed AS (SELECT k, row_number() OVER (ORDER BY {_rank(seed, target, 'from', 'k')}, k) AS a,"
        f" row_number() OVER (ORDER BY {_rank(seed, target, 'to', 'k')}, k) AS b FROM alive),"
        f" gone AS (SELECT {key} AS k, row_number() OVER (ORDER BY {_rank(seed, target, 'gone', key)}, {key}) AS g"
        f" FROM {_old(target)} WHERE {key} IS NOT NULL AND {key} NOT IN (SELECT k FROM alive))"
        " SELECT f.k AS was, t.k AS now FROM placed AS f JOIN placed AS t ON t.b = f.a"
        " UNION ALL SELECT g.k, t.k FROM gone AS g"
        " JOIN placed AS t ON t.a = 1 + (g.g - 1) % (SELECT greatest(count(*), 1) FROM alive)"
    )


def _deal_column(con, table: _Table, i: int, kept: int, seed: int) -> None:
    """Write `dealt_i` (n, v): one value for each kept row, NULL share kept, rare values first in the draw."""
    column = table.columns[i]
    name = quote_name(column)
    count = f"SELECT count(*), count({name}) FROM {_old(table.name)}"
    total, filled = con.execute(count).fetchall()[0]
    wanted = min(filled, round(filled * kept / total)) if total else 0
    draw = _rank(seed, table.name, f"draw {column}", "rowid")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE dealt_{i} AS WITH pool AS (SELECT {name} AS v, {draw} AS h,"
        f" row_number() OVER (PARTITION BY {name} ORDER BY {draw}) AS nth"
        f" FROM {_old(table.name)} WHERE {name} IS NOT NULL),"
        f" picked AS (SELECT v, h FROM pool ORDER BY nth > 1, h LIMIT {wanted}),"
        f" padded AS (SELECT v, h FROM picked UNION ALL SELECT NULL, range::VARCHAR FROM range({kept - wanted}))"
        f" SELECT v, row_number() OVER (ORDER BY {_rank(seed, table.name, f'place {column}', 'h')}) AS n FROM padded"
    )


def _rank(seed: int, table: str, purpose: str, value: str) -> str:
    """Return an SQL expression that ranks rows by the seed and `value`, evenly and repeatably."""
    return f"md5({_text(f'{seed}|{table}|{purpose}|')} || {value}::VARCHAR)"


def _old(table: str) -> str:
    return f"old.main.{quote_name(table)}"


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
