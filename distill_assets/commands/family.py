"""The processes below this one: none may outlive it unseen.

Belongs here: becoming the parent of orphaned descendants, finding them, ending them. Does not belong
here: which processes there are (ui).

A code server's children are not ours, but once their parent is gone the kernel hands them to the
nearest subreaper above (prctl(2), PR_SET_CHILD_SUBREAPER). On other systems than Linux there is none:
children are then only ended by whoever started them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.05


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def find_descendants(pid: int | None = None) -> list[int]:
    """Living processes below `pid` (this one by default), parents before children."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it ended meanwhile
        if state != "Z":
            children.setdefault(int(parent), []).append(int(file.parent.name))
    found = list(children.get(os.getpid() if pid is None else pid, []))
    for process in found:  # grows while it is walked
        found += children.get(process, [])
    return found


def end_descendants(grace_s: float) -> int:
    """Ask every descendant to end, wait `grace_s`, then kill what is left; returns how many were killed."""
    _signal(find_descendants(), signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while find_descendants() and time.monotonic() < deadline:
        _reap()
        time.sleep(POLL_S)
    left = find_descendants()
    while remaining := find_descendants():
        _signal(remaining, signal.SIGKILL)
        _reap()
        time.sleep(POLL_S)
    _reap()
    return len(left)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _reap() -> None:
    """Collect the exit statuses of ended children, so that none stays as a zombie."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
