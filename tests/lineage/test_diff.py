"""What differs between two checkpoints, and nothing where nothing does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_assets.lineage.audits.diff import compare_checkpoints, is_different
from distill_assets.lineage.record import Terms
from tests.lineage.small_world import Seen, Told, see

A, B, C = "a" * 16, "b" * 16, "c" * 16


def diff(told: Told, first: str, second: str) -> dict[str, Any]:
    with told.ledger.connect() as connection:
        return compare_checkpoints(connection, told.manifest(first), told.manifest(second))


@pytest.fixture
def told(tmp_path: Path) -> Told:
    told = Told(tmp_path)
    told.seeds({"s1": ("a", "MIT")})
    told.generations(
        [{"generation_id": "g1"}, {"generation_id": "g2"}, {"generation_id": "g3", "teacher": "small", "served_model": None}]
    )
    told.judge({"g1": "accepted", "g2": "accepted", "g3": "accepted"})
    told.dataset("d1", ["g1", "g2"])
    told.checkpoint(A, "d1", see("g1", "g2"))
    return told


def test_a_checkpoint_does_not_differ_from_itself(told: Told) -> None:
    told.evaluate(A, {}, {"source": "synthetic", "value": 0.25}, {"evaluation_id": "e2", "version": "v2", "value": 0.75})
    found = diff(told, A, A)
    assert not is_different(found) and found["rows"] == {"n_only_first": 0, "n_only_second": 0, "n_changed": 0, "n_both": 2}


def test_rows_teachers_and_fields_that_differ_are_told_both_ways(told: Told) -> None:
    told.dataset("d2", ["g2", "g3"])
    told.checkpoint(B, "d2", {"g2": Seen(), "g3": Seen(2, 60, 20)}, base_model="base-b")
    found = diff(told, A, B)
    assert is_different(found)
    assert found["rows"] == {"n_only_first": 1, "n_only_second": 1, "n_changed": 0, "n_both": 1}
    assert {t["teacher"]: (t["n_rows"], t["n_loss_tokens"]) for t in found["teachers"]} == {
        "big-2026": ([2, 1], [20, 10]), "small": ([0, 1], [0, 20]),
    }  # fmt: skip
    assert found["fields"]["student"] == {"base_model": ["base-a", "base-b"]}
    back = diff(told, B, A)
    assert back["rows"]["n_only_first"] == 1 and back["fields"]["student"] == {"base_model": ["base-b", "base-a"]}


def test_a_row_with_another_text_is_changed(told: Told) -> None:
    import polars as pl

    from distill_assets.lineage.record import record_dataset

    frame = pl.DataFrame(
        {"sample_id": ["g1", "g2"], "split": "train", "prompt": ["ask g1", "ask g2"], "completion": ["answer g1", "else"]}
    )
    none = pl.DataFrame(schema={"sample_id": pl.String, "drop_reason": pl.String})
    told.write(record_dataset(frame, none, "d2", {}))
    told.checkpoint(B, "d2", see("g1", "g2"))
    assert diff(told, A, B)["rows"] == {"n_only_first": 0, "n_only_second": 0, "n_changed": 1, "n_both": 2}


def test_rows_that_were_seen_differently_differ(told: Told) -> None:
    told.checkpoint(B, "d1", {"g1": Seen(), "g2": Seen(0, 0, 0)})
    found = diff(told, A, B)
    assert is_different(found) and found["teachers"][0]["n_loss_tokens"] == [20, 10]


def test_other_terms_are_told(told: Told) -> None:
    told.generations([{"generation_id": "g4"}, {"generation_id": "g5"}], [Terms("big", licence="new")])
    told.judge({"g4": "accepted", "g5": "accepted"})
    told.dataset("d2", ["g4", "g5"])
    told.checkpoint(B, "d2", see("g4", "g5"))
    assert sorted(teacher["n_rows"] for teacher in diff(told, A, B)["teachers"]) == [[0, 2], [2, 0]]


def test_figures_are_held_against_those_of_the_same_items(told: Told) -> None:
    """People's items and held-out ones of one benchmark are two figures, and so are those of two versions."""
    told.dataset("d2", ["g1"])
    told.checkpoint(B, "d2", see("g1"))
    told.evaluate(A, {"value": 0.5}, {"source": "synthetic", "value": 0.9})
    told.evaluate(B, {"evaluation_id": "e2", "value": 0.7}, {"evaluation_id": "e2", "source": "synthetic", "value": 0.9})
    [figure] = diff(told, A, B)["figures"]
    assert (figure["source"], figure["value"]) == ("human", [0.5, 0.7])
    told.evaluate(B, {"evaluation_id": "e3", "version": "v2", "digest": "d2", "value": 0.1})
    found = {(one["version"], one["source"]): one["value"] for one in diff(told, A, B)["figures"]}
    assert found == {("v1", "human"): [0.5, 0.7], ("v2", "human"): [None, 0.1]}
