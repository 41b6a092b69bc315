"""Numbers as people and models write them, and when two are the same."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.verifiers.registry import STATUSES, get_verifier
from distill_assets.verifiers.values.numbers import read_quantities, read_quantity

VERIFIER = get_verifier("numeric")()


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("The total is 1,234.50 dollars.", "$1234.5"), (r"so \boxed{\frac{3}{4}} of it, not 8", "0.75"), ("1{,}234", "1234"),
        ("45%", "0.45"), ("45", "45%"), (r"45\%", "45 percent"), (r"1.2 \times 10^{3}", "1200"), ("1.2e3", "1200"), ("1.2 × 10^-2", "0.012"),
        ("it takes 1 1/2 hours", "1.5"), ("2/3", "0.666666666667"), ("5 km", "5000 m"), ("90 minutes", "1.5 h"), ("5 km", "5"),
        ("3.5 million", "3500000"), ("The answer is 12 (see step 3).", "12"), ("3 + 4 = 7 \n#### 7", "7"), ("−5", "-5"),
        ("from 10-5", "5"), ("answer: 3 + 4 = 7", "7"), ("The answer is 1,000.", "1000"), ("x = - 2", "-2"), (".5", "1/2"),
        ("The final answer is $\\$18$", "18"), ("we get 3, so the answer is 4. That took 2 steps.", "4"), ("0.1", "1e-1"),
    ],
)  # fmt: skip
def test_equal_numbers(answer: str, gold: str):
    verdict = VERIFIER.verify(answer, gold)
    assert verdict.status == "passed" and verdict.evidence["found"] and verdict.evidence["expected"]


@pytest.mark.parametrize(
    ("answer", "gold", "reason"),
    [
        ("", "3", "no number"), ("none", "3", "no number"), ("4", "3", "4 is not 3"), ("-3", "3", "-3 is not 3"),
        ("5 €", "$5", "eur"), ("5 km", "5 kg", "km"), ("5 km", "50 m", "km"), ("1/0", "1", "no number"), ("3.001", "3", "not 3"),
        ("1e400", "3", "not 3"), (r"\boxed{4} or 3", "3", "4 is not 3"), (r"\boxed{x}", "3", "no number"),
    ],
)  # fmt: skip
def test_other_numbers(answer: str, gold: str, reason: str):
    verdict = VERIFIER.verify(answer, gold)
    assert (verdict.status, verdict.score) == ("failed", 0.0)
    assert reason in verdict.reason or "no number" in verdict.reason


@pytest.mark.parametrize(("answer", "gold"), [("3", "none"), ("3", ""), ("3", None), ("3", "9" * 5000)])
def test_without_a_readable_gold_nothing_is_scored(answer: str, gold: str | None):
    assert VERIFIER.verify(answer, gold).status == "unscored"


def test_tolerances():
    assert get_verifier("numeric")(relative_tolerance=0.01).verify("3.33", "3.3333").status == "passed"
    assert get_verifier("numeric")(absolute_tolerance=0.5).verify("0.4", "0").status == "passed"
    assert VERIFIER.verify("3.33", "3.3333").status == "failed"
    assert VERIFIER.verify("12345678901234567890", "12345678901234567891").status == "passed"
    assert get_verifier("numeric")(relative_tolerance=0).verify("12345678901234567890", "12345678901234567891").status == "failed"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_a_number_is_read_as_it_is_written(value: Decimal):
    for text in (f"{value:f}", f"{value:,f}"):
        assert read_quantity(f"It is {text}").value == value


@given(st.text(alphabet="0123456789.,-+/%$eE xfrac{}\\^km \n−×"), st.text())
def test_no_text_breaks_it(text: str, other: str):
    assert VERIFIER.verify(text, other).status in STATUSES and VERIFIER.verify(other, text).status in STATUSES


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "1/", "1,", "-", "- ", "$", "1 1/", "\\frac{1", "\\boxed{", "1e", "the answer is ", "=", "1×10^"]
)
def test_long_hostile_texts_end_soon(piece: str):
    text = piece * (100_000 // len(piece))
    assert VERIFIER.verify(text, "3").status in STATUSES
    assert isinstance(read_quantities(text), list)
