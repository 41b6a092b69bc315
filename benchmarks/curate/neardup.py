"""Near duplicates beside other people's libraries: processor seconds, memory, pairs, and whether ours are all there are.

Belongs here: rounds of all engines in turn, ratios, recall, equality with brute force and with SQL. Does not belong here: an
engine's call (peers) or the corpus (corpus).

Each engine runs in a process of its own, on one core and with one thread, in turn. Timed: from texts in memory to pairs. Every
engine first does 1,000 texts untimed, so that compiled functions are loaded. Rates are documents a processor second, user and
system.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from benchmarks.curate.corpus import make_corpus
from benchmarks.curate.peers.install import install_peers
from benchmarks.curate.peers.measuring import THRESHOLD
from benchmarks.curate.peers.ours_run import CLOSE, N_WORDS, find_near
from distill_assets.curate.deduplicate import sql
from distill_assets.curate.words import normalise_texts

ENGINES = {"ours": ("ours_run", "pairs"), "rensa": ("rensa_run", "pairs"), "rensa_flags": ("rensa_run", "flags"),
           "datasketch": ("datasketch_run", "pairs")}  # fmt: skip
SLOW = ("datasketch",)  # left out of the large corpus
ROUNDS = 3
N_BRUTE = 3_000
SEED = 5
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)


def measure(root: Path, data: Path, n_documents: int, n_large: int, peers: Path) -> dict[str, Any]:
    """All engines on `n_documents` in three rounds and on `n_large` in one (0: not at all); equality on the small corpus."""
    python = install_peers(peers)
    texts = make_corpus(data, n_documents)
    small = _compare(root / "small", texts, python, list(ENGINES), ROUNDS)
    out = {
        "neardup_docs_per_cpu_s": small["ours"]["docs_per_cpu_s"],
        **{f"ratio_vs_{name}": _divide(small, name, "cpu_s") for name in ENGINES if name != "ours"},
        **check_equality(texts),
        "neardup": {str(n_documents): small},
    }
    if not n_large:
        return out
    texts = make_corpus(data, n_large)
    large = _compare(root / "large", texts, python, [name for name in ENGINES if name not in SLOW], 1)
    out["neardup"][str(n_large)] = large
    if n_large == 1_000_000:
        out |= {
            "neardup_docs_per_cpu_s_1m": large["ours"]["docs_per_cpu_s"],
            "ratio_vs_rensa_1m": _divide(large, "rensa", "cpu_s"),
            "ratio_vs_rensa_flags_1m": _divide(large, "rensa_flags", "cpu_s"),
            "rss_mib_1m": large["ours"]["rss_mib"],
            "rss_ratio_vs_rensa_1m": round(large["ours"]["rss_mib"] / large["rensa"]["rss_mib"], 3),
        }
    return out


def _divide(engines: dict[str, Any], peer: str, figure: str) -> float:
    return round(engines[peer][figure] / engines["ours"][figure], 2)


def _compare(root: Path, texts: pl.Series, python: Path, names: list[str], rounds: int) -> dict[str, Any]:
    """Each engine's figures: those of the round in the middle, all processor seconds, and its pairs beside ours."""
    root.mkdir()
    texts.to_frame("text").write_parquet(root / "texts.parquet")
    with (root / "texts.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(text)}\n" for text in texts)
    runs = [(name, _run_engine(root, python, name)) for _ in range(rounds) for name in names]
    out = {}
    for name in names:
        own = [figures for engine, figures in runs if engine == name]
        cpu_s = median(figures["cpu_s"] for figures in own)
        out[name] = {
            **own[0], "cpu_s": cpu_s, "all_cpu_s": [figures["cpu_s"] for figures in own],
            "rss_mib": max(figures["rss_mib"] for figures in own), "docs_per_cpu_s": round(len(texts) / cpu_s),
            **_compare_pairs(root, name),
        }  # fmt: skip
    return out


