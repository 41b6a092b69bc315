"""Windows, fixed shapes and rounding: a text's vector is its own, whatever is read beside it."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from distill_assets.curate.vectors.reading import (
    Encoder,
    cut_batches,
    cut_windows,
    embed_windows,
    find_width,
    list_starts,
    load_encoder,
    round_vectors,
)
from distill_assets.errors import BaseModelError
from tests.curate.vectors.encoders import find_minilm, save_small


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    model = save_small(tmp_path_factory.mktemp("small"))
    return load_encoder(model.path, "small", 64)


def make_texts(n: int, longest: int = 60) -> list[str]:
    chance = random.Random(3)
    words = [
        "shop",
        "hall",
        "seat",
        "ticket",
        "price",
        "of",
        "the",
        "how",
        "many",
        "which",
        "sold",
        "more",
        "than",
        "7",
        "12",
        "340",
    ]
    return [" ".join(chance.choices(words, k=chance.randint(1, longest))) for _ in range(n)]


def test_a_texts_vector_does_not_depend_on_order_or_company(small: Encoder):
    texts = make_texts(90)
    windows = cut_windows(small, texts, 64)
    whole = embed_windows(small, windows, 64)
    order = list(range(len(windows)))
    random.Random(5).shuffle(order)
    shuffled = embed_windows(small, [windows[place] for place in order], 64)
    assert np.array_equal(shuffled, whole[order])
    for place in (0, 17, len(windows) - 1):
        assert np.array_equal(embed_windows(small, [windows[place]], 64)[0], whole[place])
    assert len(np.unique(whole, axis=0)) > 80


@pytest.mark.slow
def test_with_the_real_model_too_and_with_other_numbers_of_threads():
    import torch

    reader = find_minilm()
    encoder = load_encoder(reader.model.path, reader.model.name, reader.max_tokens)
    texts = make_texts(24, 90)
    windows = cut_windows(encoder, texts, 128)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = embed_windows(encoder, windows, 128)
        torch.set_num_threads(2)
        together = embed_windows(encoder, windows[::-1], 128)[::-1]
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(alone, together)


@pytest.mark.slow
def test_the_real_model_puts_what_means_the_same_together():
    from distill_assets.curate.neighbours import find_cosine

    reader = find_minilm()
    encoder = load_encoder(reader.model.path, reader.model.name, reader.max_tokens)
    texts = [
        "How many tickets did the opera house sell in May?",
        "In May, what was the number of tickets that the opera house sold?",
        "Which bicycle station has the fewest docks?",
    ]
    first, same, other = (row.tobytes() for row in embed_windows(encoder, cut_windows(encoder, texts, 128), 128))
    assert find_cosine(first, same) > 0.9
    assert find_cosine(first, other) < 0.3


def test_a_long_text_is_read_in_windows_that_overlap_and_reach_its_end(small: Encoder):
    text = " ".join(f"w{i}" for i in range(100))
    windows = cut_windows(small, ["short", text, ""], 32)
    assert [window.text_ix for window in windows] == [0] + [1] * (len(windows) - 2) + [2]
    parts = [window for window in windows if window.text_ix == 1]
    assert parts[0].start_chars == 0 and parts[-1].end_chars == len(text)
    assert all(left.end_chars > right.start_chars for left, right in itertools.pairwise(parts))
    assert max(len(window.ids) for window in windows) == 32
    assert (windows[-1].start_chars, windows[-1].end_chars) == (0, 0)
    assert embed_windows(small, windows, 32).shape == (len(windows), 16)
    assert cut_windows(small, [], 32) == []


@given(n_tokens=st.integers(0, 3000), room=st.integers(1, 200))
def test_every_run_of_half_a_window_stands_whole_in_one(n_tokens: int, room: int):
    starts = list_starts(n_tokens, room)
    assert starts[0] == 0 and starts == sorted(set(starts))
    assert max(starts) + room >= n_tokens
    half = max(1, room // 2)
    for begin in range(0, max(0, n_tokens - half) + 1, 7):
        assert any(start <= begin and begin + half <= start + room for start in starts)


@given(n_tokens=st.integers(1, 512), max_tokens=st.integers(16, 512))
def test_widths_are_few_and_hold_the_text(n_tokens: int, max_tokens: int):
    width = find_width(n_tokens, max_tokens)
    assert width >= n_tokens
    assert n_tokens > max_tokens or width <= max_tokens
    assert width <= max(8, n_tokens * 1.26 + 8)


def test_batches_hold_every_place_once_and_are_no_larger_than_told():
    lengths = [5, 60, 64, 1, 33, 17, 17] * 40
    batches = list(cut_batches(lengths, 64, 512))
    assert sorted(place for _, batch in batches for place in batch) == list(range(len(lengths)))
    assert all(len(batch) * width <= 512 and max(lengths[place] for place in batch) <= width for width, batch in batches)
    assert len({width for width, _ in batches}) < 7


@given(arrays.arrays(np.float32, (4, 50), elements=st.floats(-100, 100, width=32)))
def test_rounding_keeps_the_direction_and_the_length_below_what_float32_sums_exactly(vectors: np.ndarray):
    rounded = round_vectors(vectors).astype(np.float64)
    assert np.abs(rounded).max() <= 127
    assert (rounded**2).sum(axis=1).max() < 2**24
    for before, after in zip(vectors.astype(np.float64), rounded, strict=True):
        if np.abs(before).max() > 1e-6:
            assert before @ after / np.sqrt((before @ before) * (after @ after)) > 0.999


def test_a_wide_vector_is_kept_short_enough():
    rounded = round_vectors(np.ones((1, 8192))).astype(np.float64)
    assert 0 < (rounded**2).sum() < 2**24


def test_a_folder_without_a_model_and_too_long_windows_are_refused(tmp_path: Path):
    with pytest.raises(BaseModelError, match="No text was read"):
        load_encoder(tmp_path, "empty", 64)
    with pytest.raises(BaseModelError, match=r"at most 512 tokens, and embedding\.max_tokens is 1024"):
        load_encoder(save_small(tmp_path / "small").path, "small", 1024)
