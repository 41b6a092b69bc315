"""TRL's SFTTrainer, made fast and repeatable on a CPU.

Belongs here: the loss, the order of the lines, the settings. Does not belong here: files of a checkpoint
(checkpoint), what is logged where (progress), what a line holds (batches), the counting of rows (exposure).

Four things differ from the stock trainer. The loss projects labelled positions only and computes plain
cross entropy (the stock fused head has no CPU kernel and costs a third of a step). Batches hold lines of
like length, in an order that depends on seed and epoch alone, never on the global random state, so that
a resumed run sees the same rows in the same order. A step of several batches has the gradient of one large
batch: the mean is over all its labelled tokens, so that a short batch weighs no more than its tokens. Every default
that TRL sets for large models is named.

Source: trl/trainer/sft_trainer.py, trl/trainer/sft_config.py (1.16); Trainer.train (transformers 5.23).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill_assets.config import TrainSpec
from distill_assets.train.batches import build_collator, build_lines, check_borders, count_gap, read_states
from distill_assets.train.device import Device
from distill_assets.train.exposure import ExposureLog
from distill_assets.train.format import IGNORED_LABEL, EncodedRows

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
    encoded: EncodedRows,
    train: TrainSpec,
    device: Device,
    work_dir: Path,
    *,
    in_order: bool = False,
) -> Any:
    """Put model, rows and settings together; `train(resume_from_checkpoint=...)` does the rest.

    The trainer's `exposure` notes what reaches the loss; a callback has to commit it after each step.

    Args:
        in_order: each epoch takes the rows as they stand, which is a curriculum; else mixed, in batches of like length.

    Raises:
        TrainingError: packing, and the model doesn't keep the rows of a line apart.
    """
    import warnings

    from datasets import Dataset  # type: ignore[import-untyped]
    from transformers import PrinterCallback

    examples, gap = encoded.examples, count_gap(model.config)
    lines = build_lines(examples, train.packing, train.max_length, gap, in_order)
    collate = build_collator(examples, tokenizer.pad_token_id, gap, train.packing)
    lengths = [sum(examples[place]["length"] for place in line) for line in lines]
    with warnings.catch_warnings():
        # TRL itself passes the name that transformers has deprecated.
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)
        trainer = _trainer_class()(
            model=model,
            args=_configure(train, device, work_dir, len(lines)),
            train_dataset=Dataset.from_dict({"places": lines, "length": lengths}),
            data_collator=collate,
            processing_class=tokenizer,
        )
    trainer.in_order = in_order
    trainer.exposure = ExposureLog(encoded.sample_ids, encoded.truncated)
    if train.packing:
        check_borders(trainer.model, collate, lines)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _configure(train: TrainSpec, device: Device, work_dir: Path, n_lines: int) -> Any:
    from trl import SFTConfig

    n_batches = -(-n_lines // train.batch_size)
    n_steps = train.epochs * -(-n_batches // train.accumulation_steps)
    return SFTConfig(
        output_dir=str(work_dir),
        num_train_epochs=train.epochs,
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulation_steps,
        learning_rate=train.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(n_steps * train.warmup_frac),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        seed=train.seed,
        data_seed=train.seed,
        max_length=train.max_length,
        packing=False,  # done already, see batches
        remove_unused_columns=False,
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

    class LineOrder(Sampler):
        """Order of the lines in an epoch: as they stand, or from seed and epoch alone."""

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
        """SFTTrainer with plain cross entropy on labelled positions, in a fixed order of lines."""

        in_order = False
        exposure: ExposureLog
        loss_is_scaled_for_ga = True  # compute_loss divides by the tokens of the whole step

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
            """This batch's part of the mean negative log likelihood of the step's labelled tokens.

            Args:
                num_items_in_batch: labelled tokens in all batches of the step.
            """
            labels = inputs["labels"][:, 1:]
            is_labelled = labels != IGNORED_LABEL
            device_type = labels.device.type
            with torch.autocast(device_type, torch.bfloat16, enabled=self.args.bf16):
                states = read_states(model, inputs)
                scores = model.get_output_embeddings()(states[:, :-1][is_labelled])
            loss = functional.cross_entropy(scores.float(), labels[is_labelled])
            self.exposure.note(inputs["rows"], is_labelled)
            return loss * (is_labelled.sum() / num_items_in_batch)

        def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], int]:
            """The batches of one step, and how many of their tokens the loss predicts."""
            batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
            return batches, sum(int((batch["labels"][:, 1:] != IGNORED_LABEL).sum()) for batch in batches)

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            lines: Any = self.train_dataset
            return LineOrder(list(lines["length"]), self.args, self.in_order)

        def create_model_card(self, *_: Any, **__: Any) -> None:
            """Write none: a trainer state is no model."""

    return StudentTrainer
