"""`distill new-recipe` writes a folder that checks well, or nothing at all."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from distill_assets.cli import main
from distill_assets.commands.check_recipe import check
from distill_assets.commands.new_recipe import write_recipe
from distill_assets.config import built_in_recipe, load_recipe
from distill_assets.errors import DatabaseSourceError, RecipeError, StorageError
from distill_assets.prompts import load_prompt, read_lock

SHOP = "CREATE TABLE things (id INT PRIMARY KEY, kind VARCHAR); INSERT INTO things VALUES (1, 'a'), (2, 'b'), (3, 'a'), (4, 'b');"


def read_rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def make_database(folder: Path, kind: str) -> Path:
    file = folder / f"My Shop-2{kind}"
    if kind == ".sql":
        file.write_text(SHOP)
    elif kind == ".duckdb":
        with duckdb.connect(str(file)) as con:
            con.execute(SHOP)
    else:
        with sqlite3.connect(file) as con:
            con.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, kind TEXT)")
            con.executemany("INSERT INTO things VALUES (?, ?)", [(i, "ab"[i % 2]) for i in range(9)])
        con.close()
    return file


def test_the_example_checks_well_as_it_is(tmp_path: Path):
    words = write_recipe("mine", tmp_path / "recipes", None)
    folder = tmp_path / "recipes" / "mine"
    problems, summary = check(folder)
    assert problems == []
    assert "5 seeds, 6 holdout items" in summary
    assert str(folder) in words
    assert load_recipe(folder).recipe.scale == "tiny"


def test_prompts_come_with_their_lock(tmp_path: Path):
    write_recipe("mine", tmp_path, None)
    built_in = built_in_recipe("text_to_sql")
    assert load_prompt(tmp_path / "mine", "write_sample.v1") == load_prompt(built_in, "write_sample.v1")
    assert set(read_lock(tmp_path / "mine" / "prompts")) == {f.stem for f in (built_in / "prompts").glob("*.v*.md")}


@pytest.mark.parametrize("kind", [".sql", ".duckdb", ".db", ".sqlite", ".sqlite3"])
def test_a_database_of_ones_own_is_copied_and_read(tmp_path: Path, kind: str):
    words = write_recipe("mine", tmp_path, make_database(tmp_path, kind))
    folder = tmp_path / "mine"
    recipe = load_recipe(folder).recipe
    assert recipe.databases == {"my_shop_2": f"databases/my_shop_2{kind}"}
    assert {row["text"] for row in read_rows(folder / "seeds" / "topics.jsonl")} == {"how many things there are", "things by kind"}
    assert (folder / "holdout.jsonl").read_text() == ""
    assert "holdout.jsonl is empty" in words


def test_nobodys_questions_are_made_up_and_the_check_says_so(tmp_path: Path):
    write_recipe("mine", tmp_path, make_database(tmp_path, ".sql"))
    problems, _ = check(tmp_path / "mine")
    assert any("holdout.jsonl" in p and "0 items" in p for p in problems)


def test_with_the_examples_taken_over_the_recipe_of_ones_own_can_run(tmp_path: Path):
    database = built_in_recipe("text_to_sql") / "databases" / "clinic.sql"
    write_recipe("mine", tmp_path, database)
    folder = tmp_path / "mine"
    (folder / "holdout.example.jsonl").rename(folder / "holdout.jsonl")
    assert check(folder)[0] == []


@pytest.mark.parametrize("name", ["", "1st", "a b", "../up", "a/b", "ü", "x" * 61, "text_to_sql"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str):
    with pytest.raises(RecipeError, match="Nothing was written"):
        write_recipe(name, tmp_path / "recipes", None)
    assert not (tmp_path / "recipes").exists()


def test_an_existing_folder_is_left_alone(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("mine")
    with pytest.raises(RecipeError, match="already there"):
        write_recipe("mine", tmp_path, None)
    assert [f.name for f in tmp_path.rglob("*")] == ["mine", "precious.txt"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.sql", None, "no such file"),
        ("notes.txt", b"x", "unknown kind"),
        ("bad.sql", b"CREATE TABLE (", "does not load"),
        ("bad.duckdb", b"not a database", "not a DuckDB file"),
        ("bad.sqlite", b"not a database at all", "SQLite"),
        ("empty.sql", b"", "no table"),
    ],
)
def test_an_unreadable_database_leaves_nothing_behind(tmp_path: Path, name: str, content: bytes | None, words: str):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DatabaseSourceError, match=words):
        write_recipe("mine", tmp_path / "recipes", file)
    assert not (tmp_path / "recipes").exists()


def test_a_file_where_the_folder_should_be_is_a_clear_error(tmp_path: Path):
    (tmp_path / "recipes").write_text("a file")
    with pytest.raises(StorageError, match="cannot be written"):
        write_recipe("mine", tmp_path / "recipes", None)
    assert (tmp_path / "recipes").read_text() == "a file"


def test_on_the_command_line_an_error_has_no_traceback(tmp_path: Path):
    found = CliRunner().invoke(main, ["new-recipe", "1st", "--folder", str(tmp_path)])
    assert found.exit_code == 1
    assert found.output.startswith("Error: RecipeError: recipe name '1st'")
