"""The learned filter in the graph: people's labels teach it, it settles samples, and the report tells how good it is."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.gates import asset_key
from distill_assets.reviews.labels import Label, append_labels, name_text
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import JUDGED_SAMPLES, QUALITY_SCORES
from tests.scenario import write_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def make(folder: Path, **quality: object) -> RecipeFolder:
    write_scenario(folder, samples_per_seed=24)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    recipe["judge"] = {"quality": {"min_labels": 40, "min_auc": 0.5, "keep_frac": 0.5, **quality}}
    recipe["curate"] = {"prefer": "difficult"}
    recipe["thresholds"] |= {"max_unscored_frac": 1.0, "min_accept_frac": 0.0}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return load_recipe(folder)


def run(folder: RecipeFolder, *select: str) -> list[str]:
    return run_recipe(folder, open_instance(), list(select), lambda _: None).errors


def label_all(folder: RecipeFolder, home: Path) -> None:
    """A person who likes long queries only: something that vectors of a text can tell."""
    version = find_versions(folder, open_instance())["judged_samples"]
    judged = read_table(Workspace(home), folder.recipe.name, JUDGED_SAMPLES, version).filter(pl.col("sql").is_not_null())
    middle = judged["sql"].str.len_chars().median()
    append_labels(Workspace(home), folder.recipe.name, [
        Label(
            sample_id=row["sample_id"], reviewer="ann", label="accept" if len(row["sql"]) > middle else "reject",
            labelled_at="2026-11-21T10:00:00Z", seen_status=row["judged_status"], drawn="random",
            text_id=name_text(row["question"], row["trace"], row["sql"]),
        )
        for row in judged.iter_rows(named=True)
    ])  # fmt: skip


def test_without_labels_all_is_unscored_and_with_them_the_report_tells_the_filters_figures(tmp_path: Path, home: Path):
    folder = make(tmp_path / "recipe")
    assert run(folder, "judged_samples") == []
    version = find_versions(folder, open_instance())["judged_samples"]
    first = read_table(Workspace(home), folder.recipe.name, JUDGED_SAMPLES, version)
    assert not (first["sample_status"] == "accepted").any()
    assert set(first.filter(pl.col("sample_status") == "unscored")["reason"]) == {"quality: the filter has no score for it"}

    label_all(folder, home)
    assert run(folder) == []
    versions = find_versions(folder, open_instance())
    scores = read_table(Workspace(home), folder.recipe.name, QUALITY_SCORES, versions["quality_scores"])
    assert scores["quality_score"].null_count() == 0
    assert scores["instruction_difficulty"].null_count() < scores.height
    event = open_instance().get_latest_materialization_event(asset_key(folder.recipe.name, "eval_report"))
    path = Path(str(event.asset_materialization.metadata["path"].value))
    figures = json.loads((path.parent / "report.json").read_text())["facts"]["quality"]
    assert figures["held_out_AUC"] > 0.65, "an untrained model's vectors and some 30 held-out labels"
    assert figures["held_out_labels"] > 5
    assert "Learned quality filter" in path.read_text(encoding="utf-8")
