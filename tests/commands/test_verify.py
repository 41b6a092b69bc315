"""`distill verify`: a file of answers against each verifier, and what is said of rows that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from distill_assets.cli import main


def run(folder: Path, rows: list[object], *arguments: str) -> tuple[int, str, list[dict]]:
    file, out = folder / "answers.jsonl", folder / "out.jsonl"
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    result = CliRunner().invoke(main, ["verify", str(file), "--out", str(out), *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []
    return result.exit_code, result.output, found


def test_verdicts_are_written_in_order_and_counted(tmp_path: Path):
    rows = [{"id": "a", "answer": "it is 4", "gold": "4"}, {"answer": "5", "gold": 4}, {"answer": "4", "gold": "four"}]
    code, output, found = run(tmp_path, rows, "--verifier", "numeric")
    assert code == 0 and "rows       3" in output and "passed     1       33.3%" in output and "5 is not 4" in output
    assert [(row["line"], row.get("id"), row["status"], row["score"]) for row in found] == [
        (1, "a", "passed", 1.0), (2, None, "failed", 0.0), (3, None, "unscored", None),
    ]  # fmt: skip
    first = (tmp_path / "out.jsonl").read_bytes()
    run(tmp_path, rows, "--verifier", "numeric")
    assert (tmp_path / "out.jsonl").read_bytes() == first


def test_rows_that_cannot_be_read_are_named_and_the_others_verified(tmp_path: Path):
    rows = [{"answer": "4", "gold": "4"}, "{", "", [1], {"gold": "4"}, {"answer": 4, "gold": "4"}]
    code, output, found = run(tmp_path, rows, "--verifier", "exact")
    assert code == 1 and "unreadable 4" in output and [row["status"] for row in found] == ["passed"]
    for line, words in ((2, "not JSON"), (4, "got list"), (5, "got null"), (6, "got 4")):
        assert any(f"answers.jsonl:{line}: " in told and words in told for told in output.splitlines())


@pytest.mark.parametrize(
    ("verifier", "answer", "gold", "arguments"),
    [
        ("choice", "The answer is (B)", "B", []), ("normalized_text", "The cat!", "cat", []), ("math", "2*sqrt(2)", "sqrt(8)", []),
        ("json", '{"b": 1, "a": 2}', {"a": 2, "b": 1}, []), ("numeric", "3.3", "3.33", ["-o", "relative_tolerance=0.02"]),
        ("sql", "SELECT COUNT(id) FROM t", "SELECT COUNT(*) FROM t", ["--database", "t.sql"]),
        ("python", "def f(x):\n    return x + 1", {"entry": "f", "cases": [{"args": [1], "expected": 2}]}, []),
    ],
)  # fmt: skip
def test_each_verifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verifier: str, answer: str, gold: object, arguments: list[str]
):
    monkeypatch.chdir(tmp_path)
    Path("t.sql").write_text(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t SELECT i FROM range(5) r(i);", encoding="utf-8"
    )
    code, output, found = run(
        tmp_path, [{"answer": answer, "gold": gold}, {"answer": "", "gold": gold}], "--verifier", verifier, *arguments
    )
    assert code == 0, output
    assert [row["status"] for row in found] == ["passed", "failed"]
    assert ("sandbox    tier " in output) == (verifier == "python")


def test_a_schema_comes_from_a_file(tmp_path: Path):
    (tmp_path / "schema.json").write_text('{"type": "object", "required": ["id"]}', encoding="utf-8")
    rows = [{"answer": '{"id": 1}'}, {"answer": "{}"}]
    _, _, found = run(tmp_path, rows, "--verifier", "json", "-o", f"schema=@{tmp_path}/schema.json")
    assert [row["status"] for row in found] == ["passed", "failed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--verifier", "nope"], "no verifier 'nope'"), (["--verifier", "sql"], "needs a database"),
        (["--verifier", "exact", "--database", "x.sql"], "takes no --database"), (["--verifier", "sql", "--database", "gone.sql"], "no such file"),
        (["--verifier", "numeric", "-o", "speed=3"], "do not fit"), (["--verifier", "numeric", "-o", "speed"], "not NAME=VALUE"),
        (["--verifier", "numeric", "-o", "relative_tolerance=wide"], "do not fit"), (["--verifier", "json", "-o", "schema=@gone"], "cannot be read"),
        (["--verifier", "choice", "-o", "letters=A1"], "2 to 26 letters"), (["--verifier", "python", "-o", "cpu_s=-1"], "do not fit"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_and_nothing_is_written(tmp_path: Path, arguments: list[str], words: str):
    code, output, found = run(tmp_path, [{"answer": "1", "gold": "1"}], *arguments)
    assert code == 1 and words in output and "Traceback" not in output and not found


def test_files_that_cannot_be_read_or_hold_nothing(tmp_path: Path):
    assert "no rows" in run(tmp_path, [], "--verifier", "exact")[1]
    (tmp_path / "bad").write_bytes(b"\xff")
    for name, words in (("gone", "cannot be read"), ("bad", "not UTF-8")):
        result = CliRunner().invoke(main, ["verify", str(tmp_path / name), "--verifier", "exact"])
        assert result.exit_code == 1 and words in result.output
    file = tmp_path / "answers.jsonl"
    file.write_text('{"answer": "1", "gold": "1"}\n', encoding="utf-8")
    result = CliRunner().invoke(main, ["verify", str(file), "--verifier", "exact", "--out", str(tmp_path / "no" / "x.jsonl")])
    assert result.exit_code == 1 and "cannot be written" in result.output
