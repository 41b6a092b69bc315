"""The starting recipe.yaml cannot drift from the recipe model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from distill_assets.config import Recipe, load_recipe
from distill_assets.recipes.starting import MEANINGS, render_recipe
from distill_assets.teachers import EMBEDDED_TEACHER, Spec

DATABASES = {"shop": "databases/shop.sql"}


def list_fields(model: type[BaseModel], place: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        found.add(place + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Spec):
            found |= list_fields(field.annotation, f"{place}{name}.")
    return found


def uncomment(text: str) -> str:
    """Take the mark off every line that shows a default; prose keeps its `# `."""
    return re.sub(r"^#(?=\S|  )", "", text, flags=re.MULTILINE)


def test_every_field_has_a_meaning_and_no_meaning_is_left_over():
    assert set(MEANINGS) == list_fields(Recipe)


def test_with_all_defaults_uncommented_it_is_the_model_at_full_scale():
    text = uncomment(render_recipe("mine", "recipes/mine", DATABASES, {"scale": "full"}))
    assert Recipe.model_validate(yaml.safe_load(text)) == Recipe(name="mine", databases=DATABASES)


def test_with_all_defaults_uncommented_every_field_is_there():
    data = yaml.safe_load(uncomment(render_recipe("mine", "recipes/mine", DATABASES, {})))

    def flatten(values: dict, place: str = "") -> set[str]:
        return {place + k for k in values} | {
            path for k, v in values.items() if isinstance(v, dict) and k != "databases" for path in flatten(v, f"{place}{k}.")
        }

    assert flatten(data) == list_fields(Recipe)


def test_as_written_only_what_differs_is_set_so_that_the_dial_still_works(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(render_recipe("mine", "recipes/mine", DATABASES, {}))
    recipe = load_recipe(tmp_path).recipe
    assert recipe == Recipe(name="mine", databases=DATABASES, scale="tiny")
    assert recipe.student.base_model == "tiny"
    assert recipe.teacher.model == EMBEDDED_TEACHER


def test_nested_settings_are_written_inside_their_section(tmp_path: Path):
    settings = {"generate": {"samples_per_seed": 7}, "student": {"train": {"epochs": 3}}, "description": "a: b # c"}
    (tmp_path / "recipe.yaml").write_text(render_recipe("mine", "recipes/mine", DATABASES, settings))
    recipe = load_recipe(tmp_path).recipe
    assert (recipe.generate.samples_per_seed, recipe.student.train.epochs, recipe.description) == (7, 3, "a: b # c")


@pytest.mark.parametrize("word", ["yes", "No", "null", "on", "1e5", "3", "a b", "tree: house", "", "#x", "ü"])
def test_texts_that_yaml_would_read_otherwise_stay_texts(word: str):
    data = yaml.safe_load(render_recipe("mine", "f", DATABASES, {"description": word, "seed_licence": word}))
    assert (data["description"], data["seed_licence"]) == (word, word)
