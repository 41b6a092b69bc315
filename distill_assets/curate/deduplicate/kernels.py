"""Compiled loops of near-duplicate search: shingles, the prefix-filter join, and the samples that stay.

Belongs here: numba functions on arrays. Does not belong here: frames, texts, storage (shingles, pairs, index). Imported inside
the functions that need it.

A document is the sorted set of its shingles' hashes, in CSR form: `tokens[offsets[d]:offsets[d + 1]]`. Two documents with a
Jaccard similarity of at least t share one of their n - ceil(t n) + 1 rarest shingles, whatever rarest means, as long as all
documents use one total order (prefix filter: Chaudhuri, Ganti & Kaushik, ICDE 2006; Bayardo, Ma & Srikant, WWW 2007). Here it is
the order of (document frequency in a hashed table, hash): the table only decides how fast the search is, never what it finds.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from distill_assets.curate.kernels import FNV_PRIME, FNV_START, mix

BEGIN, END = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
# What keeps a product of threshold and size from rounding up over a whole number.
EPSILON = 1e-9
SMALL = 48  # up to here insertion sort beats the general one


@njit(cache=True, nogil=True)
def hash_bytes(data, starts):
    """FNV-1a of each text's bytes as they are, mixed."""
    hashes = np.empty(len(starts) - 1, np.uint64)
    for text in range(len(hashes)):
        state = FNV_START
        for place in range(starts[text], starts[text + 1]):
            state = (state ^ np.uint64(data[place])) * FNV_PRIME
        hashes[text] = mix(state)
    return hashes


@njit(cache=True, inline="always")
def sort_small(values, n):
    """Sort the first n values in place."""
    for i in range(1, n):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value


@njit(cache=True, nogil=True)
def build_shingles(words, offsets, groups, raw, n):
    """Sorted set of each document's shingles, and a hash of the whole set.

    Args:
        words, offsets: word hashes of all documents. groups: uint64 a document; documents of two groups share no shingle.
        raw: uint64 a document, what stands for one without a word. n: words a shingle; the text's begin and end count as words.

    Returns:
        tokens (uint64), their offsets (int64, documents + 1), set hashes (uint64).
    """
    n_documents = len(offsets) - 1
    tokens = np.empty(len(words) + n_documents * 2, np.uint64)
    starts = np.zeros(n_documents + 1, np.int64)
    whole = np.empty(n_documents, np.uint64)
    end = 0
    for document in range(n_documents):
        first, last = offsets[document], offsets[document + 1]
        n_words = last - first
        begin = end
        if n_words == 0:
            tokens[end] = mix(mix(groups[document]) ^ raw[document])
            end += 1
        else:
            n_places = max(1, n_words + 2 - n + 1)
            width = min(n, n_words + 2)
            for place in range(n_places):
                state = groups[document]
                for step in range(width):
                    at = place + step - 1
                    word = BEGIN if at < 0 else (END if at >= n_words else words[first + at])
                    state = mix(state * FNV_PRIME + word)
                tokens[end] = state
                end += 1
            if n_places <= SMALL:
                sort_small(tokens[begin:end], n_places)
            else:
                tokens[begin:end].sort()
            kept = begin + 1
            for place in range(begin + 1, end):
                if tokens[place] != tokens[place - 1]:
                    tokens[kept] = tokens[place]
                    kept += 1
            end = kept
        state = np.uint64(end - begin)
        for place in range(begin, end):
            state = mix(state ^ tokens[place])
        whole[document] = state
        starts[document + 1] = end
    return tokens[:end].copy(), starts, whole


@njit(cache=True, nogil=True)
def count_frequencies(tokens, bits):
    """How many documents hold a shingle that falls into each of 2**bits places (uint32)."""
    counts = np.zeros(1 << bits, np.uint32)
    shift = np.uint64(64 - bits)
    for token in tokens:
        counts[token >> shift] += np.uint32(1)
    return counts


@njit(cache=True, inline="always")
def count_needed(size, threshold):
    """Fewest shingles that a document of `size` must share with any other that reaches the threshold."""
    return int(np.ceil(threshold * size - EPSILON))


