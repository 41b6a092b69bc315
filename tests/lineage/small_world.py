"""A ledger told by hand: seeds, teachers, judges, datasets and checkpoints as a test needs them, recorded by the graph's own functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from distill_assets.lineage.audits.query import find_checkpoint
from distill_assets.lineage.chain import Event
from distill_assets.lineage.findings import judge_checkpoint
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.manifest import build_manifest
from distill_assets.lineage.record import (
    EXPOSURE,
    Recording,
    Terms,
    build_terms,
    record_checkpoint,
    record_dataset,
    record_evaluations,
    record_generations,
    record_hits,
    record_judgments,
    record_real_samples,
    record_seeds,
)
from distill_assets.lineage.tombstones import Selector, name_tombstone

AT = "2026-11-22T05:43:24Z"
RECIPE = "choir"
NO_TERMS = build_terms([])
GENERATION = {
    "generation_id": "", "request_id": "", "seed_id": "s1", "sample_ix": 0, "strategy": "write", "prompt_id": "write.v1#aa",
    "generation_status": "ok", "prompt_tokens": 10, "completion_tokens": 20, "teacher": "big", "provider": "host",
    "served_model": "big-2026", "upstream": None, "system_fingerprint": None, "endpoint_headers": None,
}  # fmt: skip
GENERATION_TYPES = {
    name: pl.Int64 if name in ("sample_ix", "prompt_tokens", "completion_tokens") else pl.String for name in GENERATION
}
STUDENT = {
    "base_model": "base-a", "base_revision": "r1", "base_licence": None, "families": ["smollm"], "parent_checkpoint": None,
    "n_parameters": 1, "task": "t", "languages": ["en"], "description": "",
}  # fmt: skip
EVALUATION = {
    "evaluation_id": "e1", "benchmark": "holdout", "version": "v1", "digest": "d1", "source": "human", "model_role": "student",
    "metric": "accuracy", "value": 0.5, "low": 0.2, "high": 0.8, "n": 10,
}  # fmt: skip


class Seen(NamedTuple):
    """What the optimizer saw of a row."""

    n_times: int = 1
    n_tokens: int = 30
    n_loss_tokens: int = 10


class Told:
    """A ledger and what is told to it; each method records one event, as the assets do."""

    def __init__(self, folder: Path, recipe: str = RECIPE) -> None:
        self.ledger, self.recipe = Ledger.open(folder / "ledger", create=True), recipe

    def write(self, recording: Recording, asset: str = "", version: str = "") -> Event:
        dagster = {"asset": asset, "run_id": "run", "data_version": version} if asset else {}
        told = (recording.segments, recording.frames, dagster, recording.facts)
        return self.ledger.record(recording.kind, self.recipe, AT, *told)

    def of(self, recipe: str) -> Told:
        """The same ledger for another recipe."""
        other = Told.__new__(Told)
        other.ledger, other.recipe = self.ledger, recipe
        return other

    def seeds(self, rows: Mapping[str, tuple[str, str]]) -> Event:
        """Args: rows: seed_id -> (source, licence)."""
        data = [{"seed_id": i, "kind": "topic", "licence": licence, "source_file": source} for i, (source, licence) in rows.items()]
        types = dict.fromkeys(("seed_id", "kind", "licence", "source_file"), pl.String)
        return self.write(record_seeds(pl.DataFrame(data, schema=types), self.recipe), "seed_corpus")

    def real(self, rows: Mapping[str, tuple[str, str]]) -> Event:
        data = [{"sample_id": i, "licence": licence, "source_file": source} for i, (source, licence) in rows.items()]
        types = dict.fromkeys(("sample_id", "licence", "source_file"), pl.String)
        return self.write(record_real_samples(pl.DataFrame(data, schema=types), self.recipe), "real_samples")

    def generations(
        self, rows: Iterable[Mapping[str, Any]], terms: Sequence[Terms] = (), edges: Sequence[tuple[str, str, str]] | None = None
    ) -> Event:
        frame = make_generations(rows)
        derived = None if edges is None else pl.DataFrame(list(edges), schema=["child", "parent", "role"], orient="row")
        return self.write(record_generations(frame, build_terms(terms), derived), "raw_generations")

    def judge(
        self,
        states: Mapping[str, str],
        critics: Sequence[str] = (),
        terms: Sequence[Terms] = (),
        score: float | None = None,
        version: str = "",
    ) -> Event:
        """All samples judged by a rule and by `critics`; states: sample_id -> status."""
        types = {"sample_id": pl.String, "sample_status": pl.String, "label": pl.String, "critic_score": pl.Float64}
        samples = pl.DataFrame([(i, state, None, score) for i, state in states.items()], schema=types, orient="row")
        judges = [("heuristic", "rules@1"), *(("critic", name) for name in critics)]
        names = ("generation_id", "layer", "judge", "verdict_status", "is_canary")
        rows = [(i, layer, judge, "passed", False) for i in states for layer, judge in judges]
        verdicts = pl.DataFrame(rows, schema={n: pl.Boolean if n == "is_canary" else pl.String for n in names}, orient="row")
        return self.write(record_judgments(samples, verdicts, build_terms(terms)), "judged_samples", version)

    def screen(self, version: str, *benchmarks: tuple[str, str]) -> Event:
        """Args: version: of the table of hits. benchmarks: (name, digest)."""
        hits = pl.DataFrame(schema=dict.fromkeys(("sample_id", "benchmark", "item_id", "rule", "action"), pl.String))
        told = [{"name": name, "version": digest, "digest": digest, "n_items": 3} for name, digest in benchmarks]
        return self.write(record_hits(hits, version, told, {}), "contamination_hits", version)

    def dataset(self, version: str, rows: Mapping[str, str] | Sequence[str], dropped: Mapping[str, str] = {}) -> Event:
        """Args: rows: sample_id -> split, or ids that are all trained on. dropped: sample_id -> reason."""
        splits = dict(rows) if isinstance(rows, Mapping) else dict.fromkeys(rows, "train")
        types = dict.fromkeys(("sample_id", "split", "prompt", "completion"), pl.String)
        frame = pl.DataFrame([(i, split, f"ask {i}", f"answer {i}") for i, split in splits.items()], schema=types, orient="row")
        out = pl.DataFrame(list(dropped.items()), schema={"sample_id": pl.String, "drop_reason": pl.String}, orient="row")
        return self.write(record_dataset(frame, out, version, {}), "training_dataset", version)

    def checkpoint(self, checkpoint_id: str, version: str, seen: Mapping[str, Seen] | None, **student: object) -> Event:
        """Args: seen: what the optimizer saw of each row; None where nobody counted."""
        frame = None
        if seen is not None:
            rows = [(i, *told, False, 0) for i, told in seen.items()]
            frame = pl.DataFrame(rows, schema=EXPOSURE, orient="row")
        return self.write(record_checkpoint(frame, checkpoint_id, version, make_facts(checkpoint_id, seen, student)))

    def evaluate(self, checkpoint_id: str, *rows: Mapping[str, object]) -> Event:
        types = {
            name: pl.Int64 if name == "n" else pl.Float64 if name in ("value", "low", "high") else pl.String for name in EVALUATION
        }
        frame = pl.DataFrame([{**EVALUATION, **row} for row in rows], schema=types)
        return self.write(record_evaluations(frame, checkpoint_id))

    def bury(self, selector: Selector, reason: str = "asked to") -> str:
        facts = {"tombstone_id": name_tombstone(selector), "selector": selector._asdict(), "reason": reason, "by": "ann"}
        self.ledger.append("tombstone", None, AT, facts, {})
        return facts["tombstone_id"]

    def lift(self, tombstone_id: str) -> None:
        self.ledger.append("tombstone_lifted", None, AT, {"tombstone_id": tombstone_id, "reason": "", "by": "ann"}, {})

    def manifest(self, checkpoint_id: str) -> dict[str, Any]:
        events = self.ledger.events()
        with self.ledger.connect() as connection:
            return build_manifest(connection, events, find_checkpoint(events, checkpoint_id))

    def ask(self, name: str, checkpoint_id: str) -> tuple[bool, str]:
        """One lineage check of a checkpoint whose lineage.json is as the ledger says."""
        manifest = self.manifest(checkpoint_id)
        [answer] = [a for a in judge_checkpoint(manifest, manifest, [], []) if a.name == name]
        return answer.passed, answer.words

    def count(self, kind: str) -> int:
        with self.ledger.connect() as connection:
            return connection.execute(f"select count(*) from {kind}").fetchall()[0][0]


def make_generations(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Generations with the facts that `rows` say, each a request of its own."""
    full = [{**GENERATION, "request_id": f"request {row['generation_id']}", **row} for row in rows]
    return pl.DataFrame(full, schema=GENERATION_TYPES, orient="row")


