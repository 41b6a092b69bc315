"""The code location: it loads fast, without the heavy libraries, and its docs are true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg

from distill_assets.checks import blocking_keys, plan_checks
from distill_assets.commands.describe import describe_assets
from distill_assets.config import BUILT_IN_RECIPE, built_in_recipe, load_recipe
from distill_assets.definitions import build_definitions
from distill_assets.tables import TABLES, describe_tables

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "torch",
    "trl",
    "transformers",
    "great_expectations",
    "openai",
    "instructor",
    "pandas",
    "datasets",
    "matplotlib",
    "scipy",
    "sklearn",
}


def test_loading_imports_none_of_the_heavy_libraries() -> None:
    code = "import sys, distill_assets.definitions as d; d.defs(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "dagster" in loaded
    assert loaded & HEAVY == set()


def test_definitions_load_and_every_asset_says_who_what_and_when() -> None:
    folder = load_recipe(built_in_recipe(BUILT_IN_RECIPE))
    defs = build_definitions([folder])
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_implicit_global_asset_job_def().asset_layer.asset_graph
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.description and node.owners and node.kinds and node.code_version and node.automation_condition, key


def test_every_blocking_check_of_the_graph_is_known_to_the_gates() -> None:
    folder = load_recipe(built_in_recipe(BUILT_IN_RECIPE))
    graph = build_definitions([folder]).resolve_implicit_global_asset_job_def().asset_layer.asset_graph
    blocking = {key for key in graph.asset_check_keys if graph.get(key).blocking}
    assert blocking == set(blocking_keys(folder.recipe, TABLES))
    assert set(plan_checks(folder.recipe.thresholds)) <= set(TABLES)


def test_the_docs_made_from_code_are_up_to_date() -> None:
    assert (ROOT / "docs" / "assets.md").read_text(encoding="utf-8") == describe_assets(), "run make docs"
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == describe_tables(), "run make docs"
