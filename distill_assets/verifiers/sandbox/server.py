"""The process that model-written programs are forked from: small, loaded once, and without a secret in it.

Belongs here: giving up what the tier asks for, forking a process for each run, ending it in time, keeping its folder
small and emptying it. Does not belong here: what the forked process does (program) or what a result means (the parent).
It ends with its parent: the control socket tells, and the kernel (where that may signal another user's process).
Stands alone on the standard library; started by launch as `python -s -P -B server.py SETTINGS`, with one socket.

A job's data never enters this process: the parent hands over descriptors, the forked process reads its job itself. So a
later program finds nothing of an earlier one in the memory that it is born with, nor anything that was expected of it.

Settings (JSON): {"owner": pid, for whoever looks at a list of processes, "control": descriptor, "parent": pid or 0,
"tier": name, "scratch": folder, "read": [paths], "names": [paths], "write": [paths], "limits": {...}, "tasks": count}.
Messages on the control socket: {"cpu_s", "wall_s"} with descriptors for stdin, stdout, stderr, job and perhaps link;
back comes {"status", "cpu_s", "killed", "notices", "is_last"}; the last is followed by the end of this process, whose
folder could not be emptied. While a run is on, any message from the parent ends it.
"""

from __future__ import annotations

import _socket
import array
import gc
import importlib.util
import json
import math
import os
import resource
import select
import signal
import struct
import sys
import time
from contextlib import suppress
from fcntl import F_DUPFD, fcntl, ioctl
from pathlib import Path

# What programs import most, so that no run pays for it.
PRELOADED = (
    "abc", "ast", "atexit", "bisect", "collections", "collections.abc", "contextlib", "copy", "ctypes", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "heapq", "inspect", "io", "itertools", "json", "keyword", "linecache", "math",
    "numbers", "operator", "random", "re", "shutil", "statistics", "string", "struct", "textwrap", "threading", "time",
    "tokenize", "traceback", "types", "typing", "warnings", "weakref",
)  # fmt: skip

NOTIFY_RECEIVE, NOTIFY_SEND = 0xC0502100, 0xC0182101  # ioctls of seccomp's listener
NOTIFY_CONTINUE = 1
ENOSPC = 28
MAX_NOTICES = 20_000
THREAD_STACK_BYTES = 2 << 20


def load(name: str) -> object:
    """A module beside this file, without making its name importable."""
    spec = importlib.util.spec_from_file_location(f"_sandbox_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


syscalls, confinement, codec, program = (load(name) for name in ("syscalls", "confinement", "codec", "program"))
program.codec = codec
PROGRAM_LOST = 97  # exit status of a process that could not become the program
OWN_PID = b"\xef\xbe\xad\x7e"  # stands for the process's id in the prepared filter
FILTER = syscalls.allow_list(int.from_bytes(OWN_PID, "little"))


def main() -> None:
    """Give up what is to be given up, say so, then serve runs until the parent is gone."""
    settings = json.loads(sys.argv[1])
    sys.argv = sys.orig_argv = ["answer.py"]
    control = _socket.socket(fileno=settings["control"])
    signal.signal(signal.SIGTERM, _end_once)
    if settings["parent"]:
        confinement.end_with_parent(signal.SIGTERM)
        if os.getppid() != settings["parent"]:
            return
    try:
        server = Server(control, settings)
    except Exception as error:  # noqa: BLE001 (the parent must hear any reason)
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()[:4000])
        return
    try:
        control.send(json.dumps(server.found).encode())
        server.serve()
    finally:
        try:
            server.leave()
        except SystemExit:  # the parent's death is told twice, and the second time came here
            server.leave()


