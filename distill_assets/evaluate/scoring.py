"""Whether an answer is right: its result against the gold result, on every instance.

Belongs here: taking the query out of a model's text, and the row of eval_results. Does not belong here:
running queries (verifiers), choosing items (items) or counting (report).

Test-suite accuracy (Zhong, Yu and Klein 2020): equal results on one database can be luck, so results
must be equal on each of several differently filled instances.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from distill_assets.evaluate.features import collect_literals, find_features, find_literals
from distill_assets.evaluate.items import Model
from distill_assets.tables import EVAL_RESULTS, build_frame
from distill_assets.verifiers.sql.compare import is_ordered, results_equal
from distill_assets.verifiers.sql.execution import QueryResult, SqlRunner


def extract_sql(text: str) -> str:
    """Return the first query in a model's text: code fences off, up to the first semicolon or blank line."""
    fenced = re.search(r"```(?:sql)?\s*(.*?)(?:```|$)", text, flags=re.DOTALL | re.IGNORECASE)
    body = (fenced[1] if fenced else text).strip()
    return re.split(r";|\n\s*\n", body, maxsplit=1)[0].strip()


def score_answers(
    items: pl.DataFrame,
    answers: pl.DataFrame,
    model: Model,
    training: pl.DataFrame,
    runner: SqlRunner,
    instances: Mapping[str, Sequence[str]],
) -> pl.DataFrame:
    """Return eval_results for one model.

    Args:
        items: of `name_answers`. answers: by answer_key, of the child. training: the dataset, for the
            literals that its train split holds. instances: database -> the runner's names.
    """
    seen = collect_literals(training.filter(pl.col("split") == "train")["sql"])
    joined = items.join(answers, on="answer_key", how="left").sort("item_id")
    rows = []
    for item in joined.iter_rows(named=True):
        sql = extract_sql(item["text"] or "")
        is_valid, error_kind = judge_answer(sql, item, runner, instances[item["database"]])
        rows.append(
            {
                **{name: item[name] for name in ("item_id", "source", "database", "question", "gold_sql", "answer_key")},
                "model_role": model.role,
                "model_name": model.name,
                "answer_sql": sql,
                "is_valid": is_valid,
                "is_correct": error_kind is None,
                "error_kind": error_kind,
                "is_seen_value": find_literals(item["gold_sql"]) <= seen,
                "features": find_features(item["gold_sql"]),
                "n_prompt_tokens": item["n_prompt_tokens"] or 0,
                "n_completion_tokens": item["n_completion_tokens"] or 0,
            }
        )
    return build_frame(EVAL_RESULTS, rows)


def judge_answer(sql: str, item: Mapping[str, object], runner: SqlRunner, instances: Sequence[str]) -> tuple[bool, str | None]:
    """Return (the query ran on every instance, None when right or why it is wrong)."""
    if not sql:
        return False, "empty"
    gold_sql = str(item["gold_sql"])
    found = [runner.run(name, sql) for name in instances]
    if (failed := next((result for result in found if result.failure), None)) is not None:
        return False, _name_failure(failed, item)
    gold = [runner.run(name, gold_sql) for name in instances]
    ordered = is_ordered(gold_sql)
    is_right = all(results_equal(g, f, ordered) for g, f in zip(gold, found, strict=True))
    return True, None if is_right else "wrong_result"


def _name_failure(result: QueryResult, item: Mapping[str, object]) -> str:
    return "truncated" if item.get("finish_reason") == "length" else str(result.failure)
