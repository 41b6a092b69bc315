"""A teacher behind a real HTTP server: provenance, failures that stop, and a key that is found nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import RunReport, run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import EVAL_RESULTS, JUDGED_SAMPLES, RAW_GENERATIONS, TableSpec
from tests.endpoint import Endpoint, serve_endpoint
from tests.scenario import HOLDOUT, SEEDS, write_scenario

KEY = f"sk-planted-{uuid4().hex}"  # of this run of the tests alone: it is looked for in all processes
PER_SEED = 4


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serve_endpoint() as served:
        yield served


@pytest.fixture
def taught(home: Path, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    limits = "limits: {concurrency: 4, timeout_s: 20, first_wait_s: 0.01}"
    teacher = f"teacher: {{model: asked-model, base_url: '{endpoint.base_url}', api_key_env: PLANTED_KEY, {limits}}}"
    return write_scenario(tmp_path / "recipe", samples_per_seed=PER_SEED, extra=teacher)


def run(folder: RecipeFolder, *select: str) -> RunReport:
    return run_recipe(folder, open_instance(), list(select), lambda _: None)


def table(folder: RecipeFolder, home: Path, spec: TableSpec) -> pl.DataFrame:
    return read_table(Workspace(home), folder.recipe.name, spec, find_versions(folder, open_instance())[spec.name])


def find_key(*folders: Path) -> list[str]:
    """Files that hold the key, as text or as UTF-16."""
    needles = (KEY.encode(), KEY.encode("utf-16-le"))
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert files
    return [str(file) for file in files if any(needle in file.read_bytes() for needle in needles)]


def test_each_generation_names_who_answered(taught: RecipeFolder, home: Path, endpoint: Endpoint) -> None:
    assert run(taught, "judged_samples").errors == []
    rows = table(taught, home, RAW_GENERATIONS)
    assert rows.height == len(endpoint.requests) == len(SEEDS) * PER_SEED
    assert endpoint.keys == {KEY}
    assert rows["served_model"].unique().to_list() == ["served-model-2026-01-01"]
    assert rows["teacher"].unique().to_list() == ["asked-model"]
    assert rows["system_fingerprint"].unique().to_list() == ["fp_test"]
    assert rows["response_id"].n_unique() == rows.height
    assert rows["completion_tokens"].sum() == 40 * rows.height
    assert rows["provider"][0].startswith("127.0.0.1:")
    assert endpoint.requests[0]["response_format"]["type"] == "json_schema"


def test_a_refused_key_stops_the_run_keeps_what_is_done_and_asks_only_for_the_rest(
    taught: RecipeFolder, home: Path, endpoint: Endpoint
) -> None:
    endpoint.fail_after = 9
    stopped = run(taught, "raw_generations")
    assert len(stopped.errors) == 1
    assert "the key was refused" in stopped.errors[0]
    assert KEY not in stopped.errors[0]
    sent = len(endpoint.requests)
    assert sent <= 9 + 4, "more was sent than was in flight"
    endpoint.fail_after = None
    assert run(taught, "raw_generations").errors == []
    assert len(endpoint.requests) - sent == len(SEEDS) * PER_SEED - 9
    assert find_key(home) == []


def test_invalid_replies_are_rows_with_a_status_and_never_train(taught: RecipeFolder, home: Path, endpoint: Endpoint) -> None:
    endpoint.content = '{"question": "no query here"}'
    report = run(taught, "judged_samples")
    assert any("accept_rate" in error for error in report.errors)
    rows = table(taught, home, RAW_GENERATIONS)
    assert rows["generation_status"].unique().to_list() == ["invalid"]
    assert table(taught, home, JUDGED_SAMPLES)["sample_status"].unique().to_list() == ["rejected"]
    asked = len(endpoint.requests)
    assert asked == 2 * len(SEEDS) * PER_SEED, "one re-ask each, with the error"
    assert "Correct" in str(endpoint.requests[-1]["messages"]) or len(endpoint.requests[-1]["messages"]) > 2


def test_truncated_replies_are_told_apart(taught: RecipeFolder, home: Path, endpoint: Endpoint) -> None:
    endpoint.content, endpoint.finish_reason = '{"question": "how m', "length"
    run(taught, "raw_generations")
    assert table(taught, home, RAW_GENERATIONS)["generation_status"].unique().to_list() == ["truncated"]


def test_a_server_error_is_an_error_row_and_leaves_the_sample_unscored(
    taught: RecipeFolder, home: Path, endpoint: Endpoint
) -> None:
    taught = change(taught, "samples_per_seed: 4", "samples_per_seed: 3")  # fewer rows than the streak that ends a run
    endpoint.fail_after, endpoint.failure = 0, (500, {"message": "overloaded", "code": None})
    report = run(taught, "judged_samples")
    assert any("unscored_share" in error for error in report.errors)
    rows = table(taught, home, RAW_GENERATIONS)
    assert rows["generation_status"].unique().to_list() == ["error"]
    assert table(taught, home, JUDGED_SAMPLES)["sample_status"].unique().to_list() == ["unscored"]
    assert find_key(home) == []

    endpoint.fail_after, sent = None, len(endpoint.requests)
    assert run(taught, "judged_samples").errors == []
    assert len(endpoint.requests) - sent == len(SEEDS) * 3
    assert table(taught, home, RAW_GENERATIONS)["generation_status"].unique().to_list() == ["ok"]


def test_an_endpoint_that_answers_nothing_any_more_stops_the_run(taught: RecipeFolder, home: Path, endpoint: Endpoint) -> None:
    endpoint.fail_after, endpoint.failure = 2, (500, {"message": "overloaded", "code": None})
    [error] = run(taught, "raw_generations").errors
    assert "20 requests in a row failed" in error and "overloaded" in error and KEY not in error
    endpoint.fail_after, sent = None, len(endpoint.requests)
    assert run(taught, "raw_generations").errors == []
    assert len(endpoint.requests) - sent == len(SEEDS) * PER_SEED - 2


def test_a_missing_key_is_a_clear_error(taught: RecipeFolder, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANTED_KEY")
    report = run(taught, "raw_generations")
    assert "PLANTED_KEY, which is empty" in report.errors[0]
    assert endpoint.requests == []


@pytest.mark.slow
def test_a_real_teacher_answers_the_holdout_and_no_question_is_asked_twice(
    taught: RecipeFolder, home: Path, endpoint: Endpoint
) -> None:
    taught = change(taught, "concurrency: 4", "concurrency: 1, max_tries: 1")
    n_generations, n_answered = len(SEEDS) * PER_SEED, 3
    endpoint.fail_after, endpoint.failure = n_generations + n_answered, (500, {"message": "overloaded", "code": None})
    [error] = run(taught).errors
    assert "questions to the teacher failed" in error and "overloaded" in error and KEY not in error
    assert "eval_results" not in find_versions(taught, open_instance())

    endpoint.fail_after, sent = None, len(endpoint.requests)
    assert run(taught).errors == []
    asked = endpoint.requests[sent:]
    assert len(asked) == len(HOLDOUT) - n_answered
    assert {body["temperature"] for body in asked} == {0.0}
    assert all("<question>" in body["messages"][-1]["content"] for body in asked)

    rows = table(taught, home, EVAL_RESULTS).filter(pl.col("model_role") == "teacher")
    assert sorted(rows["question"]) == sorted(item["question"] for item in HOLDOUT)
    assert rows["model_name"].unique().to_list() == ["asked-model (served by served-model-2026-01-01)"]
    assert not rows["is_correct"].any(), "the canned query answers none of them"
    assert rows["is_valid"].all()
    [report] = (home / "reports" / "choir").glob("*/report.md")
    assert "| teacher | human | 0 | 6 |" in report.read_text()

    sent = len(endpoint.requests)
    assert run(taught).errors == []
    assert len(endpoint.requests) == sent


def change(folder: RecipeFolder, old: str, new: str) -> RecipeFolder:
    file = folder.path / "recipe.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return load_recipe(folder.path)


@pytest.mark.slow
def test_the_key_is_found_nowhere_after_a_whole_run(taught: RecipeFolder, home: Path, tmp_path: Path, endpoint: Endpoint) -> None:
    env = {**os.environ, "DISTILL_HOME": str(home), "PLANTED_KEY": KEY, "OPENAI_API_KEY": KEY, "HF_TOKEN": KEY}
    command = [sys.executable, "-m", "distill_assets.cli", "run", "--recipe", str(taught.path)]
    root, listed = Path(__file__).resolve().parents[1], 0
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=root) as process:
        reader = threading.Thread(target=lambda: said.append(process.stdout.read()))
        said: list[bytes] = []
        reader.start()
        while process.poll() is None:
            lines = list_command_lines()
            listed += str(taught.path).encode() in b"".join(lines)
            assert [line for line in lines if KEY.encode() in line] == []
            time.sleep(0.2)
        reader.join()
    assert process.returncode == 0, said[0].decode()
    assert listed > 5, "the run was among the processes that were looked at"
    assert endpoint.keys == {KEY}
    assert KEY.encode() not in said[0]
    assert find_key(home) == []


def list_command_lines() -> list[bytes]:
    """What a process listing shows of every process."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            lines.append(file.read_bytes())
    return lines
