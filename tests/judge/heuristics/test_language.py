"""The question's language: told by scripts and function words, and only when they say something."""

from __future__ import annotations

import pytest

from distill_assets.judge.heuristics import RULES, Generation
from distill_assets.judging import HeuristicsSpec


def find_problem(question: str, language: str | None = "en") -> str | None:
    return RULES["language"](Generation(question, "", ""), HeuristicsSpec(language=language))


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("Wie viele Kunden haben keine Bestellung?", "de"), ("quels clients ont passé plus de deux commandes", "fr"),
        ("cuántos pedidos hay por cliente", "es"), ("quali clienti sono di Roma", "it"), ("quantos pedidos tem o cliente", "pt"),
        ("hoeveel klanten zijn er met een bestelling", "nl"), ("сколько заказов у каждого клиента", "another script"),
        ("每个客户有多少订单", "another script"),
    ],
)  # fmt: skip
def test_another_language(question: str, found: str):
    assert found in find_problem(question)


@pytest.mark.parametrize(
    "question",
    [
        "avg fee", "orders", "how many customers are from Rio de la Plata", "films by Juan de la Cruz", "average price per city",
        "which shops in Köln sell Käse", "who ordered the pain au chocolat", "customers from São Paulo", "die cut machines in stock",
        "list trips from Place de la Concorde", "2024: 12 / 3 = ?", "",
    ],
)  # fmt: skip
def test_english_and_what_says_too_little(question: str):
    assert find_problem(question) is None


def test_the_recipe_names_the_language():
    german = "Wie viele Kunden haben keine Bestellung?"
    assert find_problem(german, "de") is None and find_problem(german, None) is None
    assert "'en'" in find_problem("how many customers have no order", "de")
    assert find_problem("сколько заказов у каждого клиента", "ru") is None
    assert "another script" in find_problem("how many customers have no order", "ru")
    assert find_problem("每个客户有多少订单", "zh") is None and find_problem("注文はいくつありますか", "ja") is None
