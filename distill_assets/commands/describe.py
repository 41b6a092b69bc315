"""The docs that are made from the code: docs/assets.md and docs/tables.md.

Belongs here: turning definitions and tables into markdown. Does not belong here: prose that people
write. `python -m distill_assets.commands.describe docs` writes them; a test compares them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg

from distill_assets.checks import plan_checks
from distill_assets.config import BUILT_IN_RECIPE, built_in_recipe, load_recipe
from distill_assets.definitions import build_definitions
from distill_assets.storage import write_text
from distill_assets.tables import describe_tables


def describe_assets() -> str:
    """Return the assets of a recipe as a markdown table, in the order of the graph."""
    folder = load_recipe(built_in_recipe(BUILT_IN_RECIPE))
    graph = build_definitions([folder]).resolve_implicit_global_asset_job_def().asset_layer.asset_graph
    checks = plan_checks(folder.recipe.thresholds)
    lines = [
        "# Assets", "", "Made by `make docs` from the code. Each key is prefixed with the recipe's name.", "",
        "| asset | group | made from | blocking checks | what it is |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for key in graph.toposorted_asset_keys:
        lines.append(_describe(graph.get(key), key, checks))
    return "\n".join(lines) + "\n"


def _describe(node, key: dg.AssetKey, checks: dict) -> str:
    name = key.path[-1]
    parents = ", ".join(f"`{parent.path[-1]}`" for parent in sorted(node.parent_keys)) or "a person"
    blocking = ", ".join(check.name for check in checks.get(name, ()) if check.blocking) or "–"
    return f"| `{name}` | {node.group_name} | {parents} | {blocking} | {node.description} |"


def main(folder: Path) -> None:
    """Write both files into `folder`."""
    write_text(folder / "assets.md", describe_assets())
    write_text(folder / "tables.md", describe_tables())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
