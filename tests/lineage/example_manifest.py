"""A complete lineage.json that is awkward for a reason in every field: what an export may meet and must not trip over."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any

HOSTILE = (
    "<script>window.pwned=1</script>\"'`| a\n# b\r\n---\n[x](javascript:alert(1)) <img src=x onerror=window.pwned=2> "
    "</style></title></svg>]]>{{7*7}}{% raw %} \u202e\u200b\x00\ud800 ```"
)


def hexes(name: str, n: int = 32) -> str:
    """A stable id of n hex characters."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:n]


def teacher(name: str, **changed: Any) -> dict[str, Any]:
    """One teacher's row; an open one whose rows were all seen."""
    row = {
        "endpoint_id": hexes(name), "role": "teacher", "requested_model": name, "served_model": f"{name}@9216db57", "provider": "vllm",
        "system_fingerprint": None, "upstream": None, "families": ["qwen"], "base_lineage": ["qwen/qwen3"], "licence": "apache-2.0",
        "terms_url": None, "terms_sha256": None, "terms_accepted_on": None, "is_open": True, "n_rows": 100, "n_rows_seen": 100,
        "n_tokens": 20_000, "n_loss_tokens": 9_000, "share_frac": 0.25, "flags": [],
    }  # fmt: skip
    return row | changed


TEACHERS = [
    teacher(
        "gpt-x", served_model="gpt-x-2026-01-10", system_fingerprint="fp_a1", provider="api.openai.com", families=["gpt"],
        base_lineage=[], licence=None, terms_url="https://openai.com/policies/services-agreement", terms_sha256=hexes("terms", 64),
        terms_accepted_on="2026-02-03", is_open=False, n_rows=420, n_rows_seen=398, n_loss_tokens=18_000, share_frac=0.5,
        flags=["competing-use clause: decide"],
    ),
    teacher("Llama-3.3-70B-Instruct", families=["llama"], licence="llama3.3", base_lineage=["meta-llama/llama-3"]),
    teacher("Qwen3-32B", n_loss_tokens=8_990, share_frac=0.2497, flags=["same base family as student"]),
    teacher(
        "people", role="people", served_model=None, provider=None, families=[], base_lineage=[], licence="cc-by-sa-4.0", is_open=None,
        n_rows=12, n_rows_seen=12, n_loss_tokens=10, share_frac=0.0003,
    ),
    teacher(HOSTILE, served_model=HOSTILE, system_fingerprint=HOSTILE, provider=HOSTILE, upstream=HOSTILE, families=[HOSTILE],
            base_lineage=[HOSTILE], licence=HOSTILE, terms_url='javascript:alert("x")//' + HOSTILE, terms_accepted_on=HOSTILE,
            n_rows=3, n_rows_seen=0, n_tokens=0, n_loss_tokens=0, share_frac=0.0, flags=[HOSTILE]),
]  # fmt: skip


