"""Prices: the recipe's own first, the library's table next, and never a guess."""

from __future__ import annotations

import pytest

from distill_assets.clients.desk import check_budget, open_desks
from distill_assets.clients.journal import Cap
from distill_assets.clients.prices import find_price
from distill_assets.clients.replies import Usage
from distill_assets.errors import BudgetError
from distill_assets.generate.sampling import SqlSample
from distill_assets.teachers import TeacherSpec

OWN = {"input_usd_per_mtok": 2, "output_usd_per_mtok": 8, "cached_input_usd_per_mtok": 0.5, "as_of": "2026-11-01"}


def test_the_embedded_teacher_is_free():
    assert find_price(TeacherSpec()).cost_usd(Usage(1000, 1000, 0, 0, False)) == 0


def test_the_recipes_price_wins_and_says_its_day():
    price = find_price(TeacherSpec(model="gpt-4o", price=OWN))
    assert price.cost_usd(Usage(1_000_000, 100_000, 50_000, 400_000, False)) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 8)
    assert price.at_most_usd(1000, 500) == pytest.approx(0.002 + 0.004)
    assert "2026-11-01" in price.source


def test_a_batch_costs_half():
    whole, half = find_price(TeacherSpec(model="m", price=OWN)), find_price(TeacherSpec(model="m", price=OWN, batch=True))
    assert half.at_most_usd(1000, 1000) == pytest.approx(whole.at_most_usd(1000, 1000) / 2)


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [("gpt-4o", None), ("gpt-4o-mini", "azure"), ("claude-sonnet-4-5", "anthropic"), ("gemini-2.5-flash", "gemini"),
     ("deepseek-chat", "deepseek"), ("meta-llama/llama-3.3-70b-instruct", "openrouter")],
)  # fmt: skip
def test_known_models_have_a_price_from_the_table(model: str, endpoint: str | None):
    base_url = "https://x.openai.azure.com/openai/v1" if endpoint == "azure" else None
    price = find_price(TeacherSpec(model=model, endpoint=endpoint, base_url=base_url))
    assert 0 < price.cached_input_usd <= price.input_usd < price.output_usd < 1e-3
    assert price.source.startswith("genai-prices ")


@pytest.mark.parametrize("fields", [{"model": "nobody-knows-1"}, {"model": "gpt-4o", "base_url": "http://127.0.0.1:8000/v1"}])
def test_an_unknown_price_is_none_and_refuses_a_budget_in_usd(fields: dict):
    spec = TeacherSpec(**fields)
    assert find_price(spec) is None
    desks = open_desks([spec], SqlSample, lambda _: "key")
    check_budget(desks, Cap(tokens=1000))
    with pytest.raises(BudgetError, match=r"price of teacher .* is not known. Nothing was sent. Write teacher.price"):
        check_budget(desks, Cap(usd=1.0))
