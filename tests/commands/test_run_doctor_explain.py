"""`distill run` beside another run, `doctor` after a kill, `explain` and `sql` on a built dataset."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from distill_assets.cli import main
from distill_assets.commands.doctor import find_lost_runs, reap_runs
from distill_assets.commands.instance import open_instance
from distill_assets.commands.liveness import is_running, process_name
from distill_assets.commands.tables import query_tables
from distill_assets.config import RecipeFolder
from distill_assets.storage import hold_lock

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


def distill(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def start_run(folder: RecipeFolder) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "distill_assets.cli", "run", "-q", "--recipe", str(folder.path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_second_run_of_a_recipe_is_refused_and_names_the_first(home: Path, scenario: RecipeFolder) -> None:
    with hold_lock(home / "locks" / "choir.lock", "'distill run choir' (pid 4711)"):
        code, output = distill("run", "-q", "--recipe", str(scenario.path))
    assert code == 1
    assert "pid 4711" in output and "Nothing was run" in output
    assert "Traceback" not in output


def test_a_killed_run_is_found_lost_and_reaped(home: Path, scenario: RecipeFolder) -> None:
    process = start_run(scenario)
    instance = open_instance()
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    deadline = time.monotonic() + PATIENCE_S
    while not instance.get_runs(started) and time.monotonic() < deadline:
        time.sleep(0.05)
    [run] = instance.get_runs(started)
    assert find_lost_runs(instance) == [], "its process is alive"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [lost.run_id for lost in find_lost_runs(instance)] == [run.run_id]
    _code, output = distill("doctor", "--reap", "--recipe", str(scenario.path))
    assert "1 lost runs marked as failed" in output and run.run_id in output
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert reap_runs(instance) == []


@pytest.mark.parametrize("name", ["holdout.jsonl", "seeds/seeds.jsonl"])
def test_a_failed_step_is_told_in_our_words_not_in_those_of_its_cause(home: Path, scenario: RecipeFolder, name: str) -> None:
    with (scenario.path / name).open("ab") as file:
        file.write(b"\xff")
    code, output = distill("run", "-q", "--recipe", str(scenario.path))
    assert code == 1
    assert f"{Path(name).name}: not UTF-8 near byte" in output and "Save it as UTF-8." in output
    assert "UnicodeDecodeError" not in output and "distill_assets.errors" not in output


def test_a_process_is_told_from_a_later_one_with_its_pid() -> None:
    host, pid, start = process_name().split(":")
    assert is_running(f"{host}:{pid}:{start}")
    assert not is_running(f"{host}:{pid}:{int(start) + 1}")
    assert is_running(f"another-host:{pid}:1"), "nobody here can tell"
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        assert not is_running(f"{host}:{child.pid}")


def test_explain_tells_the_past_of_a_kept_and_of_a_dropped_sample(home: Path, scenario: RecipeFolder) -> None:
    code, output = distill("explain", "abcd1234", "--recipe", str(scenario.path))
    assert code == 1 and "not there yet" in output
    assert distill("run", "-q", "--recipe", str(scenario.path), "-s", "training_dataset", "-s", "dropped_samples")[0] == 0
    listed = query_tables(scenario, open_instance(), None)
    assert "training_dataset" in listed and "eval_results" not in listed
    for table, fate in (("training_dataset", "fate       in training_dataset"), ("dropped_samples", "fate       dropped: ")):
        distill(
            "sql", f"copy (select min(sample_id) from {table}) to '{home}/id.csv' (header false)", "--recipe", str(scenario.path)
        )
        sample_id = (home / "id.csv").read_text().strip()
        code, output = distill("explain", sample_id, "--recipe", str(scenario.path))
        assert code == 0, output
        assert fate in output
        assert "embedded/sql-grammar@" in output and "verdict    sql_execution@" in output and "seed       " in output
    assert distill("explain", "not-an-id", "--recipe", str(scenario.path))[0] == 1
    code, output = distill("sql", "select nonsense from nowhere", "--recipe", str(scenario.path))
    assert code == 1 and "the query fails" in output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "--recipe", "nowhere"), "distill new-recipe NAME"),
        (("run", "--nonsense"), "No such option"),
        (("teach",), "No such command"),
        (("run", "-s", "nothing"), "has no asset 'nothing'"),
        (("ui", "--port", "99999"), "is not in the range"),
    ],
)
def test_wrong_usage_is_told_clearly(home: Path, arguments: tuple[str, ...], expected: str) -> None:
    code, output = distill(*arguments)
    assert code in (1, 2)
    assert expected in output
    assert "Traceback" not in output


def test_a_home_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, scenario: RecipeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("DISTILL_HOME", str(blocked))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    code, output = distill("run", "-q", "--recipe", str(scenario.path))
    assert code == 1
    assert "set DISTILL_HOME to another folder" in output
    assert blocked.read_text() == "in the way"
    assert os.environ.get("DAGSTER_HOME") is None or "file" in os.environ["DAGSTER_HOME"]


def test_a_pool_slot_of_a_run_that_ended_or_is_unknown_is_freed_and_that_of_a_living_one_is_not(home: Path) -> None:
    instance = open_instance()
    storage = instance.event_log_storage
    ended, living = (instance.create_run_for_job(dg.GraphDefinition(name="any").to_job()) for _ in range(2))
    instance.report_run_failed(ended)
    for number, run_id in enumerate([ended.run_id, living.run_id, "f" * 8]):
        pool = f"pool{number}"
        storage.initialize_concurrency_limit_to_default(pool)
        assert storage.claim_concurrency_slot(pool, run_id, "step").is_claimed
    assert reap_runs(instance) == []
    holders = {run_id for pool in storage.get_concurrency_keys() for run_id in storage.get_concurrency_info(pool).active_run_ids}
    assert holders == {living.run_id}
