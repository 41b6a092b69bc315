"""Compiled loops over the bytes of texts: words by hash, with numbers flagged, taken out, or parted by white space only.

Belongs here: numba functions from bytes to word hashes and back. Does not belong here: n-grams (gram_kernels). Imported inside the
functions that need it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from distill_assets.curate.kernels import FNV_PRIME, FNV_START, LETTERS, mix

ZERO, ONE = np.uint64(0), np.uint64(1)
SPELLED_BITS = np.uint64(4095)
NUMBER = np.uint64(0x6E756D626572)  # stands for every number


@njit(cache=True, nogil=True)
def hash_flagged(data, starts):
    """As curate.kernels.hash_words, and whether each word holds an ASCII digit (uint8).

    Where words end cannot be predicted, so nothing branches: a word's slot is written at each of its bytes, the last write stays.
    """
    n_texts = len(starts) - 1
    size = (starts[n_texts] - starts[0] + n_texts) // 2 + 2
    hashes, flags, offsets = np.empty(size, np.uint64), np.empty(size, np.uint8), np.zeros(n_texts + 1, np.int64)
    n = ZERO
    for text in range(n_texts):
        state, has_digit, was_letter = FNV_START, np.uint8(0), ZERO
        for place in range(np.uint64(starts[text]), np.uint64(starts[text + 1])):
            letter = LETTERS[data[place]]
            is_letter = np.uint64(letter != 0)
            n += was_letter & ~is_letter
            state = (state ^ np.uint64(letter)) * FNV_PRIME if letter else FNV_START
            has_digit = np.uint8(is_letter) & (has_digit | np.uint8(data[place] - np.uint8(48) < np.uint8(10)))
            hashes[n], flags[n] = state, has_digit
            was_letter = is_letter
        n += was_letter
        offsets[text + 1] = n
    for word in range(n):
        hashes[word] = mix(hashes[word])
    return hashes[:n], offsets, flags[:n]


@njit(cache=True, nogil=True)
def place_spans(data, starts, spans):
    """Where runs of words stand in the bytes: begin and end (int64) for each row of `spans` (text, first word, words)."""
    found = np.zeros((len(spans), 2), np.int64)
    for row in range(len(spans)):
        text, first, last = spans[row, 0], spans[row, 1], spans[row, 1] + spans[row, 2]
        word, was_letter = 0, False
        found[row, 0] = found[row, 1] = starts[text]
        for place in range(starts[text], starts[text + 1]):
            is_letter = LETTERS[data[place]] != 0
            if is_letter and not was_letter:
                if word == first:
                    found[row, 0] = place
                word += 1
            was_letter = is_letter
            if is_letter and word <= last:
                found[row, 1] = place + 1
            if word > last:
                break
    return found


@njit(cache=True, nogil=True)
def abstract_numbers(hashes, offsets, flags, spelled):
    """Each run of numbers as one word: new hashes and offsets, and the place of each new word within its text (int32).

    A word is a number when its flag is set or its hash is one of `spelled`.
    """
    is_spelled = np.zeros(SPELLED_BITS + 1, np.uint8)  # a first look that says no for nearly every word
    for word in spelled:
        is_spelled[word & SPELLED_BITS] = 1
    kept, places, starts = np.empty_like(hashes), np.empty(len(hashes), np.int32), np.zeros_like(offsets)
    n = ZERO
    for text in range(len(offsets) - 1):
        was_number = False
        first = np.uint64(offsets[text])
        for place in range(first, np.uint64(offsets[text + 1])):
            word = hashes[place]
            is_number = flags[place] != 0
            if is_spelled[word & SPELLED_BITS]:
                is_number |= _is_one_of(word, spelled)
            kept[n], places[n] = NUMBER if is_number else word, place - first  # written over when it is a number's second word
            n += np.uint64(not (is_number and was_number))
            was_number = is_number
        starts[text + 1] = n
    return kept[:n], starts, places[:n]


@njit(cache=True)
def _is_one_of(word, words):
    for other in words:  # noqa: SIM110 - numba compiles loops, not generators
        if other == word:
            return True
    return False


@njit(cache=True, nogil=True)
def hash_spaced(data, starts):
    """As curate.kernels.hash_words, of texts in lower case whose words are parted by spaces alone."""
    n_texts = len(starts) - 1
    offsets = np.zeros(n_texts + 1, np.int64)
    hashes = np.empty((starts[n_texts] - starts[0] + n_texts) // 2 + 1, np.uint64)
    n = 0
    for text in range(n_texts):
        state, is_word = FNV_START, False
        for place in range(starts[text], starts[text + 1]):
            if data[place] != 32:
                state = (state ^ np.uint64(data[place])) * FNV_PRIME
                is_word = True
            elif is_word:
                hashes[n] = mix(state)
                n += 1
                state, is_word = FNV_START, False
        if is_word:
            hashes[n] = mix(state)
            n += 1
        offsets[text + 1] = n
    return hashes[:n].copy(), offsets
