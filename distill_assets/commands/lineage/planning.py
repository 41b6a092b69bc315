"""What an erasure would do to a recipe: rows out, rows in, requests, training, figures that are void.

Belongs here: the plan as data and in words. Does not belong here: doing it (erasing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from distill_assets.clients.base_model import resolve_base_model
from distill_assets.commands.lineage.after import Leaving, build_after, check_built, find_leaving
from distill_assets.commands.lineage.recorded import Recorded
from distill_assets.commands.lineage.showing import plain, show_taint
from distill_assets.config import RecipeFolder, cache_folder
from distill_assets.errors import NothingSurvivedError
from distill_assets.lineage.audits.query import fetch, find_checkpoint, list_checkpoints
from distill_assets.lineage.audits.taint import Taint, find_taint
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.tombstones import Selector, list_tombstones
from distill_assets.lineage.withdrawals import read_withdrawals
from distill_assets.tables import CURATION_MARKS, TRAINING_DATASET, hash_frame
from distill_assets.train.plan import is_curriculum, name_checkpoint

# Selectors that name rows; a judge's and a benchmark's withdrawal take no row out by themselves.
ROWS = ("teacher", "served", "fingerprint", "licence", "source", "seed", "generation")


class Plan(NamedTuple):
    """An erasure planned: what leaves and comes in, what follows, and whether that is known to the row."""

    selector: Selector
    leaving: Leaving
    before: pl.DataFrame
    after: pl.DataFrame | None
    promoted: list[str]
    checkpoint_before: str | None
    checkpoint_after: str | None
    taints: list[Taint]
    n_void: int
    n_rejudged: int
    is_exact: bool

    @property
    def out(self) -> list[str]:
        """Samples of the dataset that leave it, those displaced by others included."""
        after = set(self.after["sample_id"]) if self.after is not None else set()
        return [sample for sample in self.before["sample_id"] if sample not in after]

    @property
    def coming(self) -> list[str]:
        """Samples that come into the dataset."""
        before = set(self.before["sample_id"])
        return [sample for sample in self.after["sample_id"] if sample not in before] if self.after is not None else []

    @property
    def version_after(self) -> str | None:
        """Data version of the dataset after it."""
        return hash_frame(TRAINING_DATASET, self.after) if self.after is not None else None


def plan_erasure(folder: RecipeFolder, head: Recorded, ledger: Ledger, selector: Selector) -> Plan:
    """Plan an erasure on a recipe's tables as they are; nothing is changed."""
    check_built(head)
    events = ledger.events()
    others = [tombstone.selector for tombstone in list_tombstones(events) if tombstone.selector != selector]
    leaving = find_leaving(folder, head, read_withdrawals(ledger.root, only=[*others, selector]))
    before = head.read(TRAINING_DATASET)
    after = _try_after(folder, head, leaving) if selector.kind in ROWS else before
    with ledger.connect() as connection:
        taints = find_taint(connection, events, selector)
        n_void = _count_void(connection, taints)
        n_rejudged = _count_judged_by(connection, selector)
    is_exact = folder.recipe.judge.quality is None and selector.kind != "judge"
    names = [_name_student(folder, dataset) for dataset in (before, after)]
    promoted = _find_promoted(head, before, after)
    return Plan(selector, leaving, before, after, promoted, *names, taints, n_void, n_rejudged, is_exact)


def _try_after(folder: RecipeFolder, head: Recorded, leaving: Leaving) -> pl.DataFrame | None:
    try:
        return build_after(folder, head, leaving)
    except NothingSurvivedError:
        return None


def _name_student(folder: RecipeFolder, dataset: pl.DataFrame | None) -> str | None:
    """The id of the checkpoint that a dataset gives; None when it has no row to train on."""
    if dataset is None or not (dataset["split"] == "train").any():
        return None
    recipe = folder.recipe
    base = resolve_base_model(recipe.student.base_model, cache_folder())
    return name_checkpoint(dataset, base.revision, recipe.student.train, is_curriculum(recipe))


def _find_promoted(head: Recorded, before: pl.DataFrame, after: pl.DataFrame | None) -> list[str]:
    """Samples that come in because the one that stood for them leaves."""
    if after is None or not head.has(CURATION_MARKS):
        return []
    marks = head.read(CURATION_MARKS)
    stood_for = set(marks.filter(pl.col("duplicate_of").is_not_null())["sample_id"])
    return sorted((set(after["sample_id"]) - set(before["sample_id"])) & stood_for)


