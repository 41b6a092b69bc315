"""`distill lineage why`: a row's past, a checkpoint's, and where words of an output stand in what it was trained on.

Belongs here: putting ledger, tables and questions together. Does not belong here: the questions (lineage/audits, lineage/trace) or
wording (showing, telling).

The ledger has no text. A row's own words come from the workspace's tables as long as they are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from distill_assets.commands.lineage import telling
from distill_assets.commands.lineage.audit import open_own
from distill_assets.commands.lineage.selecting import find_row
from distill_assets.commands.lineage.showing import show_row
from distill_assets.commands.lineage.tracing import trace_output
from distill_assets.config import RecipeFolder
from distill_assets.identity import ID_CHARS
from distill_assets.lineage.audits import why as past
from distill_assets.lineage.audits.query import find_checkpoint
from distill_assets.lineage.audits.story import find_story
from distill_assets.lineage.ids import salted
from distill_assets.storage import Workspace, list_versions, scan_table
from distill_assets.tables import RAW_GENERATIONS, REAL_SAMPLES, TableSpec

TEXTS = ("question", "sql", "response_id", "database")


def ask_row(folder: RecipeFolder, row: str) -> tuple[dict[str, Any], str]:
    """All that is known of one row, as data and in words.

    Args:
        row: its sample_id, or a unique beginning of it.

    Raises:
        LineageError: no such row, or several.
    """
    workspace, ledger = open_own()
    identifier = find_row(row, "generation", ledger, workspace, folder.recipe)
    events = ledger.events()
    with ledger.connect() as connection:
        found = past.find_row(connection, events, identifier)
    texts = _find_texts(workspace, folder.recipe.name, row, ledger.salt(), identifier)
    return {**found, "texts": texts}, "\n".join([show_row(found, row), *telling.tell_texts(texts)])


def _find_texts(workspace: Workspace, recipe: str, beginning: str, salt: bytes, identifier: str) -> dict[str, Any] | None:
    """What the newest table that still has the row says of it; None where none has."""
    for table, key, answer in ((RAW_GENERATIONS, "generation_id", "completion"), (REAL_SAMPLES, "sample_id", "sql")):
        for version in reversed(list_versions(workspace, recipe, table.name)):
            rows = _read_rows(workspace, recipe, table, version, key, beginning)
            if own := [found for found in rows if salted(salt, found[key]) == identifier]:
                told = {**own[0], "sql": own[0][answer]}
                return {"sample_id": own[0][key], **{name: told.get(name) for name in TEXTS}, "table": f"{table.name}/{version}"}
    return None


def _read_rows(
    workspace: Workspace, recipe: str, table: TableSpec, version: str, key: str, beginning: str
) -> Sequence[Mapping[str, Any]]:
    is_it = pl.col(key) == beginning if len(beginning) == ID_CHARS else pl.col(key).str.starts_with(beginning)
    rows = scan_table(workspace, recipe, table, version).filter(is_it)
    wanted = [name for name in (key, "question", "completion", "sql", "response_id", "database") if name in table.fields]
    return rows.select(wanted).collect().to_dicts()


def ask_checkpoint(checkpoint: str | None) -> tuple[dict[str, Any], str]:
    """All that led to a checkpoint, as data and in words.

    Raises:
        LineageError: no such checkpoint, or several.
    """
    _, ledger = open_own()
    events = ledger.events()
    with ledger.connect() as connection:
        story = find_story(connection, events, find_checkpoint(events, checkpoint))
    return story, telling.tell_story(story)


def ask_output(checkpoint: str | None, text: str) -> tuple[dict[str, Any], str]:
    """The training rows that hold words of something the student wrote, as data and in words.

    Raises:
        LineageError: no such checkpoint, an output without words, or a dataset that is gone.
    """
    found = trace_output(checkpoint, text)
    return found, telling.tell_trace(found)
