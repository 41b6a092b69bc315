"""Texts to measure on: a corpus of any size with the word pairs of real questions, and planted edits.

Belongs here: making texts, always the same for a seed. Does not belong here: measuring.

The corpus is a smoothed Markov chain over the words of the data folder's clean questions and benchmark items: two words in three
follow the one before them in the source, one in three is drawn by how common it is, and one in fifty is a name or number of its own.
So word pairs go on being new as the corpus grows, as they do in real text; a chain without smoothing would soon repeat its few.
One row in ten is an edited copy of an earlier one (a tenth of its words replaced), so that there is something to find.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

MEAN_WORDS = 32
COPY_EVERY = 10
CHAINED_FRAC = 0.67
NAMES = ("", "Ba", "Ko", "Li", "Ma", "Ne", "Ro", "Su", "Ti", "Za")


def read_sources(data: Path) -> list[str]:
    """Clean questions and benchmark items of the data folder."""
    parts = [pl.read_parquet(data / name)["text"] for name in ("clean_dev.parquet", "benchmarks.parquet")]
    return pl.concat(parts).unique(maintain_order=True).to_list()


def make_corpus(data: Path, n: int, seed: int = 17) -> pl.Series:
    """`n` texts of about 180 characters."""
    vocabulary, following, offsets = _learn_chain(read_sources(data))
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(np.log(MEAN_WORDS) - 0.1, 0.45, n).astype(np.int64), 4, 120)
    words = np.empty((lengths.max(), n), np.int32)
    words[0] = rng.integers(0, len(vocabulary), n)
    for place in range(1, len(words)):
        before = words[place - 1]
        span = offsets[before + 1] - offsets[before]
        chained = following[offsets[before] + (rng.random(n) * span).astype(np.int64)]
        drawn = following[rng.integers(0, len(following), n)]
        words[place] = np.where(rng.random(n) < CHAINED_FRAC, chained, drawn)
    texts = [" ".join(vocabulary[words[:length, row]]) for row, length in enumerate(lengths)]
    for row in np.flatnonzero(rng.random(n) < 0.5):  # a name or number in every other text: one word in fifty or sixty
        texts[row] = f"{texts[row]} {NAMES[int(rng.integers(0, len(NAMES)))]}{int(rng.integers(0, 10**5))}"
    for row in range(COPY_EVERY - 1, n, COPY_EVERY):
        texts[row] = _edit(texts[int(rng.integers(0, row))], rng)
    return pl.Series("text", texts, dtype=pl.String)


def _learn_chain(texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vocabulary, the words that follow each word (flat), and where each word's begin."""
    flat = " \n ".join(texts).split(" ")
    vocabulary, codes = np.unique(np.array(flat, dtype=object), return_inverse=True)
    order = np.argsort(codes[:-1], kind="stable")
    following = codes[1:][order].astype(np.int32)
    offsets = np.searchsorted(codes[:-1][order], np.arange(len(vocabulary) + 1))
    offsets[-1] = len(following)
    dead = np.flatnonzero(np.diff(offsets) == 0)
    if len(dead):  # the very last word may follow nothing: it starts over
        following = np.concatenate([following, np.zeros(1, np.int32)])
        offsets[-1] += 1
    return vocabulary, following, offsets


def _edit(text: str, rng: np.random.Generator) -> str:
    words = text.split(" ")
    for place in rng.choice(len(words), max(1, len(words) // 10), replace=False):
        words[place] = f"w{rng.integers(0, 10**6)}"
    return " ".join(words)
