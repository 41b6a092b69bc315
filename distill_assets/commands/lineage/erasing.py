"""`distill lineage erase`: the plan, and its execution as a tombstone, Dagster runs, removed texts and a receipt.

Belongs here: the order of these. Does not belong here: what leaves (planning), the graph (run), removing texts (scrubbing).

The order keeps every moment safe: what must go is written down; then the tombstone, so that nothing withdrawn is trained on whatever
happens next; then the rebuild; then the texts, once no table in use holds them; the receipt last. Killed anywhere, the same command
goes on from what was written down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.commands.instance import open_instance
from distill_assets.commands.lineage.after import find_leaving_anywhere
from distill_assets.commands.lineage.audit import open_own
from distill_assets.commands.lineage.planning import ROWS, estimate_costs, plan_as_data, plan_erasure, show_plan
from distill_assets.commands.lineage.recorded import Recorded
from distill_assets.commands.lineage.scrubbing import Scrubbed, Texts, forget_runs, gather_texts, scrub_texts, wipe_orphans
from distill_assets.commands.lineage.selecting import PENDING, check_known, read_selector
from distill_assets.commands.lineage.withdrawing import bury, run_audits
from distill_assets.commands.run import run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder
from distill_assets.errors import LineageError
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import prove, read_tree
from distill_assets.lineage.receipts import build_receipt
from distill_assets.lineage.tombstones import Selector, name_tombstone
from distill_assets.lineage.withdrawals import read_withdrawals
from distill_assets.recording import read_now
from distill_assets.resources import read_wall_clock_s
from distill_assets.storage import Workspace, write_text
from distill_assets.tables import TRAINING_DATASET

RECEIPTS = "receipts"
CURATED = [TRAINING_DATASET.name, "dropped_samples", "corpus_diversity"]


class Pending(NamedTuple):
    """An erasure that was begun: its plan as data, the rows that leave, their texts, and when it began in s since 1970."""

    plan: dict[str, Any]
    sample_ids: list[str]
    texts: Texts
    began_s: float


def plan(folder: RecipeFolder, options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What an erasure would do, as data and in words."""
    workspace, ledger, selector = _read(folder, options)
    planned = plan_erasure(folder, _open_head(folder, workspace), ledger, selector)
    costs = estimate_costs(planned, ledger, folder)
    data = plan_as_data(planned, costs)
    return data, show_plan(planned, data)


def _read(folder: RecipeFolder, options: Mapping[str, Any]) -> tuple[Workspace, Ledger, Selector]:
    workspace, ledger = open_own()
    selector = read_selector(options, ledger, workspace, folder.recipe)
    with ledger.connect() as connection:
        check_known(selector, connection)
    return workspace, ledger, selector


def _open_head(folder: RecipeFolder, workspace: Workspace) -> Recorded:
    return Recorded(workspace, folder.recipe.name, find_versions(folder, open_instance()))


def execute(
    folder: RecipeFolder,
    options: Mapping[str, Any],
    reason: str | None,
    by: str | None,
    is_training: bool,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], str]:
    """Do an erasure; return the receipt, as data and in words.

    Raises:
        LineageError: it cannot be done (nothing left to train on, a judge that the recipe still names), or the rebuild failed: the
            tombstone stays, and the same command goes on.
    """
    workspace, ledger, selector = _read(folder, options)
    if selector.kind not in ROWS:
        raise LineageError(
            f"a {selector.kind} wrote no row that could be erased. Nothing was done. Put it on record: distill lineage withdraw "
            f"--{selector.kind} … --reason '…'; then name another in recipe.yaml and run: distill run"
        )
    file = workspace.folder(PENDING, folder.recipe.name) / f"{name_tombstone(selector)}.json"
    pending = _read_pending(file) or _begin(folder, workspace, ledger, selector, file)
    tombstone_id = bury(ledger, selector, reason, by)
    say(f"withdrawn: {selector}, tombstone {tombstone_id[:12]}")
    run_audits(workspace, ledger, open_instance())
    after = _rebuild(folder, workspace, pending, is_training, say)
    scrubbed = _scrub(folder, workspace, after, pending, is_training, say)
    receipt, written = _write_receipt(ledger, folder, pending, after, tombstone_id, scrubbed)
    file.unlink()
    run_audits(workspace, ledger, open_instance())
    return receipt, _show_receipt(receipt, str(written))


def _begin(folder: RecipeFolder, workspace: Workspace, ledger: Ledger, selector: Selector, file: Path) -> Pending:
    """Plan, and write down what must go before anything does."""
    head = _open_head(folder, workspace)
    planned = plan_erasure(folder, head, ledger, selector)
    if planned.after is None:
        raise LineageError("no row of the dataset would be left. Nothing was done. Add other seeds or teachers first.")
    everywhere = find_leaving_anywhere(folder, head, read_withdrawals(ledger.root, only=[selector]))
    texts = gather_texts(everywhere)
    ids = sorted({*planned.leaving.sample_ids, *everywhere.sample_ids})
    pending = Pending(plan_as_data(planned, {}), ids, texts, read_wall_clock_s())
    data = {**pending._asdict(), "texts": {name: sorted(value) for name, value in texts._asdict().items()}}
    write_text(file, json.dumps(data, ensure_ascii=False))
    file.chmod(0o600)
    return pending


