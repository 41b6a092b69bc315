"""Lineage of a real graph: two teachers, one over HTTP; recorded, audited, withdrawn, erased, verified.

Real Dagster runs, real training children, a real HTTP endpoint, the real command line.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner, Result
from dagster._core.event_api import PartitionKeyFilter

from distill_assets.checkpoints import CHECKPOINTS
from distill_assets.cli import main
from distill_assets.commands.instance import open_instance
from distill_assets.commands.lineage.audit import audit_checkpoint
from distill_assets.commands.run import run_recipe
from distill_assets.config import RecipeFolder, load_recipe
from distill_assets.gates import asset_key
from distill_assets.lineage.findings import CHECKS
from distill_assets.lineage.seal import read_manifest
from distill_assets.storage import Workspace, list_versions, read_table
from distill_assets.tables import RAW_GENERATIONS, SEED_CORPUS, TRAINING_DATASET
from tests.endpoint import Endpoint, serve_endpoint
from tests.scenario import SEEDS, write_jsonl, write_scenario

SERVED = "served-model-2026-01-01"
TEACHERS = """
teachers:
  - {{model: embedded/sql-grammar, weight: 2}}
  - {{name: remote, model: asked-model, base_url: '{url}', api_key_env: PLANTED_KEY, weight: 1, limits: {{first_wait_s: 0.01}},
     terms: {{family: llama, licence: llama3.3, url: 'https://example.org/terms', accepted_on: 2026-11-01}}}}
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class World(NamedTuple):
    """A recipe with two teachers, the endpoint of the second, and the workspace."""

    folder: RecipeFolder
    endpoint: Endpoint
    workspace: Workspace

    def run(self, *select: str) -> None:
        report = run_recipe(self.folder, open_instance(), list(select), lambda _: None)
        assert report.errors == []

    def distill(self, *words: str) -> Result:
        recipe = [] if words[1] in ("show", "log", "verify", "diff") else ["--recipe", str(self.folder.path)]
        return CliRunner().invoke(main, [*words, *recipe])

    def checkpoints(self) -> list[Path]:
        folders = [f for f in self.workspace.folder("checkpoints", "choir").iterdir() if f.is_dir() and f.suffix == ""]
        return sorted(folders, key=lambda folder: folder.stat().st_mtime)

    def rows(self, table):
        [version] = [self.version(table.name)]
        return read_table(self.workspace, "choir", table, version)

    def version(self, name: str) -> str:
        event = open_instance().get_latest_materialization_event(asset_key("choir", name))
        return event.asset_materialization.tags["dagster/data_version"]

    def check(self, name: str, checkpoint: str) -> bool:
        key = dg.AssetCheckKey(asset_key("choir", CHECKPOINTS), name)
        storage = open_instance().event_log_storage
        [record] = storage.get_asset_check_execution_history(key, limit=1, partition_filter=PartitionKeyFilter(key=checkpoint))
        return record.evaluation.passed


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A workspace with one checkpoint, made once; tests work on copies of it."""
    root = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch, serve_endpoint() as endpoint:
        patch.setenv("PLANTED_KEY", "sk-planted")
        patch.setenv("DISTILL_HOME", str(root / "home"))
        patch.delenv("DAGSTER_HOME", raising=False)
        folder = write_scenario(root / "recipe", samples_per_seed=12, extra=TEACHERS.format(url=endpoint.base_url))
        built = World(folder, endpoint, Workspace(root / "home"))
        built.run()
        yield built


@pytest.fixture
def world(built: World, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy of the built workspace and its recipe; the endpoint is the same one."""
    monkeypatch.setenv("PLANTED_KEY", "sk-planted")
    shutil.copytree(built.workspace.root, home)
    shutil.copytree(built.folder.path, tmp_path / "recipe")
    return World(load_recipe(tmp_path / "recipe"), built.endpoint, Workspace(home))


