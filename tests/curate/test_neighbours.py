"""Near items and pairs equal what plain integers say, whatever the order and the blocks."""

from __future__ import annotations

import math
import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.curate import neighbours
from distill_assets.curate.neighbours import average_windows, find_cosine, find_near_items, find_semantic_pairs
from distill_assets.curate.vectors.reading import round_vectors
from distill_assets.errors import DuplicatesError


def make_vectors(n: int, seed: int, width: int = 24) -> list[bytes]:
    """Vectors in loose families, so that many are near each other; some are equal."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(5, width))
    rows = centres[chance.integers(0, 5, n)] + 0.6 * chance.normal(size=(n, width))
    rows[n // 2] = rows[0]
    return [row.tobytes() for row in round_vectors(rows)]


def make_documents(n: int) -> pl.DataFrame:
    """Every third document has two windows."""
    rows = []
    for ix, vector in enumerate(make_vectors(n, 1)):
        document = ix - 1 if ix % 3 == 2 else ix
        rows.append((f"d{document:04}", 10 * (ix - document), 10 * (ix - document) + 10, vector))
    return pl.DataFrame(rows, schema=["document_id", "start_chars", "end_chars", "vector"], orient="row")


def make_items(n: int) -> pl.DataFrame:
    rows = [("ab"[ix % 2], f"i{ix // 4:03}", vector) for ix, vector in enumerate(make_vectors(n, 2))]
    return pl.DataFrame(rows, schema=["benchmark", "item_id", "vector"], orient="row")


def measure_plainly(left: bytes, right: bytes) -> float:
    """The cosine by Python's own integers."""
    a, b = (np.frombuffer(vector, np.int8).tolist() for vector in (left, right))
    dot, sizes = sum(x * y for x, y in zip(a, b, strict=True)), [sum(x * x for x in one) for one in (a, b)]
    return float(dot) / math.sqrt(sizes[0] * sizes[1])


def find_plainly(documents: pl.DataFrame, items: pl.DataFrame, least: float, n: int) -> list[tuple]:
    best: dict[tuple, tuple] = {}
    for document_id, start, end, vector in documents.iter_rows():
        for benchmark, item_id, other in items.iter_rows():
            cosine = measure_plainly(vector, other)
            key = (document_id, benchmark, item_id)
            if cosine >= least and (key not in best or (-cosine, start) < best[key][:2]):
                best[key] = (-cosine, start, end)
    rows = sorted((key[0], found[0], key[1], key[2], *found[1:]) for key, found in best.items())
    kept, count = [], {}
    for row in rows:
        count[row[0]] = count.get(row[0], 0) + 1
        if count[row[0]] <= n:
            kept.append((row[0], row[2], row[3], -row[1], row[4], row[5]))
    return kept


