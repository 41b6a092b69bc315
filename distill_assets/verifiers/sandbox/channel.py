"""Talking with one server of the sandbox: start, hand over a run, end.

Belongs here: the process, its control socket, the descriptors of a run. Does not belong here: which tier (box), what a
run's bytes mean (box, python/verify).

A server dies with the thread that started it (PR_SET_PDEATHSIG), so all are started by one thread that lives as long as
this process.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from distill_assets.errors import SandboxError
from distill_assets.verifiers.sandbox.launch import Limits, Start, plan_start

START_DEADLINE_S = 60.0
_starters: dict[int, ThreadPoolExecutor] = {}


def _starter() -> ThreadPoolExecutor:
    """The one thread of this process that starts servers; a forked copy of this process makes its own."""
    if os.getpid() not in _starters:
        _starters.clear()
        _starters[os.getpid()] = ThreadPoolExecutor(1, thread_name_prefix="sandbox-starter")
    return _starters[os.getpid()]


class Channel:
    """One running server.

    Raises:
        SandboxError: when it does not start, with what it said.
    """

    def __init__(self, tier: str, limits: Limits) -> None:
        self.tier = tier
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._start = plan_start(tier, limits, theirs.fileno())
        try:
            self._process = _starter().submit(_open, self._start, theirs.fileno()).result()
        except OSError as error:
            self._forget()
            raise SandboxError(f"sandbox '{tier}': {error}. Nothing was run.") from error
        finally:
            theirs.close()
        self.found = self._wait_until_ready()

    def _wait_until_ready(self) -> dict[str, Any]:
        self.control.settimeout(START_DEADLINE_S)
        try:
            said = json.loads(self.control.recv(1 << 16) or b"{}")
        except (OSError, ValueError) as error:
            said = {"error": repr(error)}
        if not said.get("ready"):
            reason = said.get("error") or self._last_words()
            self.close()
            raise SandboxError(f"sandbox '{self.tier}' does not start: {reason}. Nothing was run.")
        self.control.settimeout(None)
        return said

    def _last_words(self) -> str:
        with suppress(OSError, ValueError, subprocess.TimeoutExpired):
            said = self._process.communicate(timeout=5)[1].decode(errors="replace").strip()
            return said.splitlines()[-1][:300] if said else f"exit status {self._process.returncode}"
        return "it said nothing"

    @property
    def pid(self) -> int:
        """The server's process id (that of bubblewrap, where the server is inside)."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the server is still there."""
        return self._process.poll() is None

    def begin(self, cpu_s: float, wall_s: float, descriptors: list[int]) -> None:
        """Start a run with these descriptors as 0, 1, 2, 3 and perhaps 4.

        Raises:
            OSError: when the server is gone.
        """
        socket.send_fds(self.control, [json.dumps({"cpu_s": cpu_s, "wall_s": wall_s}).encode()], descriptors)

    def end_run(self) -> None:
        """Have the run that is on killed; its result comes as ever."""
        with suppress(OSError):
            self.control.send(b"end")

    def close(self) -> None:
        """End the server and what it runs, and remove its folder."""
        self.control.close()
        try:
            self._process.wait(2)  # it empties its folder, which may belong to another user
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()
        self._forget()

    def _forget(self) -> None:
        self.control.close()
        if self._start.scratch:
            shutil.rmtree(self._start.scratch, ignore_errors=True)


def _open(start: Start, control: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        start.command, env=start.environment, cwd="/", pass_fds=[control], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
