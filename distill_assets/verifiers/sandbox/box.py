"""The sandbox: a pool of servers of the strongest tier that this machine offers, and runs of programs in it.

Belongs here: choosing the tier, refusing, lending servers to runs. Does not belong here: starting a server (launch,
channel), one run (exchange) or judging what came out (python).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from threading import Lock
from typing import Any, Self

from distill_assets.errors import SandboxError
from distill_assets.judging import SandboxSpec
from distill_assets.verifiers.sandbox.channel import Channel
from distill_assets.verifiers.sandbox.exchange import Exchange, Job, Run
from distill_assets.verifiers.sandbox.launch import TIERS, Limits, bubblewrap_version, describe_machine, find_bubblewrap, limits_of


class Sandbox:
    """A context manager that runs programs; safe to use from several threads.

    Args:
        spec: the weakest tier that will do, and the bounds of a run.
        workers: how many runs at a time.
        at_most: the strongest tier to try; for tests and measurements.

    Raises:
        SandboxError: on entering, when no tier from `spec.minimum` up works here; nothing was run.
    """

    def __init__(self, spec: SandboxSpec | None = None, workers: int = 1, at_most: str = "namespaces") -> None:
        self._spec = spec or SandboxSpec()
        self._limits = limits_of(self._spec)
        self._at_most = at_most
        self._idle: LifoQueue[list[Channel]] = LifoQueue()
        self._seats: LifoQueue[None] = LifoQueue()
        self._workers = workers
        self._open: list[Channel] = []
        self._lock = Lock()
        self._found: dict[str, Any] = {}
        self.tier = ""

    def __enter__(self) -> Self:
        missing = []
        for tier in _tiers_to_try(self._spec.minimum, self._at_most):
            try:
                first = self._start(tier)
            except SandboxError as error:
                missing.append(str(error))
                continue
            self.tier, self._found = tier, {**first.found, "missing": missing}
            self._idle.put([first])
            for _ in range(self._workers):
                self._seats.put(None)
            return self
        raise SandboxError(_refusal(self._spec.minimum, missing))

    def __exit__(self, *_: object) -> None:
        with self._lock:
            channels, self._open = self._open, []
        for channel in channels:
            channel.close()

    @property
    def limits(self) -> Limits:
        """The bounds of each run."""
        return self._limits

    def describe(self) -> dict[str, object]:
        """What a run is held by, as plain data."""
        return {
            "tier": self.tier,
            "landlock_abi": self._found.get("landlock_abi", 0),
            "has_seccomp": self._found.get("seccomp", False),
            "is_own_user": self._found.get("is_own_user", False),
            "bubblewrap": bubblewrap_version() if self.tier == "namespaces" else None,
            "limits": self._limits._asdict(),
            "machine": describe_machine(),
            "stronger_missing": list(self._found.get("missing", [])),
        }

    def run(self, job: Job) -> Run:
        """Run one program.

        Raises:
            SandboxError: when the sandbox itself failed; nothing is known of the program.
        """
        return self._run([job])[0]

    def run_pair(self, first: Job, second: Job) -> tuple[Run, Run]:
        """Run two programs that are joined by a socket (descriptor 4 of each) and share nothing else."""
        found = self._run([first, second])
        return found[0], found[1]

    def _run(self, jobs: list[Job]) -> list[Run]:
        with self._borrowed(len(jobs)) as channels:
            exchange = Exchange(channels, jobs, self._limits)
            self._discard([channel for ix, channel in enumerate(channels) if exchange.is_last(ix)])
            return exchange.result()

    def servers(self) -> list[int]:
        """Process ids of the running servers."""
        with self._lock:
            return [channel.pid for channel in self._open]

    @contextmanager
    def _borrowed(self, count: int) -> Iterator[list[Channel]]:
        if not self.tier:
            raise SandboxError("the sandbox is not entered. Nothing was run.")
        self._seats.get()
        group: list[Channel] = []
        try:
            try:
                group = self._idle.get_nowait()
            except Empty:
                group = []
            self._discard([channel for channel in group if not channel.is_alive()])
            group = [channel for channel in group if channel.is_alive()]
            while len(group) < count:
                group.append(self._start(self.tier))
            yield group[:count]
        except BaseException:
            self._discard(group)
            group = []
            raise
        finally:
            self._idle.put(group)
            self._seats.put(None)

    def _start(self, tier: str) -> Channel:
        if tier == "namespaces" and not find_bubblewrap():
            raise SandboxError("sandbox 'namespaces': no program bwrap (bubblewrap) on PATH. Nothing was run.")
        channel = Channel(tier, self._limits)
        with self._lock:
            self._open.append(channel)
        return channel

    def _discard(self, group: list[Channel]) -> None:
        for channel in group:
            with self._lock:
                if channel in self._open:
                    self._open.remove(channel)
            channel.close()


def _tiers_to_try(minimum: str, at_most: str) -> list[str]:
    return [tier for tier in reversed(TIERS) if TIERS.index(minimum) <= TIERS.index(tier) <= TIERS.index(at_most)]


def _refusal(minimum: str, missing: list[str]) -> str:
    found = " ".join(missing) or "no tier is left to try."
    return (
        f"judge.sandbox.minimum is '{minimum}', and this machine offers none as strong: {found} Nothing was run. "
        f"Use Linux 5.13 or later on x86_64 with Landlock and seccomp (install bubblewrap for 'namespaces'), "
        "or name a weaker minimum in recipe.yaml if the code is trusted."
    )
