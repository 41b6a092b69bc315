"""Gates on judging hold in the graph: rules that reject too much, judges that pass all, people who have not looked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from distill_assets.check_frames import agreement_of_critics, share_by_rule, share_of_canaries
from distill_assets.checks import Check, expect, plan_checks, validate_frame
from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, ThresholdSpec, load_recipe
from distill_assets.judge.findings import Finding, build_row
from distill_assets.reviews.labels import Label, append_labels, name_text
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import (
    JUDGE_CALIBRATION,
    JUDGED_SAMPLES,
    TRAINING_DATASET,
    VERDICTS,
    build_frame,
)


def change(folder: RecipeFolder, **fields: Any) -> RecipeFolder:
    recipe = yaml.safe_load((folder.path / "recipe.yaml").read_text(encoding="utf-8"))
    merged = {name: {**recipe.get(name, {}), **value} for name, value in fields.items()}
    (folder.path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **merged}), encoding="utf-8")
    return load_recipe(folder.path)


def run(folder: RecipeFolder, *select: str) -> list[str]:
    return run_recipe(folder, open_instance(), list(select), lambda _: None).errors


def no_table(_: object) -> pl.DataFrame:
    raise AssertionError("no other table is read")


def test_the_share_of_each_rule_is_taken_over_generations_and_not_over_canaries():
    rows = [build_row(f"g{i}", "k", Finding("heuristic", "h@1", "length", "failed" if i < 3 else "passed", 0.0)) for i in range(4)]
    rows += [build_row("g0", "k", Finding("heuristic", "h@1", "answered", "failed", 0.0))]
    rows += [build_row("c0", "k", Finding("heuristic", "h@1", "length", "passed", 1.0), is_canary=True)]
    rows += [build_row("g1", "k", Finding("verifier", "v@1", "executes", "failed", 0.0))]
    frame = share_by_rule(build_frame(VERDICTS, rows), no_table)
    assert frame.rows() == [("h@1", "length", 0.75)]


def test_canaries_count_by_what_all_critics_say_together():
    rows = [
        build_row(f"c{i}", "k", Finding("critic", judge, "x", "passed" if passed else "failed", 1.0), is_canary=True)
        for i, passed in enumerate([True, False, False, False])
        for judge in ("critics", "one@r")
    ]
    assert share_of_canaries(build_frame(VERDICTS, rows), no_table).rows() == [("critics", 0.25, 4)]


def calibrated(reference: str, n: int, kappa: float, judge: str = "critics") -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(JUDGE_CALIBRATION.fields)
    return row | {"layer": "critic", "judge": judge, "criterion": "rubric", "reference": reference, "n": n, "kappa": kappa}


def test_agreement_is_gated_where_there_are_enough_samples():
    rows = [calibrated("verifiers", 100, 0.5), calibrated("people", 5, -1.0), calibrated("verifiers", 99, 0.1, "one@r")]
    thresholds = ThresholdSpec(min_judge_kappa=0.4, min_judge_samples=20)
    frame = agreement_of_critics(thresholds)(build_frame(JUDGE_CALIBRATION, rows), no_table)
    assert frame.rows() == [("critics", "verifiers", 100, 0.5)]
    [check] = [check for check in plan_checks(thresholds)[JUDGE_CALIBRATION.name] if check.name == "judge_agreement"]
    assert all(r["success"] for r in validate_frame(frame, JUDGE_CALIBRATION, [check], key=())["judge_agreement"])
    strict = plan_checks(ThresholdSpec(min_judge_kappa=0.6))[JUDGE_CALIBRATION.name][1]
    assert not any(r["success"] for r in validate_frame(frame, JUDGE_CALIBRATION, [strict], key=())["judge_agreement"])


def test_a_derived_frame_without_rows_passes():
    check = Check("c", "m", (expect("column_values_to_be_between", column="failed_frac", max_value=0.1),))
    frame = pl.DataFrame(schema={"judge": pl.String, "failed_frac": pl.Float64})
    assert all(result["success"] for result in validate_frame(frame, VERDICTS, [check], key=())["c"])


@pytest.mark.slow
def test_a_rule_that_rejects_most_stops_the_graph_and_says_which(scenario: RecipeFolder, home: Path):
    folder = change(scenario, judge={"heuristics": {"max_question_chars": 12}}, thresholds={"max_rule_reject_frac": 0.3})
    [error] = run(folder, "judged_samples")
    assert "rules_reject_few" in error
    assert "judged_samples" not in find_versions(folder, open_instance())


@pytest.mark.slow
def test_judges_that_pass_nearly_all_are_noticed(scenario: RecipeFolder, home: Path):
    folder = change(scenario, thresholds={"max_accept_frac": 0.2, "min_accept_frac": 0.0})
    assert any("accept_rate" in error for error in run(folder, "judged_samples"))


def label_samples(folder: RecipeFolder, home: Path, said: list[str], drawn: str = "random") -> None:
    """One label a sample, on accepted samples that nobody labelled."""
    workspace = Workspace(home)
    version = find_versions(folder, open_instance())["judged_samples"]
    judged = read_table(workspace, folder.recipe.name, JUDGED_SAMPLES, version)
    accepted = judged.filter((pl.col("judged_status") == "accepted") & pl.col("label").is_null()).sort("sample_id").head(len(said))
    labels = [
        Label(
            sample_id=row["sample_id"], reviewer="ann", label=label, labelled_at="2026-11-21T10:00:00Z", seen_status="accepted",
            drawn=drawn, text_id=name_text(row["question"], row["trace"], row["sql"]),
        )
        for label, row in zip(said, accepted.iter_rows(named=True), strict=True)
    ]  # fmt: skip
    append_labels(workspace, folder.recipe.name, labels)


@pytest.mark.slow
def test_nothing_is_trained_before_people_looked_and_their_labels_overrule(scenario: RecipeFolder, home: Path):
    folder = change(scenario, thresholds={"review_above_rows": 3, "min_reviewed": 4, "max_review_error_frac": 0.3})
    assert any("people_looked" in error for error in run(folder))
    versions = find_versions(folder, open_instance())
    assert "training_dataset" in versions
    assert "student_checkpoint" not in versions

    label_samples(folder, home, ["accept"] * 4, drawn="chosen")  # picked by a person: says nothing of the rest
    assert any("people_looked" in error for error in run(folder, "training_dataset"))

    label_samples(folder, home, ["accept", "accept", "accept", "reject"])
    assert run(folder, "training_dataset") == []
    after = find_versions(folder, open_instance())
    judged = read_table(Workspace(home), folder.recipe.name, JUDGED_SAMPLES, after["judged_samples"])
    [rejected] = judged.filter(pl.col("label") == "reject").iter_rows(named=True)
    assert (rejected["sample_status"], rejected["judged_status"]) == ("rejected", "accepted")
    assert "by people" in rejected["reason"]
    dataset = read_table(Workspace(home), folder.recipe.name, TRAINING_DATASET, after["training_dataset"])
    assert rejected["sample_id"] not in dataset["sample_id"]
    assert after["raw_generations"] == versions["raw_generations"]
    assert after["verdicts"] == versions["verdicts"]

    label_samples(folder, home, ["reject", "reject"])
    assert any("people_looked" in error for error in run(folder, "training_dataset"))
