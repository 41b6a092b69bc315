"""`python -m distill_assets.train.child --spec FILE.json`: one training, in a process of its own.

Belongs here: putting spec, rows, trainer and checkpoint together. Does not belong here: any decision about
what is trained (plan) or how (trainer).

Killed at any moment and run again, it ends with the same weights as when left alone (on a CPU, with the
same number of threads). Figures go to Dagster Pipes where there is a session, and always to
`<spec>.result.json`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from distill_assets.errors import CheckpointError, TrainingError
from distill_assets.processes import Say, read_spec, run_as_child
from distill_assets.train.checkpoint import find_last_good, publish_folder, verify_checkpoint
from distill_assets.train.spec import ChildSpec


def main(arguments: list[str] | None = None) -> int:
    """Train as the spec file says; exit status 1 with the reason on stderr when that fails."""
    return run_as_child("distill_assets.train.child", _train_from, arguments)


def _train_from(file: Path, say: Say) -> dict[str, Any]:
    figures = run_training(read_spec(file, ChildSpec, "student_checkpoint"), say)
    file.with_suffix(".result.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures


def run_training(spec: ChildSpec, say: Say) -> dict[str, Any]:
    """Train, publish, clean up; return the figures. A target that is whole already is not trained again."""
    try:
        figures = verify_checkpoint(spec.target)["training"]
        say(f"{spec.target.name} is there already and verifies")
    except CheckpointError:
        figures = _train_and_publish(spec, say)
    shutil.rmtree(spec.work_dir, ignore_errors=True)
    return figures


def _train_and_publish(spec: ChildSpec, say: Say) -> dict[str, Any]:
    import polars as pl
    import torch

    from distill_assets.train.device import pick_device
    from distill_assets.train.exposure import EXPOSURE_FILE, read_exposure, write_exposure
    from distill_assets.train.format import encode_rows
    from distill_assets.train.progress import Progress, build_callback
    from distill_assets.train.trainer import build_trainer

    torch.set_num_threads(spec.threads)
    device = pick_device(spec.train.dtype)
    say(f"device: {device.name} ({device.kind}, {device.dtype}, {spec.threads} threads)")
    rows = pl.read_parquet(spec.rows).select("sample_id", "prompt", "completion").rows(named=True)
    model, tokenizer, saved_dtype = load_start(spec, rows)
    encoded = encode_rows(rows, tokenizer, spec.train.max_length, spec.train.long_rows)
    for culprits, fate in ((encoded.too_long, "left out"), (encoded.truncated, "cut")):
        if culprits:
            say(f"{len(culprits)} of {len(rows)} rows are longer than {spec.train.max_length} tokens and are {fate}")
    spec.work_dir.mkdir(parents=True, exist_ok=True)
    trainer = build_trainer(model, tokenizer, encoded, spec.train, device, spec.work_dir, in_order=spec.in_order)
    progress = Progress(say, encoded.n_tokens)
    trainer.add_callback(build_callback(progress, trainer.exposure, {"base_revision": spec.base_model.revision}))
    state = find_last_good(spec.work_dir, say, needs=(EXPOSURE_FILE,))
    if state is not None:
        say(f"resuming from {state.name}")
        trainer.exposure.restore(read_exposure(state))
    trainer.train(resume_from_checkpoint=None if state is None else str(state))
    facts = collect_figures(trainer, progress, encoded, device, spec)

    def fill(folder: Path) -> None:
        trainer.model.to(saved_dtype).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_exposure(folder, trainer.exposure.to_frame())

    manifest = publish_folder(spec.target, fill, {**spec.manifest, "training": facts})
    say(f"published {spec.target.name}, weights {manifest['weights_sha256'][:12]}")
    return manifest["training"]


def load_start(spec: ChildSpec, rows: list[dict[str, str]]) -> tuple[Any, Any, Any]:
    """Return model (float32, bottom frozen), tokenizer, and the number format that its weights are published in."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from distill_assets.clients.base_model import TINY_NAME, build_tiny_model
    from distill_assets.train.scratch import train_tokenizer
    from distill_assets.train.trainer import freeze_bottom

    if spec.base_model.name == TINY_NAME:
        tokenizer = train_tokenizer(row["prompt"] + row["completion"] for row in rows)
        return build_tiny_model(tokenizer, spec.train.seed), tokenizer, torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(spec.base_model.path)
        stored = AutoConfig.from_pretrained(spec.base_model.path).dtype or torch.float32
        model = AutoModelForCausalLM.from_pretrained(spec.base_model.path, dtype=torch.float32, attn_implementation="sdpa")
    except (OSError, ValueError) as error:
        where = f"base model {spec.base_model.name} at {spec.base_model.path}"
        raise TrainingError(f"{where}: {error}. Nothing was trained. Check the folder, or name another in recipe.yaml.") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    freeze_bottom(model, spec.train.frozen_frac)
    return model, tokenizer, stored


def collect_figures(trainer: Any, progress: Any, encoded: Any, device: Any, spec: ChildSpec) -> dict[str, Any]:
    """Put the figures of a finished training together; rates and times are of this process alone."""
    from distill_assets.train.exposure import summarize_exposure
    from distill_assets.train.progress import measure_process, read_history

    state = trainer.state
    history = read_history(state.log_history)
    return {
        "n_rows": len(encoded.examples),
        "n_rows_too_long": len(encoded.too_long),
        **summarize_exposure(trainer.exposure.to_frame()),
        "n_steps": state.global_step,
        "n_parameters": trainer.model.num_parameters(),
        "n_trained_parameters": trainer.model.num_parameters(only_trainable=True),
        "loss_first": history[0]["loss"],
        "loss_last": history[-1]["loss"],
        "tokens_per_s": round(progress.tokens_per_s(state.global_step, state.max_steps / state.num_train_epochs), 1),
        "train_s": round(progress.wall_s, 1),
        **measure_process(),
        "device": f"{device.name} ({device.kind})",
        "device_memory_gib": device.memory_gib,
        "dtype": device.dtype,
        "threads": spec.threads,
        "resumed_from_step": progress.first_step,
        "history": history,
    }


if __name__ == "__main__":
    sys.exit(main())
