"""A small true ledger, and a checkpoint's folder that it knows: what the tests of lineage start from."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from distill_assets.identity import hash_file, make_id
from distill_assets.lineage.chain import Event
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import root_of
from distill_assets.train.checkpoint import WEIGHTS_FILE, write_manifest

AT = "2026-11-22T05:43:24Z"
RECIPE = "text_to_sql"
GENERATIONS = """
    select salted(generation_id) as generation_id, salted('request ' || generation_id) as request_id, salted('teacher') as endpoint_id,
           null::uuid as prompt_key, status, 0::integer as sample_ix, 12::integer as prompt_tokens, null::integer as completion_tokens,
           getvariable('event_seq')::integer as event_seq
    from answers where salted(generation_id) not in (select generation_id from generation)
"""
ROWS = """
    select salted('{dataset}') as snapshot_id, salted(generation_id) as generation_id, salted('row ' || generation_id) as row_digest, 'train' as split,
           getvariable('event_seq')::integer as event_seq from answers
"""


def name_generations(numbers: Iterable[int]) -> list[str]:
    return [make_id("generation", number) for number in numbers]


def build_answers(generation_ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"generation_id": generation_ids, "status": "ok"}, schema={"generation_id": pl.String, "status": pl.String})


def record_generations(ledger: Ledger, generation_ids: list[str], run_id: str = "run") -> Event:
    frames = {"answers": build_answers(generation_ids)}
    return ledger.record(
        "generations", RECIPE, AT, {"generation": GENERATIONS}, frames, {"run_id": run_id}, {"n": len(generation_ids)}
    )


def record_dataset(ledger: Ledger, dataset: str, generation_ids: list[str]) -> Event:
    frames = {"answers": build_answers(generation_ids)}
    segments = {"snapshot_row": ROWS.format(dataset=dataset)}
    return ledger.record("dataset", RECIPE, AT, segments, frames, {}, {"snapshot": salted(ledger.salt(), dataset)})


def count_rows(ledger: Ledger, kind: str) -> int:
    with ledger.connect() as connection:
        return connection.execute(f"select count(*) from {kind}").fetchall()[0][0]


def build_world(folder: Path, n_rows: int = 40, seed: int = 0) -> tuple[Ledger, Path]:
    """A ledger of six events and the folder of the checkpoint that its last one is about; verifying either finds nothing."""
    ledger = Ledger.open(folder / "ledger", create=True, at=AT)
    ids = name_generations(range(n_rows))
    record_generations(ledger, ids[: n_rows // 2], "first")
    record_generations(ledger, ids, "second")
    record_dataset(ledger, "dataset-1", ids[1:])
    checkpoint = build_checkpoint(ledger, folder / "checkpoint", seed)
    return ledger, checkpoint


def build_checkpoint(ledger: Ledger, folder: Path, seed: int = 0) -> Path:
    """Write weights, manifest.json and lineage.json, and record the checkpoint and its lineage.json."""
    folder.mkdir(parents=True)
    (folder / WEIGHTS_FILE).write_bytes(random.Random(seed).randbytes(5000))
    (folder / "config.json").write_text('{"hidden_size": 8}')
    manifest = write_manifest(folder, {"recipe": RECIPE, "n_steps": 12})
    checkpoint_id = salted(ledger.salt(), manifest["weights_sha256"])
    head = ledger.append("checkpoint", RECIPE, AT, {"checkpoint": checkpoint_id}, {})
    raw = json.dumps(describe(ledger, head, checkpoint_id, manifest, folder), indent=1, sort_keys=True, ensure_ascii=False).encode()
    (folder / "lineage.json").write_bytes(raw)
    ledger.append("manifest", RECIPE, AT, {"checkpoint": checkpoint_id, "sha256": hashlib.sha256(raw).hexdigest()}, {})
    return folder


def describe(ledger: Ledger, head: Event, checkpoint_id: str, manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    """As much of a lineage.json as verifying reads."""
    snapshot_id, genesis = salted(ledger.salt(), "dataset-1"), ledger.genesis()
    file = folder / "manifest.json"
    files = {**manifest["files"], file.name: {"sha256": hash_file(file), "bytes": file.stat().st_size}}
    with ledger.connect() as connection:
        root = root_of(connection, snapshot_id)
    return {
        "format": "distill-lineage/1",
        "checkpoint": {"id": checkpoint_id, "recipe": RECIPE, "weights_sha256": manifest["weights_sha256"], "files": files},
        "dataset": {"snapshot_id": snapshot_id, "merkle_root": root},
        "ledger": {"seq": head.seq, "head": head.hash, "genesis": genesis.hash, "salt_id": genesis.facts["salt_id"]},
    }


def read_all(folder: Path) -> dict[str, bytes]:
    """Every file under `folder` but the lock."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "lock"
    }
