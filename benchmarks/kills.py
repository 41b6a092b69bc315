"""SIGKILL a run (its steps run in its own process), or its training child, at random moments: `python -m benchmarks.kills --kills 30 --json`.

A run is started again after each kill until it ends; then its tables and its checkpoint are compared
with those of an undisturbed run, and the next round starts from nothing. After each kill, no process of
the run may be left. The recipe is the tests' little world at scale tiny, with a training of many steps.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.graph import describe, weights_of

ORPHAN_GRACE_S = 5.0
RUN_LIMIT_S = 300.0


def write_recipe(folder: Path) -> Path:
    """The tests' recipe, trained for enough steps to be killed within."""
    from tests.scenario import write_scenario

    train = "student: {train: {epochs: 12, save_every_steps: 5}}"
    return write_scenario(folder, samples_per_seed=24, extra=train).path


def start(recipe: Path, home: Path) -> subprocess.Popen[bytes]:
    """Start `distill run` in a session of its own."""
    env = {**os.environ, "DISTILL_HOME": str(home)}
    env.pop("DAGSTER_HOME", None)
    command = [sys.executable, "-m", "distill_assets.cli", "run", "--quiet", "--recipe", str(recipe)]
    return subprocess.Popen(command, env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def find_processes(home: Path, parent: int) -> dict[int, str]:
    """Living processes that work for a run: they name its workspace, or their command line names its pid."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        words = [word.decode(errors="replace") for word in line if word]
        is_ours = str(home).encode() in environment or any(str(home) in word for word in words) or words[-1:] == [str(parent)]
        if is_ours and state != "Z" and int(folder.name) != os.getpid():
            found[int(folder.name)] = " ".join(words)
    return found


def kill_somewhere(process: subprocess.Popen[bytes], home: Path, target: str, moment_s: float) -> bool:
    """Kill the run, or its training child, after `moment_s` seconds (of training, for the child); True if it was alive."""
    deadline = time.monotonic() + RUN_LIMIT_S
    if target == "child":
        while process.poll() is None and time.monotonic() < deadline:
            children = [pid for pid, line in find_processes(home, process.pid).items() if "distill_assets.train.child" in line]
            if children:
                time.sleep(moment_s)
                try:
                    os.kill(children[0], signal.SIGKILL)
                except ProcessLookupError:
                    return False
                return True
            time.sleep(0.05)
        return False
    try:
        process.wait(timeout=moment_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return True
    return False


def wait_for_none(home: Path, parent: int) -> list[str]:
    """Command lines of what is still there after the grace time."""
    deadline = time.monotonic() + ORPHAN_GRACE_S
    while (left := find_processes(home, parent)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return list(left.values())


class Calm(NamedTuple):
    """An undisturbed run to compare with: its recipe, what it ended with, and its wall seconds."""

    recipe: Path
    outcome: dict[str, Any]
    wall_s: float


def run_calmly(root: Path) -> Calm:
    """Write the recipe under `root` and run it once, undisturbed."""
    recipe, home = write_recipe(root / "recipe"), root / "calm"
    started = time.monotonic()
    first = start(recipe, home)
    _, words = first.communicate(timeout=RUN_LIMIT_S)
    if first.returncode:
        raise SystemExit(words.decode())
    wall_s = time.monotonic() - started
    return Calm(recipe, _outcome(recipe, home), wall_s)


def measure(calm: Calm, home: Path, kills: int, target: str, seed: int) -> dict[str, Any]:
    """Kill `kills` times in the workspace `home` and compare every finished round with the calm run."""
    source = random.Random(seed)
    recipe, expected, calm_s = calm
    out = {
        "target": target,
        "kills": 0,
        "rounds": 0,
        "equal_rounds": 0,
        "orphans": 0,
        "failed_reruns": 0,
        "failures": [],
        "calm_s": round(calm_s, 1),
    }
    moments: list[float] = []
    while out["kills"] < kills:
        process = start(recipe, home)
        span_s = 6.0 if target == "child" else calm_s
        moments.append(round(source.uniform(0.2, span_s), 2))
        killed = kill_somewhere(process, home, target, moments[-1])
        _, words = process.communicate(timeout=RUN_LIMIT_S)
        orphans = wait_for_none(home, process.pid)
        out["orphans"] += len(orphans)
        if killed and process.returncode:
            out["kills"] += 1
            continue
        _close_round(out, process.returncode, words, moments, lambda: _outcome(recipe, home) == expected)
        moments.clear()
        shutil.rmtree(home)
    last = start(recipe, home)
    _, words = last.communicate(timeout=RUN_LIMIT_S)
    _close_round(out, last.returncode, words, moments, lambda: _outcome(recipe, home) == expected)
    return out


def _close_round(out: dict[str, Any], code: int, words: bytes, moments: list[float], is_equal: Callable[[], bool]) -> None:
    """Count a round whose last run was left alone, and keep what a failed one said."""
    out["rounds"] += 1
    out["equal_rounds"] += not code and is_equal()
    if code:
        out["failed_reruns"] += 1
        out["failures"].append({"after_kills_at_s": list(moments), "said": words.decode(errors="replace")})


def _outcome(recipe: Path, home: Path) -> dict[str, Any]:
    described = describe(recipe, home)
    return {**described["versions"], "weights": weights_of(described, home, recipe)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--target", choices=("run", "child"), default="run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="distill-kills-"))
    figures = measure(run_calmly(root), root / "killed", args.kills, args.target, args.seed)
    shutil.rmtree(root)
    print(json.dumps(figures) if args.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
