"""Sealing a checkpoint: its lineage.json, audit page and card, beside the weights.

Belongs here: the order in which they are written, and the event that holds the manifest's digest. Does not belong here: what stands in
them (manifest, page, cards).

`lineage.json` is written last and in one step, after the ledger knows its digest: a folder without one that matches was not sealed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from distill_assets.errors import LineageError
from distill_assets.lineage.audits.query import find_checkpoint
from distill_assets.lineage.cards import render_model_card
from distill_assets.lineage.chain import Event
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.manifest import MANIFEST, build_manifest, render
from distill_assets.storage import write_text

PAGE, CARD = "audit.html", "README.md"
_HOW = "move it away and run the job audit_<recipe>, which writes it anew"


def seal_checkpoint(ledger: Ledger, folder: Path, checkpoint_id: str, at: str, dagster: Mapping[str, Any]) -> dict[str, Any]:
    """Write a checkpoint's lineage as it stands now, and return it; what did not change is not written again.

    Args:
        folder: the checkpoint's, with its weights. at: time of day for the event.

    Raises:
        LineageError: the lineage that is there is none that the ledger recorded; it stays as the trace of who changed it.
    """
    from distill_assets.lineage.page import render_page  # its templates are no part of a question's time

    events = ledger.events()
    checkpoint = find_checkpoint(events, checkpoint_id)
    if is_foreign(events, folder, checkpoint_id):
        raise LineageError(f"{folder / MANIFEST} is not as it was written. It was not replaced. Keep it, {_HOW}.")
    with ledger.connect() as connection:
        manifest = build_manifest(connection, events, checkpoint)
    if (sealed := read_manifest(folder)) is not None and _same(sealed, manifest) and _is_recorded(events, sealed, folder):
        return sealed
    text = render(manifest)
    write_text(folder / PAGE, render_page(manifest))
    write_text(folder / CARD, render_model_card(manifest))
    facts = {"checkpoint": checkpoint_id, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    ledger.append("manifest", checkpoint.recipe, at, facts, dagster)
    write_text(folder / MANIFEST, text)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The lineage beside a checkpoint's weights; None when it was not sealed.

    Raises:
        LineageError: it cannot be read.
    """
    file = folder / MANIFEST
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise LineageError(f"{file} cannot be read: {error}. Nothing was changed. Restore it from a copy, or {_HOW}.") from error
    if not isinstance(found, dict):
        raise LineageError(f"{file} is no lineage: expected an object, got {type(found).__name__}. Move it away and seal again.")
    return found


def is_foreign(events: Iterable[Event], folder: Path, checkpoint_id: str) -> bool:
    """Whether there is a lineage.json beside the weights that the chain never recorded; each is recorded before it is written."""
    try:
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return False
    return all(event.facts["sha256"] != digest for event in _list_seals(events, checkpoint_id))


def _list_seals(events: Iterable[Event], checkpoint_id: str) -> list[Event]:
    return [event for event in events if event.kind == "manifest" and event.facts.get("checkpoint") == checkpoint_id]


def _same(sealed: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Equal but for the place in the chain, which moves with every event."""
    return {**sealed, "ledger": None} == {**manifest, "ledger": None}


def _is_recorded(events: Iterable[Event], sealed: Mapping[str, Any], folder: Path) -> bool:
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    told = _list_seals(events, sealed["checkpoint"]["id"])
    return bool(told) and told[-1].facts["sha256"] == digest and (folder / PAGE).is_file() and (folder / CARD).is_file()
