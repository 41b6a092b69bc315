"""A frame either is its table or is refused, and its version is its content."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.errors import TableShapeError
from distill_assets.tables import SEED_CORPUS, TABLES, VERDICTS, build_frame, check_frame, describe_tables, hash_frame

EXAMPLE = {pl.String: "x", pl.Int64: 1, pl.Float64: 0.5, pl.Boolean: True}


def make_row(spec, number: int = 0) -> dict[str, object]:
    row = {name: field.allowed[0] if field.allowed else EXAMPLE[field.dtype] for name, field in spec.fields.items()}
    first = next(name for name in spec.key if not spec.fields[name].allowed)
    return row | {first: f"id{number}"}


@pytest.mark.parametrize("spec", TABLES.values(), ids=list(TABLES))
def test_a_frame_that_was_built_fits(spec):
    frame = build_frame(spec, [make_row(spec, 2), make_row(spec, 1)])
    check_frame(spec, frame)
    assert frame.equals(build_frame(spec, [make_row(spec, 1), make_row(spec, 2)]))
    check_frame(spec, build_frame(spec, []))


@pytest.mark.parametrize("spec", TABLES.values(), ids=list(TABLES))
def test_every_table_and_column_is_described(spec):
    assert spec.meaning.endswith(".")
    assert all(field.meaning for field in spec.fields.values())
    assert set(spec.key) <= set(spec.fields)
    assert set(spec.unversioned) <= set(spec.fields) - set(spec.key)
    assert f"## {spec.name}" in describe_tables()


def frame_of(**changes: object) -> pl.DataFrame:
    return build_frame(VERDICTS, [make_row(VERDICTS) | changes])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.drop("judge"), "column 'judge' (expected String, got nothing)"),
        (lambda f: f.with_columns(pl.lit(1).alias("more")), "column 'more' (expected nothing)"),
        (lambda f: f.with_columns(pl.col("score").cast(pl.Float32)), "column 'score' (expected Float64, got Float32)"),
        (lambda f: f.with_columns(pl.lit(None, pl.String).alias("criterion")), "column 'criterion' has 1 nulls"),
        (lambda f: f.with_columns(pl.lit("perhaps").alias("verdict_status")), "column 'verdict_status' holds 'perhaps'"),
        (lambda f: pl.concat([f, f]), "repeats 1 times"),
    ],
)
def test_a_frame_that_is_another_is_refused_by_name(spoil, words):
    with pytest.raises(TableShapeError) as caught:
        check_frame(VERDICTS, spoil(frame_of()))
    assert words in str(caught.value)
    assert str(caught.value).startswith("verdicts: ")
    assert "nothing was written" in str(caught.value)


def test_null_is_allowed_where_the_table_says_so():
    check_frame(VERDICTS, frame_of(score=None, reason=None))


def test_many_culprits_are_counted():
    with pytest.raises(TableShapeError, match="and 6 more"):
        check_frame(VERDICTS, pl.DataFrame())


TEXTS = st.lists(st.text(), unique=True, max_size=6)


@settings(deadline=None)
@given(TEXTS, st.randoms())
def test_a_version_is_free_of_row_order(texts, random):
    rows = [make_row(SEED_CORPUS, number) | {"text": text} for number, text in enumerate(texts)]
    shuffled = random.sample(rows, len(rows))
    assert hash_frame(SEED_CORPUS, build_frame(SEED_CORPUS, rows)) == hash_frame(SEED_CORPUS, build_frame(SEED_CORPUS, shuffled))


def test_a_version_changes_with_each_column_but_those_outside_the_identity():
    row = make_row(SEED_CORPUS)
    versions = {}
    for name in SEED_CORPUS.fields:
        changed = "question" if name == "kind" else "other"
        versions[name] = hash_frame(SEED_CORPUS, build_frame(SEED_CORPUS, [row | {name: changed}]))
    base = hash_frame(SEED_CORPUS, build_frame(SEED_CORPUS, [row]))
    assert {name for name, version in versions.items() if version == base} == set(SEED_CORPUS.unversioned)
    assert len(base) == 32
