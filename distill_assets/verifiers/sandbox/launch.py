"""How a server of the sandbox is started: its tier, what it may read, its bounds, its command line.

Belongs here: paths, bounds, the command for each tier. Does not belong here: talking with the server (channel), what it
gives up (server, confinement).
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from distill_assets.judging import SandboxSpec

TIERS = ("none", "limits", "confined", "namespaces")
OWN_PACKAGE = Path(__file__).resolve().parents[2]
SCRATCH_IN_NAMESPACE = "/scratch"
SHARED_DATA = (
    "/etc/ld.so.cache",
    "/usr/share/zoneinfo",
    "/usr/lib/locale",
    "/etc/localtime",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
# Where a privileged user starts bubblewrap, the server changes to a user of its own by these and then drops them.
KEPT_AT_START = ("CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_DAC_READ_SEARCH")


class Limits(NamedTuple):
    """Bounds on one run. At most `folder_bytes` + `descriptors` * `file_bytes` are on disk at any time."""

    cpu_s: float = 10.0
    wall_s: float = 30.0
    memory_mb: int = 512
    output_bytes: int = 1 << 20
    reply_bytes: int = 4 << 20
    file_bytes: int = 1 << 20
    folder_bytes: int = 16 << 20
    files: int = 128
    descriptors: int = 48
    threads: int = 256


def limits_of(spec: SandboxSpec) -> Limits:
    """The bounds that a recipe asks for."""
    return Limits(cpu_s=spec.cpu_s, wall_s=spec.wall_s, memory_mb=spec.memory_mb)


def describe_machine() -> str:
    """Machine, kernel and interpreter in one line."""
    return f"{platform.machine()} {platform.system()} {platform.release()}, {platform.python_implementation()} {platform.python_version()}"


class Readable(NamedTuple):
    """Paths that may be read with all beneath them, and folders in which names alone may be looked up."""

    whole: list[str]
    names: list[str]


def readable_paths() -> Readable:
    """What an interpreter needs to read: its libraries, installed packages but this one, shared libraries, time zones."""
    paths = sysconfig.get_paths()
    whole, names = set(), set()
    for folder in {paths["stdlib"], str(Path(os.__file__).parent), paths["purelib"], paths["platlib"]}:
        _add_without_own_package(Path(folder), whole, names)
    return Readable([*sorted(whole), *_library_folders(), *SHARED_DATA], sorted(names))


def _add_without_own_package(folder: Path, whole: set[str], names: set[str]) -> None:
    """Add a folder; where this package is beneath it (recipes hold right answers), each of its entries but that."""
    if folder == OWN_PACKAGE or folder.name == OWN_PACKAGE.name:
        return
    if not OWN_PACKAGE.is_relative_to(folder) and not (folder / OWN_PACKAGE.name).exists():
        whole.add(str(folder))
    else:
        names.add(str(folder))
        for entry in folder.iterdir():
            _add_without_own_package(entry, whole, names)


def _library_folders() -> list[str]:
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    folders = [folder for folder in (f"/usr/lib/{multiarch}", f"/lib/{multiarch}") if multiarch and Path(folder).is_dir()]
    return [*(folders or ["/usr/lib", "/lib"]), "/lib64", "/usr/lib64"]


def find_bubblewrap() -> str | None:
    """The program `bwrap`, when it is installed."""
    return shutil.which("bwrap")


def bubblewrap_version() -> str | None:
    """What `bwrap` says of its version."""
    program = find_bubblewrap()
    if not program:
        return None
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False, env={}).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d[\d.]*", said)
    return found.group() if found else None


class Start(NamedTuple):
    """A command to start a server with; `scratch` is its folder here, None inside namespaces."""

    command: list[str]
    environment: dict[str, str]
    scratch: str | None


def plan_start(tier: str, limits: Limits, control: int) -> Start:
    """How to start a server of this tier that talks on the descriptor `control`. Makes its folder."""
    inside = tier == "namespaces"
    scratch = None if inside else tempfile.mkdtemp(prefix="distill-run-")
    folder = scratch or SCRATCH_IN_NAMESPACE
    readable = readable_paths()
    settings = {
        "owner": os.getpid(), "control": control, "parent": 0 if inside else os.getpid(), "tier": tier, "scratch": folder,
        "read": readable.whole, "names": readable.names, "write": ["/dev/null"], "limits": limits._asdict(), "tasks": 1 if inside else _count_tasks(),
    }  # fmt: skip
    server = Path(__file__).with_name("server.py")
    # Not -I: with it, the seed of hashes could not be fixed, and a verdict could differ from run to run.
    interpreter = [sys.executable, "-s", "-P", "-B", "-X", "utf8", str(server), json.dumps(settings)]
    size = limits.folder_bytes + limits.descriptors * limits.file_bytes
    command = [*enter_namespaces([], size), *interpreter] if inside else interpreter
    return Start(command, _environment(folder), scratch)


def _environment(scratch: str) -> dict[str, str]:
    return {
        "LANG": "C.UTF-8", "TZ": "UTC", "USER": "sandbox", "HOME": scratch, "TMPDIR": scratch, "PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "2",
        "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1",
    }  # fmt: skip


def _count_tasks() -> int:
    """Threads of this user: the kernel counts them all against a bound on new ones. Root's are not bounded."""
    own, count = os.getuid(), 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == own:
                count += sum(1 for _ in (process / "task").iterdir())
        except OSError:
            continue
    return count


def enter_namespaces(bound: Iterable[str], scratch_bytes: int, more: Iterable[str] = ()) -> list[str]:
    """The start of a command line that runs its rest where no other process, network or file is in sight.

    Args:
        bound: further files and folders to show, read only, beside the interpreter and what it reads.
        scratch_bytes: size of the folder SCRATCH_IN_NAMESPACE, in memory. more: further options of bubblewrap.
    """
    is_root = os.geteuid() == 0
    own = [part for name in KEPT_AT_START for part in ("--cap-add", name)] if is_root else ["--unshare-user"]
    shown = sorted({sys.prefix, sys.base_prefix, str(Path(__file__).parent), *readable_paths().whole, *bound} - set(DEVICES))
    files = [part for path in shown for part in ("--ro-bind-try", path, path)]
    devices = [part for path in DEVICES for part in ("--dev-bind", path, path)]
    return [
        str(find_bubblewrap()), *own, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--die-with-parent", "--as-pid-1", "--new-session", *files, *devices, *more,
        "--size", str(scratch_bytes), "--tmpfs", SCRATCH_IN_NAMESPACE, "--chdir", SCRATCH_IN_NAMESPACE, "--",
    ]  # fmt: skip
