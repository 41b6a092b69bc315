"""An index that is kept up to date beside one that is built anew: time, and whether they say the same.

Belongs here: adding and deleting 1%, equality with a rebuild, the keep table's bytes under permutation, threads and restarts. Does
not belong here: the index (distill_assets/curate/deduplicate/index).

Timed in a process of its own with one thread on one core, in processor seconds, after the same calls on 2,000 rows. Two fractions
each: the update alone over building alone, and both with the files: load, update, save over build, save.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.curate.corpus import make_corpus
from benchmarks.curate.neardup import ONE_THREAD, ROUNDS
from benchmarks.curate.peers.measuring import THRESHOLD, pin_core
from distill_assets.curate.deduplicate.index import Index, build_index, read_keep, update_index
from distill_assets.curate.deduplicate.index_files import load_index, save_index

N_WORDS, SEED, N_WARM, ONE_IN = 2, 17, 2_000, 100
NOTHING = pl.Series([], dtype=pl.String)
# Threads, and the seed of the rows' order; the first two are a restart with nothing else changed.
WAYS = {"first": (1, 0), "restarted": (1, 0), "permuted": (1, 7), "two_threads": (2, 0), "permuted_two_threads": (2, 11)}


def measure(root: Path, data: Path, sizes: list[int]) -> dict[str, Any]:
    """Updates at each size, at the first the round in the middle of three; bytes of the keep table at the first."""
    by_size: dict[str, Any] = {}
    for size in sizes:
        file = root / f"{size}.parquet"
        make_documents(data, size + size // ONE_IN).write_parquet(file)
        n_rounds = ROUNDS if size == sizes[0] else 1
        rounds = [_run(file, "updates", {"folder": str(root / f"index-{size}-{n}"), "size": size}) for n in range(n_rounds)]
        rounds.sort(key=lambda figures: sum(figures["time_frac"].values()))
        by_size[str(size)] = {
            **rounds[len(rounds) // 2],
            "is_equal": all(figures["is_equal"] for figures in rounds),
            "all_time_frac": [figures["time_frac"] for figures in rounds],
        }
        print(f"  {size}: {by_size[str(size)]}", flush=True)
    digests = {way: _run(root / f"{sizes[0]}.parquet", "digest", {"order": order}, n) for way, (n, order) in WAYS.items()}
    return {
        "incremental_equals_rebuild": all(figures["is_equal"] for figures in by_size.values()),
        "incremental_time_frac": {size: figures["time_frac"] for size, figures in by_size.items()},
        "incremental_time_frac_with_files": {size: figures["time_frac_with_files"] for size, figures in by_size.items()},
        "keep_bytes_equal": len({json.dumps(digest) for digest in digests.values()}) == 1,
        "keep_digests": digests,
        "incremental": by_size,
    }


def make_documents(data: Path, n: int) -> pl.DataFrame:
    """document_id, text, grouped and rank, as build_index wants them."""
    ranks = np.random.default_rng(SEED).integers(0, 2**63, n, dtype=np.uint64)
    texts = make_corpus(data, n)
    numbered = pl.DataFrame({"text": texts, "rank": ranks}).with_columns(
        document_id=pl.int_range(pl.len()).cast(pl.String).str.zfill(32), grouped=pl.lit("")
    )
    return numbered.select("document_id", "text", "grouped", "rank")


def time_updates(documents: pl.DataFrame, folder: Path, size: int) -> dict[str, Any]:
    """Add 1%, then delete another 1%, each from files to files and each held against a rebuild."""
    few = size // ONE_IN
    old, new, gone = documents.head(size), documents.slice(size), documents["document_id"].head(few)
    spent: dict[str, float] = {}
    _time_build(spent, folder, old)
    grown = _time_change(spent, "add", folder, lambda index: update_index(index, new, NOTHING))
    rebuilt = _timed(spent, "rebuild_add", lambda: build_index(documents, N_WORDS, THRESHOLD))
    is_add_equal = read_keep(grown).equals(read_keep(rebuilt))
    del grown, rebuilt
    shrunk = _time_change(spent, "delete", folder, lambda index: update_index(index, documents.head(0), gone))
    rebuilt = _timed(spent, "rebuild_delete", lambda: build_index(documents.slice(few), N_WORDS, THRESHOLD))
    is_delete_equal = read_keep(shrunk).equals(read_keep(rebuilt))
    return {
        "is_equal": is_add_equal and is_delete_equal,
        "time_frac": {way: _round(spent[way] / spent[f"rebuild_{way}"]) for way in ("add", "delete")},
        "time_frac_with_files": {
            way: _round(
                sum(spent[f"{way}{step}"] for step in ("", "_load", "_save")) / (spent[f"rebuild_{way}"] + spent["build_save"])
            )
            for way in ("add", "delete")
        },
        "n_dropped": int((read_keep(shrunk)["representative_id"] != read_keep(shrunk)["document_id"]).sum()),
        "cpu_s": {name: _round(seconds) for name, seconds in spent.items()},
    }


def _time_build(spent: dict[str, float], folder: Path, documents: pl.DataFrame) -> None:
    """A first index in `folder`."""
    index = _timed(spent, "build", lambda: build_index(documents, N_WORDS, THRESHOLD))
    _timed(spent, "build_save", lambda: save_index(folder, index))


def _time_change(spent: dict[str, float], way: str, folder: Path, change: Callable[[Index], Index]) -> Index:
    """The index of `folder` changed and saved there."""
    index = _timed(spent, f"{way}_load", lambda: load_index(folder, N_WORDS, THRESHOLD))
    changed = _timed(spent, way, lambda: change(index))
    _timed(spent, f"{way}_save", lambda: save_index(folder, changed))
    return changed


def _timed(spent: dict[str, float], name: str, call: Callable[[], Any]) -> Any:
    began = time.process_time()
    result = call()
    spent[name] = time.process_time() - began
    return result


def _round(value: float) -> float:
    return round(value, 4)


def digest_keep(documents: pl.DataFrame, order: int) -> dict[str, str]:
    """sha256 of the keep table's bytes as Parquet and as CSV, from the rows in an order of their own (0: as they are)."""
    if order:
        documents = documents[np.random.default_rng(order).permutation(documents.height)]
    keep = read_keep(build_index(documents, N_WORDS, THRESHOLD))
    out = {}
    for name, write in (("parquet", keep.write_parquet), ("csv", keep.write_csv)):
        buffer = io.BytesIO()
        write(buffer)
        out[name] = hashlib.sha256(buffer.getvalue()).hexdigest()
    return out


