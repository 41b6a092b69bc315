"""How sure a share is: the interval that every share of ours is shown with.

Belongs here: the interval of a count. Does not belong here: what is counted, other statistics.
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
