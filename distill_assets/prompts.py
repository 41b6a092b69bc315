"""Prompts as files: reading, locking, filling, and the student's own prompt.

Belongs here: `prompts/<name>.vN.md` with front matter, `prompts.lock`, one-pass substitution.
Does not belong here: the wording itself (recipe folders) or any call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from distill_assets.errors import PromptLockError, RecipeError
from distill_assets.identity import hash_text

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
LOCK_LINE = re.compile(r"([0-9a-f]{64}) +(\S+)")
# Quoted text of a query, which stays as it is, or a stretch of comments and white space between.
SQL_SPACE = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|(?:--[^\n]*|/\*.*?\*/|\s)+""", flags=re.DOTALL)


class Prompt(NamedTuple):
    """One prompt file: id with version and content hash, and the text of each role."""

    prompt_id: str
    system: str
    user: str


def load_prompt(recipe_path: Path, name: str) -> Prompt:
    """Read `prompts/<name>.md` and check it against `prompts/prompts.lock`.

    Raises:
        RecipeError: missing or malformed file.
        PromptLockError: the file differs from its locked hash.
    """
    file = recipe_path / "prompts" / f"{name}.md"
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file}: prompt '{name}' cannot be read: {error}. Nothing was run.") from error
    sha = hash_text(text)
    check_lock(file, name, sha)
    parts = re.split(r"^# (system|user)\s*$", _strip_front_matter(file, text), flags=re.MULTILINE)
    roles = dict(zip(parts[1::2], parts[2::2], strict=True))
    if "user" not in roles:
        raise RecipeError(f"{file}: needs a heading '# user' (and may have '# system'). Nothing was run.")
    return Prompt(f"{name}#{sha[:12]}", roles.get("system", "").strip(), roles["user"].strip())


def _strip_front_matter(file: Path, text: str) -> str:
    match = re.match(r"---\n(.*?)\n---\n(.*)", text, flags=re.DOTALL)
    try:
        is_mapping = match is not None and isinstance(yaml.safe_load(match[1]), dict)
    except yaml.YAMLError:
        is_mapping = False
    if match is None or not is_mapping:
        raise RecipeError(f"{file}:1: needs front matter between --- lines (role, inputs, output). Nothing was run.")
    return match[2]


def check_lock(file: Path, name: str, sha: str) -> None:
    """Refuse a released prompt or rubric whose text is no longer the locked one.

    Raises:
        PromptLockError: the file differs from its locked hash.
    """
    locked = read_lock(file.parent).get(name)
    if locked is not None and locked != sha:
        lock = find_lock(file.parent).name
        raise PromptLockError(
            f"{file} differs from {lock} ({locked[:8]} -> {sha[:8]}). What was made with the locked "
            f"text was left untouched. Copy the file to a new version and name that in recipe.yaml; "
            f"delete its line in {lock} only if '{name}' was never used."
        )


def find_lock(folder: Path) -> Path:
    """The lock of a folder of released files: prompts/prompts.lock, rubrics/rubrics.lock."""
    return folder / f"{folder.name}.lock"


def read_lock(folder: Path) -> dict[str, str]:
    """Return file name without ending -> sha256 of the folder's lock; empty when there is none.

    Raises:
        PromptLockError: it cannot be read as a lock, so that it protects nothing.
    """
    file = find_lock(folder)
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8", errors="replace")
    locked = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = LOCK_LINE.fullmatch(line.strip())
        if match is None:
            raise PromptLockError(
                f"{file}:{number}: expected a sha256 and a prompt's name, got {line[:80]!r}. Nothing was run. "
                "Restore the file from version control; delete it only if no prompt was used yet."
            )
        locked[match[2]] = match[1]
    return locked


def lock_text(folder: Path) -> str:
    """Return the lock of all prompts or rubrics in `folder`, one `sha256 name` a line."""
    files = sorted(file for ending in ("md", "yaml") for file in folder.glob(f"*.v*.{ending}"))
    return "".join(f"{hash_text(file.read_text(encoding='utf-8'))} {file.stem}\n" for file in files)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Substitute `{{name}}` in one pass, so that a value is never read as a template.

    Raises:
        RecipeError: the template names a value that is not given.
    """
    unknown = sorted(set(PLACEHOLDER.findall(template)) - set(values))
    if unknown:
        raise RecipeError(f"prompt names {{{{{unknown[0]}}}}}; known are {', '.join(sorted(values))}. Nothing was run.")
    return PLACEHOLDER.sub(lambda match: values[match[1]], template)


def render_student_prompt(database: str, question: str, hints: list[str]) -> str:
    """Return what the student reads: database, question, and what of the database it mentions.

    The form is short on purpose: a small student pays for each token, and it learns its databases by
    heart. `hints` are those of linking.link_question: values, columns, tables and joins.
    """
    linked = f" [{'; '.join(hints)}]" if hints else ""
    return f"{database}: {' '.join(question.split())}{linked}\nSQL:"


def render_student_completion(sql: str) -> str:
    """Return what the student writes, on one line; the trainer adds the end-of-text token."""
    return f" {SQL_SPACE.sub(lambda match: match[1] or ' ', sql).strip()}"