def _run(file: Path, way: str, arguments: dict[str, Any], n_threads: int = 1) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.curate.incremental", way, str(file), json.dumps(arguments)]
    environment = {**os.environ, **dict.fromkeys(ONE_THREAD, str(n_threads))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    if done.returncode:
        raise RuntimeError(f"{way} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    shares = "; ".join(
        f"{size}: add {part['add']:.2%}, delete {part['delete']:.2%} of a rebuild's time"
        for size, part in figures["incremental_time_frac"].items()
    )
    return f"{shares}; equal: {figures['incremental_equals_rebuild']}; keep table's bytes equal: {figures['keep_bytes_equal']}"


def main() -> None:
    """One measurement: `updates` or `digest`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=("updates", "digest"))
    parser.add_argument("file", type=Path)
    parser.add_argument("arguments", type=json.loads)
    options = parser.parse_args()
    documents = pl.read_parquet(options.file)
    if options.way == "digest":
        print(json.dumps(digest_keep(documents, options.arguments["order"])))
        return
    pin_core()
    folder = Path(options.arguments["folder"])
    time_updates(documents.head(N_WARM + N_WARM // ONE_IN), folder.with_name(f"{folder.name}-warm"), N_WARM)
    print(json.dumps(time_updates(documents, folder, options.arguments["size"])))


if __name__ == "__main__":
    main()