def _count_void(connection: Any, taints: list[Taint]) -> int:
    ids = [taint.checkpoint for taint in taints]
    return fetch(
        connection,
        "select count(*) as n from evaluation where checkpoint_id in (select salted(unnest($ids::varchar[])))",
        {"ids": ids},
    )[0]["n"]


def _count_judged_by(connection: Any, selector: Selector) -> int:
    if selector.kind != "judge":
        return 0
    sql = "select count(distinct generation_id) as n from judgment where panel_id in (select panel_id from panel where judge = $value)"
    return fetch(connection, sql, {"value": selector.value})[0]["n"]


def plan_as_data(plan: Plan, costs: Mapping[str, Any]) -> dict[str, Any]:
    """A plan as JSON."""
    out, coming = plan.out, plan.coming
    return {
        "selector": plan.selector._asdict(),
        "n_seeds": plan.leaving.seeds.height,
        "n_generations": len(plan.leaving.sample_ids),
        "n_rows_out": len(out),
        "n_rows_in": len(coming),
        "n_promoted": len(plan.promoted),
        "rows_out": out,
        "rows_in": coming,
        "n_rows_before": plan.before.height,
        "n_rows_after": plan.after.height if plan.after is not None else 0,
        "version_before": hash_frame(TRAINING_DATASET, plan.before),
        "version_after": plan.version_after,
        "checkpoint_before": plan.checkpoint_before,
        "checkpoint_after": plan.checkpoint_after,
        "is_trained_anew": plan.checkpoint_before != plan.checkpoint_after,
        "n_evaluations_void": plan.n_void,
        "n_rejudged": plan.n_rejudged,
        "checkpoints": [taint._asdict() for taint in plan.taints],
        "is_exact": plan.is_exact,
        **costs,
    }


def estimate_costs(plan: Plan, ledger: Ledger, folder: RecipeFolder) -> dict[str, Any]:
    """Requests, money and training time: nothing is bought anew, and training takes as long as it took last time, by rows."""
    events = ledger.events()
    last = find_checkpoint(events, None, folder.recipe.name) if list_checkpoints(events, folder.recipe.name) else None
    seconds = last.facts.get("train_s") if last else None
    share = (plan.after.height if plan.after is not None else 0) / max(plan.before.height, 1)
    is_trained = plan.checkpoint_after is not None and plan.checkpoint_before != plan.checkpoint_after
    n_critics = len(folder.recipe.judge.critics.judges)
    return {
        "n_requests": plan.n_rejudged * n_critics,
        "cost_usd": 0.0 if not plan.n_rejudged else None,
        "train_s": round(seconds * share, 1) if seconds is not None and is_trained else 0.0 if not is_trained else None,
    }


def show_plan(plan: Plan, data: Mapping[str, Any]) -> str:
    """A plan in words; `data` is the plan as data."""
    displaced = len(set(data["rows_out"]) - set(plan.leaving.sample_ids))
    lines = [
        f"erase {plain(plan.selector)}",
        f"  leave       {data['n_seeds']:,} seeds, {data['n_generations']:,} generations (with all that was derived from them)",
        f"  dataset     {data['n_rows_out']:,} rows out, {data['n_rows_in']:,} in ({data['n_promoted']:,} former duplicates promoted)"
        + (f"; {displaced:,} of those out only make room" if displaced else ""),
        f"              {data['n_rows_before']:,} -> {data['n_rows_after']:,} rows, {data['version_before'][:12]} -> {str(data['version_after'])[:12]}",
        f"  requests    {data['n_requests']:,}"
        + (" to judge anew" if plan.n_rejudged else " (nothing is bought; seeds that stay are not asked about again)"),
        f"  training    {_say_training(data)}",
        f"  figures     {data['n_evaluations_void']:,} void",
        "  checkpoints that carry it, and cannot be recalled once given away:"
        if plan.taints
        else "  checkpoints that carry it: none",
    ]
    if plan.taints:
        lines += ["    " + line for line in show_taint(plan.taints, plan.selector, []).splitlines()]
    if plan.after is None:
        lines.append("  NO ROW WOULD BE LEFT: the dataset stays as it is until other rows are there")
    if not plan.is_exact:
        lines.append("  rows are an estimate: judges or a learned filter settle anew when this is done")
    return "\n".join(lines)


def _say_training(data: Mapping[str, Any]) -> str:
    if not data["is_trained_anew"]:
        return "none: the rows trained on stay the same"
    time = "" if data["train_s"] is None else f", about {data['train_s']:,.0f} s as last time"
    return f"one, of {str(data['checkpoint_after'])[:12]}{time}"
