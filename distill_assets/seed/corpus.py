"""From seed files to the seed_corpus table.

Belongs here: what a seed row means, its id, and when two are the same. Does not belong here: bytes
(files) or prompts made from seeds (generate).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from distill_assets.errors import SeedError
from distill_assets.identity import make_id
from distill_assets.seed.files import UNTOUCHED, FileRow, find_files, read_rows, refuse_unknown, take_text
from distill_assets.tables import SEED_CORPUS, build_frame

FIELDS = ("database", "kind", "text", "licence")
KINDS = ("topic", "question", "document")
MAX_SEED_CHARS = 8_000


def load_seed_corpus(folder: Path, patterns: tuple[str, ...], databases: list[str], licence: str) -> pl.DataFrame:
    """Read all seed files of a recipe folder into seed_corpus.

    Args:
        folder: recipe folder. patterns: globs relative to it.
        databases: the recipe's database names; a row without a database takes the only one there is.
        licence: licence of rows that name none.

    Raises:
        SeedError: an unreadable, malformed or repeated row, by file and line; or no row at all.
    """
    seen: dict[str, FileRow] = {}
    rows = []
    for file in find_files(folder, patterns):
        for row in read_rows(file):
            seed = read_seed(row, databases, licence)
            refuse_repeat(seen, str(seed["seed_id"]), row)
            rows.append(seed | {"source_file": str(file.relative_to(folder))})
    if not rows:
        raise SeedError(f"{folder}: the seed files {', '.join(patterns)} hold no row. {UNTOUCHED}")
    return build_frame(SEED_CORPUS, rows)


def refuse_repeat(seen: dict[str, FileRow], id_: str, row: FileRow) -> None:
    """Refuse a row whose id was seen before, naming both places; note it otherwise.

    Raises:
        SeedError: the same content stands twice.
    """
    if id_ in seen:
        first = seen[id_]
        raise SeedError(
            f"{row.file}:{row.line}: repeats {first.file}:{first.line} (id {id_[:12]}). {UNTOUCHED} Remove one of them."
        )
    seen[id_] = row


def read_seed(row: FileRow, databases: list[str], licence: str) -> dict[str, object]:
    """Return one row as a seed with its id.

    Raises:
        SeedError: an unknown or bad field, by file and line.
    """
    refuse_unknown(row, FIELDS)
    text = take_text(row, "text", MAX_SEED_CHARS)
    database = take_database(row, databases)
    kind = row.values.get("kind") or "document"
    if kind not in KINDS:
        raise SeedError(f"{row.file}:{row.line}: kind {kind!r} is not one of {', '.join(KINDS)}. {UNTOUCHED}")
    return {
        "seed_id": make_id("seed", database, kind, text),
        "database": database,
        "kind": kind,
        "text": text,
        "licence": take_text(row, "licence") if row.values.get("licence") is not None else licence,
    }


def take_database(row: FileRow, databases: list[str]) -> str:
    """Return the row's database, or the recipe's only one.

    Raises:
        SeedError: the recipe has several and the row names none, or one that it does not have.
    """
    database = row.values.get("database")
    if database is None and len(databases) == 1:
        return databases[0]
    if database not in databases:
        shown = "nothing" if database is None else repr(database)[:60]
        raise SeedError(f"{row.file}:{row.line}: field 'database' must be one of {', '.join(databases)}, got {shown}. {UNTOUCHED}")
    return str(database)
