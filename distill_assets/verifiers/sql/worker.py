"""The child process that runs model-written SQL; started by execution, never imported by it.

Belongs here: confining this process, opening databases, running one SELECT, answering one JSON line.
Does not belong here: deadlines and restarts (the parent's part, since a query can ignore interrupts).
Stands alone on the standard library and duckdb, so that it starts in a clean interpreter; what confines it is loaded
by path from the sandbox's folder.

First line in: {"databases": {name: path}, "memory_mb": n, "max_rows": n, "max_bytes": n, "sandbox": folder or null,
"whole": [paths], "names": [paths]}; first line out: {"ready": true, "tier": name, "missing": text} or {"error": text}.
Then {"database", "sql"} in, and out either
{"columns", "rows"} or {"failure", "reason"}.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import math
import os
import resource
import select
import signal
import sys
from datetime import date, time
from decimal import Decimal
from pathlib import Path

PR_SET_PDEATHSIG = 1
MAX_DESCRIPTORS = 256
SPARE_BYTES = 512 << 20  # address space beyond DuckDB's own limit: results on their way out, stacks
MAX_REASON_CHARS = 500
UNKNOWN_WORDS = ("not found", "does not exist", "ambiguous reference", "cannot be referenced")

# At once, since a thread that is there before the process is confined would stay unconfined.
NO_THREADS = {"threads": 1, "async_threads": 0}

# Applied in this order; the last one locks all of them.
SETTINGS = {
    "threads": "1",
    "temp_directory": "",
    "max_temp_directory_size": "0KB",
    "secret_directory": "/nonexistent",
    "python_enable_replacements": "false",
    "python_scan_all_frames": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "max_expression_depth": "250",
    "enable_external_access": "false",
    "lock_configuration": "true",
}


def main() -> None:
    """Serve requests until stdin closes."""
    if sys.argv[1] == "0":
        _leave_a_guard()
    else:
        _die_with_parent(int(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    spec = json.loads(sys.stdin.readline())
    try:
        connections = {name: _open(path, spec["memory_mb"]) for name, path in spec["databases"].items()}
        _limit_process(spec["memory_mb"])
        found = _confine(spec)
    except Exception as error:  # noqa: BLE001 (the parent must hear any reason)
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=replies)
        return
    print(json.dumps({"ready": True, **found}), file=replies)
    for line in sys.stdin:
        request = json.loads(line)
        print(_answer(connections[request["database"]], request["sql"], spec), file=replies)


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent ended before the worker began")


def _leave_a_guard() -> None:
    """In namespaces, go on as a child of this process, which ends when the other end of stdin is closed, and all here with it.

    The kernel's signal at a parent's death does not reach a process that has become another user.
    """
    worker = os.fork()
    if worker == 0:
        return
    poll = select.poll()
    poll.register(0, 0)  # tells of a hang-up, not of requests
    poll.register(os.pidfd_open(worker), select.POLLIN)
    poll.poll()
    os._exit(0)


def _limit_process(memory_mb: int) -> None:
    """Cap memory, forbid writing to any file and dumping core."""
    limits = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: MAX_DESCRIPTORS}
    if sys.platform == "linux":
        with Path("/proc/self/statm").open(encoding="ascii") as handle:
            used = int(handle.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limits[resource.RLIMIT_AS] = used + (memory_mb << 20) + SPARE_BYTES
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))


def _confine(spec: dict) -> dict:
    """Give up files, system calls and privileges; say how far that went.

    After the databases are open: DuckDB ends the process when it is refused /proc/self/cgroup while opening.
    """
    if not spec["sandbox"]:
        return {"tier": "limits", "missing": "not asked for"}
    try:
        confinement, syscalls = (_load(spec["sandbox"], name) for name in ("confinement", "syscalls"))
        if os.uname().machine != syscalls.MACHINE:
            raise OSError(f"no list of system calls for {os.uname().machine}")
        if len(list(Path("/proc/self/task").iterdir())) != 1:
            raise OSError("DuckDB has started threads, which would stay unconfined")
        ruleset = confinement.build_ruleset([*spec["whole"], *spec["databases"].values()], spec["names"])
        # Inside bubblewrap the same user stays: bubblewrap has no right to end another's process when it is ended itself.
        confinement.leave_root() if int(sys.argv[1]) else confinement.drop_capabilities()
        confinement.end_with_parent()  # again: a change of user makes the kernel forget it
        confinement.forbid_privileges()
        confinement.restrict(ruleset)
        os.close(ruleset)
        confinement.install_filter(syscalls.allow_list(os.getpid()))
    except (OSError, AttributeError) as error:
        return {"tier": "limits", "missing": str(error)}
    return {"tier": "confined", "missing": ""}


def _load(folder: str, name: str) -> object:
    spec = importlib.util.spec_from_file_location(f"_sandbox_{name}", Path(folder) / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _open(path: str, memory_mb: int):
    """Open `path` read only, close every door, and make sure that each is closed."""
    import duckdb

    con = duckdb.connect(path, read_only=True, config=NO_THREADS)
    settings = {"memory_limit": f"{memory_mb}MiB", **SETTINGS}
    for name, value in settings.items():
        con.execute(f"SET {name} = '{value}'")
    found = dict(con.execute("SELECT name, value FROM duckdb_settings()").fetchall())
    loose = [name for name, value in settings.items() if not _is_set(value, found.get(name))]
    if loose:
        raise RuntimeError(f"settings did not hold: {', '.join(f'{name} is {found.get(name)!r}' for name in loose)}")
    return con


def _is_set(wanted: str, found: str | None) -> bool:
    """Compare a setting with what DuckDB says of it; sizes come back in its own notation."""
    if wanted.endswith(("MiB", "KB")):
        return found is not None and _bytes(found) <= _bytes(wanted)
    return found == wanted


def _bytes(size: str) -> float:
    number = size.rstrip("KMGTiBbytes ")
    unit = size[len(number) :].strip()
    factor = {"bytes": 1, "KB": 1e3, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}.get(unit, math.inf)
    return float(number) * factor if float(number) else 0.0


def _answer(con, sql: str, spec: dict) -> str:
    import duckdb

    try:
        statements = con.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            return _failure("not_select", f"{len(statements)} statements; exactly one SELECT is run")
        return _fetch(con.execute(statements[0]), spec["max_rows"], spec["max_bytes"])
    except duckdb.ParserException as error:
        return _failure("syntax", error)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        unknown = any(word in str(error).lower() for word in UNKNOWN_WORDS)
        return _failure("unknown_name" if unknown else "runtime", error)
    except (duckdb.FatalException, duckdb.InternalException):
        os._exit(70)  # the instance is unusable after these; the parent starts a fresh worker
    except Exception as error:  # noqa: BLE001 (whatever a query provokes is its own failure)
        return _failure("runtime", error)


def _fetch(cursor, max_rows: int, max_bytes: int) -> str:
    """Return the result as JSON, or `too_large` as soon as a cap is passed."""
    columns = [column[0] for column in cursor.description]
    rows: list[str] = []
    size = 0
    while batch := cursor.fetchmany(256):
        rows += [json.dumps([_plain(value) for value in row], ensure_ascii=False) for row in batch]
        size += sum(map(len, rows[-len(batch) :]))
        if len(rows) > max_rows or size > max_bytes:
            return _failure("too_large", f"more than {max_rows} rows or {max_bytes} bytes")
    return f'{{"columns": {json.dumps(columns)}, "rows": [{", ".join(rows)}]}}'


def _plain(value: object) -> object:
    """Turn a cell into what JSON can carry: numbers stay numbers, times become ISO text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)


def _failure(kind: str, reason: object) -> str:
    text = " ".join(str(reason).split()) or type(reason).__name__
    return json.dumps({"failure": kind, "reason": text[:MAX_REASON_CHARS]})


if __name__ == "__main__":
    main()
