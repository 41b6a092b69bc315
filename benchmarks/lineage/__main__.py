"""What the ledger is worth: `python -m benchmarks.lineage --json [--part record,ask,...] [--rows N] [--large N] [--data FOLDER]`.

Belongs here: the parts by name, the arguments, the last line. Does not belong here: a measurement (its own module).

The last line is one JSON object: the headline figures of all parts flat, null where a part was not run, and under `parts`
everything that each part measured. Ledgers are built once under --data and asked again by later runs; `record` builds anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.lineage import large, proofs
from benchmarks.lineage.asking import measure_alone, measure_commands
from benchmarks.lineage.processes import run_measured
from benchmarks.lineage.world import FACTS_FILE
from benchmarks.parts import Part, add_arguments, run_parts

HEADLINES = (
    "bytes_per_row", "record_s", "record_peak_mib", "show_cpu_s", "taint_cpu_s", "taint_seed_alone_cpu_s", "why_cpu_s", "digest_cpu_s", "verify_cpu_s",
    "large_rows", "large_show_cpu_s", "large_taint_cpu_s", "large_diff_teachers_alone_cpu_s", "erase_equals_rebuild", "naive_deletion_differs",
    "mutations", "missed", "exposure_mismatches",
)  # fmt: skip
COMMANDS = ("show", "taint", "taint_source", "taint_generation", "diff", "why")
BRANCHED = ("taint", "taint_source", "taint_generation", "taint_seed", "why")
ALONE = (
    "show",
    "taint",
    "taint_source",
    "taint_generation",
    "taint_benchmark",
    "taint_seed",
    "diff_teachers",
    "diff",
    "why",
    "digest",
    "verify",
)


def measure_record(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Build the ledger anew."""
    home = find_home(root, options)
    shutil.rmtree(home, ignore_errors=True)
    return build(home, options.rows)


def build(home: Path, n_rows: int, *words: str) -> dict[str, Any]:
    """Build a world in a process of its own, so that its peak of memory is its own; return its figures."""
    home.mkdir(parents=True)
    return json.loads(run_measured(["benchmarks.lineage.world", str(home), str(n_rows), *words], home).out)


def find_home(root: Path, options: argparse.Namespace) -> Path:
    """The workspace of the world of this size: under --data, or in the part's own folder."""
    return (options.data or root) / f"rows-{options.rows}"


def measure_asking(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Ask the ledger, which is built if it is not there."""
    home = find_home(root, options)
    if not (home / FACTS_FILE).exists():
        shutil.rmtree(home, ignore_errors=True)
        build(home, options.rows)
    alone = measure_alone(home, ALONE)
    figures = alone | measure_commands(home, COMMANDS)
    return figures | {"digest_cpu_s": alone["digest_alone_cpu_s"], "verify_cpu_s": alone["verify_alone_cpu_s"]}


def measure_branched(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Ask a ledger whose generations come from others too: a roll-up cannot tell what goes with a teacher, the rows are read."""
    home = (options.data or root) / f"rows-{options.rows // 5}-branched"
    if not (home / FACTS_FILE).exists():
        shutil.rmtree(home, ignore_errors=True)
        build(home, options.rows // 5, "branched")
    return {f"branched_{name}": value for name, value in ({"rows": options.rows // 5} | measure_alone(home, BRANCHED)).items()}


def report_branched(figures: dict[str, Any]) -> str:
    """The figures in words."""
    named = ", ".join(f"{name} {figures[f'branched_{name}_alone_cpu_s']}" for name in BRANCHED)
    return f"{figures['branched_rows']} rows, CPU seconds alone: {named}"


def report_asking(figures: dict[str, Any]) -> str:
    """The figures in words."""
    named = ", ".join(f"{name} {figures[f'{name}_cpu_s']} ({figures[f'{name}_alone_cpu_s']} alone)" for name in COMMANDS)
    return f"CPU seconds: {named}; digest {figures['digest_cpu_s']}, verify {figures['verify_cpu_s']}"


def report_record(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return f"{figures['bytes_per_row']} bytes a trained row, recorded in {figures['record_s']} CPU seconds, peak {figures['record_peak_mib']} MiB"


PARTS = {
    "record": Part(measure_record, report_record),
    "ask": Part(measure_asking, report_asking),
    "branched": Part(measure_branched, report_branched),
    "large": Part(
        lambda root, options: large.measure((options.data or root) / f"large-{options.large}", options.large), large.report
    ),
    "erase": Part(lambda _, options: proofs.measure_erasure(options.worlds), proofs.report_erasure),
    "mutations": Part(
        lambda root, options: proofs.measure_mutations(root, options.mutations),
        lambda figures: f"{figures['missed']} of {figures['mutations']} changes missed",
    ),
    "exposure": Part(
        lambda *_: proofs.measure_exposure(),
        lambda figures: f"{figures['exposure_mismatches']} of {figures['exposure_values']} values differ",
    ),
}


def main() -> None:
    """Measure and print."""
    options = read_arguments()
    if options.data is None:  # record and ask share one ledger
        import tempfile

        with tempfile.TemporaryDirectory(prefix="distill-lineage-") as folder:
            options.data = Path(folder)
            run_parts(PARTS, HEADLINES, options)
    else:
        run_parts(PARTS, HEADLINES, options)


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, PARTS)
    parser.add_argument("--rows", type=int, default=1_000_000, help="trained rows of the ledger that is recorded and asked")
    parser.add_argument("--large", type=int, default=10_000_000, help="trained rows of the large one")
    parser.add_argument("--data", type=Path, help="folder that keeps the ledgers; without it they are removed")
    parser.add_argument("--worlds", type=int, default=60, help="worlds that something is erased from")
    parser.add_argument("--mutations", type=int, default=720, help="changes that are made")
    return parser.parse_args()


if __name__ == "__main__":
    main()
