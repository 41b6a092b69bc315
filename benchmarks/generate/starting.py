"""Starting children and reading what they print.

Belongs here: a child's process from its start to its line of figures. Does not belong here: what it does (child).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.generate.child import Job

ROOT = Path(__file__).resolve().parents[2]
N_WARM = 2


def start(job: Job) -> subprocess.Popen[str]:
    """Start a child; it talks through pipes."""
    command = [sys.executable, "-m", "benchmarks.generate.child", json.dumps(asdict(job))]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def read_figures(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a child's end and return its last line.

    Raises:
        RuntimeError: it failed; what it said is on standard error.
    """
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a child ended with {process.returncode}")
    return json.loads(said.strip().splitlines()[-1])


def run(job: Job) -> dict[str, Any]:
    """Run one child alone: its own figures, and wall and CPU seconds of the whole process."""
    before, began = os.times(), time.perf_counter()
    figures = read_figures(start(job))
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {**figures, "process_wall_s": round(time.perf_counter() - began, 2), "process_cpu_s": round(cpu, 2)}


@contextmanager
def keep_warm(job: Job, expected: int) -> Iterator[Iterator[subprocess.Popen[str]]]:
    """Give children that have imported everything and wait; the next ones of those expected warm up meanwhile."""
    waiting = deque(start(job) for _ in range(min(N_WARM, expected)))

    def take() -> Iterator[subprocess.Popen[str]]:
        for number in count(1):
            process = waiting.popleft()
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("a child did not start")
            yield process
            if not waiting or number + len(waiting) < expected:
                waiting.append(start(job))

    try:
        yield take()
    finally:
        for process in waiting:
            process.kill()
            process.communicate()
