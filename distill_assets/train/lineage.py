"""What the ledger keeps of a training beside its rows: the student, what was seen in all, the circumstances.

Belongs here: picking that from the checkpoint's manifest and the recipe. Does not belong here: writing it (recording).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from distill_assets.clients.base_model import EMBEDDED_NAME, TINY_NAME, BaseModel
from distill_assets.config import Recipe
from distill_assets.families import find_families
from distill_assets.identity import canonical_json, hash_text
from distill_assets.lineage.circumstances import describe_code, describe_environment
from distill_assets.train.checkpoint import MANIFEST_FILE

LICENCES = {EMBEDDED_NAME: "apache-2.0"}
TRAINING_FACTS = ("n_steps", "n_rows_too_long", "n_rows_truncated")


def describe_training(recipe: Recipe, base: BaseModel, manifest: dict[str, Any], exposure: pl.DataFrame | None) -> dict[str, Any]:
    """Facts of a checkpoint for the ledger.

    Args:
        manifest: the checkpoint's own. exposure: what the optimizer saw of each row; None where nobody counted.
    """
    training = manifest["training"]
    return {
        "weights_sha256": manifest["weights_sha256"],
        "files": manifest["files"],
        "student": {
            "base_model": base.name,
            "base_revision": base.revision,
            "base_licence": LICENCES.get(base.name),
            "families": [] if base.name == TINY_NAME else sorted(find_families(base.name, recipe.judge.critics.families)),
            "parent_checkpoint": find_parent(base),
            "n_parameters": training["n_parameters"],
            "task": recipe.task,
            "languages": [recipe.judge.heuristics.language] if recipe.judge.heuristics.language else [],
            "description": recipe.description,
        },
        "exposure": sum_exposure(exposure, manifest),
        "code": describe_code(),
        "environment": describe_environment(training),
        "config": {"recipe_sha256": hash_text(canonical_json(recipe.model_dump(mode="json"))), "train": recipe.student.train.identity()},
    }


def sum_exposure(exposure: pl.DataFrame | None, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the optimizer saw in all; null figures where nobody counted."""
    training, train = manifest["training"], manifest["train"]
    told = {name: training.get(name) for name in TRAINING_FACTS}
    how = {"epochs": train["epochs"], "packing": train.get("packing", False), "accumulation_steps": train.get("accumulation_steps", 1)}
    if exposure is None:
        return {**dict.fromkeys(("n_rows_seen", "n_rows_not_seen", "n_times", "n_tokens", "n_loss_tokens")), **told, **how}
    seen = exposure.filter(pl.col("n_times") > 0)
    sums = {name: int(seen[name].sum()) for name in ("n_times", "n_tokens", "n_loss_tokens")}
    return {"n_rows_seen": seen.height, "n_rows_not_seen": exposure.height - seen.height, **sums, **told, **how}


def find_parent(base: BaseModel) -> str | None:
    """The checkpoint that a student starts from, when its base model is one."""
    try:
        return json.loads((Path(base.path) / MANIFEST_FILE).read_text(encoding="utf-8"))["checkpoint_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