def test_a_first_run_leaves_a_lineage_that_adds_up(world: World) -> None:
    [folder] = world.checkpoints()
    lineage = read_manifest(folder)
    assert {file.name for file in folder.iterdir()} >= {"lineage.json", "audit.html", "README.md", "model.safetensors"}
    dataset = world.rows(TRAINING_DATASET)
    train = dataset.filter(pl.col("split") == "train")
    told = {teacher["served_model"]: teacher["n_rows"] for teacher in lineage["teachers"]}
    by_teacher = dict(train["teacher"].value_counts().iter_rows())
    assert told[SERVED] == by_teacher["remote:asked-model"] > 0
    assert sum(told.values()) == train.height == lineage["exposure"]["n_rows_seen"]
    remote = next(teacher for teacher in lineage["teachers"] if teacher["served_model"] == SERVED)
    assert (remote["licence"], remote["families"], remote["terms_accepted_on"]) == ("llama3.3", ["llama"], "2026-11-01")
    assert remote["system_fingerprint"] == "fp_test"
    assert [item["is_met"] for item in lineage["obligations"] if "must begin with" in item["obligation"]] == [False]
    assert lineage["dagster"]["run_ids"]["student_checkpoint"] and lineage["evaluations"]
    own = folder.name
    assert {name: world.check(name, own) for name in CHECKS} == {name: name != "licence_obligations_met" for name in CHECKS}
    text = (world.workspace.root / "ledger" / "chain.jsonl").read_text()
    assert not any(seed["text"] in text for seed in SEEDS) and not any(question in text for question in dataset["question"])
    assert world.distill("lineage", "verify").exit_code == 0


def test_an_audit_outlives_rebuilds_wiped_assets_and_deleted_runs(world: World) -> None:
    [first] = world.checkpoints()
    sealed = read_manifest(first)
    row = world.rows(TRAINING_DATASET).filter(pl.col("split") == "train")["sample_id"][0]
    why = json.loads(world.distill("lineage", "why", "--row", row, "--json").output)
    assert len(why["exposures"]) == 1
    for n in (1, 2):
        write_jsonl(
            world.folder.path / "seeds" / "seeds.jsonl", [*SEEDS[n:], {**SEEDS[0], "text": f"singers born in the year {1960 + n}"}]
        )
        world.run("student_checkpoint")
    instance = open_instance()
    instance.wipe_assets(list(instance.all_asset_keys()))
    for run in instance.get_runs():
        instance.delete_run(run.run_id)
    assert instance.get_latest_materialization_event(asset_key("choir", "student_checkpoint")) is None
    manifest, _, _ = audit_checkpoint(first.name)
    assert {**manifest, "ledger": 0} == {**sealed, "ledger": 0}
    assert len(world.checkpoints()) == 3
    again = json.loads(world.distill("lineage", "why", "--row", row, "--json").output)
    assert (again["generation"], again["parents"], again["exposures"][:1]) == (
        why["generation"],
        why["parents"],
        why["exposures"][:1],
    )
    shown = json.loads(world.distill("lineage", "show", first.name[:8], "--json").output)
    assert shown["teachers"] == sealed["teachers"]


def test_a_withdrawn_model_turns_old_checkpoints_red_and_is_not_bought_again(world: World) -> None:
    [first] = world.checkpoints()
    sent = len(world.endpoint.requests)
    assert world.check("no_withdrawn_teacher", first.name)
    taint = world.distill("lineage", "taint", "--served", SERVED)
    assert taint.exit_code == 3 and first.name[:12] in taint.output
    said = world.distill("lineage", "withdraw", "--served", SERVED, "--reason", "poisoned")
    assert said.exit_code == 0 and "touches 1 checkpoints" in said.output
    assert not world.check("no_withdrawn_teacher", first.name)
    assert read_manifest(first)["tombstones"][0]["reason"] == "poisoned"
    world.run("student_checkpoint")
    assert len(world.endpoint.requests) == sent
    assert set(world.rows(RAW_GENERATIONS)["provider"]) == {"embedded"}
    second = next(folder for folder in world.checkpoints() if folder != first)
    assert world.check("no_withdrawn_teacher", second.name) and not world.check("no_withdrawn_teacher", first.name)
    [buried] = json.loads(world.distill("lineage", "log", "--kind", "tombstone", "--json").output)
    lift = world.distill("lineage", "withdraw", "--lift", buried["facts"]["tombstone_id"][:8], "--reason", "was a mistake")
    assert lift.exit_code == 0, lift.output
    assert world.check("no_withdrawn_teacher", first.name)
    world.run("student_checkpoint")
    assert len(world.endpoint.requests) == sent
    assert world.version("student_checkpoint") == first.name


