"""Tombstones: what was withdrawn, for ever on record, and which rows it names.

Belongs here: selectors, reading tombstones from the chain, and which rows of tables and of the ledger they name. Does not belong here:
what is rebuilt (commands/lineage) or shown.

A selector names what must go: a teacher as the recipe names it, a served model, a fingerprint, a judge, a licence, a benchmark, a
source file of seeds, or one seed or generation. Ids of rows are stored salted. A tombstone can be lifted; both stay on record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import polars as pl

from distill_assets.identity import make_id
from distill_assets.lineage.audits.query import fetch
from distill_assets.lineage.chain import Event

SELECTORS = ("teacher", "served", "fingerprint", "judge", "licence", "benchmark", "source", "seed", "generation")
ROW_SELECTORS = ("seed", "generation")


class Selector(NamedTuple):
    """What is withdrawn: one of SELECTORS, and its value; of a seed or generation the salted id."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class Tombstone(NamedTuple):
    """A withdrawal: its id, what, why, by whom, when, and where it stands in the chain."""

    id: str
    selector: Selector
    reason: str
    by: str
    at: str
    seq: int


def name_tombstone(selector: Selector) -> str:
    """A tombstone's id; the same withdrawal twice is one."""
    return make_id("tombstone", *selector)


def list_tombstones(events: Iterable[Event]) -> list[Tombstone]:
    """Those in force, oldest first."""
    found: dict[str, Tombstone] = {}
    for event in events:
        facts = event.facts
        if event.kind == "tombstone":
            one = Tombstone(facts["tombstone_id"], Selector(**facts["selector"]), facts["reason"], facts["by"], event.at, event.seq)
            found.setdefault(one.id, one)
        elif event.kind == "tombstone_lifted":
            found.pop(facts["tombstone_id"], None)
    return list(found.values())


# Which rows of `mix` a selector names. A seed and a generation need the rows themselves.
_MIX = {
    "teacher": "m.endpoint_id in (select endpoint_id from endpoint where role <> 'judge' and requested_model = $value)",
    "served": "m.endpoint_id in (select endpoint_id from endpoint where role <> 'judge' and served_model = $value)",
    "fingerprint": "m.endpoint_id in (select endpoint_id from endpoint where role <> 'judge' and system_fingerprint = $value)",
    "licence": "(m.licence = $value or m.endpoint_id in (select endpoint_id from endpoint where role <> 'judge' and licence = $value))",
    "source": "m.source = $value",
    "judge": "m.panel_id in (select panel_id from panel where judge = $value)",
}
# What was told last of a seed counts: a licence can have been put right.
LATEST_SEEDS = "(select * from seed qualify row_number() over (partition by seed_id, recipe order by event_seq desc) = 1)"
_BY_ENDPOINT = "select generation_id from generation where endpoint_id in (select endpoint_id from endpoint where role <> 'judge' and {} = $value)"
# The rows that a selector names themselves; what was derived from them goes with them.
_NAMED = {
    "teacher": _BY_ENDPOINT.format("requested_model"),
    "served": _BY_ENDPOINT.format("served_model"),
    "fingerprint": _BY_ENDPOINT.format("system_fingerprint"),
    "licence": _BY_ENDPOINT.format("licence") + f" union select seed_id from {LATEST_SEEDS} where licence = $value",
    "source": f"select seed_id from {LATEST_SEEDS} where source = $value",
    "seed": "select $value::uuid",
    "generation": "select $value::uuid",
}
# Whether a row can come from more than its own seed; `mix` knows of one origin alone.
_IS_BRANCHED = """select (select count(*) from derivation) <> (select count(*) from generation)
  or exists (select 1 from derivation where role <> 'seed') as answer"""

# Materialized, the derivations are read once and not once a step; where every row has its own seed alone, one step is all there are.
_REACHED_BRANCHED = """with recursive edge as materialized (select child, parent from derivation),
  reached(id) as ($named union select d.child from edge d join reached r on d.parent = r.id)"""
_REACHED = """with named(id) as ($named),
  reached(id) as (from named union select child from derivation where parent in (from named))"""


class Touched(NamedTuple):
    """What a selector names of a checkpoint: rows of its dataset, rows seen, and tokens."""

    checkpoint_id: str
    n_rows: int
    n_rows_seen: int
    n_tokens: int
    n_loss_tokens: int
    share_frac: float


