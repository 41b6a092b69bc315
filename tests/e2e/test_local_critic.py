"""The whole judging stage with a real language model as critic: answers that cannot be read included, nothing scored 0 by failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from distill_assets.clients.journal import open_journal
from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import JUDGE_CALIBRATION, JUDGED_SAMPLES, VERDICTS, TableSpec
from tests.local_teacher import LocalTeacher, serve_local_teacher
from tests.scenario import SEEDS, write_jsonl, write_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalTeacher]:
    # One slot: what prompts have in common is read once, and not by two at the same time.
    with serve_local_teacher(tmp_path, "--context", "4096", "--slots", "1") as served:
        yield served


def make(folder: Path, server: LocalTeacher, threshold: float | None = None) -> RecipeFolder:
    """The scenario judged by a model that is far too small to judge: many answers end before they hold a score."""
    write_scenario(folder, samples_per_seed=1)
    write_jsonl(folder / "seeds" / "seeds.jsonl", SEEDS[:5])
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    shared = {key: server.block[key] for key in ("model", "endpoint", "base_url", "api_key_env") if key in server.block}
    critic = {"name": "small", "max_tokens": 70, "max_reasks": 0, "retry_truncated": False, "use_logprobs": True, **shared}
    critic["limits"] = {"concurrency": 2, "timeout_s": 120}
    recipe["judge"] = {"critics": {"judges": [critic], "n_canaries": 2, "threshold": threshold}}
    recipe["thresholds"] |= {"min_accept_frac": 0, "max_unscored_frac": 1, "max_canaries_passed_frac": 1}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return load_recipe(folder)


def table(folder: RecipeFolder, home: Path, spec: TableSpec) -> pl.DataFrame:
    return read_table(Workspace(home), folder.recipe.name, spec, find_versions(folder, open_instance())[spec.name])


def count_replies(home: Path, folder: RecipeFolder) -> int:
    with open_journal(Workspace(home).folder("journal", folder.recipe.name)) as journal:
        return journal.spent().tokens


def test_a_small_model_judges_and_what_it_cannot_say_is_unscored(
    tmp_path: Path, home: Path, server: LocalTeacher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(server.block["api_key_env"], "any")
    folder = make(tmp_path / "recipe", server)
    assert run_recipe(folder, open_instance(), ["judged_samples"], lambda _: None).errors == []
    critics = table(folder, home, VERDICTS).filter((pl.col("layer") == "critic") & (pl.col("criterion") == "overall"))
    by_state = dict(critics["verdict_status"].value_counts().iter_rows())
    assert critics.height >= 4
    unscored = critics.filter(pl.col("verdict_status") == "unscored")
    assert unscored["score"].null_count() == unscored.height
    assert all("the critic's reply is" in reason for reason in unscored["reason"])
    assert critics.filter(pl.col("score").is_null()).height == by_state.get("unscored", 0)
    samples = table(folder, home, JUDGED_SAMPLES)
    asked = samples.join(critics.filter(~pl.col("is_canary")), left_on="sample_id", right_on="generation_id")
    silent = asked.filter((pl.col("verdict_status") == "unscored") & (pl.col("judged_status") != "rejected"))
    assert set(silent["sample_status"]) <= {"unscored"}
    assert "canaries" in set(table(folder, home, JUDGE_CALIBRATION)["reference"]) or unscored.height

    tokens = count_replies(home, folder)
    again = make(tmp_path / "recipe", server, threshold=0.1)
    assert run_recipe(again, open_instance(), ["judged_samples"], lambda _: None).errors == []
    assert count_replies(home, again) == tokens  # another threshold calls no model
