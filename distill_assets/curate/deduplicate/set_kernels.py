"""Compiled loops that make documents searchable: sets of shingles, how common each is, prefixes, MinHash bands.

Belongs here: numba functions on arrays of one document after the other. Does not belong here: comparing documents (join_kernels),
frames or texts (shingles, pairs). Imported inside the functions that need it.

A document is the sorted set of its shingles' hashes, in CSR form: `tokens[offsets[d]:offsets[d + 1]]`. Two documents with a
Jaccard similarity of at least t share one of their n - ceil(t n) + 1 rarest shingles, whatever rarest means, as long as all
documents use one total order (prefix filter: Chaudhuri, Ganti & Kaushik, ICDE 2006; Bayardo, Ma & Srikant, WWW 2007). Here it is
the order of (class of document frequency in a hashed table, hash): the table only decides how fast the search is, never what it finds.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from distill_assets.curate.kernels import FNV_PRIME, FNV_START, mix

BEGIN, END = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
# What keeps a product of threshold and size from rounding up over a whole number.
EPSILON = 1e-9
N_CLASSES = 16
SMALL = 96  # up to here counting beats sorting


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


@njit(cache=True)
def sort_set(values, n, scratch):
    """Sort the first n values in place, each once; return how many are left.

    A short list is sorted by counting for each value how many are smaller: quadratic, and yet several times faster than a sort
    that branches, since a processor counts eight values at a time.
    """
    if n > SMALL:
        values[:n].sort()
    else:
        for i in range(n):
            scratch[i] = values[i]
        n_same = 0
        for i in range(n):
            value = scratch[i]
            place = 0
            same = 0
            for j in range(n):
                place += scratch[j] < value
                same += scratch[j] == value
            values[place] = value
            n_same += same - 1
        if n_same:  # equal values fell into one place
            for i in range(n):
                values[i] = scratch[i]
            values[:n].sort()
    kept = 1
    for place in range(1, n):
        values[kept] = values[place]
        kept += values[place] != values[kept - 1]
    return kept


@njit(cache=True, nogil=True)
def build_shingles(words, offsets, groups, raw, n, tokens, begin):
    """Sorted set of each document's shingles, and a hash of the whole set.

    Args:
        words, offsets: word hashes of all documents. groups: uint64 a document; documents of two groups share no shingle.
        raw: uint64 a document, what stands for one without a word. n: words a shingle; the text's begin and end count as words.
        tokens: where the shingles go, from `begin` on (uint64).

    Returns:
        where each document's shingles end (int64), set hashes (uint64), signatures (uint64).

    A signature is the set as 64 parities: two documents differ in at least as many shingles as their signatures in bits. Source:
    bitmap filter, Sandes, Teodoro & Melo, "Bitmap Filter: Speeding up Exact Set Similarity Joins with Bitwise Operations"
    (arXiv 1711.07295), the Bitmap-Xor method.
    """
    n_documents = len(offsets) - 1
    ends = np.empty(n_documents, np.int64)
    whole, signatures = np.empty(n_documents, np.uint64), np.empty(n_documents, np.uint64)
    longest = 0
    for document in range(n_documents):
        longest = max(longest, offsets[document + 1] - offsets[document])
    marked = np.empty(longest + 2, np.uint64)
    marked[0] = BEGIN
    scratch = np.empty(SMALL, np.uint64)
    for document in range(n_documents):
        n_words = offsets[document + 1] - offsets[document]
        group = groups[document] * FNV_PRIME
        if n_words == 0:
            tokens[begin] = mix(mix(groups[document]) ^ raw[document])
            n_tokens = 1
        else:
            for place in range(n_words):
                marked[place + 1] = words[offsets[document] + place]
            marked[n_words + 1] = END
            width = min(n, n_words + 2)
            n_tokens = n_words + 3 - width
            spelled = tokens[begin : begin + n_tokens]
            for place in range(n_tokens):
                spelled[place] = mix(group + marked[place])
            for step in range(1, width):
                for place in range(n_tokens):
                    spelled[place] = mix(spelled[place] * FNV_PRIME + marked[place + step])
            n_tokens = sort_set(spelled, n_tokens, scratch)
        state, signature = np.uint64(n_tokens), np.uint64(0)
        for place in range(begin, begin + n_tokens):
            token = tokens[place]
            state = (state ^ token) * FNV_PRIME
            signature ^= np.uint64(1) << (token & np.uint64(63))
        whole[document], signatures[document] = mix(state), signature
        begin += n_tokens
        ends[document] = begin
    return ends, whole, signatures


@njit(cache=True, nogil=True)
def find_classes(tokens, bits):
    """How common the shingles are that fall into each of 2**bits places: the logarithm of their number (uint8)."""
    counts = np.zeros(1 << bits, np.uint16)
    shift = np.uint64(64 - bits)
    for token in tokens:
        place = token >> shift
        if counts[place] < 65_535:
            counts[place] += np.uint16(1)
    classes = np.zeros(1 << bits, np.uint8)
    for place in range(len(counts)):
        count = counts[place]
        while count > 1:
            count >>= 1
            classes[place] += np.uint8(1)
    return classes


@njit(cache=True, inline="always")
def count_needed(size, threshold):
    """Fewest shingles that a document of `size` must share with any other that reaches the threshold."""
    return int(np.ceil(threshold * size - EPSILON))


@njit(cache=True, inline="always")
def find_shift(size):
    """How far a hash is shifted to fall into a table of `size` places, a power of two."""
    shift = np.uint64(64)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    return shift


@njit(cache=True, nogil=True)
def choose_prefixes(tokens, begins, ends, classes, threshold):
    """Each document's rarest shingles by (class, hash), rarest first, as many as the prefix filter needs.

    Returns:
        prefix tokens (uint64) and their offsets (int64, documents + 1).
    """
    n_documents = len(begins)
    shift = find_shift(len(classes))
    offsets = np.zeros(n_documents + 1, np.int64)
    longest = 1
    for document in range(n_documents):
        n = ends[document] - begins[document]
        longest = max(longest, n)
        offsets[document + 1] = offsets[document] + n - count_needed(n, threshold) + 1
    prefixes = np.empty(offsets[n_documents], np.uint64)
    found = np.empty(longest, np.uint8)
    places = np.empty(N_CLASSES + 1, np.int64)
    for document in range(n_documents):
        first, begin = offsets[document], begins[document]
        wanted = offsets[document + 1] - first
        places[:] = 0
        for at in range(ends[document] - begin):
            class_ = classes[tokens[begin + at] >> shift]
            found[at] = class_
            places[class_ + 1] += 1
        for class_ in range(N_CLASSES):
            places[class_ + 1] += places[class_]
        for at in range(ends[document] - begin):  # ascending hashes, so those of one class stay in their order
            place = places[found[at]]
            places[found[at]] += 1
            if place < wanted:
                prefixes[first + place] = tokens[begin + at]
    return prefixes, offsets


@njit(cache=True, nogil=True)
def build_bands(tokens, begins, ends, multipliers, addends, n_rows):
    """MinHash bands in the place of prefixes: one key a band, from the minima of `n_rows` hash functions.

    Args:
        multipliers (odd), addends: uint64, one a hash function h(x) = (a x + b) >> 32 over 64 bits, which is pairwise
        independent enough for minima (Dietzfelbinger et al., 1997).

    Returns:
        band keys (uint64) and their offsets (int64, documents + 1).
    """
    n_documents, n_functions = len(begins), len(multipliers)
    n_bands = n_functions // n_rows
    keys = np.empty(n_documents * n_bands, np.uint64)
    minima = np.empty(n_functions, np.uint64)
    for document in range(n_documents):
        minima[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for place in range(begins[document], ends[document]):
            token = tokens[place]
            for function in range(n_functions):
                minima[function] = min(minima[function], (multipliers[function] * token + addends[function]) >> np.uint64(32))
        for band in range(n_bands):
            state = np.uint64(band)
            for row in range(n_rows):
                state = mix(state * FNV_PRIME + minima[band * n_rows + row])
            keys[document * n_bands + band] = state
    return keys, np.arange(n_documents + 1) * n_bands
