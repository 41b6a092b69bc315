"""Compiled repair of who stays, after documents came, went or changed rank.

Belongs here: the one loop that walks from what changed to what follows from it. Does not belong here: how documents are kept
(index) or a search from nothing (kernels).

The documents that stay are the first maximal independent set by (rank, hash). A change can only reach documents that come later
in that order, so what changed is taken from a heap, most wanted first, and each document is settled once for each change that
reaches it: dynamic maximal independent set by a fixed order (Censor-Hillel, Haramaty & Karnin, PODC 2016, section 3).
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit

from distill_assets.curate.deduplicate.join_kernels import count_bits
from distill_assets.curate.deduplicate.set_kernels import EPSILON, count_needed

# Fields of a segment's tuple, as index.Segment orders them.
TOKENS, STARTS, SIGNATURES, PREFIXES, OFFSETS, CURSORS, POSTINGS = range(7)


@njit(cache=True, inline="always")
def comes_before(a, b, ranks, hashes):
    """Whether document a is more wanted than b."""
    return ranks[a] < ranks[b] or (ranks[a] == ranks[b] and hashes[a] < hashes[b])


@njit(cache=True)
def find_shared(a_tokens, a, a_end, b_tokens, b, b_end, needed):
    """Shingles that two documents share; -1 as soon as fewer than `needed` are possible."""
    shared = 0
    while a < a_end and b < b_end:
        if a_tokens[a] == b_tokens[b]:
            shared += 1
            a += 1
            b += 1
        else:
            is_less = a_tokens[a] < b_tokens[b]
            a += is_less
            b += not is_less
            if shared + min(a_end - a, b_end - b) < needed:
                return -1
    return shared


@njit(cache=True)
def list_near(document, base, delta, threshold, seen, found, similarity):
    """All documents near one, into `found` and `similarity`.

    Args:
        base, delta: segments; documents of delta follow those of base in number. seen: scratch, int32 a document.

    Returns:
        how many were found, and how many postings were looked at.
    """
    n_base = len(base[STARTS]) - 1
    own = base if document < n_base else delta
    at = document if document < n_base else document - n_base
    begin, end = own[STARTS][at], own[STARTS][at + 1]
    n, signature = end - begin, own[SIGNATURES][at]
    least = count_needed(n, threshold)
    share = threshold / (1 + threshold)
    n_found, n_visits = 0, 0
    for side in range(2):
        other_side = base if side == 0 else delta
        first = 0 if side == 0 else n_base
        bits = 0
        while (2 << bits) < len(other_side[CURSORS]):
            bits += 1
        shift = np.uint64(64 - bits)
        for place in range(own[OFFSETS][at], own[OFFSETS][at + 1]):
            bucket = np.int64(own[PREFIXES][place] >> shift)
            for entry in range(other_side[CURSORS][2 * bucket], other_side[CURSORS][2 * bucket + 1]):
                n_visits += 1
                word = other_side[POSTINGS][2 * entry]
                size = np.int64(word >> np.uint64(32))
                needed = int(np.ceil(share * (n + size) - EPSILON))
                if size < least or n < count_needed(size, threshold):
                    continue
                if count_bits(signature ^ other_side[POSTINGS][2 * entry + 1]) > n + size - 2 * needed:
                    continue
                local = np.int64(word & np.uint64(0xFFFFFFFF))
                other = local + first
                if other == document or seen[other] == document:
                    continue
                seen[other] = document
                starts = other_side[STARTS]
                shared = find_shared(own[TOKENS], begin, end, other_side[TOKENS], starts[local], starts[local + 1], needed)
                if shared > 0 and shared / (n + size - shared) >= threshold:
                    if n_found < len(found):
                        found[n_found], similarity[n_found] = other, shared / (n + size - shared)
                    n_found += 1
    return n_found, n_visits


@njit(cache=True)
def repair_keep(base, delta, threshold, units, gone, dirty, most_visits):
    """Settle who stays after a change, in place.

    Args:
        units: ranks, hashes (uint64), representative (int32, -1: not settled), similarity (float64) of all documents.
        gone: documents that stayed and are there no more or changed rank; their representative is -1 already.
        dirty: documents to settle: new ones and those with another rank.
        most_visits: postings to look at before it is cheaper to start from nothing.

    Returns:
        postings looked at; -1 when they were too many, and `units` is not settled.
    """
    ranks, hashes, representative, similarity = units
    n_documents = len(ranks)
    seen = np.full(n_documents, -1, np.int32)
    found, strength = np.empty(4096, np.int64), np.empty(4096, np.float64)
    n_visits = 0
    heap = [(np.uint64(0), np.uint64(0), np.int64(-1))]
    heap.pop()
    for document in dirty:
        heapq.heappush(heap, (ranks[document], hashes[document], np.int64(document)))
    for document in gone:
        n_found, visits = list_near(document, base, delta, threshold, seen, found, strength)
        seen[document] = -1
        n_visits += visits
        if n_visits > most_visits or n_found > len(found):
            return -1
        for place in range(n_found):
            other = found[place]
            seen[other] = -1
            if representative[other] == document:
                representative[other] = -1
                heapq.heappush(heap, (ranks[other], hashes[other], other))
    last = np.int64(-1)
    while len(heap) > 0:
        document = heapq.heappop(heap)[2]
        if document == last:
            continue
        last = document
        n_found, visits = list_near(document, base, delta, threshold, seen, found, strength)
        n_visits += visits
        if n_visits > most_visits or n_found > len(found):
            return -1
        best, best_similarity = np.int64(-1), 1.0
        for place in range(n_found):
            other = found[place]
            seen[other] = -1
            stays = representative[other] == other and comes_before(other, document, ranks, hashes)
            if stays and (best < 0 or comes_before(other, best, ranks, hashes)):
                best, best_similarity = other, strength[place]
        stayed = representative[document] == document
        representative[document] = best if best >= 0 else document
        similarity[document] = best_similarity
        for place in range(n_found):
            other = found[place]
            held = representative[other]
            if held < 0 or not comes_before(document, other, ranks, hashes):
                continue
            is_lost = stayed and best >= 0 and held == document
            is_won = not stayed and best < 0 and (held == other or comes_before(document, held, ranks, hashes))
            if is_lost or is_won:
                heapq.heappush(heap, (ranks[other], hashes[other], other))
    return n_visits
