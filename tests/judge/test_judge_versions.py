"""What makes which judge asset out of date, by the recipe's fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from distill_assets.config import load_recipe
from distill_assets.judge.assets import build_judge_assets
from tests.scenario import write_scenario

CRITICS = {"judges": [{"model": "gpt-5", "base_url": "http://127.0.0.1:1/v1"}]}


def versions(folder: Path, judge: dict[str, Any]) -> dict[str, str]:
    write_scenario(folder)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "judge": judge}), encoding="utf-8")
    assets = build_judge_assets(load_recipe(folder))
    return {key.path[-1]: version for asset in assets for key, version in asset.code_versions_by_key.items()}


def critics(**changes: Any) -> dict[str, Any]:
    return {"critics": {**CRITICS, **changes}}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({}, {"heuristics": {"max_question_chars": 100}}, {"verdicts"}),
        ({}, {"review": {"accepted": 99}}, set()),
        ({}, {"review": {"min_reviewers": 2}}, {"judged_samples"}),
        ({}, {"sandbox": {"minimum": "none"}}, set()),
        ({}, {"critics": {"threshold": 0.5}}, set()),  # nobody judges by it
        ({}, critics(), {"verdicts"}),
        (critics(), critics(threshold=0.5), {"verdicts"}),
        (critics(), critics(same_family="refuse", families={"x": "y"}), set()),
        (critics(), critics(judges=[{**CRITICS["judges"][0], "limits": {"concurrency": 3}}]), set()),
        (critics(), critics(n_pairs=5), {"judge_calibration"}),
    ],
)
def test_a_change_touches_what_it_decides(tmp_path: Path, before: dict, after: dict, changed: set[str]):
    old, new = versions(tmp_path / "a", before), versions(tmp_path / "b", after)
    assert {name for name in old if old[name] != new[name]} == changed
