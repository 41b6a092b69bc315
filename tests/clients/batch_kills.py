"""SIGKILL a run at its n-th step, for every n: `python -m tests.clients.batch_kills BASE_URL FOLDER` prints what became of each.

Belongs here: one process that forks a run a trial, since starting Python for each would take minutes. Does not belong
here: judging the outcome (test_batch_kills.py).

A step is each exchange with the endpoint (before it is sent, and when its reply has come), and each write to the
journal, flush, and file that is written, renamed or removed: before it, which is after the one before it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import ssl
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from distill_assets import storage
from distill_assets.clients import batch_api, batch_files, batches, journal
from tests.clients.batch_world import billed_twice, carry_out_all, find_key, make_requests, make_teacher, run_until_done
from tests.hostile_server import HostileServer

N = 5
CALLS_A_FILE = 3
SETTINGS: dict[str, Any] = {"batch_polls": 1, "invalid_until_reask": 0.4, "batch_error_frac": 0.2}
N_TWICE = 20


def run(base_url: str, folder: Path) -> list[Any]:
    """Run after run until nothing waits; return the table."""
    teacher = make_teacher(base_url, limits={"max_tries": 9})
    return [list(row) for row in run_until_done(folder, teacher, make_requests(N)).table]


def count_steps(kill_at: int) -> list[int]:
    """Have this process kill itself at its `kill_at`-th step; return a list whose length is the count so far."""
    seen: list[int] = []

    def step() -> None:
        seen.append(1)
        if len(seen) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def count(owner: Any, name: str, is_after: bool = False) -> None:
        inner: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            step()
            result = inner(*args, **kwargs)
            if is_after:
                step()
            return result

        setattr(owner, name, counted)

    count(httpx2.HTTPTransport, "handle_request", is_after=True)
    count(journal.Journal, "_write")
    count(journal.Journal, "sync")
    count(storage, "sync_path")
    count(Path, "replace")
    count(Path, "unlink")
    return seen


def fork(base_url: str, folder: Path, kill_at: int) -> tuple[bool, int, list[Any] | None]:
    """Run in a child; return whether it was killed, its steps and its table."""
    told = folder.with_suffix(".json")
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            seen = count_steps(kill_at)
            table = run(base_url, folder)
            told.write_text(json.dumps([len(seen), table]))
            code = 0
        except BaseException:  # noqa: BLE001 - told, and then this child ends
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True, kill_at, None
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"the run in {folder} failed")
    n_steps, table = json.loads(told.read_text())
    return False, n_steps, table


def judge(server: HostileServer, folder: Path, table: list[Any], expected: list[Any]) -> dict[str, Any]:
    """What became of a trial."""
    carry_out_all(server.base_url)
    stats = server.stats(detail=True)
    with journal.open_journal(folder) as book:
        spent = book.spent()
        left = len(book.batched)
    return {
        "is_equal": table == expected,
        "billed_twice": billed_twice(stats),
        "usd_off": abs(stats["usd"] - spent.usd) > 1e-6 or spent.usd_in_doubt > 1e-6,
        "left": left,
        "states": sorted({batch.state for batch in batch_files.read_batches(folder / batch_files.FOLDER)}),
        "keys": len(find_key(folder)),
    }


def try_kills(server: HostileServer, folder: Path, kills: list[int], expected: list[Any]) -> dict[str, Any]:
    """Start a run and kill it at each of `kills` in turn, let the last one end, and judge."""
    server.reset()
    n_killed = 0
    for kill_at in kills:
        was_killed, _, _ = fork(server.base_url, folder, kill_at)
        n_killed += was_killed
    _, _, table = fork(server.base_url, folder, 0)
    return {"kills": kills, "n_killed": n_killed, **judge(server, folder, table or [], expected)}


def main() -> None:
    """Try every step once, then random pairs and triples."""
    server, root = HostileServer(sys.argv[1], None), Path(sys.argv[2])
    tls = ssl.create_default_context()
    ssl.create_default_context = lambda *_, **__: tls  # reading the certificates takes longer than all the rest
    batch_api.CREATE_GRACE_S, batch_api.LIST_EVERY_S, batches.MAX_CALLS = 0.05, 0.01, CALLS_A_FILE
    server.configure(**SETTINGS)
    run(server.base_url, root / "warm")  # loads all that a run loads, once for all forks
    server.reset()
    _, n_steps, expected = fork(server.base_url, root / "calm", 0)
    calm = judge(server, root / "calm", expected or [], expected or [])
    trials = [try_kills(server, root / f"at{n}", [n], expected) for n in range(1, n_steps + 1)]
    source = random.Random(3)
    for number in range(N_TWICE):
        kills = [source.randint(1, n_steps) for _ in range(2 + number % 2)]
        trials.append(try_kills(server, root / f"pair{number}", kills, expected))
    print(json.dumps({"n_steps": n_steps, "calm": calm, "table": expected, "trials": trials}))


if __name__ == "__main__":
    main()
