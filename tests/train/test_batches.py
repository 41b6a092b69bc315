"""Lines of rows: none is lost, none sees another, and a step of several batches is one of a large batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.clients.base_model import build_tiny_model
from distill_assets.config import TrainSpec
from distill_assets.errors import TrainingError
from distill_assets.train.batches import (
    build_collator,
    build_lines,
    check_borders,
    count_gap,
    fill_in_turn,
    pack_best_fit,
    read_states,
)
from distill_assets.train.device import pick_device
from distill_assets.train.format import EncodedRows, encode_rows
from distill_assets.train.scratch import train_tokenizer
from distill_assets.train.trainer import build_trainer

from .conftest import make_rows

ROWS = make_rows(12).rows(named=True)
WIDTHS = st.lists(st.integers(1, 40), max_size=60)


@given(WIDTHS)
def test_every_row_stands_in_one_line_and_no_line_is_too_long(widths: list[int]):
    for lines in (pack_best_fit(widths, 40), fill_in_turn(widths, 40)):
        assert sorted(place for line in lines for place in line) == list(range(len(widths)))
        assert all(0 < sum(widths[place] for place in line) <= 40 for line in lines)
    assert [place for line in fill_in_turn(widths, 40) for place in line] == list(range(len(widths)))
    assert pack_best_fit(widths, 40) == pack_best_fit(widths, 40)


@given(WIDTHS.filter(bool))
def test_best_fit_needs_as_many_lines_as_the_packer_of_trl(widths: list[int]):
    from datasets import Dataset, disable_progress_bars
    from trl import pack_dataset

    disable_progress_bars()
    theirs = pack_dataset(Dataset.from_dict({"input_ids": [[0] * width for width in widths]}), 40, "bfd")
    lengths = [sorted(widths[place] for place in line) for line in pack_best_fit(widths, 40)]
    assert sorted(lengths) == sorted(sorted(line) for line in theirs["seq_lengths"])


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(row["prompt"] + row["completion"] for row in ROWS)


@pytest.fixture(scope="module")
def encoded(tokenizer: Any) -> EncodedRows:
    return encode_rows(ROWS, tokenizer, 256)


def build_model(name: str, tokenizer: Any) -> Any:
    """A small untrained model; `lfm2` is the tiny student, which has a short convolution."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

    if name == "lfm2":
        return build_tiny_model(tokenizer, 1)
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    end = tokenizer.eos_token_id
    shape |= {"vocab_size": len(tokenizer), "eos_token_id": end, "pad_token_id": end, "bos_token_id": end}
    torch.manual_seed(1)
    config = {"llama": LlamaConfig, "qwen3": Qwen3Config}[name](**shape, head_dim=16)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")


def sum_losses(model: Any, batch: dict[str, Any]) -> Any:
    """Sum over labelled tokens of the negative log likelihood, with all gradients."""
    from torch.nn import functional

    scores = model.get_output_embeddings()(read_states(model, batch)[:, :-1])
    return functional.cross_entropy(scores.flatten(0, 1), batch["labels"][:, 1:].flatten(), reduction="sum")


@pytest.mark.parametrize("name", ["llama", "qwen3", "lfm2"])
def test_packed_rows_have_the_loss_and_gradient_that_they_have_alone(name: str, tokenizer: Any, encoded: EncodedRows):
    import torch

    model, gap = build_model(name, tokenizer), 2 if name == "lfm2" else 0
    assert count_gap(model.config) == gap
    lines = build_lines(encoded.examples, True, 100, gap, in_order=False)
    assert len(lines) < len(encoded.examples)
    packed = build_collator(encoded.examples, tokenizer.pad_token_id, gap, packing=True)([{"places": line} for line in lines])
    assert packed["input_ids"].shape[1] <= 100
    assert (packed["labels"] != -100).sum() == sum(label != -100 for example in encoded.examples for label in example["labels"])
    together = sum_losses(model, packed)
    together.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    collate_one = build_collator(encoded.examples, tokenizer.pad_token_id, 0, packing=False)
    alone = sum(sum_losses(model, collate_one([{"places": [place]}])) for place in range(len(encoded.examples)))
    alone.backward()
    assert together.item() == pytest.approx(alone.item(), rel=2e-6)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-4)


def test_a_row_without_prompt_is_not_predicted_from_the_row_before(tokenizer: Any):
    rows = [{"sample_id": str(i), "prompt": "", "completion": f"SELECT {i} FROM orders"} for i in range(3)]
    examples = encode_rows(rows, tokenizer, 256).examples
    batch = build_collator(examples, tokenizer.pad_token_id, 0, packing=True)([{"places": [2, 0, 1]}])
    starts = batch["position_ids"][0] == 0
    assert starts.sum() == 3
    assert (batch["labels"][0][starts] == -100).all() and (batch["labels"][0][~starts] != -100).all()


def test_a_model_that_reads_across_the_border_is_refused(tokenizer: Any, encoded: EncodedRows):
    """The tiny student's convolution looks two tokens back; one token of padding is not enough."""
    model = build_model("lfm2", tokenizer).train()
    lines = [[0, 1, 2], [3], [4, 5]]
    check_borders(model, build_collator(encoded.examples, tokenizer.pad_token_id, 2, packing=True), lines)
    leaking = build_collator(encoded.examples, tokenizer.pad_token_id, 1, packing=True)
    with pytest.raises(TrainingError, match="packing: in Lfm2ForCausalLM a row changes the row after it"):
        check_borders(model, leaking, lines)
    assert model.training
    check_borders(model, leaking, [[0], [1]])


@pytest.mark.parametrize("packing", [False, True])
def test_a_step_of_several_batches_has_the_gradient_of_one_large_batch(packing: bool, tokenizer: Any, tmp_path: Path):
    """Batches of unequal numbers of labelled tokens, and a last step that has fewer of them."""
    import torch

    rows = [{**row, "completion": row["completion"] * (1 + 3 * (place % 2))} for place, row in enumerate(ROWS[:11])]
    encoded = encode_rows(rows, tokenizer, 256)
    steps = {}
    for n_batches in (1, 4):
        train = TrainSpec(
            batch_size=8 // n_batches, accumulation_steps=n_batches, packing=packing, max_length=256, learning_rate=1e-3
        )
        folder = tmp_path / str(n_batches)
        trainer = build_trainer(
            build_model("llama", tokenizer), tokenizer, encoded, train, pick_device("float32"), folder, in_order=True
        )
        steps[n_batches] = record_gradients(trainer)
        trainer.train()
    assert len(steps[1]) == len(steps[4]) == (1 if packing else 2)
    for one, several in zip(steps[1], steps[4], strict=True):
        for wanted, found in zip(one, several, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-6)


def record_gradients(trainer: Any) -> list[list[Any]]:
    """What the optimizer is given in each step, as the trainer fills it."""
    from transformers import TrainerCallback

    steps: list[list[Any]] = []

    class Recorder(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
            steps.append([parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None])

    trainer.add_callback(Recorder())
    return steps
