"""A recipe that ran once, and copies of its workspace for tests that change something."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from distill_assets.cli import main
from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import run_recipe
from distill_assets.config import RecipeFolder
from distill_assets.lineage.audits.query import find_checkpoint
from distill_assets.lineage.chain import Event
from distill_assets.lineage.ledger import Ledger
from tests.scenario import write_scenario


class World(NamedTuple):
    """A recipe and the workspace that it ran in."""

    folder: RecipeFolder
    home: Path

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(self.home / "ledger")

    @property
    def checkpoint(self) -> Event:
        return find_checkpoint(self.ledger.events(), None)

    @property
    def weights(self) -> Path:
        return self.home / "checkpoints" / self.folder.recipe.name / self.checkpoint.facts["checkpoint"]

    def table(self, name: str) -> Path:
        [file] = (self.home / "tables" / self.folder.recipe.name / name).glob("*.parquet")
        return file


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The scenario, run once to its checkpoint; nobody may change it."""
    root = tmp_path_factory.mktemp("lineage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILL_HOME", str(root / "home"))
        patch.delenv("DAGSTER_HOME", raising=False)
        folder = write_scenario(root / "recipe")
        assert run_recipe(folder, open_instance(), ["student_checkpoint"], lambda _: None).errors == []
    yield World(folder, root / "home")


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy of that workspace, without Dagster's own files, that config points to."""
    home = tmp_path / "home"
    shutil.copytree(built.home, home, ignore=shutil.ignore_patterns("dagster", "journal", "*.lock"))
    monkeypatch.setenv("DISTILL_HOME", str(home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return World(built.folder, home)


@pytest.fixture
def lineage(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`distill lineage ...`, as a person calls it in a folder of their own."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return lambda *words, **keywords: CliRunner().invoke(main, ["lineage", *words], **keywords)
