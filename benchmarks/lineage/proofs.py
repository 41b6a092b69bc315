"""Whether the ledger tells the truth: erasing held against building anew, changes behind our back, exposure held against a spy.

Belongs here: running the tests' own worlds in numbers. Does not belong here: those worlds (tests/lineage, tests/train).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.lineage.erasure_world import compare
from tests.lineage.mutations import run_mutations
from tests.train.exposure_grid import count_mismatches


def measure_erasure(n_worlds: int) -> dict[str, Any]:
    """Erase something from each of `n_worlds` worlds in three ways; worlds of which nothing would be left do not count."""
    outcomes = [outcome for seed in range(n_worlds) if (outcome := compare(seed)) is not None]
    moved = [outcome for outcome in outcomes if outcome.n_in]
    return {
        "erase_equals_rebuild": bool(outcomes) and all(outcome.incremental == outcome.scratch for outcome in outcomes),
        "n_worlds": len(outcomes),
        "n_worlds_row_comes_in": len(moved),
        "naive_deletion_differs": sum(outcome.naive[1] != outcome.scratch[1] for outcome in outcomes),
        "naive_differs_where_row_comes_in": bool(moved) and all(outcome.naive[1] != outcome.scratch[1] for outcome in moved),
    }


def measure_mutations(root: Path, n: int, seed: int = 11) -> dict[str, Any]:
    """Make `n` changes to a ledger and a checkpoint, each alone, and count those that verifying misses."""
    cpu = time.process_time()
    figures = run_mutations(root, n, seed)
    return {
        "mutations": figures["mutations"],
        "missed": figures["missed"],
        "mutations_by_kind": figures["kinds"],
        "which_missed": figures["which"],
        "mutations_cpu_s": round(time.process_time() - cpu, 1),
    }


def measure_exposure() -> dict[str, Any]:
    """Train every cell of the grid and hold what is recorded against what reached model and loss."""
    grid = count_mismatches()
    return {
        "exposure_mismatches": grid["n_mismatches"],
        "exposure_values": grid["n_values"],
        "exposure_trainings": len(grid["cases"]),
    }


def report_erasure(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"erasing gave what building anew gives: {figures['erase_equals_rebuild']}, in {figures['n_worlds']} worlds; deleting rows gave "
        f"something else in {figures['naive_deletion_differs']}, a row comes in in {figures['n_worlds_row_comes_in']}"
    )
