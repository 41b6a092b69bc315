"""All that led to a checkpoint, step by step, each with its place in the chain and the run that did it.

Belongs here: which events had a part in a checkpoint. Does not belong here: the figures, which its lineage holds (manifest), or wording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill_assets.lineage.audits.query import fetch, find_dataset, list_checkpoints
from distill_assets.lineage.audits.taint import Edge, find_edges, name_salted
from distill_assets.lineage.chain import Event
from distill_assets.lineage.manifest import build_manifest

# Steps in the order of the tale -> kind of event; a step's last event before the dataset counts.
STEPS = ("seeds", "generations", "verdicts", "duplicates", "decontamination")
SINCE = ("tombstone", "tombstone_lifted", "erasure")


def find_story(connection: Any, events: Sequence[Event], checkpoint: Event) -> dict[str, Any]:
    """A checkpoint's past.

    Returns:
        lineage (as build_manifest gives it), ancestors (checkpoint, how, through), steps (step -> events), written_by (events that
        recorded the rows of its dataset, with how many), since (withdrawals and erasures after it).
    """
    dataset = find_dataset(events, checkpoint)
    own, before = checkpoint.facts["checkpoint"], dataset.seq if dataset else checkpoint.seq
    steps: dict[str, list[dict[str, Any]]] = {kind: _find_steps(events, kind, checkpoint.recipe, before) for kind in STEPS}
    steps["dataset"] = [describe_event(dataset)] if dataset else []
    steps["checkpoint"] = [describe_event(checkpoint)]
    for kind in ("evaluation", "manifest"):
        steps[kind] = [describe_event(event) for event in events if event.kind == kind and event.facts.get("checkpoint") == own]
    since = [e for e in events if e.kind in SINCE and e.seq > checkpoint.seq and e.recipe in (None, checkpoint.recipe)]
    return {
        "lineage": build_manifest(connection, events, checkpoint),
        "ancestors": _find_ancestors(connection, events, own),
        "steps": steps,
        "written_by": _count_writers(connection, events, checkpoint),
        "since": [describe_event(event) | {"facts": event.facts} for event in since],
    }


def describe_event(event: Event) -> dict[str, Any]:
    """An event's place, time, run and figures."""
    told = {name: event.dagster.get(name) for name in ("asset", "run_id", "data_version", "code_version")}
    return {"seq": event.seq, "at": event.at, "kind": event.kind, **told, "counts": _count(event.facts)}


def _count(facts: Mapping[str, Any]) -> dict[str, int]:
    return {name: value for name, value in facts.items() if name.startswith("n_") and isinstance(value, int)}


def _find_steps(events: Sequence[Event], kind: str, recipe: str | None, before: int) -> list[dict[str, Any]]:
    """The last event of each asset that is of this kind: what people wrote comes beside what teachers did."""
    last = {
        event.dagster.get("asset"): event
        for event in events
        if event.kind == kind and event.recipe == recipe and event.seq < before
    }
    return [describe_event(event) for event in sorted(last.values(), key=lambda event: event.seq)]


def _count_writers(connection: Any, events: Sequence[Event], checkpoint: Event) -> list[dict[str, Any]]:
    rows = fetch(
        connection,
        """select g.event_seq as seq, count(*) as n_rows from
          (select generation_id from snapshot_row where snapshot_id = salted(?)) r
          join generation g on g.generation_id = r.generation_id group by 1 order by 1""",
        [checkpoint.facts["data_version"]],
    )
    by_seq = {event.seq: event for event in events}
    return [describe_event(by_seq[row["seq"]]) | {"n_rows": row["n_rows"]} for row in rows if row["seq"] in by_seq]


def _find_ancestors(connection: Any, events: Sequence[Event], own: str) -> list[dict[str, Any]]:
    """The checkpoints it starts from or was taught by, and theirs, the nearest first."""
    known = list_checkpoints(events)
    names = {event.facts["checkpoint"]: f"{event.recipe}@{event.facts['checkpoint'][:12]}" for event in known}
    edges: list[Edge] = find_edges(connection, known, name_salted(connection, names))
    found, frontier, seen = [], [own], {own}
    while frontier:
        nearest = [edge for edge in edges if edge.child in frontier and edge.parent not in seen]
        for edge in nearest:
            if edge.parent not in seen:
                found.append({"checkpoint": names[edge.parent], "how": edge.how, "of": names[edge.child]})
                seen.add(edge.parent)
        frontier = [edge.parent for edge in nearest]
    return found
