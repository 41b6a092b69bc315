"""Intervals and tests for accuracies: how sure a figure is.

Belongs here: pure statistics on counts. Does not belong here: rows (scoring) or wording (report).
"""

from __future__ import annotations

from typing import NamedTuple


class Paired(NamedTuple):
    """Two models on the same items: how often only one was right, and McNemar's exact two-sided p."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: list[bool], second: list[bool]) -> Paired:
    """Exact McNemar test: a binomial test on the discordant pairs.

    Source: Q. McNemar, Psychometrika 12 (1947), 153-157; exact form by scipy.stats.binomtest.

    Raises:
        ValueError: the lists differ in length.
    """
    from scipy.stats import binomtest

    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} answers are not pairs")
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    n = only_first + only_second
    p = float(binomtest(only_first, n, 0.5).pvalue) if n else 1.0
    return Paired(only_first, only_second, p)


def percent(value: float | None) -> str:
    """A fraction as text."""
    return "–" if value is None else f"{value:.1%}"
