"""A few requests are refused for ever: who else suffers?

Belongs here: choosing them and counting rows. Does not belong here: other faults (faults).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.generate.child import Job, name_bodies
from benchmarks.generate.starting import run
from tests.hostile_server import serve_hostile

ROWS, N_REFUSED = 1_000, 5


def measure(root: Path) -> dict[str, Any]:
    """Refuse five requests among a thousand. `blast_radius`: rows without an answer beside those five."""
    import polars as pl

    with serve_hostile(latency_s=0.02) as server:
        job = Job(server.base_url, str(root / "blast"), ROWS)
        named = list(name_bodies(job).items())[:: ROWS // N_REFUSED]
        server.configure(refuse_hashes=[digest for _, digest in named])
        figures = run(job)
        requests = server.stats()["requests"]
        again = run(job)
        more = server.stats()["requests"] - requests
    rows = pl.read_parquet(figures["table"])
    refused = rows.filter(pl.col("request_id").is_in([key for key, _ in named]))
    others = rows.filter(~pl.col("request_id").is_in([key for key, _ in named]))
    return {
        "rows": rows.height,
        "by_status": figures["by_status"],
        "refused_with_a_cause": refused.filter(
            pl.col("generation_status").is_in(["refused", "rejected"]) & pl.col("error").is_not_null()
        ).height,
        "cause": refused["error"][0],
        "requests": requests,
        "requests_of_a_rerun": more,
        "same_table_after_a_rerun": again["version"] == figures["version"],
        "blast_radius": others.filter(pl.col("generation_status") != "ok").height,
    }


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['refused_with_a_cause']} refused with a cause, {figures['blast_radius']} others hurt, "
        f"{figures['requests']} requests, {figures['requests_of_a_rerun']} by a rerun"
    )
