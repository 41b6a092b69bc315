"""A map of the corpus: each sample a point, near those that use the same words or have a similar vector.

Belongs here: putting samples on a plane, always the same way, and drawing them by strategy, teacher and fate. Does not belong
here: embedding (vectors) and what happened to a sample (select).

The plane is that of the two directions in which the samples differ most (principal components), of their vectors or, without
any, of their words. It is exact linear algebra: the same samples give the same map, whatever their order, with no seed but that
of the word features' reduction. What is near on the map can still be far apart in the other directions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import polars as pl

from distill_assets.curate.diversity.samples import add_rank, take_sample
from distill_assets.curate.diversity.trend import PALETTE
from distill_assets.curate.words import normalise_texts
from distill_assets.drawing import GREY, INK, new_axes, save_png

# More points than this are a blot; fewer leave out rare kinds.
MAX_POINTS = 5000
# Groups with a colour of their own; the others share one.
MAX_GROUPS = 8
OTHER = "other"
KEPT = "kept"
SCHEMA = {"sample_id": pl.String, "x": pl.Float64, "y": pl.Float64}
_N_HASHED = 1 << 16
_N_REDUCED = 50
_SEED = 0
# The last bits of a sum depend on the processor.
_N_DECIMALS = 6


def place_samples(samples: pl.DataFrame, vectors: pl.DataFrame | None = None) -> pl.DataFrame:
    """Put samples on a plane, at most MAX_POINTS of them, chosen by content hash.

    Args:
        samples: sample_id, question, sql; rows without a question are left out. vectors: sample_id, vector (a list or array of
            numbers); when given, only samples that have one are placed.

    Returns:
        sample_id, x, y, sorted by sample_id; empty for fewer than three samples.
    """
    texts = samples.filter(pl.col("question").is_not_null()).select(
        "sample_id", text=pl.concat_str("question", pl.col("sql").fill_null(""), separator=" ")
    )
    if vectors is not None:
        texts = texts.join(vectors.select("sample_id", "vector").drop_nulls(), on="sample_id", how="inner")
    chosen = take_sample(add_rank(texts.sort("sample_id")), MAX_POINTS).sort("sample_id")
    if chosen.height < 3:
        return pl.DataFrame(schema=SCHEMA)
    points = project(_weigh_words(chosen["text"]) if vectors is None else chosen["vector"].to_list())
    return pl.DataFrame({"sample_id": chosen["sample_id"], "x": points[:, 0], "y": points[:, 1]}, schema=SCHEMA)


def project(rows: Any) -> Any:
    """The first two principal components of `rows`, each turned so that its largest loading is positive.

    Args:
        rows: (n, dimensions) numbers.

    Returns:
        float array (n, 2); 0 where there is no second direction.
    """
    import numpy as np

    centred = np.asarray(rows, np.float64)
    centred = centred - centred.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)  # eigenvalues rise
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    points = np.zeros((len(centred), 2))
    points[:, : axes.shape[1]] = centred @ axes
    return points.round(_N_DECIMALS) + 0.0  # no negative zero


def _weigh_words(texts: pl.Series) -> Any:
    """Words and word pairs, rare ones heavier (TF-IDF), reduced to few dimensions by a truncated SVD."""
    import numpy as np
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    words = HashingVectorizer(n_features=_N_HASHED, ngram_range=(1, 2), alternate_sign=False, analyzer=_list_grams, norm=None)
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(words.transform(normalise_texts(texts)))
    n_dimensions = min(_N_REDUCED, texts.len() - 1)
    with np.errstate(invalid="ignore"):  # texts that are all alike have no variance to divide by
        return TruncatedSVD(n_components=n_dimensions, random_state=_SEED).fit_transform(weighed)


def _list_grams(text: str) -> list[str]:
    words = text.split(" ")
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def draw_maps(points: pl.DataFrame, samples: pl.DataFrame) -> dict[str, bytes]:
    """The map coloured by strategy, by teacher and by fate, a picture each; nothing without points.

    Args:
        points: of `place_samples`. samples: sample_id, strategy, teacher and fate, which is kept or a drop reason; a picture whose
            column is missing is left out.
    """
    known = add_rank(points.join(samples, on="sample_id", how="inner").sort("sample_id").with_columns(text="sample_id"))
    if known.is_empty():
        return {}
    columns = [column for column in ("strategy", "teacher", "fate") if column in known.columns]
    return {f"map by {column}": _draw_map(known, column) for column in columns}


def _draw_map(known: pl.DataFrame, column: str) -> bytes:
    groups = known[column].fill_null("none").cast(pl.String)
    counts = groups.value_counts().sort(["count", column], descending=[True, False])
    named = counts[column].head(MAX_GROUPS).to_list()
    shown = known.with_columns(pl.when(groups.is_in(named)).then(groups).otherwise(pl.lit(OTHER)).alias("group"))
    colours = {row[0]: _colour(column, row[0], place) for place, row in enumerate(counts.head(MAX_GROUPS).iter_rows())}
    figure, axes = new_axes(8, 5)
    # Points lie in an order by chance, so that no group hides another; what was kept lies below what was dropped.
    ordered = shown.sort(pl.col("group") != KEPT, "rank") if column == "fate" else shown.sort("rank")
    drawn = [colours.get(name, GREY) for name in ordered["group"]]
    axes.scatter(ordered["x"].to_list(), ordered["y"].to_list(), s=9, alpha=0.7, linewidths=0, color=drawn)
    for name, n in [*counts.head(MAX_GROUPS).iter_rows(), (OTHER, known.height - counts["count"].head(MAX_GROUPS).sum())]:
        label = f"{name.replace('_', ' ') if column == 'fate' else name} ({n:,})"
        if n:
            axes.scatter([], [], s=40, color=colours.get(name, GREY), label=label)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{known.height:,} samples by {column}", fontsize=10, color=INK, loc="left")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return save_png(figure)


def _colour(column: str, name: str, place: int) -> str:
    """Kept samples are grey on the map of fates, so that what was dropped stands out."""
    return "#cbd5e1" if column == "fate" and name == KEPT else PALETTE[place % len(PALETTE)]
