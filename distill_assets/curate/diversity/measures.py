"""Measures of how varied texts, labels and vectors are; each is a number of one list, without a view on what is good.

Belongs here: the definitions. Does not belong here: which rows are measured (samples), for which slices (report), and what
counts as collapse (collapse).

No measure sees every failure: n-grams and compression see copies, openings and frequent n-grams see a phrase in every text,
nearest neighbours and templates see tight families, and vectors see topics. All but length and shares change with the number of
texts: compare equal numbers only.

Sources: distinct-n: Li et al. 2016 (arXiv 1510.03055); compression ratio: Shaib et al. 2024 (arXiv 2403.00553), here with zstd,
since the 32 KB window of gzip cannot see copies further apart; Vendi score: Friedman and Dieng 2022 (arXiv 2210.02410); numbers
equivalents of entropy: Hill 1973.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from distill_assets.curate.words import hash_words, normalise, normalise_texts

OPENING_WORDS = 4
HEAD_WORDS = 4
SIMILAR_WORDS = 2
ZSTD_LEVEL = 3
# Rows whose similarities to all others stand in memory at one time.
_BLOCK_ROWS = 250
MAX_EXAMPLE_CHARS = 200


class Measure(NamedTuple):
    """A number, and where it speaks of one text, that text."""

    metric: str
    value: float
    example: str | None = None


class Grams(NamedTuple):
    """Word n-grams of many texts: a 64-bit hash each, the text it stands in and the place of its first word in that text."""

    hashes: Any
    texts: Any
    places: Any


def measure_texts(texts: pl.Series) -> list[Measure]:
    """Measure what costs as much as there are words.

    Args:
        texts: at least one, without nulls.

    Returns:
        repeated_frac: share of texts whose words another one before has. distinct_1 to distinct_4: different n-grams over all.
        compression_ratio: bytes over bytes as zstd packs them. head_frac: share of texts with the most frequent 4-gram.
        opening_bits, opening_frac: entropy of the first four words and share of the most frequent ones. length_cv: standard
        deviation over mean of the lengths in words.
    """
    import numpy as np

    words = hash_words(texts)
    grams = {n: list_grams(words, n) for n in range(1, 5)}
    lengths = np.diff(words.offsets)
    normalised = normalise_texts(texts)
    found = [_measure_repeats(normalised)]
    found += [Measure(f"distinct_{n}", len(np.unique(g.hashes)) / max(1, len(g.hashes))) for n, g in grams.items()]
    found.append(Measure("compression_ratio", _compress(texts)))
    found.append(_measure_head(grams[HEAD_WORDS], texts))
    openings = normalised.str.split(" ").list.head(OPENING_WORDS).list.join(" ")
    shares = measure_labels("opening", openings)
    found += [Measure("opening_bits", float(np.log2(shares[1].value))), Measure("opening_frac", shares[0].value, shares[0].example)]
    return [*found, Measure("length_cv", float(lengths.std() / lengths.mean()) if lengths.any() else 0.0)]


def list_grams(words: Any, n: int) -> Grams:
    """All n-grams of n words, within each text."""
    import numpy as np

    lengths = np.diff(words.offsets)
    text_of = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(words.hashes)) - np.repeat(words.offsets[:-1], lengths)
    n_grams = max(0, len(words.hashes) - n + 1)
    hashes = np.zeros(n_grams, np.uint64)
    for offset in range(n):
        # An odd multiplier keeps the order of words; the sum wraps at 64 bits.
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + words.hashes[offset : offset + n_grams]
    whole = place[:n_grams] + n <= lengths[text_of[:n_grams]]
    return Grams(hashes[whole], text_of[:n_grams][whole], place[:n_grams][whole])


def _measure_head(grams: Grams, texts: pl.Series) -> Measure:
    """Share of the texts that hold the most frequent n-gram, and its words."""
    if not len(grams.hashes):
        return Measure("head_frac", 0.0)
    held = pl.DataFrame({"gram": grams.hashes, "text": grams.texts, "place": grams.places})
    counts = held.group_by("gram").agg(pl.col("text").n_unique().alias("n")).sort(["n", "gram"], descending=[True, False])
    text, place = held.filter(pl.col("gram") == counts["gram"][0]).select("text", "place").row(0)
    words = normalise(texts[text]).split(" ")[place : place + HEAD_WORDS]
    return Measure("head_frac", counts["n"][0] / texts.len(), " ".join(words))


def _compress(texts: pl.Series) -> float:
    import pyarrow as pa

    data = "\n".join(texts).encode("utf-8", "surrogatepass")
    return len(data) / max(1, pa.Codec("zstd", compression_level=ZSTD_LEVEL).compress(data).size) if data else 1.0


def measure_pairs(texts: pl.Series) -> list[Measure]:
    """Measure what compares each text with each, by the Jaccard similarity of their word 2-grams, both ends marked.

    Returns:
        similarity_mean: of all pairs. nearest_mean: of each text with the one most like it. nearest_frac: share of texts whose
        nearest has at least half its 2-grams in common.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    if texts.len() < 2:
        return []
    grams = list_grams(hash_words("_ " + texts + " _"), SIMILAR_WORDS)
    _, columns = np.unique(grams.hashes, return_inverse=True)
    shape = (texts.len(), int(columns.max(initial=-1)) + 1)
    holds = csr_matrix((np.ones(len(columns), np.float32), (grams.texts, columns)), shape=shape)
    holds.data[:] = 1.0
    sizes = np.asarray(holds.sum(axis=1)).ravel()
    total, nearest = 0.0, np.zeros(texts.len())
    for start in range(0, texts.len(), _BLOCK_ROWS):
        shared = (holds[start : start + _BLOCK_ROWS] @ holds.T).toarray()
        union = sizes[start : start + _BLOCK_ROWS, None] + sizes[None, :] - shared
        alike = shared / union
        alike[np.arange(len(alike)), np.arange(start, start + len(alike))] = 0.0
        total += float(alike.sum())
        nearest[start : start + len(alike)] = alike.max(axis=1)
    return [
        Measure("similarity_mean", total / (texts.len() * (texts.len() - 1))),
        Measure("nearest_mean", float(nearest.mean())),
        Measure("nearest_frac", float((nearest >= 0.5).mean())),
    ]


