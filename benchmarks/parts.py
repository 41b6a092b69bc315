"""Benchmarks of several parts: run those that are asked for, say each one's figures in words, print all as the last line.

Belongs here: what the entry points of benchmarks.generate, .judge and .curate share. Does not belong here: any measurement.

The last line is one JSON object: the headline figures of all parts flat, null where a part was not run, and under
`parts` everything that each part measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Part(NamedTuple):
    """One measurement, given an empty folder and the command line; and its figures in words."""

    measure: Callable[[Path, argparse.Namespace], dict[str, Any]]
    report: Callable[[dict[str, Any]], str]


def add_arguments(parser: argparse.ArgumentParser, parts: dict[str, Part]) -> None:
    """Let the command line choose parts and the form of the last line."""

    def split_names(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in parts]:
            raise argparse.ArgumentTypeError(f"no part {unknown[0]!r}; there are {', '.join(parts)}")
        return names

    parser.add_argument("--part", type=split_names, default=list(parts), help=f"any of {', '.join(parts)}; without it, all")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def join_figures(figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures of all parts under their own names."""
    return {key: value for part in figures.values() for key, value in part.items()}


def run_parts(
    parts: dict[str, Part],
    headlines: Sequence[str],
    options: argparse.Namespace,
    join: Callable[[dict[str, dict[str, Any]]], dict[str, Any]] = join_figures,
) -> None:
    """Measure the chosen parts one after the other and print.

    Args:
        join: figures by part as flat ones, of which the headlines are taken.
    """
    figures: dict[str, Any] = {}
    for name in options.part:
        home, began = os.environ.get("DISTILL_HOME"), time.monotonic()
        root = Path(tempfile.mkdtemp(prefix=f"distill-{name}-"))
        print(f"{name} ...", flush=True)
        try:
            figures[name] = parts[name].measure(root, options)
        finally:
            _restore("DISTILL_HOME", home)  # a part may have set it to its own folder
            shutil.rmtree(root, ignore_errors=True)
        print(f"{name}: {parts[name].report(figures[name])} ({time.monotonic() - began:.0f} s)", flush=True)
    flat = join(figures)
    summary = {key: flat.get(key) for key in headlines} | {"parts": figures}
    print(json.dumps(summary) if options.json else json.dumps(summary, indent=1))


def _restore(variable: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = value
