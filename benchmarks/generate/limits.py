"""Rate limits: how much of a declared one is used, and how often an undeclared one is run into.

Belongs here: watching the server's counts while a child asks. Does not belong here: how hard it asks (clients/throttle).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.generate.child import Job
from benchmarks.generate.starting import run, start
from tests.hostile_server import HostileServer, serve_hostile

RPM, TPM = 600, 60_000
SETTLED_S, WATCHED_S = 15.0, 75.0
UNDECLARED_RPM, UNDECLARED_ROWS = 1_200, 600
LATENCY_S = 0.2


def measure(root: Path) -> dict[str, Any]:
    """A declared limit in steady state; then an undeclared one, told with the first refusal, and never told."""
    told = measure_undeclared(root / "told", "on_429")
    untold = measure_undeclared(root / "untold", "none")
    return {
        **measure_declared(root / "declared"),
        "refused_per_100_at_1200_rpm": told["refused_per_100"],
        "refused_per_100_at_1200_rpm_no_headers": untold["refused_per_100"],
        "undeclared": {"headers_on_429": told, "no_headers": untold},
    }


def measure_declared(folder: Path) -> dict[str, Any]:
    """Requests and tokens accepted a minute against the limit that binds."""
    with serve_hostile(latency_s=LATENCY_S, rpm=RPM, tpm=TPM) as server:
        job = Job(server.base_url, str(folder), 10_000, requests_per_minute=RPM, tokens_per_minute=TPM)
        process = start(job)
        try:
            process.stdout.readline()
            before = _count_after(server, SETTLED_S)
            after = _count_after(server, WATCHED_S)
            stats = server.stats()
        finally:
            process.kill()
            process.communicate()
    minutes = (after["at"] - before["at"]) / 60
    used = {name: (after[name] - before[name]) / minutes / limit for name, limit in (("answers", RPM), ("tokens", TPM))}
    return {
        "watched_s": round(minutes * 60, 1),
        "rate_used_frac": round(max(used.values()), 4),
        "requests_used_frac": round(used["answers"], 4),
        "tokens_used_frac": round(used["tokens"], 4),
        "requests": stats["requests"],
        "refused_frac": round(stats["statuses"].get("429", 0) / stats["requests"], 4),
    }


def _count_after(server: HostileServer, wait_s: float) -> dict[str, float]:
    time.sleep(wait_s)
    stats = server.stats()
    return {"at": time.monotonic(), "answers": stats["answers"], "tokens": stats["tokens_in"] + stats["tokens_out"]}


def measure_undeclared(folder: Path, headers: str) -> dict[str, Any]:
    """600 rows at 1,200 a minute that the recipe does not know of."""
    with serve_hostile(latency_s=LATENCY_S, rpm=UNDECLARED_RPM, rate_headers=headers) as server:
        figures = run(Job(server.base_url, str(folder), UNDECLARED_ROWS))
        stats = server.stats()
    return {
        "rows_ok": figures["ok"],
        "ask_wall_s": figures["ask_wall_s"],
        "at_least_s": UNDECLARED_ROWS / UNDECLARED_RPM * 60,
        "refused": stats["statuses"].get("429", 0),
        "refused_per_100": round(stats["statuses"].get("429", 0) * 100 / stats["answers"], 2),
        "during_told_pause": stats["during_pause"],
    }


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['rate_used_frac']:.1%} of the limit used, {figures['refused_frac']:.2%} refused; not declared, "
        f"{figures['refused_per_100_at_1200_rpm']} refused per 100 with headers, "
        f"{figures['refused_per_100_at_1200_rpm_no_headers']} without"
    )
