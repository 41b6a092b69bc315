"""Marks samples that say the same: exact and near duplicates.

Belongs here: normalisation, similarity, clusters and their representative. Does not belong here:
dropping (select).

Exact: same database and same question after case, punctuation and white space are folded. Near: the
Jaccard similarity of the questions' word 2-grams reaches the threshold AND the literals of both
queries are equal, since "in 2023" and "in 2024" are different tasks (docs/adr/0006).

The representative of a cluster is the sample with the smallest content hash, so that the result is
free of row order. A near duplicate is marked only against a representative, never through a chain.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from distill_assets.identity import hash_text

LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w.])\d+(?:\.\d+)?")


class Duplicate(NamedTuple):
    """A sample's mark: its representative, the kind and the similarity (0 to 1)."""

    duplicate_of: str
    kind: str
    similarity: float


def normalise(text: str) -> str:
    """Lower case, words only, single spaces."""
    return " ".join(re.findall(r"\w+", text.lower()))


def bigrams(text: str) -> frozenset[str]:
    """Word 2-grams of the normalised text, its first and last word marked; never empty."""
    words = ["^", *normalise(text).split(), "$"]
    return frozenset(f"{a} {b}" for a, b in pairwise(words))


def find_literals(sql: str) -> str:
    """The query's literals, sorted: part of what must be equal in near duplicates."""
    return " ".join(sorted(LITERAL.findall(sql)))


def mark_duplicates(samples: pl.DataFrame, threshold: float) -> dict[str, Duplicate]:
    """Return sample_id -> mark for each sample that another one represents.

    Args:
        samples: sample_id, database, question, sql; no nulls. threshold: Jaccard similarity, 0 to 1.
    """
    rows = sorted(samples.iter_rows(named=True), key=lambda row: hash_text(str(row["sample_id"])))
    marks: dict[str, Duplicate] = {}
    first_by_question: dict[tuple[str, str], str] = {}
    groups: dict[tuple[str, str], list[tuple[str, frozenset[str]]]] = {}
    for row in rows:
        question_key = (row["database"], normalise(row["question"]))
        if question_key in first_by_question:
            marks[row["sample_id"]] = Duplicate(first_by_question[question_key], "exact", 1.0)
            continue
        first_by_question[question_key] = row["sample_id"]
        group = groups.setdefault((row["database"], find_literals(row["sql"])), [])
        grams = bigrams(row["question"])
        if (near := _find_near(group, grams, threshold)) is not None:
            marks[row["sample_id"]] = near
        else:
            group.append((row["sample_id"], grams))
    return marks


def _find_near(group: list[tuple[str, frozenset[str]]], grams: frozenset[str], threshold: float) -> Duplicate | None:
    for sample_id, other in group:
        if min(len(grams), len(other)) < threshold * max(len(grams), len(other)):
            continue  # the smaller set cannot reach the threshold
        shared = len(grams & other)
        similarity = shared / (len(grams) + len(other) - shared)
        if similarity >= threshold:
            return Duplicate(sample_id, "near", similarity)
    return None
