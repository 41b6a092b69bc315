"""Signatures of a checkpoint's folder: what was changed, added, taken away or signed by another does not hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from distill_assets.errors import LineageError
from distill_assets.lineage.export.signature import FILE_NAME, sign_checkpoint, verify_signature
from distill_assets.lineage.page import render_page
from tests.lineage.example_manifest import build_manifest


def write_keys(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, info))
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return write_keys(tmp_path, "own")


@pytest.fixture
def signed(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    folder = tmp_path / "checkpoint"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"\x00" * 4096)
    (folder / "lineage.json").write_text('{"format": "distill-lineage/1"}')
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    (folder / ".gitignore").write_text("*.bin")
    assert sign_checkpoint(folder, keys[0]) == folder / FILE_NAME
    return folder


def test_what_was_signed_holds_and_may_be_signed_again(signed: Path, keys: tuple[Path, Path]) -> None:
    verify_signature(signed, keys[1])
    sign_checkpoint(signed, keys[0])
    verify_signature(signed, keys[1])


def test_a_folder_may_be_named_from_where_one_stands(
    signed: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(signed.parent)
    sign_checkpoint(Path("checkpoint"), keys[0])
    verify_signature(Path("checkpoint"), keys[1])
    monkeypatch.chdir(signed)
    verify_signature(Path(), keys[1])


@pytest.mark.parametrize("is_edited", [False, True])
def test_the_command_on_the_page_verifies_it_without_us(signed: Path, keys: tuple[Path, Path], is_edited: bool) -> None:
    (line,) = [line for line in render_page(build_manifest()).splitlines() if line.startswith("model_signing")]
    words = line.removesuffix("</pre>").replace("PUBLIC_KEY.pem", str(keys[1])).split()
    if is_edited:
        (signed / "lineage.json").write_text("{}")
    done = subprocess.run([Path(sys.executable).parent / words[0], *words[1:]], cwd=signed, capture_output=True, check=False)
    assert (done.returncode == 0) is not is_edited


CHANGES: dict[str, Callable[[Path], object]] = {
    "lineage edited": lambda folder: (folder / "lineage.json").write_text('{"format": "distill-lineage/1" }'),
    "a weight edited": lambda folder: (folder / "model.safetensors").write_bytes(b"\x00" * 4095 + b"\x01"),
    "a file added": lambda folder: (folder / "extra.py").write_text("x = 1"),
    "a file gone": lambda folder: (folder / "tokenizer" / "tokenizer.json").unlink(),
    "a git file edited": lambda folder: (folder / ".gitignore").write_text(""),
    "the signature emptied": lambda folder: (folder / FILE_NAME).write_text(""),
    "the signature cut": lambda folder: (folder / FILE_NAME).write_bytes((folder / FILE_NAME).read_bytes()[:-20]),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_what_was_changed_does_not_hold(signed: Path, keys: tuple[Path, Path], change: str) -> None:
    CHANGES[change](signed)
    with pytest.raises(LineageError, match="does not hold"):
        verify_signature(signed, keys[1])


def test_another_key_does_not_verify(signed: Path, tmp_path: Path) -> None:
    with pytest.raises(LineageError, match="does not hold"):
        verify_signature(signed, write_keys(tmp_path, "other")[1])


def test_a_key_that_is_none_signs_nothing(signed: Path, tmp_path: Path) -> None:
    before = (signed / FILE_NAME).read_bytes()
    bad = tmp_path / "bad.pem"
    bad.write_text("hello")
    with pytest.raises(LineageError, match="cannot be signed"):
        sign_checkpoint(signed, bad)
    assert (signed / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("missing", ["folder", "signature", "key"])
def test_what_is_not_there_is_named(signed: Path, keys: tuple[Path, Path], missing: str) -> None:
    key = keys[1]
    if missing == "signature":
        (signed / FILE_NAME).unlink()
    folder = signed / "none" if missing == "folder" else signed
    with pytest.raises(LineageError, match=f"no such .*{missing}"):
        verify_signature(folder, key / "none" if missing == "key" else key)


def test_a_missing_extra_is_told_with_its_remedy(signed: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(LineageError, match=r"pip install 'distill-assets\[sign\]'"):
        verify_signature(signed, keys[1])
