"""A ledger of a large made-up distillation: `python -m benchmarks.lineage.world FOLDER ROWS [branched]`.

Belongs here: frames shaped like the graph's tables, and recording them with the project's own functions. Does not belong here: what is
asked of the ledger (asking).

For R trained rows: R / 5 seeds, 2 R generations of two teachers whose names moved to another model twice (6 endpoints), three verdicts
each, R / 2 duplicates, R / 250 hits, a dataset of R rows and 5% held out. Half of the generations were there before: an older dataset of
R / 2 rows has its own checkpoint, and recording the tables again has to leave out what is known.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl

from benchmarks.lineage.processes import read_peak_mib
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import root_of
from distill_assets.lineage.record import (
    Recording,
    Terms,
    build_terms,
    record_checkpoint,
    record_dataset,
    record_duplicates,
    record_evaluations,
    record_generations,
    record_hits,
    record_judgments,
    record_seeds,
)
from distill_assets.lineage.withdrawals import LEDGER_FOLDER

RECIPE, AT = "text_to_sql", "2026-11-22T05:43:24Z"
FACTS_FILE = "world.json"
TEACHERS = (
    Terms("big:1", "gpt", (), None, "https://example.org/terms", "ab" * 32, "2026-02-03"),
    Terms("small:2", "llama", ("meta-llama/llama-3",), "llama3.3"),
)
CRITICS = (Terms("critic-a", "qwen", (), "apache-2.0"), Terms("critic-b", "mistral", (), "apache-2.0"))
DUPLICATES_BELOW, HITS_BELOW, TRAIN_BELOW, KEPT_BELOW, REJECTED_BELOW = 250, 252, 775, 800, 950
BENCHMARK = {"name": "holdout", "version": "1", "digest": "cd" * 32, "n_items": 500}

# One row a generation: its number, a lot in 0..999 that decides what becomes of it, and its ids.
_ROWS = """create table rows as select i, (hash(i) % 1000)::integer as lot, md5('generation' || i) as generation_id,
  md5('seed' || (hash(i, 'seed') % {n_seeds})) as seed_id from range({n_generations}) t(i)"""
_ROW = "select generation_id from rows where i >= 20 and i % 20 = 0 and lot >= {hits} and lot < {train} order by i limit 1"
_GENERATIONS = """select generation_id, md5('request' || i) as request_id, seed_id, 0::bigint as sample_ix,
  if(i % 5 = 0, 'evolve', 'write') as strategy, 'write.v' || (i % 3) || '#aabbccdd' as prompt_id, 'ok' as generation_status,
  (150 + lot % 90)::bigint as prompt_tokens, (60 + hash(i, 'answer') % 200)::bigint as completion_tokens,
  if(i % 3 = 0, 'small:2', 'big:1') as teacher, 'host' as provider,
  if(i % 3 = 0, 'llama-y-', 'gpt-x-') || (2026 + 3 * i // {n_generations}) as served_model, null::varchar as upstream,
  if(i % 3 = 0, null, 'fp_' || (3 * i // {n_generations})) as system_fingerprint, null::varchar as endpoint_headers
  from rows where i < {n} order by generation_id"""
# In a branched world a twentieth of the generations was evolved from an earlier one.
_DERIVATIONS = """select generation_id as child, seed_id as parent, 'seed' as role from rows where i < {n}
  union all select r.generation_id, p.generation_id, 'evolved_from' from rows r join rows p on p.i = r.i - 7 where r.i % 20 = 0 and r.i < {n}"""
_SAMPLES = """select generation_id as sample_id, case when lot < {kept} then 'accepted' when lot < {rejected} then 'rejected' else 'unscored' end
  as sample_status, if(lot = 1, 'accept', null) as label, if(lot % 10 = 3, null, round(lot / 999.0, 2)::double) as critic_score
  from rows where i < {n} order by generation_id"""
_VERDICTS = """select generation_id, unnest(['heuristic', 'verifier', 'critic']) as layer,
  unnest(['rules:1', 'sql:1', if(i % 4 = 0, 'critic-b', 'critic-a')]) as judge,
  unnest(['passed', 'passed', if(lot % 10 = 3, 'unscored', 'passed')]) as verdict_status, false as is_canary
  from rows where i < {n} order by generation_id"""
_STANDS = """create or replace table stands as select generation_id, row_number() over (order by i) - 1 as place
  from rows where lot >= {hits} and lot < {train} and i < {n}"""
_DUPLICATES = """select r.generation_id as sample_id, s.generation_id as duplicate_of, if(r.i % 3 = 0, 'same_words', 'near') as duplicate_kind
  from (select *, i % {n_stands} as place from rows where lot < {duplicates} and i < {n}) r join stands s on s.place = r.place order by 1"""
_HITS = """select generation_id as sample_id, 'holdout' as benchmark, md5('item' || (i % 500)) as item_id, 'cover' as rule, 'drop' as action
  from rows where lot >= {duplicates} and lot < {hits} and i < {n} order by 1"""
_DATASET = """with ordered as (select *, row_number() over (partition by lot >= {train} order by i) as place from rows
    where lot >= {hits} and lot < {kept} and i < {n})
  select generation_id as sample_id, if(lot >= {train}, 'heldout', 'train') as split, repeat('create table t (a integer); ', 8) || i as prompt,
  'select count(*) from orders where id = ' || i as completion from ordered where lot >= {train} or place <= {n_train} order by 1"""
_DROPPED = """select generation_id as sample_id, case when lot >= {rejected} then 'unscored' when lot >= {kept} then 'rejected'
  when lot < {duplicates} then 'near_duplicate' when lot < {hits} then 'contaminated' else 'over_limit' end as drop_reason
  from rows where i < {n} and generation_id not in (select sample_id from dataset)"""
_EXPOSURE = """select sample_id, n_times, (n_times * n)::bigint as n_tokens, (n_times * (n // 3))::bigint as n_loss_tokens, n > 395 as is_truncated,
  if(n_times = 0, null, 1 + hash(sample_id, 'step') % 30000)::integer as first_step
  from (select sample_id, if(hash(sample_id) % 100 = 0, 0, 1 + (hash(sample_id) % 50 = 1)::integer)::integer as n_times,
    100 + hash(sample_id, 'n') % 300 as n from dataset where split = 'train') order by 1"""
_EVALUATIONS = """select md5('{checkpoint}' || role) as evaluation_id, 'holdout' as benchmark, '1' as version, '{digest}' as digest, 'human' as source,
  role as model_role, 'accuracy' as metric, value::double as value, value::double - 0.04 as low, value::double + 0.04 as high, 500::bigint as n
  from (values ('student', 0.61), ('base', 0.42), ('teacher', 0.73)) t(role, value)"""


class Wave(NamedTuple):
    """One build of the graph: its name, generations by then, rows it may train on at most, generations in the end."""

    name: str
    n: int
    n_train: int
    n_all: int


class Spent(NamedTuple):
    """CPU and wall seconds of recording, by event and in all."""

    by_event: dict[str, float]
    wall: list[float]


def build_world(home: Path, n_rows: int, is_branched: bool = False) -> dict[str, Any]:
    """Record a world of `n_rows` trained rows under `home`/ledger, and return its figures.

    Args:
        is_branched: a twentieth of the generations comes from an earlier one too; else each from its seed alone.

    Raises:
        LineageError: the project's own; a benchmark does not catch it.
    """
    ledger = Ledger.open(home / LEDGER_FOLDER, create=True, at=AT)
    spent = Spent({}, [])
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2, "temp_directory": str(home / "spill")}) as connection:
        connection.execute(_ROWS.format(n_seeds=max(n_rows // 5, 1), n_generations=2 * n_rows))
        seeds = _make_seeds(connection)
        _record(ledger, spent, lambda: record_seeds(seeds, RECIPE))
        for wave in (Wave("older", n_rows, n_rows, 2 * n_rows), Wave("newer", 2 * n_rows, n_rows, 2 * n_rows)):
            _record_wave(connection, ledger, wave, spent, is_branched)
        [[row]] = connection.sql(_ROW.format(hits=HITS_BELOW, train=TRAIN_BELOW)).fetchall()
    figures = describe_ledger(ledger, n_rows) | {
        "record_s": round(sum(spent.by_event.values()), 1),
        "record_wall_s": round(sum(spent.wall), 1),
        "record_s_by_event": {name: round(value, 1) for name, value in spent.by_event.items()},
        "record_peak_mib": read_peak_mib(),
        "row": row,
    }
    (home / FACTS_FILE).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures


def describe_ledger(ledger: Ledger, n_rows: int) -> dict[str, Any]:
    """Bytes by kind of rows, in all and a trained row; the chain counts."""
    sizes: dict[str, int] = {}
    for event in ledger.events():
        for segment in event.segments:
            sizes[segment.kind] = sizes.get(segment.kind, 0) + segment.n_bytes
    total = sum(file.stat().st_size for file in ledger.root.rglob("*") if file.is_file())
    return {
        "n_rows": n_rows,
        "n_bytes": total,
        "bytes_per_row": round(total / n_rows, 1),
        "bytes_by_kind": dict(sorted(sizes.items())),
    }


def _record(ledger: Ledger, spent: Spent, make: Callable[[], Recording]) -> None:
    """Gather and write one event, and count what it costs; making the frames comes before and is not counted."""
    cpu, wall = time.process_time(), time.monotonic()
    recording = make()
    ledger.record(recording.kind, RECIPE, AT, recording.segments, recording.frames, {"run_id": "benchmark"}, recording.facts)
    spent.by_event[recording.kind] = spent.by_event.get(recording.kind, 0.0) + time.process_time() - cpu
    spent.wall.append(time.monotonic() - wall)


def _make_seeds(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    licence = "if(hash(seed_id) % 2 = 0, 'CC-BY-4.0', 'Apache-2.0') as licence"
    return _fetch(
        connection,
        f"""select seed_id, 'topic' as kind, {licence}, 'seeds/topics-' || (hash(seed_id) % 8) || '.jsonl' as source_file
          from (select distinct seed_id from rows) order by seed_id""",
    )


def _fetch(connection: duckdb.DuckDBPyConnection, sql: str) -> pl.DataFrame:
    return pl.DataFrame(connection.sql(sql).to_arrow_table())


def _record_wave(connection: duckdb.DuckDBPyConnection, ledger: Ledger, wave: Wave, spent: Spent, is_branched: bool) -> None:
    values = {
        "n": wave.n, "n_train": wave.n_train, "n_generations": wave.n_all, "duplicates": DUPLICATES_BELOW, "hits": HITS_BELOW, "train": TRAIN_BELOW,
        "kept": KEPT_BELOW, "rejected": REJECTED_BELOW,
    }  # fmt: skip

    connection.execute(_STANDS.format(**values))
    [[values["n_stands"]]] = connection.sql("select count(*) from stands").fetchall()

    def frame(sql: str) -> pl.DataFrame:
        return _fetch(connection, sql.format(**values))

    def record(function: Callable[..., Recording], *args: Any) -> None:
        _record(ledger, spent, lambda: function(*args))

    dataset_version, checkpoint = name_dataset(wave.name), name_checkpoint(wave.name)
    record(record_generations, frame(_GENERATIONS), build_terms(TEACHERS), frame(_DERIVATIONS) if is_branched else None)
    record(record_judgments, frame(_SAMPLES), frame(_VERDICTS), build_terms(CRITICS))
    record(record_duplicates, frame(_DUPLICATES), _hex(f"duplicates {wave.name}"), {"threshold": 0.7})
    record(record_hits, frame(_HITS), _hex(f"hits {wave.name}"), [BENCHMARK], {"rule": "cover"})
    dataset = frame(_DATASET)
    connection.register("dataset", dataset.select("sample_id", "split").to_arrow())
    record(record_dataset, dataset, frame(_DROPPED), dataset_version, {})
    del dataset
    exposure = frame(_EXPOSURE)
    record(record_checkpoint, exposure, checkpoint, dataset_version, make_facts(ledger, checkpoint, dataset_version, exposure))
    evaluations = _fetch(connection, _EVALUATIONS.format(checkpoint=checkpoint, digest=BENCHMARK["digest"]))
    record(record_evaluations, evaluations, checkpoint)


def name_dataset(wave: str) -> str:
    """Data version of a wave's dataset."""
    return _hex(f"dataset {wave}")


def name_checkpoint(wave: str) -> str:
    """Id of a wave's checkpoint."""
    return _hex(f"checkpoint {wave}")


def read_facts(home: Path) -> dict[str, Any]:
    """Figures of a world that was built before; `row` is a trained generation, of those that have two parents in a branched world."""
    return json.loads((home / FACTS_FILE).read_text(encoding="utf-8"))


def _hex(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def make_facts(ledger: Ledger, checkpoint: str, dataset_version: str, exposure: pl.DataFrame | None) -> dict[str, Any]:
    """What a checkpoint's event says beside its rows; the Merkle root is the ledger's own."""
    with ledger.connect() as connection:
        root = root_of(connection, salted(ledger.salt(), dataset_version))
    seen = exposure.filter(pl.col("n_times") > 0) if exposure is not None else None
    counts = {name: int(seen[name].sum()) if seen is not None else 0 for name in ("n_times", "n_tokens", "n_loss_tokens")}
    return {
        "merkle_root": root,
        "weights_sha256": hashlib.sha256(checkpoint.encode()).hexdigest(),
        "files": {"model.safetensors": {"sha256": hashlib.sha256(checkpoint.encode()).hexdigest(), "bytes": 1}},
        "student": {
            "base_model": "HuggingFaceTB/SmolLM2-135M", "base_revision": "0" * 40, "base_licence": "apache-2.0", "families": ["smollm"],
            "parent_checkpoint": None, "n_parameters": 135_000_000, "task": RECIPE, "languages": ["en"], "description": "made up",
        },
        "exposure": {
            "n_rows_seen": seen.height if seen is not None else None, "n_rows_not_seen": 0, **counts, "n_rows_truncated": 0, "n_rows_too_long": 0,
            "n_steps": 30_000, "epochs": 1, "packing": False, "accumulation_steps": 1,
        },
        "code": {"package_version": "0", "git_sha": None, "is_dirty": None, "diff_sha256": None},
        "environment": {"python": "3.11", "platform": "Linux", "packages": {}, "packages_sha256": "0" * 64},
        "config": {"recipe_sha256": "0" * 64, "train": {}},
    }  # fmt: skip


def main() -> None:
    """Build a world and print its figures."""
    print(json.dumps(build_world(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["branched"])))


if __name__ == "__main__":
    main()
