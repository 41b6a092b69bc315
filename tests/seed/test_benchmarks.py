"""Benchmarks: read from files of the recipe or a data set, or the run stops."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from distill_assets.curation import BenchmarkSpec
from distill_assets.errors import ContaminationError
from distill_assets.identity import make_id
from distill_assets.seed.benchmarks import load_benchmarks
from distill_assets.tables import BENCHMARK_ITEMS, check_frame

ROWS = [
    {"q": "What is coring?", "choices": ["a", "b"], "answer": 1},
    {"q": "What  is\ncoring?", "choices": ["c", "d"], "answer": 0},
    {"q": "def f(x):\n    return x", "choices": ["e", "f"], "answer": 0},
]
NAMES = {"question": "q", "choices": "choices", "answer": "answer"}


def write_rows(folder: Path, kind: str, rows: list[dict]) -> Path:
    file = folder / f"items.{kind}"
    if kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "parquet":
        pl.DataFrame(rows).write_parquet(file)
    else:
        pl.DataFrame([row | {"choices": json.dumps(row["choices"])} for row in rows]).write_csv(file)
    return file


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_a_file_becomes_items_and_equal_questions_one_item(tmp_path: Path, kind: str):
    file = write_rows(tmp_path, kind, ROWS)
    items = load_benchmarks(tmp_path, {"mmlu": BenchmarkSpec(file=file.name, version="v1", **NAMES)})
    check_frame(BENCHMARK_ITEMS, items)
    by_question = {row["question"]: row for row in items.iter_rows(named=True)}
    assert set(by_question) == {"What is coring?", "def f(x):\n    return x"}
    first = by_question["What is coring?"]
    assert first["item_id"] == make_id("mmlu", "What is coring?")
    assert json.loads(first["choices"]) == ["a", "b"]
    assert first["answer"] == ("1" if kind == "csv" else "b")  # a CSV file holds texts alone
    assert (first["version"], first["digest"]) == ("v1", hashlib.sha256(file.read_bytes()).hexdigest())


def test_benchmarks_stand_beside_each_other_in_one_table(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"question": "one two"}\n')
    specs = {name: BenchmarkSpec(file="a.jsonl") for name in ("y", "x")}
    items = load_benchmarks(tmp_path, specs)
    assert items["benchmark"].to_list() == ["x", "y"]
    assert items["item_id"].n_unique() == 2
    assert items["answer"].to_list() == [None, None]


def test_no_benchmark_is_an_empty_table(tmp_path: Path):
    check_frame(BENCHMARK_ITEMS, load_benchmarks(tmp_path, {}))


def test_a_pinned_file_must_have_the_pinned_bytes(tmp_path: Path):
    file = write_rows(tmp_path, "jsonl", ROWS)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_benchmarks(tmp_path, {"m": BenchmarkSpec(file=file.name, sha256=digest, **NAMES)}).height == 2
    with pytest.raises(ContaminationError, match=rf"benchmark m.*SHA-256 is {digest}, not 0000.*does not skip"):
        load_benchmarks(tmp_path, {"m": BenchmarkSpec(file=file.name, sha256="0" * 64, **NAMES)})


@pytest.mark.parametrize(
    ("text", "names", "said"),
    [
        ("", {}, "holds no item"),
        ('{"question": " "}\n', {}, "a.jsonl:1.*non-empty text"),
        ('{"question": null}\n', {}, "got nothing"),
        ('{"question": "x"}\n{"other": "y"}\n', {}, "a.jsonl:2: no field 'question'; there are other"),
        ('{"question": "x"}\n', {"answer": "gold"}, "no field 'gold'"),
        ('{"question": "x", "c": "yes"}\n', {"choices": "c"}, "no JSON list"),
        ('{"question": "x", "c": [1]}\n', {"choices": "c"}, "must be a list of texts"),
        ("not json\n", {}, "a.jsonl:1: not JSON"),
    ],
)
def test_what_cannot_be_protected_stops_the_run(tmp_path: Path, text: str, names: dict, said: str):
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(ContaminationError, match=f"benchmark b: .*{said}"):
        load_benchmarks(tmp_path, {"b": BenchmarkSpec(file="a.jsonl", **names)})


def test_links_and_paths_that_lead_out_are_refused(tmp_path: Path):
    folder, outside = tmp_path / "recipe", tmp_path / "outside.jsonl"
    folder.mkdir()
    outside.write_text('{"question": "x"}\n')
    (folder / "link.jsonl").symlink_to(outside)
    for file, said in (
        ("../outside.jsonl", "leads out"),
        (str(outside), "leads out"),
        ("link.jsonl", "link"),
        ("no.jsonl", "no file"),
    ):
        with pytest.raises(ContaminationError, match=said):
            load_benchmarks(folder, {"b": BenchmarkSpec(file=file)})


def test_a_pattern_that_matches_two_files_names_no_benchmark(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"question": "x"}\n')
    with pytest.raises(ContaminationError, match=r"matches a\.jsonl, b\.jsonl: write one file"):
        load_benchmarks(tmp_path, {"b": BenchmarkSpec(file="*.jsonl")})


PROGRAM = """
from pathlib import Path
from distill_assets.curation import BenchmarkSpec
from distill_assets.errors import ContaminationError
from distill_assets.seed.benchmarks import load_benchmarks
try:
    items = load_benchmarks(Path("."), {"sums": BenchmarkSpec(hub="owner/sums", revision="0" * 40, answer="answer")})
    print("READ", items.select("question", "answer", "version").rows())
except ContaminationError as error:
    print("REFUSED", error)
"""


def read_in_child(folder: Path, **environment: str) -> str:
    """In a child, since the library reads its environment when it is imported."""
    names = os.environ | {"HF_HOME": str(folder / "hf"), "PYTHONPATH": str(Path.cwd())} | environment
    child = subprocess.run([sys.executable, "-c", PROGRAM], env=names, cwd=folder, capture_output=True, text=True, timeout=55)
    return child.stdout or child.stderr


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_stops_the_run(tmp_path: Path):
    said = read_in_child(tmp_path, HF_ENDPOINT="http://127.0.0.1:1", HF_HUB_OFFLINE="0")  # nothing listens on port 1
    assert said.startswith("REFUSED benchmark sums: data set owner/sums at 0000"), said
    assert "put the items into a file of the recipe" in said


def test_a_data_set_becomes_items(tmp_path: Path):
    """A folder with a data set's files in the place of the hub: the same library reads it."""
    (tmp_path / "owner" / "sums").mkdir(parents=True)
    (tmp_path / "owner" / "sums" / "test.jsonl").write_text('{"question": "one and one", "answer": 2}\n')
    assert read_in_child(tmp_path) == f"READ [('one and one', '2', '{'0' * 40}')]\n"
