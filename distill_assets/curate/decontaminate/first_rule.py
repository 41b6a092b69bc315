"""Marks samples that overlap a holdout item.

Belongs here: the overlap rule and its evidence. Does not belong here: reading the holdout (seed) or
dropping (select).

Rule: a sample is contaminated when its question, folded, equals a holdout question or holds it
whole, or when both share a word n-gram. An item with fewer than n words has no n-gram, so the first
part is what protects it; without it short items would be unprotected.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from distill_assets.curate.deduplicate.first_rule import normalise
from distill_assets.errors import ContaminationError

MIN_CONTAINED_WORDS = 4


class Contamination(NamedTuple):
    """A sample's mark: the item, the rule that fired and the words that overlap."""

    item_id: str
    rule: str
    span: str


class HoldoutIndex(NamedTuple):
    """Folded whole questions and word n-grams, each with the first item that has it."""

    n: int
    questions: dict[str, str]
    ngrams: dict[str, str]


def build_holdout_index(holdout: pl.DataFrame, n: int) -> HoldoutIndex:
    """Index the holdout's questions.

    Raises:
        ContaminationError: an item has no word, so it cannot be protected.
    """
    questions: dict[str, str] = {}
    ngrams: dict[str, str] = {}
    for item_id, question in holdout.sort("item_id").select("item_id", "question").iter_rows():
        folded = normalise(question)
        if not folded:
            raise ContaminationError(
                f"holdout item {item_id} ({question!r}) has no word, so it cannot be protected. "
                "Nothing was selected. Fix the holdout; decontamination does not skip rows."
            )
        questions.setdefault(folded, item_id)
        for gram in list_ngrams(folded.split(), n):
            ngrams.setdefault(gram, item_id)
    return HoldoutIndex(n, questions, ngrams)


def list_ngrams(words: list[str], n: int) -> list[str]:
    """The word n-grams of `words`, in order."""
    return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]


def find_contamination(index: HoldoutIndex, question: str) -> Contamination | None:
    """Return the first overlap of `question` with the holdout, whole questions before n-grams."""
    words = normalise(question).split()
    folded = " ".join(words)
    if folded in index.questions:
        return Contamination(index.questions[folded], "same_question", folded)
    for gram in list_ngrams(words, index.n):
        if gram in index.ngrams:
            return Contamination(index.ngrams[gram], f"{index.n}_gram", gram)
    for size in range(min(index.n, len(words)) - 1, MIN_CONTAINED_WORDS - 1, -1):
        for gram in list_ngrams(words, size):
            if gram in index.questions:
                return Contamination(index.questions[gram], "contains_question", gram)
    return None
