"""A rubric is read, checked and locked; its id is what a critic sees of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from distill_assets.config import built_in_recipe
from distill_assets.errors import PromptLockError, RecipeError
from distill_assets.judge.critics.rubric import build_answer_model, describe_rubric, load_rubric, to_unit
from distill_assets.prompts import find_lock, lock_text

GOOD = {
    "task": "One sample.",
    "scale": {"lowest": 1, "highest": 5},
    "threshold": 0.75,
    "criteria": {
        "accuracy": {"weight": 0.6, "asks": "Is it right?", "anchors": {1: "no", 5: "yes"}},
        "clarity": {"weight": 0.4, "asks": "Is it clear?", "anchors": {1: "no", 5: "yes"}},
    },
}


def write(folder: Path, rubric: object, name: str = "r.v1") -> Path:
    (folder / "rubrics").mkdir(exist_ok=True)
    (folder / "rubrics" / f"{name}.yaml").write_text(
        rubric if isinstance(rubric, str) else yaml.safe_dump(rubric), encoding="utf-8"
    )
    return folder


def change(**changes: object) -> dict:
    return {**GOOD, **changes}


def test_the_built_in_rubric_is_whole_and_locked():
    folder = built_in_recipe("text_to_sql")
    rubric = load_rubric(folder, "judge_sample.v1")
    assert {name: criterion.weight for name, criterion in rubric.criteria.items()} == {
        "accuracy": 0.4, "completeness": 0.3, "clarity": 0.3,
    }  # fmt: skip
    assert rubric.threshold == 0.75
    assert find_lock(folder / "rubrics").read_text(encoding="utf-8") == lock_text(folder / "rubrics")


def test_the_threshold_is_not_in_the_id_and_all_that_is_seen_is(tmp_path: Path):
    base = load_rubric(write(tmp_path, GOOD), "r.v1")
    assert load_rubric(write(tmp_path, change(threshold=0.5)), "r.v1").rubric_id == base.rubric_id
    for changed in (
        change(task="Another."), change(scale={"lowest": 1, "highest": 6}),
        change(criteria={**GOOD["criteria"], "accuracy": {**GOOD["criteria"]["accuracy"], "asks": "Is it so?"}}),
    ):  # fmt: skip
        assert load_rubric(write(tmp_path, changed), "r.v1").rubric_id != base.rubric_id


@pytest.mark.parametrize(
    ("rubric", "words"),
    [
        ("- a list", "expected a mapping"),
        ("a: [", "cannot be read"),
        (change(criteria={"a": {"weight": 0.5, "asks": "?", "anchors": {1: "x", 5: "y"}}}), "weights sum to 0.5, not to 1"),
        (change(criteria={"reasoning": {"weight": 1, "asks": "?", "anchors": {1: "x", 5: "y"}}}), "cannot be called 'reasoning'"),
        (change(criteria={"a b": {"weight": 1, "asks": "?", "anchors": {1: "x", 5: "y"}}}), "cannot be called 'a b'"),
        (change(criteria={"a": {"weight": 1, "asks": "?", "anchors": {1: "x", 9: "y"}}}), "anchor for 9, outside of the scale"),
        (change(threshold=7), "threshold"),
        (change(extra=1), "extra"),
        (change(criteria={}), "criteria"),
    ],
)
def test_a_rubric_that_cannot_be_used_is_told_by_file_and_field(tmp_path: Path, rubric: object, words: str):
    with pytest.raises(RecipeError, match=words) as caught:
        load_rubric(write(tmp_path, rubric), "r.v1")
    assert "r.v1.yaml" in str(caught.value)
    assert "Nothing was judged" in str(caught.value)


def test_a_missing_rubric_is_told(tmp_path: Path):
    with pytest.raises(RecipeError, match="cannot be read"):
        load_rubric(tmp_path, "r.v1")


def test_a_locked_rubric_cannot_be_edited(tmp_path: Path):
    write(tmp_path, GOOD)
    find_lock(tmp_path / "rubrics").write_text(lock_text(tmp_path / "rubrics"), encoding="utf-8")
    load_rubric(tmp_path, "r.v1")
    with pytest.raises(PromptLockError, match=r"rubrics\.lock"):
        load_rubric(write(tmp_path, change(task="Another.")), "r.v1")


def test_an_answer_has_reasons_and_one_score_of_the_scale_for_each_criterion(tmp_path: Path):
    rubric = load_rubric(write(tmp_path, GOOD), "r.v1")
    model = build_answer_model(rubric)
    assert model.model_validate_json('{"reasoning": "x", "accuracy": 5, "clarity": 1}', strict=True).accuracy == 5
    for bad in ('{"reasoning": "x", "accuracy": 6, "clarity": 1}', '{"reasoning": "x", "accuracy": 4}',
                '{"reasoning": "x", "accuracy": 4.5, "clarity": 1}', '{"accuracy": 4, "clarity": 1}'):  # fmt: skip
        with pytest.raises(ValidationError):
            model.model_validate_json(bad, strict=True)
    assert [to_unit(rubric, score) for score in (1, 3, 5)] == [0, 0.5, 1]


def test_a_critic_reads_every_anchor(tmp_path: Path):
    text = describe_rubric(load_rubric(write(tmp_path, GOOD), "r.v1"))
    for words in ("One sample.", "accuracy (weight 0.6): Is it right?", "1: no", "5: yes", "from 1 (worst) to 5 (best)"):
        assert words in text
