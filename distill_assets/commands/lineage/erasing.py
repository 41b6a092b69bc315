"""`distill lineage erase`: the plan, and its execution as a tombstone, Dagster runs, removed texts and a receipt.

Belongs here: the order of these. Does not belong here: what leaves (planning), the graph (run), removing texts (scrubbing).

The order keeps every moment safe: first the tombstone, so that nothing withdrawn is trained on whatever happens next; then the rebuild;
then the texts, once no table in use holds them; the receipt last. Killed anywhere and run again, it goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from distill_assets.commands.instance import open_instance
from distill_assets.commands.lineage.after import Head
from distill_assets.commands.lineage.audit import open_own
from distill_assets.commands.lineage.planning import Plan, estimate_costs, plan_as_data, plan_erasure, show_plan
from distill_assets.commands.lineage.scrubbing import Scrubbed, gather_texts, scrub_texts
from distill_assets.commands.lineage.selecting import check_known, read_selector
from distill_assets.commands.lineage.withdrawing import bury, run_audits
from distill_assets.commands.run import run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder
from distill_assets.errors import LineageError
from distill_assets.lineage.audits.query import fetch
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import prove, read_tree
from distill_assets.lineage.receipts import build_receipt
from distill_assets.lineage.tombstones import Selector
from distill_assets.recording import read_now
from distill_assets.storage import Workspace, write_text
from distill_assets.tables import TRAINING_DATASET

RECEIPTS = "receipts"


def plan(folder: RecipeFolder, options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What an erasure would do, as data and in words."""
    workspace, ledger, selector = _read(folder, options)
    planned = plan_erasure(folder, _open_head(folder, workspace), ledger, selector)
    costs = estimate_costs(planned, ledger, folder)
    return plan_as_data(planned, costs), show_plan(planned, costs, folder.recipe.curate)


def _read(folder: RecipeFolder, options: Mapping[str, Any]) -> tuple[Workspace, Ledger, Selector]:
    workspace, ledger = open_own()
    selector = read_selector(options, ledger, workspace, folder.recipe)
    with ledger.connect() as connection:
        check_known(selector, connection)
    return workspace, ledger, selector


def _open_head(folder: RecipeFolder, workspace: Workspace) -> Head:
    return Head(workspace, folder.recipe.name, find_versions(folder, open_instance()))


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
    if selector.kind in ("judge", "benchmark"):
        raise LineageError(
            f"a {selector.kind} wrote no row that could be erased. Nothing was done. Put it on record: distill lineage withdraw --{selector.kind} "
            f"… --reason '…'; then name another in recipe.yaml and run: distill run"
        )
    before = _open_head(folder, workspace)
    planned = plan_erasure(folder, before, ledger, selector)
    if planned.after is None:
        raise LineageError("no row of the dataset would be left. Nothing was done. Add other seeds or teachers first.")
    texts = gather_texts(before, planned.leaving)
    tombstone_id = bury(ledger, selector, reason, by)
    say(f"withdrawn: {selector}, tombstone {tombstone_id[:12]}")
    run_audits(workspace, ledger, open_instance())
    after = _rebuild(folder, workspace, planned, is_training, say)
    scrubbed = scrub_texts(workspace, folder.recipe.name, after, texts, open_instance(), say)
    receipt, file = _write_receipt(ledger, folder, planned, after, tombstone_id, scrubbed)
    return receipt, _show_receipt(receipt, str(file))


def _rebuild(folder: RecipeFolder, workspace: Workspace, planned: Plan, is_training: bool, say: Callable[[str], None]) -> Head:
    """Run what is out of date, and hold the new dataset against the one that the plan built from scratch."""
    select = [] if is_training else [TRAINING_DATASET.name, "dropped_samples", "corpus_diversity"]
    report = run_recipe(folder, open_instance(), select, say)
    if report.errors:
        raise LineageError(
            f"the rebuild stopped: {'; '.join(report.errors)}. The withdrawal is on record, no text was removed yet. "
            "Mend it, then run the same command again."
        )
    after = _open_head(folder, workspace)
    built, wanted = after.versions[TRAINING_DATASET.name], planned.version_after
    if planned.is_exact and built != wanted:
        raise LineageError(
            f"the rebuilt dataset {built} is not the one built from scratch ({wanted}). No text was removed. "
            "The recipe's files may have changed meanwhile; run the same command again."
        )
    return after


def _write_receipt(
    ledger: Ledger, folder: RecipeFolder, planned: Plan, after: Head, tombstone_id: str, scrubbed: Scrubbed
) -> tuple[dict[str, Any], Any]:
    salt = ledger.salt()
    ids = [salted(salt, sample) for sample in planned.leaving.sample_ids]
    versions = {"before": _version_of(planned), "after": after.versions[TRAINING_DATASET.name]}
    with ledger.connect() as connection:
        trees = {side: read_tree(connection, _salted_hex(connection, version)) for side, version in versions.items()}
    gone = set(planned.before["sample_id"]) & set(planned.leaving.sample_ids)
    ids_out = [salted(salt, sample) for sample in sorted(gone)]
    proofs = [
        *([prove(trees["before"], ids_out, "present")] if ids_out else []),
        *([prove(trees["after"], ids, "absent")] if ids else []),
    ]
    at = read_now()
    sides = {side: {"data_version": versions[side], "merkle_root": trees[side].root} for side in versions}
    receipt = build_receipt({
        "at": at, "recipe": folder.recipe.name, "tombstone_id": tombstone_id, "selector": planned.selector._asdict(),
        "before": {**sides["before"], "checkpoint": planned.checkpoint_before},
        "after": {**sides["after"], "checkpoint": planned.checkpoint_after, "is_from_scratch": planned.is_exact},
        "erased": {"n_seeds": planned.leaving.seeds.height, "n_generations": len(ids), "ids": ids, "ids_out": ids_out,
                   "n_rows_out": len(planned.out), "n_rows_in": len(planned.coming), "n_promoted": len(planned.promoted)},
        "texts": scrubbed.as_data(), "checkpoints_that_carry_it": [taint.name for taint in planned.taints], "proofs": proofs,
        "chain": {"seq": ledger.head().seq, "head": ledger.head().hash},
    })  # fmt: skip
    text = json.dumps(receipt, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    facts = {"tombstone_id": tombstone_id, "receipt_sha256": hashlib.sha256(text.encode()).hexdigest(), **sides}
    ledger.append("erasure", folder.recipe.name, at, facts, {})
    file = ledger.root / RECEIPTS / f"{tombstone_id[:12]}-{facts['receipt_sha256'][:12]}.json"
    write_text(file, text)
    return receipt, file


def _version_of(planned: Plan) -> str:
    from distill_assets.tables import hash_frame

    return hash_frame(TRAINING_DATASET, planned.before)


def _salted_hex(connection: Any, identifier: str) -> str:
    return fetch(connection, "select salted(?) as id", [identifier])[0]["id"]


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
    if receipt["checkpoints_that_carry_it"]:
        lines.append(f"carried by  {', '.join(receipt['checkpoints_that_carry_it'])}")
    return "\n".join(lines)
