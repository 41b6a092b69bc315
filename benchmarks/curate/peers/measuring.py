"""What every engine's process does alike: one core, texts in memory, processor seconds and memory of the work, pairs to a file.

Belongs here: that, without any library, since the peers' environment has none of ours. Does not belong here: an engine.

Memory is read from /proc: ru_maxrss of a new process begins at what its parent had.
"""

from __future__ import annotations

import json
import os
import re
import time
from array import array
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

N_WARM = 1_000
THRESHOLD, N_PERM, N_BANDS = 0.7, 128, 16
WORD = re.compile(r"\w+")


def pin_core() -> None:
    """Run on one core only."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def read_texts(file: Path) -> list[str]:
    """Texts of a file with one JSON string a line."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def list_bigrams(text: str) -> list[str]:
    """The word 2-grams of a text, lower case."""
    words = WORD.findall(text.lower())
    return [f"{first} {second}" for first, second in pairwise(words)]


def measure_work(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result of `work`, its processor seconds (user and system), and MiB of memory before it and at its peak."""
    before = _read_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    began = time.process_time()
    result = work()
    spent = time.process_time() - began
    return result, {"cpu_s": round(spent, 3), "rss_mib": _read_mib("VmHWM"), "rss_before_mib": before}


def write_pairs(file: Path, pairs: array[int]) -> None:
    """Write pairs, flat, as 32-bit integers."""
    with file.open("wb") as handle:
        pairs.tofile(handle)


def _read_mib(field: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return round(int(line.split()[1]) / 1024, 1)
