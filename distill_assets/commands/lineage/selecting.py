"""What a command line names: selectors of withdrawals, rows, checkpoints.

Belongs here: options into selectors, and ids from their beginnings. Does not belong here: what is done with them.

The ledger has salted ids, which have no beginnings in common with ours; so a beginning is looked up in the recipe's tables, and a
whole id needs no table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import click
import polars as pl

from distill_assets.config import Recipe
from distill_assets.errors import LineageError, name_culprits
from distill_assets.identity import ID_CHARS
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.tombstones import ROW_SELECTORS, SELECTORS, Selector
from distill_assets.storage import Workspace, list_versions, scan_table
from distill_assets.tables import RAW_GENERATIONS, REAL_SAMPLES, SEED_CORPUS

# Folder of erasures that were begun.
PENDING = "erasing"
MEANINGS = {
    "teacher": "a teacher as the recipe names it, with version",
    "served": "the model that answered, by its own word",
    "fingerprint": "an endpoint's system fingerprint",
    "judge": "a judge as verdicts names it, with version",
    "licence": "all seeds, and all teachers' outputs, under a licence",
    "benchmark": "a benchmark, as name or name@version: its figures are void",
    "source": "a file of seeds inside the recipe",
    "seed": "one seed, by its id or a unique beginning of it",
    "generation": "one generation, by its id or a unique beginning of it",
}


def selector_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that name what is withdrawn."""
    for name in reversed(SELECTORS):
        command = click.option(f"--{name}", metavar="VALUE", help=f"Name {MEANINGS[name]}.")(command)
    return command


def read_selector(options: Mapping[str, Any], ledger: Ledger, workspace: Workspace, recipe: Recipe) -> Selector:
    """The one selector that the options name; rows by their salted ids.

    Raises:
        LineageError: none or several are named, or nothing in the ledger has that name.
    """
    named = [(name, options[name]) for name in SELECTORS if options.get(name)]
    if len(named) != 1:
        known = ", ".join(f"--{name}" for name in SELECTORS)
        raise LineageError(f"{len(named)} things are named, and one is needed. Nothing was done. Use one of {known}.")
    kind, value = named[0]
    if kind in ROW_SELECTORS:
        return Selector(kind, find_row(value, kind, ledger, workspace, recipe))
    return Selector(kind, value)


def find_row(beginning: str, kind: str, ledger: Ledger, workspace: Workspace, recipe: Recipe) -> str:
    """The salted id of a seed or generation.

    Raises:
        LineageError: none or several have an id that begins so.
    """
    if not re.fullmatch(rf"[0-9a-f]{{4,{ID_CHARS}}}", beginning):
        raise LineageError(f"{beginning!r} is no id: 4 to {ID_CHARS} characters of 0-9 and a-f. Nothing was done.")
    salt = ledger.salt()
    if len(beginning) == ID_CHARS:
        return salted(salt, beginning)
    found = sorted(
        _list_ids(workspace, recipe.name, kind, beginning) | _list_pending(workspace, recipe.name, kind, beginning, salt)
    )
    if len(found) != 1:
        shown = name_culprits(found) or "none"
        raise LineageError(
            f"{len(found)} {kind}s of recipe '{recipe.name}' have an id that begins with {beginning}: {shown}. Nothing was done. "
            "Give more of it; of a row that is in no table any more, give all of it."
        )
    return salted(salt, found[0])


def _list_ids(workspace: Workspace, recipe: str, kind: str, beginning: str) -> set[str]:
    tables = {"seed": ((SEED_CORPUS, "seed_id"),), "generation": ((RAW_GENERATIONS, "generation_id"), (REAL_SAMPLES, "sample_id"))}
    found: set[str] = set()
    for table, column in tables[kind]:
        for version in list_versions(workspace, recipe, table.name):
            rows = scan_table(workspace, recipe, table, version).select(column).filter(pl.col(column).str.starts_with(beginning))
            found |= set(rows.collect()[column])
    return found


def _list_pending(workspace: Workspace, recipe: str, kind: str, beginning: str, salt: bytes) -> set[str]:
    """Rows whose erasure was begun and not ended: they can be gone from every table by now, and the same command has to go on."""
    found: set[str] = set()
    for file in workspace.folder(PENDING, recipe).glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):  # of a damaged one the erasure itself speaks
            data = json.loads(file.read_text(encoding="utf-8"))
            selector = data["plan"]["selector"]
            ids = [i for i in data["texts"]["row_ids"] if i.startswith(beginning) and selector["kind"] == kind]
            found |= {i for i in ids if salted(salt, i) == selector["value"]}
    return found


def check_known(selector: Selector, connection: Any) -> None:
    """Refuse what nothing in the ledger is called: a typing error must not look like a clean audit.

    Raises:
        LineageError: naming what is known.
    """
    known = {
        "teacher": "select distinct requested_model from endpoint where role <> 'judge'",
        "served": "select distinct served_model from endpoint where served_model is not null",
        "fingerprint": "select distinct system_fingerprint from endpoint where system_fingerprint is not null",
        "judge": "select distinct judge from panel",
        "licence": "select distinct licence from seed where licence is not null union select distinct licence from endpoint where licence is not null",
        "benchmark": "select distinct benchmark from evaluation union select distinct benchmark || '@' || version from evaluation",
        "source": "select distinct source from seed",
    }
    if selector.kind in ROW_SELECTORS:
        table, column = {"seed": ("seed", "seed_id"), "generation": ("generation", "generation_id")}[selector.kind]
        [[n]] = connection.execute(f"select count(*) from {table} where {column} = ?::uuid", [selector.value]).fetchall()
        if not n:
            raise LineageError(f"the ledger knows no such {selector.kind}. Nothing was done. Look at: distill sql 'from {table}s'")
        return
    values = sorted(row[0] for row in connection.execute(known[selector.kind]).fetchall())
    if selector.value not in values:
        raise LineageError(
            f"the ledger knows no {selector.kind} {selector.value!r}. Nothing was done. Known: {name_culprits(values) or 'none'}"
        )
