"""The compiled join against two other definitions of the same: brute force over Python sets, and SQL."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.deduplicate import sql
from distill_assets.curate.deduplicate.pairs import find_pairs, keep_documents
from distill_assets.curate.deduplicate.shingles import build_shingles
from distill_assets.curate.words import normalise


def spell(text: str, group: str, n: int) -> frozenset[tuple[str, ...]]:
    """The definition, said plainly."""
    words = normalise(text).split()
    if not words:
        return frozenset([(group, "raw", text)])
    marked = ["<", *words, ">"]
    return frozenset((group, *marked[i : i + n]) for i in range(max(1, len(marked) - n + 1)))


def brute_force(texts: list[str], groups: list[str], n: int, threshold: float) -> list[tuple[int, int, float]]:
    sets = [spell(text, group, n) for text, group in zip(texts, groups, strict=True)]
    found = []
    for (i, a), (j, b) in combinations(enumerate(sets), 2):
        if (shared := len(a & b)) and shared / len(a | b) >= threshold:
            found.append((i, j, shared / len(a | b)))
    return found


def make_texts(n: int, n_words: int, seed: int) -> list[str]:
    """Texts over few words, and edited copies of earlier ones: many pairs near the threshold."""
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(n):
        if texts and rng.random() < 0.5:
            words = rng.choice(texts).split()
            for _ in range(rng.randint(0, 3)):
                words[rng.randrange(len(words))] = f"w{rng.randrange(n_words)}"
            texts.append(" ".join(words))
        else:
            texts.append(" ".join(f"w{rng.randrange(n_words)}" for _ in range(rng.randint(1, 90))))
    return texts


@pytest.mark.parametrize(("n", "threshold"), [(2, 0.7), (2, 0.5), (1, 0.8), (3, 0.7), (2, 1.0), (5, 0.1)])
def test_join_finds_what_brute_force_and_sql_find(n, threshold):
    texts = [*make_texts(400, 400, seed=n), "", "!!!", "!!!", "?", "one", "One.", "ONE one"]
    groups = [str(i % 2) for i in range(len(texts))]
    series, grouped = pl.Series(texts), pl.Series(groups)
    found = find_pairs(build_shingles(series, grouped, n), threshold)
    assert found.rows() == brute_force(texts, groups, n, threshold)
    assert found.equals(sql.find_pairs(series, grouped, n, threshold))
    assert found.height > 20


@pytest.mark.slow
def test_join_equals_brute_force_on_3000_rows():
    texts = make_texts(3000, 3000, seed=5)
    found = find_pairs(build_shingles(pl.Series(texts), None, 2), 0.7)
    assert found.rows() == brute_force(texts, [""] * len(texts), 2, 0.7)
    assert found.height > 300


words = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]), max_size=7).map(" ".join)


@settings(deadline=None, max_examples=200)
@given(st.lists(words, min_size=1, max_size=25), st.sampled_from([0.3, 0.5, 2 / 3, 0.7, 1.0]), st.integers(1, 4))
def test_join_equals_brute_force_on_any_texts(texts, threshold, n):
    found = find_pairs(build_shingles(pl.Series(texts), None, n), threshold)
    assert found.rows() == brute_force(texts, [""] * len(texts), n, threshold)


def first_maximal_independent_set(n: int, pairs: list[tuple[int, int, float]], ranks: list[int]) -> tuple[list[int], list[float]]:
    """The keep rule, said plainly: by rank; who has a duplicate that stays goes to the first such."""
    near = {(a, b): s for i, j, s in pairs for a, b in ((i, j), (j, i))}
    order = sorted(range(n), key=lambda d: (ranks[d], d))
    representative: dict[int, int] = {}
    for document in order:
        staying = [other for other in order if representative.get(other) == other and (document, other) in near]
        representative[document] = staying[0] if staying else document
    return [representative[d] for d in range(n)], [near.get((d, representative[d]), 1.0) for d in range(n)]


@settings(deadline=None, max_examples=200)
@given(st.lists(words, min_size=1, max_size=25), st.sampled_from([0.3, 0.5, 0.7]), st.randoms(use_true_random=False))
def test_who_stays_is_the_first_maximal_independent_set(texts, threshold, random_):
    ranks = random_.sample(range(1000), len(texts))
    keep = keep_documents(build_shingles(pl.Series(texts), None, 2), threshold, np.array(ranks, np.uint64))
    expected = first_maximal_independent_set(len(texts), brute_force(texts, [""] * len(texts), 2, threshold), ranks)
    assert (keep.representative.tolist(), keep.similarity.tolist()) == expected


@settings(deadline=None, max_examples=60)
@given(st.permutations(range(60)))
def test_row_order_changes_nothing(order):
    texts = make_texts(60, 40, seed=3)
    ranks = np.array(random.Random(1).sample(range(10**6), 60), np.uint64)
    plain = keep_documents(build_shingles(pl.Series(texts), None, 2), 0.5, ranks)
    moved = keep_documents(build_shingles(pl.Series([texts[i] for i in order]), None, 2), 0.5, ranks[list(order)])
    assert [order[r] for r in moved.representative] == plain.representative[list(order)].tolist()
    assert moved.similarity.tolist() == plain.similarity[list(order)].tolist()


def test_sql_spills_and_finds_the_same(tmp_path):
    texts = pl.Series(make_texts(3000, 3000, seed=7))
    wide = sql.find_pairs(texts, None, 2, 0.7)
    tight = sql.find_pairs(texts, None, 2, 0.7, memory_mb=60, spill=tmp_path / "spill")
    assert wide.equals(tight)
    assert wide.height > 300
