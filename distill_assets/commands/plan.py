"""`distill plan`: what a run would ask of its teachers and what that would cost, before a cent is spent.

Belongs here: making the plan from the recipe's files as they are now, and showing it. Does not belong here: the
estimate itself (generate/estimate).

Nothing is sent and nothing is stored; no key is needed. The holdout's questions to the teacher are not in it: they
depend on nothing that a plan could save on, and they are few.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from distill_assets.call_log import format_duration
from distill_assets.clients.desk import open_desks
from distill_assets.clients.journal import Spent, open_journal
from distill_assets.config import Recipe, RecipeFolder, home_folder
from distill_assets.generate.estimate import Estimate, estimate_plan
from distill_assets.generate.sampling import SqlSample, count_requests, plan_requests
from distill_assets.judge.critics.asking import Asking
from distill_assets.judge.critics.estimate import JudgingEstimate, estimate_judging
from distill_assets.judge.critics.rubric import load_rubric
from distill_assets.prompts import load_prompt
from distill_assets.seed.corpus import load_seed_corpus
from distill_assets.seed.databases import prepare_databases
from distill_assets.storage import Workspace


class Plan(NamedTuple):
    """A recipe's estimates with what was spent so far."""

    recipe: Recipe
    n_seeds: int
    estimates: list[Estimate]
    judging: list[JudgingEstimate]
    spent: Spent


def plan_recipe(folder: RecipeFolder) -> Plan:
    """Estimate what `distill run` would buy for the recipe as its files are now.

    Raises:
        DistillError: the recipe's files cannot be used; each says why.
    """
    recipe, path = folder
    seeds = load_seed_corpus(path, recipe.seeds, sorted(recipe.databases), recipe.seed_licence)
    prompts = {name: load_prompt(path, strategy.prompt) for name, strategy in recipe.generate.list_strategies().items()}
    with tempfile.TemporaryDirectory() as scratch:
        built = prepare_databases(Workspace(Path(scratch)), recipe.name, path, recipe.databases, 1)
    cards = dict(built.select("database", "card").iter_rows())
    desks = open_desks(recipe.list_teachers(), SqlSample, lambda _: "not needed for a plan")
    requests = plan_requests(seeds, cards, prompts, recipe.list_teachers(), recipe.generate)
    with open_journal(Workspace(home_folder()).folder("journal", recipe.name)) as journal:
        return Plan(
            recipe, seeds.height, estimate_plan(requests, desks, journal), _plan_judging(folder, seeds, cards), journal.spent()
        )


def _plan_judging(folder: RecipeFolder, seeds: pl.DataFrame, cards: dict[str, str]) -> list[JudgingEstimate]:
    spec = folder.recipe.judge.critics
    if not spec.judges:
        return []
    asking = Asking(load_prompt(folder.path, spec.prompt), load_rubric(folder.path, spec.rubric), cards)
    per_database = {str(name): count_requests(part, folder.recipe.generate) for (name,), part in seeds.group_by("database")}
    return estimate_judging(spec, per_database, asking, lambda _: "not needed for a plan")


def render_plan(plan: Plan) -> str:
    """A plan as a person reads it."""
    lines = [f"{plan.recipe.name}: {plan.n_seeds:,} seeds make {sum(e.requests for e in plan.estimates):,} requests"]
    for e in plan.estimates:
        share = e.cached / e.requests
        lines.append(
            f"  {e.teacher}: {e.requests:,} requests, {e.cached:,} answered already ({share:.0%}), {e.missing:,} to ask for"
            + (f", {e.batched:,} in a batch" if e.batched else "")
        )
        if e.missing:
            measure = "as its earlier replies" if e.is_measured else "a rule of thumb: it has not answered enough yet"
            lines.append(f"    tokens  {e.prompt_tokens:,} read and {e.completion_tokens:,} written ({measure})")
            lines.append(f"    money   {_money(e.usd)}, at most {_money(e.at_most_usd)} without re-asks (price: {e.price})")
            lines.append(f"    time    {_time(e, plan)}")
    for j in plan.judging:
        lines.append(
            f"  critic {j.critic}: at most {j.judgements:,} judgements, fewer where samples fail before or were judged already"
        )
        lines.append(f"    tokens  about {j.prompt_tokens:,} read and {j.completion_tokens:,} written; money {_money(j.usd)}")
    return "\n".join([*lines, *_tell_budget(plan)])


def _money(usd: float | None) -> str:
    return "not known" if usd is None else f"{usd:,.4f} USD"


def _time(estimate: Estimate, plan: Plan) -> str:
    if any(t.batch for t in plan.recipe.list_teachers() if t.called == estimate.teacher):
        return "up to 24 h: a batch"
    if estimate.seconds is None:
        return "not known before its first replies; teacher.limits would bound it"
    return f"{format_duration(estimate.seconds)} at the least"


def _tell_budget(plan: Plan) -> list[str]:
    spent, budget = plan.spent, plan.recipe.budget
    lines = [f"  spent so far: {spent.usd:.4f} USD and {spent.tokens:,} tokens"]
    if spent.usd_in_doubt or spent.tokens_in_doubt:
        lines[0] += f", and {spent.usd_in_doubt:.4f} USD and {spent.tokens_in_doubt:,} tokens in doubt (calls that have not ended)"
    expected = sum(e.usd or 0.0 for e in (*plan.estimates, *plan.judging))
    if budget.usd is not None:
        left = budget.usd - spent.usd - spent.usd_in_doubt
        enough = "enough" if expected <= left else f"NOT ENOUGH: {expected - left:.4f} USD are missing"
        lines.append(f"  budget: {budget.usd:g} USD, {max(0.0, left):.4f} left: {enough}")
    if budget.tokens is not None:
        left_tokens = budget.tokens - spent.tokens - spent.tokens_in_doubt
        asked = sum(e.prompt_tokens + e.completion_tokens for e in (*plan.estimates, *plan.judging))
        enough = "enough" if asked <= left_tokens else f"NOT ENOUGH: {asked - left_tokens:,} tokens are missing"
        lines.append(f"  budget: {budget.tokens:,} tokens, {max(0, left_tokens):,} left: {enough}")
    return lines


def plan_as_data(plan: Plan) -> dict[str, Any]:
    """A plan as a machine reads it."""
    return {
        "recipe": plan.recipe.name,
        "seeds": plan.n_seeds,
        "teachers": [estimate._asdict() for estimate in plan.estimates],
        "critics": [estimate._asdict() for estimate in plan.judging],
        "spent": plan.spent._asdict(),
        "budget": plan.recipe.budget.model_dump(),
    }