def test_an_erased_seed_is_gone_from_every_file_and_the_receipt_proves_it(world: World) -> None:
    [first] = world.checkpoints()
    seeds, generations = world.rows(SEED_CORPUS), world.rows(RAW_GENERATIONS)
    seed = (
        seeds.row(by_predicate=seeds["text"] == SEEDS[1]["text"], named=True)
        if False
        else seeds.filter(seeds["text"] == SEEDS[1]["text"]).row(0, named=True)
    )
    mine = generations.filter(generations["seed_id"] == seed["seed_id"])
    others = "\n".join(generations.filter(generations["seed_id"] != seed["seed_id"])["question"].drop_nulls())
    questions = [question for question in mine["question"] if question and question not in others]
    assert seed["text"] not in others
    assert questions and mine.filter(mine["provider"] != "embedded").height
    planned = json.loads(world.distill("lineage", "erase", "--seed", seed["seed_id"], "--plan", "--json").output)
    assert planned["n_generations"] == mine.height and planned["n_requests"] == 0 and planned["is_trained_anew"]
    sent = len(world.endpoint.requests)
    done = world.distill("lineage", "erase", "--seed", seed["seed_id"][:10], "--execute", "--reason", "the author asked", "--json")
    assert done.exit_code == 0, done.output
    receipt = json.loads(done.stdout)
    assert receipt["after"]["data_version"] == planned["version_after"] == world.version("training_dataset")
    assert receipt["texts"]["still_here"] == [] and receipt["texts"]["n_replies"] >= mine.height
    assert len(world.endpoint.requests) == sent
    for text in [seed["text"], *questions]:
        assert find_text(world.workspace.root, text) == [], text
    assert not world.check("no_withdrawn_teacher", first.name)
    [file] = (world.workspace.root / "ledger" / "receipts").iterdir()
    assert world.distill("lineage", "verify", str(file)).exit_code == 0
    forged = {**receipt, "erased": {**receipt["erased"], "ids": receipt["erased"]["ids"][1:]}}
    file.write_text(json.dumps(forged))
    assert world.distill("lineage", "verify", str(file)).exit_code == 1
    world.run("raw_generations")
    assert len(world.endpoint.requests) == sent
    assert seed["seed_id"] not in set(world.rows(SEED_CORPUS)["seed_id"])
    spent = open_journal_cost(world)
    assert spent == generations["cost_usd"].sum()


def find_text(root: Path, text: str) -> list[str]:
    """Files under a workspace that hold a text, by their own bytes or in a Parquet column."""
    import polars as pl

    found = []
    for file in sorted(file for file in root.rglob("*") if file.is_file() and "databases" not in file.parts):
        if file.suffix == ".parquet":
            frame = pl.read_parquet(file)
            columns = [name for name, dtype in frame.schema.items() if dtype == pl.String]
            hit = any(frame[name].fill_null("").str.contains(text, literal=True).any() for name in columns)
        else:
            raw = file.read_bytes()
            hit = any(
                form in raw
                for form in (text.encode(), json.dumps(text)[1:-1].encode(), json.dumps(json.dumps(text))[3:-3].encode())
            )
        if hit:
            found.append(str(file.relative_to(root)))
    return found


def open_journal_cost(world: World) -> float:
    """What all runs of the recipe spent, by the journal."""
    from distill_assets.clients.journal import open_journal

    with open_journal(world.workspace.folder("journal", "choir")) as journal:
        return journal.spent().usd


def test_bad_commands_say_what_to_do_and_change_nothing(world: World) -> None:
    chain = (world.workspace.root / "ledger" / "chain.jsonl").read_bytes()
    for words, expected in (
        (("lineage", "taint", "--served", "gpt-typo"), "knows no served"),
        (("lineage", "taint"), "0 things are named"),
        (("lineage", "taint", "--served", SERVED, "--seed", "abcd"), "2 things are named"),
        (("lineage", "taint", "--seed", "zzzz"), "is no id"),
        (("lineage", "taint", "--seed", "ffffffff"), "0 seeds"),
        (("lineage", "withdraw", "--served", SERVED), "needs a reason"),
        (("lineage", "taint", "--judge", "nobody@1"), "knows no judge"),
        (("lineage", "erase", "--judge", "sql_execution@2", "--execute", "--reason", "x"), "wrote no row"),
        (("lineage", "verify", "/no/such"), "neither a checkpoint's folder"),
    ):
        said = world.distill(*words)
        assert said.exit_code == 1 and expected in said.output, said.output
        assert "Traceback" not in said.output
    assert (world.workspace.root / "ledger" / "chain.jsonl").read_bytes() == chain
    assert list_versions(world.workspace, "choir", TRAINING_DATASET.name)


def test_an_empty_workspace_has_no_lineage_and_says_what_to_do(home: Path) -> None:
    for words in (("show",), ("log",), ("verify",), ("taint", "--served", "x"), ("why",), ("erase", "--seed", "abcd", "--plan")):
        said = CliRunner().invoke(main, ["lineage", *words])
        assert said.exit_code == 1 and "Traceback" not in said.output, said.output
    assert not (home / "ledger").exists()
