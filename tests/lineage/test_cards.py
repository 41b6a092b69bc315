"""Cards: front matter that the hub's own classes read back, and foreign text that stays text."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from distill_assets.lineage.cards import render_dataset_card, render_model_card
from distill_assets.lineage.export.eu_summary import render_eu_summary
from distill_assets.lineage.showing import code, fold, table
from tests.lineage.example_manifest import HOSTILE, build_least, build_manifest

READER = MarkdownIt("commonmark").enable("table")


def body(card: str) -> str:
    return card.split("\n---\n", 1)[1]


def test_the_hub_reads_the_model_card_back() -> None:
    from huggingface_hub import ModelCard

    manifest = build_manifest()
    card = ModelCard(render_model_card(manifest))
    assert card.data.base_model == manifest["student"]["base_model"]
    assert card.data.license == "other" and card.data.license_name == "not-said"
    (shown,) = card.data.eval_results
    assert (shown.dataset_name, shown.metric_value, shown.dataset_revision) == ("holdout", 0.61, "2026-02")


def test_only_screened_figures_of_the_student_are_results_and_the_others_are_named() -> None:
    text = render_model_card(build_manifest())
    assert "aime26" not in text.split("\n---\n")[0]
    (line,) = [line for line in text.splitlines() if "aime26" in line]
    assert "**unscreened**" in line


def test_the_hub_reads_the_dataset_card_back() -> None:
    from huggingface_hub import DatasetCard

    data = DatasetCard(render_dataset_card(build_manifest())).data
    assert "synthetic" in data.tags and data.annotations_creators == ["machine-generated"]


def test_a_known_licence_goes_by_its_name() -> None:
    from huggingface_hub import ModelCard

    manifest = build_manifest()
    manifest["student"]["base_licence"] = "Apache-2.0"
    assert ModelCard(render_model_card(manifest)).data.license == "apache-2.0"


def test_a_broken_front_matter_is_refused_by_the_same_reader() -> None:
    from huggingface_hub import ModelCard

    text = render_model_card(build_manifest()).replace("base_model:", "base_model: [", 1)
    with pytest.raises((yaml.YAMLError, ValueError)):
        ModelCard(text)


@pytest.mark.parametrize("render", [render_model_card, render_dataset_card, render_eu_summary])
@pytest.mark.parametrize("build", [build_manifest, build_least])
def test_no_name_becomes_markup(render: Any, build: Any) -> None:
    text = render(build())
    tokens = READER.parse(body(text) if text.startswith("---") else text)
    inline = [child for token in tokens for child in token.children or []]
    assert not [token for token in tokens if token.type in ("html_block", "fence", "code_block")]
    assert not [child for child in inline if child.type in ("html_inline", "link_open", "image")]


@pytest.mark.parametrize("render", [render_model_card, render_dataset_card, render_eu_summary])
def test_the_check_above_finds_markup(render: Any) -> None:
    tokens = READER.parse(render(build_manifest()) + "\n\na <b>x</b> [x](y)")
    kinds = {child.type for token in tokens for child in token.children or []}
    assert {"html_inline", "link_open"} <= kinds


def test_every_table_has_the_cells_of_its_head() -> None:
    tokens = READER.parse(body(render_model_card(build_manifest())))
    heads = sum(token.type == "th_open" for token in tokens)
    assert heads > 20
    text = " ".join(child.content for token in tokens for child in token.children or [] if child.type == "code_inline")
    assert "<script>window.pwned=1</script>" in text and "[U+202E]" in text


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("`|\\<a *_[](!&;\n~"), max_size=14))
@example(text=HOSTILE.replace("\x00", "").replace("\ud800", ""))
def test_code_in_a_cell_reads_back_as_the_text(text: str) -> None:
    tokens = READER.parse(table(["a", "b"], [[code(text), "x"]]))
    cells = [token for token in tokens if token.type == "inline"][2:]
    assert len(cells) == 2 and cells[1].content == "x"
    if fold(text) != "not said":
        (only,) = cells[0].children or []
        assert only.type == "code_inline"
        assert only.content.replace("\\ |", "\\|").strip() == fold(text).replace("\\ |", "\\|").strip()


def test_the_manifest_is_left_alone() -> None:
    manifest = build_manifest()
    before = copy.deepcopy(manifest)
    render_model_card(manifest)
    assert manifest == before
