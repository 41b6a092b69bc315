"""A checkpoint as the UI shows it: numbers that plot over time, and a summary.

Belongs here: wording and picking figures from the manifest. Does not belong here: training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill_assets.train.exposure import EXPOSURE_FILE

NUMBERS = (
    "n_rows", "n_rows_too_long", "n_rows_seen", "n_rows_truncated", "n_times", "n_tokens", "n_label_tokens", "n_steps",
    "n_parameters", "n_trained_parameters", "loss_first", "loss_last", "tokens_per_s", "train_s", "cpu_s", "peak_rss_mib",
    "device_memory_gib", "resumed_from_step",
)  # fmt: skip


def describe_checkpoint(target: Path, manifest: dict[str, Any], is_reused: bool) -> dict[str, Any]:
    """Return numbers, path, summary (markdown) and manifest of a checkpoint; an older one lacks what was not counted then."""
    training = manifest["training"]
    numbers = {name: training[name] for name in NUMBERS if name in training}
    lines = [
        "| what | which |", "|---|---|",
        f"| base model | `{manifest['base_model']}` at `{manifest['base_revision'][:12]}` |",
        f"| training rows | {manifest['n_training_rows']:,} |",
        *[f"| teacher `{name}` | {n:,} rows |" for name, n in manifest["teachers"].items()],
        f"| exposure | {_describe_exposure(manifest)} |",
        f"| dataset digest | `{manifest['dataset_digest'][:16]}` |",
        f"| weights sha256 | `{manifest['weights_sha256'][:16]}` |",
        f"| device | {training['device']}, {training['dtype']}, {training['threads']} threads |",
        f"| trained now | {'no: the same inputs were trained before' if is_reused else 'yes'} |",
    ]  # fmt: skip
    return {
        "numbers": {**numbers, "n_training_rows": manifest["n_training_rows"], "is_reused": is_reused},
        "path": str(target),
        "summary": "\n".join(lines),
        "manifest": {name: value for name, value in manifest.items() if name not in ("files", "training")},
    }


def _describe_exposure(manifest: dict[str, Any]) -> str:
    if EXPOSURE_FILE not in manifest["files"]:
        return "none: made before it was counted which rows the optimizer saw"
    training = manifest["training"]
    return f"{training['n_rows_seen']:,} rows seen, {training['n_rows_truncated']:,} of them cut, {training['n_label_tokens']:,} tokens learnt"
