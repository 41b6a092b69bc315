"""What `distill run` prints at its end: the report, where things lie, and what to do next.

Belongs here: reading the latest report and checkpoint for a terminal. Does not belong here: making them.
"""

from __future__ import annotations

import dagster as dg

from distill_assets.config import RecipeFolder, home_folder
from distill_assets.gates import asset_key, latest_version
from distill_assets.storage import Workspace


def summarize(folder: RecipeFolder, instance: dg.DagsterInstance, waves: list[list[str]]) -> str:
    """Return the text of the latest report with paths and next steps."""
    name = folder.recipe.name
    workspace = Workspace(home_folder())
    parts = []
    if report_id := latest_version(instance, asset_key(name, "eval_report")):
        file = workspace.folder("reports", name) / report_id / "summary.txt"
        parts.append(file.read_text(encoding="utf-8") if file.exists() else f"report {report_id}")
        parts.append(f"Report      {file.with_name('report.md')}")
    if checkpoint_id := latest_version(instance, asset_key(name, "student_checkpoint")):
        parts.append(f"Checkpoint  {workspace.folder('checkpoints', name) / checkpoint_id}")
    built = sum(len(wave) for wave in waves)
    parts.append(f"Built       {built} assets in {len(waves)} waves" if built else "Built       nothing: everything was up to date")
    parts += [
        "Next        make ui                          see the graph, the gates and the report in Dagster",
        "            distill sql                      query the tables; distill explain ID tells a row's past",
        "            distill new-recipe NAME --database FILE   the same over your own database",
    ]
    return "\n".join(parts)
