"""A curriculum: rows are trained on in the order of their position, and that order is part of what a checkpoint is."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from distill_assets.clients.base_model import BaseModel, build_tiny_model
from distill_assets.config import TrainSpec
from distill_assets.errors import NothingSurvivedError
from distill_assets.storage import Workspace
from distill_assets.train.assets import build_train_assets
from distill_assets.train.device import pick_device
from distill_assets.train.format import encode_rows
from distill_assets.train.plan import is_curriculum, name_checkpoint, plan_training, training_rows, write_plan
from distill_assets.train.scratch import train_tokenizer
from distill_assets.train.trainer import build_trainer, order_rows
from tests.scenario import write_scenario

from .conftest import make_rows, run_child
from .conftest import plan_training as plan_child

BASE = BaseModel(Path("nowhere"), "tiny", "scratch")
TRAIN = TrainSpec()


def dataset(n: int = 12, positions: list[int] | None = None, n_heldout: int = 0) -> pl.DataFrame:
    """Rows with the position that `positions` says, the last ones held out."""
    splits = ["train"] * (n - n_heldout) + ["heldout"] * n_heldout
    columns = {"position": positions or list(reversed(range(n))), "split": splits, "teacher": ["t"] * n}
    return make_rows(n).with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def test_rows_stand_in_the_order_of_their_position_only_in_a_curriculum():
    rows = dataset()
    assert training_rows(rows, True)["sample_id"].to_list() == sorted(rows["sample_id"], reverse=True)
    assert training_rows(rows, False)["sample_id"].to_list() == sorted(rows["sample_id"])
    shuffled = rows.sample(fraction=1, shuffle=True, seed=2)
    assert training_rows(shuffled, True).equals(training_rows(rows, True))
    with pytest.raises(NothingSurvivedError, match="no row in split 'train'"):
        training_rows(dataset(3, n_heldout=3), True)


def test_a_checkpoints_id_changes_with_the_order_only_in_a_curriculum():
    turned = [dataset(positions=[*range(12)]), dataset(positions=[1, 0, *range(2, 12)])]
    free, ordered = ([name_checkpoint(rows, "r", TRAIN, in_order) for rows in turned] for in_order in (False, True))
    assert free[0] == free[1] == name_checkpoint(dataset(), "r", TRAIN)
    assert len({*free, *ordered}) == 3


def test_places_that_leave_the_order_of_the_rows_as_it_is_are_the_same_checkpoint():
    ids = {
        name_checkpoint(dataset(positions=[*range(12)]), "r", TRAIN, in_order=True),
        name_checkpoint(dataset(positions=[*range(0, 36, 3)]), "r", TRAIN, in_order=True),
        name_checkpoint(pl.concat([dataset(positions=[*range(1, 13)]), held_out()]), "r", TRAIN, in_order=True),
    }
    assert len(ids) == 1


def held_out() -> pl.DataFrame:
    return dataset(1, [0], n_heldout=1).with_columns(sample_id=pl.lit("held out"))


@pytest.mark.parametrize("order", ["any", "easy_first", "hard_first"])
def test_the_plan_tells_the_child_and_the_manifest(tmp_path: Path, order: str):
    recipe = write_scenario(tmp_path / "recipe", extra=f"curate: {{order: {order}}}").recipe
    in_order = is_curriculum(recipe)
    assert in_order == (order != "any")
    plan = plan_training(Workspace(tmp_path), recipe, dataset(), BASE, "c0", 1)
    spec = json.loads(write_plan(plan, dataset(), {}).read_text())
    assert spec["in_order"] == in_order and spec["manifest"].get("in_order", False) == in_order
    assert pl.read_parquet(spec["rows"]).equals(training_rows(dataset(), in_order))


@pytest.mark.parametrize("in_order", [False, True])
def test_the_optimizer_gets_the_rows_as_they_stand_in_every_epoch(tmp_path: Path, in_order: bool):
    rows = make_rows(30).rows(named=True)
    tokenizer = train_tokenizer(row["prompt"] + row["completion"] for row in rows)
    encoded = encode_rows(rows, tokenizer, 256)
    examples = encoded.examples
    train = TrainSpec(epochs=2, batch_size=8)
    trainer = build_trainer(
        build_tiny_model(tokenizer, 1), tokenizer, encoded, train, pick_device(train.dtype), tmp_path, in_order=in_order
    )
    loader = trainer.get_train_dataloader()
    for epoch in range(2):
        loader.set_epoch(epoch)
        seen = [ids[: ids.index(tokenizer.eos_token_id) + 1] for batch in loader for ids in batch["input_ids"].tolist()]
        mixed = order_rows([example["length"] for example in examples], 8, train.seed, epoch)
        wanted = range(30) if in_order else mixed
        assert mixed != list(range(30))
        assert seen == [examples[row]["input_ids"] for row in wanted]


def test_a_change_of_order_makes_the_student_out_of_date_though_the_dataset_may_be_the_same(tmp_path: Path):
    """Samples of one difficulty have the same positions in every order, and are mixed in one and not in the other."""
    versions = {}
    for order in ("any", "easy_first"):
        folder = write_scenario(tmp_path / order, extra=f"curate: {{order: {order}}}")
        [asset] = build_train_assets(folder)
        versions[order] = asset.code_versions_by_key[asset.key]
    assert versions["any"] != versions["easy_first"]


@pytest.mark.slow
def test_the_child_takes_rows_in_order_when_it_is_told_to(tmp_path: Path):
    weights = set()
    for in_order in (True, False):
        training = plan_child(tmp_path, f"child-{in_order}", n_rows=64, epochs=1)
        training.spec_file.write_text(json.dumps(json.loads(training.spec_file.read_text()) | {"in_order": in_order}))
        code, output = run_child(training)
        assert code == 0, output
        weights.add(training.manifest["weights_sha256"])
    assert len(weights) == 2