def find_touched(connection: Any, selector: Selector) -> list[Touched]:
    """The checkpoints whose own rows a selector names; checkpoint_id is the ledger's."""
    if selector.kind == "benchmark":
        return []
    is_branched = selector.kind in _NAMED and fetch(connection, _IS_BRANCHED)[0]["answer"]
    if is_branched or selector.kind in ROW_SELECTORS:
        sql = f"""{_REACHED_BRANCHED if is_branched else _REACHED} select m.checkpoint_id, count(*) as n_rows, count(x.generation_id) as n_rows_seen,
          coalesce(sum(x.n_tokens), 0)::bigint as n_tokens, coalesce(sum(x.n_loss_tokens), 0)::bigint as n_loss_tokens
          from (select * from snapshot_row where split = 'train') s semi join reached r on r.id = s.generation_id
          join (select distinct checkpoint_id, snapshot_id from mix) m on m.snapshot_id = s.snapshot_id
          left join exposure x on x.checkpoint_id = m.checkpoint_id and x.generation_id = s.generation_id group by m.checkpoint_id"""
        sql = sql.replace("$named", _NAMED[selector.kind])
    else:
        sql = f"""select m.checkpoint_id, sum(m.n_rows)::bigint as n_rows, sum(m.n_rows_seen)::bigint as n_rows_seen,
          sum(m.n_tokens)::bigint as n_tokens, sum(m.n_loss_tokens)::bigint as n_loss_tokens
          from mix m where {_MIX[selector.kind]} group by m.checkpoint_id"""
    rows = fetch(connection, sql, {"value": selector.value})
    totals = {
        row["id"]: row["n"]
        for row in fetch(connection, "select checkpoint_id as id, sum(n_loss_tokens)::bigint as n from mix group by 1")
    }
    return [Touched(**row, share_frac=row["n_loss_tokens"] / (totals.get(row["checkpoint_id"]) or 1)) for row in rows]


def touches(connection: Any, selector: Selector, mine: str) -> int:
    """Rows of one checkpoint that a selector names; for a benchmark, its evaluations on it."""
    if selector.kind == "benchmark":
        return evaluated_on(connection, selector.value, mine)
    return next((touched.n_rows for touched in find_touched(connection, selector) if touched.checkpoint_id == mine), 0)


def evaluated_on(connection: Any, benchmark: str, mine: str) -> int:
    """How many figures of a checkpoint are of a benchmark, named alone or with @version."""
    name, _, version = benchmark.partition("@")
    sql = "select count(*) as n from evaluation where checkpoint_id = ?::uuid and benchmark = ? and (? = '' or version = ?)"
    return fetch(connection, sql, [mine, name, version, version])[0]["n"]


def mark_generations(rows: pl.DataFrame, licences: dict[str, str | None], selectors: Sequence[Selector], salt: Any) -> pl.Series:
    """Which rows of raw_generations are withdrawn.

    Args:
        rows: generation_id, teacher, served_model, system_fingerprint. licences: teacher -> licence of its outputs. salt: id -> salted id.
    """
    wanted = {kind: [s.value for s in selectors if s.kind == kind] for kind in SELECTORS}
    bad = [name for name, licence in licences.items() if licence in wanted["licence"]]
    hit = (
        pl.col("teacher").is_in(wanted["teacher"] + bad)
        | pl.col("served_model").is_in(wanted["served"]).fill_null(False)
        | pl.col("system_fingerprint").is_in(wanted["fingerprint"]).fill_null(False)
    )
    marks = rows.select(hit.alias("is_withdrawn"))["is_withdrawn"]
    return marks | _are_named(rows["generation_id"], wanted["generation"], salt)


def mark_seeds(rows: pl.DataFrame, selectors: Sequence[Selector], salt: Any, id_column: str = "seed_id") -> pl.Series:
    """Which rows of seed_corpus or real_samples are withdrawn.

    Args:
        rows: the id, licence and source_file. salt: id -> salted id.
    """
    wanted = {kind: [s.value for s in selectors if s.kind == kind] for kind in SELECTORS}
    hit = pl.col("licence").is_in(wanted["licence"]) | pl.col("source_file").is_in(wanted["source"])
    marks = rows.select(hit.fill_null(False).alias("is_withdrawn"))["is_withdrawn"]
    return marks | _are_named(rows[id_column], wanted["seed"] + wanted["generation"], salt)


def _are_named(ids: pl.Series, wanted: list[str], salt: Any) -> pl.Series:
    if not wanted:
        return pl.Series("is_withdrawn", [False] * ids.len(), dtype=pl.Boolean)
    known = set(wanted)
    return pl.Series("is_withdrawn", [salt(identifier) in known for identifier in ids], dtype=pl.Boolean)
