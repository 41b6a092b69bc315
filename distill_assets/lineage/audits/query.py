"""Reading the ledger: rows as dicts, ids as hex, and which event speaks of a checkpoint.

Belongs here: what all audits do. Does not belong here: any question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from distill_assets.errors import LineageError, name_culprits
from distill_assets.lineage.chain import Event


def fetch(connection: Any, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[dict[str, Any]]:
    """Run a query; UUIDs come as 32 hex characters."""
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in cursor.fetchall()]


def _plain(value: object) -> object:
    return value.hex if isinstance(value, UUID) else value


def list_checkpoints(events: Iterable[Event], recipe: str | None = None) -> list[Event]:
    """The first event of each checkpoint, oldest first."""
    found: dict[str, Event] = {}
    for event in events:
        if event.kind == "checkpoint" and (recipe is None or event.recipe == recipe):
            found.setdefault(event.facts["checkpoint"], event)
    return list(found.values())


def find_checkpoint(events: Sequence[Event], named: str | None, recipe: str | None = None) -> Event:
    """The checkpoint that an id's beginning, or recipe@beginning, names; without a name the newest.

    Raises:
        LineageError: there is none, or there are several.
    """
    known = list_checkpoints(events, recipe)
    if not known:
        raise LineageError("the ledger knows no checkpoint yet. Nothing was read. Run: distill run")
    if named is None:
        return known[-1]
    owner, _, beginning = named.rpartition("@")
    hits = [e for e in known if e.facts["checkpoint"].startswith(beginning) and owner in ("", e.recipe)] if beginning else []
    if len(hits) == 1:
        return hits[0]
    shown = name_culprits([f"{e.recipe}@{e.facts['checkpoint'][:12]}" for e in (hits or known)])
    wrong = f"{len(hits)} checkpoints begin with" if hits else "no checkpoint is called"
    raise LineageError(f"{wrong} {named!r}. Nothing was read. Known: {shown}")


def find_last(events: Iterable[Event], kind: str, recipe: str, before: int) -> Event | None:
    """The last event of a kind for a recipe before a place in the chain."""
    hits = [event for event in events if event.kind == kind and event.recipe == recipe and event.seq < before]
    return hits[-1] if hits else None


def find_versions_at(events: Iterable[Event], place: Event) -> dict[str, str]:
    """Data version of each asset of an event's recipe that was the latest when the event was recorded."""
    told = [e for e in events if e.recipe == place.recipe and e.seq <= place.seq and e.dagster.get("asset")]
    return {str(event.dagster["asset"]): str(event.dagster["data_version"]) for event in told}


def find_dataset(events: Iterable[Event], checkpoint: Event) -> Event | None:
    """The event that recorded the rows which a checkpoint was trained on."""
    version = checkpoint.facts["data_version"]
    hits = [e for e in events if e.kind == "dataset" and e.recipe == checkpoint.recipe and e.facts.get("data_version") == version]
    return hits[0] if hits else None
