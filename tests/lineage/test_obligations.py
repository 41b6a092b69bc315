"""Obligations: what is known is said, what only a person can decide is neither met nor unmet."""

from __future__ import annotations

from typing import Any

import pytest

from distill_assets.lineage.obligations import find_obligations
from tests.lineage.example_manifest import source, teacher

NAME = 'name must begin with "Llama"'


def read(licence: str | None, student: str = "student", **changed: Any) -> dict[str, bool | None]:
    found = find_obligations([teacher("t", licence=licence, **changed)], student)
    return {row["obligation"]: row["is_met"] for row in found}


@pytest.mark.parametrize("licence", ["llama3.1", "llama3.3", "Llama 3.2", "LLAMA_3.3", "llama-4", "Llama 3.1 Community License"])
@pytest.mark.parametrize(
    ("student", "is_met"), [("Llama-sql-1B", True), ("llama-sql", True), ("sql-Llama", False), ("text_to_sql", False)]
)
def test_a_name_is_checked_where_the_licence_asks_for_it(licence: str, student: str, is_met: bool) -> None:
    found = read(licence, student)
    assert found.pop(NAME) is is_met
    assert len(found) == 1 and all("Built with Llama" in words and state is None for words, state in found.items())


@pytest.mark.parametrize("licence", ["llama2", "llama3", "Meta Llama 3"])
def test_older_llamas_restrict_what_outputs_may_improve(licence: str) -> None:
    found = read(licence, "Llama 3 sql")
    assert found["outputs may not improve other large language models"] is None
    assert NAME not in found


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("api.openai.com", None),
        ("x", "https://openai.com/policies"),
        ("api.anthropic.com", None),
        ("generativelanguage.googleapis.com", None),
    ],
)
def test_a_hosted_model_without_licence_is_held_to_its_providers_terms(provider: str, url: str | None) -> None:
    ((words, is_met),) = read(None, provider=provider, terms_url=url).items()
    assert "competing-use" in words and is_met is None


def test_a_stated_licence_goes_before_the_provider() -> None:
    assert read("apache-2.0", provider="api.openai.com") == {}


@pytest.mark.parametrize("licence", ["apache-2.0", "MIT", "CC0-1.0", "BSD-3-Clause"])
def test_free_licences_ask_nothing(licence: str) -> None:
    assert read(licence) == {}


@pytest.mark.parametrize("licence", [None, "", "unspecified", "Unknown", "mit-like, see page", "apache-2.0 with a rider"])
def test_what_is_not_known_is_never_met(licence: str | None) -> None:
    assert list(read(licence, provider="vllm").values()) == [None]


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("cc-by-4.0", {"name the authors"}), ("CC BY NC 4.0", {"name the authors", "no commercial use"}),
        ("cc-by-nc-sa-4.0", {"name the authors", "no commercial use", "share alike"}), ("cc-by-nd-4.0", {"name the authors", "no derivatives"}),
        ("gemma", {"a model trained on outputs"}), ("OpenAI Services Agreement", {"competing-use"}),
    ],
)  # fmt: skip
def test_other_licences_ask_what_they_say(licence: str, words: set[str]) -> None:
    found = read(licence)
    assert len(found) == len(words)
    assert all(any(one.startswith(word) for one in found) for word in words) and set(found.values()) == {None}


def test_a_row_that_was_not_seen_obliges_and_no_row_does_not() -> None:
    assert NAME in read("llama3.3", n_rows_seen=0)
    assert read("llama3.3", n_rows=0) == {}


def test_sources_count_and_order_does_not() -> None:
    teachers = [teacher("b", licence="gemma"), teacher("a", licence="llama3.3"), teacher("a", licence="llama3.3")]
    sources = [source("seeds.jsonl", "cc-by-sa-4.0", 3, 0), source("none.jsonl", "cc-by-4.0", 0, 0)]
    found = find_obligations(teachers, "s", sources)
    assert found == find_obligations(teachers[::-1], "s", sources[::-1])
    assert [row["holder"] for row in found] == ["a@9216db57", "a@9216db57", "b@9216db57", "seeds.jsonl", "seeds.jsonl"]
