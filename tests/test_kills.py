"""A run that is killed: what it leaves, and what a rerun makes of it. benchmarks/kills.py does 30 of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kills import Calm, measure, run_calmly


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    return run_calmly(tmp_path_factory.mktemp("calm"))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("target", ["run", "child"])
def test_after_kills_a_rerun_ends_with_the_same_tables_and_weights_and_no_orphan(calm: Calm, tmp_path: Path, target: str) -> None:
    figures = measure(calm, tmp_path / "killed", kills=2, target=target, seed=5)
    assert figures["kills"] == 2
    assert figures["orphans"] == 0
    assert figures["failures"] == []
    assert figures["equal_rounds"] == figures["rounds"] >= 1
