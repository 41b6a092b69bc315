"""The report: true counts, alarms, no markup from a model, the same bytes twice."""

from __future__ import annotations

from typing import Any

import polars as pl

from distill_assets.evaluate.facts import count_planted
from distill_assets.evaluate.figures import draw_figures
from distill_assets.evaluate.report import build_report
from distill_assets.tables import EVAL_RESULTS, build_frame

FACTS: dict[str, Any] = {
    "recipe": "choir", "models": {"student": "choir@1", "base": "b@2"}, "teacher": "embedded/sql-grammar@1",
    "planted": None, "figures": {"generations": 10}, "versions": {"training_dataset": "v1"},
}  # fmt: skip
HOSTILE = "SELECT 1 | <img src=http://evil/x.png> ![x](http://evil/y.png) `code`"


def results(student: list[bool], base: list[bool], synthetic: list[bool]) -> pl.DataFrame:
    rows = []
    for role, source, marks in (("student", "human", student), ("base", "human", base), ("student", "synthetic", synthetic)):
        for i, is_right in enumerate(marks):
            rows.append(
                {
                    "item_id": f"{source}{i:03}", "source": source, "model_role": role, "model_name": f"{role}@1", "database": "d",
                    "question": HOSTILE, "gold_sql": "SELECT 1", "answer_sql": HOSTILE, "is_valid": is_right, "is_correct": is_right,
                    "error_kind": None if is_right else "syntax", "is_seen_value": bool(i % 2), "features": "filter,join",
                    "n_prompt_tokens": 5, "n_completion_tokens": 7, "answer_key": f"{role}{source}{i}",
                }
            )  # fmt: skip
    return build_frame(EVAL_RESULTS, rows)


def test_the_headline_counts_each_model_on_the_same_items() -> None:
    report = build_report(results([True] * 6 + [False] * 4, [False] * 10, [True] * 9 + [False]), dict(FACTS))
    headline = report.data["headline"]
    assert (headline["accuracy_student"], headline["accuracy_base"], headline["accuracy_synthetic"]) == (0.6, 0.0, 0.9)
    assert headline["n_holdout"] == 10
    assert report.data["paired_student_base"] == {"only_first": 6, "only_second": 0, "p_value": 0.03125}
    assert "| student | human | 6 | 10 | 60.0% |" in report.markdown


def test_a_wide_gap_and_a_negative_gap_raise_an_alarm() -> None:
    wide = build_report(results([False] * 10, [False] * 10, [True] * 10), dict(FACTS)).markdown
    negative = build_report(results([True] * 10, [False] * 10, [False] * 10), dict(FACTS)).markdown
    fine = build_report(results([True] * 8 + [False] * 2, [False] * 10, [True] * 9 + [False]), dict(FACTS)).markdown
    assert "ALARM: the generator is too narrow" in wide
    assert "look for contamination" in negative
    assert "ALARM" not in fine


def test_a_models_text_is_never_markup_and_holdout_questions_stay_unseen() -> None:
    markdown = build_report(results([False] * 3, [False] * 3, [False] * 3), dict(FACTS)).markdown
    assert "<img" not in markdown
    assert markdown.count("![x](http") == markdown.count("`SELECT 1 ¦ ‹img src=http://evil/x.png› ![x](http")  # inside code only
    assert "synthetic questions; the holdout is shown in aggregate only" in markdown


def test_small_slices_are_marked_and_the_worst_large_one_is_named() -> None:
    report = build_report(results([True] * 20 + [False] * 10, [False] * 30, []), dict(FACTS))
    assert "| value | seen (few) | 15 |" in report.markdown
    assert "Worst slice with at least 20 items" in report.markdown


def test_the_same_rows_give_the_same_bytes() -> None:
    frame, history = results([True, False], [False, False], [True, True]), [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    first, second = (build_report(frame, dict(FACTS)) for _ in range(2))
    assert first == second
    assert draw_figures(first.data, history) == draw_figures(second.data, history)
    assert set(draw_figures(first.data, history)) == {"accuracy", "slices", "loss"}


def test_planted_errors_are_caught_or_slip_through() -> None:
    judged = pl.DataFrame(
        {"sample_id": list("abcde"), "sample_status": ["accepted", "rejected", "accepted", "unscored", "rejected"]}
    )
    planted = pl.DataFrame({"generation_id": list("abd"), "planted_error": ["wrong_column", "broken_syntax", "broken_syntax"]})
    dataset = pl.DataFrame({"sample_id": ["a", "c"], "split": ["train", "heldout"]})
    found = count_planted(planted, judged, dataset)
    assert found is not None
    assert {k: found[k] for k in ("n_planted", "n_caught", "n_slipped", "n_trained", "n_sound", "n_false_alarms")} == {
        "n_planted": 3, "n_caught": 2, "n_slipped": 1, "n_trained": 1, "n_sound": 2, "n_false_alarms": 1,
    }  # fmt: skip
    assert [row["kind"] for row in found["by_kind"]] == ["broken_syntax", "wrong_column"]
