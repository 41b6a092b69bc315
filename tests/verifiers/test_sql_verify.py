"""Verdicts on SQL answers, and the shipped gold queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_assets.errors import RecipeError
from distill_assets.verifiers.registry import STATUSES, VERIFIERS, Verifier, get_verifier
from distill_assets.verifiers.sql.check_items import check_gold
from distill_assets.verifiers.sql.execution import SqlRunner

GOLD = "SELECT country, COUNT(*) FROM customers GROUP BY country"


def read_items(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def verifier(instances: dict[str, list[Path]]) -> Iterator[Verifier]:
    files = {f"shop#{i}": path for i, path in enumerate(instances["shop"])}
    with SqlRunner(files) as runner:
        yield get_verifier("sql")(runner, tuple(files))


@pytest.mark.parametrize(
    ("answer", "gold", "status"),
    [
        ("SELECT country, COUNT(id) AS n FROM customers GROUP BY 1 ORDER BY n", GOLD, "passed"),
        ("SELECT COUNT(*), country FROM customers GROUP BY country", GOLD, "failed"),
        ("SELECT country, COUNT(*) FROM customers GROUP BY country LIMIT 3", GOLD, "failed"),
        ("SELECT country FROM", GOLD, "failed"),
        ("DROP TABLE customers", GOLD, "failed"),
        ("SELECT 42", "SELECT COUNT(*) FROM customers", "failed"),
        ("SELECT 1", "SELECT nothing", "unscored"),
        ("SELECT COUNT(*) FROM customers", None, "passed"),
        ("SELECT name FROM customers WHERE name = 'nobody'", None, "failed"),
        ("SELECT NULL", None, "failed"),
        ("SELECT x FROM customers", None, "failed"),
    ],
)
def test_verdict(verifier: Verifier, answer: str, gold: str | None, status: str) -> None:
    verdict = verifier.verify(answer, gold)
    assert verdict.status == status in STATUSES and verdict.reason
    assert verdict.score == {"passed": 1.0, "failed": 0.0, "unscored": None}[status]
    json.dumps(verdict.evidence)


def test_answer_right_by_accident_is_caught_by_another_filling(verifier: Verifier) -> None:
    verdict = verifier.verify("SELECT 42", "SELECT COUNT(*) FROM customers")
    assert verdict.evidence["instance"] == "shop#1"


def test_registry_offers_sql_first_and_refuses_others() -> None:
    assert next(iter(VERIFIERS)) == "sql"
    with pytest.raises(RecipeError, match=r"no verifier 'sqll' \(known: .*sql\)"):
        get_verifier("sqll")


@pytest.mark.parametrize(("name", "least"), [("holdout", 55), ("development", 22)])
def test_every_shipped_gold_holds_on_three_instances(recipe: Path, instances: dict[str, list[Path]], name: str, least: int) -> None:
    items = read_items(recipe / f"{name}.jsonl")
    assert all(set(item) == {"database", "question", "gold_sql"} and all(item.values()) for item in items)
    for database in instances:
        assert sum(item["database"] == database for item in items) >= least
    assert check_gold(items, instances) == []


def test_every_shipped_gold_gives_a_value_as_shipped(recipe: Path, instances: dict[str, list[Path]]) -> None:
    items = read_items(recipe / "holdout.jsonl") + read_items(recipe / "development.jsonl")
    assert check_gold(items, {name: paths[:1] for name, paths in instances.items()}) == []


def test_no_question_is_shipped_twice(recipe: Path) -> None:
    files = ["holdout.jsonl", "development.jsonl", "seeds/questions.jsonl", "seeds/topics.jsonl"]
    rows = [row for name in files for row in read_items(recipe / name)]
    texts = [(row["database"], " ".join(row.get("question", row.get("text", "")).lower().strip(" ?.!").split())) for row in rows]
    assert len(set(texts)) == len(texts)


def test_check_gold_names_each_fault(instances: dict[str, list[Path]]) -> None:
    items = [
        {"database": "shop", "gold_sql": "SELECT nothing FROM orders"},
        {"database": "shop", "gold_sql": "SELECT name FROM customers WHERE city = 'Atlantis'"},
        {"database": "zoo", "gold_sql": "SELECT 1"},
        {"database": "shop", "gold_sql": "SELECT COUNT(*) FROM customers"},
    ]
    problems = check_gold(items, instances)
    assert [(p.row, p.database) for p in problems if p.row != 1] == [(2, "shop"), (3, "zoo"), (None, "shop")]
    assert sum(p.row == 1 and "unknown_name" in p.problem for p in problems) == 3
