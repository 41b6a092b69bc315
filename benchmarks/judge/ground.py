"""A small world that an attack could harm, and what shows whether it did.

Belongs here: planted secrets, listeners, files and processes that are watched. Does not belong here: running an attack (attacks).

The truth comes from the world, not from what an attack says of itself: a secret in what came out, a byte at a listener,
a file that is new or changed, a process left over.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import sqlite3
import sysconfig
from pathlib import Path
from typing import Self

CLAIM = "CANARY-ESCAPED"  # what an attack prints when it did what cannot be seen from outside
SHARED_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/")


class Ground:
    """A context manager with everything in it; `damage` names what is no longer as it was."""

    def __init__(self, folder: Path) -> None:
        self.token = f"CANARY-TOKEN-{secrets.token_hex(12)}"
        self.folder = folder
        self.root, self.drop, self.home = (folder / name for name in ("root", "drop", "home"))
        self._listeners: list[socket.socket] = []
        self._seen: dict[str, object] = {}

    def __enter__(self) -> Self:
        site = self.root / "venv" / "lib" / "python3.11" / "site-packages"
        for place in (site, self.drop, self.home):
            place.mkdir(parents=True)
        self.canary, self.table, self.database = (self.folder / name for name in ("canary.txt", "canary.csv", "canary.db"))
        for file in (self.canary, self.root / ".env", self.root / "notes.txt", self.home / "credentials"):
            file.write_text(f"API_KEY={self.token}\n")
        self.table.write_text(f"a,b\n{self.token},2\n")
        with sqlite3.connect(self.database) as con:
            con.execute("CREATE TABLE x AS SELECT ? AS secret", (self.token,))
        con.close()
        os.environ["CANARY_API_KEY"] = self.token
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        os.environ.pop("CANARY_API_KEY", None)
        for listener in self._listeners:
            listener.close()

    def _listen(self) -> None:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        path, hidden = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path, self.hidden = str(self.folder / "listener"), f"canary-{secrets.token_hex(6)}"
        for listener, address in (
            (tcp, ("127.0.0.1", 0)), (udp, ("127.0.0.1", 0)), (path, self.path), (hidden, f"\0{self.hidden}"),
            (datagrams, f"{self.path}.dgram"),
        ):  # fmt: skip
            listener.bind(address)
            if listener.type == socket.SOCK_STREAM:
                listener.listen(16)
        self._listeners = [tcp, udp, path, hidden, datagrams]
        self.tcp_port, self.udp_port = tcp.getsockname()[1], udp.getsockname()[1]

    def fill(self, code: str, group: int) -> str:
        """Put this world's names into an attack. `group` is the process group that a careless kill may hit."""
        names = {
            "CANARY": self.canary, "CANARYCSV": self.table, "CANARYDB": self.database, "DROP": self.drop, "ROOT": self.root,
            "HOME": self.home, "PORT": self.tcp_port, "TCP": self.tcp_port, "UDP": self.udp_port, "SOCK": self.path,
            "DGRAM": f"{self.path}.dgram", "ABS": self.hidden, "PPID": os.getpid(), "KILLALL": -group, "PGID": group,
        }  # fmt: skip
        for name, value in names.items():
            code = code.replace("{{" + name + "}}", str(value))
        return code

    def remember(self) -> None:
        """Take the world as it is now for whole."""
        self._seen = self._look()

    def damage(self) -> list[str]:
        """What differs from what was remembered."""
        now = self._look()
        found = [f"{name} changed" for name in sorted(now.keys() | self._seen.keys()) if now.get(name) != self._seen.get(name)]
        ready, _, _ = select.select(self._listeners, [], [], 0)
        for listener in ready:
            found.append(f"a byte or a connection at {listener.getsockname()!r}")
            self._drain(listener)
        return found

    @staticmethod
    def _drain(listener: socket.socket) -> None:
        if listener.type == socket.SOCK_STREAM:
            listener.accept()[0].close()
        else:
            listener.recv(1 << 16)

    def _look(self) -> dict[str, object]:
        seen: dict[str, object] = {}
        for file in [self.folder, *self.folder.rglob("*")]:
            status = file.lstat()
            attributes = tuple(os.listxattr(file, follow_symlinks=False))
            seen[str(file)] = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_size,
                status.st_mtime_ns,
                status.st_nlink,
                attributes,
            )
        sites = {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["stdlib"]}
        for folder in (*SHARED_FOLDERS, str(Path.home()), *sites):
            seen |= {f"{folder}/{name}": True for name in _names(folder) if name.startswith("SBX")}
        return seen

    def leaks(self, text: str) -> list[str]:
        """Whether a secret, or the claim of an attack, is in what came out."""
        return [f"{sign} came out" for sign in (self.token, CLAIM) if sign in text]


def _names(folder: str) -> list[str]:
    try:
        return [entry.name for entry in Path(folder).iterdir()]
    except OSError:
        return []


def processes_of(owner: int) -> set[int]:
    """Ids of living servers, and what they forked, that the process `owner` started, wherever they hang by now."""
    mark, found = f'"owner": {owner},'.encode(), set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "cmdline").read_bytes() and (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                found.add(int(entry.name))
        except OSError:
            continue
    return found
