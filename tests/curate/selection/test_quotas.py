"""Rows within shares: what is chosen is the best of all subsets, in whole numbers."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.selection.quotas import Bound, as_fraction, choose_rows, fit_tokens, group_rows, refuse_nothing
from distill_assets.errors import SelectionError


def is_kept(rows: tuple[int, ...], bounds: list[Bound], counted: list[list[bool]]) -> bool:
    shares = [Fraction(sum(column[row] for row in rows), len(rows)) for column in counted]
    return all(bound.min_frac <= share <= bound.max_frac for bound, share in zip(bounds, shares, strict=True))


def search_all(n_rows: int, bounds: list[Bound], counted: list[list[bool]], limit: int) -> list[int]:
    """The first of the largest subsets that keep the bounds, of all subsets."""
    for size in range(min(n_rows, limit), 0, -1):
        for rows in combinations(range(n_rows), size):  # in the order of preference
            if is_kept(rows, bounds, counted):
                return list(rows)
    return []


SHARES = st.sampled_from(["0", "0.1", "0.25", "0.3", "0.3333", "0.5", "0.6", "0.75", "1"]).map(Fraction)
BOUNDS = st.tuples(SHARES, SHARES).map(lambda pair: Bound("b", min(pair), max(pair)))


@st.composite
def problems(draw):
    n_rows = draw(st.integers(1, 9))
    bounds = draw(st.lists(BOUNDS, min_size=1, max_size=3))
    counted = [draw(st.lists(st.booleans(), min_size=n_rows, max_size=n_rows)) for _ in bounds]
    return n_rows, bounds, counted, draw(st.integers(1, 10))


@settings(deadline=None, max_examples=150)
@given(problems())
def test_the_choice_is_the_best_of_all_subsets(problem):
    n_rows, bounds, counted, limit = problem
    assert choose_rows(group_rows(counted, n_rows), bounds, limit) == search_all(n_rows, bounds, counted, limit)


def test_without_bounds_the_first_rows_are_chosen():
    assert choose_rows(group_rows([], 5), [], 3) == [0, 1, 2]


def test_a_share_is_the_number_that_is_written():
    assert as_fraction(0.3) == Fraction(3, 10)
    counted = [[True] * 3 + [False] * 7]
    assert len(choose_rows(group_rows(counted, 10), [Bound("b", as_fraction(0.3), as_fraction(0.3))], 10)) == 10


def test_a_share_that_few_numbers_of_rows_can_keep():
    """Exactly 0.3333 can be kept by no fewer than 10,000 rows; one more row of the other kind is left out."""
    counted = [[True] * 3333 + [False] * 6668]
    share = as_fraction(0.3333)
    chosen = choose_rows(group_rows(counted, 10_001), [Bound("b", share, share)], 20_000)
    assert chosen == list(range(10_000))


def test_more_rows_than_a_share_allows_leave_in_the_order_of_preference():
    counted = [[row % 3 != 0 for row in range(90)]]
    chosen = choose_rows(group_rows(counted, 90), [Bound("b", Fraction(0), Fraction(1, 2))], 90)
    of_share = [row for row in chosen if row % 3]
    assert len(chosen) == 60
    assert of_share == [row for row in range(90) if row % 3][:30]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 400))
def test_tokens_cut_the_end_and_pass_nothing_over(tokens, budget):
    chosen = fit_tokens(lambda n: list(range(n)), tokens, len(tokens), budget)
    assert chosen == list(range(len(chosen)))
    assert sum(tokens[: len(chosen)]) <= budget
    assert len(chosen) == len(tokens) or sum(tokens[: len(chosen) + 1]) > budget


def test_what_cannot_be_kept_is_refused_with_its_numbers():
    cells = group_rows([[True, False, False], [False, False, False]], 3)
    bounds = [Bound("teacher a", Fraction(0), Fraction(1, 5)), Bound("difficulty hard", Fraction(1, 2), Fraction(1))]
    assert choose_rows(cells, bounds, 3) == []
    with pytest.raises(SelectionError, match=r"teacher a: 0 to 0\.2, 1 of 3 rows; difficulty hard: 0\.5 to 1, 0 of 3 rows"):
        refuse_nothing(cells, bounds, 3)
