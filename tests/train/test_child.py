"""The training child as a real process: what it writes, and that no kill changes it."""

from __future__ import annotations

import random
import time

import pytest

from distill_assets.train.checkpoint import verify_checkpoint

from .conftest import plan_training, run_child, start_child


def test_publishes_a_checkpoint_and_nothing_else(undisturbed):
    training, output = undisturbed
    names = {path.name for path in training.target.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "manifest.json"} <= names
    assert not names & {"optimizer.pt", "training_args.bin", "trainer_state.json"}
    assert not training.work_dir.exists()
    assert verify_checkpoint(training.target)["checkpoint_id"] == "calm"
    assert "step 24/24" in output


def test_figures_say_what_happened(undisturbed):
    figures = undisturbed[0].result
    assert figures == undisturbed[0].manifest["training"]
    assert (figures["n_rows"], figures["n_steps"], figures["resumed_from_step"]) == (192, 24, 0)
    assert figures["loss_last"] < figures["loss_first"] * 0.8
    assert [point["step"] for point in figures["history"]] == list(range(1, 25))
    assert figures["tokens_per_s"] > 0


@pytest.mark.slow
def test_killed_anywhere_it_ends_with_the_same_weights(undisturbed, tmp_path):
    """SIGKILL after a random wait, again and again, until it gets through; history is whole as well."""
    source = random.Random(5)
    training = plan_training(tmp_path, "stormy")
    ends = []
    for _ in range(4):
        child = start_child(training)
        wait_for_state(training, len(ends) + 1, child)
        time.sleep(source.uniform(0, 0.3))
        child.kill()
        child.communicate()
        ends.append(child.returncode)
    assert ends.count(-9) >= 3
    code, output = run_child(training)
    assert code == 0, output
    assert "resuming from checkpoint-" in output or "is there already" in output
    assert training.manifest["weights_sha256"] == undisturbed[0].manifest["weights_sha256"]
    assert training.result["history"] == undisturbed[0].result["history"]


def test_a_damaged_state_is_passed_over(undisturbed, tmp_path):
    training = plan_training(tmp_path, "hurt")
    child = start_child(training)
    wait_for_state(training, 2, child)
    child.kill()
    child.communicate()
    states = sorted(training.work_dir.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    newest = [state for state in states if (state / "manifest.json").exists()][-1]
    weights = newest / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    code, output = run_child(training)
    assert code == 0, output
    assert f"moved to damaged-1-{newest.name}" in output
    assert training.manifest["weights_sha256"] == undisturbed[0].manifest["weights_sha256"]


def test_a_whole_target_is_not_trained_again(undisturbed):
    before = undisturbed[0].manifest
    code, output = run_child(undisturbed[0])
    assert code == 0
    assert "is there already" in output
    assert undisturbed[0].manifest == before


def test_rows_that_do_not_fit_end_with_a_reason(tmp_path):
    training = plan_training(tmp_path, "long", n_rows=4, max_length=16)
    code, output = run_child(training)
    assert code == 1
    assert "TrainingError: 0 of 4 rows fit max_length 16 tokens" in output
    assert not training.target.exists()


def wait_for_state(training, n, child, limit_s=60.0):
    """Wait until a further state is sealed (or the child has ended)."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and child.poll() is None:
        sealed = [path for path in training.work_dir.glob("checkpoint-*") if (path / "manifest.json").exists()]
        if sealed and max(int(path.name.split("-")[1]) for path in sealed) >= 3 * n:
            return
        time.sleep(0.02)
