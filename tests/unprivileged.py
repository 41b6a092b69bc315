"""Running Python as nobody, when the tests run as root: same interpreter, same packages, same code.

An interpreter may be installed where root alone can look. So the program gets a mount namespace of its own in which the
first closed folder on each path is empty but for what is needed.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

NOBODY = 65534
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
REPOSITORY = Path(__file__).parent.parent


def run_as_nobody(*arguments: str, timeout_s: float = 100) -> subprocess.CompletedProcess[str]:
    """Run `python *arguments` as uid 65534 and return what it printed."""
    with tempfile.TemporaryDirectory(prefix="distill-nobody-") as folder:
        Path(folder).chmod(0o777)
        command = [sys.executable, str(Path(__file__)), folder, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=folder)


def _needed() -> list[str]:
    paths = sysconfig.get_paths()
    return sorted({sys.prefix, sys.base_prefix, str(REPOSITORY), paths["purelib"], paths["stdlib"]}, key=len)


def _closed_folder(path: str) -> str | None:
    """The first folder on the way to `path` that nobody may pass."""
    for folder in [*reversed(Path(path).parents), Path(path)]:
        if not folder.stat().st_mode & 0o001:
            return str(folder)
    return None


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} at {target}")


def _open_up(stash: Path) -> None:
    """Leave nothing but the needed folders in each closed one."""
    covered: dict[str, list[tuple[str, str]]] = {}
    for number, path in enumerate(_needed()):
        closed = _closed_folder(path)
        if closed:
            kept = stash / str(number)
            kept.mkdir()
            _mount(path, str(kept), None, MS_BIND | MS_REC)
            covered.setdefault(closed, []).append((str(kept), path))
    for closed, kept in covered.items():
        _mount("tmpfs", closed, "tmpfs", 0)
        Path(closed).chmod(0o755)
        for source, path in kept:
            Path(path).mkdir(parents=True, exist_ok=True)
            _mount(source, path, None, MS_BIND | MS_REC)


def main() -> None:
    """Become nobody and then the program."""
    folder = Path(sys.argv[1])
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    stash = folder / "stash"
    stash.mkdir()
    _open_up(stash)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.chdir(folder)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder)}
    os.execve(sys.executable, [sys.executable, *sys.argv[2:]], environment)


if __name__ == "__main__":
    main()
