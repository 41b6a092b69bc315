"""The benchmark of planted errors, in small: its samples are what they say, and judging catches what it claims to."""

from __future__ import annotations

import pytest

from benchmarks.judge.planted import LAYERS, measure, open_world, render
from benchmarks.judge.plants import SHARES, TEMPLATES, call, make_plants


def test_each_template_is_off_by_one_in_every_wrong_form():
    for template in TEMPLATES:
        right = template.right.replace("{k}", "3")
        arguments = {"values": [[4, 9, -2, 7, 5, 1, 8, 6, 2, 3, 9, 9]], "n": [12], "text": ["audio book sea"]}[
            right.split("(")[1].split(")")[0]
        ]
        for wrong in template.wrong:
            assert call(wrong.replace("{k}", "3"), template.entry, arguments) != call(right, template.entry, arguments), (
                template.entry
            )


def test_samples_are_as_many_as_wanted_and_the_same_each_time():
    with open_world(n_fillings=2) as world:
        plants = make_plants(world.schemas, 80, 3)
        assert plants == make_plants(world.schemas, 80, 3) != make_plants(world.schemas, 80, 4)
    assert {kind: sum(plant.kind == kind for plant in plants) for kind in SHARES} == {k: round(80 * v) for k, v in SHARES.items()}
    assert all(plant.answer != plant.gold for plant in plants if plant.kind.startswith(("wrong", "broken", "unknown")))


@pytest.mark.slow
def test_figures_of_a_few_samples():
    figures = measure(160, 5, n_fillings=3)
    recall = figures["recall_by_kind"]
    assert set(recall) == set(SHARES) - {"clean", "clean_python"} and all(set(row) == set(LAYERS) for row in recall.values())
    assert figures["result_changing_recall"] >= 0.95 and figures["n_result_changing"] > 60
    assert recall["contradicting_reasoning"]["steps"] >= 0.9 and recall["refusal"]["heuristics"] >= 0.9
    assert recall["broken_syntax"]["verifier_alone"] == recall["unknown_column"]["verifier_alone"] == 1.0
    assert recall["off_by_one"]["verifier_gold"] >= 0.9 and recall["contradicting_reasoning"]["verifier_gold"] == 0.0
    assert figures["false_alarms"]["sql"]["verifier_gold"] == figures["false_alarms"]["sql"]["steps"] == 0.0
    assert figures["precision_by_kind"]["refusal"]["steps"] in (None, 1.0)
    assert "false alarms, python" in render(figures)
