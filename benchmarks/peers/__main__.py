"""All peers against one server, in turn: `python -m benchmarks.peers FOLDER --rows 2000 --latency 0.02 --rounds 3`.

FOLDER holds the environments that install.py made. The server is that of the tests, in a process of its own.
One line of JSON for each run: what the peer says of itself (workload.py), `process_cpu_s` of the whole process
with all children, and what the server saw: requests, duplicates, most in flight, seconds from first to last.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.peers.install import PINS, interpreter_of
from tests.hostile_server import HostileServer, serve_hostile

# What was fastest of some values; 0 is without a cap. The others do best with what the comparison is about.
CONCURRENCY = 64
TUNED = {"curator_run": 0, "distilabel_run": 250}


def run_peer(folder: Path, peer: str, server: HostileServer, rows: int, concurrency: int) -> dict[str, Any]:
    """Run one peer once."""
    server.reset()
    command = [interpreter_of(folder, peer), "-m", f"benchmarks.peers.{peer}", "--base-url", server.base_url]
    command += ["--rows", str(rows), "--concurrency", str(concurrency)]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    after = os.times()
    if done.returncode:
        return {"peer": peer, "failed": done.stderr.strip().splitlines()[-3:]}
    stats = server.stats()
    return {
        "peer": peer,
        "concurrency": concurrency,
        **json.loads(done.stdout.strip().splitlines()[-1]),
        "process_cpu_s": round(after.children_user + after.children_system - before.children_user - before.children_system, 2),
        "requests": stats["requests"],
        "duplicates": stats["duplicates"],
        "max_in_flight": stats["max_in_flight"],
        "server_span_s": round(stats["last_s"] - stats["first_s"], 2),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", default=",".join(PINS))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, help=f"for all peers; without it {CONCURRENCY}, and what suits a peer best")
    parser.add_argument("--latency", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with serve_hostile(latency_s=options.latency) as server:
        for _ in range(options.rounds):
            for peer in options.peers.split(","):
                concurrency = TUNED.get(peer, CONCURRENCY) if options.concurrency is None else options.concurrency
                print(json.dumps(run_peer(options.folder, peer, server, options.rows, concurrency)), flush=True)


if __name__ == "__main__":
    main()
