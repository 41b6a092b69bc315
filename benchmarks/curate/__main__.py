"""What curation is worth: `python -m benchmarks.curate --json [--data FOLDER] [--part neardup,edits,...] [--documents N] [--large N]`.

Belongs here: the parts by name, the arguments, the last line. Does not belong here: a measurement (its own module).

The last line is one JSON object: the headline figures of all parts flat, null where a part was not run, and under `parts`
everything that each part measured. All parts need the labelled sets of --data: benchmarks.parquet (idx, bench, text),
altered_dev.parquet (kind, bench, idx, text) and clean_dev.parquet (kind, text); without them all figures are null.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before anything reads it; parts that compare speed have processes of their own or one thread
    for variable in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

from benchmarks.curate import decontamination, edits, incremental, neardup, rephrasing
from benchmarks.curate.peers.install import default_folder
from benchmarks.parts import Part, add_arguments, join_figures, run_parts

ROOT = Path(__file__).parents[2]
FILES = ("benchmarks.parquet", "altered_dev.parquet", "clean_dev.parquet")
HEADLINES = (
    "neardup_docs_per_cpu_s", "ratio_vs_rensa", "ratio_vs_rensa_flags", "ratio_vs_rensa_1m", "ratio_vs_datasketch", "rss_mib_1m",
    "rss_ratio_vs_rensa_1m", "recall_vs_bruteforce", "equals_bruteforce", "equals_sql", "edits_recall", "edits_false_pairs",
    "number_false_pairs", "decon_ratio_vs_openr1", "recall_by_set", "recall_rephrased", "false_positive_frac",
    "incremental_equals_rebuild", "incremental_time_frac", "incremental_time_frac_with_files", "keep_bytes_equal",
)  # fmt: skip
CLEAN = ("gsm8k_train", "mmlu_valdev", "general")
RULE_FIGURES = {"by_kind": "rephrased_by_kind", "by_kind_with_review": "rephrased_by_kind_with_review", "curve": "rephrased_curve"}


def measure_neardup(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """See neardup."""
    return neardup.measure(root, options.data, options.documents, options.large, options.peers)


def measure_decontamination(_: Path, options: argparse.Namespace) -> dict[str, Any]:
    """See decontamination."""
    try:
        return decontamination.measure_recall(options.data) | decontamination.measure_throughput(options.data, options.documents)
    finally:
        gc.unfreeze()  # the throughput freezes what there is, and libraries complain of it when the process ends


def measure_rephrasing(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """See rephrasing."""
    figures = rephrasing.measure_rephrasing(options.data, options.vectors or root, 1)
    return {RULE_FIGURES.get(name, name): value for name, value in figures.items()}


def measure_incremental(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """See incremental."""
    return incremental.measure(root, options.data, [size for size in (options.documents, options.large) if size])


def tell_decontamination(figures: dict[str, Any]) -> str:
    """The figures in words."""
    rates = figures["decon_docs_per_cpu_s"]
    return (
        f"{rates['cover']} documents a CPU second, {figures['decon_ratio_vs_openr1']} times open-r1's algorithm; least recall of an item "
        f"whose words are kept {figures['recall_alike_least']}; clean texts dropped {figures['decon_clean_drop_frac']}"
    )


def tell_rephrasing(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return f"{figures['recall_rephrased']} of rephrased GSM8K found, {figures['clean_gsm8k_frac']} of clean GSM8K questions marked"


def guard(measure: Callable[[Path, argparse.Namespace], dict[str, Any]]) -> Callable[[Path, argparse.Namespace], dict[str, Any]]:
    """`measure`, and nothing where there are no labelled sets."""

    def run(root: Path, options: argparse.Namespace) -> dict[str, Any]:
        return {} if options.data is None else measure(root, options)

    return run


def tell(report: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
    """`report`, and why there is nothing to report."""
    return lambda figures: report(figures) if figures else f"left out: --data needs a folder with {', '.join(FILES)}"


PARTS: dict[str, Part] = {
    name: Part(guard(measure), tell(report))
    for name, measure, report in (
        ("neardup", measure_neardup, neardup.report),
        ("edits", lambda _, options: edits.measure(options.data), edits.report),
        ("decontamination", measure_decontamination, tell_decontamination),
        ("rephrasing", measure_rephrasing, tell_rephrasing),
        ("incremental", measure_incremental, incremental.report),
    )
}


def join_rules(figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All figures flat, with those that two rules have together.

    A sample is dropped when either rule says so; each is measured by itself. So recall is at least that of the better one, and
    the share of clean GSM8K questions dropped is at most the sum of both.
    """
    by_words, by_meaning = figures.get("decontamination") or {}, figures.get("rephrasing") or {}
    found = [by_words.get("recall_by_set", {}), by_meaning.get("rephrased_by_kind", {})]
    kinds = sorted({kind for part in found for kind in part} - set(CLEAN))
    recall = {kind: max(part.get(kind, 0.0) for part in found) for kind in kinds}
    marked = [by_words.get("decon_clean_drop_frac", {}).get("gsm8k_train"), by_meaning.get("clean_gsm8k_frac")]
    known = [share for share in marked if share is not None]
    return join_figures(figures) | {
        "recall_by_set": recall or None,
        "false_positive_frac": round(sum(known), 4) if known else None,
    }


def find_data() -> Path | None:
    """The folder of labelled sets beside the project, if there is one."""
    folder = ROOT.parent / "shared" / "data" / "decontamination"
    return folder if all((folder / name).is_file() for name in FILES) else None


def read_data(text: str) -> Path:
    """A folder with the labelled sets."""
    if missing := [name for name in FILES if not (Path(text) / name).is_file()]:
        raise argparse.ArgumentTypeError(f"{text} has no {missing[0]}")
    return Path(text)


def main() -> None:
    """Measure and print."""
    run_parts(PARTS, HEADLINES, read_arguments(), join_rules)


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, PARTS)
    parser.add_argument("--data", type=read_data, default=find_data(), help="folder of labelled sets")
    parser.add_argument("--documents", type=int, default=100_000, help="of the usual corpus")
    parser.add_argument("--large", type=int, default=1_000_000, help="of the large corpus; 0: none, and no figure at 1M")
    parser.add_argument("--peers", type=Path, default=default_folder(), help="environment of the peers, made there if it is not")
    parser.add_argument("--vectors", type=Path, help="folder that keeps what the embedding model read")
    return parser.parse_args()


if __name__ == "__main__":
    main()
