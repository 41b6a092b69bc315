"""Compiled loops of near-duplicate search: shingles, the prefix-filter join, and the samples that stay.

Belongs here: numba functions on arrays. Does not belong here: frames, texts, storage (shingles, pairs, index). Imported inside
the functions that need it.

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
def count_bits(value):
    """Bits that are set in 64."""
    value -= (value >> np.uint64(1)) & np.uint64(0x5555555555555555)
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((value * np.uint64(0x0101010101010101)) >> np.uint64(56))


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
    by side (int64)."""
    shift = np.uint64(64 - bits)
    cursors = np.zeros(2 << bits, np.int64)
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
