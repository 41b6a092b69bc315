"""Naming a process so that another one can tell whether it still runs.

Belongs here: `host:pid:start`, and its check. Does not belong here: what follows for runs (doctor).

The start time (field 22 of /proc/PID/stat, proc(5)) tells a process from a later one with its pid.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

HOST_TAG = "distill/process"


def process_name() -> str:
    """This process as host:pid:start."""
    return f"{platform.node()}:{os.getpid()}:{_start_time(os.getpid())}"


def _start_time(pid: int) -> str:
    """Clock ticks from boot to the process's start; empty where the system does not say or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def is_running(name: str) -> bool:
    """Say whether the named process runs; one on another host counts as running, since nobody here can tell."""
    host, pid, *start = name.split(":")
    if host != platform.node():
        return True
    now = _start_time(int(pid))
    return bool(now) and (not start or start[0] == now)
