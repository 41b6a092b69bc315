"""One generation in a process of its own, as the asset does it but without Dagster: `python -m benchmarks.generate.child JOB`.

Belongs here: the job as JSON, its plan, the asking, the table, and the printed line. Does not belong here: who
starts it, kills it or compares it (the other modules), or the server (tests/hostile_server.py).

Validation, accounting, journal and table are on, as in a real run. The prompts are those of the peers. Libraries
are imported and the teacher is rehearsed before the clock of the call starts, as with the peers. With `waits`, the
child says `ready` and starts at a line on its standard input; before the first request it says `asking`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.workload import INSTRUCTIONS, KEY, MODEL, cpu_s, write_prompts

RECIPE = "bench"
STRATEGY = "write_sample"


@dataclass(frozen=True)
class Job:
    """What one child does. `price`: USD per million tokens read and written. `earlier`: version of a table to take over."""

    base_url: str
    folder: str
    rows: int
    concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    price: tuple[float, float] | None = None
    cap_usd: float | None = None
    max_tokens: int = 256
    acknowledged: str | None = None
    earlier: str | None = None
    waits: bool = False


def describe_teacher(job: Job) -> Any:
    """The job's teacher."""
    from distill_assets.teachers import LimitSpec, PriceSpec, TeacherSpec

    limits = LimitSpec(
        concurrency=job.concurrency,
        requests_per_minute=job.requests_per_minute,
        tokens_per_minute=job.tokens_per_minute,
        first_wait_s=0.05,
    )
    price = None
    if job.price:
        price = PriceSpec(input_usd_per_mtok=job.price[0], output_usd_per_mtok=job.price[1], as_of="2026-01-01")
    return TeacherSpec(model=MODEL, base_url=job.base_url, max_tokens=job.max_tokens, limits=limits, price=price)


def open_desk(job: Job) -> dict[str, Any]:
    """The teacher's desk, by its name."""
    from distill_assets.clients.desk import open_desks
    from distill_assets.generate.sampling import SqlSample

    return open_desks([describe_teacher(job)], SqlSample, lambda _: KEY)


def plan(job: Job) -> Iterator[Any]:
    """The job's requests, one a seed, from seeds made of the peers' prompts."""
    import polars as pl

    from distill_assets.generate.sampling import plan_requests
    from distill_assets.prompts import Prompt
    from distill_assets.teachers import GenerateSpec

    texts = write_prompts(job.rows)
    ids = [f"seed-{number}" for number in range(job.rows)]
    seeds = pl.DataFrame({"seed_id": ids, "database": "choir", "kind": "topic", "text": texts})
    prompts = {STRATEGY: Prompt(f"{STRATEGY}#bench", INSTRUCTIONS, "{{text}}")}
    return plan_requests(seeds, {"choir": ""}, prompts, [describe_teacher(job)], GenerateSpec(samples_per_seed=1))


def name_bodies(job: Job) -> dict[str, str]:
    """Request id -> how the server names the request's body, in the plan's order."""
    from distill_assets.clients.wire import build_body, encode_body, name_call
    from tests.hostile_answers import hash_body

    [desk] = open_desk(job).values()
    named = {}
    for request in plan(job):
        content = encode_body(build_body(desk.form, request, job.max_tokens))
        named[name_call(desk.form.endpoint, content, request, 0)] = hash_body(json.loads(content))
    return named


def import_libraries() -> None:
    """Import what the call would import on its way."""
    import aiohttp  # noqa: F401
    import polars  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import distill_assets.clients.engine
    import distill_assets.storage

    distill_assets.clients.engine.find_loop_factory()


def acknowledge_into(file: str | None) -> Callable[[str], None]:
    """A function that writes a request's id down in one system call: from then on the caller counts on it."""
    if file is None:
        return lambda _: None
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda key: os.write(handle, f"{key}\n".encode()) and None