def _read_pending(file: Path) -> Pending | None:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        texts = {name: tuple(value) if name == "texts" else frozenset(value) for name, value in data["texts"].items()}
        return Pending(data["plan"], data["sample_ids"], Texts(**texts), data["began_s"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LineageError(
            f"{file} cannot be read: {error}. It says which texts an erasure that was begun has still to remove. Nothing was done. "
            "Restore it from a copy; without one, move it away, and what is left of older snapshots is searched again."
        ) from error


def _rebuild(
    folder: RecipeFolder, workspace: Workspace, pending: Pending, is_training: bool, say: Callable[[str], None]
) -> Recorded:
    """Run what is out of date, and hold the new dataset against the one that the plan built from scratch."""
    _run(folder, is_training, say)
    after = _open_head(folder, workspace)
    built, wanted = after.versions[TRAINING_DATASET.name], pending.plan["version_after"]
    if pending.plan["is_exact"] and built != wanted:
        raise LineageError(
            f"the rebuilt dataset {built} is not the one built from scratch ({wanted}). No text was removed. The recipe's files may have "
            f"changed meanwhile: put them back, or take {PENDING}/{folder.recipe.name} away to plan anew; then run the same command again."
        )
    return after


def _run(folder: RecipeFolder, is_training: bool, say: Callable[[str], None]) -> None:
    wipe_orphans(open_instance(), folder.recipe.name)
    report = run_recipe(folder, open_instance(), [] if is_training else CURATED, say)
    if report.errors:
        raise LineageError(
            f"the rebuild stopped: {'; '.join(report.errors)}. The withdrawal is on record, no text was removed by this step. "
            "Mend it, then run the same command again."
        )


def _scrub(
    folder: RecipeFolder, workspace: Workspace, after: Recorded, pending: Pending, is_training: bool, say: Callable[[str], None]
) -> Scrubbed:
    """Remove the texts, and Dagster's runs of before; what only those had materialized is materialized again, to the same content."""
    n_runs = forget_runs(open_instance(), folder.recipe.name, pending.began_s)
    _run(folder, is_training, say)
    return scrub_texts(workspace, folder.recipe.name, after, pending.texts, say)._replace(n_runs=n_runs)


def _write_receipt(
    ledger: Ledger, folder: RecipeFolder, pending: Pending, after: Recorded, tombstone_id: str, scrubbed: Scrubbed
) -> tuple[dict[str, Any], Path]:
    salt, planned = ledger.salt(), pending.plan
    versions = {"before": planned["version_before"], "after": after.versions[TRAINING_DATASET.name]}
    with ledger.connect() as connection:
        trees = {side: read_tree(connection, salted(salt, version)) for side, version in versions.items()}
    ids = [salted(salt, sample) for sample in pending.sample_ids]
    ids_out = [salted(salt, sample) for sample in sorted(set(planned["rows_out"]) & set(pending.sample_ids))]
    sides = {side: {"data_version": versions[side], "merkle_root": trees[side].root} for side in versions}
    claims = (("present", "before", ids_out), ("absent", "after", ids))
    at, head = read_now(), ledger.head()
    receipt = build_receipt({
        "at": at, "recipe": folder.recipe.name, "tombstone_id": tombstone_id, "selector": planned["selector"],
        "before": {**sides["before"], "checkpoint": planned["checkpoint_before"]},
        "after": {**sides["after"], "checkpoint": planned["checkpoint_after"], "is_from_scratch": planned["is_exact"]},
        "erased": {"ids": ids, "ids_out": ids_out, "n_generations": len(ids),
                   **{name: planned[name] for name in ("n_seeds", "n_rows_out", "n_rows_in", "n_promoted")}},
        "texts": scrubbed.as_data(), "carried_by": [taint["name"] for taint in planned["checkpoints"]],
        "proofs": [prove(trees[side], named, claim) for claim, side, named in claims if named],
        "chain": {"seq": head.seq, "head": head.hash},
    })  # fmt: skip
    text = json.dumps(receipt, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    facts = {"tombstone_id": tombstone_id, "receipt_sha256": hashlib.sha256(text.encode()).hexdigest(), **sides}
    file = ledger.root / RECEIPTS / f"{tombstone_id[:12]}-{facts['receipt_sha256'][:12]}.json"
    write_text(file, text)
    ledger.append("erasure", folder.recipe.name, at, facts, {})
    return receipt, file


def _show_receipt(receipt: Mapping[str, Any], file: str) -> str:
    erased, texts = receipt["erased"], receipt["texts"]
    lines = [
        f"erased      {receipt['selector']['kind']}: {erased['n_seeds']:,} seeds, {erased['n_generations']:,} generations",
        f"dataset     {erased['n_rows_out']:,} out, {erased['n_rows_in']:,} in -> {receipt['after']['data_version'][:12]}"
        + (" == built from scratch ✓" if receipt["after"]["is_from_scratch"] else ""),
        f"texts       removed from {texts['n_files']:,} files, {texts['n_replies']:,} journaled replies, {texts['n_runs']:,} Dagster runs",
        *(f"still here  {where}" for where in texts["still_here"]),
        f"receipt     {file}",
        "            check it anywhere, with nothing else: distill lineage verify RECEIPT",
        "not undone  " + "\n            ".join(receipt["limits"]),
    ]
    if receipt["carried_by"]:
        lines.append(f"carried by  {', '.join(receipt['carried_by'])}")
    return "\n".join(lines)
