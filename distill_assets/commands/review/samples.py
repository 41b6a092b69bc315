"""What a person is shown of a recipe's judged samples.

Belongs here: reading samples and their verdicts, and making model-written text harmless to look at. Does not belong
here: which samples are drawn (reviews.drawing, session) or how they look (terminal, page).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import polars as pl

from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, home_folder
from distill_assets.errors import ReviewError
from distill_assets.storage import Workspace, read_table, scan_table
from distill_assets.tables import JUDGED_SAMPLES, VERDICTS

# The judges' own word, not what people's labels made of it: a label must not measure itself.
STATUS = "judged_status"
MAX_EVIDENCE_CHARS = 1_000
SEVERITY = {"failed": 0, "unscored": 1, "passed": 2}
# Written text may hold line breaks and tabs; what else acts instead of showing is spelt out: control characters (Cc),
# invisible ones that turn the direction of writing (Cf), odd line breaks (Zl, Zp), halves of characters (Cs), private ones.
HARMLESS = "\n\t"
ACTING = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


class Evidence(NamedTuple):
    """One verdict on a sample; score 0 to 1, None when unscored. One that is not decisive settled nothing."""

    judge: str
    criterion: str
    status: str
    score: float | None
    reason: str
    is_decisive: bool
    found_by: str


class Shown(NamedTuple):
    """One sample as a person sees it; `status` is what the judges say."""

    sample_id: str
    status: str
    database: str
    teacher: str
    question: str
    trace: str
    sql: str
    evidence: tuple[Evidence, ...]


class JudgedWorld(NamedTuple):
    """Where a recipe's judged samples are: its samples (with the judges' own status) and the version of its verdicts."""

    workspace: Workspace
    recipe: str
    samples: pl.DataFrame
    verdicts_version: str


def load_judged(folder: RecipeFolder, instance: dg.DagsterInstance) -> JudgedWorld:
    """Read the recipe's judged samples.

    Raises:
        ReviewError: there are none yet. StorageError: they cannot be read.
    """
    versions = find_versions(folder, instance)
    name = folder.recipe.name
    missing = [table.name for table in (VERDICTS, JUDGED_SAMPLES) if table.name not in versions]
    if missing:
        raise ReviewError(
            f"recipe '{name}' has no {' and no '.join(missing)} yet. Nothing was labelled. Run: distill run --select judged_samples"
        )
    workspace = Workspace(Path(home_folder()))
    samples = read_table(workspace, name, JUDGED_SAMPLES, versions[JUDGED_SAMPLES.name])
    if samples.is_empty():
        raise ReviewError(f"recipe '{name}' has judged samples, but not one row of them. Nothing was labelled. Look at its seeds.")
    samples = samples.with_columns(pl.col(STATUS).alias("sample_status"))
    return JudgedWorld(workspace, name, samples, versions[VERDICTS.name])


def show_samples(world: JudgedWorld, sample_ids: Sequence[str]) -> dict[str, Shown]:
    """Return the samples as people see them, in the order of `sample_ids`."""
    wanted = list(sample_ids)
    verdicts = scan_table(world.workspace, world.recipe, VERDICTS, world.verdicts_version)
    evidence: dict[str, list[Evidence]] = {}
    for row in verdicts.filter(pl.col("generation_id").is_in(wanted)).collect().iter_rows(named=True):
        evidence.setdefault(row["generation_id"], []).append(_show_verdict(row))
    rows = {row["sample_id"]: row for row in world.samples.filter(pl.col("sample_id").is_in(wanted)).iter_rows(named=True)}
    return {sample_id: _show(rows[sample_id], evidence.get(sample_id, [])) for sample_id in wanted}


def _show_verdict(row: dict[str, Any]) -> Evidence:
    judge, criterion, reason, found_by = (make_visible(row[name]) for name in ("judge", "criterion", "reason", "evidence"))
    return Evidence(
        judge, criterion, row["verdict_status"], row["score"], reason, row["is_decisive"], found_by[:MAX_EVIDENCE_CHARS]
    )


def _show(row: dict[str, str | None], evidence: list[Evidence]) -> Shown:
    text = (make_visible(row[name]) for name in ("database", "teacher", "question", "trace", "sql"))
    in_order = sorted(evidence, key=lambda one: (SEVERITY.get(one.status, 0), not one.is_decisive, one.judge, one.criterion))
    return Shown(str(row["sample_id"]), str(row["sample_status"]), *text, tuple(in_order))


def find_samples(world: JudgedWorld, beginnings: Sequence[str]) -> list[str]:
    """Return the ids that begin so, one for each.

    Raises:
        ReviewError: no sample, or several, have an id that begins so.
    """
    found = []
    for beginning in beginnings:
        ids = (
            world.samples.filter(pl.col("sample_id").str.starts_with(beginning))["sample_id"].sort().to_list() if beginning else []
        )
        if len(ids) != 1:
            these = ", ".join(sample_id[:12] for sample_id in ids[:5]) or "none"
            raise ReviewError(
                f"{len(ids)} judged samples of recipe '{world.recipe}' have an id that begins with {beginning[:40]!r}: {these}. "
                "Nothing was labelled. See: distill sql 'from judged_samples'"
            )
        found += ids
    return found


def make_visible(text: str | None) -> str:
    """Model-written text without characters that act instead of showing: each is spelt as its code point."""
    return "".join(c if c in HARMLESS or unicodedata.category(c) not in ACTING else f"\\u{ord(c):04x}" for c in text or "")
