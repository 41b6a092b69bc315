"""Critics at work: a real small model behind a real server judges a recipe's samples, canaries among them.

Belongs here: the figures of one run of the whole stage, and of canaries through all layers. Does not belong here: other
layers by themselves (attacks, planted).

The model is SmolLM2-135M, which can hardly judge: the figures show that the stage holds with a critic like that, and
that a canary has to pass the layers before it as well. They say nothing of a critic worth asking.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.judge.critics.canaries import ATTACKS, make_canaries
from distill_assets.judge.settle import settle
from distill_assets.judge.verdicts import build_layers, judge_generations
from distill_assets.storage import Workspace, find_instances, read_table
from distill_assets.tables import (
    DATABASES,
    JUDGE_CALIBRATION,
    JUDGED_SAMPLES,
    RAW_GENERATIONS,
    VERDICTS,
    TableSpec,
    build_frame,
)
from distill_assets.verifiers.sql.execution import SqlRunner
from distill_assets.verifiers.sql.verify import SqlVerifier
from tests.local_teacher import LocalTeacher, serve_local_teacher
from tests.scenario import write_scenario

N_CANARIES = 2 * len(ATTACKS)
N_PAIRS = 3


def measure(root: Path) -> dict[str, Any]:
    """Run the stage twice, the second time with another threshold, and look at what it wrote."""
    home = root / "home"
    os.environ["DISTILL_HOME"] = str(home)
    with serve_local_teacher(root, "--context", "4096") as server:
        os.environ[server.block["api_key_env"]] = "any"
        began = time.monotonic()
        folder = _write_recipe(root / "recipe", server, 0.75)
        report = run_recipe(folder, open_instance(), ["judged_samples"], lambda _: None)
        seconds = time.monotonic() - began
        if report.errors:
            raise RuntimeError("\n".join(report.errors))
        first = {spec.name: _read(folder, home, spec) for spec in (VERDICTS, JUDGED_SAMPLES, JUDGE_CALIBRATION, RAW_GENERATIONS)}
        again = _write_recipe(root / "recipe", server, 0.5)
        run_recipe(again, open_instance(), ["judged_samples"], lambda _: None)
        sent = _read_sent(again)
    return _describe(first, seconds) | {
        "judgements_sent_after_threshold_changed": sent,
        **_judge_canaries(folder, home, first[RAW_GENERATIONS.name], first[VERDICTS.name]),
    }


def _write_recipe(folder: Path, server: LocalTeacher, threshold: float) -> RecipeFolder:
    write_scenario(folder, samples_per_seed=3)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    shared = {key: server.block[key] for key in ("model", "endpoint", "base_url", "api_key_env") if key in server.block}
    critic = {"name": "small", "max_tokens": 160, "max_reasks": 0, "retry_truncated": False, "use_logprobs": True, **shared}
    critic["limits"] = {"concurrency": 2, "timeout_s": 300}
    recipe["judge"] = {
        "critics": {"judges": [critic], "n_canaries": N_CANARIES, "n_pairs": N_PAIRS, "ask_failed_frac": 1, "threshold": threshold}
    }
    recipe["thresholds"] |= {"min_accept_frac": 0, "max_unscored_frac": 1, "max_canaries_passed_frac": 1}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return load_recipe(folder)


def _read(folder: RecipeFolder, home: Path, spec: TableSpec) -> pl.DataFrame:
    return read_table(Workspace(home), folder.recipe.name, spec, find_versions(folder, open_instance())[spec.name])


def _read_sent(folder: RecipeFolder) -> int:
    from distill_assets.gates import asset_key

    event = open_instance().get_latest_materialization_event(asset_key(folder.recipe.name, VERDICTS.name))
    return int(event.asset_materialization.metadata["n_judgements_sent"].value)


def _describe(tables: dict[str, pl.DataFrame], seconds: float) -> dict[str, Any]:
    overall = tables[VERDICTS.name].filter((pl.col("layer") == "critic") & (pl.col("criterion") == "overall"))
    unscored = overall.filter(pl.col("verdict_status") == "unscored")
    [row] = tables[JUDGE_CALIBRATION.name].filter(
        (pl.col("judge") == "critics") & (pl.col("reference") == "verifiers")
    ).iter_rows(named=True) or [{}]  # fmt: skip
    swapped = tables[JUDGE_CALIBRATION.name].filter(pl.col("reference") == "swapped order")
    return {
        "critic_judgements": overall.height,
        "critic_unscored": unscored.height,
        "scored_0_by_failure": unscored.height - unscored["score"].null_count(),
        "critic_stage_s": round(seconds, 1),
        "critic_auc_vs_verifiers": row.get("auc"),
        "critic_kappa_vs_verifiers": row.get("kappa"),
        "critic_first_frac": swapped["first_frac"][0] if swapped.height else None,
    }


def _judge_canaries(folder: RecipeFolder, home: Path, generations: pl.DataFrame, verdicts: pl.DataFrame) -> dict[str, Any]:
    """Canaries through every layer, as if a teacher had written them."""
    canaries = make_canaries(generations, N_CANARIES)
    template = generations.filter(pl.col("generation_status") == "ok").row(0, named=True)
    rows = [
        template
        | {"generation_id": c.canary_id, "database": c.database, "question": c.question, "trace": c.trace, "completion": c.sql}
        for c in canaries
    ]
    frame = build_frame(RAW_GENERATIONS, rows)
    files = find_instances(Workspace(home), folder.recipe.name, _read(folder, home, DATABASES))
    named = {f"{name}#{i}": file for name, by_ix in files.items() for i, file in by_ix.items()}
    with SqlRunner(named) as runner:
        verifiers = {name: SqlVerifier(runner, [f"{name}#{i}" for i in by_ix]) for name, by_ix in files.items()}
        layers = build_layers(folder.recipe.judge, verifiers, dict.fromkeys(files, "x"))
        before = judge_generations(frame, layers, None, lambda done, total: None).rows
    by_critics = verdicts.filter(pl.col("is_canary"))
    accepted = passed = 0
    for canary in canaries:
        mine = list(by_critics.filter(pl.col("generation_id") == canary.canary_id).iter_rows(named=True))
        passed += any(row["is_decisive"] and row["verdict_status"] == "passed" for row in mine)
        status, _ = settle([*(row for row in before if row["generation_id"] == canary.canary_id), *mine])
        accepted += status == "accepted"
    return {"canaries": len(canaries), "canaries_accepted": accepted, "canaries_passed_by_critic_alone": passed}


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['critic_judgements']} judgements by a 135M model, {figures['critic_unscored']} unscored, "
        f"{figures['scored_0_by_failure']} scored 0 by failure; {figures['canaries_accepted']} of {figures['canaries']} canaries accepted "
        f"({figures['canaries_passed_by_critic_alone']} passed by the critic alone)"
    )