def _end_once(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


class Server:
    """Forks one process a run; holds what every run needs prepared."""

    def __init__(self, control: _socket.socket, settings: dict) -> None:
        self._control, self._scratch, self._limits = control, settings["scratch"], settings["limits"]
        self._is_confined = settings["tier"] in ("confined", "namespaces")
        self._is_limited = settings["tier"] != "none"
        self._pid, self._ruleset, self._listener, self._running = os.getpid(), -1, -1, 0
        _preload()
        self.found = {"ready": True, "landlock_abi": 0, "seccomp": False, "is_own_user": False}
        if self._is_limited:
            confinement.limit_resources(self._bounds(settings["tasks"]))
        if self._is_confined:
            self._give_up(settings)
        gc.collect()
        gc.freeze()

    def _bounds(self, tasks: int) -> dict[int, int]:
        limits = self._limits
        return {
            resource.RLIMIT_AS: confinement.address_space() + (limits["memory_mb"] << 20),
            resource.RLIMIT_FSIZE: limits["file_bytes"],
            resource.RLIMIT_NPROC: tasks + limits["threads"],
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_MSGQUEUE: 0,
            resource.RLIMIT_MEMLOCK: 0,
        }

    def _give_up(self, settings: dict) -> None:
        if os.uname().machine != syscalls.MACHINE:
            raise OSError(f"no list of system calls for {os.uname().machine}")
        self.found["is_own_user"] = confinement.leave_root([self._scratch])
        confinement.end_with_parent(signal.SIGTERM)  # again: a change of user makes the kernel forget it
        confinement.forbid_privileges()
        confinement.hide_from_others()
        self._ruleset = confinement.build_ruleset(settings["read"], settings["names"], settings["write"], self._scratch)
        self._listener = confinement.install_filter(syscalls.write_watch(), with_listener=True)
        self.found |= {"landlock_abi": confinement.landlock_abi(), "seccomp": True}

    def serve(self) -> None:
        """Run after run, until the control socket ends."""
        while True:
            data, descriptors = _receive(self._control)
            if not data:
                return
            if not descriptors:
                continue  # a wish to end a run that has ended by itself
            found = self._run(json.loads(data), descriptors)
            self._control.send(json.dumps(found).encode())
            if found["is_last"]:
                return

    def _run(self, wish: dict, descriptors: list[int]) -> dict:
        started = time.monotonic()
        pid = confinement.fork()
        if pid == 0:
            self._be_program(wish, descriptors)
        self._running = pid
        handle = os.pidfd_open(pid)
        for descriptor in descriptors:
            os.close(descriptor)
        killed, notices = self._watch(handle, started + wish["wall_s"])
        _, status, usage = os.wait4(pid, 0)
        self._running = 0
        os.close(handle)
        if not self._is_confined:
            _kill_group(pid)
        return {
            "is_last": not _empty(self._scratch), "status": status, "killed": killed, "notices": notices,
            "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss >> 10,
        }  # fmt: skip

    def _be_program(self, wish: dict, descriptors: list[int]) -> None:
        """In the forked process: give up the rest and become the program. Never returns."""
        try:
            os.setsid()
            confinement.end_with_parent()
            if os.getppid() != self._pid:
                os._exit(PROGRAM_LOST)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.chdir(self._scratch)
            if self._is_limited:
                seconds = math.ceil(wish["cpu_s"])
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
                confinement.limit_resources({resource.RLIMIT_NOFILE: self._limits["descriptors"]})
            if self._is_confined:
                confinement.restrict(self._ruleset)
            _place(descriptors)
            if self._is_confined:
                confinement.install_filter(FILTER.replace(OWN_PID, struct.pack("=I", os.getpid())))
            gc.enable()
            program.run()
        finally:
            os._exit(PROGRAM_LOST)

    def _watch(self, handle: int, deadline: float) -> tuple[str | None, int]:
        """Wait for the process's end, or end it; return why it was ended and how often it opened files for writing."""
        poll, killed, notices = select.poll(), None, 0
        for descriptor in (handle, self._control.fileno(), self._listener):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        while True:
            ready = dict(poll.poll(None if killed else max(0.0, deadline - time.monotonic()) * 1000))
            if handle in ready:
                return killed, notices
            if self._listener in ready:
                notices += 1
                self._answer_notice()
            reason = self._reason_to_kill(ready, notices, deadline)
            if reason and not killed:
                killed = reason
                signal.pidfd_send_signal(handle, signal.SIGKILL)

    def _reason_to_kill(self, ready: dict, notices: int, deadline: float) -> str | None:
        if self._control.fileno() in ready:
            return "parent" if _receive(self._control)[0] else "gone"
        if notices > MAX_NOTICES:
            return "files"
        return "wall" if time.monotonic() >= deadline else None

    def _answer_notice(self) -> None:
        """Let a process open a file for writing while its folder is small; else there is no space left."""
        notice = bytearray(80)
        try:
            ioctl(self._listener, NOTIFY_RECEIVE, notice)
        except OSError:
            return  # it ended meanwhile
        (identity,) = struct.unpack_from("=Q", notice)
        entries, size = _measure(self._scratch)
        has_room = entries < self._limits["files"] and size < self._limits["folder_bytes"]
        reply = struct.pack("=QqiI", identity, 0, 0 if has_room else -ENOSPC, NOTIFY_CONTINUE if has_room else 0)
        try:
            ioctl(self._listener, NOTIFY_SEND, reply)
        except OSError:
            return

    def leave(self) -> None:
        """Leave no process and no folder behind."""
        with suppress(OSError):  # it may have ended by itself
            if self._running:
                os.kill(self._running, signal.SIGKILL)
                os.waitpid(self._running, 0)
        _empty(self._scratch)
        with suppress(OSError):  # inside namespaces it is the root of a file system
            Path(self._scratch).rmdir()


def _preload() -> None:
    """Load what programs use, and do once what each process would otherwise do for the first time."""
    for name in PRELOADED:
        importlib.import_module(name)
    import random
    import shutil
    import threading

    random.seed(0)  # a program that draws numbers gets the same ones in each run, and so the same verdict
    program.rehearse()

    # Modes cannot be changed here; a copy of a file is a copy all the same.
    shutil.copymode = shutil.copystat = lambda *_, **__: None
    threading.stack_size(THREAD_STACK_BYTES)


def _receive(control: _socket.socket) -> tuple[bytes, list[int]]:
    """One message and the descriptors that came with it; nothing when the parent is gone."""
    try:
        data, extra, _, _ = control.recvmsg(4096, _socket.CMSG_SPACE(8 * 4), _socket.MSG_CMSG_CLOEXEC)
    except OSError:
        return b"", []
    descriptors = array.array("i")
    for level, kind, content in extra:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % 4])
    return data, list(descriptors)


def _place(descriptors: list[int]) -> None:
    """Make the descriptors 0, 1, 2, 3 and perhaps 4, and close every other one."""
    high = [fcntl(descriptor, F_DUPFD, 20) for descriptor in descriptors]
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, place)
    os.closerange(len(high), 1 << 20)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        return


def _measure(folder: str) -> tuple[int, int]:
    """Entries beneath a folder and their bytes; what cannot be seen counts as full."""
    entries = size = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    size += entry.stat(follow_symlinks=False).st_size
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:
            return 1 << 30, 1 << 60
    return entries, size


def _empty(folder: str) -> bool:
    """Remove everything in a folder, also what was made unreadable or deeper than a path can say; whether it is empty."""
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        _empty_at(top)
        return os.listdir(top) == []  # noqa: PTH208 (a descriptor)
    except (OSError, RecursionError):
        return False
    finally:
        os.close(top)


def _empty_at(folder: int) -> None:
    for name in os.listdir(folder):
        try:
            os.unlink(name, dir_fd=folder)
        except OSError:
            _remove_folder(name, folder)


def _remove_folder(name: str, parent: int) -> None:
    os.chmod(name, 0o700, dir_fd=parent)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        _empty_at(inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=parent)


if __name__ == "__main__":
    main()
