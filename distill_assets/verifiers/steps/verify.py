"""The verdict on a reasoning: each step that can be checked, and the first one that is wrong.

Belongs here: the states of steps and what follows from them. Does not belong here: wordings (claims), sums
(arithmetic), reading queries (facts).

A right answer from a wrong derivation teaches the derivation. A reasoning fails when one step is wrong, passes when at
least one was checked and none is wrong, and is unscored when nothing could be checked: unknown words prove nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from distill_assets.verifiers.registry import Verdict
from distill_assets.verifiers.sql.execution import QueryResult, SqlRunner
from distill_assets.verifiers.steps.arithmetic import check_equations
from distill_assets.verifiers.steps.claims import Finding, Reader, check_claims, list_stated
from distill_assets.verifiers.steps.facts import Facts, read_query
from distill_assets.verifiers.steps.split import Step, split_steps

MAX_QUERIES = 8
MAX_EVIDENCE_STEPS = 50
_RESULT = re.compile(
    r"\A\W{0,6}(?:(?:which|this|that|it)?\s*(?:gives?|returns?|yields?|results? in|shows?|finds?|evaluates to|is|=|→|->|=>|⇒)\s*)+"
    r"(?P<value>no rows|nothing|'[^'\n]{0,80}'|-?\d[\d,]*(?:\.\d+)?)(?P<rows>\s*(?:rows?|results?|records?)\b)?",
    re.IGNORECASE,
)


class Checked(NamedTuple):
    """One step: right, wrong or unchecked, with what was found."""

    text: str
    state: str
    findings: tuple[Finding, ...]


def verify_steps(
    trace: str, answer: str, runner: SqlRunner | None, instance: str | None, dialect: str | None = "duckdb"
) -> Verdict:
    """Check a reasoning against itself and against the answer that it leads to.

    Args:
        answer: an SQL query, or a short answer where `dialect` is None.
        runner, instance: where queries in the reasoning are run; None runs none.
        dialect: sqlglot's name of the answer's SQL dialect; None when the answer is no SQL.

    Returns:
        Passed, failed with the first wrong step, or unscored when nothing was checkable. Evidence lists each step.
    """
    steps = split_steps(trace)
    facts = read_query(answer, dialect) if dialect else None
    if dialect and facts is None:
        return Verdict("unscored", None, "the answer is no SQL that can be read, so its reasoning is not checked", {"steps": []})
    checked = _check_steps(steps, facts, dialect, _Runs(runner, instance, answer))
    if dialect is None:
        checked += _check_arrival(trace, answer, checked)
    evidence: dict[str, object] = {"steps": [_describe(step) for step in checked[:MAX_EVIDENCE_STEPS]]}
    for number, step in enumerate(checked, 1):
        if step.state == "wrong":
            wrong = next(finding for finding in step.findings if finding.problem)
            return Verdict("failed", 0.0, f"step {number} says {wrong.claim[:80]!r}, but {wrong.problem}", evidence)
    n_right = sum(step.state == "right" for step in checked)
    if not n_right:
        return Verdict("unscored", None, f"none of {len(checked)} steps can be checked", evidence)
    return Verdict("passed", 1.0, f"{n_right} of {len(checked)} steps checked, none is wrong", evidence)


class _Runs(NamedTuple):
    """Where queries of a reasoning are run; the answer itself is not one of them."""

    runner: SqlRunner | None
    instance: str | None
    answer: str


def _check_steps(steps: list[Step], facts: Facts | None, dialect: str | None, runs: _Runs) -> list[Checked]:
    reader = None
    if facts is not None:
        reader = Reader(facts, str(dialect))
        reader = reader._replace(stated=tuple(condition for step in steps for condition in list_stated(step.prose, reader)))
    checked = []
    left = MAX_QUERIES
    for step in steps:
        findings = [
            Finding(equation.text, None if equation.is_right else "that does not hold") for equation in check_equations(step.prose)
        ]
        if reader is not None:
            findings += check_claims(step.prose, reader)
        for query, after in step.queries[:left]:
            findings += _check_query(query, after, runs)
        left -= min(left, len(step.queries))
        state = "wrong" if any(finding.problem for finding in findings) else "right" if findings else "unchecked"
        checked.append(Checked(step.text, state, tuple(findings)))
    return checked


def _check_query(query: str, after: str, runs: _Runs) -> list[Finding]:
    """Run a query of the reasoning where a result is said of it."""
    said = _RESULT.match(" ".join(after.split()))
    if said is None or runs.runner is None or runs.instance is None:
        return []
    found = runs.runner.run(runs.instance, query)
    words = f"{query[:60]} {said[0].strip()[:40]}"
    if found.failure:
        return [Finding(words, f"that query fails: {found.failure}")]
    return [Finding(words, _find_other_result(said, found))]


def _find_other_result(said: re.Match[str], found: QueryResult) -> str | None:
    value = said["value"].strip("'")
    if value.lower() in ("no rows", "nothing"):
        return f"it gives {len(found.rows)} rows" if found.rows else None
    if said["rows"]:
        return None if value.replace(",", "") == str(len(found.rows)) else f"it gives {len(found.rows)} rows"
    if len(found.rows) != 1 or len(found.columns) != 1:
        return f"it gives {len(found.rows)} rows of {len(found.columns)} columns"
    cell = found.rows[0][0]
    return None if _is_said(value, cell) else f"it gives {str(cell)[:60]!r}"


def _is_said(value: str, cell: object) -> bool:
    """Whether a cell is what was said of it; a number may be rounded to the decimals that were said."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        try:
            said = float(value.replace(",", ""))
        except ValueError:
            return False
        return abs(said - cell) <= 10.0 ** -len(value.partition(".")[2]) * (1 if "." in value else 0) + 1e-9 * abs(cell)
    return str(cell).strip().casefold() == value.strip().casefold()


def _check_arrival(trace: str, answer: str, checked: list[Checked]) -> list[Checked]:
    """A reasoning that calculates arrives at the answer: the answer's number stands in it somewhere."""
    from decimal import Decimal

    from distill_assets.verifiers.values.numbers import are_equal, read_quantities
    from distill_assets.verifiers.values.numeric import find_answer

    final = find_answer(answer)
    if final is None or not any(step.findings for step in checked):
        return []
    decimals = max(0, -int(final.value.as_tuple().exponent))
    slack = Decimal(1).scaleb(-decimals) if decimals else Decimal("1e-9")
    is_there = any(
        are_equal(final._replace(unit=""), said._replace(unit=""), Decimal("1e-9"), slack) for said in read_quantities(trace)
    )
    problem = None if is_there else "the reasoning never arrives at it"
    return [Checked(answer, "right" if is_there else "wrong", (Finding(f"the answer is {answer.strip()[:40]}", problem),))]


def _describe(step: Checked) -> dict[str, object]:
    found = [{"claim": finding.claim, "problem": finding.problem} for finding in step.findings[:20]]
    return {"text": step.text[:200], "state": step.state, "findings": found}
