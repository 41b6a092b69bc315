"""Seeds: what a row means, what it is called, and that nothing is skipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_assets.errors import SeedError
from distill_assets.seed.corpus import load_seed_corpus
from distill_assets.tables import SEED_CORPUS, check_frame, hash_frame


def write_rows(folder: Path, *rows: dict, name: str = "seeds.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def load(folder: Path, *patterns: str, databases: tuple[str, ...] = ("shop", "clinic")):
    return load_seed_corpus(folder, patterns or ("*.jsonl",), list(databases), "CC0-1.0")


A = {"database": "shop", "kind": "topic", "text": "orders"}
B = {"database": "clinic", "kind": "question", "text": "how many visits?", "licence": "MIT"}


def test_rows_become_the_table(tmp_path: Path):
    frame = load(write_rows(tmp_path, A, B, {"database": "shop", "text": "  a \n document  "}))
    check_frame(SEED_CORPUS, frame)
    found = {(r["database"], r["kind"], r["text"], r["licence"]) for r in frame.iter_rows(named=True)}
    assert found == {
        ("shop", "topic", "orders", "CC0-1.0"),
        ("clinic", "question", "how many visits?", "MIT"),
        ("shop", "document", "a document", "CC0-1.0"),
    }


def test_neither_order_nor_file_nor_white_space_changes_the_version(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    write_rows(one, A, B)
    write_rows(two, B, name="b.jsonl")
    write_rows(two, A | {"text": " orders "}, name="a.jsonl")
    versions = {hash_frame(SEED_CORPUS, load(folder)) for folder in (one, two)}
    assert len(versions) == 1


@pytest.mark.parametrize("change", [{"text": "order"}, {"database": "clinic"}, {"kind": "document"}])
def test_what_a_seed_says_is_its_id(tmp_path: Path, change: dict):
    ids = set(load(write_rows(tmp_path, A, A | change))["seed_id"])
    assert len(ids) == 2


def test_with_one_database_a_row_need_not_name_it(tmp_path: Path):
    (tmp_path / "notes.md").write_text("# Orders\n\nCustomers place orders.\n")
    assert set(load(tmp_path, "*.md", databases=("shop",))["database"]) == {"shop"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"kind": "topic", "text": "x"}, r":2: field 'database' must be one of shop, clinic, got nothing"),
        (A | {"database": "moon"}, r":2: field 'database' must be one of shop, clinic, got 'moon'"),
        (A | {"database": ["shop"]}, r":2: field 'database' must be one of"),
        (A | {"kind": "idea"}, r":2: kind 'idea' is not one of topic, question, document"),
        (A | {"kind": ["topic"]}, r":2: kind \['topic'\] is not one of"),
        ({"database": "shop"}, r":2: field 'text' must be a non-empty text, got nothing"),
        (A | {"text": "  "}, r":2: field 'text' must be a non-empty text"),
        (A | {"text": 7}, r":2: field 'text' must be a non-empty text, got 7"),
        (A | {"text": "x" * 8001}, r":2: field 'text' has 8,001 characters, over 8,000"),
        (A | {"textt": "x"}, r":2: unknown field 'textt'; known are database, kind, text, licence"),
        (A | {"text": "x", "licence": 7}, r":2: field 'licence'"),
        (A, r"seeds.jsonl:2: repeats seeds.jsonl:1"),
        (A | {"licence": "MIT", "text": " orders"}, r"seeds.jsonl:2: repeats seeds.jsonl:1"),
    ],
)
def test_a_bad_row_stops_the_run_with_its_line(tmp_path: Path, row: dict, words: str):
    with pytest.raises(SeedError, match=words) as caught:
        load(write_rows(tmp_path, A, row))
    assert "Nothing was generated" in str(caught.value)


def test_a_row_repeated_in_another_file_names_both(tmp_path: Path):
    write_rows(tmp_path, A, name="a.jsonl")
    write_rows(tmp_path, B, A, name="b.jsonl")
    with pytest.raises(SeedError, match=r"b.jsonl:2: repeats a.jsonl:1"):
        load(tmp_path)


def test_no_row_at_all_is_an_error(tmp_path: Path):
    with pytest.raises(SeedError, match="hold no row"):
        load(write_rows(tmp_path))
