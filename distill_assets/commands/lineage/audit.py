"""Audits of this workspace's ledger: opening it, asking, and what the files beside the weights say to it.

Belongs here: putting questions and workspace together. Does not belong here: the questions (lineage/audits) or wording (showing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill_assets.commands.lineage.selecting import check_known, read_selector
from distill_assets.config import RecipeFolder, home_folder
from distill_assets.errors import LineageError, name_culprits
from distill_assets.lineage.audits.diff import compare_checkpoints
from distill_assets.lineage.audits.query import find_checkpoint
from distill_assets.lineage.audits.taint import Taint, find_taint, find_tainted_teachers
from distill_assets.lineage.chain import Event
from distill_assets.lineage.findings import Answer
from distill_assets.lineage.kinds import EVENTS
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.manifest import build_manifest
from distill_assets.lineage.standing import checkpoint_folder, find_standing
from distill_assets.lineage.tombstones import Selector
from distill_assets.lineage.withdrawals import LEDGER_FOLDER
from distill_assets.storage import Workspace


def open_own() -> tuple[Workspace, Ledger]:
    """This workspace and its ledger.

    Raises:
        LineageError: nothing was recorded yet, or the chain is broken.
    """
    workspace = Workspace(home_folder())
    return workspace, Ledger.open(workspace.root / LEDGER_FOLDER)


def audit_checkpoint(named: str | None) -> tuple[dict[str, Any], list[Answer], str]:
    """A checkpoint's lineage as the ledger tells it now, the answers to its checks, and its files in words."""
    workspace, ledger = open_own()
    checkpoint = find_checkpoint(ledger.events(), named)
    own = checkpoint.facts["checkpoint"]
    manifest, answers = find_standing(workspace, str(checkpoint.recipe), own)
    is_well = next(answer.passed for answer in answers if answer.name == "manifest_matches_ledger")
    folder = checkpoint_folder(workspace, str(checkpoint.recipe), own)
    files = f"files {len(manifest['checkpoint']['files'])} {'✓' if is_well else '✗'}" if folder.is_dir() else "files gone"
    return manifest, answers, files


def audit_taint(folder: RecipeFolder, options: Mapping[str, Any]) -> tuple[Selector, list[Taint], list[dict[str, Any]]]:
    """What a withdrawal would touch."""
    workspace, ledger = open_own()
    events = ledger.events()
    selector = read_selector(options, ledger, workspace, folder.recipe)
    with ledger.connect() as connection:
        check_known(selector, connection)
        taints = find_taint(connection, events, selector)
        return selector, taints, find_tainted_teachers(connection, events, [taint.checkpoint for taint in taints])


def audit_diff(first: str, second: str | None) -> dict[str, Any]:
    """What changed between two checkpoints."""
    _, ledger = open_own()
    events = ledger.events()
    with ledger.connect() as connection:
        sides = [build_manifest(connection, events, find_checkpoint(events, named)) for named in (first, second)]
        return compare_checkpoints(connection, *sides)


def list_events(recipe: str | None, kind: str | None, n: int | None) -> list[Event]:
    """Events of the chain, oldest first.

    Raises:
        LineageError: there is no such kind, or no event of the recipe: a typing error must not look like nothing to tell.
    """
    if kind is not None and kind not in EVENTS:
        raise LineageError(f"{kind!r} is no kind of event. Nothing was read. Use one of {', '.join(sorted(EVENTS))}.")
    events = open_own()[1].events()
    known = {event.recipe for event in events if event.recipe}
    if recipe is not None and recipe not in known:
        raise LineageError(f"the ledger has no event of recipe {recipe!r}. Known: {name_culprits(sorted(known)) or 'none'}")
    found = [event for event in events if recipe in (None, event.recipe) and kind in (None, event.kind)]
    return found[-n:] if n else found
