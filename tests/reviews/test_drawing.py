"""The drawing is chance that nothing moves: not new samples, not labels, not the order of rows."""

from __future__ import annotations

import polars as pl

from distill_assets.reviews.drawing import draw_samples, share_out
from tests.reviews.world import make_samples, sample_id

SIZES = {"accepted": 20, "rejected": 10, "unscored": 5}


def count(samples: pl.DataFrame, ids: list[str]) -> dict[str, int]:
    drawn = samples.filter(pl.col("sample_id").is_in(ids))
    return dict(drawn["sample_status"].value_counts().sort("sample_status").iter_rows())


def test_each_status_gives_as_many_as_asked_or_all_it_has() -> None:
    samples = make_samples(accepted=100, rejected=30, unscored=3)
    ids = draw_samples(samples, SIZES, seed=1)
    assert len(set(ids)) == len(ids)
    assert count(samples, ids) == {"accepted": 20, "rejected": 10, "unscored": 3}
    assert count(samples, ids[:17]) == {"accepted": 10, "rejected": 5, "unscored": 2}, "mixed evenly"


def test_the_order_of_rows_is_nothing_and_the_seed_is_something() -> None:
    samples = make_samples(accepted=100, rejected=30)
    ids = draw_samples(samples, SIZES, seed=1)
    assert draw_samples(samples.reverse(), SIZES, seed=1) == ids
    assert set(draw_samples(samples, SIZES, seed=2)) != set(ids)


def test_new_samples_keep_the_order_of_the_old_ones() -> None:
    few, many = make_samples(accepted=60), make_samples(accepted=600)
    first = draw_samples(few, {"accepted": 60}, seed=1)
    later = draw_samples(many, {"accepted": 600}, seed=1)
    assert [sample_id for sample_id in later if sample_id in set(first)] == first


def test_what_is_labelled_is_left_out_and_the_rest_follows_on() -> None:
    samples = make_samples(accepted=50)
    whole = draw_samples(samples, {"accepted": 20}, seed=1)
    assert draw_samples(samples, {"accepted": 10}, seed=1, leave_out=whole[:10]) == whole[10:]


def test_the_drawing_is_even_over_the_samples() -> None:
    samples = make_samples(accepted=40)
    often = dict.fromkeys((sample_id(i) for i in range(40)), 0)
    for seed in range(400):
        for drawn in draw_samples(samples, {"accepted": 10}, seed):
            often[drawn] += 1
    assert all(60 < n < 145 for n in often.values()), "100 expected, standard deviation 8.7"


def test_a_total_is_shared_and_what_one_status_lacks_goes_to_the_rest() -> None:
    assert share_out(make_samples(accepted=100, rejected=100, unscored=100), 40) == {"accepted": 20, "rejected": 10, "unscored": 10}
    assert share_out(make_samples(accepted=100, rejected=4), 40) == {"accepted": 36, "rejected": 4, "unscored": 0}
    assert share_out(make_samples(accepted=3, rejected=4), 40) == {"accepted": 3, "rejected": 4, "unscored": 0}
    assert share_out(make_samples(accepted=3), 40, leave_out=[sample_id(0)])["accepted"] == 2
