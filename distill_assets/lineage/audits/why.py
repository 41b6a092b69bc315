"""Why a row is in a checkpoint: who wrote it, from which seeds, who judged it, what stood for it, what the optimizer saw of it.

Belongs here: one row's past by the ledger. Does not belong here: texts, which the ledger has none of (commands), or whole checkpoints
(manifest).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distill_assets.errors import LineageError
from distill_assets.lineage.audits.query import fetch, list_checkpoints
from distill_assets.lineage.chain import Event

# How far back a row's past is told: generations that came from generations.
MAX_DEPTH = 20
_ENDPOINT = """e.role, e.provider, e.requested_model, e.served_model, e.upstream, e.system_fingerprint, e.headers, e.family, e.licence,
  e.terms_url, e.terms_accepted_on"""


def find_row(connection: Any, events: Sequence[Event], row: str) -> dict[str, Any]:
    """All that the ledger knows of one generation.

    Args:
        row: its salted id.

    Raises:
        LineageError: the ledger does not know it.
    """
    generations = fetch(
        connection,
        f"""select g.*, {_ENDPOINT}, p.prompt_id, p.strategy from (select * from generation where generation_id = $row::uuid) g
          join endpoint e on e.endpoint_id = g.endpoint_id left join prompt p on p.prompt_key = g.prompt_key""",
        {"row": row},
    )
    if not generations:
        raise LineageError(
            f"the ledger knows no row {row}. Nothing was read. A row is named by its whole sample_id, as in training_dataset; "
            "distill sql lists them."
        )
    return {
        "row": row,
        "generation": generations[0],
        "recorded": _describe_event(events, generations[0]["event_seq"]),
        "parents": find_parents(connection, row),
        "judgments": _list_judgments(connection, row),
        "duplicates": _list_duplicates(connection, row),
        "hits": _list_hits(connection, row),
        "datasets": _list_datasets(connection, events, row),
        "exposures": _list_exposures(connection, events, row),
    }


def find_parents(connection: Any, row: str) -> list[dict[str, Any]]:
    """What a row was made from, over at most MAX_DEPTH steps: seeds with source and licence, generations with their teacher."""
    return find_parents_of(connection, [row])[row]


def find_parents_of(connection: Any, rows: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """`find_parents` of several rows.

    Step by step and by id, since a recursive query would read every derivation there is; the nearest way to a parent counts.
    """
    edges: dict[str, list[dict[str, Any]]] = {}
    frontier = sorted(set(rows))
    for _ in range(MAX_DEPTH):
        edges |= {child: [] for child in frontier}
        for edge in look_up(connection, "derivation", "child", frontier):
            edges[edge["child"]].append(edge)
        frontier = sorted({edge["parent"] for child in frontier for edge in edges[child]} - set(edges))
        if not frontier:
            break
    parents = {edge["parent"] for found in edges.values() for edge in found}
    told = sorted(look_up(connection, "seed", "seed_id", parents), key=lambda seed: seed["event_seq"])
    seeds = {seed["seed_id"]: seed for seed in told}  # what was told last of a seed counts
    teachers = name_teachers(connection, parents - set(seeds))
    nothing = dict.fromkeys(("source", "licence", "kind", "recipe"))

    def describe(edge: dict[str, Any]) -> dict[str, Any]:
        known = {name: seeds.get(edge["parent"], nothing)[name] for name in nothing}
        return {**edge, **known, "teacher": teachers.get(edge["parent"])}

    return {row: [describe(edge) for edge in _walk(edges, row)] for row in rows}


def _walk(edges: Mapping[str, list[dict[str, Any]]], row: str) -> list[dict[str, Any]]:
    """The edges that lead to a row, each with its depth, the nearest first."""
    found, seen, frontier = [], {row}, [row]
    for depth in range(1, MAX_DEPTH + 1):
        step = [{**edge, "depth": depth} for child in frontier for edge in edges.get(child, [])]
        found += sorted(step, key=lambda edge: (edge["role"], edge["parent"]))
        frontier = sorted({edge["parent"] for edge in step} - seen)
        seen.update(frontier)
    return found


def look_up(connection: Any, table: str, column: str, ids: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a table whose id is one of `ids`; where it is the first of the key, only their row groups are read."""
    wanted = sorted(set(ids))
    if not wanted:
        return []
    marks = ", ".join("?::uuid" for _ in wanted)
    return fetch(connection, f"select * from {table} where {column} in ({marks}) order by all", wanted)


def name_teachers(connection: Any, generations: Iterable[str]) -> dict[str, str]:
    """Generation -> who answered, by its own word where it said one."""
    rows = look_up(connection, "generation", "generation_id", generations)
    endpoints = {e["endpoint_id"]: e for e in look_up(connection, "endpoint", "endpoint_id", {row["endpoint_id"] for row in rows})}
    return {
        row["generation_id"]: endpoints[row["endpoint_id"]]["served_model"] or endpoints[row["endpoint_id"]]["requested_model"]
        for row in rows
        if row["endpoint_id"] in endpoints
    }


