"""Prompts: locked once used, filled in one pass, rendered on one line."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.errors import PromptLockError, RecipeError
from distill_assets.prompts import fill, load_prompt, lock_text, read_lock, render_student_completion, render_student_prompt

TEXT = "---\nrole: teacher\n---\n# system\nBe {{mood}}.\n# user\nSay {{what}}.\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "ask.v1.md").write_text(TEXT)
    return tmp_path


def lock(recipe: Path) -> Path:
    file = recipe / "prompts" / "prompts.lock"
    file.write_text(lock_text(recipe / "prompts"))
    return file


def test_a_prompt_is_its_roles_and_its_content(recipe: Path):
    prompt = load_prompt(recipe, "ask.v1")
    assert (prompt.system, prompt.user) == ("Be {{mood}}.", "Say {{what}}.")
    before = prompt.prompt_id
    (recipe / "prompts" / "ask.v1.md").write_text(TEXT + "More.")
    assert before.startswith("ask.v1#")
    assert load_prompt(recipe, "ask.v1").prompt_id != before


def test_a_heading_inside_a_text_parts_nothing(recipe: Path):
    (recipe / "prompts" / "ask.v1.md").write_text("---\na: b\n---\n# user\nOne\n## system\n# users\nTwo\n")
    assert load_prompt(recipe, "ask.v1").user == "One\n## system\n# users\nTwo"


def test_a_locked_prompt_that_was_edited_is_refused(recipe: Path):
    lock(recipe)
    load_prompt(recipe, "ask.v1")
    (recipe / "prompts" / "ask.v1.md").write_text(TEXT + " ")
    with pytest.raises(PromptLockError, match=r"ask.v1.md differs from prompts.lock .*Copy the file to a new version"):
        load_prompt(recipe, "ask.v1")


def test_a_new_version_beside_a_locked_one_is_free(recipe: Path):
    lock(recipe)
    (recipe / "prompts" / "ask.v2.md").write_text(TEXT + "more")
    load_prompt(recipe, "ask.v2")


@pytest.mark.parametrize("content", ["no hash here at all\n", "abc\n", "\xff\xfe", "abc ask.v1\n"])
def test_a_damaged_lock_is_an_error_and_no_free_pass(recipe: Path, content: str):
    lock(recipe).write_bytes(content.encode("latin-1"))
    with pytest.raises(PromptLockError, match=r"prompts.lock"):
        load_prompt(recipe, "ask.v1")


def test_a_lock_is_read_back(recipe: Path):
    lock(recipe)
    assert list(read_lock(recipe / "prompts")) == ["ask.v1"]
    assert read_lock(recipe) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# user\nno front matter\n", "needs front matter"),
        (b"---\njust text\n---\n# user\nx\n", "needs front matter"),
        (b"---\na: [\n---\n# user\nx\n", "front matter"),
        (b"---\na: b\n---\n# system\nx\n", "needs a heading '# user'"),
        (b"---\na: \xff\n---\n", "cannot be read"),
    ],
)
def test_a_malformed_prompt_is_refused(recipe: Path, content: bytes, words: str):
    (recipe / "prompts" / "ask.v1.md").write_bytes(content)
    with pytest.raises(RecipeError, match=words):
        load_prompt(recipe, "ask.v1")


@pytest.mark.parametrize("name", ["gone.v1", "../../etc/passwd"])
def test_a_missing_prompt_is_named(recipe: Path, name: str):
    with pytest.raises(RecipeError, match="cannot be read"):
        load_prompt(recipe, name)


@given(st.text(), st.text())
def test_a_value_is_never_read_as_a_template(one, two):
    assert fill("{{a}}|{{b}}|{a}", {"a": one, "b": two}) == f"{one}|{two}|{{a}}"


def test_a_value_with_a_placeholder_stays_as_it_is():
    assert fill("{{a}} {{b}}", {"a": "{{b}}", "b": "x"}) == "{{b}} x"


def test_an_unknown_placeholder_is_refused():
    with pytest.raises(RecipeError, match=r"prompt names \{\{c\}\}; known are a, b"):
        fill("{{c}}", {"a": "", "b": ""})


def test_the_students_prompt_is_one_line_and_a_marker():
    assert render_student_prompt("shop", " how \n many ", []) == "shop: how many\nSQL:"
    assert render_student_prompt("shop", "how many", ["a = 'b'", "c = 'd'"]) == "shop: how many [a = 'b'; c = 'd']\nSQL:"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT\n  'a  b' AS x,\n\t2",
        "SELECT 'it''s -- no comment' -- a comment\n, 2",
        'SELECT 1 AS "odd  name -- x" /* a\ncomment */ , 3',
        "SELECT '/* no comment */', -- 'no string\n 4",
        "SELECT 5 -- the end",
    ],
)
def test_a_query_on_one_line_says_the_same(sql: str):
    rendered = render_student_completion(sql)
    assert rendered.startswith(" SELECT")
    assert "\n" not in rendered
    assert duckdb.sql(rendered).fetchall() == duckdb.sql(sql).fetchall()
    assert duckdb.sql(rendered).columns == duckdb.sql(sql).columns
    assert render_student_completion(rendered) == rendered
