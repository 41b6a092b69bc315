"""The same search on Daft: on this machine's cores, or on a Ray cluster with the same code.

Belongs here: the join as a Daft query. Does not belong here: the keep rule (pairs) or any other engine.

Shingles are made by the same kernel in each worker, so pairs and similarities are the same bits wherever they are found. Who stays
is settled where the pairs come together: they are few beside the documents. Which runner is used is Daft's own setting
(`daft.set_runner_ray(address)` or DAFT_RUNNER); docs/adr has why Daft.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from distill_assets.curate.deduplicate.shingles import build_shingles
from distill_assets.errors import RecipeError

PAIRS = {"left": pl.Int32, "right": pl.Int32, "similarity": pl.Float64}


def find_pairs(texts: pl.Series, groups: pl.Series | None, n_words: int, threshold: float) -> pl.DataFrame:
    """All pairs of `texts` that are near duplicates: left, right (positions, left < right) and similarity, sorted.

    Args:
        groups: text a document; only documents of equal groups are alike.

    Raises:
        RecipeError: Daft is not installed.
    """
    try:
        import daft
    except ImportError as error:
        raise RecipeError(
            "curate.duplicates.engine is daft, and Daft is not installed. Nothing was marked. Install it with "
            "pip install 'distill-assets[distributed]', or write engine: auto."
        ) from error
    grouped = groups if groups is not None else pl.repeat("", len(texts), dtype=pl.String, eager=True)
    frame = pl.DataFrame({"document": pl.Series(range(len(texts)), dtype=pl.Int32), "text": texts, "grouped": grouped})
    documents = daft.from_arrow(frame.to_arrow())
    col = daft.col
    sets = documents.select("document", _shingle(n_words)(col("text"), col("grouped")).alias("tokens")).collect()
    single = sets.explode("tokens")
    frequencies = single.groupby("tokens").agg(col("document").count().alias("frequency"))
    ranked = single.join(frequencies, on="tokens").groupby("document").agg(col("tokens").list_agg(), col("frequency").list_agg())
    prefixes = ranked.select("document", _choose(threshold)(col("tokens"), col("frequency")).alias("tokens")).explode("tokens")
    left, right = (prefixes.select(col("document").alias(name), "tokens") for name in ("left", "right"))
    met = left.join(right, on="tokens").where(col("left") < col("right")).select("left", "right").distinct()
    both = met.join(sets.select(col("document").alias("left"), col("tokens").alias("left_tokens")), on="left").join(
        sets.select(col("document").alias("right"), col("tokens").alias("right_tokens")), on="right"
    )
    measured = both.select("left", "right", _measure(col("left_tokens"), col("right_tokens")).alias("similarity"))
    found = measured.where(col("similarity") >= threshold).to_arrow()
    return pl.DataFrame(found, schema_overrides=PAIRS).select(list(PAIRS)).sort("left", "right")


def _shingle(n_words: int) -> Any:
    import daft

    @daft.func.batch(return_dtype=daft.DataType.list(daft.DataType.uint64()))
    def shingle(texts: daft.Series, groups: daft.Series) -> Any:
        """Sorted shingle hashes of each text."""
        import pyarrow as pa

        made = build_shingles(pl.Series(texts.to_arrow()), pl.Series(groups.to_arrow()), n_words)
        return pa.LargeListArray.from_arrays(pa.array(made.starts), pa.array(made.tokens))

    return shingle


def _choose(threshold: float) -> Any:
    import daft

    @daft.func.batch(return_dtype=daft.DataType.list(daft.DataType.uint64()))
    def choose(tokens: daft.Series, frequencies: daft.Series) -> Any:
        """Each document's rarest shingles, as many as the prefix filter needs."""
        from distill_assets.curate.deduplicate.set_kernels import count_needed

        chosen = []
        for own, counts in zip(tokens.to_pylist(), frequencies.to_pylist(), strict=True):
            rarest = sorted(zip(counts, own, strict=True))
            chosen.append([token for _, token in rarest[: len(own) - count_needed(len(own), threshold) + 1]])
        return chosen

    return choose


def _measure(left: Any, right: Any) -> Any:
    import daft

    @daft.func.batch(return_dtype=daft.DataType.float64())
    def measure(left: daft.Series, right: daft.Series) -> Any:
        """Jaccard similarity of two sets."""
        pairs = zip(map(set, left.to_pylist()), map(set, right.to_pylist()), strict=True)
        return [len(a & b) / len(a | b) for a, b in pairs]

    return measure(left, right)
