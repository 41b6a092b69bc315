"""One sample from one seed: intent, question, reasoning, SQL, and perhaps a planted error.

Belongs here: choosing the intent and putting the pieces together. Does not belong here: any wording
or SQL. The one idea: a pure function of its arguments, so that a teacher is a reproducible build step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from distill_assets.clients.sql_grammar import across, across_groups, aggregating, grouping, mistakes, ranking, rare, single
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.focusing import read_focus
from distill_assets.clients.sql_grammar.lexicon import Lexicon, read_lexicon
from distill_assets.clients.sql_grammar.phrases import Draft
from distill_assets.clients.sql_grammar.query import COUNT, Query, render
from distill_assets.clients.sql_grammar.steps import explain
from distill_assets.clients.sql_grammar.surface import roughen
from distill_assets.databases import Schema

VERSION = "2"
_MAX_TRIES = 20

_INTENTS: dict[str, tuple[float, Callable[[Draw, Lexicon], Draft | None]]] = {
    "count": (19.0, single.ask_count),
    "list": (17.0, single.ask_list),
    "aggregate": (15.0, aggregating.ask_aggregate),
    "group": (11.0, grouping.ask_group),
    "superlative": (13.0, ranking.ask_superlative),
    "joined_count": (4.5, across.ask_joined_count),
    "joined_list": (6.0, across.ask_joined_list),
    "joined_aggregate": (2.5, across.ask_joined_aggregate),
    "joined_group": (6.0, across_groups.ask_joined_group),
    "joined_ranking": (4.0, across_groups.ask_joined_ranking),
    "joined_having": (3.0, across_groups.ask_joined_having),
    "having": (2.5, grouping.ask_having),
    "never": (3.0, across_groups.ask_never),
    "distinct": (0.8, rare.ask_distinct),
    "either": (0.6, rare.ask_either),
    "beyond_average": (0.6, rare.ask_beyond_average),
}


class Sample(NamedTuple):
    """What the teacher writes, and what is recorded apart: the intent and the planted error."""

    question: str
    reasoning: str
    sql: str
    intent: str
    planted_error: str | None


def write_sample(schema: Schema, seed_text: str, seed_kind: str, seed: int, error_frac: float) -> Sample:
    """Write one question with reasoning and SQL over a schema card.

    Args:
        schema: the card; its documentation, if any, supplies the vocabulary.
        seed_text: words whose tables, columns and values weigh more; unknown words are ignored.
        seed_kind: "topic", or "question", which also pulls the intent.
        seed: any integer; equal arguments give an equal sample.
        error_frac: share of samples with a planted error, 0..1.
    """
    lexicon = read_lexicon(schema)
    names, intents = read_focus(schema, seed_text, seed_kind)
    d = Draw(f"{VERSION}|{schema.name}|{seed_kind}|{seed_text}|{seed}", names)
    has_error = d.chance(error_frac)
    draft = _draft(d, lexicon, intents)
    question = roughen(d, draft.question)
    if not has_error:
        return Sample(question, explain(d, draft.query), render(draft.query), draft.intent, None)
    kind, sql, followed = mistakes.plant(d, lexicon, draft.query)
    return Sample(question, explain(d, followed), sql, draft.intent, kind)


def _draft(d: Draw, lexicon: Lexicon, pulls: dict[str, float]) -> Draft:
    weights = {name: weight * pulls.get(name, 1.0) for name, (weight, _) in _INTENTS.items()}
    for _ in range(_MAX_TRIES):
        draft = _INTENTS[d.weigh(weights)][1](d, lexicon)
        if draft:
            return draft
    thing = d.pick(list(lexicon.things.values()))
    return Draft("count", f"how many {thing.nouns[0]} rows are there?", Query((COUNT,), thing.name))
