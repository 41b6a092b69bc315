"""Each right answer passes and each wrong one fails with its reason; what nobody can know is unscored."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from distill_assets.verifiers.python.extract import extract_program
from distill_assets.verifiers.python.gold import read_gold
from distill_assets.verifiers.python.verify import PythonVerifier
from distill_assets.verifiers.registry import get_verifier
from distill_assets.verifiers.sandbox.box import Sandbox
from tests.verifiers.sandboxes import SHORT, TIERS

RIGHT = "def add(a, b):\n    return a + b\n"
CASES = json.dumps(
    {"entry": "add", "cases": [{"args": [1, 2], "expected": 3}, {"args": ["a"], "kwargs": {"b": "b"}, "expected": "ab"}]}
)
TESTS = json.dumps(
    {
        "entry": "add",
        "tests": "def check(candidate):\n    got = candidate(1, 2)\n    assert got == 3\n    assert candidate('a', b='b') == 'ab'\n",
    }
)
PLAIN = "assert add(1, 2) == 3\nassert add('a', b='b') == 'ab'\n"


@pytest.fixture(scope="module", params=TIERS)
def verifier(request: pytest.FixtureRequest) -> Iterator[PythonVerifier]:
    with Sandbox(SHORT, at_most=request.param) as sandbox:
        yield get_verifier("python")(sandbox)


@pytest.mark.parametrize("gold", [CASES, TESTS, PLAIN, None])
def test_right_answer_passes(verifier: PythonVerifier, gold: str | None) -> None:
    for answer in (RIGHT, f"So:\n```python\n{RIGHT}```\nas asked.", f"```\nprint('no')\n```\n~~~py\n{RIGHT}~~~"):
        verdict = verifier.verify(answer, gold)
        assert (verdict.status, verdict.score) == ("passed", 1.0), verdict
        json.dumps(verdict.evidence)


@pytest.mark.parametrize("gold", [CASES, TESTS])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("def add(a, b):\n    return a - b if type(a) is int else a + b", "wrong answer"),
        ("def add(a, b):\n    return (", "syntax error"),
        ("def sub(a, b):\n    return a - b", "missing"),
        ("add = 3", "missing"),
        ("def add(a, b):\n    raise KeyError(a)", "raised"),
        ("1 / 0", "raised"),
        ("def add(a, b):\n    while True: pass", "timeout"),
        ("import time\ntime.sleep(100)", "timeout"),
        ("def add(a, b):\n    return bytearray(2 << 30)", None),
        ("x = bytearray(2 << 30)", "memory"),
        ("def add(a, b):\n    import ctypes; ctypes.string_at(0)", "crashed"),
        ("while True: print('x' * 1000)", "flood"),
        ("def add(a, b):\n    return lambda: 3", "wrong answer"),
        ("def add(a, b):\n    return 'x' * (20 << 20)", None),
        ("", "missing"),
    ],
)
def test_wrong_answer_fails_with_its_reason(verifier: PythonVerifier, gold: str, answer: str, kind: str | None) -> None:
    verdict = verifier.verify(answer, gold)
    assert (verdict.status, verdict.score) == ("failed", 0.0) and verdict.reason
    assert kind is None or verdict.evidence["kind"] == kind, verdict
    assert verifier.verify(RIGHT, gold).status == "passed"


def test_first_differing_case_is_the_evidence(verifier: PythonVerifier) -> None:
    verdict = verifier.verify("def add(a, b):\n    return 3", CASES)
    assert verdict.evidence == {"kind": "wrong answer", "case": 1, "args": "['a']", "expected": "'ab'", "found": "3"}


@pytest.mark.parametrize(
    ("returned", "expected", "agrees"),
    [
        ("(1, 2)", [1, 2], True),
        ("[1, 2]", {"$tuple": [1, 2]}, False),
        ("(1, {2})", {"$tuple": [1, {"$set": [2]}]}, True),
        ("{1, 2}", [1, 2], False),
        ("{1: 'a'}", {"$dict": [[1, "a"]]}, True),
        ("{'1': 'a'}", {"$dict": [[1, "a"]]}, False),
        ("float('nan')", {"$float": "nan"}, True),
        ("float('inf')", {"$float": "-inf"}, False),
        ("0.1 + 0.2", 0.3, False),
        ("2 ** 5000", {"$int": hex(2**5000)}, True),
        ("1j", {"$complex": [0.0, 1.0]}, True),
        ("b'ab'", {"$bytes": "6162"}, True),
        ("__import__('decimal').Decimal('0.10')", {"$decimal": "0.1"}, True),
        ("__import__('collections').Counter('aab')", {"a": 2, "b": 1}, True),
        ("__import__('datetime').date(2024, 1, 2)", {"$date": "2024-01-02"}, True),
        ("object()", None, False),
        ("None", None, True),
        ("iter([1])", [1], False),
    ],
)
def test_values_are_told_apart(verifier: PythonVerifier, returned: str, expected: object, agrees: bool) -> None:
    gold = json.dumps({"entry": "f", "cases": [{"expected": expected}]})
    assert verifier.verify(f"def f():\n    return {returned}", gold).status == ("passed" if agrees else "failed")


def test_tolerance_and_expected_exception(verifier: PythonVerifier) -> None:
    gold = json.dumps({"entry": "f", "cases": [{"args": [3], "expected": 0.3}], "tolerance": 1e-9})
    assert verifier.verify("def f(n):\n    return 0.1 * n", gold).status == "passed"
    gold = json.dumps({"entry": "f", "cases": [{"args": [0], "raises": "ZeroDivisionError"}]})
    assert verifier.verify("def f(n):\n    return 1 / n", gold).status == "passed"
    assert verifier.verify("def f(n):\n    return 1", gold).status == "failed"


def test_tests_can_expect_an_exception_and_read_an_iterator(verifier: PythonVerifier) -> None:
    tests = (
        "def check(c):\n    try:\n        c(-1)\n    except ValueError as e:\n        assert str(e) == 'negative'\n"
        "    else:\n        assert False\n    assert list(c(3)) == [0, 1, 2]\n"
    )
    gold = json.dumps({"entry": "up", "tests": tests})
    answer = (
        "class Negative(ValueError): pass\ndef up(n):\n    if n < 0:\n        raise Negative('negative')\n"
        "    return (i for i in range(n))"
    )
    assert verifier.verify(answer, gold).status == "passed"
    assert verifier.verify(answer.replace("Negative('neg", "KeyError('neg"), gold).status == "failed"


def test_each_call_gets_arguments_of_its_own(verifier: PythonVerifier) -> None:
    tests = (
        "def check(c):\n    xs = [2, 1]\n    assert c(xs) == [2, 1, 9]\n    assert xs == [2, 1]\n    assert c(xs) == [2, 1, 9]\n"
    )
    assert (
        verifier.verify("def f(xs):\n    xs.append(9)\n    return xs", json.dumps({"entry": "f", "tests": tests})).status
        == "passed"
    )


def test_program_is_judged_by_its_output(verifier: PythonVerifier) -> None:
    gold = json.dumps({"cases": [{"stdin": "2 3\n", "stdout": "5\n"}, {"stdin": "4 4", "stdout": "8"}]})
    assert verifier.verify("a, b = map(int, input().split())\nprint(a + b)  ", gold).status == "passed"
    verdict = verifier.verify("input()\nprint(5)", gold)
    assert verdict.evidence["kind"] == "wrong answer" and verdict.evidence["case"] == 1
    assert verifier.verify("a, b = map(int, input().split())\nprint(a + b)\nraise SystemExit(1)", gold).status == "failed"


@pytest.mark.parametrize(
    "gold",
    [
        "[1, 2]",
        "{}",
        '{"entry": "add", "cases": []}',
        '{"entry": "add", "cases": [{"args": 3, "expected": 1}]}',
        '{"entry": "add; import os", "cases": [{"expected": 1}]}',
        '{"entry": "add", "cases": [{"expected": {"$no": 1}}]}',
        '{"entry": "add", "tests": "def check(c):\\n    pass"}',
        '{"entry": "add", "tests": "def check(c:"}',
        '{"entry": "add", "tests": "def check(c):\\n    c(lambda: 1, 2)"}',
        "this is neither",
    ],
)
def test_gold_that_cannot_be_used_is_unscored(verifier: PythonVerifier, gold: str) -> None:
    verdict = verifier.verify(RIGHT, gold)
    assert (verdict.status, verdict.score) == ("unscored", None) and "gold" in verdict.reason


def test_failing_sandbox_is_unscored() -> None:
    verdict = PythonVerifier(Sandbox(SHORT)).verify(RIGHT, CASES)
    assert (verdict.status, verdict.score) == ("unscored", None) and "sandbox" in verdict.reason


def test_reasons_carry_no_control_characters(verifier: PythonVerifier) -> None:
    answer = "class E(Exception): pass\nE.__name__ = '\\x1b[2J' * 99\ndef add(a, b):\n    raise E('\\x1b]0;owned\\x07\\n' * 99)"
    for gold in (CASES, TESTS):
        verdict = verifier.verify(answer, gold)
        assert verdict.status == "failed" and verdict.reason.isprintable() and len(verdict.reason) <= 300


def test_program_is_found_in_its_answer() -> None:
    several = (
        "```python\ndef other(): pass\n```\n```python\ndef f(): return 1\n```\n```sh\nls -la --long-line-of-words-in-a-shell\n```"
    )
    assert extract_program(several, "f") == "def f(): return 1\n"
    assert extract_program("```python\nx = 1") == "x = 1"
    assert extract_program("x = 1") == "x = 1"


LITERAL = "METADATA = {'author': 'x'}\ndef check(candidate):\n    assert candidate(1, [2]) == (1, 2)\n    assert candidate(-1, b=[]) == (-1, None), 'empty'\n"


def test_tests_of_literals_alone_are_run_as_calls_with_the_same_verdict(verifier: PythonVerifier) -> None:
    gold = json.dumps({"entry": "f", "tests": LITERAL})
    assert len(read_gold(gold).calls) == 2
    assert read_gold("assert f(1) == 2\nassert f(2) == 4").calls[1].expected == 4
    right = "def f(a, b):\n    return (a, b[0] if b else None)"
    assert verifier.verify(right, gold).status == "passed"
    for wrong in (right.replace("return (", "return list((").replace("None)", "None))"), "def f(a, b):\n    return (1, 2)"):
        assert verifier.verify(wrong, gold).evidence["kind"] == "wrong answer"


@pytest.mark.parametrize(
    "tests",
    [
        "def check(c):\n    x = 1\n    assert c(x) == 2",
        "def check(c):\n    assert c(1) == 2 and c(2) == 4",
        "def check(c):\n    assert c(1) != 2",
        "def check(c):\n    assert c(1) == c(2)",
        "def check(c):\n    for n in range(3):\n        assert c(n) == n",
        "import math\nassert f(1) == 2",
        "def helper():\n    pass\nassert f(1) == 2",
        "assert g(1) == 2\nassert f(1) == 2",
    ],
)
def test_other_tests_are_run_as_they_are(tests: str) -> None:
    gold = read_gold(json.dumps({"entry": "f", "tests": tests}))
    assert gold.tests == tests and gold.calls == ()
