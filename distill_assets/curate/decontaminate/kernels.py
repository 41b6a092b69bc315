"""Compiled loops of decontamination, over bytes and word hashes.

Belongs here: what must run once for each byte, word or hit, as numba functions on arrays. Does not belong here: frames, texts,
rules; this module is imported inside the functions that need it.

The scan: a polynomial hash rolls over the words of a text; two bits of a small table, which stays in the processor's cache,
say for most places that no item has these words; what is left is looked up in a hash table of 64-bit keys. A false hit needs
two runs of words with the same 64-bit hash.

Sources: M. O. Rabin and R. M. Karp, "Efficient randomized pattern-matching algorithms" (1987), for the rolling hash; B. H.
Bloom (1970), for the bit table; both bits in one block as in F. Putze et al., "Cache-, hash- and space-efficient Bloom filters"
(2007).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from distill_assets.curate.kernels import FNV_PRIME, FNV_START, LETTERS, mix

# An odd multiplier with well spread bits: 2^64 divided by the golden ratio (D. Knuth, TAOCP 3, 6.4).
BASE = np.uint64(0x9E3779B97F4A7C15)
FEW = 24
ZERO, ONE = np.uint64(0), np.uint64(1)
LOW_BITS, HIGH_BITS = np.uint64(63), np.uint64(20)
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
