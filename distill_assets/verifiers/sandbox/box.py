"""The sandbox: a pool of servers of the strongest tier that this machine offers, and runs of programs in it.

Belongs here: choosing the tier, refusing, running one job or a pair of jobs, collecting what comes out within bounds.
Does not belong here: starting a server (launch, channel) or judging what came out (python).
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, LifoQueue
from threading import Lock
from typing import Any, NamedTuple, Self

from distill_assets.errors import SandboxError
from distill_assets.judging import SandboxSpec
from distill_assets.verifiers.sandbox.channel import Channel
from distill_assets.verifiers.sandbox.launch import TIERS, Limits, bubblewrap_version, describe_machine, find_bubblewrap, limits_of

GRACE_S = 10.0  # what a server may take beyond a run's time before it counts as hung
MAX_FRAMES_SHOWN = 10_000

ENDINGS = ("ended", "timeout", "killed", "flood", "crashed", "lost")


class Run(NamedTuple):
    """What came of one program, none of it to be trusted.

    `ending` is one of ENDINGS; `status` is the exit status, negative for a signal; `frames` what it reported.
    """

    ending: str
    status: int
    output: str
    errors: str
    frames: tuple[bytes, ...]
    is_whole: bool
    cpu_s: float
    reason: str


class Job(NamedTuple):
    """What a process is to do: the message that it gets, and its standard input."""

    message: Mapping[str, object]
    stdin: bytes = b""


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
        with self._borrowed(1) as channels:
            return _Exchange(channels, [job], self._limits).result()[0]

    def run_pair(self, first: Job, second: Job) -> tuple[Run, Run]:
        """Run two programs that are joined by a socket (descriptor 4 of each) and share nothing else."""
        with self._borrowed(2) as channels:
            found = _Exchange(channels, [first, second], self._limits).result()
            return found[0], found[1]

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


class _Exchange:
    """One job, or two that talk with each other: hands over, collects within bounds, waits for the end."""

    def __init__(self, channels: list[Channel], jobs: list[Job], limits: Limits) -> None:
        self._channels, self._limits = channels, limits
        self._results: dict[int, dict] = {}
        self._flooded: set[int] = set()
        self._read: dict[int, tuple[int, str]] = {}
        self._texts = [{"output": bytearray(), "errors": bytearray(), "reply": bytearray()} for _ in jobs]
        self._left: dict[int, memoryview] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.poll()
        try:
            self._begin(jobs)
            self._collect()
        except OSError as error:
            raise SandboxError(f"the sandbox's server is gone ({error}). Nothing is known of this program.") from error
        finally:
            self._close()

    def _begin(self, jobs: list[Job]) -> None:
        links = socket.socketpair() if len(jobs) == 2 else ()
        try:
            for ix, (channel, job) in enumerate(zip(self._channels, jobs, strict=True)):
                self._hand_over(ix, channel, job, [link.fileno() for link in links[ix : ix + 1]])
        finally:
            for link in links:
                link.close()

    def _hand_over(self, ix: int, channel: Channel, job: Job, links: list[int]) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._sockets[ours.fileno()] = ours
        ends = [_input_file(job.stdin), theirs.fileno()]
        try:
            for name in ("output", "errors"):
                reading, writing = os.pipe()
                self._read[reading] = (ix, name)
                ends.insert(-1, writing)
            channel.begin(self._limits.cpu_s, self._limits.wall_s, [*ends, *links])
        finally:
            for end in ends[:-1]:
                os.close(end)
            theirs.close()
        self._read[ours.fileno()] = (ix, "reply")
        message = json.dumps(job.message).encode()
        self._left[ours.fileno()] = memoryview(struct.pack("=I", len(message)) + message)

    def _collect(self) -> None:
        for descriptor in self._read:
            os.set_blocking(descriptor, False)
            self._poll.register(descriptor, select.POLLIN | (select.POLLOUT if descriptor in self._left else 0))
        controls = {channel.control.fileno(): ix for ix, channel in enumerate(self._channels)}
        for control in controls:
            self._poll.register(control, select.POLLIN)
        deadline = time.monotonic() + self._limits.wall_s + GRACE_S
        while len(self._results) < len(self._channels):
            ready = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise SandboxError(
                    f"the sandbox's server did not end a run within {self._limits.wall_s + GRACE_S:g} s. It was ended."
                )
            for descriptor, events in ready:
                if descriptor in controls:
                    self._take_result(controls[descriptor])
                else:
                    self._take(descriptor, events)
        for descriptor in list(self._read):
            self._take(descriptor, select.POLLIN)

    def _take_result(self, ix: int) -> None:
        said = self._channels[ix].control.recv(1 << 16)
        if not said:
            raise SandboxError("the sandbox's server ended during a run. Nothing is known of this program.")
        self._results[ix] = json.loads(said)
        if len(self._channels) == 2 and len(self._results) == 1 and ix == 0:
            self._channels[1].end_run()  # the tests are through; whoever they called is of no more interest

    def _take(self, descriptor: int, events: int) -> None:
        if events & select.POLLOUT and descriptor in self._left:
            self._send(descriptor)
        if not events & ~select.POLLOUT:
            return
        ix, name = self._read[descriptor]
        held = self._texts[ix][name]
        bound = self._limits.reply_bytes if name == "reply" else self._limits.output_bytes
        try:
            while piece := os.read(descriptor, 1 << 16):
                if len(held) < bound:
                    held += piece[: bound - len(held)]
                    continue
                if ix not in self._flooded:
                    self._flooded.add(ix)
                    self._channels[ix].end_run()
                if ix in self._results:
                    return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._poll.unregister(descriptor)
        del self._read[descriptor]
        self._left.pop(descriptor, None)
        if descriptor not in self._sockets:
            os.close(descriptor)

    def _send(self, descriptor: int) -> None:
        left = self._left[descriptor]
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            return
        except OSError:  # the process ended before it took its job; its result tells
            left = left[:0]
        self._left[descriptor] = left
        if not left:
            del self._left[descriptor]
            self._poll.modify(descriptor, select.POLLIN)

    def _close(self) -> None:
        for descriptor in self._read:
            if descriptor not in self._sockets:
                os.close(descriptor)
        for end in self._sockets.values():
            end.close()

    def result(self) -> list[Run]:
        """What came of each job."""
        return [self._run_of(ix) for ix in range(len(self._channels))]

    def _run_of(self, ix: int) -> Run:
        found, texts = self._results[ix], self._texts[ix]
        status = os.waitstatus_to_exitcode(found["status"])
        ending, reason = _ending(found, status, ix in self._flooded, self._limits)
        frames, is_whole = _split_frames(bytes(texts["reply"]))
        return Run(ending, status, clean(texts["output"]), clean(texts["errors"]), frames, is_whole, found["cpu_s"], reason)


def _ending(found: Mapping[str, Any], status: int, flooded: bool, limits: Limits) -> tuple[str, str]:
    if flooded:
        return "flood", f"wrote more than {limits.output_bytes} bytes"
    if found["killed"] == "wall":
        return "timeout", f"not done after {limits.wall_s:g} s by the clock"
    if status in (-signal.SIGXCPU, -signal.SIGKILL) and found["cpu_s"] >= limits.cpu_s:
        return "timeout", f"used more than {limits.cpu_s:g} s of processor time"
    if found["killed"]:
        return "killed", "opened too many files" if found["killed"] == "files" else "was ended by its parent"
    if status == 97:
        return "lost", "the process could not be confined, or lost its job"
    if status < 0:
        return "crashed", f"killed by {_signal_name(-status)}"
    return "ended", f"exit status {status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _split_frames(data: bytes) -> tuple[tuple[bytes, ...], bool]:
    """The frames in `data`, and whether nothing is left over."""
    frames, place = [], 0
    while place + 4 <= len(data) and len(frames) < MAX_FRAMES_SHOWN:
        (size,) = struct.unpack_from("=I", data, place)
        if place + 4 + size > len(data):
            break
        frames.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return tuple(frames), place == len(data)


def clean(text: bytes | bytearray | str) -> str:
    """Text from a program for a log or a page: bytes that are no text replaced, control characters but tab and newline gone."""
    decoded = text if isinstance(text, str) else bytes(text).decode("utf-8", errors="replace")
    return "".join(character if character in "\n\t" or character.isprintable() else "\ufffd" for character in decoded)


def _input_file(data: bytes) -> int:
    """A descriptor to read `data` from, which nobody can change."""
    if not data:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    import fcntl

    held = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(held, data)
    os.lseek(held, 0, os.SEEK_SET)
    fcntl.fcntl(held, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return held
