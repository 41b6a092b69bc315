"""Verdicts that need no model: rules, execution and steps of the reasoning, row by row reused where nothing changed.

Belongs here: which such judges there are, their versions, and running them. Does not belong here: the rules
(heuristics), running queries (verifiers), models that judge (critics) or what follows (settle).

The seam for more judges: a `Layer` is a name with version, what decides its findings beside a generation's text, and a
function from one generation to findings. Each layer reuses its own earlier rows: a changed bound of a rule runs no query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from distill_assets.identity import make_id
from distill_assets.judge.findings import Finding, build_row
from distill_assets.judge.heuristics import Generation, apply_rules
from distill_assets.judging import HeuristicsSpec, JudgeSpec
from distill_assets.tables import ANSWERED
from distill_assets.verifiers.registry import Verifier
from distill_assets.verifiers.sql.execution import SqlRunner
from distill_assets.verifiers.steps.verify import verify_steps

HEURISTICS = "heuristics@6"
SQL_EXECUTION = "sql_execution@2"
STEPS = "steps@1"
DERIVATION = "derivation"
TEXTS = ("generation_status", "finish_reason", "question", "trace", "completion")

Row = Mapping[str, object]


class Layer(NamedTuple):
    """A judge: its name with version, the literals that decide its findings, and the function that finds."""

    judge: str
    decides: Callable[[Row], object]
    find: Callable[[Row], list[Finding]]


class Judged(NamedTuple):
    """Rows of the verdicts table, and how many generations each judge looked at anew."""

    rows: list[dict[str, object]]
    n_judged: dict[str, int]


def build_layers(
    spec: JudgeSpec, verifiers: Mapping[str, Verifier], instance_ids: Mapping[str, str], runner: SqlRunner
) -> list[Layer]:
    """The judges in the order of their cost.

    Args:
        verifiers: database -> verifier. instance_ids: database -> content id of its instances. runner: runs the queries that
        stand in a reasoning, on instance 0 of its database.
    """
    rules = spec.heuristics.identity()
    return [
        Layer(HEURISTICS, lambda row: rules, lambda row: judge_text(row, spec.heuristics)),
        Layer(
            SQL_EXECUTION,
            lambda row: [spec.query_timeout_s, instance_ids[str(row["database"])]],
            lambda row: _execute(row, verifiers[str(row["database"])]),
        ),
        Layer(
            STEPS,
            lambda row: [spec.shortcut, instance_ids[str(row["database"])]],
            lambda row: _check_steps(row, runner, spec.shortcut == "reject"),
        ),
    ]


def judge_generations(
    generations: pl.DataFrame,
    layers: Sequence[Layer],
    previous: pl.DataFrame | None,
    on_progress: Callable[[int, int], None],
) -> Judged:
    """Judge each generation, or take a layer's verdicts from `previous` when all that decides them is equal."""
    known = _group_previous(previous)
    rows: list[dict[str, object]] = []
    n_judged = dict.fromkeys((layer.judge for layer in layers), 0)
    for done, row in enumerate(generations.iter_rows(named=True), start=1):
        for layer in layers:
            key = name_judgement(row, layer)
            if (reused := known.get(key)) is not None:
                rows += [verdict | {"generation_id": row["generation_id"]} for verdict in reused]
            else:
                n_judged[layer.judge] += 1
                rows += [build_row(str(row["generation_id"]), key, finding) for finding in layer.find(row)]
        if done % 500 == 0 or done == generations.height:
            on_progress(done, generations.height)
    return Judged(rows, n_judged)


def name_judgement(row: Row, layer: Layer) -> str:
    """Content id of all that decides a layer's verdicts on a generation."""
    return make_id("judge", layer.judge, layer.decides(row), [row[name] for name in TEXTS])


def _group_previous(previous: pl.DataFrame | None) -> dict[str, list[dict[str, object]]]:
    known: dict[str, list[dict[str, object]]] = {}
    seen: dict[str, str] = {}
    for row in previous.iter_rows(named=True) if previous is not None else ():
        # Two equal generations share a key; keep the verdicts of one.
        if seen.setdefault(row["judge_key"], row["generation_id"]) == row["generation_id"]:
            known.setdefault(row["judge_key"], []).append(row)
    return known


def judge_text(row: Row, spec: HeuristicsSpec) -> list[Finding]:
    """Whether there is an answer, and what the rules say of it."""
    status = str(row["generation_status"])
    if status == "error":
        return [Finding("heuristic", HEURISTICS, ANSWERED, "unscored", None, "the request ended in an error")]
    if status != "ok":
        return [Finding("heuristic", HEURISTICS, ANSWERED, "failed", 0.0, f"the reply is {status}")]
    question, trace, answer = (str(row[name] or "") for name in ("question", "trace", "completion"))
    generation = Generation(question, trace, answer, str(row["finish_reason"]) if row["finish_reason"] else None)
    findings = [Finding("heuristic", HEURISTICS, ANSWERED, "passed", 1.0)]
    for name, problem in apply_rules(generation, spec):
        status, score = ("failed", 0.0) if problem else ("passed", 1.0)
        findings.append(Finding("heuristic", HEURISTICS, name, status, score, problem))
    return findings


def _execute(row: Row, verifier: Verifier) -> list[Finding]:
    if row["generation_status"] != "ok":
        return []
    verdict = verifier.verify(str(row["completion"] or ""), None)
    if verdict.status == "passed":
        return [Finding("verifier", SQL_EXECUTION, "executes", verdict.status, verdict.score)]
    return [Finding("verifier", SQL_EXECUTION, "executes", verdict.status, verdict.score, verdict.reason, True, verdict.evidence)]


def _check_steps(row: Row, runner: SqlRunner, is_decisive: bool) -> list[Finding]:
    """Whether the reasoning leads to the query; where nothing in it can be checked, that settles nothing."""
    if row["generation_status"] != "ok":
        return []
    verdict = verify_steps(str(row["trace"] or ""), str(row["completion"] or ""), runner, f"{row['database']}#0")
    reason = None if verdict.status == "passed" else verdict.reason
    settles = is_decisive and verdict.status != "unscored"
    return [
        Finding("steps", STEPS, DERIVATION, verdict.status, verdict.score, reason, settles, verdict.evidence if reason else None)
    ]


def find_failed(rows: Sequence[Mapping[str, object]]) -> frozenset[str]:
    """Ids of the generations that a decisive check failed."""
    return frozenset(str(row["generation_id"]) for row in rows if row["is_decisive"] and row["verdict_status"] == "failed")


def count_rejects(verdicts: pl.DataFrame) -> pl.DataFrame:
    """How often each criterion failed or could not judge: layer, judge, criterion, n, n_failed, n_unscored, failed_frac."""
    return (
        verdicts.filter(~pl.col("is_canary"))
        .group_by("layer", "judge", "criterion")
        .agg(
            pl.len().alias("n"),
            (pl.col("verdict_status") == "failed").sum().alias("n_failed"),
            (pl.col("verdict_status") == "unscored").sum().alias("n_unscored"),
        )
        .with_columns((pl.col("n_failed") / pl.col("n")).round(4).alias("failed_frac"))
        .sort("layer", "judge", "criterion")
    )
