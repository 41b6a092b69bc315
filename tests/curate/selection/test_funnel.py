"""The funnel: each stage passes on what the one before did, less its own reasons."""

from __future__ import annotations

import polars as pl
import pytest

from distill_assets.curate.selection.funnel import STAGES, count_funnel, draw_funnel
from distill_assets.tables import DROP_REASONS


def left(*reasons: str) -> pl.DataFrame:
    return pl.DataFrame({"drop_reason": pl.Series(reasons, dtype=pl.String)})


def test_rows_by_stage_and_reason():
    kept = pl.DataFrame({"sample_id": ["a", "b"]})
    funnel = count_funnel(kept, left("rejected", "over_limit", "rejected", "near_duplicate", "unscored", "contaminated"))
    assert funnel.rows() == [
        ("generated", "kept", 8),
        ("judged", "kept", 5), ("judged", "rejected", 2), ("judged", "unscored", 1),
        ("unmarked", "kept", 3), ("unmarked", "contaminated", 1), ("unmarked", "near_duplicate", 1),
        ("selected", "kept", 2), ("selected", "over_limit", 1),
    ]  # fmt: skip


def test_every_reason_has_a_stage():
    assert tuple(reason for reasons in STAGES.values() for reason in reasons) == DROP_REASONS


def test_a_reason_that_no_stage_names_is_an_error():
    with pytest.raises(AssertionError, match="a reason that no stage names"):
        count_funnel(pl.DataFrame({"sample_id": ["a"]}), left("lost"))


def test_the_picture_is_the_same_each_time_and_there_is_none_of_nothing():
    funnel = count_funnel(pl.DataFrame({"sample_id": ["a"]}), left("rejected", "over_quota"))
    picture = draw_funnel(funnel)["funnel"]
    assert picture.startswith(b"\x89PNG")
    assert draw_funnel(funnel)["funnel"] == picture
    assert draw_funnel(count_funnel(pl.DataFrame({"sample_id": []}), left())) == {}
