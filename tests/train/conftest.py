"""A small training as files, and a real child process that runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from distill_assets.processes import constructed_environment

CITIES = ("Leeds", "London", "Dublin", "Oslo", "Paris", "Berlin", "Lyon", "Krakow")


def make_rows(n: int) -> pl.DataFrame:
    """Rows of different lengths over two question forms."""
    rows = []
    for i in range(n):
        city, year = CITIES[i % len(CITIES)], 2000 + i
        if i % 3:
            question = f"how many customers live in {city}"
            sql = f"SELECT COUNT(*) FROM customers WHERE city = '{city}' AND id > {i}"
        else:
            question, sql = f"orders in {year}", f"SELECT COUNT(*) FROM orders WHERE year(ordered) = {year}"
        rows.append({"sample_id": f"{i:05d}", "prompt": f"shop: {question}\nSQL:", "completion": f" {sql}"})
    return pl.DataFrame(rows)


class Training(NamedTuple):
    """One training's files."""

    spec_file: Path
    work_dir: Path
    target: Path

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.target / "manifest.json").read_text())

    @property
    def result(self) -> dict[str, Any]:
        return json.loads(self.spec_file.with_suffix(".result.json").read_text())


def plan_training(folder: Path, name: str, n_rows: int = 192, **train: Any) -> Training:
    """Write rows and spec file of a tiny training: two epochs of 12 steps of 16 rows."""
    rows = folder / f"{name}.parquet"
    make_rows(n_rows).write_parquet(rows)
    training = Training(folder / f"{name}.json", folder / f"{name}.work", folder / "checkpoints" / name)
    spec = {
        "rows": str(rows),
        "base_model": {"path": str(folder / "tiny"), "name": "tiny", "revision": "scratch"},
        "train": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "save_every_steps": 3, **train},
        "threads": 1,
        "work_dir": str(training.work_dir),
        "target": str(training.target),
        "manifest": {"checkpoint_id": name},
    }
    training.spec_file.write_text(json.dumps(spec))
    return training


def start_child(training: Training, module: str = "distill_assets.train.child") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, "--spec", str(training.spec_file)]
    return subprocess.Popen(command, env=constructed_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run_child(training: Training) -> tuple[int, str]:
    """Run a training to its end; return exit status and output."""
    child = start_child(training)
    output, _ = child.communicate(timeout=110)
    return child.returncode, output


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, str]:
    """A training that nobody disturbed, with its output."""
    training = plan_training(tmp_path_factory.mktemp("undisturbed"), "calm")
    code, output = run_child(training)
    assert code == 0, output
    return training, output
