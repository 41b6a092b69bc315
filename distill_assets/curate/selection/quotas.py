"""Which rows to take so that all bounds hold and as many rows as possible stay.

Belongs here: bounds on shares, and the exact choice of rows within them. Does not belong here: where the order of preference
comes from (ranking) and dropping (select).

Rows that fall under the same bounds form a cell; how many to take of each cell is a small integer program (scipy's HiGHS), in
whole numbers: a share is a fraction as it is written, and what it allows of n rows is a count. Of all choices of the most rows,
the one is taken that is best by preference: row by row in that order, a row is taken if the rest can still be filled up.
A least share that too few rows can fill makes the whole smaller; it is never broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from distill_assets.errors import SelectionError

# What the first, floating-point count of rows may be off by; is_possible then reckons in whole numbers.
SLACK = 1e-7


class Bound(NamedTuple):
    """The least and the greatest share of the rows that `name` speaks of."""

    name: str
    min_frac: Fraction
    max_frac: Fraction


class Cells(NamedTuple):
    """Rows by the bounds that count them: each row's cell, each cell's size, and for each bound which cells it counts."""

    of_row: tuple[int, ...]
    sizes: tuple[int, ...]
    members: tuple[tuple[bool, ...], ...]


def as_fraction(share: float) -> Fraction:
    """The share as written: 0.3 is three tenths, not the nearest binary number."""
    return Fraction(str(share))


def group_rows(counted: Sequence[Sequence[bool]], n_rows: int) -> Cells:
    """Group rows into cells.

    Args:
        counted: for each bound, whether it counts each row. n_rows: how many rows there are.
    """
    signatures = list(zip(*counted, strict=True)) if counted else [()] * n_rows
    known = sorted(set(signatures))
    number = {signature: cell for cell, signature in enumerate(known)}
    of_row = tuple(number[signature] for signature in signatures)
    sizes = [0] * len(known)
    for cell in of_row:
        sizes[cell] += 1
    return Cells(of_row, tuple(sizes), tuple(tuple(signature[b] for signature in known) for b in range(len(counted))))


def choose_rows(cells: Cells, bounds: Sequence[Bound], max_rows: int) -> list[int]:
    """Choose at most `max_rows` rows, as many as the bounds allow, the first in the order of preference.

    Args:
        cells: of `group_rows`, over rows in the order of preference. bounds: as many as `cells.members`.

    Returns:
        Numbers of the rows chosen, rising; empty when no row can stay.
    """
    limit = min(max_rows, len(cells.of_row))
    if not bounds or not limit:
        return list(range(limit))
    n_rows = find_most(cells, bounds, limit)
    return _take_in_order(cells, bounds, n_rows) if n_rows else []


def fit_tokens(choose: Callable[[int], list[int]], tokens: Sequence[int], max_rows: int, max_tokens: int) -> list[int]:
    """Choose as many rows as fit into a number of tokens, found by halving.

    The end of the order of preference is cut: no row is passed over for a shorter one behind it, since that would favour short
    rows.

    Args:
        choose: rows for a greatest number of rows. tokens: of each row. max_rows: where to begin.
    """
    best: list[int] = []
    low, high = 0, max_rows
    while low < high:
        middle = (low + high + 1) // 2
        rows = choose(middle)
        if sum(tokens[row] for row in rows) <= max_tokens:
            low, best = middle, max(best, rows, key=len)
        else:
            high = min(middle, len(rows)) - 1
    return best


def _take_in_order(cells: Cells, bounds: Sequence[Bound], n_rows: int) -> list[int]:
    """Exactly `n_rows` rows, each taken if the others can still be filled up; a cell from which a row is refused is closed.

    Rows are taken in runs: the longest run that can be taken whole is found by halving.
    """
    open_rows = list(range(len(cells.of_row)))
    taken = [0] * len(cells.sizes)
    upper = list(cells.sizes)
    chosen: list[int] = []
    while len(chosen) < n_rows:
        low, high = 0, min(len(open_rows), n_rows - len(chosen))
        while low < high:
            middle = (low + high + 1) // 2
            wanted = _count_cells(cells, open_rows[:middle], taken)
            if is_possible(cells, bounds, wanted, upper, n_rows):
                low = middle
            else:
                high = middle - 1
        chosen += open_rows[:low]
        taken = _count_cells(cells, open_rows[:low], taken)
        open_rows = open_rows[low:]
        if len(chosen) < n_rows:
            closed = cells.of_row[open_rows[0]]
            upper[closed] = taken[closed]
            open_rows = [row for row in open_rows if cells.of_row[row] != closed]
    return sorted(chosen)


def _count_cells(cells: Cells, rows: Sequence[int], start: Sequence[int]) -> list[int]:
    counts = list(start)
    for row in rows:
        counts[cells.of_row[row]] += 1
    return counts


def find_most(cells: Cells, bounds: Sequence[Bound], limit: int) -> int:
    """The greatest number of rows, at most `limit`, for which the bounds can be kept; 0 when there is none."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    each = np.ones(len(cells.sizes))
    pairs = list(zip(bounds, cells.members, strict=True))
    weights = [[counted - float(bound.min_frac) for counted in row] for bound, row in pairs]
    weights += [[float(bound.max_frac) - counted for counted in row] for bound, row in pairs]
    found = milp(
        -each,
        integrality=each,
        bounds=Bounds(0, np.array(cells.sizes)),
        constraints=[LinearConstraint(np.array(weights), lb=-SLACK), LinearConstraint(each[None, :], ub=limit)],
    )
    n_rows = limit if found.x is None else round(-found.fun)
    while n_rows and not is_possible(cells, bounds, [0] * len(cells.sizes), cells.sizes, n_rows):
        n_rows -= 1  # the program above reckons in floating point and may say a row too many
    return n_rows


