"""What a training tells while it runs, and the figures that remain.

Belongs here: the trainer's callback, log lines, figures. Does not belong here: where they go (child).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill_assets.train.checkpoint import write_manifest
from distill_assets.train.exposure import ExposureLog, write_exposure

SECONDS_BETWEEN_LINES = 3.0
HISTORY_POINTS = 200


class Progress:
    """Counts of one training process: steps and tokens since it started, and its clock."""

    def __init__(self, say: Callable[[str], None], n_tokens_per_epoch: int) -> None:
        self.say = say
        self.n_tokens_per_epoch = n_tokens_per_epoch
        self.first_step = 0
        self.started_s = self.last_line_s = time.monotonic()
        self.wall_s = 0.0

    def begin(self, step: int) -> None:
        """Start the clock at `step`, which is not 0 for a resumed training."""
        self.first_step = step
        self.started_s = self.last_line_s = time.monotonic()

    def tokens_per_s(self, step: int, steps_per_epoch: float) -> float:
        """Mean rate since the clock started, in tokens of the rows, padding not counted."""
        elapsed = max(self.wall_s or time.monotonic() - self.started_s, 1e-9)
        return (step - self.first_step) / steps_per_epoch * self.n_tokens_per_epoch / elapsed

    def step(self, step: int, n_steps: int, steps_per_epoch: float, loss: float | None) -> None:
        """Tell of a step, every few seconds."""
        now = time.monotonic()
        if now - self.last_line_s < SECONDS_BETWEEN_LINES and step != n_steps:
            return
        self.last_line_s = now
        left_s = (now - self.started_s) / (step - self.first_step) * (n_steps - step)
        rate = self.tokens_per_s(step, steps_per_epoch)
        shown = "?" if loss is None else f"{loss:.4f}"
        self.say(f"step {step}/{n_steps}, loss {shown}, {rate:.0f} tokens/s, {left_s:.0f} s left")


def build_callback(progress: Progress, exposure: ExposureLog, facts: dict[str, Any]) -> Any:
    """Make the trainer's callback: progress lines, the count of what was seen, and a manifest over each state that it saves."""
    from transformers import TrainerCallback

    class TellAndSeal(TrainerCallback):
        """Progress lines; a state without a manifest is not resumed from."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.begin(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            exposure.commit(state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                progress.step(state.global_step, state.max_steps, state.max_steps / state.num_train_epochs, float(logs["loss"]))

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_exposure(folder, exposure.to_frame())
            write_manifest(folder, {**facts, "step": state.global_step})

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.wall_s = time.monotonic() - progress.started_s

    return TellAndSeal()


def read_history(log_history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return at most 200 points of step, loss and learning rate, first and last included."""
    points = [
        {"step": entry["step"], "loss": float(entry["loss"]), "learning_rate": float(entry.get("learning_rate", 0.0))}
        for entry in log_history
        if "loss" in entry
    ]
    stride = -(-len(points) // HISTORY_POINTS) or 1
    return [point for i, point in enumerate(points) if i % stride == 0 or i == len(points) - 1]


def measure_process() -> dict[str, float]:
    """CPU seconds of this process, and its largest resident memory in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": round(used.ru_utime + used.ru_stime, 1), "peak_rss_mib": round(used.ru_maxrss / 1024, 1)}
