"""What is trained from what: the checkpoint's id, the child's spec file, and what is there already.

Belongs here: the identity of a checkpoint and the files that the child reads. Does not belong here:
training (trainer, child) or Dagster (assets).

`checkpoint_id` covers the training rows, the base model's revision, the training spec and the step's
version. A checkpoint with that id is never trained twice, whoever asks for it; it is not the hash of
the weights, which on a GPU need not repeat.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from distill_assets.clients.base_model import BaseModel
from distill_assets.config import Recipe, TrainSpec
from distill_assets.errors import CheckpointError, NothingSurvivedError
from distill_assets.identity import hash_rows, make_id
from distill_assets.storage import Workspace, write_snapshot, write_text
from distill_assets.train.checkpoint import verify_checkpoint

STEP_VERSION = "1"


class TrainingPlan(NamedTuple):
    """All paths and literals of one training."""

    checkpoint_id: str
    rows_file: Path
    spec_file: Path
    work_dir: Path
    target: Path
    base: BaseModel
    train: TrainSpec
    threads: int
    in_order: bool


def training_rows(dataset: pl.DataFrame, in_order: bool) -> pl.DataFrame:
    """The rows that the optimizer sees: sample_id, prompt, completion of the train split.

    Args:
        in_order: sorted by their position in a curriculum, else by id.

    Raises:
        NothingSurvivedError: the split is empty.
    """
    train = dataset.filter(pl.col("split") == "train").sort("position" if in_order else "sample_id")
    rows = train.select("sample_id", "prompt", "completion")
    if rows.is_empty():
        raise NothingSurvivedError(
            "training_dataset has no row in split 'train'. No checkpoint was replaced. Generate more samples."
        )
    return rows


def name_checkpoint(dataset: pl.DataFrame, base_revision: str, train: TrainSpec, in_order: bool = False) -> str:
    """The checkpoint's id: what decides the weights, and nothing else; the rows' order only where they are trained on in it."""
    rows = training_rows(dataset, in_order)
    digest = hash_rows(rows.iter_rows(named=True))
    order = [rows["sample_id"].to_list()] if in_order else []
    return make_id("checkpoint", STEP_VERSION, digest, base_revision, train.identity(), *order)


def plan_training(
    workspace: Workspace, recipe: Recipe, dataset: pl.DataFrame, base: BaseModel, checkpoint_id: str, threads: int
) -> TrainingPlan:
    """Lay out one training in the workspace; threads decide the speed, not the id."""
    work = workspace.folder("work", recipe.name) / checkpoint_id
    return TrainingPlan(
        checkpoint_id,
        work.with_suffix(".parquet"),
        work.with_suffix(".json"),
        work,
        workspace.folder("checkpoints", recipe.name) / checkpoint_id,
        base,
        recipe.student.train,
        threads,
        is_curriculum(recipe),
    )


def is_curriculum(recipe: Recipe) -> bool:
    """Whether rows are trained on in the order of their position."""
    return recipe.curate.order != "any"


def write_plan(plan: TrainingPlan, dataset: pl.DataFrame, facts: dict[str, Any]) -> Path:
    """Write the child's rows and spec file, and return the latter.

    Args:
        facts: further literals for the manifest, such as the dataset's version.
    """
    rows = training_rows(dataset, plan.in_order)
    write_snapshot(plan.rows_file, rows)
    teachers = dataset.filter(pl.col("split") == "train")["teacher"].value_counts().sort("teacher")
    manifest = {
        "checkpoint_id": plan.checkpoint_id,
        "base_model": plan.base.name,
        "base_revision": plan.base.revision,
        "dataset_digest": hash_rows(rows.iter_rows(named=True)),
        "n_training_rows": rows.height,
        "teachers": {str(name): int(n) for name, n in teachers.iter_rows()},
        "train": plan.train.identity(),
        **({"in_order": True} if plan.in_order else {}),
        **facts,
    }
    spec = {
        "rows": str(plan.rows_file),
        "base_model": {"path": str(plan.base.path), "name": plan.base.name, "revision": plan.base.revision},
        "train": plan.train.identity(),
        "in_order": plan.in_order,
        "threads": plan.threads,
        "work_dir": str(plan.work_dir),
        "target": str(plan.target),
        "manifest": manifest,
    }
    write_text(plan.spec_file, json.dumps(spec, indent=1, sort_keys=True))
    return plan.spec_file


def read_checkpoint(target: Path, must_exist: bool = False) -> dict[str, Any] | None:
    """Return the manifest of a checkpoint whose files all match it; None when there is none.

    A damaged one counts as none: training moves it aside and publishes anew.

    Raises:
        CheckpointError: there is none although there must be.
    """
    if must_exist:
        return verify_checkpoint(target)
    try:
        return verify_checkpoint(target)
    except CheckpointError:
        return None
