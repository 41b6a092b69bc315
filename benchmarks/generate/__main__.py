"""What asking a teacher is worth: `python -m benchmarks.generate --json [--part kills,speed] [--peers FOLDER] [--kills 200]`.

Belongs here: the parts by name, the arguments, the last line. Does not belong here: a measurement (its own module).

The last line is one JSON object: the headline figures of all parts flat, null where a part was not run, and under
`parts` everything that each part measured. All of it runs against the tests' server on loopback.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.generate import blast, budget, bulk, changes, faults, kills, limits, speed, stragglers

HEADLINES = (
    "kills", "lost", "rebought_acknowledged", "identical_table", "faults", "faults_survived", "rows_per_cpu_s",
    "ratio_vs_best_peer", "peer", "cpu_ms_per_row", "change_tests_passed", "cached_rerun_100k_s", "rss_mib_200k",
    "rate_used_frac", "refused_frac", "budget_overspend_usd", "straggler_ratio", "refused_per_100_at_1200_rpm",
    "blast_radius",
)  # fmt: skip


class Part(NamedTuple):
    """One measurement and its figures in words."""

    measure: Callable[[Path, argparse.Namespace], dict[str, Any]]
    report: Callable[[dict[str, Any]], str]


PARTS: dict[str, Part] = {
    "kills": Part(lambda root, options: kills.measure(root, options.kills), kills.report),
    "speed": Part(lambda root, options: speed.measure(root, options.peers), speed.report),
    "cached": Part(lambda root, _: bulk.measure_cached(root), bulk.report_cached),
    "memory": Part(lambda root, _: bulk.measure_memory(root), bulk.report_memory),
    "changes": Part(lambda root, _: changes.measure(root), changes.report),
    "stragglers": Part(lambda root, _: stragglers.measure(root), stragglers.report),
    "limits": Part(lambda root, _: limits.measure(root), limits.report),
    "budget": Part(lambda root, _: budget.measure(root), budget.report),
    "blast": Part(lambda root, _: blast.measure(root), blast.report),
    "faults": Part(lambda root, _: faults.measure(root), faults.report),
}


def main() -> None:
    """Measure and print."""
    options = read_arguments()
    figures: dict[str, Any] = {}
    for name in options.part:
        root, began = Path(tempfile.mkdtemp(prefix=f"distill-{name}-")), time.monotonic()
        print(f"{name} ...", flush=True)
        try:
            figures[name] = PARTS[name].measure(root, options)
        finally:
            shutil.rmtree(root, ignore_errors=True)
        print(f"{name}: {PARTS[name].report(figures[name])} ({time.monotonic() - began:.0f} s)", flush=True)
    flat = {key: value for part in figures.values() for key, value in part.items()}
    summary = {key: flat.get(key) for key in HEADLINES} | {"parts": figures}
    print(json.dumps(summary) if options.json else json.dumps(summary, indent=1))


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=split_names, default=list(PARTS), help=f"any of {', '.join(PARTS)}; without it, all")
    parser.add_argument("--peers", type=Path, help="folder of benchmarks.peers.install; without it, ours alone")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def split_names(text: str) -> list[str]:
    """Names of parts from a list with commas."""
    names = text.split(",")
    if stray := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(stray))}")
    return names


if __name__ == "__main__":
    main()
