"""What the optimizer really saw: rows, times, tokens.

Belongs here: counting it, and the file `exposure.parquet` that says it. Does not belong here: what is fed to the
model (batches) or the loss (trainer).

A dataset says what was there to be learnt, not what was learnt: a row may be too long, cut, left over when training
ends early, or fetched by the data loader and never used. So the loss itself notes which row each of its tokens is of.
What it noted counts when the optimizer's step is done. The counts are saved within each trainer state, so that a
training that was killed goes on from the counts of the very step from which its weights go on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from distill_assets.errors import CheckpointError

EXPOSURE_FILE = "exposure.parquet"
SCHEMA = pl.Schema({
    "sample_id": pl.String, "n_times": pl.Int64, "n_tokens": pl.Int64, "n_loss_tokens": pl.Int64, "is_truncated": pl.Boolean,
    "first_step": pl.Int64,
})  # fmt: skip
_COUNTS = ("n_times", "n_tokens", "n_loss_tokens", "first_step")


class ExposureLog:
    """Counts of each row over the optimizer's finished steps; what a step in progress has read waits until it is done."""

    def __init__(self, sample_ids: Sequence[str], truncated: Collection[str] = ()) -> None:
        self.sample_ids, self.truncated = sample_ids, frozenset(truncated)
        self.counts = {name: np.zeros(len(sample_ids), np.int64) for name in _COUNTS}
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def note(self, rows: Any, is_target: Any) -> None:
        """Take down what one batch brought to the loss.

        Args:
            rows: tensor (lines, tokens) of integers; the row that each token of the input is of, -1 for padding.
            is_target: tensor (lines, tokens - 1) of booleans; whether the loss reads the prediction of token 1, 2, ...
        """
        tags, wanted = rows.cpu().numpy(), is_target.cpu().numpy()
        seen, n_tokens = np.unique(tags[tags >= 0], return_counts=True)
        targets = tags[:, 1:][wanted]
        n_loss_tokens = np.bincount(np.searchsorted(seen, targets), minlength=len(seen))
        self._waiting.append((seen, n_tokens, n_loss_tokens))

    def commit(self, step: int) -> None:
        """Count what was noted since the last step; `step` is the number of the one just done, from 1."""
        for seen, n_tokens, n_loss_tokens in self._waiting:
            first = self.counts["first_step"]
            first[seen] = np.where(first[seen] == 0, step, first[seen])
            self.counts["n_times"][seen] += 1
            self.counts["n_tokens"][seen] += n_tokens
            self.counts["n_loss_tokens"][seen] += n_loss_tokens
        self._waiting.clear()

    def restore(self, frame: pl.DataFrame) -> None:
        """Go on from the counts of a saved state.

        Raises:
            CheckpointError: they are not of these rows.
        """
        if frame["sample_id"].to_list() != sorted(self.sample_ids):
            raise CheckpointError(
                f"{EXPOSURE_FILE} of the trainer state counts {frame.height} rows that are not the {len(self.sample_ids)} of this "
                "training. Nothing was changed. Remove the folder of trainer states and materialize student_checkpoint again."
            )
        aligned = pl.DataFrame({"sample_id": self.sample_ids}).join(frame, on="sample_id", how="left", maintain_order="left")
        self.counts = {name: aligned[name].fill_null(0).to_numpy().copy() for name in _COUNTS}
        self._waiting.clear()

    def to_frame(self) -> pl.DataFrame:
        """One line for each row, sorted by id; a row that was never seen has zeros, no first step, and was not cut."""
        frame = pl.DataFrame({"sample_id": self.sample_ids, **self.counts}, schema_overrides={"sample_id": pl.String})
        is_seen = pl.col("n_times") > 0
        return frame.select(
            "sample_id", "n_times", "n_tokens", "n_loss_tokens",
            (is_seen & pl.col("sample_id").is_in(list(self.truncated))).alias("is_truncated"),
            pl.when(is_seen).then("first_step").alias("first_step"),
        ).sort("sample_id")  # fmt: skip


def write_exposure(folder: Path, frame: pl.DataFrame) -> None:
    """Write the counts into `folder`; a manifest written after it covers them."""
    frame.write_parquet(folder / EXPOSURE_FILE, compression="zstd")


def read_exposure(folder: Path) -> pl.DataFrame | None:
    """Return the counts of a checkpoint or trainer state, sorted by sample_id.

    Returns:
        sample_id; n_times (how often the row was in a finished step); n_tokens (of the row that the model read, over all
        times); n_loss_tokens (of those that the loss predicted); is_truncated (it was cut at max_length); first_step
        (optimizer step from 1, null when never seen). None for a checkpoint made before any of this was counted.

    Raises:
        CheckpointError: the file cannot be read.
    """
    file = folder / EXPOSURE_FILE
    if not file.exists():
        return None
    try:
        frame = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error}). {_ADVICE}") from error
    if frame.schema != SCHEMA:
        raise CheckpointError(f"{file}: expected columns {dict(SCHEMA)}, got {dict(frame.schema)}. {_ADVICE}")
    return frame


_ADVICE = "Nothing was changed. Restore the checkpoint from a copy, or move it away and materialize student_checkpoint again."


def summarize_exposure(frame: pl.DataFrame) -> dict[str, int]:
    """Totals over all rows: how many were seen or cut, how often, and in tokens."""
    return {
        "n_rows_seen": int((frame["n_times"] > 0).sum()),
        "n_rows_truncated": int(frame["is_truncated"].sum()),
        "n_times": int(frame["n_times"].sum()),
        "n_tokens": int(frame["n_tokens"].sum()),
        "n_label_tokens": int(frame["n_loss_tokens"].sum()),
    }
