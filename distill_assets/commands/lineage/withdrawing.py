"""`distill lineage withdraw`: a tombstone, and every checkpoint asked anew.

Belongs here: writing tombstones and running the audit. Does not belong here: rebuilding without what was withdrawn (erasing).
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from distill_assets.checkpoints import build_audit_job
from distill_assets.commands.instance import open_instance
from distill_assets.commands.lineage.audit import open_own
from distill_assets.commands.lineage.selecting import check_known, read_selector
from distill_assets.config import RecipeFolder
from distill_assets.errors import LineageError
from distill_assets.lineage.audits.query import list_checkpoints
from distill_assets.lineage.audits.taint import Taint, find_taint
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.tombstones import Selector, list_tombstones, name_tombstone
from distill_assets.lineage.withdrawals import write_watched
from distill_assets.recording import read_now
from distill_assets.storage import Workspace

MAX_REASON_CHARS = 500


def withdraw_selector(
    folder: RecipeFolder, options: Mapping[str, Any], reason: str | None, by: str | None, say: Callable[[str], None]
) -> str:
    """Write a tombstone, ask every checkpoint's checks anew, and say what is touched."""
    workspace, ledger = open_own()
    selector = read_selector(options, ledger, workspace, folder.recipe)
    with ledger.connect() as connection:
        check_known(selector, connection)
        taints = find_taint(connection, ledger.events(), selector)
    tombstone_id = bury(ledger, selector, reason, by)
    failed = run_audits(workspace, ledger, open_instance())
    lines = [
        f"withdrawn: {selector}   tombstone {tombstone_id[:12]}",
        f"touches {len(taints)} checkpoints" + (f": {', '.join(taint.name for taint in taints)}" if taints else ""),
        *(f"its checks could not be asked anew: {words}" for words in failed),
        _advise(selector),
    ]
    return "\n".join(lines)


def _advise(selector: Selector) -> str:
    if selector.kind == "benchmark":
        return "figures on it are void; name a version that did not leak in recipe.yaml, then: distill run"
    if selector.kind == "judge":
        return "name another judge in recipe.yaml, then: distill run"
    return f"rebuild without it, with proof: distill lineage erase --{selector.kind} … --execute; or: distill run"


def bury(ledger: Ledger, selector: Selector, reason: str | None, by: str | None) -> str:
    """Write a tombstone, unless one of the same is in force; return its id.

    Raises:
        LineageError: without a reason, or with one that is too long.
    """
    text = " ".join((reason or "").split())
    if not text or len(text) > MAX_REASON_CHARS:
        raise LineageError(
            f"a withdrawal needs a reason of 1 to {MAX_REASON_CHARS} characters, got {len(text)}. Nothing was withdrawn. Add: --reason '…'"
        )
    tombstone_id = name_tombstone(selector)
    if all(tombstone.id != tombstone_id for tombstone in list_tombstones(ledger.events())):
        facts = {"tombstone_id": tombstone_id, "selector": selector._asdict(), "reason": text, "by": by or getpass.getuser()}
        ledger.append("tombstone", None, read_now(), facts, {})
    write_watched(ledger.root)
    return tombstone_id


def lift_tombstone(beginning: str, reason: str | None, by: str | None) -> str:
    """Take a withdrawal back; that it was made stays on record.

    Raises:
        LineageError: no tombstone in force, or several, have an id that begins so.
    """
    workspace, ledger = open_own()
    found = [tombstone for tombstone in list_tombstones(ledger.events()) if tombstone.id.startswith(beginning)]
    if len(found) != 1:
        known = ", ".join(t.id[:12] for t in list_tombstones(ledger.events())) or "none"
        raise LineageError(f"{len(found)} tombstones in force begin with {beginning!r}. Nothing was lifted. Known: {known}")
    facts = {
        "tombstone_id": found[0].id,
        "reason": " ".join((reason or "").split())[:MAX_REASON_CHARS],
        "by": by or getpass.getuser(),
    }
    ledger.append("tombstone_lifted", None, read_now(), facts, {})
    write_watched(ledger.root)
    run_audits(workspace, ledger, open_instance())
    return f"lifted: {found[0].selector}; what was erased stays erased, and is asked for again: distill run"


def run_audits(workspace: Workspace, ledger: Ledger, instance: dg.DagsterInstance) -> list[str]:
    """Ask the lineage checks of every checkpoint anew, one Dagster run a recipe; return what failed, in words."""
    failed = []
    for recipe in sorted({str(event.recipe) for event in list_checkpoints(ledger.events())}):
        result = build_audit_job(recipe).execute_in_process(
            instance=instance, resources={"workspace": workspace}, raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
        failed += [f"{recipe}: {event.message}" for event in result.all_events if event.is_step_failure]
    return failed


def list_touched(ledger: Ledger, selector: Selector) -> list[Taint]:
    """The checkpoints that a selector touches."""
    with ledger.connect() as connection:
        return find_taint(connection, ledger.events(), selector)
