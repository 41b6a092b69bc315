"""What a withdrawal touches: checkpoints trained on it, those that start from them, and those that they taught.

Belongs here: the blast radius. Does not belong here: what is rebuilt.

A checkpoint is touched directly by its own rows, by initialisation from a touched one, and by a teacher that is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from distill_assets.lineage.audits.query import fetch, list_checkpoints
from distill_assets.lineage.chain import Event
from distill_assets.lineage.terms import CHECKPOINT
from distill_assets.lineage.tombstones import Selector, Touched, evaluated_on, find_touched

DIRECT, INIT, TEACHER, EVALUATED = "direct", "initialised from", "taught by", "evaluated on"
# A recipe gives at least so much of a checkpoint's id (TermsSpec.checkpoint).
MIN_ID_CHARS = 12


class Taint(NamedTuple):
    """How a checkpoint is touched: its id and name, how, from which checkpoint (None: its own rows), and how much."""

    checkpoint: str
    name: str
    how: str
    through: str | None
    n_rows: int | None
    n_tokens: int | None
    n_loss_tokens: int | None
    share_frac: float | None


class Edge(NamedTuple):
    """A checkpoint (child) that another one (parent) had a part in."""

    child: str
    parent: str
    how: str


def find_taint(connection: Any, events: Sequence[Event], selector: Selector) -> list[Taint]:
    """The checkpoints that a withdrawal touches, oldest first; the nearest reason of each."""
    known = list_checkpoints(events)
    names = {event.facts["checkpoint"]: f"{event.recipe}@{event.facts['checkpoint'][:12]}" for event in known}
    salted = name_salted(connection, names)
    found = {t.checkpoint: t for t in _find_direct(connection, selector, names, salted)}
    edges = find_edges(connection, known, salted)
    frontier = [one for one in found if found[one].how == DIRECT]
    while frontier:
        nearest = [edge for edge in edges if edge.parent in frontier and edge.child not in found]
        for edge in nearest:
            found.setdefault(edge.child, Taint(edge.child, names[edge.child], edge.how, names[edge.parent], *[None] * 4))
        frontier = [edge.child for edge in nearest]
    return [found[one] for one in names if one in found]


def name_salted(connection: Any, checkpoints: Iterable[str]) -> dict[str, str]:
    """The ledger's id of each checkpoint -> its own id."""
    rows = fetch(connection, "select unnest(?::varchar[]) as id, salted(unnest(?::varchar[])) as salted", [list(checkpoints)] * 2)
    return {row["salted"]: row["id"] for row in rows}


def _find_direct(connection: Any, selector: Selector, names: dict[str, str], salted: dict[str, str]) -> list[Taint]:
    if selector.kind == "benchmark":
        counted = {own: evaluated_on(connection, selector.value, ledger_id) for ledger_id, own in salted.items()}
        return [Taint(own, names[own], EVALUATED, None, n, None, None, None) for own, n in counted.items() if n]
    touched = {salted[t.checkpoint_id]: t for t in find_touched(connection, selector) if t.checkpoint_id in salted}
    return [_describe(own, names[own], touched[own]) for own in names if own in touched]


def _describe(own: str, name: str, touched: Touched) -> Taint:
    return Taint(own, name, DIRECT, None, touched.n_rows, touched.n_tokens, touched.n_loss_tokens, touched.share_frac)


def find_edges(connection: Any, known: Sequence[Event], salted: dict[str, str]) -> list[Edge]:
    """All parts that checkpoints had in others: as the weights they start from, and as their teachers."""
    ids = [event.facts["checkpoint"] for event in known]
    edges = [
        Edge(event.facts["checkpoint"], parent, INIT)
        for event in known
        if (parent := event.facts["student"].get("parent_checkpoint")) in ids
    ]
    weights = name_weights(known)
    taught = fetch(
        connection,
        """select distinct m.checkpoint_id, e.base_lineage, e.served_model, e.requested_model from mix m
          join endpoint e on e.endpoint_id = m.endpoint_id""",
    )
    for row in taught:
        parents = {own for own in ids if is_checkpoint(row, own, weights[own])}
        edges += [
            Edge(salted[row["checkpoint_id"]], parent, TEACHER) for parent in sorted(parents) if row["checkpoint_id"] in salted
        ]
    return edges


def name_weights(known: Iterable[Event]) -> dict[str, str]:
    """Each checkpoint -> SHA-256 of its weights."""
    return {event.facts["checkpoint"]: event.facts["weights_sha256"] for event in known}


def is_checkpoint(endpoint: Mapping[str, Any], checkpoint: str, weights_sha256: str) -> bool:
    """Whether an endpoint is a checkpoint: by its terms, or since the name that it answers to has the id or the weights' digest."""
    spoken = f"{endpoint['served_model']} {endpoint['requested_model']}"
    told = any(_names(origin, checkpoint) for origin in endpoint["base_lineage"] or [])
    return told or checkpoint in spoken or bool(weights_sha256 and weights_sha256 in spoken)


def _names(text: str, checkpoint: str) -> bool:
    """Whether an origin is `checkpoint:` and an id's beginning, as long as a recipe has to give it."""
    beginning = text.removeprefix(CHECKPOINT)
    return text.startswith(CHECKPOINT) and len(beginning) >= MIN_ID_CHARS and checkpoint.startswith(beginning)


def find_tainted_teachers(connection: Any, events: Sequence[Event], tainted: Iterable[str]) -> list[dict[str, Any]]:
    """Endpoints that are a tainted checkpoint, with the rows that they wrote."""
    rows = fetch(
        connection,
        """select e.requested_model, e.served_model, e.base_lineage, n.n_rows from endpoint e
          join (select endpoint_id, sum(n_rows)::bigint as n_rows from mix group by 1) n on n.endpoint_id = e.endpoint_id
          order by 1, 2, e.endpoint_id""",
    )
    weights = name_weights(list_checkpoints(events))
    return [
        {"teacher": row["served_model"] or row["requested_model"], "checkpoint": own, "n_rows": row["n_rows"]}
        for row in rows
        for own in tainted
        if is_checkpoint(row, own, weights[own])
    ]
