"""Whether honest programs get their true verdict, and none is killed or refused what it needs.

Belongs here: running the programs and counting. Does not belong here: attacks (benchmarks/judge/attacks).

A false kill is an honest program whose verdict should be "passed" and which was ended, refused or left unscored; a wrong
verdict is any other than the true one, false kills included. Slow programs run two at a time beside the others, so that
the machine is busy while they run.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from distill_assets.judging import SandboxSpec
from distill_assets.verifiers.python.verify import PythonVerifier
from distill_assets.verifiers.sandbox.box import Sandbox

PROGRAMS = Path(__file__).with_name("programs.jsonl")
KILLED = ("timeout", "memory", "crashed", "flood", "killed", "invalid reply", "raised", "the sandbox failed")


def read_programs() -> list[dict[str, Any]]:
    """Every program with its gold and its true verdict."""
    return [json.loads(line) for line in PROGRAMS.read_text(encoding="utf-8").splitlines()]


def run_legitimate(tier: str = "namespaces", workers: int = 2) -> dict[str, Any]:
    """Judge every program; `tier` is the strongest sandbox to use."""
    programs = read_programs()
    began = time.monotonic()
    with Sandbox(SandboxSpec(), workers=workers, at_most=tier) as sandbox, ThreadPoolExecutor(workers) as pool:
        verifier = PythonVerifier(sandbox)
        verdicts = list(pool.map(lambda program: verifier.verify(program["answer"], program["gold"]), programs))
        used = sandbox.tier
    wrong = [
        {"id": program["id"], "true": program["verdict"], "found": verdict.status, "reason": verdict.reason}
        for program, verdict in zip(programs, verdicts, strict=True)
        if verdict.status != program["verdict"]
    ]
    killed = [entry for entry in wrong if entry["true"] == "passed" and entry["reason"].startswith(KILLED)]
    return {
        "legitimate": len(programs), "slow": sum(bool(program.get("slow")) for program in programs),
        "topics": len({program["topic"] for program in programs}), "false_kills": len(killed), "wrong_verdicts": len(wrong),
        "wrong": wrong, "tier": used, "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
