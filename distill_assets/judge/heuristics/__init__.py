"""Named rules over one generation's text, each with a reason.

Belongs here: rules that need no query run and no model. Does not belong here: execution (verdicts), steps of the
reasoning (verifiers/steps) or what follows from a verdict (settle). To add a rule, write a function of a Generation
and the HeuristicsSpec, and name it in RULES.
"""

from __future__ import annotations

from collections.abc import Iterator

from distill_assets.judge.heuristics.generation import Generation, Rule
from distill_assets.judge.heuristics.language import check_language
from distill_assets.judge.heuristics.sql import SQL_RULES
from distill_assets.judge.heuristics.text import check_complete, check_format, check_length, check_overlap, check_repetition
from distill_assets.judge.heuristics.wording import check_injection, check_refusal, check_uncertainty
from distill_assets.judging import HeuristicsSpec

__all__ = ["RULES", "Generation", "Rule", "apply_rules"]

TEXT_RULES: dict[str, Rule] = {
    "length": check_length,
    "format": check_format,
    "complete": check_complete,
    "no_refusal": check_refusal,
    "no_uncertainty": check_uncertainty,
    "no_injection": check_injection,
    "no_repetition": check_repetition,
    "overlap": check_overlap,
    "language": check_language,
}
RULES: dict[str, Rule] = {**TEXT_RULES, **SQL_RULES}


def apply_rules(generation: Generation, spec: HeuristicsSpec) -> Iterator[tuple[str, str | None]]:
    """Yield (rule, None or why it is not satisfied), in the order of RULES; rules about SQL for SQL answers only."""
    for name, rule in RULES.items():
        if name not in spec.disabled and (spec.answer_form == "sql" or name not in SQL_RULES):
            yield name, rule(generation, spec)
