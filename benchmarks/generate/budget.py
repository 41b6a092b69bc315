"""A cap in USD while replies fail and are billed all the same: is it ever exceeded?

Belongs here: the server's bill against the cap. Does not belong here: how the cap is kept (clients/journal).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.generate.child import Job
from benchmarks.generate.starting import run
from tests.hostile_server import serve_hostile

ROWS, CAP_USD = 1_000, 1.0
PRICE = (5.0, 20.0)
PASSING = (
    "429", "429-noheader", "500", "502", "503-html", "reset-before", "reset-mid", "truncated-json", "empty-body", "not-json",
)  # fmt: skip
FAULT_FRAC = 0.2


def measure(root: Path) -> dict[str, Any]:
    """Ask for more than the cap pays for, twice."""
    prices = {"price_in": PRICE[0], "price_out": PRICE[1]}
    with serve_hostile(latency_s=0.05, fault="mix", mix=PASSING, fault_frac=FAULT_FRAC, **prices) as server:
        job = Job(server.base_url, str(root / "budget"), ROWS, price=PRICE, cap_usd=CAP_USD)
        first = run(job)
        billed = server.stats()
        again = run(job)
        more = server.stats()["usd"] - billed["usd"]
        whole = run(replace(job, cap_usd=None))
    return {
        "cap_usd": CAP_USD,
        "billed_usd": round(billed["usd"], 6),
        "billed_less_cap_usd": round(billed["usd"] - CAP_USD, 6),
        "budget_overspend_usd": round(max(0.0, billed["usd"] + more - CAP_USD), 6),
        "counted_usd": round(first["spent_usd"], 6),
        "in_doubt_usd": round(first["in_doubt_usd"], 6),
        "stopped": first["stopped"],
        "billed_usd_by_a_rerun": round(more, 6),
        "rerun_stopped": again["stopped"] is not None,
        "faults_on": billed["faults"],
        "rows_ok_without_cap": whole["ok"],
    }


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"cap {figures['cap_usd']} USD, billed {figures['billed_usd']} ({figures['counted_usd']} counted, "
        f"{figures['in_doubt_usd']} in doubt), {figures['billed_usd_by_a_rerun']} more by a rerun"
    )