def _run_engine(root: Path, python: Path, name: str) -> dict[str, Any]:
    module, way = ENGINES[name]
    is_ours = name == "ours"
    file = root / ("texts.parquet" if is_ours else "texts.jsonl")
    command = [sys.executable if is_ours else python, "-m", f"benchmarks.curate.peers.{module}", way, file, root / f"{name}.pairs"]
    done = subprocess.run(
        command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stderr[-2000:]}")
    figures = json.loads(done.stdout.splitlines()[-1])
    print(f"  {name}: {figures}", flush=True)
    return figures


def _compare_pairs(root: Path, name: str) -> dict[str, Any]:
    """Which of our pairs an engine found, of all and of those well above the threshold, and how many of its pairs are none of ours.

    The peers' sets have no marks before and behind the words, so pairs at the very threshold differ by definition as well.
    """
    if not (root / f"{name}.pairs").exists():
        return {}
    ours, theirs = _read_pairs(root / "ours.pairs"), _read_pairs(root / f"{name}.pairs")
    close = _read_pairs(root / "ours.pairs.close")
    n_common = len(np.intersect1d(ours, theirs))
    return {
        "recall_of_ours": round(n_common / max(1, len(ours)), 4),
        f"recall_of_ours_from_{CLOSE}": round(len(np.intersect1d(close, theirs)) / max(1, len(close)), 4),
        "n_not_ours": len(theirs) - n_common,
    }


def _read_pairs(file: Path) -> Any:
    pairs = np.fromfile(file, np.int32).reshape(-1, 2).astype(np.int64)
    return np.unique(pairs[:, 0] << 32 | pairs[:, 1])


def check_equality(texts: pl.Series) -> dict[str, Any]:
    """Our pairs beside brute force on the first 3,000 texts and beside SQL on all, similarity bit for bit."""
    some = _with_copies(texts, N_BRUTE)
    ours, brute = find_near(some), find_by_brute_force(some)
    n_found = ours.join(brute, on=["left", "right"]).height
    near, queried = find_near(texts), sql.find_pairs(texts, None, N_WORDS, THRESHOLD)
    return {
        "recall_vs_bruteforce": n_found / brute.height if brute.height else None,
        "equals_bruteforce": ours.equals(brute),
        "bruteforce_pairs": brute.height,
        "equals_sql": near.equals(queried),
        "sql_pairs": queried.height,
        "sql_documents": len(texts),
    }


def _with_copies(texts: pl.Series, n: int) -> pl.Series:
    """`n` texts of which one in three loses a word in ten, so that there are pairs on both sides of the threshold."""
    rng, out = np.random.default_rng(SEED), texts.head(n).to_list()
    for row in range(2, len(out), 3):
        words = out[int(rng.integers(0, row))].split(" ")
        out[row] = " ".join(word for word in words if rng.random() > 0.1) or words[0]
    return pl.Series("text", out)


def find_by_brute_force(texts: pl.Series) -> pl.DataFrame:
    """Every pair compared as Python sets of strings: left, right, similarity, sorted."""
    sets = []
    for text, words in zip(texts, normalise_texts(texts), strict=True):
        marked = ["\x02", *words.split(" "), "\x03"]
        sets.append(set(itertools.pairwise(marked)) if words else {text})
    rows = []
    for right, held in enumerate(sets):
        for left in range(right):
            n_shared = len(held & sets[left])
            if n_shared and (similarity := n_shared / (len(held) + len(sets[left]) - n_shared)) >= THRESHOLD:
                rows.append((left, right, similarity))
    frame = pl.DataFrame(rows, {"left": pl.Int32, "right": pl.Int32, "similarity": pl.Float64}, orient="row")
    return frame.sort("left", "right")


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['neardup_docs_per_cpu_s']} documents a CPU second, {figures['ratio_vs_rensa']} times rensa, "
        f"{figures['ratio_vs_datasketch']} times datasketch; at 1M {figures.get('ratio_vs_rensa_1m')} times rensa with "
        f"{figures.get('rss_mib_1m')} MiB ({figures.get('rss_ratio_vs_rensa_1m')} of its); equal to brute force: "
        f"{figures['equals_bruteforce']}, to SQL: {figures['equals_sql']}"
    )
