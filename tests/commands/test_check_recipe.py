"""`distill check-recipe` finds what is wrong, all of it, by file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from distill_assets.cli import main
from distill_assets.commands.check_recipe import check
from tests.scenario import write_scenario


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_scenario(tmp_path / "recipe").path


def append(file: Path, *rows: dict | str) -> None:
    with file.open("a", encoding="utf-8") as handle:
        handle.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def test_a_good_recipe_is_summed_up(folder: Path):
    problems, words = check(folder)
    assert problems == []
    assert "6 seeds, 6 holdout items" in words
    assert "ase model tiny" in words


def test_problems_in_every_part_are_all_found(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    append(folder / "recipe.yaml", "teacher: {model: gpt-x, api_key_env: NO_SUCH_KEY}")
    append(folder / "seeds" / "seeds.jsonl", {"database": "moon", "text": "x"}, {"database": "choir", "txt": "y"})
    append(folder / "seeds" / "more.jsonl", "{broken")
    append(
        folder / "holdout.jsonl",
        {"database": "choir", "question": "", "gold_sql": "SELECT 1"},
        {"database": "choir", "question": "who sings", "gold_sql": "SELECT nobody FROM singers"},
        {"database": "choir", "question": "who pays", "gold_sql": "DROP TABLE singers"},
    )
    (folder / "prompts" / "prompts.lock").write_text("0" * 64 + " write_sample.v1\n")
    problems, _ = check(folder)
    expected = [
        "prompts.lock",
        "NO_SUCH_KEY",
        "seeds.jsonl:7: field 'database' must be one of choir, got 'moon'",
        "seeds.jsonl:8: unknown field 'txt'",
        "more.jsonl:1: not JSON",
        "holdout.jsonl:7: field 'question'",
        "holdout.jsonl:8: fails on instance 0: unknown_name",
        "holdout.jsonl:9: fails on instance 0: not_select",
    ]
    missing = [words for words in expected if not any(words in problem for problem in problems)]
    assert missing == []


def test_a_database_that_fails_hides_no_other(folder: Path):
    text = (
        (folder / "recipe.yaml")
        .read_text()
        .replace("{choir: databases/choir.sql}", "{choir: databases/choir.sql, b: b.sql, c: c.sql}")
    )
    (folder / "recipe.yaml").write_text(text)
    (folder / "c.sql").write_text("CREATE TABLE t (")
    problems, _ = check(folder)
    assert len(problems) == 2
    assert "b.sql is not there" in problems[0]
    assert "c.sql does not load" in problems[1]


def test_yaml_mistakes_are_named_by_line(folder: Path):
    append(folder / "recipe.yaml", "instances: many", "scales: tiny")
    problems, _ = check(folder)
    lines = (folder / "recipe.yaml").read_text().splitlines()
    assert any(f"recipe.yaml:{lines.index('instances: many') + 1}: instances:" in p for p in problems)
    assert any(f"recipe.yaml:{lines.index('scales: tiny') + 1}: scales: unknown field" in p for p in problems)


def test_a_prompt_with_an_unknown_placeholder_is_a_problem(folder: Path):
    prompt = folder / "prompts" / "write_sample.v1.md"
    prompt.write_text(prompt.read_text() + "\n{{topic}}\n")
    assert any("{{topic}}" in problem for problem in check(folder)[0])


def test_many_problems_are_cut_and_counted(folder: Path):
    append(folder / "seeds" / "seeds.jsonl", *[{"database": "moon", "text": f"t{i}"} for i in range(80)])
    problems, _ = check(folder)
    assert len(problems) == 51
    assert problems[-1] == "and 30 more"


def test_nothing_is_left_behind(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    before = sorted(folder.rglob("*"))
    check(folder)
    assert sorted(folder.rglob("*")) == before
    assert list((tmp_path / "t").iterdir()) == []


def test_on_the_command_line_problems_are_exit_code_1(folder: Path):
    assert CliRunner().invoke(main, ["check-recipe", str(folder)]).exit_code == 0
    (folder / "holdout.jsonl").write_text("")
    found = CliRunner().invoke(main, ["check-recipe", str(folder)])
    assert found.exit_code == 1
    assert "0 items" in found.output
    missing = CliRunner().invoke(main, ["check-recipe", str(folder / "nowhere")])
    assert missing.exit_code == 1
    assert "cannot be read" in missing.output


def test_what_curation_names_is_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "no models"))
    (folder / "empty.jsonl").write_text("")
    (folder / "real.jsonl").write_text('{"database": "choir", "question": "who sings", "sql": "SELECT nobody FROM singers"}\n')
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        recipe.read_text()
        + """
curate:
  embedding: {}
  contamination:
    arbiter: {model: some-judge, endpoint: openai, api_key_env: NO_SUCH_KEY}
    prompt: no_such_prompt.v1
    benchmarks: {gone: {file: gone.jsonl}, empty: {file: empty.jsonl}}
  mix: {real_samples: [real.jsonl]}
"""
    )
    problems, _ = check(folder)
    for wanted in ("gone.jsonl", "empty.jsonl", "minilm-l6-v2", "no_such_prompt", "NO_SUCH_KEY", "real.jsonl:1"):
        assert any(wanted in problem for problem in problems), wanted
    assert len(problems) == 6
