"""Encoders that tests read with: an untrained small one, and the real MiniLM where it was fetched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distill_assets.clients.base_model import BaseModel, resolve_base_model
from distill_assets.config import cache_folder
from distill_assets.curate.vectors.store import TextReader
from distill_assets.errors import BaseModelError, TrainingError
from distill_assets.processes import constructed_environment


def save_small(folder: Path, seed: int = 1) -> BaseModel:
    """MiniLM's shape, untrained and much smaller, over single bytes."""
    import torch
    from transformers import BertConfig, BertModel

    from distill_assets.judge.quality.reading import build_byte_tokenizer

    torch.manual_seed(seed)
    tokenizer = build_byte_tokenizer()
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return resolve_base_model(str(folder), folder)


def find_minilm(max_tokens: int = 128, threads: int = 1) -> TextReader:
    """The real model, or a skipped test."""
    try:
        return TextReader(resolve_base_model("minilm-l6-v2", cache_folder()), max_tokens, threads)
    except BaseModelError as error:
        pytest.fail(str(error))


def run_child(module: str, spec_file: Path) -> None:
    """Run a child as resources.GpuResource does, without Dagster."""
    command = [sys.executable, "-m", module, "--spec", str(spec_file)]
    done = subprocess.run(command, env=constructed_environment(), capture_output=True, text=True, check=False, timeout=100)
    if done.returncode:
        raise TrainingError(done.stderr)


def refuse(module: str, spec_file: Path) -> None:
    """A child that must not be started."""
    raise AssertionError("nothing is new")
