"""Our search in a process of its own: `python -m benchmarks.curate.peers.ours_run pairs TEXTS.parquet PAIRS`.

Belongs here: the call. Does not belong here: the search (distill_assets/curate/deduplicate).
"""

from __future__ import annotations

import json
import sys

import polars as pl

from benchmarks.curate.peers.measuring import N_WARM, THRESHOLD, measure_work, pin_core
from distill_assets.curate.deduplicate.pairs import find_pairs
from distill_assets.curate.deduplicate.shingles import build_shingles

N_WORDS = 2
CLOSE = 0.8  # pairs that no engine's definition puts near the threshold


def find_near(texts: pl.Series) -> pl.DataFrame:
    """left, right, similarity."""
    return find_pairs(build_shingles(texts, None, N_WORDS), THRESHOLD)


def main() -> None:
    """Measure; the first call loads the compiled functions, or compiles them where there is no cache."""
    pin_core()
    texts = pl.read_parquet(sys.argv[2])["text"]
    find_near(texts.head(N_WARM))
    found, figures = measure_work(lambda: find_near(texts))
    for pairs, file in ((found, sys.argv[3]), (found.filter(pl.col("similarity") >= CLOSE), f"{sys.argv[3]}.close")):
        pairs.select("left", "right").cast(pl.Int32).to_numpy(order="c").tofile(file)
    print(json.dumps({**figures, "n_pairs": found.height}))


if __name__ == "__main__":
    main()
