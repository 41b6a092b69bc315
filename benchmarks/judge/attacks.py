"""Hostile answers through the judge: `python -m benchmarks.judge.attacks [--attacks FILE] [--tier confined] [--json]`.

Belongs here: running each attack of a file and counting what got out. Does not belong here: the world it could harm (ground).

A line of the file: {"id", "language": "python" | "sql", "category", "code", "must", "why"}; with {"mode": "judge", "entry",
"tests"} (or "cases") it is an answer that must not pass; "before" is code that runs first. Placeholders such as {{CANARY}}
are filled by ground. Escaped: the world was harmed, the runner was, or a bound did not hold. Forged: the verdict was "passed".
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.judge.ground import Ground, processes_of
from distill_assets.judging import SandboxSpec
from distill_assets.verifiers.python.verify import PythonVerifier
from distill_assets.verifiers.registry import Verdict
from distill_assets.verifiers.sandbox.box import Sandbox
from distill_assets.verifiers.sandbox.exchange import Job
from distill_assets.verifiers.sql.execution import QueryLimits, SqlRunner
from distill_assets.verifiers.sql.verify import SqlVerifier

CORPUS = Path(__file__).with_name("attacks.jsonl")
SPEC = SandboxSpec(minimum="confined", cpu_s=2, wall_s=4, memory_mb=512)
QUERY_LIMITS = QueryLimits(timeout_s=2.0, memory_mb=128)
SPARE_S = 4.0  # beyond the wall clock limit: two servers may start, and the machine may be busy
GOOD = "def add(a, b):\n    return a + b\n"
GOOD_GOLD = '{"entry": "add", "cases": [{"args": [2, 3], "expected": 5}]}'


def run_attacks(file: Path = CORPUS, tier: str = "namespaces") -> dict[str, Any]:
    """Run every attack of `file`; `tier` is the strongest sandbox to use."""
    attacks = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    found: dict[str, list[str]] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="distill-attack-") as folder, Ground(Path(folder)) as ground:
        with Sandbox(SPEC, at_most=tier) as sandbox:
            _warm_up(sandbox)
            used = sandbox.describe()
            for attack in (attack for attack in attacks if attack["language"] == "python"):
                found[attack["id"]] = _run_python(attack, sandbox, ground)
        with _sql_world(Path(folder), used["tier"]) as runner:
            sql_tier = runner.describe()["tier"]
            for attack in (attack for attack in attacks if attack["language"] == "sql"):
                found[attack["id"]] = _run_sql(attack, runner, ground)
    harmed = {name: signs for name, signs in found.items() if signs}
    forged = sorted(name for name, signs in harmed.items() if "forged" in signs)
    return {
        "attacks": len(found), "escaped": sum(signs != ["forged"] for signs in harmed.values()), "forged": len(forged),
        "what_escaped": harmed, "tier": used["tier"], "sql_tier": sql_tier, "sandbox": used,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def _warm_up(sandbox: Sandbox) -> None:
    """Start both servers of the one worker, so that later any other number of them is a finding."""
    verdict = PythonVerifier(sandbox).verify(GOOD, '{"entry": "add", "tests": "got = add(1, 1)\\nassert got == 2"}')
    if verdict.status != "passed":
        raise RuntimeError(f"the sandbox does not even run a good program: {verdict.reason}")


def _run_python(attack: Mapping[str, Any], sandbox: Sandbox, ground: Ground) -> list[str]:
    servers = sandbox.servers()
    processes = processes_of(os.getpid())
    for name in ("before", "code"):
        ground.remember()
        began = time.monotonic()
        code = ground.fill(attack.get(name, "pass"), group=servers[0])
        texts, forged = (
            _judge(attack, code, sandbox, ground) if name == "code" and attack.get("mode") == "judge" else _execute(code, sandbox)
        )
        elapsed = time.monotonic() - began
    signs = [sign for text in texts for sign in ground.leaks(text)] + ground.damage()
    if elapsed > SPEC.wall_s + SPARE_S:
        signs.append(f"ran {elapsed:.1f} s")
    if any(len(text) > sandbox.limits.output_bytes for text in texts):
        signs.append("output beyond its bound")
    if sandbox.servers() != servers:
        signs.append("a server was ended")
    if not _settled(processes):
        signs.append("a process is left over")
    if PythonVerifier(sandbox).verify(GOOD, GOOD_GOLD).status != "passed":
        signs.append("the runner is not usable afterwards")
    return [*dict.fromkeys(signs), *(["forged"] if forged else [])]


def _execute(code: str, sandbox: Sandbox) -> tuple[list[str], bool]:
    run = sandbox.run(Job({"role": "script", "code": code}))
    return [run.output, run.errors, *(frame.decode(errors="replace") for frame in run.frames)], False


def _judge(attack: Mapping[str, Any], code: str, sandbox: Sandbox, ground: Ground) -> tuple[list[str], bool]:
    gold = {name: attack[name] for name in ("entry", "tests", "cases") if name in attack}
    verdict = PythonVerifier(sandbox).verify(code, ground.fill(json.dumps(gold), group=0))
    return _texts(verdict), verdict.status == "passed"


def _texts(verdict: Verdict) -> list[str]:
    return [verdict.reason, json.dumps(verdict.evidence, default=str)]


def _settled(before: set[int]) -> bool:
    """Whether there are no other processes of servers than before; one that was killed may need a moment."""
    for _ in range(50):
        if processes_of(os.getpid()) <= before:
            return True
        time.sleep(0.02)
    return False


def _sql_world(folder: Path, tier: str) -> SqlRunner:
    """Two fillings of one database that hold nothing secret."""
    files = {}
    for number in (1, 2):
        files[f"d{number}"] = folder / f"fixture{number}.duckdb"
        with duckdb.connect(str(files[f"d{number}"])) as con:
            con.execute(f"CREATE TABLE t AS SELECT range AS a, range * {number} AS b, 'x' || range AS c FROM range(100)")
    return SqlRunner(files, QUERY_LIMITS, minimum=tier)


def _run_sql(attack: Mapping[str, Any], runner: SqlRunner, ground: Ground) -> list[str]:
    secret_df = [{"secret": ground.token}]  # a scan of Python variables would find it
    code = ground.fill(attack["code"], group=0)
    ground.remember()
    began = time.monotonic()
    result = runner.run("d1", code)
    verdict = SqlVerifier(runner, ["d1", "d2"]).verify(code, attack.get("gold", "SELECT sum(a), sum(b) FROM t"))
    elapsed = time.monotonic() - began
    signs = [sign for text in (str(result), *_texts(verdict)) for sign in ground.leaks(text)] + ground.damage()
    if elapsed > 3 * (QUERY_LIMITS.timeout_s + SPARE_S) or not secret_df:
        signs.append(f"ran {elapsed:.1f} s")
    if len(str(result.rows)) > 2 * QUERY_LIMITS.max_bytes:
        signs.append("output beyond its bound")
    if attack.get("must") == "blocked" and result.failure is None and _is_statement(code):
        signs.append("a statement other than SELECT was run")
    if runner.run("d1", "SELECT count(*), sum(a), sum(b), max(c) FROM t").rows != ((100, 4950, 4950, "x99"),):
        signs.append("the data is changed or the runner not usable")
    return [*dict.fromkeys(signs), *(["forged"] if verdict.status == "passed" else [])]


def _is_statement(code: str) -> bool:
    return code.split()[:1] != [] and code.split()[0].upper() not in (
        "SELECT",
        "WITH",
        "FROM",
        "VALUES",
        "(",
        "DESCRIBE",
        "SHOW",
        "SUMMARIZE",
        "PIVOT",
        "TABLE",
    )


def main(arguments: Iterable[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", type=Path, default=CORPUS)
    parser.add_argument("--tier", default="namespaces", choices=("confined", "namespaces"), help="strongest sandbox to use")
    parser.add_argument("--json", action="store_true", help="one line instead of many")
    options = parser.parse_args(arguments)
    print(json.dumps(run_attacks(options.attacks, options.tier), indent=None if options.json else 1))


if __name__ == "__main__":
    main()
