"""What every peer is asked for, and how it is measured.

Belongs here: prompts, the schema of a row, the clocks, the printed line. Does not belong here: how a peer asks
(its own module), its installation (install.py), or the server and the comparison (__main__.py). It runs in each
peer's own environment, so it imports nothing but the standard library.

A peer imports its libraries and sets itself up first; `wall_s` and `call_cpu_s` then cover the call that turns
prompts into rows, with whatever the peer writes to disk meanwhile. CPU is user plus system of the process and of
those children that it has waited for; `rss_mib` is the peak of the process, `child_rss_mib` of its largest child.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Ask = Callable[[list[str]], Iterable[Mapping[str, Any] | None]]

MODEL = "teacher"
KEY = "sk-peer"
FIELDS = ("question", "reasoning", "sql")
INSTRUCTIONS = (
    "Write one question that a user might ask this database, think, and answer it by one query. "
    "Tables: singers (id, name, country, born), concerts (id, singer_id, hall, held, seats sold)."
)
SCHEMA = {
    "type": "object",
    "title": "Row",
    "properties": {name: {"type": "string", "title": name.title()} for name in FIELDS},
    "required": list(FIELDS),
    "additionalProperties": False,
}


def write_prompts(rows: int) -> list[str]:
    """Distinct prompts."""
    return [f"Topic {n}: concerts per hall and the seats sold, seen from year {1960 + n % 60}. Be brief." for n in range(rows)]


def messages(prompt: str) -> list[dict[str, str]]:
    """A prompt as a chat."""
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": prompt}]


def is_row(row: Mapping[str, Any] | None) -> bool:
    """Whether a peer's answer is a row."""
    return row is not None and all(isinstance(row.get(name), str) for name in FIELDS)


def cpu_s() -> float:
    """CPU seconds of this process and of the children that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in used)


def measure(prepare: Callable[[argparse.Namespace], Ask]) -> None:
    """Ask a peer for rows and print one line of JSON.

    Args:
        prepare: imports and sets up the peer, and gives the function that is timed.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    began = time.perf_counter()
    ask = prepare(options)
    prompts = write_prompts(options.rows)
    start, start_cpu = time.perf_counter(), cpu_s()
    ok = sum(is_row(row) for row in ask(prompts))
    wall, cpu = time.perf_counter() - start, cpu_s()
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    figures = {
        "rows": options.rows,
        "ok": ok,
        "wall_s": round(wall, 3),
        "rows_per_s": round(options.rows / wall, 1),
        "cpu_s": round(cpu, 3),
        "import_s": round(start - began, 3),
        "import_cpu_s": round(start_cpu, 3),
        "call_cpu_s": round(cpu - start_cpu, 3),
        "cpu_ms_per_row": round((cpu - start_cpu) * 1000 / options.rows, 3),
        "rss_mib": round(peaks[0]),
        "child_rss_mib": round(peaks[1]),
    }
    print(json.dumps(figures), flush=True)
