# ruff: noqa: E501 (phrases read best one a line)
"""What a seed points at: the tables, columns, values and intents that its words name.

Belongs here: turning a seed's text into weights. Does not belong here: drawing. The one idea: a
seed pulls, it does not bind; words that the card does not know are ignored.
"""

from __future__ import annotations

import re
from functools import lru_cache

from distill_assets.clients.sql_grammar import english
from distill_assets.clients.sql_grammar.lexicon import Lexicon, read_lexicon
from distill_assets.databases import Schema

_TABLE_PULL, _COLUMN_PULL, _VALUE_PULL, _INTENT_PULL = 5.0, 5.0, 4.0, 3.0
_CUES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\b(how many|number of|count|no of|how often)\b", ("count", "group", "joined_count")),
    (r"\b(average|avg|mean|total|sum|altogether|in all|highest|lowest|longest|most we|on average)\b", ("aggregate", "group", "joined_aggregate", "joined_group")),
    (r"\b(per|each|every|by)\b", ("group", "joined_group")),
    (r"\b(most|fewest|least|top|cheapest|oldest|newest|youngest|best|worst|last|first|longest|biggest|largest|\w+est)\b", ("superlative", "joined_ranking")),
    (r"\b(never|without|no|not|nobody|nothing|none)\b", ("never", "list")),
    (r"\b(at least|more than|fewer than|exactly|less than)\b", ("having", "joined_having", "list")),
    (r"^(which|who|list|show|find|all|names|what)\b", ("list", "joined_list")),
    (r"\b(when|what)\b", ("list",)),
)  # fmt: skip


@lru_cache(maxsize=4096)
def read_focus(schema: Schema, seed_text: str, seed_kind: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return weights of names (tables, columns, values) and of intents."""
    lexicon = read_lexicon(schema)
    text = f" {re.sub(r'[^0-9a-zà-ɏ+-]+', ' ', seed_text.lower())} "
    return _focus_names(lexicon, text), _focus_intents(text) if seed_kind == "question" else {}


def _focus_names(lexicon: Lexicon, text: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for thing in lexicon.things.values():
        if _mentions(text, thing.nouns):
            weights[thing.name] = _TABLE_PULL
        for column in thing.columns:
            if column.kind == "key":
                continue
            clause = column.clause.split()[-1:] if column.clause else []
            if _mentions(text, (*column.nouns, *clause)):
                weights[str(column.ref)] = _COLUMN_PULL
                weights.setdefault(thing.name, _TABLE_PULL / 2)
            for value in column.values if column.kind in ("category", "label") else ():
                if f" {value.lower()} " in text or f" {value.lower()}s " in text:
                    weights[value.lower()] = _VALUE_PULL
                    weights[str(column.ref)] = max(weights.get(str(column.ref), 1.0), _COLUMN_PULL / 2)
                    weights.setdefault(thing.name, _TABLE_PULL / 2)
    return weights


def _mentions(text: str, nouns: tuple[str, ...]) -> bool:
    return any(f" {form} " in text for noun in nouns for form in (noun.lower(), english.pluralize(noun.lower())))


def _focus_intents(text: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for pattern, intents in _CUES:
        if re.search(pattern, text.strip()):
            for intent in intents:
                weights[intent] = _INTENT_PULL
    return weights
