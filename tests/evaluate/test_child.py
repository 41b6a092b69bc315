"""The answering child as a real process."""

from __future__ import annotations

import json
import subprocess
import sys

import polars as pl

from distill_assets.clients.base_model import build_tiny_model
from distill_assets.evaluate.items import ANSWER_SCHEMA
from distill_assets.processes import constructed_environment
from distill_assets.train.scratch import train_tokenizer


def run_child(spec_file):
    command = [sys.executable, "-m", "distill_assets.evaluate.child", "--spec", str(spec_file)]
    return subprocess.run(command, env=constructed_environment(), capture_output=True, text=True, check=False, timeout=100)


def test_answers_every_prompt(tmp_path):
    prompts = [f"shop: orders in {2000 + i}\nSQL:" for i in range(7)]
    tokenizer = train_tokenizer(prompts)
    build_tiny_model(tokenizer, 1).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    asked = pl.DataFrame({"answer_key": [f"k{i}" for i in range(7)], "prompt": prompts})
    asked.write_parquet(tmp_path / "prompts.parquet")
    spec = {
        "model": str(tmp_path / "model"),
        "prompts": str(tmp_path / "prompts.parquet"),
        "answers": str(tmp_path / "answers.parquet"),
        "max_new_tokens": 4,
        "threads": 1,
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    done = run_child(tmp_path / "spec.json")
    assert done.returncode == 0, done.stderr
    assert "7/7 answered" in done.stdout
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert dict(answers.select(list(ANSWER_SCHEMA)).schema) == ANSWER_SCHEMA
    assert sorted(answers["answer_key"]) == sorted(asked["answer_key"])


def test_a_wrong_spec_says_what_is_wrong(tmp_path):
    (tmp_path / "spec.json").write_text('{"model": "x"}')
    done = run_child(tmp_path / "spec.json")
    assert done.returncode == 1
    assert "TrainingError: eval_results: spec" in done.stderr and "Traceback" not in done.stderr
