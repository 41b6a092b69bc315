"""Checkpoints in Dagster: the audit job asks again and again, the last answer is shown, and one bad file hides no other checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.event_api import PartitionKeyFilter

from distill_assets.checkpoints import CHECKPOINTS, answer_checks, build_audit_job, checkpoint_folder, name_partitions
from distill_assets.gates import asset_key
from distill_assets.identity import hash_file
from distill_assets.lineage.findings import CHECKS
from distill_assets.lineage.record import record_checkpoint
from distill_assets.lineage.tombstones import Selector
from distill_assets.storage import Workspace
from distill_assets.train.checkpoint import MANIFEST_FILE, WEIGHTS_FILE, write_manifest
from tests.lineage.small_world import RECIPE, Told, make_facts

A, B, C = "aaaaaaaaaaaa1111", "bbbbbbbbbbbb2222", "cccccccccccc3333"


class World:
    """A workspace with checkpoints that were never trained, and a Dagster instance of its own."""

    def __init__(self, root: Path) -> None:
        self.workspace, self.instance, self.told = Workspace(root), dg.DagsterInstance.ephemeral(), Told(root)
        self.told.seeds({"s1": ("seeds/a.jsonl", "CC-BY-4.0")})

    def train(self, checkpoint: str, teacher: str = "big") -> Path:
        told, folder = self.told, checkpoint_folder(self.workspace, RECIPE, checkpoint)
        told.generations([{"generation_id": f"{checkpoint} row", "teacher": teacher}])
        told.judge({f"{checkpoint} row": "accepted"})
        told.dataset(f"d {checkpoint}", [f"{checkpoint} row"])
        folder.mkdir(parents=True)
        (folder / WEIGHTS_FILE).write_bytes(checkpoint.encode())
        manifest, file = write_manifest(folder, {"recipe": RECIPE}), folder / MANIFEST_FILE
        own = {MANIFEST_FILE: {"sha256": hash_file(file), "bytes": file.stat().st_size}}
        facts = {
            **make_facts(checkpoint, None, {}),
            "weights_sha256": manifest["weights_sha256"],
            "files": {**manifest["files"], **own},
        }
        told.write(record_checkpoint(None, checkpoint, f"d {checkpoint}", facts))
        return folder

    def audit(self) -> dg.ExecuteInProcessResult:
        return build_audit_job(RECIPE).execute_in_process(
            instance=self.instance, resources={"workspace": self.workspace}, raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )  # fmt: skip

    def history(self, check: str, checkpoint: str) -> list[bool]:
        """What Dagster has of a check of one checkpoint, newest first."""
        key = dg.AssetCheckKey(asset_key(RECIPE, CHECKPOINTS), check)
        storage, only = self.instance.event_log_storage, PartitionKeyFilter(key=checkpoint)
        found = storage.get_asset_check_execution_history(key, limit=10, partition_filter=only)
        return [record.evaluation.passed for record in found]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_asked_again_the_last_answer_is_what_is_shown_of_each_checkpoint(world: World) -> None:
    world.train(A)
    world.train(B, "small")
    assert world.audit().success
    tombstone = world.told.bury(Selector("teacher", "small"))
    assert world.audit().success
    assert world.history("no_withdrawn_teacher", A)[0] and not world.history("no_withdrawn_teacher", B)[0]
    world.told.lift(tombstone)
    assert world.audit().success
    assert world.history("no_withdrawn_teacher", A) == [True, True, True]
    assert world.history("no_withdrawn_teacher", B) == [True, False, True]
    assert set(world.instance.get_dynamic_partitions(str(name_partitions(RECIPE).name))) == {A, B}
    for name in CHECKS:
        assert world.history(name, A)[0] is (name != "exposure_recorded"), name


def test_an_audit_of_what_did_not_change_writes_no_file_and_no_line(world: World) -> None:
    folder = world.train(A)
    assert world.audit().success
    before = ((folder / "lineage.json").read_bytes(), len(world.told.ledger.events()))
    assert world.audit().success
    assert ((folder / "lineage.json").read_bytes(), len(world.told.ledger.events())) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"format": "distill-lineage/1"}', b"[" * 100_000])
def test_a_lineage_that_cannot_be_read_turns_its_checkpoint_red_and_hides_no_other(world: World, content: bytes) -> None:
    first, _ = world.train(A), world.train(B)
    assert world.audit().success
    (first / "lineage.json").write_bytes(content)
    world.told.bury(Selector("teacher", "big"))
    world.audit()
    assert not world.history("manifest_matches_ledger", A)[0] and not world.history("no_withdrawn_teacher", A)[0]
    assert world.history("manifest_matches_ledger", B)[0] and not world.history("no_withdrawn_teacher", B)[0]


def test_a_lineage_that_somebody_changed_is_told_and_not_written_over(world: World) -> None:
    folder = world.train(A)
    assert world.audit().success
    file = folder / "lineage.json"
    lineage = json.loads(file.read_text())
    forged = json.dumps(
        {**lineage, "tombstones": [], "evaluations": [{"value": 1.0}], "student": {**lineage["student"], "base_model": "x"}}
    )
    file.write_text(forged)
    for _ in range(2):
        world.audit()
        assert not world.history("manifest_matches_ledger", A)[0]
        assert file.read_text() == forged
    file.unlink()
    assert world.audit().success
    assert world.history("manifest_matches_ledger", A)[0]
    assert {**json.loads(file.read_text()), "ledger": 0} == {**lineage, "ledger": 0}


def test_a_sealing_that_died_before_its_file_was_written_is_done_again(world: World) -> None:
    """The chain has the new digest, the folder has the lineage of before."""
    folder = world.train(A)
    assert world.audit().success
    before = (folder / "lineage.json").read_bytes()
    world.told.evaluate(A, {})
    assert world.audit().success
    (folder / "lineage.json").write_bytes(before)
    assert world.audit().success
    assert world.history("manifest_matches_ledger", A)[0]
    assert json.loads((folder / "lineage.json").read_text())["evaluations"]


@pytest.mark.parametrize("name", [WEIGHTS_FILE, MANIFEST_FILE])
def test_weights_that_somebody_changed_are_told(world: World, name: str) -> None:
    folder = world.train(A)
    assert world.audit().success
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw.replace(b"a", b"b", 1))
    world.audit()
    assert not world.history("manifest_matches_ledger", A)[0]


def test_a_checkpoint_whose_folder_is_gone_is_still_asked_about(world: World) -> None:
    import shutil

    shutil.rmtree(world.train(A))
    world.train(B)
    world.told.bury(Selector("teacher", "big"))
    assert world.audit().success
    assert world.history("no_withdrawn_teacher", A) == world.history("no_withdrawn_teacher", B) == [False]
    assert not world.history("manifest_matches_ledger", A)[0]
    answers = {answer.name: answer.passed for answer in answer_checks(world.workspace, RECIPE, A)}
    assert answers["teacher_not_same_base"]


def test_a_recipe_without_checkpoints_has_nothing_to_audit(world: World) -> None:
    assert world.audit().success
