"""From a critic's reply to scores, and from several critics' scores to one verdict.

Belongs here: reading replies, the logprob-weighted score, aggregation. Does not belong here: asking (asking) or how well
critics agree with anybody (calibration).

A reply that holds no judgement leaves its sample unscored by that critic. It is never a 0.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from distill_assets.clients.chat import ChatReply
from distill_assets.judge.critics.rubric import Rubric, to_unit
from distill_assets.judge.findings import Finding
from distill_assets.judging import CriticsSpec
from distill_assets.tables import ALL_CRITICS

LAYER = "critic"
RUBRIC_SCORE = "rubric"
OVERALL = "overall"
NUMBER_TOKEN = re.compile(r"\s*(\d{1,2})\s*[,}]?\s*")
# A criterion must have at least this much of the probability on scores, else the tokens speak of something else.
LEAST_MASS = 0.5


class Scores(NamedTuple):
    """What one critic said of one sample: criterion -> 0 to 1, their weighted mean, and why.

    `overall` None: unscored, and `reason` says why. `source`: written scores, or weighted by token probabilities.
    """

    by_criterion: dict[str, float]
    overall: float | None
    reason: str
    source: str = "written"


def read_judgement(reply: ChatReply, rubric: Rubric, use_logprobs: bool) -> Scores:
    """Read one reply."""
    if reply.status != "ok" or reply.answer is None:
        return Scores({}, None, f"the critic's reply is {reply.status}: {reply.error or 'no answer in it'}")
    answer: Mapping[str, Any] = reply.answer
    written = {name: float(answer[name]) for name in rubric.criteria}
    expected = weigh_by_logprobs(reply.logprobs, rubric) if use_logprobs else None
    by_criterion = {name: to_unit(rubric, score) for name, score in (expected or written).items()}
    overall = sum(rubric.criteria[name].weight * score for name, score in by_criterion.items())
    return Scores(by_criterion, overall, str(answer["reasoning"]), "logprobs" if expected else "written")


def weigh_by_logprobs(tokens: Sequence[Mapping[str, Any]] | None, rubric: Rubric) -> dict[str, float] | None:
    """The expected score of each criterion under the endpoint's token probabilities, or None where they tell too little.

    Source: Liu et al. 2023, "G-Eval", section 2: the score is the sum over the scale of p(score) * score.
    """
    if not tokens:
        return None
    text = "".join(str(token.get("token", "")) for token in tokens)
    found = {}
    for name in rubric.criteria:
        places = list(re.finditer(rf'"{re.escape(name)}"\s*:\s*(?=\d)', text))
        expected = _expect_score(tokens, places[-1].end(), rubric) if places else None
        if expected is None:
            return None
        found[name] = expected
    return found


def _expect_score(tokens: Sequence[Mapping[str, Any]], place: int, rubric: Rubric) -> float | None:
    token = _find_token(tokens, place)
    mass: dict[int, float] = {}
    for option in (token or {}).get("top_logprobs") or ():
        match = NUMBER_TOKEN.fullmatch(str(option.get("token", "")))
        logprob = option.get("logprob")
        if match and isinstance(logprob, int | float) and rubric.scale.lowest <= int(match[1]) <= rubric.scale.highest:
            mass[int(match[1])] = mass.get(int(match[1]), 0.0) + math.exp(min(0.0, logprob))
    total = sum(mass.values())
    return sum(score * p for score, p in mass.items()) / total if total >= LEAST_MASS else None


def _find_token(tokens: Sequence[Mapping[str, Any]], place: int) -> Mapping[str, Any] | None:
    """The token that holds the character at `place`."""
    end = 0
    for token in tokens:
        end += len(str(token.get("token", "")))
        if place < end:
            return token
    return None


def list_findings(scores: Mapping[str, Scores], judges: Mapping[str, str], spec: CriticsSpec, threshold: float) -> list[Finding]:
    """All findings on one sample: each critic's, and the one that decides.

    Args:
        scores: critic -> what it said. judges: critic -> its name in the verdicts table. threshold: 0 to 1.
    """
    findings = []
    for critic, found in scores.items():
        if found.overall is None:
            findings.append(Finding(LAYER, judges[critic], OVERALL, "unscored", None, found.reason, False))
            continue
        for criterion, score in {**found.by_criterion, OVERALL: found.overall}.items():
            reason = found.reason if criterion == OVERALL else None
            findings.append(
                Finding(LAYER, judges[critic], criterion, _compare(score, threshold), score, reason, False, {"from": found.source})
            )
    return [*findings, aggregate(scores, spec, threshold)]


def aggregate(scores: Mapping[str, Scores], spec: CriticsSpec, threshold: float) -> Finding:
    """The verdict of all critics together.

    mean and median: of the overall scores, by weight; min: the strictest; majority: the weighted share of critics whose
    score reaches the threshold must be more than half. Fewer than `quorum` scores: unscored.
    """
    weights = {critic.called: critic.weight for critic in spec.judges}
    scored = {name: found.overall for name, found in scores.items() if found.overall is not None}
    if len(scored) < spec.quorum:
        silent = "; ".join(f"{name}: {found.reason}" for name, found in sorted(scores.items()) if found.overall is None)
        reason = f"{len(scored)} of {len(spec.judges)} critics scored, {spec.quorum} must. {silent}"
        return Finding(LAYER, ALL_CRITICS, RUBRIC_SCORE, "unscored", None, reason)
    if spec.aggregate == "majority":
        share = _mean({name: float(score >= threshold) for name, score in scored.items()}, weights)
        status, score = ("passed" if share > 0.5 else "failed"), share
    else:
        score = {"mean": _mean, "median": _median, "min": lambda s, _: min(s.values())}[spec.aggregate](scored, weights)
        status = _compare(score, threshold)
    why = "; ".join(f"{name} {scored[name]:.2f}: {scores[name].reason}" for name in sorted(scored, key=lambda n: scored[n]))
    reason = None if status == "passed" else f"score {score:.2f}, {threshold:.2f} is needed. {why}"
    return Finding(LAYER, ALL_CRITICS, RUBRIC_SCORE, status, score, reason, True, {"scores": scored, "threshold": threshold})


def _compare(score: float, threshold: float) -> str:
    return "passed" if score >= threshold - 1e-9 else "failed"


def _mean(scores: Mapping[str, float], weights: Mapping[str, float]) -> float:
    return sum(scores[name] * weights[name] for name in scores) / sum(weights[name] for name in scores)


def _median(scores: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The weighted median; half way between two when the weights part there. Without weights, the plain one."""
    if len({weights[name] for name in scores}) == 1:
        return statistics.median(scores.values())
    half, passed, ordered = sum(weights[name] for name in scores) / 2, 0.0, sorted(scores, key=lambda name: scores[name])
    for ix, name in enumerate(ordered):
        passed += weights[name]
        if math.isclose(passed, half) and ix + 1 < len(ordered):
            return (scores[name] + scores[ordered[ix + 1]]) / 2
        if passed > half:
            break
    return scores[name]
