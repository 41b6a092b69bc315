"""What the training child is told: one JSON file, checked before torch is imported.

Belongs here: the file's shape. Does not belong here: choosing its values (plan, config).

Paths and threads decide where and how fast, never what comes out; only `base_model.revision`, the rows
and `train` decide the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic

from distill_assets.config import TrainSpec


class BaseModelRef(pydantic.BaseModel):
    """Which weights training starts from; `path` of model `tiny` is not read."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    path: Path
    name: str
    revision: str


class ChildSpec(pydantic.BaseModel):
    """One training: rows in, checkpoint out, `work_dir` for what a rerun resumes from; `in_order` takes the rows as they stand."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    rows: Path
    base_model: BaseModelRef
    train: TrainSpec
    in_order: bool = False
    threads: int = pydantic.Field(ge=1)
    work_dir: Path
    target: Path
    manifest: dict[str, Any] = {}
