"""Intervals and tests against published values and scipy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from distill_assets.evaluate.statistics import mcnemar
from distill_assets.intervals import wilson


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_wilson(counts: tuple[int, int]) -> None:
    k, n = counts
    found = wilson(k, n)
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_no_item_has_no_accuracy() -> None:
    assert wilson(0, 0).frac is None


def test_more_right_answers_than_items_is_refused() -> None:
    with pytest.raises(ValueError, match="k = 3 of n = 2"):
        wilson(3, 2)


def test_mcnemar_counts_discordant_pairs_alone() -> None:
    first = [True] * 12 + [False] * 3 + [True] * 40 + [False] * 9
    second = [False] * 12 + [True] * 3 + [True] * 40 + [False] * 9
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (12, 3)
    assert found.p_value == pytest.approx(0.03515625)  # 2 * P(X <= 3), X binomial(15, 1/2)


def test_two_models_that_agree_do_not_differ() -> None:
    assert mcnemar([True, False], [True, False]).p_value == 1.0


def test_unpaired_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="not pairs"):
        mcnemar([True], [True, False])
