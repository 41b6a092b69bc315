"""`distill lineage export`, as a person calls it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from distill_assets.lineage.export.registry import FORMATS
from tests.commands.lineage.conftest import World

Ask = Callable[..., Result]
pytestmark = pytest.mark.timeout(300)  # the first test waits for the recipe to run


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_is_written_beside_the_weights_and_verifies_after_it(world: World, lineage: Ask, form: str) -> None:
    result = lineage("export", "--format", form)
    assert result.exit_code == 0, result.output
    assert (world.weights / FORMATS[form].file_name).stat().st_size > 0
    assert lineage("verify").exit_code == 0


def test_out_names_a_file_or_a_folder(world: World, lineage: Ask) -> None:
    assert lineage("export", "--format", "cyclonedx", "--out", "mine.json").exit_code == 0
    assert json.loads(Path("mine.json").read_text())["bomFormat"] == "CycloneDX"
    Path("folder").mkdir()
    assert lineage("export", "--format", "flow", "--out", "folder").exit_code == 0
    assert Path("folder/flow.svg").read_text().startswith("<svg")


def test_what_goes_out_is_the_sealed_lineage_and_without_the_folder_the_ledgers(world: World, lineage: Ask) -> None:
    assert lineage("export", "--format", "cyclonedx", "--out", "sealed.json").exit_code == 0
    shutil.rmtree(world.weights)
    result = lineage("export", "--format", "cyclonedx")
    assert result.exit_code == 0 and "what the ledger says" in result.output
    sealed, told = (json.loads(Path(name).read_text()) for name in ("sealed.json", "bom.cdx.json"))
    assert sealed["metadata"]["component"]["name"] == told["metadata"]["component"]["name"]


def test_a_pack_verifies_by_itself_and_a_changed_one_does_not(world: World, lineage: Ask) -> None:
    assert lineage("export", "--format", "pack").exit_code == 0
    pack = Path(f"{world.checkpoint.facts['checkpoint']}.zip")
    shutil.rmtree(world.home)
    assert lineage("verify", str(pack)).exit_code == 0
    raw = bytearray(pack.read_bytes())
    raw[len(raw) // 2] ^= 1
    pack.write_bytes(raw)
    assert lineage("verify", str(pack)).exit_code == 1


def test_a_signature_holds_until_a_file_changes(world: World, lineage: Ask, tmp_path: Path) -> None:
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    make_keys(key, public)
    assert lineage("export", "--format", "signature", "--private-key", str(key)).exit_code == 0
    check = ("verify", str(world.weights), "--public-key", str(public))
    assert lineage(*check).exit_code == 0
    (world.weights / "README.md").write_text("another card")
    assert lineage(*check).exit_code == 1


def make_keys(key: Path, public: Path) -> None:
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--format", "pdf"), 1, "croissant"),
        (("--format", "signature"), 2, "--private-key"),
        (("--format", "hf", "--private-key", "k.pem"), 2, "signature"),
        (("zzzz", "--format", "hf"), 1, "no checkpoint is called"),
        (("--format", "hf", "--out", "/proc/no/such"), 1, "cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_said_and_nothing_is_written(
    world: World, lineage: Ask, words: tuple[str, ...], code: int, said: str
) -> None:
    result = lineage("export", *words)
    assert result.exit_code == code and said in result.output
    assert list(Path().iterdir()) == []


def test_list_names_every_format(lineage: Ask) -> None:
    told = lineage("export", "--format", "list").output
    assert all(name in told for name in [*FORMATS, "pack", "signature"])
