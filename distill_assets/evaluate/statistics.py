"""Intervals and tests for accuracies: how sure a figure is.

Belongs here: pure statistics on counts. Does not belong here: rows (scoring) or wording (report).
"""

from __future__ import annotations

import math
from typing import NamedTuple

Z_95 = 1.959963984540054


class Proportion(NamedTuple):
    """`k` of `n` with its 95% Wilson interval; all fractions 0 to 1, None when n is 0."""

    k: int
    n: int
    frac: float | None
    low: float | None
    high: float | None


def wilson(k: int, n: int) -> Proportion:
    """95% score interval of a binomial proportion.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927), 209-212.

    Raises:
        ValueError: k outside 0..n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k = {k} of n = {n} is no count")
    if n == 0:
        return Proportion(0, 0, None, None, None)
    p, z2 = k / n, Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Proportion(k, n, p, max(0.0, centre - half), min(1.0, centre + half))


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
