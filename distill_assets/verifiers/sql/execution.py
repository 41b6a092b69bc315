"""Running model-written SQL so that it can neither harm nor hang.

Belongs here: the parent's side of one child process: start, ask, wait until the deadline, kill, start
again. Does not belong here: what the child does (worker), what a result means (compare, verify).

A deadline is enforced by killing: some DuckDB functions ignore an interrupt. The child dies with the
thread that started it (PR_SET_PDEATHSIG), so keep a runner on a thread that lives as long as it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Self

from distill_assets.errors import DatabaseSourceError, SandboxError
from distill_assets.verifiers.sandbox.launch import TIERS, describe_machine, enter_namespaces, find_bubblewrap, readable_paths

FAILURES = ("syntax", "unknown_name", "runtime", "not_select", "timeout", "too_large", "killed")
START_DEADLINE_S = 60.0
MAX_SQL_CHARS = 100_000
SANDBOX_FOLDER = Path(__file__).parent.parent / "sandbox"

Cell = None | bool | int | float | str | list | dict


class QueryResult(NamedTuple):
    """What a query gave: columns and rows, or a failure kind (one of FAILURES) and its reason."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    failure: str | None = None
    reason: str = ""


class QueryLimits(NamedTuple):
    """Caps on one query; `memory_mb` is per database."""

    timeout_s: float = 5.0
    memory_mb: int = 256
    max_rows: int = 10_000
    max_bytes: int = 4 << 20


class SqlRunner:
    """A context manager that owns one confined child process and asks it queries, one at a time.

    Args:
        databases: name -> DuckDB file, opened read only.
        limits: caps on each query.
        minimum: the weakest sandbox tier that will do: "limits", "confined" (Landlock and
            seccomp; used wherever it works) or "namespaces" (the same inside bubblewrap).

    Raises:
        DatabaseSourceError: when a file cannot be opened safely (on entering, or on a restart).
        SandboxError: when this machine cannot confine the child as asked for; nothing was run.
    """

    def __init__(self, databases: Mapping[str, Path], limits: QueryLimits | None = None, minimum: str = "limits") -> None:
        self._databases = {name: str(Path(path).resolve()) for name, path in databases.items()}
        self._limits = limits or QueryLimits()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._minimum = minimum
        self._found: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    @property
    def databases(self) -> tuple[str, ...]:
        """Return the names that `run` knows."""
        return tuple(self._databases)

    @property
    def tier(self) -> str:
        """Return the sandbox tier that queries run in; empty before the start."""
        return self._found.get("tier", "")

    @property
    def pid(self) -> int:
        """Return the child's process id, 0 before the start."""
        return self._child.pid if self._child else 0

    def describe(self) -> dict[str, object]:
        """Say what a query is held by, as plain data."""
        return {
            "tier": self.tier,
            "stronger_missing": self._found.get("missing", ""),
            "limits": self._limits._asdict(),
            "machine": describe_machine(),
        }

    def run(self, database: str, sql: str) -> QueryResult:
        """Run one SELECT on `database`; whatever the query does comes back as a QueryResult.

        Raises:
            DatabaseSourceError: when the runner holds no such database.
        """
        if database not in self._databases:
            raise DatabaseSourceError(f"no database '{database}' here (known: {', '.join(self._databases)}). Nothing was run.")
        if len(sql) > MAX_SQL_CHARS:
            return QueryResult(failure="too_large", reason=f"query of {len(sql)} characters (at most {MAX_SQL_CHARS})")
        with self._lock:
            if self._child is None or self._child.poll() is not None:
                self._start()
            return self._ask({"database": database, "sql": sql.encode(errors="replace").decode()})

    def _ask(self, request: dict[str, str]) -> QueryResult:
        limits = self._limits
        try:
            answer = self._exchange(request, limits.timeout_s, 6 * limits.max_bytes + (1 << 20))
        except TimeoutError:
            self._kill()
            return QueryResult(failure="timeout", reason=f"no answer within {limits.timeout_s:g} s")
        except OverflowError:
            self._kill()
            return QueryResult(failure="too_large", reason=f"answer longer than {limits.max_bytes} bytes")
        except (OSError, EOFError, ValueError):
            self._kill()
            return QueryResult(failure="killed", reason="the query ended its process")
        if "failure" in answer:
            return QueryResult(failure=answer["failure"], reason=answer["reason"])
        return QueryResult(tuple(answer["columns"]), tuple(tuple(row) for row in answer["rows"]))

    def _exchange(self, message: Mapping[str, object], timeout_s: float, max_bytes: int) -> dict:
        """Send one line and return the answer to it.

        Raises:
            TimeoutError, OverflowError: when it takes too long or is too long.
            OSError, EOFError, ValueError: when the child is gone or spoke no JSON.
        """
        deadline = time.monotonic() + timeout_s
        child = self._child
        child.stdin.write(json.dumps(message).encode() + b"\n")
        child.stdin.flush()
        poll = select.poll()
        poll.register(child.stdout, select.POLLIN | select.POLLHUP)
        pieces, size = [], 0
        while not pieces or b"\n" not in pieces[-1]:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError
            pieces.append(os.read(child.stdout.fileno(), 1 << 16))
            size += len(pieces[-1])
            if not pieces[-1]:
                raise EOFError
            if size > max_bytes:
                raise OverflowError
        return json.loads(b"".join(pieces))

    def _start(self) -> None:
        self._kill()
        self._child = subprocess.Popen(
            self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8"}, cwd="/", start_new_session=True,
        )  # fmt: skip
        readable = readable_paths()
        sandbox = str(SANDBOX_FOLDER) if sys.platform == "linux" else None
        spec = {"databases": self._databases, **self._limits._asdict(), "sandbox": sandbox, **readable._asdict()}
        try:
            answer = self._exchange(spec, START_DEADLINE_S, 1 << 20)
        except (OSError, EOFError, ValueError) as error:
            answer = {"error": repr(error)}
        if not answer.get("ready"):
            self._kill()
            raise DatabaseSourceError(f"databases {', '.join(self._databases)} cannot be opened safely: {answer['error']}")
        self._found = {name: answer[name] for name in ("tier", "missing")}
        if self._minimum == "namespaces" and self.tier == "confined":
            self._found["tier"] = "namespaces"
        if TIERS.index(self.tier) < TIERS.index(self._minimum):
            self._kill()
            raise SandboxError(_refusal(self._minimum, self._found))

    def _command(self) -> list[str]:
        """Start the worker in namespaces of its own only when they are asked for: they add little to what confines it."""
        worker = Path(__file__).with_name("worker.py")
        if self._minimum != "namespaces":
            return [sys.executable, "-I", "-B", str(worker), str(os.getpid())]
        if not find_bubblewrap():
            raise SandboxError(_refusal(self._minimum, {"tier": "confined", "missing": "no program bwrap (bubblewrap) on PATH"}))
        shown = enter_namespaces([str(worker.parent), *self._databases.values()], 1 << 20, ["--proc", "/proc"])
        return [*shown, sys.executable, "-I", "-B", str(worker), "0"]

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            try:
                pipe.close()
            except OSError:
                continue


def _refusal(minimum: str, found: Mapping[str, str]) -> str:
    return (
        f"queries are to run in a sandbox of tier '{minimum}' at least, and this machine offers '{found['tier']}' for them: "
        f"{found['missing']}. Nothing was run. Use Linux 5.13 or later on x86_64, or name a weaker minimum in recipe.yaml."
    )
