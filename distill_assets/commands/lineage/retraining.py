"""A student trained again in a scratch workspace, and its files held against the recorded ones.

Belongs here: running the training child outside of the graph, and the first tensor that differs. Does not belong here: training (train).

The recorded literals count, not today's recipe: training settings, number of threads, a CPU where it was one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from distill_assets.clients.base_model import resolve_base_model
from distill_assets.config import Recipe, TrainSpec, cache_folder
from distill_assets.errors import LineageError, TrainingError
from distill_assets.identity import hash_file
from distill_assets.lineage.chain import Event
from distill_assets.processes import constructed_environment
from distill_assets.storage import Workspace
from distill_assets.train.checkpoint import MANIFEST_FILE, WEIGHTS_FILE
from distill_assets.train.plan import is_curriculum, name_checkpoint, plan_training, read_checkpoint, write_plan

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def retrain(recipe: Recipe, event: Event, dataset: pl.DataFrame, scratch: Workspace, say: Callable[[str], None]) -> Path:
    """Train as the checkpoint of `event` was trained; return the new one's folder, in the scratch workspace.

    Raises:
        LineageError: the base model is another one, or the same inputs have another id today.
        TrainingError: the child failed.
    """
    facts = event.facts
    train = _read_settings(facts["config"]["train"])
    base = resolve_base_model(recipe.student.base_model, cache_folder())
    if base.revision != facts["student"]["base_revision"]:
        raise LineageError(
            f"the base model is {base.name}@{base.revision}, and was {facts['student']['base_model']}@{facts['student']['base_revision']}"
        )
    checkpoint_id = name_checkpoint(dataset, base.revision, train, is_curriculum(recipe))
    if checkpoint_id != facts["checkpoint"]:
        raise LineageError(
            f"the same rows and settings give the id {checkpoint_id} today: the order of rows or the step's version is another one"
        )
    threads = int(facts["environment"].get("threads") or 1)
    same = recipe.model_copy(update={"student": recipe.student.model_copy(update={"train": train})})
    plan = plan_training(scratch, same, dataset, base, checkpoint_id, threads)
    spec_file = write_plan(plan, dataset, {"dataset_version": facts["data_version"], "recipe": recipe.name})
    is_cpu = "(cpu)" in str(facts["environment"].get("device"))
    say(f"training again on {threads} threads" + (" of the CPU" if is_cpu else ""))
    _run_child(spec_file, {**OFFLINE, **({"CUDA_VISIBLE_DEVICES": ""} if is_cpu else {})})
    read_checkpoint(plan.target, must_exist=True)
    return plan.target


def _read_settings(recorded: object) -> TrainSpec:
    try:
        return TrainSpec.model_validate(recorded)
    except ValidationError as error:
        raise LineageError(
            f"the recorded training settings are none that this version knows: {error.errors()[0]['msg']}"
        ) from error


def _run_child(spec_file: Path, extra: dict[str, str]) -> None:
    command = [sys.executable, "-m", "distill_assets.train.child", "--spec", str(spec_file)]
    done = subprocess.run(
        command, env=constructed_environment(extra), capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise TrainingError(
            f"the training child ended with status {done.returncode}: {words[0][:300]}. The workspace was not touched."
        )


def compare_weights(event: Event, built: Path, kept: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Hold a checkpoint built again against what is recorded, and the workspace's own files too.

    Args:
        built: its folder. kept: the folder in the workspace, which may be gone.

    Returns:
        Digests and counts, with the child's own figures as `training`; and every difference.
    """
    manifest = read_checkpoint(built, must_exist=True)
    assert manifest is not None
    recorded = {name: entry["sha256"] for name, entry in event.facts["files"].items() if name != MANIFEST_FILE}
    found = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    drifts = []
    for name in sorted(recorded.keys() | found.keys()):
        if recorded.get(name) != found.get(name):
            tensor = name_tensor(kept / name, built / name) if name == WEIGHTS_FILE else None
            words = f"{name} built again is not the recorded one" + (f": {tensor}" if tensor else "")
            drifts.append({"where": "weights" if name == WEIGHTS_FILE else name, "words": words})
    drifts += _compare_kept(recorded, found, kept, built)
    weights = {
        "is_same": not drifts, "weights_sha256": found.get(WEIGHTS_FILE, ""), "recorded_sha256": event.facts["weights_sha256"],
        "n_files": len(recorded), "n_files_same": sum(found.get(name) == digest for name, digest in recorded.items()),
        "training": manifest["training"],
    }  # fmt: skip
    return weights, drifts


def _compare_kept(recorded: dict[str, str], found: dict[str, str], kept: Path, built: Path) -> list[dict[str, Any]]:
    """Files in the workspace that are not the recorded ones although those could be built again."""
    drifts = []
    for name, digest in sorted(recorded.items()):
        if (kept / name).is_file() and hash_file(kept / name) != digest and found.get(name) == digest:
            tensor = name_tensor(built / name, kept / name) if name == WEIGHTS_FILE else None
            words = f"{name} was reproduced as recorded, and the workspace's own file is another one"
            drifts.append(
                {"where": "weights" if name == WEIGHTS_FILE else name, "words": words + (f": {tensor}" if tensor else "")}
            )
    return drifts


def name_tensor(first: Path, second: Path) -> str | None:
    """The first tensor, by name, in which two files of weights differ, in words; None where one of them is gone."""
    if not first.is_file() or not second.is_file():
        return None
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(first, framework="pt") as left, safe_open(second, framework="pt") as right:
            names = sorted(set(left.keys()) | set(right.keys()))
            differing = []
            for name in names:
                if name not in left.keys() or name not in right.keys():  # noqa: SIM118 - no container
                    differing.append((name, "is in one of them only"))
                    continue
                one, other = left.get_tensor(name), right.get_tensor(name)
                if one.shape != other.shape or one.dtype != other.dtype:
                    differing.append((name, f"{one.dtype} {list(one.shape)} and {other.dtype} {list(other.shape)}"))
                elif not torch.equal(one.view(torch.uint8), other.view(torch.uint8)):
                    distance = float((one.double() - other.double()).abs().max())
                    differing.append((name, f"{one.dtype} {list(one.shape)}, largest distance {distance:.3g}"))
    except (SafetensorError, OSError, ValueError) as error:
        return f"a file of weights cannot be read: {str(error)[:120]}"
    if not differing:
        return f"all {len(names)} tensors are the same; the header differs"
    return f"the first of {len(differing)} differing tensors of {len(names)} is {differing[0][0]} ({differing[0][1]})"
