"""Compiled loops of curation, over bytes, word hashes and shingles.

Belongs here: what must run once for each byte, word or candidate pair, as numba functions on arrays. Does not belong here: any
frame, text or rule that can be said without a loop; this module is imported inside the functions that need it.

All hashes are 64 bits wide and the same on every machine: FNV-1a over bytes, finished with MurmurHash3's mixer (fmix64).
"""

from __future__ import annotations

import numpy as np
from numba import njit

FNV_START = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
SHIFT = np.uint64(33)


def _make_letters() -> np.ndarray:
    """Byte -> its lower-case letter if it is part of a word, else 0. Bytes from 128 on are letters: folding left no others."""
    letters = np.zeros(256, np.uint8)
    for byte in range(256):
        is_letter = byte >= 128 or chr(byte).isalnum() or byte == ord("_")
        letters[byte] = byte + 32 if ord("A") <= byte <= ord("Z") else byte * is_letter
    return letters


LETTERS = _make_letters()


@njit(cache=True, inline="always")
def mix(value):
    """MurmurHash3's fmix64."""
    value ^= value >> SHIFT
    value *= MIX_1
    value ^= value >> SHIFT
    value *= MIX_2
    return value ^ (value >> SHIFT)


@njit(cache=True, nogil=True)
def hash_words(data, starts):
    """Hashes of all words (uint64) and where each text's begin (int64, texts + 1).

    Without a branch for each byte: the state is stored at every byte, and the place moves on where a word ends.
    """
    n_texts = len(starts) - 1
    offsets = np.zeros(n_texts + 1, np.int64)
    hashes = np.empty((starts[n_texts] - starts[0] + n_texts) // 2 + 2, np.uint64)  # a word and its space take two bytes
    n = 0
    for text in range(n_texts):
        state = FNV_START
        was_letter = False
        for place in range(starts[text], starts[text + 1]):
            letter = LETTERS[data[place]]
            is_letter = letter != 0
            hashes[n] = state
            n += was_letter & (not is_letter)
            state = (state ^ np.uint64(letter)) * FNV_PRIME if is_letter else FNV_START
            was_letter = is_letter
        hashes[n] = state
        n += was_letter
        offsets[text + 1] = n
    for place in range(n):
        hashes[place] = mix(hashes[place])
    return hashes[:n], offsets  # a view: pages that were never written take no memory
