"""The index of n-grams and shared spans, on words that are numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.errors import LineageError
from distill_assets.lineage.trace import (
    GRAM_WORDS,
    SURE_WORDS,
    Span,
    choose_grams,
    find_candidates,
    find_spans,
    hash_grams,
    keep_longest,
    least_words,
    write_index,
)

WORDS = st.integers(0, 30)  # few, so that texts share many n-grams by chance


def hash_ids(ids: list[int]) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 2**63, 31, np.uint64)[ids] if ids else np.zeros(0, np.uint64)


def join(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return hash_ids([word for text in texts for word in text]), np.cumsum([0, *map(len, texts)])


@given(
    before=st.lists(WORDS, max_size=30), span=st.lists(WORDS, min_size=SURE_WORDS, max_size=20), after=st.lists(WORDS, max_size=30)
)
def test_every_span_of_the_promised_length_has_an_n_gram_in_the_index(before: list[int], span: list[int], after: list[int]) -> None:
    chosen, _ = choose_grams(*join([before + span + after]))
    assert set(chosen.tolist()) & set(hash_grams(hash_ids(span)).tolist())


@given(texts=st.lists(st.lists(WORDS, max_size=25), max_size=6))
def test_a_text_has_the_same_n_grams_alone_and_among_others(texts: list[list[int]]) -> None:
    grams, numbers = choose_grams(*join(texts))
    for number, text in enumerate(texts):
        alone, _ = choose_grams(*join([text]))
        assert sorted(grams[numbers == number].tolist()) == sorted(alone.tolist())
        assert (len(alone) > 0) == (len(text) >= GRAM_WORDS)


@given(output=st.lists(WORDS, max_size=25), text=st.lists(WORDS, max_size=25))
def test_spans_are_what_comparing_every_pair_of_places_finds(output: list[int], text: list[int]) -> None:
    found = set()
    for i in range(len(output)):
        for j in range(len(text)):
            n = 0
            while i + n < len(output) and j + n < len(text) and output[i + n] == text[j + n]:
                n += 1
            if n >= GRAM_WORDS:
                found.add((i, i + n))
    wanted = {one for one in found if not any(o != one and o[0] <= one[0] and one[1] <= o[1] for o in found)}
    assert [tuple(span) for span in find_spans(output, text, GRAM_WORDS)] == sorted(wanted)


def test_a_text_that_stands_in_the_output_as_a_whole_counts_though_it_is_short() -> None:
    output, question = list(range(20)), [3, 4, 5, 6, 7]
    assert find_spans(output, question, SURE_WORDS) == [Span(3, 8)]
    assert find_spans(output, [*question, 30], SURE_WORDS) == []


def test_rows_with_rare_words_in_common_come_first_and_random_ones_not_at_all(tmp_path: Path) -> None:
    common = list(range(8))
    texts = [[*common, 20 + i % 3, 25] for i in range(6)] + [[10, 11, 12, 13, 14, 15, 16, 17]]
    file = tmp_path / "index.parquet"
    assert write_index(file, [choose_grams(*join(texts))]) > 0
    found = find_candidates(file, hash_grams(hash_ids([*common, 9, 10, 11, 12, 13, 14, 15, 16, 17])), len(texts), 3)
    assert (found.rows[0], len(found.rows), found.n_rows) == (6, 3, 7)
    assert find_candidates(file, hash_grams(hash_ids([26, 3, 27, 5, 28, 1, 29, 0])), len(texts), 3).rows == []
    assert find_candidates(file, hash_grams(hash_ids([1, 2])), len(texts), 3).rows == []


def test_equal_texts_give_equal_bytes(tmp_path: Path) -> None:
    texts = [[i % 31 for i in range(n, n + 40)] for n in range(50)]
    files = [tmp_path / name for name in ("one", "two")]
    for file in files:
        write_index(file, [choose_grams(*join(texts))])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_damaged_index_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "index.parquet"
    file.write_bytes(b"PAR1 no more")
    with pytest.raises(LineageError, match="Remove it"):
        find_candidates(file, hash_grams(hash_ids([1, 2, 3, 4, 5])), 1, 1)


def test_short_outputs_need_shorter_spans_but_never_less_than_an_n_gram() -> None:
    assert [least_words(n) for n in (3, 8, 11, 15, 16, 200)] == [4, 4, 6, 8, 8, 8]
    assert keep_longest([Span(0, 5), Span(1, 5), Span(4, 9)]) == [Span(0, 5), Span(4, 9)]
