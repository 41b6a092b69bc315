"""The whole graph, as a person runs it: built once, rebuilt by what changed, stopped by its gates.

Real Dagster runs on a real instance in a workspace of their own, the embedded teacher through the real
client, and a real training child for a tiny student.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest

from distill_assets.automation import report_files
from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import RunReport, run_recipe
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.definitions import build_definitions
from distill_assets.gates import asset_key
from tests.scenario import SEEDS, write_jsonl, write_scenario

ASSETS = {
    "databases", "seed_corpus", "holdout", "raw_generations", "verdicts", "review_labels",
    "judge_calibration", "judged_samples", "duplicates", "contamination_hits", "curation_marks", "training_dataset", "dropped_samples",
    "corpus_diversity", "student_checkpoint", "eval_results", "eval_report",
}  # fmt: skip
UP_TO_DATASET = ["training_dataset", "dropped_samples"]


class World:
    """A recipe in a workspace, and what its materializations say."""

    def __init__(self, folder: RecipeFolder) -> None:
        self.folder = folder
        self.instance = open_instance()

    def run(self, *select: str) -> RunReport:
        return run_recipe(self.folder, self.instance, list(select), lambda _: None)

    def events(self, name: str) -> list[dg.AssetMaterialization]:
        records = self.instance.fetch_materializations(asset_key(self.folder.recipe.name, name), limit=50).records
        return [record.asset_materialization for record in records]

    def version(self, name: str) -> str:
        return self.events(name)[0].tags["dagster/data_version"]

    def value(self, name: str, key: str) -> object:
        return self.events(name)[0].metadata[key].value

    def requests(self) -> int:
        return sum(int(event.metadata["n_requests_sent"].value) for event in self.events("raw_generations"))

    def trainings(self) -> int:
        return sum(not event.metadata["is_reused"].value for event in self.events("student_checkpoint"))

    def write_seeds(self, seeds: list[dict]) -> None:
        write_jsonl(self.folder.path / "seeds" / "seeds.jsonl", seeds)


@pytest.fixture
def world(home: Path, scenario: RecipeFolder) -> World:
    return World(scenario)


class Built(NamedTuple):
    """A workspace and its recipe after a first run of everything, and what that run said."""

    home: Path
    recipe: Path
    report: RunReport


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILL_HOME", str(root / "home"))
        patch.delenv("DAGSTER_HOME", raising=False)
        report = World(write_scenario(root / "recipe")).run()
    assert report.errors == []
    return Built(root / "home", root / "recipe", report)


@pytest.fixture
def copied(built: Built, home: Path, tmp_path: Path) -> World:
    """A copy of it, to change."""
    shutil.copytree(built.home, home)
    shutil.copytree(built.recipe, tmp_path / "recipe")
    return World(load_recipe(tmp_path / "recipe"))


@pytest.mark.slow
def test_a_first_run_builds_every_asset_once_and_the_next_one_builds_nothing(built: Built, copied: World) -> None:
    first, world = built.report, copied
    assert first.errors == []
    assert [set(wave) for wave in first.waves] == [ASSETS]
    assert world.requests() == len(SEEDS) * world.folder.recipe.generate.samples_per_seed
    assert world.run() == RunReport([], [])
    assert world.requests() == len(SEEDS) * world.folder.recipe.generate.samples_per_seed
    report = json.loads((Path(str(world.value("eval_report", "path"))).parent / "report.json").read_text())
    assert report["headline"]["n_holdout"] == 6
    assert report["facts"]["teacher"].startswith("embedded/sql-grammar@")
    checkpoint = Path(str(world.value("student_checkpoint", "path")))
    assert json.loads((checkpoint.parent / f"{checkpoint.name}.report" / "report.json").read_text()) == report


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_changed_seed_sends_its_own_requests_and_a_revert_trains_nothing(copied: World) -> None:
    world = copied
    per_seed = world.folder.recipe.generate.samples_per_seed
    before, versions = world.requests(), {name: world.version(name) for name in ASSETS}
    world.write_seeds([{**SEEDS[0], "text": "singers by country of birth"}, *SEEDS[1:]])
    changed = world.run()
    assert changed.errors == []
    built = [name for wave in changed.waves for name in wave]
    assert world.requests() - before == per_seed
    assert world.value("verdicts", "n_judged") == per_seed
    assert len(built) == len(set(built)), "a layer was rebuilt twice"
    assert "databases" not in built and "holdout" not in built
    assert world.version("training_dataset") != versions["training_dataset"]
    assert world.trainings() == 2
    world.write_seeds(SEEDS)
    assert world.run().errors == []
    assert {name: world.version(name) for name in ASSETS} == versions
    assert world.requests() - before == per_seed
    assert world.trainings() == 2


def test_a_whitespace_change_stops_at_seed_corpus(world: World) -> None:
    assert world.run(*UP_TO_DATASET).errors == []
    version = world.version("seed_corpus")
    world.write_seeds([{**seed, "text": "  " + seed["text"].replace(" ", "   ")} for seed in SEEDS])
    assert world.run(*UP_TO_DATASET).waves == [["seed_corpus"]]
    assert world.version("seed_corpus") == version


def test_two_workspaces_make_the_same_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: RecipeFolder) -> None:
    versions = []
    for name in ("one", "two"):
        monkeypatch.setenv("DISTILL_HOME", str(tmp_path / name))
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        here = World(scenario)
        assert here.run(*UP_TO_DATASET).errors == []
        versions.append([here.version(name) for name in ("databases", "raw_generations", "verdicts", *UP_TO_DATASET)])
    assert versions[0] == versions[1]


def test_rows_are_kept_or_dropped_with_one_reason(world: World) -> None:
    assert world.run(*UP_TO_DATASET).errors == []
    kept, dropped = (int(world.value(name, "dagster/row_count")) for name in UP_TO_DATASET)
    assert kept + dropped == int(world.value("judged_samples", "dagster/row_count"))
    assert sum(world.value("dropped_samples", "by_reason").values()) == dropped


def test_a_failed_gate_stops_before_training_also_in_a_later_run_on_the_student_alone(home: Path, tmp_path: Path) -> None:
    folder = write_scenario(tmp_path / "recipe", thresholds=', forbidden_pattern: "(?i)norway"')
    world = World(folder)
    stopped = world.run()
    assert stopped.errors
    assert world.events("seed_corpus") and not world.events("raw_generations")
    alone = _materialize_alone(world, "raw_generations")
    assert not alone.success
    assert "no_forbidden_text failed" in _failure_text(alone)
    assert not world.events("raw_generations")


@pytest.mark.slow
def test_a_gate_on_the_dataset_holds_for_a_run_on_the_student_alone(home: Path, tmp_path: Path) -> None:
    write_scenario(tmp_path / "recipe")
    world = World(load_recipe(tmp_path / "recipe"))
    assert world.run(*UP_TO_DATASET).errors == []
    strict = World(load_recipe(_raise_minimum(tmp_path / "recipe")))
    checks = _run_checks(strict, "training_dataset")
    assert not checks.success
    alone = _materialize_alone(strict, "student_checkpoint")
    assert not alone.success
    assert "enough_rows failed" in _failure_text(alone)
    assert not strict.events("student_checkpoint")


def test_checks_that_never_ran_are_no_green_light(world: World) -> None:
    assert world.run("seed_corpus").errors == []
    defs = build_definitions([world.folder])
    report_files(world.folder, world.instance)
    key = asset_key(world.folder.recipe.name, "seed_corpus")
    job = defs.resolve_implicit_global_asset_job_def()
    again = job.get_subset(asset_selection={key}, asset_check_selection=set())
    assert again.execute_in_process(instance=world.instance).success
    alone = _materialize_alone(world, "raw_generations")
    assert not alone.success
    assert "older materialization" in _failure_text(alone)

    # A run that planned the checks and died leaves a plan where an evaluation would be.
    checks = {check for check in job.asset_layer.asset_graph.asset_check_keys if check.asset_key == key}
    world.instance.create_run_for_job(job.get_subset(asset_selection={key}, asset_check_selection=checks))
    alone = _materialize_alone(world, "raw_generations")
    assert not alone.success
    assert "seed_corpus:shape was never evaluated" in _failure_text(alone)

    made_up = world.run("raw_generations")
    assert made_up.errors == []
    assert "seed_corpus" not in {name for wave in made_up.waves for name in wave}


def test_a_deleted_run_takes_no_gate_with_it(world: World) -> None:
    """What is stored was judged, whatever Dagster has forgotten of the run."""
    assert world.run("seed_corpus").errors == []
    for run in world.instance.get_runs():
        world.instance.delete_run(run.run_id)
    assert world.run("seed_corpus") == RunReport([], [])
    assert world.run("holdout").errors == []


def _raise_minimum(path: Path) -> Path:
    file = path / "recipe.yaml"
    file.write_text(file.read_text().replace("min_training_rows: 5", "min_training_rows: 100000"))
    return path


def _materialize_alone(world: World, name: str) -> dg.ExecuteInProcessResult:
    return _execute(world, lambda key: {"asset_selection": {key}, "asset_check_selection": set()}, name)


def _run_checks(world: World, name: str) -> dg.ExecuteInProcessResult:
    defs = build_definitions([world.folder])
    graph = defs.resolve_implicit_global_asset_job_def().asset_layer.asset_graph
    checks = {key for key in graph.asset_check_keys if key.asset_key == asset_key(world.folder.recipe.name, name)}
    return _execute(world, lambda _: {"asset_selection": set(), "asset_check_selection": checks}, name)


def _execute(world: World, choose: Callable[[dg.AssetKey], dict], name: str) -> dg.ExecuteInProcessResult:
    job = build_definitions([world.folder]).resolve_implicit_global_asset_job_def()
    subset = job.get_subset(**choose(asset_key(world.folder.recipe.name, name)))
    return subset.execute_in_process(instance=world.instance, raise_on_error=False)


def _failure_text(result: dg.ExecuteInProcessResult) -> str:
    return " ".join(
        str(event.step_failure_data.error) + str(event.step_failure_data.user_failure_data)
        for event in result.all_events
        if event.is_step_failure
    )
