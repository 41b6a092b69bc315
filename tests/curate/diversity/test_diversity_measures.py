"""Measures of variety, against values worked out by hand or by another way to the same number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.diversity.measures import list_grams, measure_labels, measure_pairs, measure_texts, measure_vectors
from distill_assets.curate.diversity.samples import MAX_MEASURED_CHARS, add_rank, take_sample
from distill_assets.curate.words import hash_words, normalise


def texts(*rows: str) -> pl.Series:
    return pl.Series("text", rows, dtype=pl.String)


def values(measures) -> dict[str, float]:
    return {found.metric: found.value for found in measures}


def test_n_grams_do_not_cross_texts():
    grams = list_grams(hash_words(texts("a b c", "", "d", "a b")), 2)
    assert grams.texts.tolist() == [0, 0, 3]
    assert grams.places.tolist() == [0, 1, 0]
    assert grams.hashes[0] == grams.hashes[2] != grams.hashes[1]


def test_the_order_of_words_matters():
    grams = list_grams(hash_words(texts("a b", "b a", "a a")), 2)
    assert len(set(grams.hashes.tolist())) == 3


def test_counts_of_few_texts():
    found = values(measure_texts(texts("how many cats are there", "How many cats, are there?", "how many cats are big", "dogs")))
    assert found["repeated_frac"] == 0.25
    assert found["distinct_1"] == 7 / 16
    assert found["distinct_2"] == 5 / 12
    assert found["head_frac"] == 0.75
    assert found["opening_frac"] == 0.75
    assert found["opening_bits"] == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)))
    assert found["length_cv"] == pytest.approx(np.std([5, 5, 5, 1]) / 4)


def test_the_figure_names_its_text():
    found = {m.metric: m.example for m in measure_texts(texts("tell me now please: how", "a b", "so tell me now please", "a b"))}
    assert found["head_frac"] == "tell me now please"
    assert found["repeated_frac"] == "a b"


def test_compression_sees_copies_that_are_far_apart():
    """100 KB of other text lies between a text and its copy, which is beyond the window of gzip."""
    rng = np.random.default_rng(0)
    block = ["".join(chr(97 + c) for c in rng.integers(0, 26, 1000)) for _ in range(100)]
    once = values(measure_texts(texts(*block)))["compression_ratio"]
    twice = values(measure_texts(texts(*block, *block)))["compression_ratio"]
    assert twice > 1.9 * once


def slow_similarity(rows: list[str]) -> tuple[float, float]:
    sets = [{(a, b) for words in [["_", *normalise(row).split(), "_"]] for a, b in pairwise(words)} for row in rows]
    alike = np.array([[len(a & b) / len(a | b) for b in sets] for a in sets])
    np.fill_diagonal(alike, 0)
    return alike.sum() / (len(rows) * (len(rows) - 1)), alike.max(axis=1).mean()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from(["how", "many", "cats", "3"]), max_size=6).map(" ".join), min_size=2, max_size=12))
def test_similarity_is_that_of_each_pair(rows):
    found = values(measure_pairs(texts(*rows)))
    assert (found["similarity_mean"], found["nearest_mean"]) == pytest.approx(slow_similarity(rows))


def test_labels_as_evenly_spread_as_so_many():
    found = values(measure_labels("topic", texts("a", "b", "c", "d")))
    assert found == pytest.approx({"topic_frac": 0.25, "topic_effective": 4, "topic_effective_frac": 1})
    skewed = values(measure_labels("topic", pl.Series("t", ["a"] * 9 + ["b", None])))
    assert skewed["topic_frac"] == 0.9
    assert skewed["topic_effective"] == pytest.approx(np.exp(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1))))
    assert measure_labels("topic", pl.Series("t", [None], dtype=pl.String)) == []


def test_the_vendi_score_of_known_vectors():
    assert values(measure_vectors(np.eye(8)))["vendi"] == pytest.approx(8)
    assert values(measure_vectors(np.ones((20, 4))))["vendi"] == pytest.approx(1)
    assert values(measure_vectors([[1, 0], [3, 0], [0, 1], [0, 5]]))["embedding_bits"] == pytest.approx(1)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 30), st.integers(2, 12), st.integers(0, 9))
def test_the_vendi_score_is_that_of_the_large_matrix(n, d, seed):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(unit @ unit.T / n)
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    assert values(measure_vectors(rows))["vendi"] == pytest.approx(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))


@pytest.mark.parametrize("rows", [["", "", ""], ["!?", "…"], ["one", "two"], ["x" * 3_000_000, "y"], ["same"] * 3000])
def test_odd_texts_have_finite_measures(rows):
    found = [*measure_texts(texts(*rows)), *measure_pairs(texts(*rows[:500]))]
    assert all(np.isfinite(m.value) for m in found)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=40), st.randoms(), st.integers(1, 40))
def test_the_sample_does_not_depend_on_the_order_of_rows(rows, random, n):
    shuffled = random.sample(rows, len(rows))
    picked = [take_sample(add_rank(pl.DataFrame({"text": order})), n)["text"].to_list() for order in (rows, shuffled)]
    assert picked[0] == picked[1]
    assert len(picked[0]) == min(n, len(rows))


def test_of_a_giant_text_only_the_beginning_is_measured():
    found = take_sample(add_rank(pl.DataFrame({"text": ["x y " * 100_000, "short"]})), 2)
    assert sorted(found["text"].str.len_chars()) == [5, MAX_MEASURED_CHARS]


def test_the_sample_keeps_the_share_of_copies():
    rows = pl.DataFrame({"text": ["copied"] * 5000 + [f"text {i}" for i in range(5000)]})
    share = (take_sample(add_rank(rows), 1000)["text"] == "copied").mean()
    assert 0.45 < share < 0.55
