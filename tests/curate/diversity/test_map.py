"""The map: the same samples have the same places, like ones near each other."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from distill_assets.curate.diversity.map import MAX_POINTS, draw_maps, place_samples, project


def corpus(n: int) -> pl.DataFrame:
    """Half of the samples ask about bikes, half about doctors."""
    kinds = ("how many bikes are at the station", "which doctors saw the patient")
    return pl.DataFrame(
        {
            "sample_id": [f"{i:05d}" for i in range(n)],
            "question": [f"{kinds[i % 2]} in ward {i}" for i in range(n)],
            "sql": [None] * n,
            "strategy": [f"s{i % 2}" for i in range(n)],
            "teacher": [f"teacher {i % 12}" for i in range(n)],
            "fate": ["kept" if i % 5 else "near_duplicate" for i in range(n)],
        },
        schema_overrides={"sql": pl.String},
    )


def test_like_samples_are_near_each_other():
    points = place_samples(corpus(60))
    places = points.select("x", "y").to_numpy()
    centres = [places[side::2].mean(axis=0) for side in (0, 1)]
    apart = np.linalg.norm(centres[0] - centres[1])
    assert apart > 3 * max(np.linalg.norm(places[side::2] - centres[side], axis=1).mean() for side in (0, 1))


def test_the_order_of_rows_changes_nothing():
    samples = corpus(80)
    assert place_samples(samples.sample(fraction=1, shuffle=True, seed=3)).equals(place_samples(samples))


def test_components_are_those_of_the_singular_value_decomposition():
    rows = np.random.default_rng(1).normal(size=(40, 6)) * [5, 4, 1, 1, 1, 1]
    points = project(rows)
    u, s, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    for axis in range(2):
        assert np.abs(points[:, axis]) == pytest.approx(np.abs(u[:, axis] * s[axis]), abs=1e-5)
    assert np.allclose(project(rows[::-1])[::-1], points)


def test_vectors_are_used_where_they_are_given():
    samples = corpus(10)
    vectors = pl.DataFrame({"sample_id": samples["sample_id"][:9], "vector": [[float(i), 0.0, 0.0] for i in range(9)]})
    points = place_samples(samples, vectors)
    assert points["sample_id"].to_list() == samples["sample_id"].to_list()[:9]
    assert points["x"].to_list() == [float(i - 4) for i in range(9)]
    assert points["y"].abs().max() < 1e-6


def test_many_samples_are_thinned_the_same_way():
    samples = corpus(MAX_POINTS + 500)
    vectors = pl.DataFrame({"sample_id": samples["sample_id"], "vector": [[float(i % 7), 1.0] for i in range(samples.height)]})
    points = place_samples(samples, vectors)
    assert points.height == MAX_POINTS
    again = place_samples(samples.sample(fraction=1, shuffle=True, seed=1), vectors)
    assert again.equals(points)


@pytest.mark.parametrize("questions", [["a"] * 5, ["", " ", "!", "?"], ["x" * 100_000, "y", "z z"]])
def test_odd_samples_have_places(questions):
    n = len(questions)
    rows = pl.DataFrame(
        {"sample_id": [str(i) for i in range(n)], "question": questions, "sql": pl.Series([None] * n, dtype=pl.String)}
    )
    points = place_samples(rows)
    assert points.height == n
    assert points.select("x", "y").to_numpy().tolist() == np.nan_to_num(points.select("x", "y").to_numpy()).tolist()


def test_too_few_samples_have_no_map():
    points = place_samples(corpus(2))
    assert points.is_empty()
    assert draw_maps(points, corpus(2)) == {}


def test_pictures_by_strategy_teacher_and_fate():
    samples = corpus(60)
    points = place_samples(samples)
    pictures = draw_maps(points, samples)
    assert list(pictures) == ["map by strategy", "map by teacher", "map by fate"]
    assert all(png.startswith(b"\x89PNG") for png in pictures.values())
    assert len(set(pictures.values())) == 3
    assert draw_maps(points, samples.drop("teacher"))["map by fate"] == pictures["map by fate"]
