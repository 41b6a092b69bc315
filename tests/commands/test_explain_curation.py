"""`distill explain` on curation: why a row is where it is, whoever wrote it, and whatever tables the recipe has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from distill_assets.commands.explain import explain_sample
from distill_assets.commands.instance import open_instance
from distill_assets.config import RecipeFolder
from distill_assets.errors import DistillError
from distill_assets.gates import DATA_VERSION_TAG, asset_key
from distill_assets.storage import Workspace, write_side_table, write_table
from distill_assets.tables import PLANTED_ERRORS, TABLES, TableSpec, build_frame

MADE, TWIN, WRITTEN, LATER = "aaaa01", "aaaa02", "bbbb01", "cccc01"
ITEM, OTHER = "0123abcd", "4567abcd"
DEFAULTS: dict[Any, object] = {pl.String: "x", pl.Int64: 1, pl.Float64: 0.5, pl.Boolean: False}

GENERATIONS = [
    {"generation_id": id_, "seed_id": "s1", "question": f"question of {id_}", "completion": "SELECT 1", "database": "choir"}
    for id_ in (MADE, TWIN, LATER)
]
TABLES_OF_A_RECIPE: dict[str, list[dict[str, object]]] = {
    "seed_corpus": [{"seed_id": "s1", "kind": "topic", "text": "halls"}],
    "raw_generations": GENERATIONS,
    "verdicts": [{"generation_id": row["generation_id"], "judge": "heuristics@9", "criterion": "length"} for row in GENERATIONS],
    "review_labels": [{"sample_id": MADE, "reviewer": "ann", "label": "accept", "comment": "fine by me"}],
    "judged_samples": [
        {"sample_id": row["generation_id"], "question": row["question"], "sample_status": "accepted"} for row in GENERATIONS
    ],
    "real_samples": [{"sample_id": WRITTEN, "question": "asked by a person", "sql": "SELECT 2", "licence": "CC-BY-4.0", "source_file": "real/a.jsonl"}],
    "duplicates": [
        {"sample_id": MADE, "field": "answer", "duplicate_kind": "exact", "duplicate_of": TWIN, "similarity": 1.0},
        {"sample_id": MADE, "field": "question", "duplicate_kind": "near", "duplicate_of": WRITTEN, "similarity": 0.8125},
    ],
    "contamination_hits": [
        {"sample_id": MADE, "field": "question", "benchmark": "quiz", "item_id": OTHER, "rule": "embedding", "action": "review",
         "coverage_frac": 0.801, "span": None, "reason": None},
        {"sample_id": MADE, "field": "question", "benchmark": "holdout", "item_id": ITEM, "rule": "arbiter", "action": "drop",
         "coverage_frac": 0.9, "span": "the largest hall", "reason": "they ask for one thing"},
        {"sample_id": WRITTEN, "field": "both", "benchmark": "any", "item_id": "any", "rule": "read_in_part", "action": "drop",
         "coverage_frac": None, "span": None, "reason": None},
    ],
    "curation_marks": [
        {"sample_id": MADE, "template": "choir | question of ___ | SELECT ?", "topic": "choir: singers", "difficulty": "hard", "n_tokens": 31},
        {"sample_id": TWIN, "template": "choir | twin", "topic": None, "difficulty": "unparsed", "n_tokens": None},
        {"sample_id": WRITTEN, "template": "choir | asked", "topic": "choir: concerts", "difficulty": "easy", "n_tokens": None},
    ],
    "training_dataset": [{"sample_id": TWIN, "split": "heldout", "position": 17}],
    "dropped_samples": [
        {"sample_id": MADE, "drop_reason": "contaminated", "evidence": f"holdout:{ITEM}: the largest hall"},
        {"sample_id": WRITTEN, "drop_reason": "contaminated", "evidence": "any:any: "},
    ],
}  # fmt: skip


def complete(spec: TableSpec, known: dict[str, object]) -> dict[str, object]:
    """A row with something in each column: null where it may be."""
    row = {}
    for name, field in spec.fields.items():
        default = None if field.nullable else field.allowed[0] if field.allowed else DEFAULTS[field.dtype]
        row[name] = known.get(name, default)
    return row


def store(folder: RecipeFolder, home: Path, tables: dict[str, list[dict[str, object]]], planted: bool = True) -> dg.DagsterInstance:
    """Store tables as the graph would."""
    instance, name = open_instance(), folder.recipe.name
    for table, rows in tables.items():
        spec = TABLES[table]
        version = write_table(Workspace(home), name, spec, build_frame(spec, [complete(spec, row) for row in rows]))
        if table == "raw_generations" and planted:
            write_side_table(Workspace(home), name, PLANTED_ERRORS, build_frame(PLANTED_ERRORS, []), version)
        instance.report_runless_asset_event(dg.AssetMaterialization(asset_key(name, table), tags={DATA_VERSION_TAG: version}))
    return instance


def without(*names: str) -> dict[str, list[dict[str, object]]]:
    return {name: rows for name, rows in TABLES_OF_A_RECIPE.items() if name not in names}


def tell(folder: RecipeFolder, instance: dg.DagsterInstance, id_: str, *heads: str) -> list[str]:
    """The lines that begin with one of `heads`."""
    return [line for line in explain_sample(folder, instance, id_).splitlines() if line.split()[0] in heads]


def test_a_dropped_row_shows_its_template_each_duplicate_and_each_overlap(home: Path, scenario: RecipeFolder):
    instance = store(scenario, home, TABLES_OF_A_RECIPE)
    assert tell(scenario, instance, MADE, "template", "topic", "duplicate", "overlap", "label", "fate") == [
        "label      ann: accept on x: fine by me",
        "template   choir | question of ___ | SELECT ?",
        "topic      choir: singers, difficulty hard, 31 tokens",
        f"duplicate  exact in answer, similarity 1.000, of {TWIN}: question of {TWIN}",
        f"duplicate  near in question, similarity 0.812, of {WRITTEN}: asked by a person",
        f"overlap    drop: holdout:{ITEM} in question by arbiter, share 0.900, words 'the largest hall': they ask for one thing",
        f"overlap    review: quiz:{OTHER} in question by embedding, share 0.801",
        f"fate       dropped: contaminated (holdout:{ITEM}: the largest hall)",
    ]


def test_a_kept_row_shows_its_place_and_one_that_came_later_that_it_has_none(home: Path, scenario: RecipeFolder):
    instance = store(scenario, home, TABLES_OF_A_RECIPE)
    assert tell(scenario, instance, TWIN, "topic", "fate") == [
        "topic      unknown, difficulty unparsed", "fate       in training_dataset, split heldout, position 17",
    ]  # fmt: skip
    assert tell(scenario, instance, LATER, "template", "overlap", "fate") == ["fate       not selected yet. Run: distill run"]


def test_a_row_that_a_person_wrote_has_no_request_and_no_verdict(home: Path, scenario: RecipeFolder):
    told = explain_sample(scenario, store(scenario, home, TABLES_OF_A_RECIPE), WRITTEN).splitlines()
    assert [line.split()[0] for line in told] == ["sample", "written", "question", "query", "template", "topic", "overlap", "fate"]
    assert "by people, in real/a.jsonl, licence CC-BY-4.0" in told[1] and told[3] == "query      SELECT 2"
    assert told[6] == "overlap    drop: any:any in both by read_in_part"


def test_an_id_counts_among_what_teachers_and_what_people_wrote(home: Path, scenario: RecipeFolder):
    both = {**TABLES_OF_A_RECIPE, "real_samples": [{"sample_id": "aaaa99"}]}
    instance = store(scenario, home, both)
    with pytest.raises(DistillError, match="3 samples have an id that begins with aaaa: aaaa01, aaaa02, aaaa99"):
        explain_sample(scenario, instance, "aaaa")
    with pytest.raises(DistillError, match="0 samples have an id that begins with dddd: none"):
        explain_sample(scenario, instance, "dddd")


@pytest.mark.parametrize(
    "absent", ["real_samples", "duplicates", "contamination_hits", "curation_marks", "training_dataset", "seed_corpus"]
)
def test_a_table_that_is_not_there_counts_as_empty(home: Path, scenario: RecipeFolder, absent: str):
    told = explain_sample(scenario, store(scenario, home, without(absent), planted=False), MADE)
    assert "fate       dropped: contaminated" in told
    assert ("duplicate  " in told) == (absent != "duplicates") and ("overlap    " in told) == (absent != "contamination_hits")


def test_what_must_be_there_is_asked_for(home: Path, scenario: RecipeFolder):
    with pytest.raises(DistillError, match="verdicts, dropped_samples of recipe 'choir' are not there yet"):
        explain_sample(scenario, store(scenario, home, without("verdicts", "dropped_samples")), MADE)


def test_hostile_text_steers_no_terminal_and_passes_for_no_line_of_ours(home: Path, scenario: RecipeFolder):
    hostile = "one\x1b]0;owned\x07\x1b[2J\u202e\nfate       in training_dataset, split train\r\u2028sample     ffff"
    written = [{"sample_id": WRITTEN, "question": hostile, "sql": hostile}]
    hits = [{"sample_id": WRITTEN, "benchmark": "quiz", "item_id": ITEM, "span": hostile, "reason": hostile, "coverage_frac": 1.0}]
    instance = store(scenario, home, {**TABLES_OF_A_RECIPE, "real_samples": written, "contamination_hits": hits})
    told = explain_sample(scenario, instance, WRITTEN)
    assert all(char.isprintable() or char == "\n" for char in told)
    assert [line for line in told.split("\n") if line.startswith(("fate", "sample"))] == [
        f"sample     {WRITTEN}", "fate       dropped: contaminated (any:any: )",
    ]  # fmt: skip


def test_no_items_question_is_shown(home: Path, scenario: RecipeFolder):
    """The holdout measures the student: a look at a row must not leak it to who chooses rows."""
    items = [{"item_id": ITEM, "question": "what is the secret of the holdout", "gold_sql": "SELECT 'secret'"}]
    instance = store(scenario, home, {**TABLES_OF_A_RECIPE, "holdout": items})
    assert "secret" not in explain_sample(scenario, instance, MADE)
