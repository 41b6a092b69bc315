"""Databases of the shipped recipe, built once and filled three ways."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

import distill_assets
from distill_assets.databases import quote_name
from distill_assets.verifiers.sql.instances import build_database, refill_database

RECIPE = Path(distill_assets.__file__).parent / "recipes" / "text_to_sql"


@pytest.fixture(scope="session")
def recipe() -> Path:
    return RECIPE


@pytest.fixture(scope="session")
def instances(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Database name -> its DuckDB files: as shipped, then refilled with seeds 1 and 2."""
    folder = tmp_path_factory.mktemp("instances")
    out: dict[str, list[Path]] = {}
    for script in sorted((RECIPE / "databases").glob("*.sql")):
        files = [folder / f"{script.stem}.{seed}.duckdb" for seed in range(3)]
        build_database(script, files[0])
        for seed in (1, 2):
            refill_database(files[0], files[seed], seed)
        out[script.stem] = files
    return out


@pytest.fixture(scope="session")
def dump():
    """Return the function that reads every table's rows in stored order."""
    return _dump


def _dump(path: Path) -> dict[str, list[tuple]]:
    with duckdb.connect(str(path), read_only=True) as con:
        names = [name for (name,) in con.sql("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        return {name: con.sql(f"SELECT * FROM {quote_name(name)} ORDER BY rowid").fetchall() for name in names}