@njit(cache=True, nogil=True)
def choose_prefixes(tokens, starts, counts, threshold):
    """Each document's rarest shingles, as many as the prefix filter needs.

    Returns:
        prefix tokens (uint64) and their offsets (int64, documents + 1).
    """
    n_documents = len(starts) - 1
    shift = np.uint64(64)
    size = len(counts)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    ends = np.zeros(n_documents + 1, np.int64)
    for document in range(n_documents):
        n = starts[document + 1] - starts[document]
        ends[document + 1] = ends[document] + n - count_needed(n, threshold) + 1
    prefixes = np.empty(ends[n_documents], np.uint64)
    longest = 1
    for document in range(n_documents):
        longest = max(longest, starts[document + 1] - starts[document])
    frequencies = np.empty(longest, np.uint32)
    scratch = np.empty(longest, np.uint64)
    for document in range(n_documents):
        first = starts[document]
        n = starts[document + 1] - first
        wanted = ends[document + 1] - ends[document]
        for place in range(n):
            frequencies[place] = counts[tokens[first + place] >> shift]
        if n <= SMALL:  # a stable insertion sort: equal frequencies stay in the order of the hashes
            for place in range(n):
                scratch[place] = tokens[first + place]
            for i in range(1, n):
                frequency, token = frequencies[i], scratch[i]
                j = i - 1
                while j >= 0 and frequencies[j] > frequency:
                    frequencies[j + 1], scratch[j + 1] = frequencies[j], scratch[j]
                    j -= 1
                frequencies[j + 1], scratch[j + 1] = frequency, token
        else:
            order = np.argsort(frequencies[:n], kind="mergesort")
            for place in range(n):
                scratch[place] = tokens[first + order[place]]
        for place in range(wanted):
            prefixes[ends[document] + place] = scratch[place]
    return prefixes, ends


@njit(cache=True, inline="always")
def count_shared(tokens, a, a_end, b, b_end, needed):
    """Shingles that two documents share; -1 as soon as fewer than `needed` are possible."""
    shared = 0
    while a < a_end and b < b_end:
        if shared + min(a_end - a, b_end - b) < needed:
            return -1
        left, right = tokens[a], tokens[b]
        if left == right:
            shared += 1
            a += 1
            b += 1
        elif left < right:
            a += 1
        else:
            b += 1
    return shared


@njit(cache=True, inline="always")
def find_similarity(tokens, starts, a, b, threshold):
    """Jaccard similarity of two documents if it reaches the threshold, else 0."""
    n_a, n_b = starts[a + 1] - starts[a], starts[b + 1] - starts[b]
    if min(n_a, n_b) < count_needed(max(n_a, n_b), threshold):
        return 0.0
    needed = int(np.ceil(threshold / (1 + threshold) * (n_a + n_b) - EPSILON))
    shared = count_shared(tokens, starts[a], starts[a + 1], starts[b], starts[b + 1], needed)
    if shared <= 0:
        return 0.0
    similarity = shared / (n_a + n_b - shared)
    return similarity if similarity >= threshold else 0.0


@njit(cache=True, nogil=True)
def join_pairs(tokens, starts, prefixes, prefix_starts, threshold, by_size, bits):
    """All pairs of documents whose similarity reaches the threshold.

    Args:
        by_size: the documents, smallest set first. bits: size of the table of postings, 2**bits.

    Returns:
        left, right (int32, left < right) and similarity (float64), in no particular order.
    """
    n_documents = len(starts) - 1
    shift = np.uint64(64 - bits)
    heads = np.full(1 << bits, -1, np.int32)
    following = np.empty(len(prefixes), np.int32)
    posted = np.empty(len(prefixes), np.int32)
    n_posted = 0
    seen = np.full(n_documents, -1, np.int32)
    left, right = np.empty(1024, np.int32), np.empty(1024, np.int32)
    similarity = np.empty(1024, np.float64)
    n_found = 0
    tight = 2 * threshold / (1 + threshold)
    for document in by_size:
        n = starts[document + 1] - starts[document]
        least = count_needed(n, threshold)
        first, last = prefix_starts[document], prefix_starts[document + 1]
        for place in range(first, last):
            entry = heads[prefixes[place] >> shift]
            while entry >= 0:
                other = posted[entry]
                entry = following[entry]
                if seen[other] == document or starts[other + 1] - starts[other] < least:
                    continue
                seen[other] = document
                found = find_similarity(tokens, starts, document, other, threshold)
                if found > 0:
                    if n_found == len(left):
                        left, right = grow(left), grow(right)
                        similarity = grow(similarity)
                    left[n_found], right[n_found] = min(document, other), max(document, other)
                    similarity[n_found] = found
                    n_found += 1
        # What is posted only has to meet larger documents, so a shorter prefix does (Xiao et al., PPJoin, WWW 2008).
        for place in range(first, min(last, first + n - count_needed(n, tight) + 1)):
            bucket = prefixes[place] >> shift
            posted[n_posted], following[n_posted] = document, heads[bucket]
            heads[bucket] = n_posted
            n_posted += 1
    return left[:n_found].copy(), right[:n_found].copy(), similarity[:n_found].copy()


