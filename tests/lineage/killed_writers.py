"""Writers of a ledger that are killed at random moments, one after the other: what they acknowledged has to be there.

`python -m tests.lineage.killed_writers FOLDER KILLS SEED` prints figures. This process only forks, kills and reads the chain in
plain Python, so that each writer is forked from a process without threads.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

from distill_assets.lineage.chain import read_chain
from distill_assets.lineage.ledger import Ledger
from tests.lineage.ledgers import name_generations, record_dataset, record_generations

ROWS_PER_RECORD = 3


class Told(NamedTuple):
    """What writers said: lines (number, hash), and numbers of generations, that were acknowledged."""

    lines: list[tuple[int, str]]
    numbers: list[int]


def write_on(ledger: Ledger, told: Path, start: int) -> None:
    """Record for ever, and say what was acknowledged once it was."""
    number = start
    handle = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        ids = name_generations(range(number, number + ROWS_PER_RECORD))
        event = record_generations(ledger, ids)
        os.write(handle, f"{event.seq} {event.hash} {number}\n".encode())
        event = record_dataset(ledger, f"dataset-{number}", ids)
        os.write(handle, f"{event.seq} {event.hash} -1\n".encode())
        number += ROWS_PER_RECORD


def read_told(file: Path) -> Told:
    rows = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return Told([(int(seq), line_hash) for seq, line_hash, _ in rows], [int(number) for *_, number in rows if number != "-1"])


def kill_writers(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Fork and kill `kills` writers; after each death every acknowledged line stands in a sound chain."""
    rng, told = random.Random(seed), folder / "told"
    ledger = Ledger.open(folder / "ledger", create=True)
    lost = n_unsaid = n_torn = 0
    for number in range(kills):
        before = len(read_told(told).lines)
        pid = os.fork()
        if pid == 0:
            write_on(ledger, told, number * 1_000_000)
        deadline = time.monotonic() + 30
        while (
            len(read_told(told).lines) <= before and time.monotonic() < deadline
        ):  # each writer gets to write after the last death
            time.sleep(0.002)
        time.sleep(rng.random() * 0.12)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        chain, lines = read_chain(ledger.root), read_told(told).lines
        lost += sum(chain.events[seq].hash != line_hash for seq, line_hash in lines) + (len(lines) <= before)
        n_unsaid += chain.events[-1].seq > max(seq for seq, _ in lines)
        n_torn += bool(chain.torn)
    leftovers = len(list((ledger.root / "segments").glob(".*.tmp")))
    return {
        "kills": kills,
        "acknowledged": len(read_told(told).lines),
        "lost": lost,
        "unsaid": n_unsaid,
        "torn": n_torn,
        "drafts": leftovers,
    }


if __name__ == "__main__":
    print(json.dumps(kill_writers(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
