"""Numbers are the same however they are written."""

from __future__ import annotations

import pytest

from distill_assets.curate.numbers import list_numbers, share_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("She paid $1,500.00 for 3 tickets", {"1500", "3"}),
        ("three of 007", {"3", "7"}),
        ("Twice the half of a dozen", {"2", "0.5", "12"}),
        ("0.50 and .5 and 10", {"0.5", "5", "10"}),
        ("３ boxes", {"3"}),
        ("someone often, tens of them", set()),
        ("", set()),
        ("1,2,3", {"1", "2", "3"}),
    ],
)
def test_numbers_of_a_text(text: str, numbers: set[str]):
    assert list_numbers(text) == numbers


def test_shares():
    assert share_numbers(frozenset("12"), frozenset("12")) == 1
    assert share_numbers(frozenset("12"), frozenset("23")) == 1 / 3
    assert share_numbers(frozenset(), frozenset()) == 0
