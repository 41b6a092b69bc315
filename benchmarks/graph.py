"""Measure the whole graph on the embedded default: `python -m benchmarks.graph --json`.

Two workspaces are built from scratch by `distill run` in processes of their own. In the first one, the
no-op, one changed seed, a whitespace change and the revert follow. The last line is one JSON object.
Wall times depend on the machine and on what else it does: they are told beside the CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distill_assets.config import built_in_recipe

LOAD = "import distill_assets.definitions as d; d.defs()"


def measure(recipe: Path, root: Path) -> dict[str, Any]:
    """Run all measurements in workspaces under `root` on the recipe folder `recipe`."""
    first, second = root / "first", root / "second"
    figures: dict[str, Any] = {"distill_s": distill(recipe, first)}
    figures |= read_report(recipe, first)
    built = describe(recipe, first)
    figures["noop_s"] = distill(recipe, first)
    noop = describe(recipe, first)
    figures["noop_requests"] = count_requests(noop) - count_requests(built)
    seeds = recipe / "seeds" / "topics.jsonl"
    original = seeds.read_text(encoding="utf-8")
    seeds.write_text(original.replace('": "', '":  "'), encoding="utf-8")
    distill(recipe, first)
    spaced = describe(recipe, first)
    figures["rebuilt_after_whitespace"] = changed_assets(noop, spaced)
    lines = original.splitlines()
    row = json.loads(lines[0])
    row["text"] += ", and when"
    seeds.write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n", encoding="utf-8")
    distill(recipe, first, "--select", "training_dataset", "--select", "dropped_samples")
    edited = describe(recipe, first)
    figures["requests_one_seed_changed"] = count_requests(edited) - count_requests(spaced)
    seeds.write_text(original, encoding="utf-8")
    distill(recipe, first)
    reverted = describe(recipe, first)
    figures["requests_after_revert"] = count_requests(reverted) - count_requests(edited)
    figures["trainings_after_revert"] = reverted["trainings"] - built["trainings"]
    figures["load_cpu_s"] = measure_load()
    figures["distill_again_s"] = distill(recipe, second)
    other = describe(recipe, second)
    figures["same_dataset_digest"] = built["versions"]["training_dataset"] == other["versions"]["training_dataset"]
    figures["same_weights"] = weights_of(built, first, recipe) == weights_of(other, second, recipe)
    figures["peak_rss_mib"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    figures["cpu_s_all"] = round(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]), 1)
    return figures


def distill(recipe: Path, home: Path, *extra: str) -> float:
    """Run `distill run` in a process of its own; return its wall seconds."""
    env = {**os.environ, "DISTILL_HOME": str(home)}
    env.pop("DAGSTER_HOME", None)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "distill_assets.cli", "run", "--recipe", str(recipe), *extra],
        env=env, stdout=sys.stderr, stderr=sys.stderr, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"distill run ended with {done.returncode}")
    return round(time.monotonic() - started, 1)


DESCRIBE = """
import json, sys
from pathlib import Path
import dagster as dg
from distill_assets.commands.instance import open_instance
from distill_assets.config import load_recipe
folder = load_recipe(Path(sys.argv[1]))
instance = open_instance()
out = {"versions": {}, "events": {}, "requests": 0, "trainings": 0}
for key in instance.all_asset_keys():
    records = instance.fetch_materializations(key, limit=100).records
    name = key.path[-1]
    out["events"][name] = len(records)
    out["versions"][name] = records[0].asset_materialization.tags.get("dagster/data_version") if records else None
    for record in records:
        metadata = record.asset_materialization.metadata
        if name == "raw_generations":
            out["requests"] += metadata["n_requests_sent"].value
        if name == "student_checkpoint":
            out["trainings"] += not metadata["is_reused"].value
print(json.dumps(out))
"""


def describe(recipe: Path, home: Path) -> dict[str, Any]:
    """Versions, numbers of materializations, requests and trainings of a workspace."""
    env = {**os.environ, "DISTILL_HOME": str(home)}
    env.pop("DAGSTER_HOME", None)
    out = subprocess.run([sys.executable, "-c", DESCRIBE, str(recipe)], env=env, capture_output=True, text=True, check=True)
    return json.loads(out.stdout.strip().splitlines()[-1])


def count_requests(described: dict[str, Any]) -> int:
    """Requests that a workspace has sent in all."""
    return int(described["requests"])


def changed_assets(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Assets that were materialized in between, the external files aside."""
    return sorted(
        n for n, count in after["events"].items() if count != before["events"].get(n) and not n.endswith(("_files", "_file"))
    )


def read_report(recipe: Path, home: Path) -> dict[str, Any]:
    """The report's headline figures."""
    name = _recipe_name(recipe)
    version = describe(recipe, home)["versions"]["eval_report"]
    report = json.loads((home / "reports" / name / version / "report.json").read_text(encoding="utf-8"))
    return {key: report["headline"][key] for key in HEADLINE if key in report["headline"]}


HEADLINE = (
    "accuracy_student", "accuracy_base", "accuracy_synthetic", "interval_student", "interval_base", "n_holdout",
)  # fmt: skip


def weights_of(described: dict[str, Any], home: Path, recipe: Path) -> str:
    """SHA-256 of a workspace's latest weights."""
    from distill_assets.identity import hash_file

    folder = home / "checkpoints" / _recipe_name(recipe) / described["versions"]["student_checkpoint"]
    return hash_file(folder / "model.safetensors")


def _recipe_name(recipe: Path) -> str:
    from distill_assets.config import load_recipe

    return load_recipe(recipe).recipe.name


def measure_load() -> float:
    """CPU seconds of loading the code location in a fresh interpreter, the least of three."""
    found = []
    for _ in range(3):
        code = f"import time; {LOAD}; print(time.process_time())"
        found.append(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout))
    return round(min(found), 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--recipe", type=Path, default=built_in_recipe("text_to_sql"))
    parser.add_argument("--keep", type=Path, help="keep the workspaces in this folder")
    args = parser.parse_args()
    root = args.keep or Path(tempfile.mkdtemp(prefix="distill-graph-"))
    recipe = root / "recipe"
    shutil.copytree(args.recipe, recipe, dirs_exist_ok=True)
    figures = measure(recipe, root)
    if not args.keep:
        shutil.rmtree(root)
    print(json.dumps(figures) if args.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
