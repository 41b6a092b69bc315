"""The verdicts table: every judge's opinion on every generation, row by row reused where nothing changed.

Belongs here: which judges there are, their versions, and running them. Does not belong here: the rules
(heuristics), running queries (verifiers) or what follows (settle).

The seam for more judges: a judge is a name with version and a function from one generation to findings.
Critics come in as further entries of `JUDGES` in an order that ends with the dearest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import polars as pl

from distill_assets.identity import make_id
from distill_assets.judge.heuristics import Generation, apply_rules
from distill_assets.judging import HeuristicsSpec, JudgeSpec
from distill_assets.tables import VERDICTS, build_frame
from distill_assets.verifiers.registry import Verifier

HEURISTICS = "heuristics@4"
SQL_EXECUTION = "sql_execution@1"
ANSWERED = "answered"


class Finding(NamedTuple):
    """One criterion's outcome; `score` is None when unscored."""

    judge: str
    criterion: str
    status: str
    score: float | None
    reason: str | None


class Judged(NamedTuple):
    """The verdicts table and how many generations were judged anew."""

    frame: pl.DataFrame
    n_judged: int


def judge_generations(
    generations: pl.DataFrame,
    spec: JudgeSpec,
    verifiers: Mapping[str, Verifier],
    instance_ids: Mapping[str, str],
    previous: pl.DataFrame | None,
    on_progress: Callable[[int, int], None],
) -> Judged:
    """Judge each generation, or take its verdicts from `previous` when all that decides them is equal.

    Args:
        verifiers: database -> verifier. instance_ids: database -> content id of its instances.
    """
    known = _group_previous(previous)
    rows: list[dict[str, object]] = []
    n_judged = 0
    for done, row in enumerate(generations.iter_rows(named=True), start=1):
        key = name_judgement(row, spec, instance_ids[row["database"]])
        if (reused := known.get(key)) is not None:
            rows += [verdict | {"generation_id": row["generation_id"]} for verdict in reused]
        else:
            n_judged += 1
            rows += [_build_row(row, key, finding) for finding in judge(row, spec, verifiers[row["database"]])]
        if done % 500 == 0 or done == generations.height:
            on_progress(done, generations.height)
    return Judged(build_frame(VERDICTS, rows), n_judged)


def name_judgement(row: Mapping[str, object], spec: JudgeSpec, instance_id: str) -> str:
    """Content id of all that decides a generation's verdicts."""
    text = [row[name] for name in ("generation_status", "question", "trace", "completion", "finish_reason")]
    return make_id("judge", HEURISTICS, SQL_EXECUTION, spec.identity(), instance_id, text)


def _group_previous(previous: pl.DataFrame | None) -> dict[str, list[dict[str, object]]]:
    known: dict[str, list[dict[str, object]]] = {}
    seen: dict[str, str] = {}
    for row in previous.iter_rows(named=True) if previous is not None else ():
        # Two equal generations share a key; keep the verdicts of one.
        if seen.setdefault(row["judge_key"], row["generation_id"]) == row["generation_id"]:
            known.setdefault(row["judge_key"], []).append(row)
    return known


def judge(row: Mapping[str, object], spec: JudgeSpec, verifier: Verifier) -> list[Finding]:
    """Return all findings on one generation."""
    status = str(row["generation_status"])
    if status == "error":
        return [Finding(HEURISTICS, ANSWERED, "unscored", None, "the request ended in an error")]
    if status != "ok":
        return [Finding(HEURISTICS, ANSWERED, "failed", 0.0, f"the reply is {status}")]
    question, trace, answer = (str(row[name] or "") for name in ("question", "trace", "completion"))
    generation = Generation(question, trace, answer, row["finish_reason"] and str(row["finish_reason"]))
    return [*_apply_rules(generation, spec.heuristics), _execute(answer, verifier)]


def _apply_rules(generation: Generation, spec: HeuristicsSpec) -> list[Finding]:
    findings = [Finding(HEURISTICS, ANSWERED, "passed", 1.0, None)]
    for name, problem in apply_rules(generation, spec):
        findings.append(Finding(HEURISTICS, name, "failed" if problem else "passed", 0.0 if problem else 1.0, problem))
    return findings


def _execute(sql: str, verifier: Verifier) -> Finding:
    verdict = verifier.verify(sql, None)
    reason = None if verdict.status == "passed" else str(verdict.reason)
    return Finding(SQL_EXECUTION, "executes", verdict.status, verdict.score, reason)


def _build_row(row: Mapping[str, object], key: str, finding: Finding) -> dict[str, object]:
    return {
        "generation_id": row["generation_id"],
        "judge": finding.judge,
        "criterion": finding.criterion,
        "verdict_status": finding.status,
        "score": finding.score,
        "reason": finding.reason,
        "judge_key": key,
    }


def count_rejects(verdicts: pl.DataFrame) -> pl.DataFrame:
    """How often each criterion failed or could not judge: judge, criterion, n, n_failed, n_unscored."""
    return (
        verdicts.group_by("judge", "criterion")
        .agg(
            pl.len().alias("n"),
            (pl.col("verdict_status") == "failed").sum().alias("n_failed"),
            (pl.col("verdict_status") == "unscored").sum().alias("n_unscored"),
        )
        .sort("judge", "criterion")
    )
