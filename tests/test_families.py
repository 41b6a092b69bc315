"""Which model is kin to which."""

from __future__ import annotations

import pytest

from distill_assets.families import find_families, find_kin, name_families
from distill_assets.judging import CriticSpec


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("gpt-5.2-mini", {"gpt"}), ("o3-pro", {"gpt"}), ("openai/gpt-oss-120b", {"gpt"}), ("claude-opus-4-5", {"claude"}),
        ("gemini-3-pro", {"gemini"}), ("google/gemma-3-270m", {"gemini"}), ("meta-llama/Llama-4-Scout", {"llama"}),
        ("Qwen/Qwen2.5-Coder-1.5B-Instruct", {"qwen"}), ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {"deepseek", "qwen"}),
        ("nvidia/Llama-3.1-Nemotron-70B", {"llama"}), ("smollm2-135m-instruct", {"smollm"}), ("Mixtral-8x22B", {"mistral"}),
        ("embedded/sql-grammar", {"sql-grammar"}), ("my-own-model", set()), ("photo1", set()), ("graphite", set()),
    ],
)  # fmt: skip
def test_a_name_tells_its_families(name: str, families: set[str]):
    assert find_families(name, {}) == families


def test_a_recipe_adds_to_the_table_and_terms_win():
    assert find_families("house-model-7b", {"house-model": "llama"}) == {"llama"}
    critic = CriticSpec(model="gpt-5", base_url="http://x/v1", terms={"family": "Other"})
    assert name_families(critic, ["gpt-5-2026"], {}) == {"other"}


def test_the_model_that_answered_counts_as_well_as_the_one_asked():
    critic = CriticSpec(model="judge", base_url="http://x/v1")
    assert name_families(critic, ["qwen3-32b"], {}) == {"qwen"}


def test_same_family_and_unknown_family_are_told_and_others_are_not():
    critics = {"a": frozenset({"gpt"}), "b": frozenset(), "c": frozenset({"claude"})}
    others = {("teacher", "t"): frozenset({"gpt"}), ("student", "s"): frozenset({"smollm"})}
    found = find_kin(critics, others)
    assert [(k.critic, k.role, k.families) for k in found] == [
        ("a", "teacher", ("gpt",)), ("b", "student", ()), ("b", "teacher", ()),
    ]  # fmt: skip
    assert "both of family gpt" in found[0].words
    assert "not known" in found[1].words
