"""TRL's SFTTrainer, made fast and repeatable on a CPU.

Belongs here: the loss, the order of the rows, the settings. Does not belong here: files of a checkpoint
(checkpoint), what is logged where (progress).

Three things differ from the stock trainer. The loss projects labelled positions only and computes plain
cross entropy (the stock fused head has no CPU kernel and costs a third of a step). Batches hold rows of
like length, in an order that depends on seed and epoch alone, never on the global random state, so that
a resumed run sees the same rows in the same order. Every default that TRL sets for large models is named.

Source: trl/trainer/sft_trainer.py, trl/trainer/sft_config.py (1.16); Trainer.train (transformers 5.23).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill_assets.config import TrainSpec
from distill_assets.train.device import Device
from distill_assets.train.format import IGNORED_LABEL

# Batches are cut from windows of this many, sorted by length: enough for little padding, few enough to mix.
WINDOW_BATCHES = 50
KEPT_STATES = 2


def order_rows(lengths: list[int], batch_size: int, seed: int, epoch: int) -> list[int]:
    """Return row indices such that each run of `batch_size` has rows of like length, batches in random order."""
    import random

    source = random.Random(f"{seed}:{epoch}")
    rows = list(range(len(lengths)))
    source.shuffle(rows)
    batches = []
    for start in range(0, len(rows), WINDOW_BATCHES * batch_size):
        window = sorted(rows[start : start + WINDOW_BATCHES * batch_size], key=lambda row: lengths[row])
        batches += [window[first : first + batch_size] for first in range(0, len(window), batch_size)]
    # An incomplete batch anywhere but at the end would shift the border of all after it.
    whole = [batch for batch in batches if len(batch) == batch_size]
    source.shuffle(whole)
    return [row for batch in [*whole, *(batch for batch in batches if len(batch) < batch_size)] for row in batch]


def freeze_bottom(model: Any, frozen_frac: float) -> int:
    """Stop gradients for the embeddings and the given share of layers from the bottom; return how many layers."""
    if frozen_frac == 0:
        return 0
    layers = model.base_model.layers
    n_frozen = int(len(layers) * frozen_frac)
    for part in [model.get_input_embeddings(), *layers[:n_frozen]]:
        part.requires_grad_(False)
    return n_frozen


def build_trainer(
    model: Any,
    tokenizer: Any,
    examples: list[dict[str, Any]],
    train: TrainSpec,
    device: Device,
    work_dir: Path,
    *,
    in_order: bool = False,
) -> Any:
    """Put model, rows and settings together; `train(resume_from_checkpoint=...)` does the rest.

    Args:
        in_order: each epoch takes the rows as they stand, which is a curriculum; else mixed, in batches of like length.
    """
    import warnings

    from datasets import Dataset  # type: ignore[import-untyped]
    from transformers import PrinterCallback

    with warnings.catch_warnings():
        # TRL itself passes the name that transformers has deprecated.
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)
        trainer = _trainer_class()(
            model=model,
            args=_configure(train, device, work_dir, len(examples)),
            train_dataset=Dataset.from_list(examples),
            processing_class=tokenizer,
        )
    trainer.in_order = in_order
    trainer.remove_callback(PrinterCallback)
    return trainer


def _configure(train: TrainSpec, device: Device, work_dir: Path, n_rows: int) -> Any:
    from trl import SFTConfig

    n_steps = train.epochs * -(-n_rows // train.batch_size)
    return SFTConfig(
        output_dir=str(work_dir),
        num_train_epochs=train.epochs,
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=1,
        learning_rate=train.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(n_steps * train.warmup_frac),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        seed=train.seed,
        data_seed=train.seed,
        max_length=train.max_length,
        packing=False,
        bf16=device.dtype == "bfloat16",
        use_cpu=device.kind == "cpu",
        gradient_checkpointing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_num_workers=0,
        dataloader_pin_memory=device.kind == "cuda",
        logging_strategy="steps",
        logging_steps=1,
        save_strategy="steps",
        save_steps=train.save_every_steps,
        save_total_limit=KEPT_STATES,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )


def _trainer_class() -> type:
    """Build the classes here, because their bases must not be imported with this module."""
    import torch
    import torch.nn.functional as functional
    from torch.utils.data import Sampler
    from trl import SFTTrainer

    class RowOrder(Sampler):
        """Row order of an epoch: as they stand, or from seed and epoch alone."""

        def __init__(self, lengths: list[int], train_args: Any, in_order: bool) -> None:
            self.lengths, self.train_args, self.in_order, self.epoch = lengths, train_args, in_order, 0

        def __len__(self) -> int:
            return len(self.lengths)

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

        def __iter__(self) -> Iterator[int]:
            if self.in_order:
                return iter(range(len(self.lengths)))
            return iter(order_rows(self.lengths, self.train_args.per_device_train_batch_size, self.train_args.seed, self.epoch))

    class StudentTrainer(SFTTrainer):
        """SFTTrainer with plain cross entropy on labelled positions, in a fixed row order."""

        in_order = False

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
            """Mean negative log likelihood of the batch's labelled tokens.

            Rows are padded on the right and attention is causal, so that no mask is needed: what
            follows a row cannot change it.
            """
            labels = inputs["labels"][:, 1:]
            is_labelled = labels != IGNORED_LABEL
            device_type = labels.device.type
            with torch.autocast(device_type, torch.bfloat16, enabled=self.args.bf16):
                states = model.base_model(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state
                scores = model.get_output_embeddings()(states[:, :-1][is_labelled])
            return functional.cross_entropy(scores.float(), labels[is_labelled])

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            rows: Any = self.train_dataset
            return RowOrder(list(rows["length"]), self.args, self.in_order)

        def create_model_card(self, *_: Any, **__: Any) -> None:
            """Write none: a trainer state is no model."""

    return StudentTrainer
