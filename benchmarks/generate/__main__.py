"""What asking a teacher is worth: `python -m benchmarks.generate --json [--part kills,speed] [--peers FOLDER] [--kills 200]`.

Belongs here: the parts by name, the arguments, the last line. Does not belong here: a measurement (its own module).

The last line is one JSON object: the headline figures of all parts flat, null where a part was not run, and under
`parts` everything that each part measured. All of it runs against the tests' server on loopback.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.generate import blast, budget, bulk, changes, faults, kills, limits, speed, stragglers
from benchmarks.parts import Part, add_arguments, run_parts

HEADLINES = (
    "kills", "lost", "rebought_acknowledged", "identical_table", "faults", "faults_survived", "rows_per_cpu_s",
    "ratio_vs_best_peer", "peer", "cpu_ms_per_row", "change_tests_passed", "cached_rerun_100k_s", "rss_mib_200k",
    "rate_used_frac", "refused_frac", "budget_overspend_usd", "straggler_ratio", "refused_per_100_at_1200_rpm",
    "blast_radius",
)  # fmt: skip


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
    run_parts(PARTS, HEADLINES, read_arguments())


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, PARTS)
    parser.add_argument("--peers", type=Path, help="folder of benchmarks.peers.install; without it, ours alone")
    parser.add_argument("--kills", type=int, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    main()
