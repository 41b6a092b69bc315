"""Rules about a question and its SQL: each passes what is right and names what is wrong."""

from __future__ import annotations

import pytest

from distill_assets.judge.critics.canaries import ATTACKS, HONEST_TRACE, WRONG_SQL
from distill_assets.judge.heuristics import RULES, Generation, apply_rules
from distill_assets.judge.heuristics.sql import check_aggregate, check_literals, check_no_leak
from distill_assets.judging import HeuristicsSpec

SPEC = HeuristicsSpec()


@pytest.mark.parametrize("question", ["select the best from our shops?", "Which order_items are late?", "where o.city = 'York'"])
def test_a_question_that_gives_the_query_away(question: str):
    assert "gives the query away" in check_no_leak(Generation(question, "", ""), SPEC)


@pytest.mark.parametrize(
    "question", ["Which orders are late?", "select a nice lamp", "shops from e.g. York", "who ordered well-known goods"]
)
def test_a_question_in_plain_words(question: str):
    assert check_no_leak(Generation(question, "", ""), SPEC) is None


@pytest.mark.parametrize(
    ("question", "sql"),
    [
        ("orders to York", "SELECT 1 FROM o WHERE city = 'York'"),
        ("orders to york shops", "WHERE city = 'York'"),
        ("delivered orders", "WHERE status = 'delivery'"),
        ("orders of O'Neill", "WHERE name = 'O''Neill'"),
        ("orders in 2023", "WHERE year(d) = 2023"),
        ("orders over 1,500 dollars", "WHERE total > 1500"),
        ("orders in March", "WHERE month(d) = 3"),
        ("orders in mar 2024", "WHERE month(d) = 3 AND year(d) = 2024"),
        ("customers with three orders", "HAVING COUNT(*) = 3"),
        ("the best customers", "ORDER BY x LIMIT 10"),
        ("any order", "WHERE n > 0"),
        ("orders in 2023", "WHERE d >= '2023-01-01'"),
        ("all", "SELECT t1.a FROM t1"),
    ],
)
def test_literals_that_the_question_names(question: str, sql: str):
    assert check_literals(Generation(question, "", sql), SPEC) is None


@pytest.mark.parametrize(
    ("question", "sql", "words"),
    [
        ("orders to Bath", "WHERE city = 'York'", "'York'"),
        ("orders in 2023", "WHERE year(d) = 2024", "uses 2024"),
        ("orders over 150", "WHERE total > 1500", "uses 1500"),
        ("orders over 1500", "WHERE total > 150", "uses 150"),
        ("orders in April", "WHERE month(d) = 3", "uses 3"),
        ("orders this year", "WHERE d >= '2023-01-01'", "2023"),
    ],
)
def test_literals_that_it_does_not_name(question: str, sql: str, words: str):
    assert words in check_literals(Generation(question, "", sql), SPEC)


@pytest.mark.parametrize(
    ("question", "sql", "is_well"),
    [
        ("average price", "SELECT AVG(p)", True), ("average price", "SELECT SUM(p)", False), ("the mean fee", "SELECT fee", False),
        ("total price", "SELECT SUM(p)", True), ("total price", "SELECT MAX(p)", False),
        ("total number of orders", "SELECT COUNT(*)", True),
        ("total and average price", "SELECT SUM(p), AVG(p)", True), ("prices", "SELECT MAX(p)", True),
    ],
)  # fmt: skip
def test_the_aggregate_that_the_question_names(question: str, sql: str, is_well: bool):
    assert (check_aggregate(Generation(question, "", sql), SPEC) is None) == is_well


@pytest.mark.parametrize(
    ("question", "sql", "is_caught"),
    [
        ("visits longer than 20 minutes", "SELECT id FROM v WHERE minutes < 20", True),
        ("visits longer than 20 minutes", "SELECT id FROM v WHERE minutes > 20", False),
        ("fewer than 5 stars", "SELECT id FROM v WHERE stars >= 5", True),
        ("no less than 25", "SELECT id FROM v WHERE minutes >= 25", False),
        ("more than 5 and less than 9", "SELECT id FROM v WHERE a < 9 AND b <> 2", False),
        ("visits over 3 not in Bend", "SELECT id FROM v WHERE city <> 'Bend' AND a > 3", False),
    ],
)
def test_a_comparison_the_other_way_round_is_caught(question: str, sql: str, is_caught: bool) -> None:
    assert (RULES["comparison_agrees"](Generation(question, "", sql), SPEC) is not None) == is_caught


