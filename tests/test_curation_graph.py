"""Curation in the graph: what a recipe says of it is what the tables hold, what changed is marked anew, and what cannot be
protected or has collapsed stops the run.

Real Dagster runs on a copy of one built workspace, so that no test asks the teacher again but the ones that are about it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import polars as pl
import pytest

from distill_assets.automation import hash_watched, list_watched
from distill_assets.clients.base_model import resolve_base_model
from distill_assets.config import RecipeFolder, cache_folder, load_recipe
from distill_assets.curate.difficulty import DIFFICULTIES
from distill_assets.errors import BaseModelError
from distill_assets.gates import asset_key
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import (
    BENCHMARK_ITEMS,
    CONTAMINATION_HITS,
    CORPUS_DIVERSITY,
    CURATION_MARKS,
    DROPPED_SAMPLES,
    DUPLICATES,
    JUDGED_SAMPLES,
    REAL_SAMPLES,
    TRAINING_DATASET,
    TableSpec,
)
from tests.endpoint import Endpoint, serve_endpoint
from tests.scenario import SEEDS, write_jsonl, write_scenario
from tests.test_graph import World

DATASET = ("training_dataset", "dropped_samples")
SETTLED = ("databases", "raw_generations", "judged_samples", "duplicates", "contamination_hits", "curation_marks", *DATASET)
PER_SEED = 24  # enough for collapse to be judged, which takes 100 rows


class Built(NamedTuple):
    """A workspace that was built once, and its recipe's folder."""

    home: Path
    recipe: Path


class Curation(World):
    """A recipe in a workspace, whose curate section can be rewritten."""

    def __init__(self, home: Path, path: Path, **curate: object) -> None:
        self.home = home
        super().__init__(write_curation(path, curate))

    def curate(self, **curate: object) -> list[str]:
        """Rewrite the section, run up to the dataset, and return the errors."""
        self.folder = write_curation(self.folder.path, curate)
        return self.bring()

    def bring(self) -> list[str]:
        """Run up to the dataset, and return the errors."""
        self.last = self.run(*DATASET)
        return self.last.errors

    @property
    def built(self) -> set[str]:
        return {name for wave in self.last.waves for name in wave}

    def table(self, spec: TableSpec) -> pl.DataFrame:
        return read_table(Workspace(self.home), self.folder.recipe.name, spec, self.version(spec.name))

    def versions(self) -> dict[str, str]:
        return {name: self.version(name) for name in SETTLED}

    def reasons(self) -> dict[str, int]:
        return dict(self.table(DROPPED_SAMPLES)["drop_reason"].value_counts().iter_rows())

    def dropped_for(self, reason: str) -> list[dict[str, Any]]:
        return self.table(DROPPED_SAMPLES).filter(pl.col("drop_reason") == reason).rows(named=True)


def write_curation(path: Path, curate: dict[str, object]) -> RecipeFolder:
    return write_scenario(path, samples_per_seed=PER_SEED, extra=f"curate: {json.dumps(curate)}" if curate else "")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    base = tmp_path_factory.mktemp("curation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILL_HOME", str(base / "home"))
        patch.delenv("DAGSTER_HOME", raising=False)
        world = Curation(base / "home", base / "recipe")
        assert world.curate() == []
        world.instance.dispose()
    yield Built(base / "home", base / "recipe")


@pytest.fixture
def world(built: Built, home: Path, tmp_path: Path) -> Curation:
    shutil.copytree(built.home, home)
    shutil.copytree(built.recipe, tmp_path / "recipe")
    return Curation(home, tmp_path / "recipe")


def long_questions(world: Curation, n: int) -> list[str]:
    """Questions of the dataset that no other one is close to: those of the most words."""
    questions = world.table(TRAINING_DATASET).with_columns(pl.col("question").str.split(" ").list.len().alias("n"))
    return questions.sort("n", "question", descending=[True, False])["question"].head(n).to_list()