def source(name: str, licence: str, n_rows: int, n_seen: int) -> dict[str, Any]:
    """One seed file's row."""
    tokens = n_seen * 200
    return {"source": name, "licence": licence, "n_rows": n_rows, "n_rows_seen": n_seen, "n_tokens": tokens,
            "n_loss_tokens": tokens // 2, "share_frac": n_seen / 610}  # fmt: skip


def evaluation(benchmark: str, role: str, is_screened: bool, value: float | None, **changed: Any) -> dict[str, Any]:
    """One measured figure."""
    row = {
        "evaluation_id": hexes(benchmark + role), "benchmark": benchmark, "version": "2026-02", "digest": hexes(benchmark, 64),
        "source": "human", "model_role": role, "metric": "accuracy", "value": value, "low": None if value is None else value - 0.05,
        "high": None if value is None else value + 0.05, "n": 120, "is_screened": is_screened,
    }  # fmt: skip
    return row | changed


def flows() -> list[dict[str, Any]]:
    """Rows of the flow: every source through two teachers, a judge and four fates, with fields that nobody said."""
    found = []
    for index in range(40):
        for name, judge, fate, n in (
            ("gpt-x-2026-01-10 / fp_a1", "executes + critic", "kept", 10 + index % 7),
            ("Llama-3.3-70B-Instruct@9216db57", "executes", "rejected", 3),
            ("Qwen3-32B@9216db57", "executes", "near_duplicate", 1 + index % 2),
        ):
            found.append({"source": f"seeds/file_{index:02}.jsonl", "licence": "cc-by-4.0", "teacher": name, "judge": judge,
                          "fate": fate, "n_rows": n})  # fmt: skip
    odd = {"source": HOSTILE, "licence": None, "teacher": HOSTILE, "judge": None, "fate": HOSTILE, "n_rows": 90}
    return [*found, odd, {**odd, "fate": "kept", "n_rows": 120}]


def build_manifest() -> dict[str, Any]:
    """The manifest; each call gives a fresh copy."""
    manifest = {
        "format": "distill-lineage/1",
        "checkpoint": {
            "id": hexes("checkpoint"), "recipe": "text_to_sql", "name": "text_to_sql@cc8bf90bb526", "made_at": "2026-11-22T05:43:24Z",
            "weights_sha256": hexes("weights", 64),
            "files": {
                "model.safetensors": {"sha256": hexes("weights", 64), "bytes": 269_060_552},
                HOSTILE: {"sha256": hexes("odd", 64), "bytes": 0},
            },
        },
        "student": {
            "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct", "base_revision": hexes("revision", 40), "base_licence": None,
            "families": ["smollm"], "parent_checkpoint": hexes("parent"), "n_parameters": 134_515_008, "task": "text_to_sql",
            "languages": ["en"], "description": HOSTILE,
        },
        "dataset": {
            "snapshot_id": hexes("snapshot"), "data_version": hexes("version"), "merkle_root": hexes("root", 64), "n_rows": 635,
            "n_train_rows": 610, "n_heldout_rows": 25,
        },
        "exposure": {
            "n_rows_seen": 588, "n_rows_not_seen": 22, "n_times": 1_176, "n_tokens": 117_600, "n_loss_tokens": 36_000,
            "n_rows_truncated": 4, "n_rows_too_long": 2, "n_steps": 147, "epochs": 2, "packing": True, "accumulation_steps": 1,
        },
        "teachers": TEACHERS,
        "sources": [
            *[source(f"seeds/file_{i:02}.jsonl", "cc-by-4.0" if i % 2 else "cc0-1.0", 15, 14) for i in range(39)],
            source(HOSTILE, HOSTILE, 3, 0),
        ],
        "prompts": [
            {"prompt_id": "explain.v2", "strategy": "explanation", "n_rows": 632, "share_frac": 0.995},
            {"prompt_id": HOSTILE, "strategy": HOSTILE, "n_rows": 3, "share_frac": 0.0047},
        ],
        "judges": [
            {"judge": "executes", "layer": "verifier", "served_model": None, "families": [], "licence": None, "n_rows": 635,
             "share_frac": 1.0},
            {"judge": "critic", "layer": "critic", "served_model": "qwen3-judge", "families": ["qwen"], "licence": "apache-2.0",
             "n_rows": 400, "share_frac": 0.63},
            {"judge": HOSTILE, "layer": "people", "served_model": HOSTILE, "families": [HOSTILE], "licence": HOSTILE, "n_rows": 1,
             "share_frac": 0.0016},
        ],
        "curation": {
            "n_generations": 1_000, "n_accepted": 720, "n_rejected": 240, "n_unscored": 40, "n_kept": 635,
            "dropped": {"near_duplicate": 60, "contaminated": 25, HOSTILE: 0},
        },
        "decontamination": {
            "benchmarks": [
                {"name": "holdout", "version": "3", "digest": hexes("holdout", 64), "n_items": 120},
                {"name": HOSTILE, "version": HOSTILE, "digest": hexes("odd bench", 64), "n_items": 1},
            ],
            "n_hits": 31, "n_rows_kept_out": 25,
        },
        "evaluations": [
            evaluation("holdout", "student", True, 0.61), evaluation("holdout", "base", True, 0.22),
            evaluation("aime26", "student", False, 0.9), evaluation("unmeasured", "student", True, None, n=0),
            evaluation(HOSTILE, "teacher", False, 1.0, version=HOSTILE, metric=HOSTILE, source="synthetic"),
        ],
        "flow": flows(),
        "obligations": [
            {"licence": "llama3.3", "holder": "Llama-3.3-70B-Instruct@9216db57", "obligation": 'name must begin with "Llama"',
             "is_met": False},
            {"licence": HOSTILE, "holder": HOSTILE, "obligation": HOSTILE, "is_met": None},
            {"licence": "cc-by-4.0", "holder": "seeds", "obligation": "name the authors", "is_met": True},
        ],
        "tombstones": [
            {"selector": {"served_model": HOSTILE}, "reason": HOSTILE, "at": "2026-11-23T00:00:00Z", "n_rows": 3},
            {"selector": {"source": "seeds/other.jsonl"}, "reason": "licence withdrawn", "at": "2026-11-24T00:00:00Z", "n_rows": 0},
        ],
        "code": {"package_version": "0.6.0", "git_sha": None, "is_dirty": None, "diff_sha256": None,
                 "steps": {"training_dataset": "2+ab12", HOSTILE: HOSTILE}},
        "environment": {"python": "3.11.9", "platform": "Linux-6.1-x86_64", "packages": {"torch": "2.13.0", HOSTILE: HOSTILE},
                        "packages_sha256": hexes("packages", 64), "device": "cpu", "dtype": "float32", "threads": 2},
        "config": {"recipe_sha256": hexes("recipe", 64), "train": {"learning_rate": 0.0002, "note": HOSTILE}},
        "dagster": {"run_ids": {"student_checkpoint": hexes("run")}, "data_versions": {"raw_generations": hexes("raw")}},
        "ledger": {"seq": 81, "head": hexes("head", 64), "genesis": hexes("genesis", 64), "salt_id": hexes("salt", 16)},
    }  # fmt: skip
    return copy.deepcopy(manifest)


def build_least() -> dict[str, Any]:
    """A manifest in which nothing was said and nothing was seen: empty lists, nulls, zeros."""

    def empty(key: str, value: Any) -> Any:
        if isinstance(value, dict) and key not in ("files", "dropped", "steps", "packages", "train", "run_ids", "data_versions"):
            return {name: empty(name, item) for name, item in value.items()}
        if isinstance(value, str) and key not in ("format", "id", "recipe", "name", "base_model", "snapshot_id", "task"):
            return None if key in NULLABLE else value
        return type(value)() if isinstance(value, list | dict | int | float) and not isinstance(value, bool) else value

    return {key: empty(key, value) for key, value in build_manifest().items()}


NULLABLE = {"made_at", "base_licence", "parent_checkpoint", "git_sha", "is_dirty", "diff_sha256"}


def replace_strings(value: Any, change: Callable[[str], str]) -> Any:
    """A manifest with every string but those of a fixed form (digests, dates, known words) replaced."""
    if isinstance(value, dict):
        return {key: item if key in FIXED else replace_strings(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [replace_strings(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


FIXED = {
    "format", "id", "made_at", "weights_sha256", "sha256", "base_revision", "parent_checkpoint", "snapshot_id", "data_version",
    "merkle_root", "endpoint_id", "role", "terms_sha256", "terms_accepted_on", "layer", "digest", "evaluation_id", "model_role", "at",
    "packages_sha256", "recipe_sha256", "run_ids", "data_versions", "ledger", "fate",
}  # fmt: skip
