"""A workspace with judged samples whose texts would act if anything but their letters were shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg

from distill_assets.commands.instance import open_instance
from distill_assets.config import RecipeFolder
from distill_assets.gates import DATA_VERSION_TAG, asset_key
from distill_assets.identity import make_id
from distill_assets.storage import Workspace, write_table
from distill_assets.tables import JUDGED_SAMPLES, VERDICTS, build_frame

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m[bold]red[/bold]\u202etxt"
STATUSES = ("accepted", "accepted", "accepted", "rejected", "rejected", "unscored")


def sample_id(number: int) -> str:
    return make_id("judged", number)


def build_judged(folder: RecipeFolder, home: Path, statuses: tuple[str, ...] = STATUSES) -> list[str]:
    """Store judged samples and their verdicts as the graph would, and return the samples' ids."""
    ids = [sample_id(number) for number in range(len(statuses))]
    samples = [
        _make_sample(sample_id, status, number) for number, (sample_id, status) in enumerate(zip(ids, statuses, strict=True))
    ]
    verdicts = [verdict for sample in samples for verdict in _make_verdicts(sample)]
    with open_instance() as instance:
        for table, rows in ((VERDICTS, verdicts), (JUDGED_SAMPLES, samples)):
            version = write_table(Workspace(home), folder.recipe.name, table, build_frame(table, rows))
            key = asset_key(folder.recipe.name, table.name)
            instance.report_runless_asset_event(dg.AssetMaterialization(key, tags={DATA_VERSION_TAG: version}))
    return ids


def _make_sample(sample_id: str, status: str, number: int) -> dict[str, object]:
    """One sample as the judges settled it; people have overruled all that the judges accepted or rejected."""
    overruled = {"accepted": "rejected", "rejected": "accepted"}.get(status, status)
    known = {
        "sample_id": sample_id, "seed_id": "s", "database": "choir", "question": f"question {number} {HOSTILE}",
        "trace": f"reasoning {ESCAPES}", "sql": f"SELECT '{HOSTILE}', {number} FROM singers", "teacher": "t@1",
        "strategy": "write_sample", "sample_status": overruled, "judged_status": status, "is_shortcut": False,
    }  # fmt: skip
    if status == "unscored":  # the reply was an error: there is nothing to see
        known |= {"question": None, "trace": None, "sql": None}
    return {name: known.get(name) for name in JUDGED_SAMPLES.fields}


def _make_verdicts(sample: dict[str, object]) -> list[dict[str, object]]:
    status = {"accepted": "passed", "rejected": "failed", "unscored": "unscored"}[str(sample["judged_status"])]
    score = {"passed": 1.0, "failed": 0.0, "unscored": None}[status]
    both = {"generation_id": sample["sample_id"], "judge_key": "k", "is_canary": False, "evidence": None, "reason": None}
    rule = {"layer": "heuristic", "judge": "heuristics@3", "criterion": "length", "verdict_status": "passed", "score": 1.0}
    critic = {"layer": "critic", "judge": "critic@1", "criterion": "clear", "verdict_status": status, "score": score}
    if status != "passed":
        critic |= {"reason": f"because of {HOSTILE}", "evidence": f'{{"words": "{ESCAPES}"}}'}
    return [{**both, **rule, "is_decisive": True}, {**both, **critic, "is_decisive": status != "passed"}]


def review_command(folder: RecipeFolder, *options: str) -> list[str]:
    return [sys.executable, "-m", "distill_assets.cli", "review", "--recipe", str(folder.path), *options]


def run_review(folder: RecipeFolder, *options: str, keys: str = "") -> subprocess.CompletedProcess[str]:
    """The real command with `keys` piped in."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        review_command(folder, *options), input=keys, capture_output=True, text=True, env=environment, timeout=60, check=False
    )
