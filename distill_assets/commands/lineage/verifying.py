"""`distill lineage verify`: whether what is there is what was written.

Belongs here: what is checked for which target. Does not belong here: the checks (lineage/verify, packs).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from distill_assets.commands.instance import list_remembered
from distill_assets.commands.lineage.audit import open_own
from distill_assets.config import home_folder
from distill_assets.errors import LineageError
from distill_assets.lineage.audits.query import list_checkpoints
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.packs import verify_pack
from distill_assets.lineage.receipts import verify_receipt
from distill_assets.lineage.seal import MANIFEST, read_manifest
from distill_assets.lineage.standing import checkpoint_folder
from distill_assets.lineage.verify import Finding, verify_checkpoint_folder, verify_ledger
from distill_assets.lineage.withdrawals import LEDGER_FOLDER
from distill_assets.storage import Workspace


def verify_target(target: Path | None, public_key: Path | None) -> tuple[list[Finding], str]:
    """Check the workspace, or one folder, pack or receipt; return what was found and a summary.

    Raises:
        LineageError: there is nothing of that name.
    """
    if target is None:
        return _verify_workspace(Workspace(home_folder()))
    if target.suffix == ".zip" and target.is_file():
        return _sum_up(verify_pack(target), f"pack {target.name}")
    if target.suffix == ".json" and target.is_file() and target.name != MANIFEST:
        return _sum_up(verify_receipt(_read_json(target)), f"receipt {target.name}")
    folder = target.parent if target.name == MANIFEST else target
    if folder.is_dir():
        signed = [] if public_key is None else _check_signature(folder, public_key)
        return _sum_up([*verify_checkpoint_folder(folder, _find_ledger()), *signed], f"checkpoint {folder.name}")
    raise LineageError(f"{target} is neither a checkpoint's folder nor a pack (.zip) nor a receipt (.json). Nothing was checked.")


def _verify_workspace(workspace: Workspace) -> tuple[list[Finding], str]:
    root = workspace.root / LEDGER_FOLDER
    found = verify_ledger(root, heads=list(_list_heads(workspace)))
    try:
        ledger = Ledger.open(root)
    except LineageError as error:
        if not any(finding.level == "error" for finding in found):
            found.append(Finding("error", LEDGER_FOLDER, str(error)))
        return _sum_up(found, "ledger")
    n = 0
    for event in list_checkpoints(ledger.events()):
        folder = checkpoint_folder(workspace, event.recipe, event.facts["checkpoint"])
        if not folder.is_dir():
            found.append(Finding("note", folder.name, "its folder is gone; the ledger still tells its lineage"))
            continue
        n += 1
        found += [finding._replace(where=f"{folder.name}/{finding.where}") for finding in verify_checkpoint_folder(folder, ledger)]
    return _sum_up(found, f"ledger of {len(ledger.events())} events, {n} checkpoints")


def _list_heads(workspace: Workspace) -> Iterator[tuple[int, str]]:
    """Places in the chain that lineages and Dagster remember: a chain that lost its end does not hold them."""
    yield from list_remembered()
    for file in sorted((workspace.root / "checkpoints").glob(f"*/*/{MANIFEST}")):
        try:
            ledger = (read_manifest(file.parent) or {}).get("ledger", {})
            yield int(ledger["seq"]), str(ledger["head"])
        except (LineageError, KeyError, TypeError, ValueError):
            continue  # checking the folder says what is wrong with it


def _find_ledger() -> Ledger | None:
    try:
        return open_own()[1]
    except LineageError:
        return None


def _check_signature(folder: Path, public_key: Path) -> list[Finding]:
    from distill_assets.lineage.export.signature import verify_signature

    try:
        verify_signature(folder, public_key)
    except LineageError as error:
        return [Finding("error", "signature", str(error))]
    return []


def _read_json(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise LineageError(f"{file} cannot be read: {error}. Nothing was checked.") from error


def _sum_up(found: list[Finding], what: str) -> tuple[list[Finding], str]:
    n = sum(finding.level == "error" for finding in found)
    return found, f"{what}: {'all as it was written' if not n else f'{n} problems'}"
