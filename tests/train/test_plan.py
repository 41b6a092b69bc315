"""A checkpoint's id: what decides the weights is in it, and a field that came later renames nothing that doesn't use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_assets.clients.base_model import BaseModel
from distill_assets.config import LATER_TRAIN_FIELDS, SCALES, TrainSpec
from distill_assets.identity import fingerprint
from distill_assets.storage import Workspace
from distill_assets.train.plan import name_checkpoint, plan_training, write_plan
from distill_assets.train.spec import ChildSpec
from tests.scenario import write_scenario

from .test_curriculum import dataset

# Taken before packing, accumulation_steps and long_rows were fields.
NAMES = (
    (TrainSpec(), "7378851c4cbe1c92c4f2404bcc2057e0", "ec814e30c459"),
    (TrainSpec(**SCALES["tiny"]["student"]["train"]), "73bcb37ae822f6658bff3e857c75acc7", "63afd2266ea8"),
    (TrainSpec(epochs=3, seed=4, dtype="float32"), "4c5633ab687cb42f128c28e81d70082b", "3b383dbd883a"),
)
USED = {"packing": True, "accumulation_steps": 2, "long_rows": "truncate"}


@pytest.mark.parametrize(("train", "checkpoint_id", "digest"), NAMES)
def test_a_checkpoint_that_uses_no_later_field_keeps_the_id_it_had(train: TrainSpec, checkpoint_id: str, digest: str):
    assert name_checkpoint(dataset(), "r", train) == checkpoint_id
    assert fingerprint(train.identity()) == digest
    written_out = TrainSpec(**train.identity(), packing=False, accumulation_steps=1, long_rows="drop")
    assert name_checkpoint(dataset(), "r", written_out) == checkpoint_id


def test_each_later_field_makes_another_checkpoint_when_it_is_used():
    assert set(USED) == set(LATER_TRAIN_FIELDS)
    ids = {name_checkpoint(dataset(), "r", TrainSpec(**{name: value})) for name, value in USED.items()}
    ids |= {name_checkpoint(dataset(), "r", TrainSpec()), name_checkpoint(dataset(), "r", TrainSpec(**USED))}
    assert len(ids) == 5


@pytest.mark.parametrize("train", [TrainSpec(), TrainSpec(**USED), TrainSpec(accumulation_steps=3, batch_size=2)])
def test_the_child_is_told_what_the_recipe_says(tmp_path: Path, train: TrainSpec):
    said = {name: getattr(train, name) for name in train.model_fields_set}
    recipe = write_scenario(tmp_path / "recipe", extra=f"student: {json.dumps({'train': said})}").recipe
    plan = plan_training(Workspace(tmp_path), recipe, dataset(), BaseModel(Path("nowhere"), "tiny", "scratch"), "c0", 1)
    spec = ChildSpec.model_validate_json(write_plan(plan, dataset(), {}).read_text())
    assert spec.train == recipe.student.train
    assert said.items() <= spec.train.model_dump().items()
    assert TrainSpec(**spec.manifest["train"]) == spec.train
