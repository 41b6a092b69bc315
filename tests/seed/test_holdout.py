"""The holdout fails closed: an item that cannot be protected or scored stops the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_assets.errors import ContaminationError
from distill_assets.seed.holdout import load_holdout
from distill_assets.tables import HOLDOUT, check_frame
from distill_assets.verifiers.sql.check_items import GoldProblem

ITEM = {"database": "shop", "question": "how many?", "gold_sql": "SELECT 1"}


def write(folder: Path, *rows: dict) -> Path:
    file = folder / "holdout.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def find_nothing(items: list[dict[str, str]]) -> list[GoldProblem]:
    return []


def test_items_become_the_table(tmp_path: Path):
    frame = load_holdout(write(tmp_path, ITEM, ITEM | {"question": "who?"}), ["shop"], find_nothing, 3)
    check_frame(HOLDOUT, frame)
    assert set(frame["question"]) == {"how many?", "who?"}
    assert set(frame["gold_checked"]) == {3}


def test_an_items_id_is_its_question_so_that_a_mended_query_is_the_same_item(tmp_path: Path):
    first = load_holdout(write(tmp_path, ITEM), ["shop"], find_nothing, 1)["item_id"][0]
    mended = load_holdout(write(tmp_path, ITEM | {"gold_sql": "SELECT 2"}), ["shop"], find_nothing, 1)["item_id"][0]
    assert first == mended


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "holds no item"),
        ([ITEM, ITEM | {"question": " "}], r"holdout.jsonl:2: field 'question'"),
        ([ITEM, ITEM | {"gold_sql": None}], r"holdout.jsonl:2: field 'gold_sql'"),
        ([ITEM, ITEM | {"database": "moon"}], r"holdout.jsonl:2: field 'database'"),
        ([ITEM, ITEM | {"gold": "x"}], r"holdout.jsonl:2: unknown field 'gold'"),
        ([ITEM, ITEM | {"gold_sql": "SELECT 2"}], r"holdout.jsonl:2: repeats holdout.jsonl:1"),
        ([ITEM, ITEM | {"question": "x" * 2001}], r"2,001 characters, over 2,000"),
    ],
)
def test_a_bad_file_stops_the_run(tmp_path: Path, rows: list[dict], words: str):
    with pytest.raises(ContaminationError, match=words):
        load_holdout(write(tmp_path, *rows), ["shop"], find_nothing, 1)


def test_a_missing_file_stops_the_run(tmp_path: Path):
    with pytest.raises(ContaminationError, match=r"holdout.jsonl: cannot be read \(No such file"):
        load_holdout(tmp_path / "holdout.jsonl", ["shop"], find_nothing, 1)


def test_a_query_that_fails_is_named_by_the_line_it_stands_on(tmp_path: Path):
    file = tmp_path / "holdout.jsonl"
    file.write_text(f"\n{json.dumps(ITEM)}\n\n{json.dumps(ITEM | {'question': 'who?'})}\n")
    with pytest.raises(ContaminationError, match="1 problems with gold queries: line 4: fails"):
        load_holdout(file, ["shop"], lambda items: [GoldProblem(2, "shop", "fails")], 1)


def test_a_database_as_a_whole_is_named(tmp_path: Path):
    with pytest.raises(ContaminationError, match="shop: all the same"):
        load_holdout(write(tmp_path, ITEM), ["shop"], lambda items: [GoldProblem(None, "shop", "all the same")], 1)


def test_a_gold_querys_own_line_breaks_and_strings_are_kept(tmp_path: Path):
    sql = "SELECT name -- the name\nFROM t WHERE x = 'a  b'"
    frame = load_holdout(write(tmp_path, ITEM | {"gold_sql": sql}), ["shop"], find_nothing, 1)
    assert frame["gold_sql"][0] == sql
