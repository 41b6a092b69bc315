"""Whether an answer is right, by running it on two instances of a real database."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import polars as pl
import pytest

from distill_assets.evaluate.items import Model
from distill_assets.evaluate.scoring import extract_sql, judge_answer, score_answers
from distill_assets.verifiers.sql.execution import SqlRunner

NAMES = ["d#0", "d#1"]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRunner]:
    folder = tmp_path_factory.mktemp("scoring")
    for name, rows in (("0", "(1, 'x', 2), (2, 'y', 3)"), ("1", "(1, 'x', 5), (2, 'x', 1), (3, 'y', 3)")):
        with duckdb.connect(str(folder / f"{name}.duckdb")) as con:
            con.execute(f"create table t (id integer, a varchar, b integer); insert into t values {rows}")
    with SqlRunner({f"d#{ix}": folder / f"{ix}.duckdb" for ix in (0, 1)}) as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        (" SELECT 1", "SELECT 1"),
        ("```sql\nSELECT 1;\n```\nDone", "SELECT 1"),
        ("SELECT 1; DROP TABLE t", "SELECT 1"),
        ("SELECT 1\n\nThis counts.", "SELECT 1"),
        ("", ""),
    ],
)
def test_the_query_is_taken_out_of_a_models_text(text: str, sql: str) -> None:
    assert extract_sql(text) == sql


@pytest.mark.parametrize(
    ("sql", "is_valid", "kind"),
    [
        ("SELECT COUNT(*) FROM t WHERE a = 'x'", True, None),
        ("SELECT COUNT(id) FROM t WHERE a LIKE 'x'", True, None),
        ("SELECT 1", True, "wrong_result"),  # right on instance 0 by luck, wrong on instance 1
        ("SELECT COUNT(* FROM t", False, "syntax"),
        ("SELECT COUNT(*) FROM nowhere", False, "unknown_name"),
        ("DROP TABLE t", False, "not_select"),
        ("", False, "empty"),
    ],
)
def test_an_answer_is_right_only_when_all_instances_agree(runner: SqlRunner, sql: str, is_valid: bool, kind: str | None) -> None:
    item = {"gold_sql": "SELECT COUNT(*) FROM t WHERE a = 'x'", "finish_reason": "stop"}
    assert judge_answer(sql, item, runner, NAMES) == (is_valid, kind)


def test_a_cut_off_answer_is_called_truncated(runner: SqlRunner) -> None:
    assert judge_answer("SELECT COUNT(", {"gold_sql": "SELECT 1", "finish_reason": "length"}, runner, NAMES) == (False, "truncated")


def test_an_unanswered_item_counts_as_wrong_and_seen_values_come_from_the_train_split(runner: SqlRunner) -> None:
    items = pl.DataFrame(
        {
            "item_id": ["i1", "i2"], "source": ["human", "human"], "database": ["d", "d"], "question": ["x?", "y?"],
            "gold_sql": ["SELECT b FROM t WHERE a = 'x'", "SELECT b FROM t WHERE a = 'y'"], "prompt": ["p1", "p2"], "answer_key": ["k1", "k2"],
        }
    )  # fmt: skip
    answers = pl.DataFrame(
        {
            "answer_key": ["k1"],
            "text": ["SELECT b FROM t WHERE a = 'x'"],
            "finish_reason": ["stop"],
            "n_prompt_tokens": [3],
            "n_completion_tokens": [4],
        }
    )
    training = pl.DataFrame(
        {"sql": ["SELECT b FROM t WHERE a = 'x'", "SELECT b FROM t WHERE a = 'y'"], "split": ["train", "heldout"]}
    )
    scored = score_answers(items, answers, Model("student", "s", "r"), training, runner, {"d": NAMES}).sort("item_id")
    assert scored["is_correct"].to_list() == [True, False]
    assert scored["error_kind"].to_list() == [None, "empty"]
    assert scored["is_seen_value"].to_list() == [True, False]
