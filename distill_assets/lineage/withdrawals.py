"""What the graph must leave out: the tombstones in force, as the stages ask for them.

Belongs here: which seeds, generations, requests, teachers and judges are withdrawn. Does not belong here: writing tombstones
(commands/lineage) or dropping rows (the stages, each at its source).

What is withdrawn leaves where it enters the graph, not at selection: a row that is out must not stand for a duplicate, fill a quota
or lie in a table (docs/adr/0017). A generation is withdrawn with all that was derived from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from distill_assets.errors import LineageError, name_culprits
from distill_assets.lineage.audits.query import fetch
from distill_assets.lineage.chain import CHAIN_FILE
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.tombstones import (
    LATEST_SEEDS,
    SELECTORS,
    Selector,
    Tombstone,
    list_tombstones,
    mark_generations,
    mark_seeds,
)
from distill_assets.storage import write_text

# What the graph watches: the tombstones in force, written anew from the chain whenever they differ.
FILE = "withdrawals.json"
LEDGER_FOLDER = "ledger"

_ENDPOINTS = """select endpoint_id from endpoint where role <> 'judge' and (list_contains($teacher, requested_model)
  or list_contains($served, served_model) or list_contains($fingerprint, system_fingerprint) or list_contains($licence, licence))"""
_SEEDS = f"""select seed_id from {LATEST_SEEDS} where list_contains($licence, licence) or list_contains($source, source)
  or list_contains($seed, seed_id::varchar) """
CLOSURE = f"""with recursive edge as materialized (select child, parent from derivation),
  reached(id) as (select generation_id from generation where endpoint_id in ({_ENDPOINTS})
    union {_SEEDS} union select unnest($generation)::uuid
    union select d.child from edge d join reached r on d.parent = r.id)"""


class Withdrawals(NamedTuple):
    """What is withdrawn: tombstones, salt, and the salted ids of generations and of requests that are not asked again."""

    tombstones: tuple[Tombstone, ...] = ()
    salt: bytes = b""
    generations: frozenset[str] = frozenset()
    requests: frozenset[str] = frozenset()

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """What the tombstones name."""
        return tuple(tombstone.selector for tombstone in self.tombstones)

    def name(self, identifier: str) -> str:
        """The ledger's id of a row."""
        return salted(self.salt, identifier)

    def list_values(self, kind: str) -> list[str]:
        """What is withdrawn by one kind of selector."""
        return [selector.value for selector in self.selectors if selector.kind == kind]

    def mark_seeds(self, rows: pl.DataFrame, id_column: str = "seed_id") -> pl.Series:
        """Which seeds, or samples that people wrote, are withdrawn."""
        return mark_seeds(rows, self.selectors, self.name, id_column)

    def mark_generations(self, rows: pl.DataFrame, licences: Mapping[str, str | None]) -> pl.Series:
        """Which rows of raw_generations are withdrawn; `licences`: teacher -> licence of its outputs."""
        marks = mark_generations(rows, dict(licences), self.selectors, self.name)
        if not self.generations:
            return marks
        return marks | pl.Series(
            "is_withdrawn", [self.name(i) in self.generations for i in rows["generation_id"]], dtype=pl.Boolean
        )

    def __bool__(self) -> bool:
        """Whether anything is withdrawn."""
        return bool(self.tombstones)

    def __contains__(self, request_id: object) -> bool:
        """Whether a request's answer was withdrawn, so that it is not asked again."""
        return bool(self.requests) and self.name(str(request_id)) in self.requests

    def check_judges(self, judges: Sequence[str]) -> None:
        """Refuse to judge by who was withdrawn.

        Raises:
            LineageError: naming the judges.
        """
        if bad := sorted(set(judges) & set(self.list_values("judge"))):
            raise LineageError(
                f"{name_culprits(bad)}: withdrawn, and still named as a judge. Nothing was judged; the last verdicts stay. "
                "Name another in recipe.yaml, or take the withdrawal back: distill lineage withdraw --lift"
            )


def read_withdrawals(root: Path, only: Sequence[Selector] | None = None) -> Withdrawals:
    """The withdrawals in force by the ledger at `root`; none where there is no ledger.

    Args:
        only: what to look at in place of the tombstones, such as for a plan.
    """
    if not (root / CHAIN_FILE).exists():
        return Withdrawals()
    ledger = Ledger.open(root)
    in_force = tuple(list_tombstones(ledger.events()))
    if only is not None:
        in_force = tuple(Tombstone("", selector, "", "", "", 0) for selector in only)
    if not in_force:
        return Withdrawals()
    wanted = {kind: [t.selector.value for t in in_force if t.selector.kind == kind] for kind in SELECTORS}
    wanted["seed"] = [_as_uuid_text(value) for value in wanted["seed"]]
    values = {name: wanted[name] for name in ("teacher", "served", "fingerprint", "licence", "source", "seed", "generation")}
    with ledger.connect() as connection:
        rows = fetch(
            connection,
            f"{CLOSURE} select generation_id, request_id from generation semi join reached on id = generation_id",
            values,
        )
    return Withdrawals(
        in_force, ledger.salt(), frozenset(r["generation_id"] for r in rows), frozenset(r["request_id"] for r in rows)
    )


def _as_uuid_text(value: str) -> str:
    return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"


def write_watched(root: Path) -> None:
    """Bring the watched file up to what the chain says."""
    if not (root / CHAIN_FILE).exists():
        return
    text = json.dumps([list(t.selector) for t in list_tombstones(Ledger.open(root).events())], ensure_ascii=False) + "\n"
    file = root / FILE
    known = file.read_text(encoding="utf-8") if file.exists() else None
    if text != known and (text != "[]\n" or known is not None):
        write_text(file, text)
