"""Sources become DuckDB files that keep rows, types, keys and comments."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import duckdb
import pytest

from distill_assets.databases import read_schema
from distill_assets.errors import DatabaseSourceError
from distill_assets.verifiers.sql.instances import build_database


@pytest.mark.parametrize("name", ["shop", "clinic", "bikeshare"])
def test_shipped_script_builds_fast_and_the_same_each_time(dump, recipe: Path, tmp_path: Path, name: str) -> None:
    script = recipe / "databases" / f"{name}.sql"
    with duckdb.connect() as con:
        start = time.process_time()
        con.execute(script.read_text())
        assert time.process_time() - start < 0.3
    for target in ("a.duckdb", "b.duckdb"):
        build_database(script, tmp_path / target)
    assert dump(tmp_path / "a.duckdb") == dump(tmp_path / "b.duckdb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.duckdb", "b.duckdb"]


@pytest.mark.parametrize("name", ["shop", "clinic", "bikeshare"])
def test_shipped_database_is_documented_and_keyed(instances: dict[str, list[Path]], name: str) -> None:
    schema = read_schema(name, instances[name][0])
    for table in schema.tables:
        assert table.doc, table.name
        assert any(column.is_primary_key for column in table.columns), table.name
        assert all(column.doc for column in table.columns), table.name
    assert any(column.references for table in schema.tables for column in table.columns)


def test_broken_script_names_the_fault_and_leaves_the_target(tmp_path: Path) -> None:
    target = tmp_path / "t.duckdb"
    target.write_bytes(b"old")
    (tmp_path / "bad.sql").write_text("CREATE TABLE a (id INTEGER); INSERT INTO b VALUES (1);")
    with pytest.raises(DatabaseSourceError, match=r"(?s)bad\.sql does not load.*target was not written"):
        build_database(tmp_path / "bad.sql", target)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.sql", "t.duckdb"]


@pytest.mark.parametrize("name", ["data.csv", "missing.sql", "missing.duckdb"])
def test_unusable_source_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatabaseSourceError, match="target was not written"):
        build_database(tmp_path / name, tmp_path / "t.duckdb")


def test_duckdb_file_is_copied_and_a_fake_one_refused(dump, instances: dict[str, list[Path]], tmp_path: Path) -> None:
    build_database(instances["shop"][0], tmp_path / "copy.duckdb")
    assert dump(tmp_path / "copy.duckdb") == dump(instances["shop"][0])
    (tmp_path / "fake.duckdb").write_bytes(b"not a database at all" * 100)
    with pytest.raises(DatabaseSourceError, match="not a DuckDB file"):
        build_database(tmp_path / "fake.duckdb", tmp_path / "t.duckdb")
    assert not (tmp_path / "t.duckdb").exists()


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    """Every awkward thing SQLite allows: loose types, orphans, rings, self references, odd names."""
    path = tmp_path / "in.sqlite"
    with sqlite3.connect(path) as con:
        con.executescript(
            """
            CREATE TABLE "child" (id INTEGER PRIMARY KEY, mother INT REFERENCES parent, note TEXT, loose INTEGER);
            CREATE TABLE parent (id INTEGER PRIMARY KEY, "full name" TEXT NOT NULL, born DATE, paid DECIMAL(8,2),
                ok BOOLEAN, raw BLOB);
            CREATE TABLE orphan (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent (id));
            CREATE TABLE staff (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES staff (id));
            CREATE TABLE pair (a INTEGER, b INTEGER, weight REAL, PRIMARY KEY (a, b));
            CREATE TABLE egg (id INTEGER PRIMARY KEY, hen_id INTEGER REFERENCES hen (id));
            CREATE TABLE hen (id INTEGER PRIMARY KEY, egg_id INTEGER REFERENCES egg (id));
            INSERT INTO parent VALUES (1, 'Ann O''Hara', '1980-02-03', 12.5, 1, x'00ff'),
                (2, 'Bo', NULL, NULL, 0, NULL);
            INSERT INTO child VALUES (10, 2, 'line' || char(10) || 'two', 5), (11, NULL, '', 'five');
            INSERT INTO orphan VALUES (1, 99);
            INSERT INTO staff VALUES (1, 3), (2, 1), (3, NULL);
            INSERT INTO pair VALUES (1, 1, 0.5), (1, 2, 1.5);
            INSERT INTO egg VALUES (1, NULL);
            INSERT INTO hen VALUES (1, 1);
            """
        )
    con.close()
    return path


def test_sqlite_file_keeps_rows_types_and_keys(dump, sqlite_file: Path, tmp_path: Path) -> None:
    before = sqlite_file.read_bytes()
    build_database(sqlite_file, tmp_path / "out.duckdb")
    assert sqlite_file.read_bytes() == before
    schema = read_schema("x", tmp_path / "out.duckdb")
    types = {f"{t.name}.{c.name}": c.type for t in schema.tables for c in t.columns}
    assert types["parent.id"] == "BIGINT" and types["parent.born"] == "DATE" and types["parent.paid"] == "DECIMAL(8,2)"
    assert types["parent.ok"] == "BOOLEAN" and types["parent.raw"] == "BLOB" and types["pair.weight"] == "DOUBLE"
    assert types["child.loose"] == "VARCHAR"
    links = {f"{t.name}.{c.name}": c.references for t in schema.tables for c in t.columns if c.references}
    assert links["child.mother"] == "parent.id" and links["staff.boss"] == "staff.id"
    assert "orphan.parent_id" not in links
    assert len({"egg.hen_id", "hen.egg_id"} & set(links)) == 1
    keys = {f"{t.name}.{c.name}" for t in schema.tables for c in t.columns if c.is_primary_key}
    assert {"pair.a", "pair.b", "child.id", "orphan.id"} <= keys
    rows = dump(tmp_path / "out.duckdb")
    assert rows["child"] == [(10, 2, "line\ntwo", "5"), (11, None, "", "five")]
    assert rows["orphan"] == [(1, 99)] and sorted(rows["staff"], key=str) == [(1, 3), (2, 1), (3, None)]
    assert rows["parent"][0][1] == "Ann O'Hara" and rows["parent"][0][5] == b"\x00\xff"


def test_sqlite_import_takes_many_rows(dump, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "big.db") as con:
        con.execute("CREATE TABLE n (i INTEGER PRIMARY KEY, t TEXT)")
        con.executemany("INSERT INTO n VALUES (?, ?)", ((i, f"text {i}") for i in range(12_345)))
    con.close()
    build_database(tmp_path / "big.db", tmp_path / "big.duckdb")
    rows = dump(tmp_path / "big.duckdb")["n"]
    assert len(rows) == 12_345 and rows[-1] == (12_344, "text 12344")


@pytest.mark.parametrize("content", [b"not sqlite, not at all" * 50, b""])
def test_sqlite_file_without_tables_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.db").write_bytes(content)
    with pytest.raises(DatabaseSourceError, match=r"bad\.db"):
        build_database(tmp_path / "bad.db", tmp_path / "t.duckdb")
    assert not (tmp_path / "t.duckdb").exists()
