"""Exposure: what the optimizer saw is counted, no more and no less, whatever happens to the training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from distill_assets.clients.base_model import build_tiny_model
from distill_assets.config import TrainSpec
from distill_assets.errors import CheckpointError
from distill_assets.train.checkpoint import write_manifest
from distill_assets.train.device import pick_device
from distill_assets.train.exposure import EXPOSURE_FILE, SCHEMA, ExposureLog, read_exposure, summarize_exposure, write_exposure
from distill_assets.train.format import encode_rows
from distill_assets.train.progress import Progress, build_callback
from distill_assets.train.report import describe_checkpoint
from distill_assets.train.scratch import train_tokenizer
from distill_assets.train.trainer import build_trainer

from .conftest import make_rows, plan_training, run_child, start_child
from .exposure_grid import count_mismatches
from .test_child import wait_for_state

# What the plan adds to a manifest.
PLANNED = {"base_model": "m", "base_revision": "r", "n_training_rows": 192, "teachers": {}, "dataset_digest": "d"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_exposure_is_what_reached_model_and_loss_in_every_cell_of_the_grid():
    grid = count_mismatches()
    cells = grid["cases"]
    assert grid["n_mismatches"] == 0, {name: cell["mismatches"] for name, cell in cells.items() if cell["n_mismatches"]}
    assert len(cells) == 32 and grid["n_values"] == 32 * 128
    for name, cell in cells.items():
        # The cell is what its name says, so that it can fail.
        assert cell["n_redone"] == (2 if "resume" in name else 0)
        assert (cell["n_truncated"], cell["n_rows_seen"]) == ((3, 23) if "truncate" in name else (0, 20))
        assert cell["n_lines"] == (6 if "accumulate" in name else 2)
        undisturbed = cells[name.removesuffix("+resume")]
        assert cell["weights_sha256"] == undisturbed["weights_sha256"]
        assert cell["exposure_sha256"] == undisturbed["exposure_sha256"]
        if "packing" in name:
            assert cell["n_steps"] < cells[name.replace("+packing", "")]["n_steps"]


@pytest.mark.slow
def test_a_training_repeated_gives_the_same_weights_and_counts(undisturbed, tmp_path: Path):
    again = plan_training(tmp_path, "again")
    packed = [plan_training(tmp_path, f"packed-{n}", packing=True, accumulation_steps=2, batch_size=4) for n in range(2)]
    for training in (again, *packed):
        code, output = run_child(training)
        assert code == 0, output
    for one, other in ((undisturbed[0], again), packed):
        assert one.manifest["weights_sha256"] == other.manifest["weights_sha256"]
        assert (one.target / EXPOSURE_FILE).read_bytes() == (other.target / EXPOSURE_FILE).read_bytes()
    assert packed[0].manifest["weights_sha256"] != again.manifest["weights_sha256"]
    assert packed[0].result["n_label_tokens"] == again.result["n_label_tokens"]


def test_a_checkpoint_holds_the_counts_and_its_manifest_their_sums(undisturbed):
    training, _ = undisturbed
    frame = read_exposure(training.target)
    assert frame is not None and frame.schema == SCHEMA
    assert frame["sample_id"].to_list() == sorted(make_rows(192)["sample_id"])
    assert frame["n_times"].to_list() == [2] * 192 and not frame["is_truncated"].any()
    assert set(frame["first_step"]) == set(range(1, 13))
    assert summarize_exposure(frame).items() <= training.manifest["training"].items()
    assert EXPOSURE_FILE in training.manifest["files"]
    told = describe_checkpoint(training.target, {**training.manifest, **PLANNED}, False)
    assert (told["numbers"]["n_rows_seen"], told["numbers"]["n_times"]) == (192, 384)
    assert "| exposure | 192 rows seen, 0 of them cut, 11,376 tokens learnt |" in told["summary"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(row["prompt"] + row["completion"] for row in make_rows(30).rows(named=True))


@pytest.mark.parametrize("accumulation_steps", [1, 3])
def test_a_training_that_ends_early_counts_its_steps_alone(tmp_path: Path, tokenizer: Any, accumulation_steps: int):
    """The data loader has fetched more than was trained on, and rows that were never reached stay at zero."""
    encoded = encode_rows(make_rows(30).rows(named=True), tokenizer, 256)
    train = TrainSpec(batch_size=4, accumulation_steps=accumulation_steps, save_every_steps=50)
    trainer = build_trainer(
        build_tiny_model(tokenizer, 1), tokenizer, encoded, train, pick_device("float32"), tmp_path, in_order=True
    )
    trainer.add_callback(build_callback(Progress(lambda line: None, encoded.n_tokens), trainer.exposure, {}))
    trainer.args.max_steps = 2
    trainer.train()
    frame = trainer.exposure.to_frame()
    n_seen = 2 * 4 * accumulation_steps
    assert frame["n_times"].to_list() == [1] * n_seen + [0] * (30 - n_seen)
    assert frame["n_tokens"].to_list()[:n_seen] == [example["length"] for example in encoded.examples[:n_seen]]
    assert frame["first_step"].to_list() == [1] * (n_seen // 2) + [2] * (n_seen // 2) + [None] * (30 - n_seen)
    assert frame[n_seen:]["n_loss_tokens"].sum() == 0


def as_batch(*rows: list[int]) -> tuple[Any, Any]:
    """Lines of row numbers, -1 for padding, and targets: every token but the first of a line and padding."""
    import torch

    tags = torch.tensor(rows)
    return tags, tags[:, 1:] >= 0


def test_what_was_noted_counts_when_the_step_is_done():
    log = ExposureLog(["b", "a", "c"], {"a", "c"})
    log.note(*as_batch([0, 0, 0, 1], [1, 1, -1, -1]))
    assert log.to_frame()["n_times"].sum() == 0
    log.commit(1)
    log.note(*as_batch([1, 1]))
    log.commit(2)
    log.note(*as_batch([2, 2]))
    assert log.to_frame().rows() == [("a", 2, 5, 3, True, 1), ("b", 1, 3, 2, False, 1), ("c", 0, 0, 0, False, None)]


def test_counts_go_on_from_a_saved_state_as_if_nothing_had_happened(tmp_path: Path):
    source = random.Random(3)
    batches = [as_batch([source.randrange(9) for _ in range(12)]) for _ in range(10)]
    ids = [f"{(place * 4) % 9}" for place in range(9)]
    whole = ExposureLog(ids)
    for step, batch in enumerate(batches, 1):
        whole.note(*batch)
        whole.commit(step)
        if step == 4:
            write_exposure(tmp_path, whole.to_frame())
    resumed = ExposureLog(ids)
    resumed.note(*batches[0])
    restored = read_exposure(tmp_path)
    assert restored is not None
    resumed.restore(restored)
    for step, batch in enumerate(batches[4:], 5):
        resumed.note(*batch)
        resumed.commit(step)
    assert resumed.to_frame().equals(whole.to_frame())
    assert np.array_equal(resumed.counts["first_step"], whole.counts["first_step"])
    with pytest.raises(CheckpointError, match="9 rows that are not the 2 of this training"):
        ExposureLog(["1", "2"]).restore(restored)


def test_the_file_is_the_same_bytes_for_the_same_counts(tmp_path: Path):
    written = set()
    for place in range(2):
        log = ExposureLog([f"{n}" for n in range(500)])
        log.note(*as_batch(list(range(500))))
        log.commit(1)
        folder = tmp_path / str(place)
        folder.mkdir()
        write_exposure(folder, log.to_frame())
        written.add((folder / EXPOSURE_FILE).read_bytes())
    assert len(written) == 1


def test_an_older_checkpoint_has_no_exposure_and_says_so(tmp_path: Path, undisturbed):
    manifest = json.loads(json.dumps(undisturbed[0].manifest))
    del manifest["files"][EXPOSURE_FILE]
    for name in ("n_rows_seen", "n_rows_truncated", "n_times"):
        del manifest["training"][name]
    told = describe_checkpoint(tmp_path, {**manifest, **PLANNED}, True)
    assert "| exposure | none: made before it was counted which rows the optimizer saw |" in told["summary"]
    assert "n_rows_seen" not in told["numbers"] and told["numbers"]["n_steps"] == 24
    assert read_exposure(tmp_path) is None


def test_a_file_that_says_something_else_is_an_error(tmp_path: Path):
    (tmp_path / EXPOSURE_FILE).write_bytes(b"PAR1 and no more")
    with pytest.raises(CheckpointError, match=r"exposure\.parquet: cannot be read"):
        read_exposure(tmp_path)
    pl.DataFrame({"sample_id": ["a"], "n_times": [1]}).write_parquet(tmp_path / EXPOSURE_FILE)
    with pytest.raises(CheckpointError, match="expected columns"):
        read_exposure(tmp_path)


@pytest.mark.slow
def test_a_state_without_counts_is_not_resumed_from(undisturbed, tmp_path: Path):
    """As an older version saved it: weights and all, whole, but nobody knows what they have seen."""
    training = plan_training(tmp_path, "old")
    child = start_child(training)
    wait_for_state(training, 2, child)
    child.kill()
    child.communicate()
    states = [folder for folder in training.work_dir.glob("checkpoint-*") if (folder / "manifest.json").exists()]
    for state in states:
        (state / EXPOSURE_FILE).unlink()
        write_manifest(state, {"base_revision": "scratch"})
    code, output = run_child(training)
    assert code == 0, output
    assert f"moved to damaged-1-{states[0].name}" in output and "exposure.parquet is not in it" in output
    assert training.result["resumed_from_step"] == 0
    assert training.manifest["weights_sha256"] == undisturbed[0].manifest["weights_sha256"]
    assert (training.target / EXPOSURE_FILE).read_bytes() == (undisturbed[0].target / EXPOSURE_FILE).read_bytes()
