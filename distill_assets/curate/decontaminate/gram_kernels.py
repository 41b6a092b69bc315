"""Compiled loops over word n-grams: their rolling hashes, and where those of a table stand in texts.

Belongs here: numba functions on word hashes. Does not belong here: how much of an item the places cover (cover_kernels). Imported
inside the functions that need it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# An odd multiplier with well spread bits: 2^64 divided by the golden ratio (D. Knuth, TAOCP 3, 6.4).
BASE = np.uint64(0x9E3779B97F4A7C15)
ZERO, ONE = np.uint64(0), np.uint64(1)
LOW_BITS, HIGH_BITS = np.uint64(63), np.uint64(20)


@njit(cache=True)
def power(n):
    """BASE to the n."""
    value = ONE
    for _ in range(n):
        value *= BASE
    return value


@njit(cache=True, nogil=True)
def hash_ngrams(hashes, offsets, n):
    """All word n-grams: hash (uint64), text (int32) and place of the first word within its text (int32)."""
    total = 0
    for text in range(len(offsets) - 1):
        total += max(0, offsets[text + 1] - offsets[text] - n + 1)
    grams, texts, places = np.empty(total, np.uint64), np.empty(total, np.int32), np.empty(total, np.int32)
    top, at = power(n - 1), 0
    for text in range(len(offsets) - 1):
        first, rolled = offsets[text], ZERO
        for place in range(first, offsets[text + 1]):
            rolled = rolled * BASE + hashes[place]
            begin = place - n + 1
            if begin >= first:
                grams[at], texts[at], places[at] = rolled, text, begin - first
                rolled -= hashes[begin] * top
                at += 1
    return grams, texts, places


@njit(cache=True)
def count_covered(texts, places, n, n_texts):
    """How many words of each text its n-grams cover; `texts` and `places` of the grams are in order."""
    covered = np.zeros(n_texts, np.int32)
    for at in range(len(texts)):
        is_same = at > 0 and texts[at] == texts[at - 1]
        covered[texts[at]] += min(n, places[at] - places[at - 1]) if is_same else n
    return covered


@njit(cache=True, inline="always")
def two_bits(gram_hash):
    """The two bits of a block of 64 that stand for a gram."""
    return (ONE << (gram_hash >> np.uint64(58))) | (ONE << ((gram_hash >> np.uint64(52)) & LOW_BITS))


@njit(cache=True)
def fill_tables(grams, bits, keys, slots):
    """Enter distinct `grams` into the bit table and the hash table; both have a power of two of places, empty slots are -1."""
    block_mask, mask = np.uint64(len(bits) - 1), np.uint64(len(keys) - 1)
    for gram in range(len(grams)):
        bits[grams[gram] & block_mask] |= two_bits(grams[gram])
        slot = (grams[gram] >> HIGH_BITS) & mask
        while slots[slot] >= 0:
            slot = (slot + ONE) & mask
        keys[slot], slots[slot] = grams[gram], gram


@njit(cache=True, inline="always")
def find_slot(gram_hash, keys, slots):
    """The number of the gram with this hash, or -1."""
    mask = np.uint64(len(keys) - 1)
    slot = (gram_hash >> HIGH_BITS) & mask
    while slots[slot] >= 0 and keys[slot] != gram_hash:
        slot = (slot + ONE) & mask
    return slots[slot]


@njit(cache=True, nogil=True)
def scan_ngrams(hashes, offsets, n, tables, is_first_only):
    """Places whose n-gram is in `tables` (bits, keys, slots, number of grams), as rows of text, word within it, gram (int32).

    With `is_first_only`, only the first place of each gram in each text.
    """
    bits, keys, slots, n_grams = tables
    seen = np.full(n_grams, -1, np.int32)
    found, n_found = np.empty((1024, 3), np.int32), 0
    passed = np.empty(0, np.int64)
    for text in range(len(offsets) - 1):
        n_words = offsets[text + 1] - offsets[text]
        if n_words < n:
            continue
        if n_words > len(passed):
            passed = np.empty(2 * n_words, np.int64)
        words = hashes[offsets[text] : offsets[text + 1]]
        for begin in passed[: _pass_places(words, n, bits, passed)]:
            gram = find_slot(hash_one(words, begin, n), keys, slots)
            if gram < 0 or (is_first_only and seen[gram] == text):
                continue
            seen[gram] = text
            if n_found == len(found):
                found = np.concatenate((found, np.empty_like(found)))
            found[n_found, 0], found[n_found, 1], found[n_found, 2] = text, begin, gram
            n_found += 1
    return found[:n_found].copy()


@njit(cache=True)
def _pass_places(words, n, bits, passed):
    """Write the places at which the bit table does not say no to `passed`; how many they are."""
    block_mask, top, size = np.uint64(len(bits) - 1), power(n - 1), np.uint64(n)
    n_passed, rolled = np.uint64(0), ZERO
    for place in range(np.uint64(0), size - ONE):
        rolled = rolled * BASE + words[place]
    for begin in range(np.uint64(0), np.uint64(len(words)) - size + ONE):
        rolled = rolled * BASE + words[begin + size - ONE]
        pair = two_bits(rolled)
        passed[n_passed] = begin
        n_passed += np.uint64((bits[rolled & block_mask] & pair) == pair)  # no branch
        rolled -= words[begin] * top
    return n_passed


@njit(cache=True)
def hash_one(words, begin, n):
    """The hash of the n-gram that begins at word `begin`."""
    value = ZERO
    for place in range(begin, begin + n):
        value = value * BASE + words[place]
    return value
