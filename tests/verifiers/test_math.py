"""Expressions by what they mean, and hostile ones that neither hang nor run away."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from distill_assets.verifiers.math.verify import MathVerifier
from distill_assets.verifiers.registry import get_verifier


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathVerifier]:
    with get_verifier("math")(timeout_s=4.0) as verifier:
        verifier.verify("1", "1")
        yield verifier


@pytest.mark.parametrize(
    ("answer", "gold", "status"),
    [
        (r"$\frac12$", "0.5", "passed"), ("(x+1)^2", "x^2+2x+1", "passed"), ("x^2 + 2*x + 1", "(x+1)**2", "passed"),
        ("2*sqrt(2)", "sqrt(8)", "passed"), ("The answer is 1/2.", r"\frac{1}{2}", "passed"), ("x = 3", "3", "passed"),
        ("sin(x)^2+cos(x)^2", "1", "passed"), ("pi/2", r"\frac{\pi}{2}", "passed"), (r"\boxed{\{1,2\}}", r"\{2,1\}", "passed"),
        ("2^3^2", "512", "passed"), ("first 3\nthen $4$", "4", "passed"),
        ("4", "5", "failed"), (r"\boxed{x+1}", "x-1", "failed"), ("", "5", "failed"), ("I do not know", "5", "failed"),
        ("5", "???", "unscored"), ("5", "", "unscored"), ("5", None, "unscored"), ("5", "1" * 5_000, "unscored"),
    ],
)  # fmt: skip
def test_verdict(verifier: MathVerifier, answer: str, gold: str | None, status: str):
    verdict = verifier.verify(answer, gold)
    assert verdict.status == status and verdict.score == {"passed": 1.0, "failed": 0.0, "unscored": None}[status] and verdict.reason


@pytest.mark.parametrize(
    "answer", ["9**9**9", r"\boxed{9^{9^{9}}}", "(1000000)!", r"$\prod_{n=1}^{10^9} n$", "$" + "(" * 3_000, "\\boxed{" * 400]
)
def test_what_needs_too_much_passes_for_nothing_and_the_next_answer_is_judged(verifier: MathVerifier, answer: str):
    assert verifier.verify(answer, "3").status in ("unscored", "failed")
    assert verifier.verify("6/2", "3").status == "passed"


def test_a_gold_that_needs_too_much_is_unscored(verifier: MathVerifier):
    assert verifier.verify("3", r"\boxed{(10^7)!}").status == "unscored"
    assert verifier.verify("6/2", "3").status == "passed"


def test_a_child_that_is_killed_is_started_again(verifier: MathVerifier):
    verifier.verify("1", "1")
    os.kill(verifier._child.pid, signal.SIGKILL)
    verifier._child.wait()
    assert verifier.verify("6/2", "3").status == "passed"
    child = verifier._child
    verifier.close()
    assert child.poll() is not None
