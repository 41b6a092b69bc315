"""The table of scores: what is scored, what is labelled, what stays unknown and why."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from distill_assets.clients.base_model import BaseModel
from distill_assets.errors import BaseModelError
from distill_assets.judge.quality.filter import fit_quality
from distill_assets.judge.quality.measure import ReadingModels, plan_reading
from distill_assets.judge.quality.reading import build_byte_tokenizer
from distill_assets.judge.quality.scores import build_quality_scores, figures_as_data, name_scorer, score_samples
from distill_assets.judging import QualitySpec
from distill_assets.tables import QUALITY_SCORES, check_frame
from tests.judge.quality.test_filter import SPEC, N, make_vectors
from tests.judge.quality.test_reading import save_encoder

BASE = BaseModel(Path("nowhere"), "tiny", "scratch-0123456789abcdef")
TINY = ReadingModels(BASE, None, 256, 17, 1)


def test_equal_texts_are_never_on_both_sides_of_the_split() -> None:
    frame, labels = make_vectors(N, shift=3.0)
    twice = pl.concat([frame, frame.with_columns(pl.col("generation_id").str.replace("^.{6}", "ffffff"))]).sort("generation_id")
    both = dict.fromkeys(twice["generation_id"], 1.0) | labels
    table = build_quality_scores(twice, both, None, SPEC, "tiny@1")
    sides = table.join(twice, on="generation_id").group_by("text_key").agg(pl.col("quality_split").n_unique())
    assert sides["quality_split"].max() == 1
    assert 0.18 < (table["quality_split"] == "heldout").mean() < 0.32


def test_the_table_says_what_is_scored_labelled_and_unknown() -> None:
    frame, labels = make_vectors(N, shift=3.0)
    frame = pl.concat(
        [
            frame,
            frame.head(1).with_columns(
                pl.lit("z" * 32).alias("generation_id"), pl.lit(None, pl.List(pl.Float32)).alias("embedding")
            ),
        ]
    )
    some = dict(sorted(labels.items())[:150])
    model = fit_quality(frame, some, SPEC)
    table = build_quality_scores(frame, some, model, SPEC, "tiny@1+logistic@1")
    check_frame(QUALITY_SCORES, table)
    assert table.height == N + 1
    assert table.filter(pl.col("generation_id") == "z" * 32).select("quality_score", "is_good").row(0) == (None, None)
    assert table["quality_label"].count() == table["quality_split"].count() == 150
    scored = table.drop_nulls("quality_score")
    assert (scored["is_good"] == (scored["quality_score"] >= model.threshold)).all()
    unscored = build_quality_scores(frame, some, None, SPEC, "tiny@1")
    assert unscored["quality_score"].null_count() == unscored["is_good"].null_count() == N + 1
    assert unscored["instruction_difficulty"].null_count() == 0


def test_without_a_filter_all_are_unscored_with_the_reason_and_keep_their_difficulty() -> None:
    frame, labels = make_vectors()
    scored = score_samples(frame, dict.fromkeys(labels, 1.0), SPEC, TINY)
    assert scored.figures is None and "0 bad" in scored.problem
    assert scored.frame["quality_score"].null_count() == scored.frame["is_good"].null_count() == N
    assert scored.frame["instruction_difficulty"].null_count() == 0


def test_with_a_filter_its_figures_are_plain_values() -> None:
    frame, labels = make_vectors(shift=3.0)
    scored = score_samples(frame, labels, SPEC, TINY)
    assert scored.problem is None and scored.frame["quality_score"].null_count() == 0
    assert json.loads(json.dumps(figures_as_data(scored.figures)))["calibration"][0]["n"] > 0


def test_who_reads_is_as_the_recipe_says(tmp_path: Path) -> None:
    save_encoder(tmp_path / "encoder", build_byte_tokenizer())
    own = plan_reading(QualitySpec(), BASE, 1, tmp_path)
    other = plan_reading(QualitySpec(embedding_model=str(tmp_path / "encoder")), BASE, 1, tmp_path)
    longer = plan_reading(QualitySpec(max_tokens=300), BASE, 1, tmp_path)
    assert len({own.reading_id, other.reading_id, longer.reading_id}) == 3
    assert name_scorer(own) == "tiny@scratch-0123+logistic@1"
    assert name_scorer(other).startswith("tiny@scratch-0123+encoder@")
    with pytest.raises(BaseModelError):
        plan_reading(QualitySpec(embedding_model="nowhere at all"), BASE, 1, tmp_path)
