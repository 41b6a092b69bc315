"""Some requests take twenty times as long: how much longer than it must the asking take?

Belongs here: the server's own latencies and the schedules that they allow. Does not belong here: the asking (child).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.generate.child import Job, name_bodies
from benchmarks.generate.starting import run
from tests.hostile_answers import Call, Settings, delay_of
from tests.hostile_server import serve_hostile

ROWS, CONCURRENCY = 1_000, 64
SLOW = {"latency_s": 0.2, "straggler_frac": 0.01, "straggler_factor": 20.0}


def measure(root: Path) -> dict[str, Any]:
    """Ask with 1% stragglers; compare with what nobody could beat without knowing which requests are slow."""
    with serve_hostile(**SLOW) as server:
        job = Job(server.base_url, str(root / "stragglers"), ROWS, CONCURRENCY)
        delays = [delay_of(Call({}, digest, Settings(**SLOW)), 1) for digest in name_bodies(job).values()]
        figures = run(job)
    in_order, at_least = schedule(delays, CONCURRENCY), max(max(delays), sum(delays) / CONCURRENCY)
    return {
        "rows_ok": figures["ok"],
        "stragglers": sum(delay > SLOW["latency_s"] for delay in delays),
        "ask_wall_s": figures["ask_wall_s"],
        "in_order_s": round(in_order, 2),
        "at_least_s": round(at_least, 2),
        "straggler_ratio": round(figures["ask_wall_s"] / in_order, 3),
        "straggler_ratio_to_bound": round(figures["ask_wall_s"] / at_least, 3),
    }


def schedule(delays: Iterable[float], slots: int) -> float:
    """When the last one ends, if each starts in its order as soon as a slot is free and nothing else takes time."""
    free = [0.0] * slots
    for delay in delays:
        heapq.heapreplace(free, free[0] + delay)
    return max(free)


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['ask_wall_s']} s with {figures['stragglers']} slow ones; {figures['in_order_s']} s in the plan's order without "
        f"any other cost, {figures['at_least_s']} s for who knows which are slow"
    )
