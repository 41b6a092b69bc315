"""Compiled loops that compare documents: the prefix-filter join, and who stays.

Belongs here: numba functions on sets of shingles. Does not belong here: making them (set_kernels), or repairing a result after a
change (repair). Imported inside the functions that need it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from distill_assets.curate.deduplicate.set_kernels import EPSILON, count_needed


@njit(cache=True, inline="always")
def count_bits(value):
    """Bits that are set in 64."""
    value -= (value >> np.uint64(1)) & np.uint64(0x5555555555555555)
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((value * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, inline="always")
def count_shared(tokens, a, a_end, b, b_end, needed):
    """Shingles that two documents share; -1 as soon as fewer than `needed` are possible."""
    shared = 0
    while a < a_end and b < b_end:
        left, right = tokens[a], tokens[b]
        if left == right:
            shared += 1
            a += 1
            b += 1
        else:
            a += left < right
            b += right < left
            if shared + min(a_end - a, b_end - b) < needed:
                return -1
    return shared


@njit(cache=True, inline="always")
def find_similarity(tokens, begins, ends, a, b, threshold):
    """Jaccard similarity of two documents if it reaches the threshold, else 0."""
    n_a, n_b = ends[a] - begins[a], ends[b] - begins[b]
    needed = int(np.ceil(threshold / (1 + threshold) * (n_a + n_b) - EPSILON))
    shared = count_shared(tokens, begins[a], ends[a], begins[b], ends[b], needed)
    if shared <= 0:
        return 0.0
    similarity = shared / (n_a + n_b - shared)
    return similarity if similarity >= threshold else 0.0


@njit(cache=True, nogil=True)
def open_table(prefixes, offsets, ends, bits):
    """Room for the postings of each document's prefix up to `ends`: where each of 2**bits buckets begins and is filled to, side
    by side (int32)."""
    shift = np.uint64(64 - bits)
    cursors = np.zeros(2 << bits, np.int32)
    for document in range(len(ends)):
        for place in range(offsets[document], ends[document]):
            cursors[2 * np.int64(prefixes[place] >> shift)] += 1
    total = 0
    for bucket in range(1 << bits):
        size = cursors[2 * bucket]
        cursors[2 * bucket] = cursors[2 * bucket + 1] = total
        total += size
    return cursors


@njit(cache=True, inline="always")
def post(postings, cursors, bucket, document, size, signature):
    """Add a document to a bucket: its number with its size in one word, its signature in the next, so that one look at memory
    tells most candidates apart."""
    place = cursors[2 * bucket + 1]
    postings[2 * place] = (np.uint64(size) << np.uint64(32)) | np.uint64(document)
    postings[2 * place + 1] = signature
    cursors[2 * bucket + 1] = place + 1


@njit(cache=True, nogil=True)
def build_postings(prefixes, offsets, starts, signatures, bits):
    """All documents' postings at once: the cursors of `open_table`, and the postings."""
    shift = np.uint64(64 - bits)
    cursors = open_table(prefixes, offsets, offsets[1:], bits)
    postings = np.empty(2 * len(prefixes), np.uint64)
    for document in range(len(starts) - 1):
        size = starts[document + 1] - starts[document]
        for place in range(offsets[document], offsets[document + 1]):
            post(postings, cursors, np.int64(prefixes[place] >> shift), document, size, signatures[document])
    return cursors, postings


