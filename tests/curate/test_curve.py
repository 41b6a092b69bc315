"""The operating curve counts documents, each once, by its nearest item."""

from __future__ import annotations

import polars as pl

from distill_assets.curate.curve import build_curve, draw_curve, list_thresholds

NEAR = pl.DataFrame({"document_id": ["a", "a", "b", "c", "d"], "cosine": [0.76, 0.91, 0.85, 0.76, 0.7]})


def test_each_threshold_counts_what_it_would_drop():
    curve = build_curve(NEAR, 10, 0.75)
    rows = {row["threshold"]: (row["n_drop"], row["n_review"], row["drop_frac"]) for row in curve.iter_rows(named=True)}
    assert (rows[0.75], rows[0.85], rows[0.9], rows[1.0]) == ((3, 0, 0.3), (2, 1, 0.2), (1, 2, 0.1), (0, 3, 0.0))
    assert curve["n_drop"].is_sorted(descending=True)


def test_thresholds_begin_where_the_band_begins():
    assert list_thresholds(0.76)[:3] == [0.76, 0.775, 0.8]
    assert list_thresholds(1.0) == [1.0]


def test_it_is_drawn_alike_each_time_and_not_at_all_when_nothing_is_near():
    curve = build_curve(NEAR, 10, 0.75)
    [png] = draw_curve(curve, 0.85, 0.75).values()
    assert png.startswith(b"\x89PNG") and [png] == list(draw_curve(curve, 0.85, 0.75).values())
    assert draw_curve(build_curve(NEAR.clear(), 0, 0.75), 0.85, 0.75) == {}
