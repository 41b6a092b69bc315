"""What holds of a checkpoint today: the lineage checks, answered by a workspace's ledger and files.

Belongs here: putting the questions (findings) to one checkpoint. Does not belong here: showing the answers in Dagster (checkpoints),
which a command must not load to ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.errors import LineageError
from distill_assets.lineage.audits.query import list_checkpoints
from distill_assets.lineage.audits.taint import find_taint
from distill_assets.lineage.chain import Event
from distill_assets.lineage.findings import Answer, judge_checkpoint
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.manifest import build_manifest
from distill_assets.lineage.seal import read_manifest
from distill_assets.lineage.tombstones import list_tombstones
from distill_assets.lineage.verify import verify_checkpoint_folder
from distill_assets.lineage.withdrawals import LEDGER_FOLDER
from distill_assets.storage import Workspace


def checkpoint_folder(workspace: Workspace, recipe: str, checkpoint_id: str) -> Path:
    """Where a checkpoint's weights lie."""
    return workspace.folder("checkpoints", recipe) / checkpoint_id


class Standing(NamedTuple):
    """A checkpoint's lineage as the ledger tells it now, and the answers to its checks."""

    manifest: dict[str, Any]
    answers: list[Answer]


def answer_checks(workspace: Workspace, recipe: str, checkpoint_id: str) -> list[Answer]:
    """The answers of `find_standing` alone."""
    return find_standing(workspace, recipe, checkpoint_id).answers


def find_standing(workspace: Workspace, recipe: str, checkpoint_id: str) -> Standing:
    """Ask the lineage checks of one checkpoint, by the ledger as it is now.

    Raises:
        LineageError: there is no ledger, or its chain is broken.
    """
    ledger = Ledger.open(workspace.root / LEDGER_FOLDER)
    events = ledger.events()
    [checkpoint] = [e for e in list_checkpoints(events, recipe) if e.facts["checkpoint"] == checkpoint_id]
    with ledger.connect() as connection:
        manifest = build_manifest(connection, events, checkpoint)
        reached = _list_reaching(connection, events, checkpoint_id)
    folder = checkpoint_folder(workspace, recipe, checkpoint_id)
    problems = [f"{found.where}: {found.words}" for found in verify_checkpoint_folder(folder, ledger) if found.level == "error"]
    try:
        sealed = read_manifest(folder)
    except LineageError as error:
        sealed, problems = manifest, [str(error), *problems]
    return Standing(manifest, judge_checkpoint(manifest, sealed, reached, problems))


def _list_reaching(connection: Any, events: Sequence[Event], checkpoint_id: str) -> list[str]:
    """Withdrawals that touch a checkpoint through other ones, in words."""
    return [
        f"{tombstone.selector.kind} {tombstone.selector.value[:40]} reaches it: {taint.how} {taint.through}"
        for tombstone in list_tombstones(events)
        for taint in find_taint(connection, events, tombstone.selector)
        if taint.checkpoint == checkpoint_id and taint.through
    ]
