"""`distill new-recipe`: a recipe folder of one's own, over the example or over one's own database.

Belongs here: building the database once, and writing the folder whole or not at all. Does not belong
here: the text of its files (recipes/starting, suggestions, example).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distill_assets.config import BUILT_IN_RECIPE, built_in_recipe
from distill_assets.databases import Schema, read_schema
from distill_assets.errors import DatabaseSourceError, RecipeError, StorageError
from distill_assets.prompts import find_lock, lock_text
from distill_assets.recipes.example import EXAMPLE_DATABASE, EXAMPLE_HOLDOUT, EXAMPLE_SETTINGS, EXAMPLE_TOPICS
from distill_assets.recipes.starting import render_recipe
from distill_assets.recipes.suggestions import make_example_items, make_topics, render_rows
from distill_assets.storage import write_text
from distill_assets.teachers import NAME_PATTERN

EXAMPLE_NAME = "garden_school"
NEXT_AFTER_EXAMPLE = """\
{folder} is written, over a small example database. It runs as it is:
  distill run --recipe {folder}
Then make it yours: databases/, seeds/ and holdout.jsonl; distill check-recipe {folder} says what is missing."""
NEXT_AFTER_DATABASE = """\
{folder} is written: {n_tables} tables, {n_topics} topics made from their names in seeds/topics.jsonl.
What only you can add:
  1. holdout.jsonl is empty. Write 30 or more real questions with their right query there; the form is in
     holdout.example.jsonl. Nothing runs without it: it is what the student is measured on.
  2. seeds/: topics and questions in the words that people use. More seeds, more variety.
  3. COMMENT ON tables and columns, if there are none yet: the teacher reads them. (In an SQL script; SQLite has none.)
Then:
  distill check-recipe {folder}
  distill run --recipe {folder}
It stands at scale tiny, which checks the plumbing; set scale: full in recipe.yaml to learn for real."""


def write_recipe(name: str, parent: Path, database: Path | None) -> str:
    """Write `parent`/`name` and return what to do next.

    Args:
        database: a DuckDB or SQLite file or an SQL script, which is copied; None takes the example.

    Raises:
        RecipeError: a bad name, or the folder is there. DatabaseSourceError: the database cannot be read.
        StorageError: the folder cannot be written. In each case nothing is left behind.
    """
    _check_name(name)
    target = parent / name
    if target.exists() or target.is_symlink():
        raise RecipeError(f"{target} is already there. Nothing was written. Choose another name, or remove it first.")
    schema = _read_database(database) if database is not None else None
    with _published(target) as draft:
        if database is None or schema is None:
            _write_example(draft, name, target)
            return NEXT_AFTER_EXAMPLE.format(folder=target)
        n_topics = _write_own(draft, name, target, database, schema)
        return NEXT_AFTER_DATABASE.format(folder=target, n_tables=len(schema.tables), n_topics=n_topics)


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise RecipeError(f"recipe name {name!r} must match {NAME_PATTERN}: letters, digits and _. Nothing was written.")
    if name == BUILT_IN_RECIPE:
        raise RecipeError(f"'{name}' is the built-in recipe. Nothing was written. Choose another name.")


def _read_database(database: Path) -> Schema:
    """Build the database in a temporary folder and return its card."""
    from distill_assets.verifiers.sql.instances import build_database

    if not database.is_file():
        raise DatabaseSourceError(f"{database}: no such file. Nothing was written. Correct --database.")
    name = _name_database(database)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / f"{name}.duckdb"
        build_database(database, built)
        return read_schema(name, built)


def _name_database(database: Path) -> str:
    """The file's name as a database name: letters, digits and _."""
    words = re.sub(r"\W+", "_", database.stem, flags=re.ASCII).strip("_").lower()[:50]
    return words if re.match(r"[a-z]", words) else f"db_{words}".rstrip("_")


@contextmanager
def _published(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside `target` that becomes `target` when the block ends well."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    made = not target.parent.exists()
    try:
        draft.mkdir(parents=True)
        yield draft
        draft.rename(target)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}. Nothing was left there. "
            "Free disk space or fix the permissions, or choose another place with --folder."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if made and target.parent.is_dir() and not any(target.parent.iterdir()):
            target.parent.rmdir()


def _write_example(draft: Path, name: str, target: Path) -> None:
    source = f"databases/{EXAMPLE_NAME}.sql"
    write_text(draft / source, EXAMPLE_DATABASE)
    topics = [{"database": EXAMPLE_NAME, "kind": "topic", "text": text} for text in EXAMPLE_TOPICS]
    items = [{"database": EXAMPLE_NAME, "question": asked, "gold_sql": sql} for asked, sql in EXAMPLE_HOLDOUT.items()]
    write_text(draft / "seeds" / "topics.jsonl", render_rows(topics))
    write_text(draft / "holdout.jsonl", render_rows(items))
    _write_common(draft, name, target, {EXAMPLE_NAME: source}, EXAMPLE_SETTINGS)


def _write_own(draft: Path, name: str, target: Path, database: Path, schema: Schema) -> int:
    source = f"databases/{schema.name}{database.suffix.lower()}"
    (draft / "databases").mkdir()
    shutil.copyfile(database, draft / source)
    topics = make_topics(schema)
    write_text(draft / "seeds" / "topics.jsonl", render_rows(topics))
    write_text(draft / "holdout.jsonl", "")
    write_text(draft / "holdout.example.jsonl", render_rows(make_example_items(schema)))
    _write_common(draft, name, target, {schema.name: source}, {})
    return len(topics)


def _write_common(draft: Path, name: str, target: Path, databases: Mapping[str, str], settings: Mapping[str, Any]) -> None:
    for folder in ("prompts", "rubrics"):
        for file in sorted((built_in_recipe(BUILT_IN_RECIPE) / folder).glob("*.v*.*")):
            write_text(draft / folder / file.name, file.read_text(encoding="utf-8"))
        write_text(find_lock(draft / folder), lock_text(draft / folder))
    write_text(draft / "recipe.yaml", render_recipe(name, str(target), databases, settings))
