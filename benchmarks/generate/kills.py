"""SIGKILL a generation at random moments until it was killed often enough, then let it end.

Belongs here: killing, and what the server, the journal and the table say of it. Does not belong here: kills of
the whole graph (benchmarks/kills.py).

Acknowledged is a request whose reply the engine delivered: the child wrote its id down. A run that is over before
its moment came does not count as killed, and the next one finds all its replies in the journal; so late kills hit
the replay and the table's writing. SIGKILL spares what the kernel has in its cache: this says nothing of power cuts.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.generate.child import RECIPE, Job, name_bodies
from benchmarks.generate.starting import keep_warm, read_figures, run
from tests.hostile_server import HostileServer, serve_hostile

LATENCY = {"latency_s": 0.3, "jitter_s": 0.15}
CONCURRENCY = 32
PRICE = (2.5, 10.0)
SEED = 1


@dataclass
class Seen:
    """What was seen at the kills: requests of acknowledged bodies, replies in the journal, calls in flight."""

    kills: int = 0
    asked_when_acknowledged: dict[str, int] = field(default_factory=dict)
    journaled: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    in_flight: list[int] = field(default_factory=list)
    while_asking: int = 0
    ended_early: int = 0


def measure(root: Path, kills: int = 200, rows: int = 5_000, window_s: float = 0.8) -> dict[str, Any]:
    """Kill `kills` times, each up to `window_s` after the asking began, and compare with an undisturbed run."""
    with serve_hostile(**LATENCY) as server:
        job = Job(server.base_url, str(root / "killed"), rows, CONCURRENCY, price=PRICE, waits=True)
        (root / "killed").mkdir(parents=True)
        job = replace(job, acknowledged=str(root / "killed" / "acknowledged"))
        bodies, seen = name_bodies(job), Seen()
        _kill_often(server, job, bodies, seen, kills, window_s)
        last = run(replace(job, waits=False))
        _look(server, job, bodies, seen)
        stats = server.stats(detail=True)
        server.configure(latency_s=0.0, jitter_s=0.0)
        calm = run(replace(job, folder=str(root / "calm"), waits=False, acknowledged=None))
    return _conclude(job, bodies, seen, stats, last, calm)


def _kill_often(server: HostileServer, job: Job, bodies: dict[str, str], seen: Seen, kills: int, window_s: float) -> None:
    moments = random.Random(SEED)
    with keep_warm(job, kills) as children:
        while seen.kills < kills:
            process = next(children)
            is_killed = kill_after(process, lambda: moments.uniform(0.0, window_s))
            seen.kills += is_killed
            seen.ended_early += not is_killed
            _look(server, job, bodies, seen)


def kill_after(process: subprocess.Popen[str], draw_moment_s: Callable[[], float]) -> bool:
    """Let a child go, and kill it some time after its asking began; False when it was over before."""
    process.stdin.write("go\n")
    process.stdin.flush()
    process.stdout.readline()
    try:
        process.wait(timeout=draw_moment_s())
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    read_figures(process)
    return False


def _look(server: HostileServer, job: Job, bodies: dict[str, str], seen: Seen) -> None:
    """Note what is acknowledged and journaled now that the child is dead."""
    asked = {digest: tally["requests"] for digest, tally in server.stats(detail=True)["bodies"].items()}
    for key in read_acknowledged(job):
        seen.asked_when_acknowledged.setdefault(key, asked.get(bodies[key], 0))
    answered, n_open = read_journal(Path(job.folder) / "journal" / RECIPE)
    seen.gone |= seen.journaled - answered
    seen.journaled |= answered
    seen.in_flight.append(n_open)
    seen.while_asking += len(answered) < job.rows


def read_acknowledged(job: Job) -> list[str]:
    """Ids that were written down; a torn last one was not."""
    file = Path(job.acknowledged)
    return [line for line in file.read_text(encoding="ascii").split("\n")[:-1] if line] if file.exists() else []


def read_journal(folder: Path) -> tuple[set[str], int]:
    """Keys with a reply, and how many keys have an intent and no end, over all segments."""
    from distill_assets.clients.journal import parse_line

    answered, n_open = set(), 0
    for file in sorted(folder.glob("segment-*.log")):
        unended = set()
        with file.open("rb") as lines:
            for line in filter(None, map(parse_line, lines)):
                (unended.add if line.kind == "i" else unended.discard)(line.key)
                if line.kind == "r":
                    answered.add(line.key)
        n_open += len(unended)
    return answered, n_open


def _conclude(
    job: Job, bodies: dict[str, str], seen: Seen, stats: dict[str, Any], last: dict[str, Any], calm: dict[str, Any]
) -> dict[str, Any]:
    import polars as pl

    in_table = set(pl.read_parquet(last["table"], columns=["request_id"])["request_id"])
    acknowledged = seen.asked_when_acknowledged
    rebought = {key for key, asked in acknowledged.items() if stats["bodies"][bodies[key]]["requests"] > asked}
    lost = (set(acknowledged) - in_table) | rebought | seen.gone
    repeated = stats["requests"] - len(stats["bodies"])
    return {
        "kills": seen.kills,
        "kills_while_asking": seen.while_asking,
        "runs_that_ended_before_their_kill": seen.ended_early,
        "requests": stats["requests"],
        "rows": job.rows,
        "rows_ok": last["ok"],
        "acknowledged": len(acknowledged),
        "lost": len(lost),
        "rebought_acknowledged": len(rebought),
        "repeated_in_flight": repeated,
        "repeated_in_flight_per_kill": round(repeated / max(1, seen.kills), 2),
        "open_in_journal_at_kill_max": max(seen.in_flight),
        "identical_table": Path(last["table"]).read_bytes() == Path(calm["table"]).read_bytes(),
    }


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['kills']} kills, {figures['kills_while_asking']} of them while asking: {figures['lost']} lost, "
        f"{figures['rebought_acknowledged']} bought again, {figures['repeated_in_flight_per_kill']} in flight asked again a kill, "
        f"{'the same' if figures['identical_table'] else 'ANOTHER'} table"
    )
