"""CPU seconds and peak memory of whole processes.

Belongs here: running one command and reading what the kernel says of it. Does not belong here: which command.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Ended(NamedTuple):
    """A process that ended: CPU seconds of user and system, wall seconds, peak memory, and what it printed."""

    cpu_s: float
    wall_s: float
    peak_mib: int
    out: str


def run_measured(arguments: Sequence[str], home: Path, allowed: Collection[int] = (0,)) -> Ended:
    """Run `python -m ...` with DISTILL_HOME set.

    Args:
        allowed: exit statuses that are an answer.

    Raises:
        RuntimeError: it ended otherwise; with the end of what it said.
    """
    # Bytecode is kept, as it is for whoever installs the package; but not between its sources.
    environment = {**os.environ, "DISTILL_HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(home / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as words:
        process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, stdout=out, stderr=words)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        words.seek(0)
        if process.returncode not in allowed:
            raise RuntimeError(
                f"{' '.join(arguments)} ended with {process.returncode}: {words.read()[-3000:].decode(errors='replace')}"
            )
        text = out.read().decode("utf-8", errors="replace")
    return Ended(usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss // 1024, text)


def read_peak_mib() -> int:
    """Peak memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
