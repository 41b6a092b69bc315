"""Many rows: the most memory that a generation ever holds, and how long one takes whose replies are all known.

Belongs here: peak memory and the cached rerun. Does not belong here: CPU a row beside others (speed).
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.generate.child import Job
from benchmarks.generate.starting import run
from tests.hostile_server import serve_hostile

CACHED_ROWS = 100_000
MEMORY_ROWS = (50_000, 200_000)


def measure_cached(root: Path, rows: int = CACHED_ROWS) -> dict[str, Any]:
    """Generate once, then again with everything known: from the earlier table, and from the journal alone."""
    with serve_hostile() as server:
        job = Job(server.base_url, str(root / "cached"), rows)
        first = run(job)
        asked = server.stats()["requests"]
        again = run(replace(job, earlier=first["version"]))
        replayed = run(job)
        more = server.stats()["requests"] - asked
    shutil.rmtree(root / "cached")
    same = first["version"] == again["version"] == replayed["version"]
    if not same or more:
        raise RuntimeError(f"a rerun sent {more} requests, same table: {same}")
    return {
        "rows": rows,
        "requests": more,
        "cached_rerun_100k_s": again["process_wall_s"],
        "without_imports_s": again["wall_s"],
        "cpu_s": again["process_cpu_s"],
        "from_journal_alone_s": replayed["process_wall_s"],
        "from_journal_alone_without_imports_s": replayed["wall_s"],
        "first_s": first["process_wall_s"],
        "rss_mib": again["rss_mib"],
    }


def measure_memory(root: Path) -> dict[str, Any]:
    """Peak memory of a fresh generation at two sizes."""
    peaks = {}
    for rows in MEMORY_ROWS:
        with serve_hostile() as server:
            figures = run(Job(server.base_url, str(root / "memory"), rows))
        shutil.rmtree(root / "memory")
        peaks[rows] = figures["rss_mib"]
        print(f"  {rows} rows: {figures['rss_mib']} MiB, {figures['process_wall_s']} s", flush=True)
    low, high = MEMORY_ROWS
    return {
        "rss_mib_50k": peaks[low],
        "rss_mib_200k": peaks[high],
        "rss_mib_per_1000_rows": round((peaks[high] - peaks[low]) / (high - low) * 1000, 3),
    }


def report_cached(figures: dict[str, Any]) -> str:
    """The cached rerun in words."""
    return (
        f"{figures['rows']} known rows in {figures['cached_rerun_100k_s']} s from start to table, "
        f"{figures['without_imports_s']} s of them without imports ({figures['from_journal_alone_s']} s from the journal alone)"
    )


def report_memory(figures: dict[str, Any]) -> str:
    """The memory in words."""
    return f"{figures['rss_mib_200k']} MiB at 200,000 rows, {figures['rss_mib_50k']} MiB at 50,000"
