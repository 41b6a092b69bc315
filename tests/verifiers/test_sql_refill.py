"""A refilled instance: same schema, valid keys, same domains, other rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from distill_assets.databases import read_schema
from distill_assets.errors import DatabaseSourceError
from distill_assets.verifiers.sql.instances import build_database, refill_database

AWKWARD = """
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE SEQUENCE ticket;
CREATE TABLE groups_of (id INTEGER PRIMARY KEY, code VARCHAR UNIQUE);
CREATE TABLE staff (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES staff (id), name VARCHAR, mood mood);
CREATE TABLE members (group_id INTEGER REFERENCES groups_of (id), staff_id INTEGER REFERENCES staff (id), role VARCHAR,
    PRIMARY KEY (group_id, staff_id));
CREATE TABLE badges (staff_id INTEGER PRIMARY KEY REFERENCES staff (id), colour VARCHAR);
CREATE TABLE spans (lo INTEGER, hi INTEGER, twice INTEGER GENERATED ALWAYS AS (lo * 2),
    n INTEGER DEFAULT nextval('ticket'), CHECK (lo <= hi));
CREATE TABLE seats (group_id INTEGER, staff_id INTEGER, seat VARCHAR,
    FOREIGN KEY (group_id, staff_id) REFERENCES members (group_id, staff_id));
CREATE TABLE Desks (ID INTEGER PRIMARY KEY, spot VARCHAR);
CREATE TABLE lamps (id INTEGER PRIMARY KEY, Desk INTEGER REFERENCES desks (id), kind VARCHAR);
CREATE UNIQUE INDEX one_lamp ON lamps (desk);
CREATE TABLE loose (a VARCHAR, b INTEGER);
CREATE TABLE bare (a INTEGER PRIMARY KEY);
CREATE TABLE "odd ""n"" x" ("a b" INTEGER, "select" VARCHAR);
INSERT INTO groups_of SELECT i, 'g' || i FROM range(20) AS t (i);
INSERT INTO staff VALUES (0, NULL, 'top', 'calm');
INSERT INTO staff SELECT i, 0, 'n' || i, 'calm' FROM range(1, 5) AS t (i);
INSERT INTO staff SELECT i, 1 + i % 4, 'n' || i, 'cross' FROM range(5, 30) AS t (i);
INSERT INTO members SELECT i % 20, (i * 7) % 30, 'r' || i % 3 FROM range(60) AS t (i);
INSERT INTO badges SELECT i, 'c' || i % 4 FROM range(0, 30, 2) AS t (i);
INSERT INTO spans (lo, hi) SELECT i, i + i % 3 FROM range(40) AS t (i);
INSERT INTO seats SELECT i % 20, (i * 7) % 30, 's' || i FROM range(30) AS t (i);
INSERT INTO Desks SELECT i, 's' || i FROM range(20) AS t (i);
INSERT INTO lamps SELECT i, i, 'k' || i % 3 FROM range(15) AS t (i);
INSERT INTO loose SELECT 'v' || i % 5, CASE WHEN i % 4 > 0 THEN i END FROM range(100) AS t (i);
INSERT INTO "odd ""n"" x" SELECT i, 'x' || i FROM range(10) AS t (i);
CREATE VIEW busy AS SELECT group_id, count(*) AS n FROM members GROUP BY group_id;
COMMENT ON TABLE staff IS 'a person; also: worker';
COMMENT ON COLUMN staff.name IS 'the person''s name';
"""


@pytest.fixture
def awkward(tmp_path: Path) -> Path:
    (tmp_path / "awkward.sql").write_text(AWKWARD)
    build_database(tmp_path / "awkward.sql", tmp_path / "awkward.duckdb")
    return tmp_path / "awkward.duckdb"


def test_same_seed_same_rows_and_another_seed_others(dump, instances: dict[str, list[Path]], tmp_path: Path) -> None:
    source, first, second = instances["shop"]
    refill_database(source, tmp_path / "again.duckdb", 1)
    assert dump(tmp_path / "again.duckdb") == dump(first)
    assert dump(first) != dump(second) != dump(source)


@pytest.mark.parametrize("name", ["shop", "clinic", "bikeshare"])
def test_refill_keeps_schema_drops_rows_and_changes_the_rest(dump, instances: dict[str, list[Path]], name: str) -> None:
    source, refilled, _ = instances[name]
    before, after = read_schema(name, source), read_schema(name, refilled)
    assert _shape(before) == _shape(after)
    for old, new in zip(before.tables, after.tables, strict=True):
        assert new.n_rows == old.n_rows - int(old.n_rows * 0.15)
        for was, now in zip(old.columns, new.columns, strict=True):
            if was.n_distinct <= 8:
                assert now.values == was.values, f"{old.name}.{was.name}"
    rows, other = dump(source), dump(refilled)
    for table in rows:
        assert not set(rows[table]) & set(other[table]) or len(set(rows[table]) & set(other[table])) < len(other[table]) / 4


def _shape(schema) -> list:
    return [(t.name, t.doc, [(c.name, c.type, c.doc, c.is_primary_key, c.references) for c in t.columns]) for t in schema.tables]


@pytest.mark.parametrize("name", ["shop", "clinic", "bikeshare"])
def test_refilled_keys_are_valid(instances: dict[str, list[Path]], name: str) -> None:
    for path in instances[name]:
        with duckdb.connect(str(path), read_only=True) as con:
            for table in read_schema(name, path).tables:
                for column in table.columns:
                    if column.references:
                        parent, key = column.references.split(".")
                        lost = f"SELECT count(*) FROM {table.name} WHERE {column.name} NOT IN (SELECT {key} FROM {parent})"
                        assert con.sql(lost).fetchall() == [(0,)]


def test_null_share_is_kept(dump, awkward: Path, tmp_path: Path) -> None:
    refill_database(awkward, tmp_path / "r.duckdb", 3)
    values = [b for _, b in dump(tmp_path / "r.duckdb")["loose"]]
    assert len(values) == 85 and values.count(None) == 21


def test_awkward_schema_is_refilled_whole(dump, awkward: Path, tmp_path: Path) -> None:
    refill_database(awkward, tmp_path / "r.duckdb", 7)
    old, new = dump(awkward), dump(tmp_path / "r.duckdb")
    assert _shape(read_schema("a", awkward)) == _shape(read_schema("a", tmp_path / "r.duckdb"))
    assert sorted(row[:2] for row in new["staff"]) == sorted(row[:2] for row in old["staff"])
    assert new["staff"] != sorted(old["staff"])
    assert all(lo <= hi and twice == 2 * lo for lo, hi, twice, _ in new["spans"])
    assert len(new["groups_of"]) == 17 and len({code for _, code in new["groups_of"]}) == 17
    assert 0 < len(new["members"]) <= 51 and {row[:2] for row in new["members"]} != {row[:2] for row in old["members"]}
    assert {row[:2] for row in new["seats"]} <= {row[:2] for row in new["members"]}
    assert {desk for _, desk, _ in new["lamps"]} <= {desk for desk, _ in new["Desks"]}
    assert len(new['odd "n" x']) == 9 and new["bare"] == []
    with duckdb.connect(str(tmp_path / "r.duckdb"), read_only=True) as con:
        assert con.sql("SELECT sum(n) FROM busy").fetchall() == [(len(new["members"]),)]


def test_refill_of_no_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseSourceError, match="cannot be refilled"):
        refill_database(tmp_path / "none.duckdb", tmp_path / "t.duckdb", 1)
    assert list(tmp_path.iterdir()) == []
