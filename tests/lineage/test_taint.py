"""The blast radius over checkpoints that start from one another and teach one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_assets.lineage.audits.taint import DIRECT, EVALUATED, INIT, TEACHER, find_taint, find_tainted_teachers
from distill_assets.lineage.ids import salted
from distill_assets.lineage.record import Terms
from distill_assets.lineage.tombstones import Selector
from tests.lineage.small_world import Told, tell_checkpoint, weights

A, B, C, D, E = ("aaaaaaaaaaaa1111", "bbbbbbbbbbbb2222", "cccccccccccc3333", "dddddddddddd4444", "eeeeeeeeeeee5555")
BAD = {"teacher": "bad", "served_model": "bad-1"}


def taint(told: Told, selector: Selector) -> dict[str, tuple[str, str | None]]:
    with told.ledger.connect() as connection:
        found = find_taint(connection, told.ledger.events(), selector)
    return {one.checkpoint: (one.how, one.through) for one in found}


def name(checkpoint: str, recipe: str = "choir") -> str:
    return f"{recipe}@{checkpoint[:12]}"


def test_taint_follows_initialisation_and_teaching_to_the_end(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell_checkpoint(told, A, BAD)
    tell_checkpoint(told, B, parent_checkpoint=A)
    other = told.of("other")
    tell_checkpoint(other, C, {"teacher": "ours"}, [Terms("ours", base_lineage=(f"checkpoint:{B[:12]}",))])
    tell_checkpoint(other, D, {"teacher": "plain", "served_model": f"weights-{weights(C)}"})
    tell_checkpoint(told, E)
    expected = {A: (DIRECT, None), B: (INIT, name(A)), C: (TEACHER, name(B)), D: (TEACHER, name(C, "other"))}
    assert taint(told, Selector("teacher", "bad")) == expected
    assert taint(told, Selector("served", "bad-1")) == expected
    assert taint(told, Selector("generation", salted(told.ledger.salt(), f"{A}-1"))) == expected
    assert set(taint(told, Selector("source", "seeds/a.jsonl"))) == {A, B, C, D, E}
    assert taint(told, Selector("teacher", "nobody")) == {}


def test_its_own_rows_are_the_nearest_reason(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell_checkpoint(told, A, BAD)
    tell_checkpoint(told, B, BAD, parent_checkpoint=A)
    assert taint(told, Selector("teacher", "bad")) == {A: (DIRECT, None), B: (DIRECT, None)}


def test_circles_of_checkpoints_end(tmp_path: Path) -> None:
    """Two that teach each other, one that is said to start from itself."""
    told = Told(tmp_path)
    tell_checkpoint(told, A, BAD, [Terms("bad", base_lineage=(f"checkpoint:{B}",))])
    tell_checkpoint(told, B, {"teacher": "ours"}, [Terms("ours", base_lineage=(f"checkpoint:{A}",))], parent_checkpoint=B)
    assert taint(told, Selector("teacher", "bad")) == {A: (DIRECT, None), B: (TEACHER, name(A))}
    assert taint(told, Selector("teacher", "ours")) == {B: (DIRECT, None), A: (TEACHER, name(B))}


@pytest.mark.parametrize("origin", ["checkpoint:", "checkpoint:0", "a", "", f"x{A}", "checkpoint:aaaaaaaaaaaa1111ff"])
def test_a_name_that_says_no_checkpoint_makes_none_a_teacher(tmp_path: Path, origin: str) -> None:
    told = Told(tmp_path)
    tell_checkpoint(told, A, BAD)
    tell_checkpoint(told, B, {"teacher": "other"}, [Terms("other", base_lineage=(origin,))])
    assert set(taint(told, Selector("teacher", "bad"))) == {A}


def test_a_withdrawn_benchmark_touches_who_was_measured_on_it(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell_checkpoint(told, A)
    tell_checkpoint(told, B, parent_checkpoint=A)
    told.evaluate(A, {})
    told.evaluate(B, {"benchmark": "spider", "evaluation_id": "e2"})
    assert taint(told, Selector("benchmark", "holdout")) == {A: (EVALUATED, None)}
    assert taint(told, Selector("benchmark", "holdout@v2")) == {}


def test_teachers_that_are_tainted_checkpoints_are_named_however_they_say_so(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell_checkpoint(told, A, BAD)
    tell_checkpoint(told, B, {"teacher": "ours", "served_model": None}, [Terms("ours", base_lineage=(f"checkpoint:{A[:12]}",))])
    tell_checkpoint(told, C, {"teacher": "hub", "served_model": f"student-{weights(A)}"})
    assert set(taint(told, Selector("teacher", "bad"))) == {A, B, C}
    with told.ledger.connect() as connection:
        found = find_tainted_teachers(connection, told.ledger.events(), [A])
    assert {(one["teacher"], one["checkpoint"], one["n_rows"]) for one in found} == {
        ("ours", A, 2), (f"student-{weights(A)}", A, 2),
    }  # fmt: skip