def test_the_built_workspace_is_fresh_where_it_was_copied(world: Curation):
    assert world.curate() == []
    assert world.last.waves == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_sample_that_leaks_a_benchmark_is_dropped_and_names_the_item_and_a_changed_file_marks_anew(world: Curation):
    leaked, other, third = long_questions(world, 3)
    bench = world.folder.path / "bench"
    bench.mkdir()
    write_jsonl(bench / "quiz.jsonl", [{"question": leaked.upper() + "?!"}, {"question": "what is the capital of a far away land"}])
    pl.DataFrame({"q": [other], "gold": ["42"]}).write_parquet(bench / "exam.parquet")
    digest = hashlib.sha256((bench / "exam.parquet").read_bytes()).hexdigest()
    benchmarks = {
        "quiz": {"file": "bench/quiz.jsonl", "version": "2026-01"},
        "exam": {"file": "bench/exam.parquet", "question": "q", "answer": "gold", "sha256": digest},
    }
    n_requests = world.requests()
    assert world.curate(contamination={"benchmarks": benchmarks}) == []
    assert world.built == {"benchmark_items", "contamination_hits", "curation_marks", *DATASET}
    items = world.table(BENCHMARK_ITEMS)
    assert dict(items.select("benchmark", "version").unique().iter_rows()) == {"quiz": "2026-01", "exam": "unspecified"}
    quiz_digest = hashlib.sha256((bench / "quiz.jsonl").read_bytes()).hexdigest()
    assert dict(items.select("benchmark", "digest").unique().iter_rows()) == {"quiz": quiz_digest, "exam": digest}
    ids = {row["question"].lower(): f"{row['benchmark']}:{row['item_id']}" for row in items.iter_rows(named=True)}
    evidence = {row["question"]: row["evidence"] for row in world.dropped_for("contaminated")}
    assert evidence[leaked].startswith(ids[f"{leaked.lower()}?!"] + ": ")
    assert evidence[other].startswith(ids[other.lower()] + ": ")
    assert not {leaked, other} & set(world.table(TRAINING_DATASET)["question"])

    write_jsonl(bench / "quiz.jsonl", [{"question": third}])
    assert world.curate(contamination={"benchmarks": benchmarks}) == []
    assert world.built == {"benchmark_items", "contamination_hits", "curation_marks", *DATASET}
    dropped = {row["question"] for row in world.dropped_for("contaminated")}
    assert {third, other} <= dropped and leaked in set(world.table(TRAINING_DATASET)["question"])
    assert world.requests() == n_requests
    _break_each(world, bench, benchmarks)


def _break_each(world: Curation, bench: Path, benchmarks: dict[str, dict]) -> None:
    good, version = (bench / "quiz.jsonl").read_bytes(), world.version("training_dataset")
    damages: dict[str, tuple[str, Callable[[Path], object]]] = {
        "not JSON": ("quiz.jsonl", lambda file: file.write_text('{"question": "a b"}\n{"question"')),
        "holds no item": ("quiz.jsonl", lambda file: file.write_text("")),
        "SHA-256": ("exam.parquet", lambda file: pl.DataFrame({"q": ["other"], "gold": ["1"]}).write_parquet(file)),
    }
    for said, (name, damage) in damages.items():
        damage(bench / name)
        [error] = world.curate(contamination={"benchmarks": benchmarks})
        assert error.startswith("benchmark_items: ") and said in error and "does not skip" in error
        assert world.version("training_dataset") == version and world.table(TRAINING_DATASET).height
        (bench / "quiz.jsonl").write_bytes(good)


def test_a_benchmark_that_a_pattern_names_is_watched_like_any_other(tmp_path: Path):
    folder = write_curation(tmp_path, {"contamination": {"benchmarks": {"quiz": {"file": "bench/*.jsonl"}}}})
    (tmp_path / "bench").mkdir()
    hashes = set()
    for question in ("one two three", "four five six"):
        write_jsonl(tmp_path / "bench" / "quiz.jsonl", [{"question": question}])
        hashes |= {hash_watched(watched) for watched in list_watched(folder) if watched.name == "benchmark_files"}
    assert len(hashes) == 2


