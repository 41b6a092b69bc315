"""Compiled loops from shared n-grams to items: how much of each stands in a text, and what stands near it.

Belongs here: numba functions on places of n-grams. Does not belong here: finding the places (gram_kernels). Imported inside the
functions that need it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FEW = 24
ZERO, ONE = np.uint64(0), np.uint64(1)


@njit(cache=True, nogil=True)
def cover_variants(found, posting_starts, posting_variants, posting_places, widths, n):
    """How much of each item variant stands in each text.

    Args:
        found: rows of `scan_ngrams`, the first place of each gram in each text.
        posting_starts: for each gram, where its postings begin (grams + 1).
        posting_variants, posting_places: the variant that holds the gram, and at which of its words.
        widths: for each variant, words of the text within which its grams must stand; where they are further apart, the
            stretch that holds most of them counts.
        n: words of a gram.

    Returns:
        A row for each text and variant that share a gram: text, variant, words of the variant in shared grams, shared grams,
        and the longest run of them: its first word in the text, its words (int32).
    """
    covers, n_covers, begin = np.empty((1024, 6), np.int32), 0, 0
    while begin < len(found):
        end, n_pairs = begin, 0
        while end < len(found) and found[end, 0] == found[begin, 0]:
            n_pairs += posting_starts[found[end, 2] + 1] - posting_starts[found[end, 2]]
            end += 1
        if n_pairs == 1:  # most texts that share anything: nothing to sort
            if n_covers == len(covers):
                covers = np.concatenate((covers, np.empty_like(covers)))
            text, place, gram = found[begin]
            row = covers[n_covers]
            row[0], row[1], row[2] = text, posting_variants[posting_starts[gram]], n
            row[3], row[4], row[5] = 1, place, n
            n_covers += 1
            begin = end
            continue
        keys, places = _expand(found[begin:end], posting_starts, posting_variants, posting_places, n_pairs)
        at = 0
        while at < n_pairs:
            variant, stop = keys[at] >> 32, at
            while stop < n_pairs and keys[stop] >> 32 == variant:
                stop += 1
            low = _find_stretch(places[at:stop], widths[variant])
            if n_covers == len(covers):
                covers = np.concatenate((covers, np.empty_like(covers)))
            covers[n_covers, 0], covers[n_covers, 1] = found[begin, 0], variant
            covers[n_covers, 2:] = _cover_one(keys[at:stop], places[at:stop], low, low + widths[variant], n)
            n_covers += 1
            at = stop
        begin = end
    return covers[:n_covers].copy()


@njit(cache=True)
def _expand(found, posting_starts, posting_variants, posting_places, n_pairs):
    """(variant, word of the variant) as one sorted key, and the word of the text that it meets."""
    keys, places, at = np.empty(n_pairs, np.int64), np.empty(n_pairs, np.int64), 0
    for row in range(len(found)):
        for posting in range(posting_starts[found[row, 2]], posting_starts[found[row, 2] + 1]):
            keys[at] = (np.int64(posting_variants[posting]) << 32) | posting_places[posting]
            places[at] = found[row, 1]
            at += 1
    if n_pairs > FEW:
        order = np.argsort(keys, kind="mergesort")
        return keys[order], places[order]
    for last in range(1, n_pairs):  # most texts share a gram or two, for which a sort of its own costs more than it sorts
        key, place, at = keys[last], places[last], last
        while at > 0 and keys[at - 1] > key:
            keys[at], places[at] = keys[at - 1], places[at - 1]
            at -= 1
        keys[at], places[at] = key, place
    return keys, places


@njit(cache=True)
def _find_stretch(places, width):
    """The first word of the stretch of `width` words that holds most of `places`."""
    if places.max() - places.min() <= width:
        return places.min()
    ordered = np.sort(places)
    best, most, first = 0, 0, 0
    for last in range(len(ordered)):
        while ordered[last] - ordered[first] > width:
            first += 1
        if last - first + 1 > most:
            best, most = ordered[first], last - first + 1
    return best


@njit(cache=True)
def _cover_one(keys, places, low, high, n):
    """Of one variant's rows with places from `low` to `high`: covered words, grams, the longest run's first word and words."""
    cover, last, run = np.zeros(4, np.int32), -1, 0
    for at in range(len(keys)):
        if places[at] < low or places[at] > high:
            continue
        is_next = last >= 0 and keys[at] == keys[last] + 1
        cover[0] += n if last < 0 else min(n, keys[at] - keys[last])
        cover[1] += 1
        run = run + 1 if is_next and places[at] == places[last] + 1 else n
        if run > cover[3]:
            cover[2], cover[3] = places[at] + n - run, run
        last = at
    return cover


@njit(cache=True, nogil=True)
def match_whole(found, posting_starts, posting_variants, words, texts):
    """Hits of a variant's first words at which the whole variant stands: rows of text, variant, first word (int32).

    Args:
        found: rows of `scan_ngrams`, every place.
        posting_starts, posting_variants: for each gram, the variants that begin with it.
        words: hashes and offsets of the variants' words.
        texts: hashes and offsets of the texts' words.
    """
    matches, n_matches = np.empty((1024, 3), np.int32), 0
    for row in range(len(found)):
        begin = texts[1][found[row, 0]] + found[row, 1]
        n_left = texts[1][found[row, 0] + 1] - begin
        for posting in range(posting_starts[found[row, 2]], posting_starts[found[row, 2] + 1]):
            variant = posting_variants[posting]
            first, n_words = words[1][variant], words[1][variant + 1] - words[1][variant]
            if n_words > n_left or not _is_equal(texts[0], begin, words[0], first, n_words):
                continue
            if n_matches == len(matches):
                matches = np.concatenate((matches, np.empty_like(matches)))
            matches[n_matches, 0], matches[n_matches, 1], matches[n_matches, 2] = found[row, 0], variant, found[row, 1]
            n_matches += 1
    return matches[:n_matches].copy()


@njit(cache=True)
def _is_equal(left, left_begin, right, right_begin, n):
    for i in range(n):  # noqa: SIM110 - numba compiles loops, not generators
        if left[left_begin + i] != right[right_begin + i]:
            return False
    return True


@njit(cache=True, nogil=True)
def find_near(matches, extras, extra_starts, texts, n_near):
    """Whether one of the word runs that belong to a match stands within `n_near` words of it (uint8, one for each match).

    Args:
        matches: text, first word and words of the match, number of its item (int32).
        extras: hashes and offsets of all runs; `extra_starts`: for each item, where its runs begin (items + 1).
        texts: hashes and offsets of the texts' words.
        n_near: words before and after the match that are looked through.
    """
    is_near = np.zeros(len(matches), np.uint8)
    for row in range(len(matches)):
        text, place, n_words, item = matches[row]
        low = texts[1][text] + max(0, place - n_near)
        begin = texts[1][text] + place
        high = min(texts[1][text + 1], begin + n_words + n_near)
        for extra in range(extra_starts[item], extra_starts[item + 1]):
            first, n_extra = extras[1][extra], extras[1][extra + 1] - extras[1][extra]
            for at in range(low, high - n_extra + 1):
                if (at + n_extra <= begin or at >= begin + n_words) and _is_equal(texts[0], at, extras[0], first, n_extra):
                    is_near[row] = 1
                    break
            if is_near[row]:
                break
    return is_near