@njit(cache=True, nogil=True)
def join_pairs(tokens, begins, ends, signatures, prefixes, offsets, threshold, by_size, bits):
    """All pairs of documents whose similarity reaches the threshold.

    Args:
        tokens, begins, ends: document d is tokens[begins[d]:ends[d]]. signatures: of `build_shingles`. prefixes, offsets: of
        `choose_prefixes`. by_size: the documents, smallest set first. bits: size of the table of postings, 2**bits.

    Returns:
        left, right (int32, left < right) and similarity (float64), in no particular order.
    """
    shift = np.uint64(64 - bits)
    # What is posted only has to meet larger documents, so a shorter prefix does (Xiao et al., PPJoin, WWW 2008).
    tight = 2 * threshold / (1 + threshold)
    posted_ends = np.empty(len(begins), np.int64)
    n_posted = 0
    for document in range(len(begins)):
        n = ends[document] - begins[document]
        posted_ends[document] = min(offsets[document + 1], offsets[document] + n - count_needed(n, tight) + 1)
        n_posted += posted_ends[document] - offsets[document]
    cursors = open_table(prefixes, offsets, posted_ends, bits)
    postings = np.empty(2 * n_posted, np.uint64)
    seen = np.full(len(begins), -1, np.int32)
    left, right = np.empty(1024, np.int32), np.empty(1024, np.int32)
    similarity = np.empty(1024, np.float64)
    n_found = 0
    share = threshold / (1 + threshold)
    for document in by_size:
        n = ends[document] - begins[document]
        least = count_needed(n, threshold)
        signature = signatures[document]
        first, last = offsets[document], offsets[document + 1]
        for place in range(first, last):
            bucket = np.int64(prefixes[place] >> shift)
            for entry in range(cursors[2 * bucket], cursors[2 * bucket + 1]):
                word = postings[2 * entry]
                size = np.int64(word >> np.uint64(32))
                if size < least:
                    continue
                needed = int(np.ceil(share * (n + size) - EPSILON))
                if count_bits(signature ^ postings[2 * entry + 1]) > n + size - 2 * needed:
                    continue
                other = np.int64(word & np.uint64(0xFFFFFFFF))
                if seen[other] == document:
                    continue
                seen[other] = document
                found = find_similarity(tokens, begins, ends, document, other, threshold)
                if found > 0:
                    if n_found == len(left):
                        left, right = grow(left), grow(right)
                        similarity = grow(similarity)
                    left[n_found], right[n_found] = min(document, other), max(document, other)
                    similarity[n_found] = found
                    n_found += 1
        for place in range(first, posted_ends[document]):
            post(postings, cursors, np.int64(prefixes[place] >> shift), document, n, signature)
    return left[:n_found].copy(), right[:n_found].copy(), similarity[:n_found].copy()


@njit(cache=True)
def grow(values):
    """A copy with twice the room."""
    larger = np.empty(len(values) * 2, values.dtype)
    larger[: len(values)] = values
    return larger


@njit(cache=True, nogil=True)
def solve_keep(tokens, begins, ends, signatures, prefixes, offsets, threshold, order, bits):
    """Who stays: the lexicographically first maximal independent set along `order`, without listing all pairs.

    Each document is held against those that stay and come before it; the first of them represents it. So the work grows with
    documents times the ones that stay among their like, and a family of a hundred thousand around one text costs no more
    than a hundred thousand comparisons.

    Args:
        order: the documents, most wanted first; the rest as in `join_pairs`.

    Returns:
        representative (int32 a document, itself when it stays) and similarity to it (float64).
    """
    n_documents = len(begins)
    shift = np.uint64(64 - bits)
    cursors = open_table(prefixes, offsets, offsets[1:], bits)
    postings = np.empty(2 * len(prefixes), np.uint64)
    representative = np.full(n_documents, -1, np.int32)
    similarity = np.ones(n_documents, np.float64)
    share = threshold / (1 + threshold)
    for position in range(n_documents):
        document = order[position]
        n = ends[document] - begins[document]
        least = count_needed(n, threshold)
        signature = signatures[document]
        first, last = offsets[document], offsets[document + 1]
        best = n_documents  # by position, which is what is posted
        for place in range(first, last):
            bucket = np.int64(prefixes[place] >> shift)
            for entry in range(cursors[2 * bucket], cursors[2 * bucket + 1]):
                word = postings[2 * entry]
                before = np.int64(word & np.uint64(0xFFFFFFFF))
                if before >= best:
                    break
                size = np.int64(word >> np.uint64(32))
                if size < least:
                    continue
                needed = int(np.ceil(share * (n + size) - EPSILON))
                if count_bits(signature ^ postings[2 * entry + 1]) > n + size - 2 * needed:
                    continue
                found = find_similarity(tokens, begins, ends, document, order[before], threshold)
                if found > 0:
                    best = before
                    similarity[document] = found
                    break
        if best < n_documents:
            representative[document] = order[best]
            continue
        representative[document] = document
        for place in range(first, last):
            post(postings, cursors, np.int64(prefixes[place] >> shift), position, n, signature)
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
