"""What the training child is told: one JSON file, checked before torch is imported.

Belongs here: the file's shape. Does not belong here: choosing its values (plan, config).

Paths and threads decide where and how fast, never what comes out; only `base_model.revision`, the rows
and `train` decide the weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydantic

from distill_assets import config
from distill_assets.errors import TrainingError


class TrainSpec(config.TrainSpec):
    """How the student is trained, with what the child itself decides by default.

    `frozen_frac` is the share of a pretrained model's layers, from the bottom, that stay as they are,
    together with the embeddings. Half of them costs a third less time and loses nothing on
    short single-task rows (measured in benchmarks/README.md). A model from scratch is never frozen.
    """

    frozen_frac: float = pydantic.Field(0.5, ge=0, lt=1)


class BaseModelRef(pydantic.BaseModel):
    """Which weights training starts from; `path` of model `tiny` is not read."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    path: Path
    name: str
    revision: str


class ChildSpec(pydantic.BaseModel):
    """One training: rows in, checkpoint out, `work_dir` for what a rerun resumes from."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    rows: Path
    base_model: BaseModelRef
    train: TrainSpec
    threads: int = pydantic.Field(ge=1)
    work_dir: Path
    target: Path
    manifest: dict[str, Any] = {}


def read_child_spec(file: Path) -> ChildSpec:
    """Read and check a spec file.

    Raises:
        TrainingError: the file is missing, no JSON, or does not fit.
    """
    try:
        return ChildSpec.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise TrainingError(f"training spec {file}: {error}. Nothing was trained. Materialize student_checkpoint again.") from error