@pytest.mark.parametrize(
    ("question", "sql", "is_caught"),
    [
        ("the 6 users with the highest balance", "SELECT n FROM r ORDER BY credit LIMIT 6", True),
        ("the 6 users with the highest balance", "SELECT n FROM r ORDER BY credit DESC LIMIT 6", False),
        ("cheapest lamp", "SELECT n FROM p ORDER BY price DESC LIMIT 1", True),
        ("the cheapest of the newest lamps", "SELECT n FROM p ORDER BY price DESC LIMIT 1", False),
        ("most affordable lamp", "SELECT n FROM p ORDER BY price LIMIT 1", False),
        ("the oldest patients", "SELECT n FROM p ORDER BY born LIMIT 3", False),
        ("trips of at least 3 km, the longest one", "SELECT id FROM t ORDER BY km DESC LIMIT 1", False),
        ("orders sorted by the highest price", "SELECT id FROM o ORDER BY price", False),
    ],
)
def test_a_ranking_the_other_way_round_is_caught(question: str, sql: str, is_caught: bool) -> None:
    assert (RULES["rank_agrees"](Generation(question, "", sql), SPEC) is not None) == is_caught


@pytest.mark.parametrize(
    ("question", "sql", "is_caught"),
    [
        ("trips from Opera House", "SELECT id FROM t WHERE name <> 'Opera House'", True),
        ("trips that are not from Opera House", "SELECT id FROM t WHERE name <> 'Opera House'", False),
        ("orders not paid by gift card", "SELECT id FROM o WHERE payment = 'gift card'", True),
        ("no more than 5 stars", "SELECT id FROM t WHERE stars <= 5", False),
        ("not more than 5 stars", "SELECT id FROM t WHERE stars <= 5", False),
        ("bikes without a trip", "SELECT n FROM b WHERE id IN (SELECT bike_id FROM t)", True),
        ("bikes that don't have charging", "SELECT n FROM b WHERE NOT has_charging", False),
        ("insurers of patients", "SELECT insurer FROM p WHERE insurer IS NOT NULL", False),
    ],
)
def test_an_exclusion_that_only_one_side_has_is_caught(question: str, sql: str, is_caught: bool) -> None:
    assert (RULES["negation_agrees"](Generation(question, "", sql), SPEC) is not None) == is_caught


@pytest.mark.parametrize(
    ("sql", "is_caught"),
    [
        ("SELECT c.segment FROM c WHERE c.segment = 'student'", True),
        ("SELECT DISTINCT segment FROM c WHERE segment = 'student' AND b = 1", True),
        ("SELECT c.name FROM c WHERE c.segment = 'student'", False),
        ("SELECT c.segment FROM c WHERE c.segment = 'a' OR c.b = 2", False),
        ("SELECT c.segment FROM c WHERE c.seg = 'a'", False),
    ],
)
def test_a_query_that_returns_what_it_filters_by_is_caught(sql: str, is_caught: bool) -> None:
    assert (RULES["answer_is_open"](Generation("which customers are students", "", sql), SPEC) is not None) == is_caught


@pytest.mark.parametrize(
    ("sql", "is_well"),
    [
        ("SELECT 0 AS answer", False), ("SELECT 0 -- from the shop", False), ("SELECT 'from orders'", False), ("SELECT 1 /* FROM a */", False),
        ("select count(*) from orders", True), ("WITH t AS (SELECT * FROM orders) SELECT * FROM t", True), ("FROM orders", True),
    ],
)  # fmt: skip
def test_a_query_that_reads_no_table_answers_nothing(sql: str, is_well: bool):
    assert (RULES["reads_data"](Generation("how many orders", "", sql), SPEC) is None) == is_well


def test_every_canary_fails_a_rule_before_a_critic_is_believed():
    for question, trace, sql in ATTACKS.values():
        answer = Generation(f"how many orders{question}", f"{HONEST_TRACE}{trace}", f"{WRONG_SQL}{sql}")
        assert any(problem for _, problem in apply_rules(answer, SPEC))