@pytest.mark.parametrize("blocks", [(1024, 4096), (7, 5), (1, 20)])
def test_near_items_equal_plain_integers_bit_for_bit(blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    documents, items = make_documents(60), make_items(40)
    expected = find_plainly(documents, items, 0.5, 3)
    assert 40 < len(expected) < 200
    monkeypatch.setattr(neighbours, "BLOCK_DOCUMENTS", blocks[0])
    monkeypatch.setattr(neighbours, "BLOCK_ITEMS", blocks[1])
    shuffled = documents.sample(fraction=1, shuffle=True, seed=4), items.sample(fraction=1, shuffle=True, seed=5)
    assert find_near_items(documents, items, 0.5, 3).rows() == expected
    assert find_near_items(*shuffled, 0.5, 3).rows() == expected


@pytest.mark.parametrize("block", [1024, 7])
def test_pairs_equal_plain_integers_bit_for_bit(block: int, monkeypatch: pytest.MonkeyPatch):
    vectors = make_vectors(80, 3)
    frame = pl.DataFrame({"text_id": [f"t{ix:03}" for ix in range(80)], "vector": vectors})
    expected = [
        (f"t{a:03}", f"t{b:03}", cosine)
        for a in range(80)
        for b in range(a + 1, 80)
        if (cosine := measure_plainly(vectors[a], vectors[b])) >= 0.7
    ]
    assert ("t000", "t040", 1.0) in expected
    monkeypatch.setattr(neighbours, "BLOCK_DOCUMENTS", block)
    monkeypatch.setattr(neighbours, "BLOCK_ITEMS", block)
    assert find_semantic_pairs(frame.sample(fraction=1, shuffle=True, seed=6), 0.7).rows() == expected
    assert find_cosine(vectors[3], vectors[4]) == measure_plainly(vectors[3], vectors[4])


@given(n_new=st.integers(0, 40), seed=st.integers(0, 50))
def test_pairs_of_new_texts_complete_the_pairs_of_the_old_ones(n_new: int, seed: int):
    frame = pl.DataFrame({"text_id": [f"t{ix:03}" for ix in range(40)], "vector": make_vectors(40, seed)})
    frame = frame.sample(fraction=1, shuffle=True, seed=seed)
    new, old = frame["text_id"].head(n_new), frame.slice(n_new)
    together = pl.concat([find_semantic_pairs(old, 0.6), find_semantic_pairs(frame, 0.6, new)])
    assert together.sort("left_id", "right_id").equals(find_semantic_pairs(frame, 0.6))


def test_a_corpus_that_says_one_thing_is_refused_before_its_pairs_fill_the_memory(monkeypatch: pytest.MonkeyPatch):
    frame = pl.DataFrame({"text_id": [f"t{ix:03}" for ix in range(50)], "vector": [b"\x01\x02"] * 50})
    monkeypatch.setattr(neighbours, "MAX_PAIRS", 1_225)
    assert find_semantic_pairs(frame, 0.9).height == 1_225
    monkeypatch.setattr(neighbours, "MAX_PAIRS", 1_224)
    with pytest.raises(DuplicatesError, match=r"more than 1,224 pairs.*Raise duplicates\.semantic_cosine"):
        find_semantic_pairs(frame, 0.9)


def test_a_threshold_that_a_pair_reaches_exactly_counts_it():
    left, right = make_vectors(2, 8)
    cosine = measure_plainly(left, right)
    frame = pl.DataFrame({"text_id": ["a", "b"], "vector": [left, right]})
    assert find_semantic_pairs(frame, cosine).height == 1
    assert find_semantic_pairs(frame, math.nextafter(cosine, 2)).is_empty()


def test_the_largest_vectors_are_still_exact():
    chance = random.Random(2)
    widest = [bytes(chance.choice((127, 129)) for _ in range(1024)) for _ in range(30)]
    frame = pl.DataFrame({"text_id": [f"t{ix:02}" for ix in range(30)], "vector": widest})
    found = find_semantic_pairs(frame, 0.0001).rows()
    assert len(found) > 100
    assert found == [
        (f"t{a:02}", f"t{b:02}", cosine)
        for a in range(30)
        for b in range(a + 1, 30)
        if (cosine := measure_plainly(widest[a], widest[b])) >= 0.0001
    ]


def test_nothing_near_nothing():
    documents, items = make_documents(6), make_items(4)
    assert find_near_items(documents.clear(), items, 0.5, 3).is_empty()
    assert find_near_items(documents, items.clear(), 0.5, 3).is_empty()
    assert find_semantic_pairs(pl.DataFrame(schema={"text_id": pl.String, "vector": pl.Binary}), 0.5).is_empty()


def test_the_mean_of_one_window_is_that_window_and_order_does_not_matter():
    vectors = make_vectors(4, 12)
    frame = pl.DataFrame({"text_id": ["a", "b", "b", "b"], "window_ix": [0, 0, 1, 2], "vector": vectors})
    mean = average_windows(frame)
    assert mean["text_id"].to_list() == ["a", "b"]
    assert mean.equals(average_windows(frame.reverse()))
    assert find_cosine(mean["vector"][0], vectors[0]) > 0.9999
    assert min(find_cosine(mean["vector"][1], vector) for vector in vectors[1:]) > 0.2
    assert average_windows(frame.clear()).is_empty()