PEOPLE = [
    {"question": "whose surname is Berg, and where do they come from", "sql": "SELECT name, country FROM singers WHERE name LIKE '%Berg'"},
    {"question": "tell me the fullest evening that we ever had", "sql": 'SELECT held FROM concerts ORDER BY "seats sold" DESC, id LIMIT 1'},
    {"question": "in which months do we play most", "sql": "SELECT month(held), COUNT(*) FROM concerts GROUP BY 1 ORDER BY 2 DESC, 1"},
    {"question": "ages at the end of the century", "sql": "SELECT name, 1999 - born FROM singers", "licence": "CC-BY-4.0"},
    {"question": "half empty nights in the square", "sql": "SELECT id FROM concerts WHERE hall = 'Town Square' AND \"seats sold\" < 200"},
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_people_wrote_is_trained_on_in_its_share_and_a_query_that_fails_stops_the_run(world: Curation):
    (world.folder.path / "real").mkdir()
    file = world.folder.path / "real" / "people.jsonl"
    write_jsonl(file, PEOPLE)
    mix = {"real_samples": ["real/*.jsonl"], "min_real_frac": 0.1}
    assert world.curate(mix=mix, heldout_frac=0.5) == []
    real = world.table(REAL_SAMPLES)
    assert dict(real["licence"].value_counts().iter_rows())["CC-BY-4.0"] == 1
    dataset = world.table(TRAINING_DATASET)
    people = dataset.filter(pl.col("teacher") == "people")
    assert set(people["question"]) == {row["question"] for row in PEOPLE}
    assert set(people["strategy"]) == {"real"} and set(people["split"]) == {"train"}
    assert people["seed_id"].null_count() == people.height == 5
    assert 0.3 < (dataset["split"] == "heldout").mean() < 0.6
    assert dataset.height == 50  # the most of which 5 are a tenth
    over = world.dropped_for("over_quota")
    assert over and all("written by people" in row["evidence"] for row in over)
    judged = world.table(JUDGED_SAMPLES).height
    assert dataset.height + world.table(DROPPED_SAMPLES).height == judged + 5

    version = world.version("training_dataset")
    write_jsonl(file, [*PEOPLE[:2], {"question": "a slip", "sql": "SELECT nme FROM singers"}, *PEOPLE[3:]])
    [error] = world.curate(mix=mix, heldout_frac=0.5)
    assert error.startswith("real_samples: ") and "people.jsonl:3: fails on instance 0" in error and "nme" in error
    assert world.version("training_dataset") == version


ONE_TEMPLATE = [
    {"question": f"give the stage names of performers whose home is {country}, youngest last",
     "sql": f"SELECT name FROM singers WHERE country = '{country}' ORDER BY born, id"}
    for country in ("Kenya", "Japan", "Brazil")
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_the_recipe_says_of_selection_decides_the_dataset_row_by_row(world: Curation):
    whole, before = world.table(TRAINING_DATASET), world.reasons()
    n_requests = world.requests()

    (world.folder.path / "real").mkdir()
    write_jsonl(world.folder.path / "real" / "people.jsonl", ONE_TEMPLATE)
    mix = {"max_per_template": 1, "real_samples": ["real/people.jsonl"]}
    assert world.curate(best_of=4, mix=mix, order="easy_first") == []
    own = world.table(CURATION_MARKS).select("sample_id", "template_id")
    dataset = world.table(TRAINING_DATASET).join(own, on="sample_id")
    assert dataset["seed_id"].drop_nulls().value_counts()["count"].max() <= 4 and dataset["template_id"].is_unique().all()
    assert dataset["question"].is_in([row["question"] for row in ONE_TEMPLATE]).sum() == 1
    assert {row["evidence"] for row in world.dropped_for("over_best_of")} == {"more than the best 4 of its seed and strategy"}
    for row in world.dropped_for("over_template"):
        assert row["evidence"] == "more than 1 of its template"
        assert own.filter(pl.col("sample_id") == row["sample_id"])["template_id"][0] in set(dataset["template_id"])
    assert dataset.sort("position")["difficulty"].to_list() == sorted(dataset["difficulty"], key=DIFFICULTIES.index)
    assert set(world.reasons()) - set(before) == {"over_best_of", "over_template"}

    quotas = [{"by": "difficulty", "value": "hard", "min_frac": 0.25}, {"by": "topic", "value": "choir: singers", "max_frac": 0.3}]
    assert world.curate(mix={"quotas": quotas}, max_tokens=2_000, order="hard_first") == []
    dataset = world.table(TRAINING_DATASET).join(world.table(CURATION_MARKS).select("sample_id", "n_tokens"), on="sample_id")
    assert (dataset["difficulty"] == "hard").mean() >= 0.25 and (dataset["topic"] == "choir: singers").mean() <= 0.3
    assert 1_500 < dataset["n_tokens"].sum() <= 2_000
    assert {row["evidence"] for row in world.dropped_for("over_tokens")} == {"more than 2000 tokens"}
    assert all(
        "difficulty hard" in row["evidence"] or "choir: singers" in row["evidence"] for row in world.dropped_for("over_quota")
    )
    assert dataset.sort("position")["difficulty"].to_list() == sorted(dataset["difficulty"], key=DIFFICULTIES.index, reverse=True)
    assert {reason: n for reason, n in world.reasons().items() if not reason.startswith("over_")} == before

    assert world.curate(order="hard_first") == []
    ordered = world.table(TRAINING_DATASET).sort("sample_id")
    assert ordered.drop("position").equals(whole.sort("sample_id").drop("position"))
    assert sorted(ordered["position"]) == sorted(whole["position"]) == list(range(whole.height))
    assert world.reasons() == before and world.requests() == n_requests


def test_shares_that_cannot_be_kept_are_refused_in_numbers_and_the_last_dataset_stays(world: Curation):
    version = world.version("training_dataset")
    unknown = world.curate(mix={"quotas": [{"by": "teacher", "value": "gpt-0", "min_frac": 0.1}]})
    assert unknown and all("no sample has teacher 'gpt-0'; there are: embedded/sql-grammar@2" in error for error in unknown)
    impossible = world.curate(mix={"quotas": [{"by": "difficulty", "value": "unparsed", "min_frac": 0.5}]})
    assert impossible and all("difficulty unparsed" in error and "0.5" in error for error in impossible)
    short = world.curate(max_tokens=1)
    assert short and all("0 kept" in error and "over_tokens" in error for error in short)
    assert world.version("training_dataset") == version and world.table(TRAINING_DATASET).height


def test_a_collapsed_corpus_is_named_and_trains_no_student(world: Curation):
    world.folder = write_curation(world.folder.path, {"collapse": {"max_opening_frac": 0.0}})
    [error] = world.run("student_checkpoint").errors
    assert "choir/corpus_diversity: no_collapse" in error
    record = world.instance.get_latest_asset_check_evaluation_record(
        dg.AssetCheckKey(asset_key("choir", "corpus_diversity"), "no_collapse")
    )
    shown = [row.data for row in record.evaluation.metadata["failing_rows"].value.records]
    assert {row["column"] for row in shown} == {"problem"}
    assert "whole, , opening_frac" in {row["row"] for row in shown} and all("at most 0" in row["value"] for row in shown)
    problems = world.table(CORPUS_DIVERSITY).filter(pl.col("problem").is_not_null())
    assert {"whole", "teacher", "strategy", "database"} == set(problems["slice_by"])
    assert all("of the questions begin with the same four words" in words and "at most 0" in words for words in problems["problem"])
    assert not world.events("student_checkpoint")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_new_seed_costs_its_own_rows_and_every_table_equals_a_rebuild(world: Curation, built: Built, tmp_path: Path, monkeypatch):
    first = world.versions()
    seed = {"database": "choir", "kind": "topic", "text": "concerts of Japanese singers by year"}
    n_known = world.table(CURATION_MARKS).height
    write_jsonl(world.folder.path / "seeds" / "more.jsonl", [seed])
    assert world.bring() == []
    accepted = world.table(CURATION_MARKS)
    assert world.value("curation_marks", "n_reused") == n_known < accepted.height
    assert 0 < world.value("duplicates", "n_new") <= accepted.height - n_known
    grown = world.versions()
    assert grown != first

    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "fresh"))
    monkeypatch.delenv("DAGSTER_HOME")
    fresh = Curation(tmp_path / "fresh", tmp_path / "other")
    write_jsonl(fresh.folder.path / "seeds" / "more.jsonl", [seed])
    assert fresh.bring() == []
    assert fresh.value("duplicates", "n_new") > world.value("duplicates", "n_new")
    assert fresh.versions() == grown

    monkeypatch.setenv("DISTILL_HOME", str(world.home))
    monkeypatch.delenv("DAGSTER_HOME")
    (world.folder.path / "seeds" / "more.jsonl").unlink()
    assert world.bring() == []
    assert world.versions() == first


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("ARBITER_KEY", "any")
    with serve_endpoint() as served:
        yield served


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_meaning_and_an_arbiter_mark_and_a_second_run_reads_and_asks_nothing(world: Curation, endpoint: Endpoint):
    try:
        resolve_base_model("minilm-l6-v2", cache_folder())
    except BaseModelError as error:
        pytest.fail(str(error))
    said = {0: {"reasoning": "no", "same": False}, 1: {"reasoning": "the same wish", "same": True}, 2: "I cannot tell."}

    def answer(body: dict, key: str) -> tuple[int, dict]:
        sample, _item = (json.loads(line)["text"] for line in body["messages"][-1]["content"].splitlines() if line[0] == "{")
        with endpoint.lock:
            endpoint.requests.append({"sample": sample})
        return 200, endpoint.reply(1, said[len(sample) % 3])

    endpoint.answer = answer
    limits = {"concurrency": 4, "timeout_s": 20, "first_wait_s": 0.01, "max_tries": 1}
    arbiter = {"model": "judge", "base_url": endpoint.base_url, "api_key_env": "ARBITER_KEY", "limits": limits, "max_reasks": 0}
    curate = {
        "embedding": {}, "duplicates": {"semantic_cosine": 0.9},
        "contamination": {"cosine": 0.99, "review_cosine": 0.7, "n_neighbours": 1, "arbiter": arbiter},
    }  # fmt: skip
    assert world.curate(**curate) == []
    semantic = world.table(DUPLICATES).filter(pl.col("duplicate_kind") == "semantic")
    assert semantic.height and semantic["similarity"].min() >= 0.9
    assert {row["sample_id"] for row in world.dropped_for("semantic_duplicate")} <= set(semantic["sample_id"])
    asked = {request["sample"] for request in endpoint.requests}
    hits = world.table(CONTAMINATION_HITS).join(world.table(JUDGED_SAMPLES).select("sample_id", "question"), on="sample_id")
    by_rule = {rule: set(hits.filter(pl.col("rule") == rule)["question"]) for rule in ("arbiter", "arbiter_failed")}
    assert by_rule == {rule: {text for text in asked if len(text) % 3 == n} for rule, n in (("arbiter", 1), ("arbiter_failed", 2))}
    assert all(by_rule.values()) and asked - by_rule["arbiter"] - by_rule["arbiter_failed"]
    left_out = {row["question"] for row in world.dropped_for("contaminated")}
    assert by_rule["arbiter"] | by_rule["arbiter_failed"] <= left_out
    assert world.value("contamination_hits", "n_questions_sent") == len(endpoint.requests)

    store = {file: file.stat().st_mtime_ns for file in (world.home / "vectors").rglob("*.parquet")}
    assert store
    n_asked = len(endpoint.requests)
    world.write_seeds(SEEDS[:-1])
    world.folder = load_recipe(world.folder.path)
    assert world.bring() == []
    assert {"duplicates", "contamination_hits"} <= world.built
    assert len(endpoint.requests) == n_asked and world.value("contamination_hits", "n_questions_sent") == 0
    assert {file: file.stat().st_mtime_ns for file in (world.home / "vectors").rglob("*.parquet")} == store