def measure_labels(name: str, labels: pl.Series) -> list[Measure]:
    """Measure how evenly labels are spread.

    Returns:
        <name>_frac: share of the most frequent label. <name>_effective: the number of equally frequent labels that would have
        the same entropy; <name>_effective_frac: that number over all labels. Nothing without labels.
    """
    import numpy as np

    counts = labels.drop_nulls().value_counts().sort(["count", labels.name], descending=[True, False])
    if counts.is_empty():
        return []
    shares = counts["count"].to_numpy() / counts["count"].sum()
    effective = float(np.exp(-(shares * np.log(shares)).sum()))
    return [
        Measure(f"{name}_frac", float(shares[0]), str(counts[labels.name][0])[:MAX_EXAMPLE_CHARS]),
        Measure(f"{name}_effective", effective),
        Measure(f"{name}_effective_frac", effective / float(counts["count"].sum())),
    ]


def measure_vectors(vectors: Any) -> list[Measure]:
    """Measure how many directions unit vectors fill.

    Args:
        vectors: float array of (rows, dimensions).

    Returns:
        vendi: exponential of the entropy of the eigenvalues of the vectors' Gram matrix over n, which are those of the smaller
        dimensions x dimensions matrix. embedding_bits: that entropy in bits.
    """
    import numpy as np

    rows = np.asarray(vectors, np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    values = np.linalg.eigvalsh(rows.T @ rows / len(rows))
    values = values[values > 1e-12]
    entropy = float(-(values * np.log(values)).sum())
    return [Measure("vendi", float(np.exp(entropy))), Measure("embedding_bits", entropy / float(np.log(2)))]


def _measure_repeats(normalised: pl.Series) -> Measure:
    counts = normalised.value_counts().sort(["count", normalised.name], descending=[True, False])
    example = str(counts[normalised.name][0])[:MAX_EXAMPLE_CHARS] if counts["count"][0] > 1 else None
    return Measure("repeated_frac", 1 - counts.height / normalised.len(), example)