def describe_origins(connection: Any, rows: Sequence[str], before: int) -> dict[str, dict[str, Any]]:
    """Who wrote each of some rows, from which seeds, and who judged it.

    Args:
        rows: salted ids. before: place in the chain; later judgments do not count.

    Returns:
        id -> endpoint (its columns; empty when not recorded), seeds (seed_id, source, licence), judges (names).
    """
    generations = {row["generation_id"]: row for row in look_up(connection, "generation", "generation_id", rows)}
    endpoints = {
        e["endpoint_id"]: e
        for e in look_up(connection, "endpoint", "endpoint_id", {g["endpoint_id"] for g in generations.values()})
    }
    judged = [row for row in look_up(connection, "judgment", "generation_id", rows) if row["event_seq"] <= before]
    panels: dict[str, list[str]] = {}
    for member in look_up(connection, "panel", "panel_id", {row["panel_id"] for row in judged}):
        panels.setdefault(member["panel_id"], []).append(member["judge"])
    parents = find_parents_of(connection, rows)
    latest = {row["generation_id"]: row["panel_id"] for row in sorted(judged, key=lambda row: row["event_seq"])}
    return {
        row: {
            "endpoint": endpoints.get(generations[row]["endpoint_id"], {}) if row in generations else {},
            "seeds": [
                {"seed_id": parent["parent"], "source": parent["source"], "licence": parent["licence"]}
                for parent in parents[row]
                if parent["source"] is not None
            ],
            "judges": panels.get(latest.get(row, ""), []),
        }
        for row in rows
    }


def _list_judgments(connection: Any, row: str) -> list[dict[str, Any]]:
    rows = fetch(
        connection,
        """select j.event_seq, j.status, j.score, j.by_people, p.judge, p.layer from
          (select * from judgment where generation_id = $row::uuid) j left join panel p on p.panel_id = j.panel_id
          order by j.event_seq, p.layer, p.judge""",
        {"row": row},
    )
    by_event: dict[int, dict[str, Any]] = {}
    for found in rows:
        one = by_event.setdefault(found["event_seq"], {name: found[name] for name in ("event_seq", "status", "score", "by_people")})
        one.setdefault("judges", []).extend([found["judge"]] if found["judge"] else [])
    return list(by_event.values())


def _list_duplicates(connection: Any, row: str) -> list[dict[str, Any]]:
    return fetch(
        connection,
        """select run, 'stands for' as how, generation_id as other, duplicate_kind from duplicate where stands_for = $row::uuid
          union all select run, 'duplicate of', stands_for, duplicate_kind from duplicate where generation_id = $row::uuid
          order by run, how, other""",
        {"row": row},
    )


def _list_hits(connection: Any, row: str) -> list[dict[str, Any]]:
    return fetch(
        connection, "select benchmark, rule, action, run from hit where generation_id = $row::uuid order by all", {"row": row}
    )


def _list_datasets(connection: Any, events: Sequence[Event], row: str) -> list[dict[str, Any]]:
    found = fetch(
        connection,
        "select event_seq, split, row_digest from snapshot_row where generation_id = $row::uuid order by event_seq",
        {"row": row},
    )
    by_seq = {event.seq: event for event in events}
    return [
        {**item, "recipe": by_seq[item["event_seq"]].recipe, "data_version": by_seq[item["event_seq"]].facts["data_version"],
         "screened": _name_screened(events, by_seq[item["event_seq"]])}
        for item in found if item["event_seq"] in by_seq
    ]  # fmt: skip


def _name_screened(events: Sequence[Event], dataset: Event) -> list[str]:
    runs = [e for e in events if e.kind == "decontamination" and e.recipe == dataset.recipe and e.seq < dataset.seq]
    return [f"{item['name']}@{str(item['version'])[:12]}" for item in runs[-1].facts["benchmarks"]] if runs else []


def _list_exposures(connection: Any, events: Sequence[Event], row: str) -> list[dict[str, Any]]:
    found = fetch(
        connection,
        """select checkpoint_id, n_times, n_tokens, n_loss_tokens, is_truncated, first_step from exposure
          where generation_id = $row::uuid""",
        {"row": row},
    )
    # In the order of their training: an id is no order, and an answer given once keeps its place.
    names = _name_checkpoints(connection, events).items()
    return [{**item, "checkpoint": name} for key, name in names for item in found if item["checkpoint_id"] == key]


def _name_checkpoints(connection: Any, events: Sequence[Event]) -> dict[str, str]:
    known = list_checkpoints(events)
    salted = fetch(connection, "select salted(unnest($ids::varchar[])) as id", {"ids": [e.facts["checkpoint"] for e in known]})
    return {row["id"]: f"{e.recipe}@{e.facts['checkpoint'][:12]}" for row, e in zip(salted, known, strict=True)}


def _describe_event(events: Sequence[Event], seq: int) -> dict[str, Any]:
    event = next(event for event in events if event.seq == seq)
    return {"seq": seq, "at": event.at, "recipe": event.recipe, "run_id": event.dagster.get("run_id")}
