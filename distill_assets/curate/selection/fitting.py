"""Which rows the recipe's shares, tokens and limit leave out, and for which of the three.

Belongs here: reading the bounds of a recipe, and naming the bound that a row does not pass. Does not belong here: solving for
them (quotas), the order of preference (ranking), dropping (select).

All bounds hold together on what is chosen. A row that is left out has the first reason of: the shares alone leave it out; shares
and tokens; only the limit on rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import polars as pl

from distill_assets.curate.difficulty import DIFFICULTIES
from distill_assets.curate.selection.quotas import (
    Bound,
    Cells,
    as_fraction,
    choose_rows,
    fit_tokens,
    group_rows,
    list_binding,
    refuse_nothing,
)
from distill_assets.curation import CurateSpec
from distill_assets.errors import SelectionError, name_culprits

# Evidence names at most this many bounds.
MAX_NAMED = 3


class Share(NamedTuple):
    """A bound on a share, and the rows that it counts."""

    bound: Bound
    counts: pl.Expr


class Problem(NamedTuple):
    """Rows in the order of preference: their cells, the bounds, tokens of each row when they are limited, and the limits."""

    cells: Cells
    bounds: tuple[Bound, ...]
    tokens: tuple[int, ...] | None
    max_tokens: int
    max_samples: int


def read_shares(samples: pl.DataFrame, spec: CurateSpec) -> list[Share]:
    """The bounds of the mix.

    Args:
        samples: all judged samples with the columns that quotas speak of.

    Raises:
        SelectionError: a quota names a value that no sample has.
    """
    found = []
    for quota in spec.mix.quotas:
        values = set(DIFFICULTIES) if quota.by == "difficulty" else set(samples[quota.by].drop_nulls().cast(pl.String))
        if quota.value not in values:
            raise SelectionError(
                f"curate.mix.quotas: no sample has {quota.by} {quota.value!r}; there are: "
                f"{name_culprits(sorted(values)) or 'none'}. training_dataset was not replaced. "
                "Name one of these, or take the quota out."
            )
        bound = Bound(f"{quota.by} {quota.value}", as_fraction(quota.min_frac), as_fraction(quota.max_frac))
        found.append(Share(bound, pl.col(quota.by).eq_missing(pl.lit(quota.value))))
    if spec.mix.min_real_frac:
        found.append(Share(Bound("written by people", as_fraction(spec.mix.min_real_frac), as_fraction(1)), pl.col("is_real")))
    return found


def find_left_out(samples: pl.DataFrame, shares: Sequence[Share], spec: CurateSpec) -> dict[str, tuple[str, str]]:
    """Find the rows that cannot stay, each with reason and evidence.

    Args:
        samples: in the order of preference: sample_id, n_tokens and the columns that `shares` count.

    Raises:
        SelectionError: no row can stay within the shares, or tokens are limited and not counted.
    """
    too_long = _find_too_long(samples, spec)
    fitting = samples.filter(~pl.col("sample_id").is_in(list(too_long)))
    counted = [fitting.select(share.counts).to_series().to_list() for share in shares]
    problem = Problem(
        group_rows(counted, fitting.height),
        tuple(share.bound for share in shares),
        tuple(fitting["n_tokens"]) if spec.max_tokens is not None else None,
        spec.max_tokens or 0,
        spec.max_samples,
    )
    stages = _choose_by_stage(problem)
    if shares and not stages[0] and fitting.height:
        refuse_nothing(problem.cells, problem.bounds, fitting.height)
    reasons = dict.fromkeys(too_long, ("over_tokens", f"longer by itself than max_tokens, {spec.max_tokens}"))
    words = _explain_cells(problem, stages[-1])
    explained = [words[cell] for cell in problem.cells.of_row]
    return reasons | _name_reasons(fitting["sample_id"].to_list(), stages, explained, spec)


def _find_too_long(samples: pl.DataFrame, spec: CurateSpec) -> tuple[str, ...]:
    """Samples that no budget of this size could hold.

    Raises:
        SelectionError: tokens are limited, and those of a sample are not known.
    """
    if spec.max_tokens is None:
        return ()
    if n_unknown := samples["n_tokens"].null_count():
        raise SelectionError(
            f"curate.max_tokens is {spec.max_tokens}, and the tokens of {n_unknown} of {samples.height} samples are not counted. "
            "training_dataset was not replaced. Rebuild curation_marks, or take max_tokens out."
        )
    return tuple(samples.filter(pl.col("n_tokens") > spec.max_tokens)["sample_id"])


def _choose_by_stage(problem: Problem) -> tuple[list[int], list[int], list[int]]:
    """The rows that stay by shares alone; by shares and tokens; and by shares, tokens and the limit."""
    n_rows = len(problem.cells.of_row)
    choose = partial(choose_rows, problem.cells, problem.bounds)
    by_shares = choose(n_rows)
    by_tokens = _choose_fitting(problem, choose, by_shares, len(by_shares))
    if len(by_tokens) <= problem.max_samples:
        return by_shares, by_tokens, by_tokens
    return by_shares, by_tokens, _choose_fitting(problem, choose, choose(problem.max_samples), problem.max_samples)


def _choose_fitting(problem: Problem, choose: Callable[[int], list[int]], rows: list[int], max_rows: int) -> list[int]:
    """`rows`, or as many as fit into the tokens."""
    if problem.tokens is None or sum(problem.tokens[row] for row in rows) <= problem.max_tokens:
        return rows
    return fit_tokens(choose, problem.tokens, max_rows, problem.max_tokens)


def _name_reasons(
    ids: Sequence[str], stages: Sequence[Sequence[int]], explained: Sequence[str], spec: CurateSpec
) -> dict[str, tuple[str, str]]:
    by_shares, by_tokens, chosen = (frozenset(stage) for stage in stages)
    reasons = {}
    for row, sample_id in enumerate(ids):
        if row in chosen:
            continue
        if row not in by_shares:
            reasons[sample_id] = ("over_quota", explained[row])
        elif row not in by_tokens:
            reasons[sample_id] = ("over_tokens", f"more than {spec.max_tokens} tokens")
        else:
            reasons[sample_id] = ("over_limit", f"more than {spec.max_samples} samples")
    return reasons


def _explain_cells(problem: Problem, chosen: Sequence[int]) -> list[str]:
    """For rows of each cell, the bounds that one more like them would break; all bounds where only their sum says so."""
    taken = [0] * len(problem.cells.sizes)
    for row in chosen:
        taken[problem.cells.of_row[row]] += 1
    counts = [sum(n for n, is_in in zip(taken, members, strict=True) if is_in) for members in problem.cells.members]
    every = [f"{bound.name} {float(bound.min_frac):g} to {float(bound.max_frac):g}" for bound in problem.bounds]
    words = []
    for cell in range(len(taken)):
        counted = [members[cell] for members in problem.cells.members]
        binding = list_binding(problem.bounds, counted, counts, len(chosen)) or every
        words.append(f"{len(chosen)} samples: {'; '.join(binding[:MAX_NAMED])}")
    return words
