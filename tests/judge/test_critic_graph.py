"""Critics in the graph, asked over real HTTP: who is asked about what, and what asks nobody again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import RunReport, run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.gates import asset_key
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import JUDGE_CALIBRATION, JUDGED_SAMPLES, VERDICTS, TableSpec
from tests.endpoint import Endpoint, grade, serve_endpoint
from tests.scenario import write_scenario

LIMITS = {"concurrency": 8, "timeout_s": 20, "first_wait_s": 0.01, "max_tries": 2}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("CRITIC_KEY", "any")
    with serve_endpoint() as served:
        yield served


def make(
    folder: Path, endpoint: Endpoint, names: str = "strict", thresholds: dict | None = None, max_reasks: int = 1, **critics: object
) -> RecipeFolder:
    """The scenario with its embedded teacher, and critics behind the endpoint."""
    write_scenario(folder, samples_per_seed=4)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    shared = {"base_url": endpoint.base_url, "api_key_env": "CRITIC_KEY", "limits": LIMITS, "max_reasks": max_reasks}
    judges = [{"name": name, "model": f"{name}-model", **shared} for name in names.split()]
    recipe["judge"] = {"critics": {"n_canaries": 4, "judges": judges, **critics}}
    recipe["thresholds"] |= thresholds or {}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return load_recipe(folder)


def run(folder: RecipeFolder, *select: str) -> RunReport:
    return run_recipe(folder, open_instance(), list(select or ("judged_samples",)), lambda _: None)


def table(folder: RecipeFolder, home: Path, spec: TableSpec) -> pl.DataFrame:
    return read_table(Workspace(home), folder.recipe.name, spec, find_versions(folder, open_instance())[spec.name])


def test_critics_judge_what_passed_before_and_canaries_among_them(tmp_path: Path, home: Path, endpoint: Endpoint):
    folder = make(tmp_path / "r", endpoint, ask_failed_frac=0)
    assert run(folder).errors == []
    verdicts = table(folder, home, VERDICTS)
    checked = verdicts.filter(pl.col("layer").is_in(["heuristic", "verifier"]))
    failed = set(checked.filter(pl.col("verdict_status") == "failed")["generation_id"])
    asked = set(verdicts.filter((pl.col("layer") == "critic") & ~pl.col("is_canary"))["generation_id"])
    assert failed
    assert asked == set(checked["generation_id"]) - failed
    assert len(endpoint.requests) == len(asked) + 4
    canaries = verdicts.filter(pl.col("is_canary"))
    assert canaries["generation_id"].n_unique() == 4
    assert set(canaries.filter(pl.col("is_decisive"))["verdict_status"]) == {"failed"}
    samples = table(folder, home, JUDGED_SAMPLES)
    assert set(samples.filter(pl.col("sample_status") == "accepted")["critic_score"]) == {1.0}
    assert not set(samples["sample_id"]) & set(canaries["generation_id"])
    calibration = table(folder, home, JUDGE_CALIBRATION)
    [canary_row] = calibration.filter((pl.col("judge") == "critics") & (pl.col("reference") == "canaries")).iter_rows(named=True)
    assert (canary_row["n"], canary_row["false_accept_frac"]) == (4, 0.0)


def test_a_threshold_asks_nobody_and_a_rubric_asks_anew_and_generates_nothing(tmp_path: Path, home: Path, endpoint: Endpoint):
    endpoint.judge = lambda samples: {"reasoning": "", "accuracy": 4, "completeness": 4, "clarity": 4}
    keep = {"max_canaries_passed_frac": 1, "min_accept_frac": 0}
    folder = make(tmp_path / "r", endpoint, thresholds=keep)
    assert run(folder).errors == []
    n_first = len(endpoint.requests)
    before = table(folder, home, JUDGED_SAMPLES)
    assert (before["sample_status"] == "accepted").any()

    folder = make(tmp_path / "r", endpoint, thresholds=keep, threshold=0.8)
    run(folder)
    assert len(endpoint.requests) == n_first
    assert not (table(folder, home, VERDICTS).filter(pl.col("layer") == "critic")["verdict_status"] == "passed").any()

    rubric = tmp_path / "r" / "rubrics" / "judge_sample.v1.yaml"
    text = rubric.read_text(encoding="utf-8").replace("Does the query return", "Does this query return")
    (rubric.parent / "judge_sample.v2.yaml").write_text(text, encoding="utf-8")
    folder = make(tmp_path / "r", endpoint, thresholds=keep, rubric="judge_sample.v2")
    generations = find_versions(folder, open_instance())["raw_generations"]
    assert run(folder).errors == []
    assert len(endpoint.requests) == 2 * n_first
    assert find_versions(folder, open_instance())["raw_generations"] == generations
    assert table(folder, home, JUDGED_SAMPLES).equals(before)
    drift = (
        open_instance()
        .get_latest_materialization_event(asset_key(folder.recipe.name, "judge_calibration"))
        .asset_materialization.metadata
    )
    assert drift["drift"].records[0].data["mean_shift"] == 0.0


def test_a_critic_that_lets_canaries_pass_stops_what_is_below(tmp_path: Path, home: Path, endpoint: Endpoint):
    endpoint.judge = lambda samples: {"reasoning": "fine", "accuracy": 5, "completeness": 5, "clarity": 5}
    folder = make(tmp_path / "r", endpoint)
    report = run(folder)
    assert any("canaries_rejected" in error for error in report.errors)
    assert "judged_samples" not in find_versions(folder, open_instance())


def test_what_cannot_be_read_or_is_refused_is_unscored_and_never_zero(tmp_path: Path, home: Path, endpoint: Endpoint):
    answers = iter(range(10**6))

    def judge(samples: list[dict]) -> dict | str:
        return grade(samples) if next(answers) % 2 else "I would say this is good."

    endpoint.judge = judge
    folder = make(tmp_path / "r", endpoint, thresholds={"max_unscored_frac": 1, "min_accept_frac": 0}, max_reasks=0)
    assert run(folder).errors == []
    critics = table(folder, home, VERDICTS).filter(pl.col("layer") == "critic")
    silent = critics.filter(pl.col("verdict_status") == "unscored")
    assert silent.height > 5
    assert silent["score"].null_count() == silent.height
    samples = table(folder, home, JUDGED_SAMPLES)
    assert (samples["sample_status"] == "unscored").any()
    assert samples.filter(pl.col("sample_status") == "unscored")["critic_score"].null_count() > 0


def test_a_critic_of_the_students_family_is_refused_before_it_is_asked(tmp_path: Path, home: Path, endpoint: Endpoint):
    folder = make(tmp_path / "r", endpoint, same_family="refuse", families={"strict": "tiny", "tiny": "tiny"})
    [error] = run(folder).errors
    assert "both of family tiny" in error
    assert "same_family is refuse" in error
    assert endpoint.requests == []


def test_several_critics_and_pairs_in_both_orders(tmp_path: Path, home: Path, endpoint: Endpoint):
    folder = make(tmp_path / "r", endpoint, "strict mild", n_pairs=3, aggregate="min")
    assert run(folder).errors == []
    calibration = table(folder, home, JUDGE_CALIBRATION)
    pairs = calibration.filter(pl.col("reference") == "swapped order")
    assert pairs.height == 2
    assert pairs["first_frac"].to_list() == [1.0, 1.0]  # this critic takes whoever stands first
    assert pairs["agreement_frac"].to_list() == [0.0, 0.0]
    choices = [body for body in endpoint.requests if body["response_format"]["json_schema"]["name"] == "Choice"]
    assert len(choices) == 2 * 2 * int(pairs["n"][0])
    critics = table(folder, home, VERDICTS).filter((pl.col("layer") == "critic") & (pl.col("criterion") == "overall"))
    assert critics["judge"].n_unique() == 2


def test_an_answer_that_speaks_to_the_judge_reaches_it_as_data(tmp_path: Path, home: Path, endpoint: Endpoint):
    assert run(make(tmp_path / "r", endpoint)).errors == []
    bodies = [body for body in endpoint.requests if body["messages"][-1]["content"].count("data-")]
    assert bodies
    for body in bodies:
        text = body["messages"][-1]["content"]
        fence = next(line for line in text.splitlines() if line.startswith("data-"))
        [sample] = text.split(f"\n{fence}\n")[1:-1]
        assert "\n" not in sample
        assert set(json.loads(sample)) == {"question", "reasoning", "sql"}
        assert "<|im_end|>" not in text