def ask_all(job: Job, desks: dict[str, Any], rows: Any) -> dict[str, Any]:
    """Ask for all rows; say how it ended."""
    from distill_assets.clients.engine import ask
    from distill_assets.clients.journal import Cap, open_journal
    from distill_assets.errors import DistillError
    from distill_assets.storage import Workspace

    acknowledge = acknowledge_into(job.acknowledged)

    def take(request: Any, reply: Any) -> None:
        rows.add(request, reply)
        acknowledge(reply.request_id)

    with open_journal(Workspace(Path(job.folder)).folder("journal", RECIPE)) as journal:
        requests = plan(job)
        print("asking", flush=True)
        start, start_cpu = time.perf_counter(), cpu_s()
        ended: dict[str, Any] = {"sent": None, "reused": None, "stopped": None}
        try:
            counts = ask(requests, desks, journal, Cap(job.cap_usd), take, lambda _: None, time.time, rows.settled())
            ended |= {"sent": counts.sent, "reused": counts.reused}
        except DistillError as error:
            ended["stopped"] = f"{type(error).__name__}: {error}"
        ended |= {"ask_wall_s": round(time.perf_counter() - start, 3), "ask_cpu_s": round(cpu_s() - start_cpu, 3)}
        spent = journal.spent()
        return {**ended, "spent_usd": spent.usd, "in_doubt_usd": spent.usd_in_doubt}


def write_rows(job: Job, rows: Any) -> dict[str, Any]:
    """Store the table; say where it is and how its rows ended."""
    import polars as pl

    from distill_assets.storage import Workspace, write_table_in_pieces
    from distill_assets.tables import RAW_GENERATIONS

    workspace = Workspace(Path(job.folder))
    version = rows.find_unchanged() or write_table_in_pieces(workspace, RECIPE, RAW_GENERATIONS, rows.pieces())
    file = workspace.table_file(RECIPE, RAW_GENERATIONS.name, version)
    statuses = pl.scan_parquet(file).select("generation_status").collect()["generation_status"].value_counts()
    by_status = dict(statuses.iter_rows())
    return {"version": version, "table": str(file), "ok": by_status.get("ok", 0), "by_status": by_status}


def find_earlier(job: Job) -> Any:
    """The table that the job takes rows over from, as the asset finds it."""
    import polars as pl

    from distill_assets.generate.sampling import Earlier
    from distill_assets.storage import Workspace, scan_table
    from distill_assets.tables import PLANTED_ERRORS, RAW_GENERATIONS, build_frame

    if job.earlier is None:
        return None
    rows: pl.LazyFrame = scan_table(Workspace(Path(job.folder)), RECIPE, RAW_GENERATIONS, job.earlier)
    return Earlier(job.earlier, rows, build_frame(PLANTED_ERRORS, []))


def run(job: Job) -> dict[str, Any]:
    """Do the job and measure it; the names of the figures are the peers'."""
    from distill_assets.generate.sampling import GenerationRows

    began = time.perf_counter()
    import_libraries()
    desks = open_desk(job)
    if job.waits:
        print("ready", flush=True)
        sys.stdin.readline()
    start, start_cpu = time.perf_counter(), cpu_s()
    rows = GenerationRows({MODEL: (MODEL, "bench")}, find_earlier(job))
    ended = ask_all(job, desks, rows)
    if ended["stopped"] is None:
        ended |= write_rows(job, rows)
    wall, cpu = time.perf_counter() - start, cpu_s()
    return {
        "rows": job.rows,
        **ended,
        "wall_s": round(wall, 3),
        "rows_per_s": round(job.rows / wall, 1),
        "cpu_s": round(cpu, 3),
        "import_s": round(start - began, 3),
        "import_cpu_s": round(start_cpu, 3),
        "call_cpu_s": round(cpu - start_cpu, 3),
        "cpu_ms_per_row": round((cpu - start_cpu) * 1000 / job.rows, 3),
        "rss_mib": read_peak_mib(),
        "child_rss_mib": 0,
    }


def read_peak_mib() -> int:
    """The most memory that this process ever had resident. ru_maxrss would start at what its parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


if __name__ == "__main__":
    print(json.dumps(run(Job(**json.loads(sys.argv[1])))), flush=True)