def is_possible(cells: Cells, bounds: Sequence[Bound], lower: Sequence[int], upper: Sequence[int], n_rows: int) -> bool:
    """Whether exactly `n_rows` rows, of each cell at least `lower` and at most `upper`, can keep the bounds."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    limits = [(n_rows, n_rows), *(_count_bound(bound, n_rows) for bound in bounds)]
    least, most = [low for low, _ in limits], [high for _, high in limits]
    if sum(lower) > n_rows or sum(upper) < n_rows or any(a > b for a, b in zip([*lower, *least], [*upper, *most], strict=True)):
        return False
    matrix = np.array([[1.0] * len(cells.sizes), *cells.members], dtype=float)
    found = milp(
        np.zeros(len(cells.sizes)),
        integrality=np.ones(len(cells.sizes)),
        bounds=Bounds(np.array(lower), np.array(upper)),
        constraints=LinearConstraint(matrix, lb=np.array(least), ub=np.array(most)),
    )
    return found.x is not None


def _count_bound(bound: Bound, n_rows: int) -> tuple[int, int]:
    """The least and the greatest number of rows that keep the bound among `n_rows`."""
    return ceil(bound.min_frac * n_rows), floor(bound.max_frac * n_rows)


def list_binding(bounds: Sequence[Bound], counted: Sequence[bool], counts: Sequence[int], n_rows: int) -> list[str]:
    """Say which bounds keep a row out of a selection of `n_rows`: one more would break them, or be one too few of others.

    Args:
        counted: for each bound, whether it counts the row. counts: for each bound, how many rows of the selection it counts.
    """
    words = []
    for bound, is_counted, count in zip(bounds, counted, counts, strict=True):
        least, most = _count_bound(bound, n_rows + 1)
        if is_counted and count + 1 > most:
            words.append(f"{bound.name} at most {float(bound.max_frac):g}")
        if not is_counted and count < least:
            words.append(f"{bound.name} at least {float(bound.min_frac):g}")
    return words


def refuse_nothing(cells: Cells, bounds: Sequence[Bound], n_rows: int) -> None:
    """Say which bounds leave no row at all.

    Raises:
        SelectionError: always; with each bound and the rows that there are for it.
    """
    have = [
        f"{bound.name}: {float(bound.min_frac):g} to {float(bound.max_frac):g}, "
        f"{sum(size for size, counted in zip(cells.sizes, row, strict=True) if counted)} of {n_rows} rows"
        for bound, row in zip(bounds, cells.members, strict=True)
    ]
    raise SelectionError(
        f"no selection keeps all shares of curate.mix ({'; '.join(have)}). training_dataset was not replaced. "
        "Lower a min_frac, raise a max_frac, or make more samples of what is short."
    )
