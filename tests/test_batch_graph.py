"""Batches in the graph: a run that waits is green and stores nothing, the sensor starts the run that goes on, `--wait` stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from distill_assets import automation
from distill_assets.automation import build_sensors, find_open_batches
from distill_assets.cli import main
from distill_assets.commands.instance import open_instance
from distill_assets.commands.plan import plan_recipe, render_plan
from distill_assets.commands.run import RunReport, run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.definitions import build_definitions
from distill_assets.gates import asset_key
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import RAW_GENERATIONS
from tests.clients.batch_world import KEY, billed_twice, find_key
from tests.hostile_server import HostileServer, serve_hostile
from tests.scenario import SEEDS, write_jsonl, write_scenario

PER_SEED = 3
N = len(SEEDS) * PER_SEED
RAW = asset_key("choir", "raw_generations")


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with serve_hostile(api_key=KEY) as running:
        yield running


@pytest.fixture
def hostile(server: HostileServer) -> HostileServer:
    server.reset(with_settings=True)
    return server


@pytest.fixture
def batched(home: Path, tmp_path: Path, hostile: HostileServer, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    limits = "limits: {timeout_s: 20, first_wait_s: 0.01, max_tries: 2}"
    teacher = f"teacher: {{model: asked-model, base_url: '{hostile.base_url}', api_key_env: PLANTED_KEY, batch: true, {limits}}}"
    folder = write_scenario(tmp_path / "recipe", samples_per_seed=PER_SEED, extra=teacher)
    return change(folder, "min_accept_frac: 0.3", "min_accept_frac: 0")  # how good the canned queries are is of no interest


def change(folder: RecipeFolder, old: str, new: str) -> RecipeFolder:
    file = folder.path / "recipe.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return load_recipe(folder.path)


def run(folder: RecipeFolder, *select: str) -> RunReport:
    return run_recipe(folder, open_instance(), list(select), lambda _: None)


def find_batch_sensor(folder: RecipeFolder) -> dg.SensorDefinition:
    [sensor] = [sensor for sensor in build_sensors(folder) if sensor.name == "choir_batch_sensor"]
    return sensor


def evaluate_batch_sensor(folder: RecipeFolder, instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    sensor = find_batch_sensor(folder)
    assert sensor.minimum_interval_seconds == 60 and sensor.default_status == dg.DefaultSensorStatus.STOPPED
    told = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=build_definitions([folder])))
    return told.run_requests[0] if told.run_requests else dg.SkipReason(told.skip_message)


def wanted_by_condition(folder: RecipeFolder, instance: dg.DagsterInstance) -> set[str]:
    defs = build_definitions([folder])
    result = dg.evaluate_automation_conditions(defs=defs, instance=instance)
    keys = defs.resolve_implicit_global_asset_job_def().asset_layer.asset_graph.materializable_asset_keys
    return {key.path[-1] for key in keys if result.get_num_requested(key)}


def count_materializations(instance: dg.DagsterInstance, name: str) -> int:
    return len(instance.fetch_materializations(asset_key("choir", name), limit=100).records)


def test_a_run_waits_green_and_the_sensor_starts_the_one_that_goes_on(
    home: Path, batched: RecipeFolder, hostile: HostileServer
) -> None:
    instance = open_instance()
    first = run(batched, "judged_samples")
    assert first.errors == [] and first.waiting == f"waiting for {N} calls in 1 batch (batch_000001)"
    assert set(first.waves[0]) >= {"seed_corpus", "raw_generations", "judged_samples"}
    assert "raw_generations" not in find_versions(batched, instance) and "judged_samples" not in find_versions(batched, instance)
    assert instance.get_runs()[0].status == dg.DagsterRunStatus.SUCCESS
    [seen] = instance.fetch_observations(RAW, limit=5).records
    metadata = seen.asset_observation.metadata
    assert (metadata["n_waiting"].value, metadata["n_done"].value, metadata["n_submitted"].value) == (N, 0, N)
    assert wanted_by_condition(batched, instance) & {"raw_generations", "judged_samples"} == set()

    skipped = evaluate_batch_sensor(batched, instance)
    assert isinstance(skipped, dg.SkipReason) and "waiting for 18 calls" in skipped.skip_message
    [plan] = plan_recipe(batched).estimates
    assert (plan.requests, plan.cached, plan.missing, plan.batched) == (N, 0, 0, N)
    assert "18 in a batch" in render_plan(plan_recipe(batched))
    second = run(batched, "judged_samples")
    assert second.errors == [] and second.waiting == first.waiting, "asked again, it waits again"
    request = evaluate_batch_sensor(batched, instance)
    assert isinstance(request, dg.RunRequest) and request.run_key
    assert evaluate_batch_sensor(batched, instance).run_key == request.run_key, "one end starts one run"
    assert hostile.stats()["billed"] == N

    job = build_definitions([batched]).resolve_job_def(find_batch_sensor(batched).job_name)
    below = {
        asset_key("choir", name) for name in ("verdicts", "judge_calibration", "judged_samples")
    }  # training takes longer than a test should
    checks = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key in {RAW, *below}}
    done = job.get_subset(asset_selection={RAW, *below}, asset_check_selection=checks).execute_in_process(instance=instance)
    assert done.success and {"raw_generations", "judged_samples"} <= set(find_versions(batched, instance))
    assert find_open_batches(batched.recipe) == []
    assert "no batch is open" in evaluate_batch_sensor(batched, instance).skip_message
    assert run(batched, "judged_samples") == RunReport([], [], None)
    assert hostile.stats()["billed"] == N and find_key(home) == []


def test_what_the_sensor_starts_is_the_generations_and_what_is_below_them(batched: RecipeFolder) -> None:
    defs = build_definitions([batched])
    sensor = find_batch_sensor(batched)
    job = defs.resolve_job_def(sensor.job_name)
    chosen = {key.path[-1] for key in job.asset_layer.executable_asset_keys}
    assert chosen >= {"raw_generations", "verdicts", "judged_samples", "training_dataset", "student_checkpoint", "eval_report"}
    assert not chosen & {"seed_corpus", "holdout", "databases", "seed_files"}
    assert {(key.asset_key.path[-1], key.name) for key in job.asset_layer.asset_graph.asset_check_keys} >= {
        ("raw_generations", "shape"), ("judged_samples", "shape"), ("training_dataset", "shape"),
    }  # fmt: skip


def test_the_last_good_table_stays_while_a_new_seed_waits(home: Path, batched: RecipeFolder, hostile: HostileServer) -> None:
    hostile.configure(batch_polls=1)
    instance = open_instance()
    run(batched, "raw_generations")
    assert run(batched, "raw_generations").waiting is None
    before = find_versions(batched, instance)["raw_generations"]
    write_jsonl(batched.path / "seeds" / "seeds.jsonl", [*SEEDS, {**SEEDS[0], "text": "halls by seats sold"}])
    waiting = run(batched, "raw_generations")
    assert waiting.waiting == f"waiting for {PER_SEED} calls in 1 batch (batch_000002)"
    assert find_versions(batched, instance)["raw_generations"] == before
    assert "raw_generations" not in wanted_by_condition(batched, instance)
    assert run(batched, "raw_generations").waiting is None
    frame = read_table(Workspace(home), "choir", RAW_GENERATIONS, find_versions(batched, instance)["raw_generations"])
    assert frame.height == N + PER_SEED and set(frame["generation_status"]) == {"ok"}
    assert billed_twice(hostile.stats(detail=True)) == 0


def test_the_condition_asks_for_the_generations_again_when_no_batch_is_open(batched: RecipeFolder, hostile: HostileServer) -> None:
    """The run that collected a batch was killed before it could store the table."""
    instance = open_instance()
    run(batched, "raw_generations")
    for batch in find_open_batches(batched.recipe):
        (automation.batch_folder(batched.recipe) / f"{batch.id}.json").unlink()
    assert "raw_generations" in wanted_by_condition(batched, instance)


def test_distill_run_says_what_it_waits_for_and_with_wait_it_stays_until_all_is_done(
    home: Path, batched: RecipeFolder, hostile: HostileServer
) -> None:
    hostile.configure(batch_polls=3, invalid_until_reask=0.5)
    arguments = ["run", "--recipe", str(batched.path), "-s", "judged_samples"]
    first = CliRunner().invoke(main, arguments)
    assert first.exit_code == 0, first.output
    assert f"waiting for {N} calls in 1 batch (batch_000001); run again later, or: distill run --wait" in first.output
    assert "without gating" not in first.output and "Built" not in first.output
    patient = CliRunner().invoke(main, [*arguments, "--wait", "--poll-s", "0.05"])
    assert patient.exit_code == 0, patient.output
    assert "batch batch_000001: in_progress" in patient.output and "in 1 batch (batch_000002)" in patient.output
    assert "Built" in patient.output
    assert hostile.stats()["billed"] > N and billed_twice(hostile.stats(detail=True)) == 0
    assert CliRunner().invoke(main, [*arguments, "-q", "--wait"]).output == ""


def test_wait_ends_with_an_error_when_the_batch_fails(batched: RecipeFolder, hostile: HostileServer) -> None:
    hostile.configure(batch_polls=2, batch_outcome="failed")
    told = CliRunner().invoke(main, ["run", "--recipe", str(batched.path), "-s", "judged_samples", "--wait", "--poll-s", "0.05"])
    assert told.exit_code == 1 and "was not carried out: The batch could not be processed." in told.output
    assert KEY not in told.output and "Traceback" not in told.output


def test_the_sensor_says_why_it_cannot_ask(batched: RecipeFolder, hostile: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = open_instance()
    run(batched, "raw_generations")
    hostile.configure(api_key="sk-right-6a7b8c9d0e1f")
    refused = evaluate_batch_sensor(batched, instance).skip_message
    assert "the key was refused" in refused and KEY not in refused
    monkeypatch.delenv("PLANTED_KEY")
    assert "PLANTED_KEY, which is empty" in evaluate_batch_sensor(batched, instance).skip_message


def test_a_recipe_without_batches_has_the_sensors_and_the_events_it_had(home: Path, scenario: RecipeFolder) -> None:
    assert [sensor.name for sensor in build_sensors(scenario)] == ["choir_files_sensor", "choir_rebuild_sensor"]
    instance = open_instance()
    assert run(scenario, "raw_generations").errors == []
    assert instance.fetch_observations(RAW, limit=1).records == []
    assert not (home / "journal" / "choir" / "batches").exists()


def test_batches_that_were_open_when_batch_was_switched_off_are_still_waited_for(
    batched: RecipeFolder, hostile: HostileServer
) -> None:
    hostile.configure(batch_polls=2)
    run(batched, "raw_generations")
    online = change(batched, "batch: true, ", "")
    assert [sensor.name for sensor in build_sensors(online)][-1] == "choir_batch_sensor"
    assert run(online, "raw_generations").waiting
    assert run(online, "raw_generations") == RunReport([["raw_generations"]], [], None)
    assert hostile.stats()["billed"] == N