@njit(cache=True)
def grow(values):
    """A copy with twice the room."""
    larger = np.empty(len(values) * 2, values.dtype)
    larger[: len(values)] = values
    return larger


@njit(cache=True, nogil=True)
def solve_keep(tokens, starts, prefixes, prefix_starts, threshold, order, bits):
    """Who stays: the lexicographically first maximal independent set along `order`, without listing all pairs.

    Each document is held against those that stay and come before it; the first of them represents it. So the work grows with
    documents times the ones that stay among their like, and a family of a hundred thousand around one text costs no more
    than a hundred thousand comparisons.

    Args:
        order: the documents, most wanted first.

    Returns:
        representative (int32 a document, itself when it stays) and similarity to it (float64).
    """
    n_documents = len(starts) - 1
    shift = np.uint64(64 - bits)
    heads = np.full(1 << bits, -1, np.int32)
    following = np.empty(len(prefixes), np.int32)
    posted = np.empty(len(prefixes), np.int32)
    n_posted = 0
    position = np.empty(n_documents, np.int32)
    for place in range(len(order)):
        position[order[place]] = place
    seen = np.full(n_documents, -1, np.int32)
    representative = np.full(n_documents, -1, np.int32)
    similarity = np.zeros(n_documents, np.float64)
    for document in order:
        first, last = prefix_starts[document], prefix_starts[document + 1]
        best, best_similarity = -1, 1.0
        for place in range(first, last):
            entry = heads[prefixes[place] >> shift]
            while entry >= 0:
                other = posted[entry]
                entry = following[entry]
                if seen[other] == document or (best >= 0 and position[other] > position[best]):
                    continue
                seen[other] = document
                found = find_similarity(tokens, starts, document, other, threshold)
                if found > 0:
                    best, best_similarity = other, found
        representative[document] = best if best >= 0 else document
        similarity[document] = best_similarity
        if best < 0:
            for place in range(first, last):
                bucket = prefixes[place] >> shift
                posted[n_posted], following[n_posted] = document, heads[bucket]
                heads[bucket] = n_posted
                n_posted += 1
    return representative, similarity


@njit(cache=True, nogil=True)
def solve_pairs(n_documents, left, right, similarity, order):
    """`solve_keep` over pairs that another search found.

    Returns:
        representative (int32 a document) and similarity to it (float64).
    """
    degrees = np.zeros(n_documents + 1, np.int64)
    for place in range(len(left)):
        degrees[left[place] + 1] += 1
        degrees[right[place] + 1] += 1
    offsets = np.cumsum(degrees)
    filled = offsets[:-1].copy()
    others = np.empty(2 * len(left), np.int32)
    weights = np.empty(2 * len(left), np.float64)
    for place in range(len(left)):
        a, b = left[place], right[place]
        others[filled[a]], weights[filled[a]] = b, similarity[place]
        others[filled[b]], weights[filled[b]] = a, similarity[place]
        filled[a] += 1
        filled[b] += 1
    representative = np.full(n_documents, -1, np.int32)
    strength = np.ones(n_documents, np.float64)
    for document in order:
        if representative[document] >= 0:
            continue
        representative[document] = document
        for place in range(offsets[document], offsets[document + 1]):
            other = others[place]
            if representative[other] < 0:
                representative[other] = document
                strength[other] = weights[place]
    return representative, strength
