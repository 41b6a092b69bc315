"""Samples that people wrote: each becomes a row with its licence, or the run stops and says where."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

from distill_assets.errors import SeedError
from distill_assets.identity import make_id
from distill_assets.seed.real_samples import load_real_samples
from distill_assets.tables import REAL_SAMPLES, check_frame
from distill_assets.verifiers.sql.check_items import GoldProblem, check_gold

ROW = {"database": "shop", "question": "how many orders", "sql": "SELECT COUNT(*) FROM orders"}
OTHER = {"database": "shop", "question": "the dearest order", "sql": "SELECT MAX(price) FROM orders"}


def write(folder: Path, *rows: dict, name: str = "real.jsonl") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def find_nothing(items: list[dict[str, str]]) -> list[GoldProblem]:
    return []


def load(folder: Path, *patterns: str, check=find_nothing, databases: tuple[str, ...] = ("shop", "zoo")) -> pl.DataFrame:
    return load_real_samples(folder, patterns or ("*.jsonl",), list(databases), "CC0-1.0", check)


def test_rows_become_the_table_whatever_the_files_kind_and_a_licence_of_their_own_stays(tmp_path: Path):
    write(tmp_path, ROW, OTHER | {"licence": "CC-BY-4.0"})
    pl.DataFrame([ROW | {"question": "how  many\norders of May"}]).write_csv(tmp_path / "more.csv")
    pl.DataFrame([ROW | {"question": "and of June", "licence": None}]).write_parquet(tmp_path / "last.parquet")
    frame = load(tmp_path, "real.jsonl", "more.csv", "last.parquet")
    check_frame(REAL_SAMPLES, frame)
    found = {row["question"]: (row["licence"], row["source_file"]) for row in frame.iter_rows(named=True)}
    assert found == {
        "how many orders": ("CC0-1.0", "real.jsonl"),
        "the dearest order": ("CC-BY-4.0", "real.jsonl"),
        "how many orders of May": ("CC0-1.0", "more.csv"),
        "and of June": ("CC0-1.0", "last.parquet"),
    }


def test_the_id_is_of_what_was_written_and_not_of_where(tmp_path: Path):
    write(tmp_path, ROW, OTHER, name="a/one.jsonl")
    write(tmp_path, OTHER, ROW | {"licence": "MIT"}, name="b/two.jsonl")
    ids = [load(tmp_path, pattern)["sample_id"].to_list() for pattern in ("a/*.jsonl", "b/*.jsonl")]
    assert ids[0] == ids[1] == sorted(ids[0])
    assert make_id("real", ROW["database"], ROW["question"], ROW["sql"]) in ids[0]


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path: Path):
    write(tmp_path, ROW, name="a/real.jsonl")
    write(tmp_path, OTHER, name="b/real.jsonl")
    assert set(load(tmp_path, "*/real.jsonl")["source_file"]) == {"a/real.jsonl", "b/real.jsonl"}


def test_white_space_in_a_query_stays_and_one_in_a_question_is_folded(tmp_path: Path):
    write(tmp_path, ROW | {"question": " a\t b ", "sql": "SELECT 'x  y' -- why\nFROM orders\n"})
    [row] = load(tmp_path).rows(named=True)
    assert (row["question"], row["sql"]) == ("a b", "SELECT 'x  y' -- why\nFROM orders")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "hold no sample.*take mix.real_samples out"),
        ([ROW, ROW | {"question": "  "}], "real.jsonl:2: field 'question' must be a non-empty text"),
        ([ROW, ROW | {"question": 7}], "real.jsonl:2: field 'question'.*got 7"),
        ([ROW, OTHER | {"sql": None}], "real.jsonl:2: field 'sql'.*got nothing"),
        ([ROW, OTHER | {"licence": ""}], "real.jsonl:2: field 'licence'"),
        ([ROW, OTHER | {"database": "moon"}], "real.jsonl:2: field 'database' must be one of shop, zoo"),
        ([ROW, {key: value for key, value in OTHER.items() if key != "database"}], "real.jsonl:2.*got nothing"),
        ([ROW, OTHER | {"gold_sql": "x"}], "real.jsonl:2: unknown field 'gold_sql'"),
        ([ROW, OTHER, ROW | {"question": "how  many orders"}], "real.jsonl:3: repeats real.jsonl:1"),
        ([ROW | {"question": "x" * 2_001}], "2,001 characters, over 2,000"),
        ([ROW | {"sql": "x" * 10_000_000}], "real.jsonl:1: the line is longer than 1,048,576 characters"),
    ],
)
def test_what_is_no_sample_stops_the_run_and_says_where(tmp_path: Path, rows: list[dict], words: str):
    write(tmp_path, *rows)
    with pytest.raises(SeedError, match=words) as error:
        load(tmp_path)
    assert "the last good tables stay" in str(error.value) and len(str(error.value)) < 1_000


def test_links_and_patterns_that_lead_out_are_refused(tmp_path: Path):
    folder = tmp_path / "recipe"
    outside = write(tmp_path, ROW, name="outside.jsonl")
    folder.mkdir()
    (folder / "link.jsonl").symlink_to(outside)
    for pattern, words in (
        ("../outside.jsonl", "leads out"),
        (str(outside), "leads out"),
        ("link.jsonl", "link"),
        ("no", "no file"),
    ):
        with pytest.raises(SeedError, match=words):
            load(folder, pattern)


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two fillings of one table, and of a second one that is the same in both."""
    folder, files = tmp_path_factory.mktemp("shops"), []
    for n in (3, 5):
        files.append(folder / f"{n}.duckdb")
        with duckdb.connect(str(files[-1])) as connection:
            connection.execute(f"CREATE TABLE orders AS SELECT range AS id, range * {n} AS price FROM range({n})")
            connection.execute("CREATE TABLE units AS SELECT 'kg' AS unit")
    return files


def test_a_query_that_does_not_run_is_named_by_file_and_line(tmp_path: Path, shops: list[Path]):
    write(tmp_path, ROW, OTHER, name="a.jsonl")
    write(tmp_path, ROW | {"question": "again"}, OTHER | {"question": "slip", "sql": "SELECT prize FROM orders"}, name="b.jsonl")
    check = lambda items: check_gold(items, {"shop": shops})  # noqa: E731
    assert load(tmp_path, "a.jsonl", check=check).height == 2
    with pytest.raises(SeedError, match=r"2 problems with real samples: b.jsonl:2: fails on instance 0.*prize"):
        load(tmp_path, check=check)


def test_a_query_that_changes_the_database_does_not_run(tmp_path: Path, shops: list[Path]):
    write(tmp_path, ROW | {"sql": "DROP TABLE orders"})
    with pytest.raises(SeedError, match=r"real.jsonl:1: fails on instance 0"):
        load(tmp_path, check=lambda items: check_gold(items, {"shop": shops}))


def test_a_sample_may_have_the_same_answer_on_every_instance(tmp_path: Path, shops: list[Path]):
    """What people train on need not tell fillings apart; what measures, the holdout, must."""
    write(tmp_path, ROW | {"question": "in what do we weigh", "sql": "SELECT unit FROM units"})
    assert load(tmp_path, check=lambda items: check_gold(items, {"shop": shops})).height == 1
