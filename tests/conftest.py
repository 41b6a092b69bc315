"""Fixtures: a workspace of its own for each test, and base models that are fetched once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from distill_assets.config import RecipeFolder
from tests.scenario import write_scenario

# The same examples each time, however long they take: a run of the tests says something about the code, not about luck or load.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty workspace folder that config points to."""
    folder = tmp_path / "home"
    monkeypatch.setenv("DISTILL_HOME", str(folder))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    yield folder


@pytest.fixture
def scenario(tmp_path: Path) -> RecipeFolder:
    """The awkward little recipe of scenario.py."""
    return write_scenario(tmp_path / "recipe")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that the last worker is not left alone with them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
