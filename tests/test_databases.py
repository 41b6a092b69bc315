"""Schema cards of real DuckDB files."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from distill_assets.databases import read_schema, schema_from_json, schema_to_json
from distill_assets.errors import DatabaseSourceError

SCRIPT = """
create table "Band" (id integer primary key, "the name" varchar, founded date, fee decimal(6,2));
comment on table "Band" is 'a band; also: group';
create table gigs (id integer primary key, band_id integer references band (id), seats integer);
insert into "Band" select i, 'band ' || i, date '2020-01-01' + cast(i as integer), i from range(40) as t (i);
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "d.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(SCRIPT)
    return path


def test_a_card_tells_types_keys_docs_and_the_range_of_values(file: Path) -> None:
    schema = read_schema("d", file)
    band, gigs = schema.tables
    assert (band.name, band.doc, band.n_rows) == ("Band", "a band; also: group", 40)
    assert [column.name for column in band.columns] == ["id", "the name", "founded", "fee"]
    assert band.columns[0].is_primary_key and not band.columns[1].is_primary_key
    founded = band.columns[2]
    assert (founded.values[0], founded.values[-1], founded.n_distinct) == ("2020-01-01", "2020-02-09", 40)
    assert gigs.columns[1].references == "Band.id"  # spelled as the table was made
    assert gigs.columns[2].values == ()


def test_a_card_survives_its_json(file: Path) -> None:
    schema = read_schema("d", file)
    assert schema_from_json(schema_to_json(schema)) == schema


def test_what_is_no_database_or_no_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").write_text("not a database")
    with pytest.raises(DatabaseSourceError, match="cannot be opened"):
        read_schema("x", tmp_path / "x.duckdb")
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    with pytest.raises(DatabaseSourceError, match="holds no table"):
        read_schema("empty", tmp_path / "empty.duckdb")
    with pytest.raises(DatabaseSourceError, match="not a schema card"):
        schema_from_json('{"tables": 3}')
