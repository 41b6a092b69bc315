"""The rebuild condition on real Dagster: what the sensor would request, tick by tick.

Each tick evaluates the conditions of the whole graph and runs what they request, as the daemon does,
until nothing is requested. The files are reported as the files sensor reports them.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from distill_assets.automation import build_sensors, report_files
from distill_assets.commands.instance import open_instance
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.definitions import build_definitions
from distill_assets.gates import asset_key
from tests.scenario import SEEDS, write_jsonl

MAX_TICKS = 25


class Sensor:
    """Evaluates the conditions with a cursor of its own, and runs what they request."""

    def __init__(self, folder: RecipeFolder) -> None:
        self.folder = folder
        self.defs = build_definitions([folder])
        self.instance = open_instance()
        self.job = self.defs.resolve_implicit_global_asset_job_def()
        self.cursor = None

    def forget(self) -> None:
        self.cursor = None

    def settle(self) -> list[str]:
        """Tick until nothing is requested; return the names of what was run, in order."""
        ran: list[str] = []
        report_files(self.folder, self.instance)
        for _ in range(MAX_TICKS):
            wanted = self.tick()
            if not wanted:
                return ran
            ran += sorted(key.path[-1] for key in wanted)
        raise AssertionError(f"still requesting after {MAX_TICKS} ticks: {ran}")

    def tick(self) -> set[dg.AssetKey]:
        result = dg.evaluate_automation_conditions(defs=self.defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        graph = self.job.asset_layer.asset_graph
        wanted = {key for key in graph.materializable_asset_keys if result.get_num_requested(key)}
        if wanted:
            checks = {key for key in graph.asset_check_keys if key.asset_key in wanted}
            subset = self.job.get_subset(asset_selection=wanted, asset_check_selection=checks)
            subset.execute_in_process(instance=self.instance, raise_on_error=False)
        return wanted

    def count(self, name: str) -> int:
        return len(self.instance.fetch_materializations(asset_key(self.folder.recipe.name, name), limit=100).records)

    def sent(self) -> int:
        records = self.instance.fetch_materializations(asset_key(self.folder.recipe.name, "raw_generations"), limit=100).records
        return sum(int(record.asset_materialization.metadata["n_requests_sent"].value) for record in records)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sensor_rebuilds_what_a_change_touches_and_nothing_else(home: Path, scenario: RecipeFolder) -> None:
    sensor = Sensor(scenario)
    first = sensor.settle()
    assert len(first) == len(set(first)) == 17
    assert sensor.settle() == []
    sent = sensor.sent()
    seeds = scenario.path / "seeds" / "seeds.jsonl"

    write_jsonl(seeds, [{**seed, "text": seed["text"].replace(" ", "  ")} for seed in SEEDS])
    assert sensor.settle() == ["seed_corpus"]

    write_jsonl(seeds, [*SEEDS[:-1], {**SEEDS[-1], "text": "seats sold by each singer on average"}])
    changed = sensor.settle()
    assert len(changed) == len(set(changed)), f"a layer was rebuilt twice: {changed}"
    assert {"raw_generations", "training_dataset", "student_checkpoint", "eval_report"} <= set(changed)
    assert sensor.sent() - sent == scenario.recipe.generate.samples_per_seed

    trained = sensor.count("student_checkpoint")
    write_jsonl(seeds, SEEDS)
    sensor.forget()  # the sensor was off and lost its cursor meanwhile
    sensor.settle()
    assert sensor.sent() - sent == scenario.recipe.generate.samples_per_seed
    record = sensor.instance.fetch_materializations(asset_key("choir", "student_checkpoint"), limit=1).records[0]
    assert sensor.count("student_checkpoint") == trained + 1
    assert record.asset_materialization.metadata["is_reused"].value is True


def test_a_failing_asset_is_asked_for_once_until_its_input_changes(home: Path, scenario: RecipeFolder) -> None:
    seeds = scenario.path / "seeds" / "seeds.jsonl"
    seeds.write_text("{broken\n", encoding="utf-8")
    sensor = Sensor(scenario)
    ran = sensor.settle()
    assert ran.count("seed_corpus") == 1
    assert "raw_generations" not in ran
    assert sensor.settle() == []
    write_jsonl(seeds, SEEDS[:1])
    report_files(scenario, sensor.instance)
    assert asset_key("choir", "seed_corpus") in sensor.tick()


def test_a_failed_gate_holds_back_the_layers_below(home: Path, scenario: RecipeFolder) -> None:
    file = scenario.path / "recipe.yaml"
    file.write_text(file.read_text().replace("min_training_rows: 5", 'min_training_rows: 5, forbidden_pattern: "Norway"'))
    sensor = Sensor(load_recipe(scenario.path))
    ran = sensor.settle()
    assert "seed_corpus" in ran
    assert "raw_generations" not in ran


def test_the_files_sensor_reports_a_change_once(home: Path, scenario: RecipeFolder) -> None:
    files_sensor, rebuild = build_sensors(scenario)
    assert rebuild.default_status == dg.DefaultSensorStatus.STOPPED
    instance = open_instance()
    context = dg.build_sensor_context(instance=instance)
    events = files_sensor.evaluate_tick(context).asset_events
    assert {event.asset_key.path[-1] for event in events} == {
        "seed_files",
        "holdout_file",
        "database_files",
        "label_file",
        "withdrawal_file",
    }
    for event in events:
        instance.report_runless_asset_event(event)
    assert not files_sensor.evaluate_tick(context).asset_events
    (scenario.path / "seeds" / "seeds.jsonl").write_text("", encoding="utf-8")
    assert [event.asset_key.path[-1] for event in files_sensor.evaluate_tick(context).asset_events] == ["seed_files"]
