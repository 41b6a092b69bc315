"""Rows a CPU second, beside every peer that is installed, in turn against one server.

Belongs here: our line beside the peers' and the ratio. Does not belong here: how a peer asks (benchmarks/peers) or
our own child (child). Journal, validation, accounting and the table are on, each row flushed to the disk.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.generate.child import Job
from benchmarks.generate.starting import run
from benchmarks.peers.__main__ import CONCURRENCY, TUNED, run_peer
from benchmarks.peers.install import PINS, interpreter_of
from tests.hostile_server import HostileServer, serve_hostile

OURS = "distill_assets"
LATENCY_S = 0.02
ROUNDS = {2_000: 3, 20_000: 1}
FRAMEWORKS = ("curator_run", "distilabel_run")


def measure(root: Path, peers: Path | None) -> dict[str, Any]:
    """All sizes, all rounds, all clients."""
    clients = [OURS, *(name for name in PINS if peers and interpreter_of(peers, name).exists())]
    by_size: dict[str, Any] = {}
    with serve_hostile(latency_s=LATENCY_S) as server:
        for rows, rounds in ROUNDS.items():
            runs = [_run_client(root, peers, name, server, rows) for _ in range(rounds) for name in clients]
            by_size[str(rows)] = {name: _summarise([r for r in runs if r["peer"] == name]) for name in clients}
    return {"sizes": by_size, **_headline(by_size)}


def _run_client(root: Path, peers: Path | None, name: str, server: HostileServer, rows: int) -> dict[str, Any]:
    if name != OURS:
        figures = run_peer(peers, name, server, rows, TUNED.get(name, CONCURRENCY))
    else:
        server.reset()
        folder = root / "speed"
        figures = {"peer": OURS, **run(Job(server.base_url, str(folder), rows, CONCURRENCY))}
        shutil.rmtree(folder)
    print(f"  {rows} rows, {name}: {figures.get('failed') or describe(figures)}", flush=True)
    return figures


def describe(figures: dict[str, Any]) -> str:
    """One run in words."""
    return (
        f"{figures['ok']} ok, {figures['rows_per_s']} rows/s, {figures['cpu_ms_per_row']} CPU ms a row in the call, "
        f"{figures['process_cpu_s']} CPU s in all, {figures['rss_mib']} MiB"
    )


def _summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over a client's rounds."""
    if failed := [run["failed"] for run in runs if "failed" in run]:
        return {"failed": failed[0]}
    rows = runs[0]["rows"]

    def middle(name: str) -> float:
        return median(run[name] for run in runs)

    return {
        "ok": min(run["ok"] for run in runs),
        "rows_per_s": middle("rows_per_s"),
        "cpu_ms_per_row": middle("cpu_ms_per_row"),
        "cpu_ms_per_row_of_process": round(middle("process_cpu_s") * 1000 / rows, 3),
        "rows_per_cpu_s": round(rows / max(1e-9, middle("call_cpu_s")), 1),
        "import_cpu_s": middle("import_cpu_s"),
        "rss_mib": middle("rss_mib") + middle("child_rss_mib"),
    }


def _headline(by_size: dict[str, Any]) -> dict[str, Any]:
    """Ours at the smallest size, against the best framework of the same rounds."""
    first = next(iter(by_size.values()))
    out = {
        "rows_per_cpu_s": first[OURS]["rows_per_cpu_s"],
        "cpu_ms_per_row": first[OURS]["cpu_ms_per_row"],
        "ratio_vs_best_peer": None,
        "peer": None,
    }
    for rows, clients in by_size.items():
        rates = {name: clients[name]["rows_per_cpu_s"] for name in FRAMEWORKS if "ok" in clients.get(name, {})}
        if not rates:
            continue
        best = max(rates, key=rates.get)
        ratio = round(clients[OURS]["rows_per_cpu_s"] / rates[best], 2)
        out[f"ratio_vs_best_peer_{rows}"] = ratio
        if clients is first:
            out |= {"ratio_vs_best_peer": ratio, "peer": best.removesuffix("_run")}
    return out


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    versus = f", {figures['ratio_vs_best_peer']} times {figures['peer']}" if figures["peer"] else ""
    return f"{figures['rows_per_cpu_s']} rows a CPU second, {figures['cpu_ms_per_row']} CPU ms a row{versus}"
