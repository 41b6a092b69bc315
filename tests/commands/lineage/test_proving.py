"""`distill lineage rebuild --prove`: the same rows and weights again, and every way in which they can not be."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result

from distill_assets.commands.lineage.proving import refuse_connections
from distill_assets.commands.lineage.retraining import compare_weights
from distill_assets.errors import LineageError
from distill_assets.identity import hash_file
from distill_assets.train.checkpoint import write_manifest
from tests.commands.lineage.conftest import World

Ask = Callable[..., Result]
pytestmark = pytest.mark.timeout(300)  # the first test waits for the recipe to run


def prove(world: World, lineage: Ask, *words: str, code: int) -> dict:
    checkpoint = world.checkpoint.facts["checkpoint"]
    result = lineage("rebuild", "--prove", checkpoint[:12], "--recipe", str(world.folder.path), "--json", *words)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def list_files(home: Path) -> dict[str, str]:
    return {str(file.relative_to(home)): hash_file(file) if file.is_file() else "folder" for file in sorted(home.rglob("*"))}


def flip_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


def rewrite_manifest(folder: Path) -> None:
    facts = json.loads((folder / "manifest.json").read_text())
    for file in ("manifest.json", "lineage.json", "audit.html", "README.md"):
        (folder / file).unlink()
    write_manifest(folder, {name: value for name, value in facts.items() if name not in ("files", "weights_sha256")})


@pytest.mark.slow
def test_rows_and_weights_come_out_the_same_and_the_workspace_stays_as_it_was(world: World, lineage: Ask) -> None:
    before = list_files(world.home)
    found = prove(world, lineage, code=0)
    assert found["verdict"] == "reproduced" and found["drifts"] == []
    assert found["weights"]["weights_sha256"] == hash_file(world.weights / "model.safetensors")
    assert found["weights"]["n_files_same"] == found["weights"]["n_files"] > 1
    assert found["dataset"]["merkle_root"] == world.checkpoint.facts["merkle_root"]
    assert list_files(world.home) == before


def test_a_flipped_bit_of_the_weights_names_the_tensor_whichever_side_has_it(world: World, tmp_path: Path) -> None:
    good, event = Path(shutil.copytree(world.weights, tmp_path / "good")), world.checkpoint
    assert compare_weights(event, good, world.weights)[1] == []
    flip_weights(world.weights)
    _, [drift] = compare_weights(event, good, world.weights)
    assert drift["where"] == "weights" and "the workspace's own file is another one" in drift["words"]
    assert "the first of 1 differing tensors" in drift["words"]


def test_other_weights_from_the_same_rows_are_a_drift_even_when_the_workspaces_folder_is_gone(world: World, tmp_path: Path) -> None:
    other = Path(shutil.copytree(world.weights, tmp_path / "other"))
    flip_weights(other)
    rewrite_manifest(other)
    found, drifts = compare_weights(world.checkpoint, other, world.weights)
    assert not found["is_same"] and "the first of 1 differing tensors" in drifts[0]["words"]
    shutil.rmtree(world.weights)
    assert [drift["where"] for drift in compare_weights(world.checkpoint, other, world.weights)[1]] == ["weights"]


def test_a_changed_generation_names_its_row_and_nothing_is_trained(world: World, lineage: Ask) -> None:
    file = world.table("raw_generations")
    rows, kept = pl.read_parquet(file), pl.read_parquet(world.table("training_dataset"))["sample_id"][3]
    is_it = pl.col("generation_id") == kept
    rows.with_columns(completion=pl.when(is_it).then(pl.lit("SELECT 42")).otherwise("completion")).write_parquet(file)
    before = list_files(world.home)
    found = prove(world, lineage, code=3)
    assert found["first_difference"]["row"] == kept and found["first_difference"]["column"] == "sql"
    assert found["weights"] is None and found["dataset"]["first_row"] == kept
    assert "raw_generations" in {drift["where"] for drift in found["drifts"]}
    assert list_files(world.home) == before


def test_a_changed_verdict_is_named_though_the_generations_are_as_they_were(world: World, lineage: Ask) -> None:
    file = world.table("verdicts")
    kept = pl.read_parquet(world.table("training_dataset"))["sample_id"][0]
    is_it = (pl.col("generation_id") == kept) & pl.col("is_decisive")
    rows = pl.read_parquet(file)
    rows.with_columns(verdict_status=pl.when(is_it).then(pl.lit("failed")).otherwise("verdict_status")).write_parquet(file)
    found = prove(world, lineage, "--dataset-only", code=3)
    assert found["first_difference"]["row"] == kept
    assert found["dataset"]["n_rows_missing"] >= 1


def test_erased_generations_are_told_as_such(world: World, lineage: Ask) -> None:
    world.table("raw_generations").unlink()
    found = prove(world, lineage, "--dataset-only", code=3)
    assert "is gone" in found["first_difference"]["words"] and "raw_generations" in found["first_difference"]["words"]


def test_the_ledger_knows_the_rows_when_the_datasets_own_file_is_gone(world: World, lineage: Ask) -> None:
    world.table("training_dataset").unlink()
    assert prove(world, lineage, "--dataset-only", code=0)["verdict"] == "dataset reproduced"


def test_another_recipe_is_told_as_a_circumstance_with_what_it_changed(world: World, lineage: Ask, tmp_path: Path) -> None:
    folder = shutil.copytree(world.folder.path, tmp_path / "other")
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text + "curate: {max_samples: 20}\n")
    result = lineage("rebuild", "--prove", world.checkpoint.facts["checkpoint"], "--recipe", str(folder), "--dataset-only")
    assert result.exit_code == 3
    assert "training_dataset: row" in result.stdout and "recipe:" in result.stdout


def test_a_checkpoint_of_another_recipe_is_refused(world: World, lineage: Ask) -> None:
    result = lineage("rebuild", "--prove", world.checkpoint.facts["checkpoint"][:8])
    assert result.exit_code == 1 and "--recipe" in result.output


def test_no_connection_leaves_while_something_is_proved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with refuse_connections(), pytest.raises(LineageError, match="asks nobody"):
            socket.create_connection(server.getsockname())
        socket.create_connection(server.getsockname()).close()
