"""Erasing: killed again and again it ends where an undisturbed one ends; every place that keeps a text gives it up; the rest stays.

Real Dagster runs, real processes, a real HTTP endpoint.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result

from distill_assets.cli import main
from distill_assets.clients.journal import open_journal
from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.lineage.receipts import verify_receipt
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import RAW_GENERATIONS, SEED_CORPUS, TRAINING_DATASET, TableSpec
from tests.commands.lineage.test_lineage_graph import TEACHERS, find_text
from tests.endpoint import Endpoint, serve_endpoint
from tests.scenario import SEEDS, write_scenario

ROOT = Path(__file__).resolve().parents[3]
CURATED = "training_dataset"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class World(NamedTuple):
    """A recipe, the endpoint behind its remote teacher and critic, and the workspace."""

    folder: RecipeFolder
    endpoint: Endpoint
    home: Path

    @property
    def name(self) -> str:
        return self.folder.recipe.name

    def run(self, *select: str) -> list[str]:
        return run_recipe(load_recipe(self.folder.path), open_instance(), list(select or (CURATED,)), lambda _: None).errors

    def distill(self, *words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--recipe", str(self.folder.path)])

    def erase(self, *words: str) -> Result:
        return self.distill("lineage", "erase", *words, "--execute", "--no-train", "--reason", "the author asked", "--json")

    def versions(self) -> dict[str, str]:
        return find_versions(self.folder, open_instance())

    def rows(self, table: TableSpec) -> pl.DataFrame:
        return read_table(Workspace(self.home), self.name, table, self.versions()[table.name])

    def spent(self) -> object:
        with open_journal(self.home / "journal" / self.name) as journal:
            return journal.spent()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("PLANTED_KEY", "sk-planted")
    with serve_endpoint() as served:
        yield served


def make(folder: Path, endpoint: Endpoint, home: Path, name: str = "choir", **judge: object) -> World:
    """The scenario with a remote teacher beside the embedded one, and what `judge` says."""
    write_scenario(folder, name=name, samples_per_seed=6, extra=TEACHERS.format(url=endpoint.base_url))
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    recipe |= {"judge": judge} if judge else {}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return World(load_recipe(folder), endpoint, home)


def seed_of(world: World, number: int) -> str:
    seeds = world.rows(SEED_CORPUS)
    return seeds.filter(pl.col("text") == SEEDS[number]["text"])["seed_id"].item()


def own_texts(world: World, seed_id: str) -> list[str]:
    """The seed's text, and questions that only its generations asked."""
    generations, seeds = world.rows(RAW_GENERATIONS), world.rows(SEED_CORPUS)
    mine = generations.filter(pl.col("seed_id") == seed_id)
    others = set(generations.filter(pl.col("seed_id") != seed_id)["question"])
    questions = [text for text in mine["question"].drop_nulls().unique().sort() if text not in others and len(text) >= 12]
    assert questions and mine.filter(pl.col("provider") != "embedded").height
    return [*seeds.filter(pl.col("seed_id") == seed_id)["text"], *questions]


def start(world: World, home: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "distill_assets.cli", "lineage", "erase", *words, "--execute", "--no-train", "--json"]
    environment = os.environ | {"DISTILL_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    return subprocess.Popen(
        [*command, "--reason", "asked", "--recipe", str(world.folder.path)], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(child: subprocess.Popen) -> dict:
    out, said = child.communicate(timeout=300)
    assert child.returncode == 0, said + out
    return json.loads(out)


def test_killed_again_and_again_an_erasure_ends_where_an_undisturbed_one_ends(
    tmp_path: Path, home: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(tmp_path / "recipe", endpoint, home)
    assert world.run() == []
    seed = seed_of(world, 1)
    texts, spent, n_sent = own_texts(world, seed), world.spent(), len(endpoint.requests)
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    for copy in (calm, killed):
        shutil.copytree(home, copy)
    began = time.monotonic()
    expected = finish(start(world, calm, "--seed", seed[:10]))
    lasted, rng, n_killed = time.monotonic() - began, random.Random(4), 0
    # Near its end, too: there the texts are gone, and the receipt is still to be written.
    for moment in [*(rng.uniform(0.2, 0.9) for _ in range(2)), 0.95]:
        child = start(world, killed, "--seed", seed[:10])
        with suppress(subprocess.TimeoutExpired):
            child.wait(lasted * moment)
        n_killed += child.poll() is None
        child.kill()
        _, said = child.communicate()
        assert child.returncode in (0, -signal.SIGKILL), said
        if child.returncode == 0:
            break
    else:
        finish(start(world, killed, "--seed", seed[:10]))
    assert n_killed >= 2
    assert len(endpoint.requests) == n_sent
    receipts = [json.loads(file.read_text()) for file in sorted((killed / "ledger" / "receipts").glob("*.json"))]
    assert receipts
    for receipt in receipts:
        assert [finding for finding in verify_receipt(receipt) if finding.level == "error"] == []
        for part in ("before", "after"):
            assert receipt[part] == expected[part]
        assert receipt["erased"] == expected["erased"]
        assert receipt["texts"]["still_here"] == expected["texts"]["still_here"] == []
    for folder in (calm, killed):
        for text in texts:
            assert find_text(folder, text) == [], text
        monkeypatch.setenv("DISTILL_HOME", str(folder))
        monkeypatch.setenv("DAGSTER_HOME", str(folder / "dagster"))
        there = world._replace(home=folder)
        assert there.versions()[TRAINING_DATASET.name] == expected["after"]["data_version"]
        assert there.spent() == spent
        assert CliRunner().invoke(main, ["lineage", "verify"]).exit_code == 0
        assert not list((folder / "erasing" / world.name).glob("*.json"))
        assert list(folder.rglob(".*.tmp")) == []
        assert there.run("raw_generations") == [] and len(endpoint.requests) == n_sent
