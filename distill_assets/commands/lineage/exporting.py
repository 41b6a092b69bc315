"""`distill lineage export`: a checkpoint's lineage as a file in another format.

Belongs here: which lineage goes out and where it is written. Does not belong here: the formats (lineage/export, packs).

What goes out is the lineage that was sealed beside the weights. Where the folder is gone, it is put together from the ledger, which
has all of it but the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from distill_assets.commands.lineage.audit import open_own
from distill_assets.errors import LineageError
from distill_assets.lineage.audits.query import find_checkpoint
from distill_assets.lineage.export.registry import FORMATS, export_manifest
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.manifest import build_manifest
from distill_assets.lineage.packs import write_pack
from distill_assets.lineage.seal import read_manifest
from distill_assets.lineage.standing import checkpoint_folder
from distill_assets.storage import write_bytes

PACK, SIGNATURE, LIST = "pack", "signature", "list"
OWN = {
    PACK: "a zip of the records that verifies offline; no salt and no text is in it",
    SIGNATURE: "lineage.sig beside the weights: every file, signed with --private-key (extra sign)",
}


def export_checkpoint(checkpoint: str | None, form: str, out: Path | None, private_key: Path | None) -> str:
    """Write a checkpoint's lineage and say where.

    Args:
        form: a format of lineage/export, `pack`, `signature`, or `list` to name them all. out: file, or folder for a file of the
            format's own name. Default: beside the weights; a pack in the current folder.

    Raises:
        LineageError: no such format or checkpoint, or what the format needs is gone; nothing was written.
        StorageError: the file cannot be written.
    """
    if form == LIST:
        return _list_formats()
    if form not in FORMATS and form not in OWN:
        raise LineageError(f"format {form[:80]!r} is not one of {', '.join(sorted([*FORMATS, *OWN]))}. Nothing was exported.")
    if private_key is not None and form != SIGNATURE:
        raise click.UsageError("--private-key is for --format signature")
    workspace, ledger = open_own()
    event = find_checkpoint(ledger.events(), checkpoint)
    own = event.facts["checkpoint"]
    folder = checkpoint_folder(workspace, str(event.recipe), own)
    if form == SIGNATURE:
        return _sign(folder, out, private_key)
    if form == PACK:
        target = write_pack(folder, ledger, _place(out, Path.cwd(), f"{own}.zip"))
        return f"{target}: check it anywhere, with nothing else: distill lineage verify {target.name}"
    return _write_format(ledger, folder, own, form, out)


def _list_formats() -> str:
    meanings = {**{name: found.meaning for name, found in FORMATS.items()}, **OWN}
    width = max(len(name) for name in meanings)
    return "\n".join(f"{name:<{width}}  {meanings[name]}" for name in sorted(meanings))


def _sign(folder: Path, out: Path | None, private_key: Path | None) -> str:
    from distill_assets.lineage.export.signature import sign_checkpoint

    if private_key is None:
        raise click.UsageError("--format signature needs --private-key")
    if out is not None:
        raise click.UsageError("a signature lies beside what it signs; leave --out away")
    target = sign_checkpoint(folder, private_key)
    return f"{target}: it covers every file that lies there now; check it: distill lineage verify {folder} --public-key KEY.pem"


def _write_format(ledger: Ledger, folder: Path, checkpoint_id: str, form: str, out: Path | None) -> str:
    manifest, origin = _find_manifest(ledger, folder, checkpoint_id)
    name, data = export_manifest(manifest, form)
    target = _place(out, folder if folder.is_dir() else Path.cwd(), name)
    write_bytes(target, data)
    return f"{target}: {FORMATS[form].meaning}{origin}"


def _find_manifest(ledger: Ledger, folder: Path, checkpoint_id: str) -> tuple[Mapping[str, Any], str]:
    """The sealed lineage; without one, the ledger's, and words that say so."""
    if (sealed := read_manifest(folder)) is not None:
        return sealed, ""
    events = ledger.events()
    with ledger.connect() as connection:
        manifest = build_manifest(connection, events, find_checkpoint(events, checkpoint_id))
    return manifest, f" (no lineage.json lies in {folder}; this is what the ledger says)"


def _place(out: Path | None, default: Path, name: str) -> Path:
    if out is None:
        return default / name
    return out / name if out.is_dir() else out