def make_facts(checkpoint_id: str, seen: Mapping[str, Seen] | None, student: Mapping[str, object]) -> dict[str, Any]:
    """Facts of a checkpoint as training tells them."""
    sums = {name: None if seen is None else sum(getattr(one, name) for one in seen.values()) for name in Seen._fields}
    n_seen = None if seen is None else sum(one.n_times > 0 for one in seen.values())
    exposure = {**sums, "n_rows_seen": n_seen, "n_rows_not_seen": None, "n_rows_truncated": 0, "n_rows_too_long": 0, "n_steps": 3,
                "epochs": 1, "packing": False, "accumulation_steps": 1}  # fmt: skip
    files = {"model.safetensors": {"sha256": "0" * 64, "bytes": 1}}
    return {
        "weights_sha256": weights(checkpoint_id), "files": files, "student": {**STUDENT, **student}, "exposure": exposure,
        "merkle_root": None, "code": {"package_version": "0", "git_sha": None, "is_dirty": None, "diff_sha256": None},
        "config": {"recipe_sha256": "0" * 64, "train": {}},
        "environment": {"python": "3", "platform": "any", "packages": {}, "packages_sha256": "0" * 64, "device": "cpu", "dtype": "float32",
                        "threads": 1},
    }  # fmt: skip


def weights(checkpoint_id: str) -> str:
    """SHA-256 that the weights of a checkpoint are said to have."""
    return (checkpoint_id * 64)[:64]


def see(*ids: str) -> dict[str, Seen]:
    """Every row seen once."""
    return dict.fromkeys(ids, Seen())


def tell_checkpoint(
    told: Told, checkpoint_id: str, teacher: Mapping[str, Any] | None = None, terms: Sequence[Terms] = (), **student: object
) -> None:
    """A checkpoint with a dataset of its own: two rows, written by `teacher`."""
    ids = [f"{checkpoint_id}-1", f"{checkpoint_id}-2"]
    told.seeds({"s1": ("seeds/a.jsonl", "CC-BY-4.0")})
    told.generations([{"generation_id": i, **(teacher or {})} for i in ids], terms)
    told.judge(dict.fromkeys(ids, "accepted"))
    told.dataset(f"dataset {checkpoint_id}", ids)
    told.checkpoint(checkpoint_id, f"dataset {checkpoint_id}", see(*ids), **student)
