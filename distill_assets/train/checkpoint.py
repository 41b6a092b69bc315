"""A folder of files that is there whole or not at all, and known to be whole.

Belongs here: manifests, atomic publishing, verifying, and finding the newest trainer state that is
whole. Does not belong here: what the files mean.

safetensors does not notice a flipped bit in tensor data and a trainer killed while saving leaves a
folder that looks like a checkpoint, so every folder carries `manifest.json`, written last, with each
file's SHA-256 and size. A folder without one that matches is not a checkpoint.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distill_assets.errors import CheckpointError, name_culprits
from distill_assets.identity import hash_file

MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "model.safetensors"
_STATE_NAME = re.compile(r"^checkpoint-(\d+)$")


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Sync every file of `folder` to disk, then write the manifest over them, and return it."""
    files = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_FILE):
        _sync(file)
        files[file.relative_to(folder).as_posix()] = {"sha256": hash_file(file), "bytes": file.stat().st_size}
    manifest = {**facts, "files": files}
    if WEIGHTS_FILE in files:
        manifest["weights_sha256"] = files[WEIGHTS_FILE]["sha256"]
    temporary = folder / f"{MANIFEST_FILE}.tmp"
    temporary.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    _sync(temporary)
    temporary.rename(folder / MANIFEST_FILE)
    _sync(folder)
    return manifest


def publish_folder(target: Path, fill: Callable[[Path], None], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Let `fill` write a folder beside `target`, then make it appear there in one step.

    Leftovers of killed attempts on the same target are removed. A target that is there already and
    verifies is kept; a damaged one is moved aside to `damaged-<n>-<target>`.

    Returns:
        The manifest of what is at `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    if target.exists():
        try:
            return verify_checkpoint(target)
        except CheckpointError:
            move_aside(target)
    temporary = target.parent / f".{target.name}.{os.getpid()}.tmp"
    temporary.mkdir()
    fill(temporary)
    manifest = write_manifest(temporary, facts)
    temporary.rename(target)
    _sync(target.parent)
    return manifest


def verify_checkpoint(folder: Path) -> dict[str, Any]:
    """Return the manifest of `folder` when every file in it matches.

    Raises:
        CheckpointError: no manifest, or a file is missing, changed or of another size.
    """
    file = folder / MANIFEST_FILE
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        wrong = [name for name, entry in sorted(manifest["files"].items()) if not _matches(folder / name, entry)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"checkpoint {folder}: {MANIFEST_FILE} cannot be read ({error}). {_ADVICE}") from error
    if wrong:
        raise CheckpointError(f"checkpoint {folder}: {name_culprits(wrong)} not as in {MANIFEST_FILE}. {_ADVICE}")
    return manifest


_ADVICE = "Nothing was changed. Move the folder away and materialize student_checkpoint again, or restore it from a copy."


def find_last_good(work_dir: Path, say: Callable[[str], None], needs: tuple[str, ...] = ()) -> Path | None:
    """Return the newest trainer state under `work_dir` that verifies; move damaged ones aside and say so.

    Args:
        needs: files without which a state cannot be resumed from; one that an older version saved may lack them.
    """
    if not work_dir.exists():
        return None
    states = [(int(match[1]), path) for path in work_dir.iterdir() if (match := _STATE_NAME.match(path.name))]
    for step, path in sorted(states, reverse=True):
        try:
            missing = set(needs) - verify_checkpoint(path)["files"].keys()
            if missing:
                raise CheckpointError(f"checkpoint {path}: {name_culprits(sorted(missing))} is not in it")
        except CheckpointError as error:
            aside = move_aside(path)
            say(f"the state of step {step} cannot be resumed from and was moved to {aside.name}: {error}")
        else:
            return path
    return None


def move_aside(path: Path) -> Path:
    """Rename `path` to the first free `damaged-<n>-<name>`, a name that no rotation of states takes for a state."""
    n = 1
    while (aside := path.with_name(f"damaged-{n}-{path.name}")).exists():
        n += 1
    path.rename(aside)
    return aside


def _matches(file: Path, entry: Mapping[str, Any]) -> bool:
    return file.is_file() and file.stat().st_size == entry["bytes"] and hash_file(file) == entry["sha256"]


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
