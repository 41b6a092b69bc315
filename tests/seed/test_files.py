"""Input files are untrusted: each kind reads as rows with places, and bad bytes end with file and line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from distill_assets.errors import SeedError
from distill_assets.seed import files
from distill_assets.seed.files import find_files, read_rows


def read(file: Path) -> list[tuple[int, dict]]:
    return [(row.line, row.values) for row in read_rows(file)]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_jsonl_rows_keep_their_line_and_blank_lines_are_no_rows(tmp_path: Path):
    assert read(write(tmp_path, "a.jsonl", '\ufeff{"text": "a"}\n\n  \n{"text": "b"}')) == [(1, {"text": "a"}), (4, {"text": "b"})]


def test_a_line_separator_inside_a_text_does_not_part_a_line(tmp_path: Path):
    assert read(write(tmp_path, "a.jsonl", '{"text": "a\u2028b\x0bc"}\r\n'.replace("\x0b", "\\u000b"))) == [
        (1, {"text": "a\u2028b\x0bc"})
    ]


@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_text_has_a_row_for_each_paragraph(tmp_path: Path, suffix: str):
    found = read(write(tmp_path, f"a{suffix}", "\n\nfirst\nstill first\n\n\n  second \n"))
    assert found == [(3, {"text": "first still first"}), (7, {"text": "second"})]


def test_csv_and_parquet_have_a_row_for_each_row(tmp_path: Path):
    frame = pl.DataFrame({"text": ["a, b", "1"], "kind": ["topic", None]})
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    expected = [(1, {"text": "a, b", "kind": "topic"}), (2, {"text": "1", "kind": None})]
    assert read(tmp_path / "a.csv") == expected
    assert read(tmp_path / "a.parquet") == expected


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": \n', r"a.jsonl:2: not JSON"),
        ("a.jsonl", '{"text": "a"}\n[1]\n', r"a.jsonl:2: expected an object, got list"),
        ("a.jsonl", '{"text": "a"}\nnull\n', r"a.jsonl:2: expected an object, got NoneType"),
        ("a.jsonl", "[" * 100_000 + "\n", r"a.jsonl:1: not JSON"),
        ("a.jsonl", '{"a":' * 50_000 + "\n", r"a.jsonl:1: not JSON"),
        ("a.jsonl", b'{"text": "\xff\xfe"}\n', r"a.jsonl: not UTF-8"),
        ("a.txt", b"ok\n\xe9t\xe9\n", r"a.txt: not UTF-8"),
        ("a.csv", b"text\n\xff\n", r"a.csv: not UTF-8"),
        ("a.parquet", b"PAR1 not really PAR1", r"a.parquet: cannot be read as parquet"),
        ("a.csv", "", r"a.csv: cannot be read as csv"),
        ("a.xlsx", "x", r"a.xlsx: kind '.xlsx' is not one of"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str | bytes, words: str):
    with pytest.raises(SeedError, match=words):
        read(write(tmp_path, name, content))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.parquet"])
def test_a_missing_file_is_named(tmp_path: Path, name: str):
    with pytest.raises(SeedError, match=rf"{name}: cannot be read \(No such file"):
        read(tmp_path / name)


def test_a_repeated_key_in_one_object_is_not_silently_the_last(tmp_path: Path):
    with pytest.raises(SeedError, match=r"a.jsonl:1: .*'text' twice"):
        read(write(tmp_path, "a.jsonl", '{"text": "a", "text": "b"}'))


BOUNDED = """
import resource, sys
from pathlib import Path
from distill_assets.errors import SeedError
from distill_assets.seed.files import read_rows
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    list(read_rows(Path(sys.argv[1])))
except SeedError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_a_line_of_50_mb_is_refused_in_bounded_memory(tmp_path: Path, name: str):
    file = write(tmp_path, name, b'{"text": "' + b"x" * (50 << 20) + b'"}\n')
    found = subprocess.run([sys.executable, "-c", BOUNDED, str(file)], capture_output=True, text=True, check=True, timeout=60)
    grown_kib, _, words = found.stdout.partition(" ")
    assert f"{name}:1: the line is longer than" in words
    assert int(grown_kib) < 16 << 10


def test_a_file_over_the_size_limit_is_refused_unread(tmp_path: Path):
    file = tmp_path / "a.jsonl"
    with file.open("wb") as handle:
        handle.truncate(files.MAX_FILE_BYTES + 1)
    with pytest.raises(SeedError, match="is over the limit"):
        read(file)


def test_an_unterminated_quote_in_a_csv_is_an_error_and_no_abort(tmp_path: Path):
    file = write(tmp_path, "a.csv", 'text,kind\n"never closed,topic\n' + "more,rows\n" * 1000)
    with pytest.raises(SeedError, match=r"a\.csv"):
        read(file)


def test_links_are_not_followed(tmp_path: Path):
    (tmp_path / "seeds").mkdir()
    (tmp_path / "real.jsonl").write_text('{"text": "a"}')
    (tmp_path / "seeds" / "a.jsonl").symlink_to(tmp_path / "real.jsonl")
    with pytest.raises(SeedError, match=r"a\.jsonl: is a link"):
        find_files(tmp_path, ("seeds/*",))
    with pytest.raises(SeedError, match="is a link"):
        read(tmp_path / "seeds" / "a.jsonl")


def test_a_linked_folder_is_not_followed_either(tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.jsonl").write_text('{"text": "a"}')
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "seeds").symlink_to(tmp_path / "outside")
    with pytest.raises(SeedError, match="is a link"):
        find_files(tmp_path / "recipe", ("seeds/*",))


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "seeds/../../*"])
def test_a_pattern_that_leads_out_is_refused(tmp_path: Path, pattern: str):
    with pytest.raises(SeedError, match="leads out of the recipe folder"):
        find_files(tmp_path, (pattern,))


def test_files_are_found_once_sorted_and_without_hidden_ones(tmp_path: Path):
    for name in ("b.jsonl", "a.jsonl", ".hidden.jsonl", "c.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "d.jsonl").mkdir()
    assert [file.name for file in find_files(tmp_path, ("*.jsonl", "a*", "c.txt"))] == ["a.jsonl", "b.jsonl", "c.txt"]


def test_a_pattern_without_a_match_is_an_error(tmp_path: Path):
    with pytest.raises(SeedError, match=r"no file matches 'seeds/\*'"):
        find_files(tmp_path, ("seeds/*",))


def test_json_escapes_survive(tmp_path: Path):
    text = 'quote " backslash \\ tab \t snowman ☃'
    assert read(write(tmp_path, "a.jsonl", json.dumps({"text": text}))) == [(1, {"text": text})]
