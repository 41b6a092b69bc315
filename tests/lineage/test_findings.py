"""The seven lineage checks, each where it holds and where it does not, over ledgers that were told by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_assets.lineage.findings import CHECKS, MOVING, judge_checkpoint
from distill_assets.lineage.ids import salted
from distill_assets.lineage.record import Terms
from distill_assets.lineage.tombstones import Selector
from tests.lineage.small_world import Seen, Told, see, tell_checkpoint

CLEAN = "aaaaaaaaaaaa1111"


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """A checkpoint of which everything holds."""
    told = Told(tmp_path)
    told.screen("hits", ("holdout", "d1"))
    terms = [Terms("big", family="llama", licence="Apache-2.0")]
    tell_checkpoint(told, CLEAN, terms=terms)
    told.evaluate(CLEAN, {})
    return told


def add(told: Told, checkpoint: str, critics: tuple[str, ...] = (), terms: tuple[Terms, ...] = (), **student: object) -> str:
    """Another checkpoint over two new rows of teacher big."""
    ids = [f"{checkpoint}-{i}" for i in range(2)]
    told.generations([{"generation_id": i} for i in ids], terms)
    told.judge(dict.fromkeys(ids, "accepted"), critics, terms)
    told.dataset(f"d {checkpoint}", ids)
    told.checkpoint(checkpoint, f"d {checkpoint}", see(*ids), **student)
    return checkpoint


def test_every_check_holds_where_nothing_is_wrong(told: Told) -> None:
    manifest = told.manifest(CLEAN)
    answers = judge_checkpoint(manifest, manifest, [], [])
    assert [answer.name for answer in answers] == list(CHECKS)
    assert {answer.name: answer.passed for answer in answers} == dict.fromkeys(CHECKS, True)


def test_a_withdrawal_is_told_until_it_is_lifted(told: Told) -> None:
    salt = told.ledger.salt()
    for selector in (
        Selector("teacher", "big"), Selector("served", "big-2026"), Selector("judge", "rules@1"), Selector("benchmark", "holdout"),
        Selector("licence", "CC-BY-4.0"), Selector("licence", "Apache-2.0"), Selector("source", "seeds/a.jsonl"),
        Selector("seed", salted(salt, "s1")), Selector("generation", salted(salt, f"{CLEAN}-1")),
    ):  # fmt: skip
        tombstone = told.bury(selector, "it leaked")
        passed, words = told.ask("no_withdrawn_teacher", CLEAN)
        assert not passed and "it leaked" in words and selector.kind in words, selector
        told.lift(tombstone)
        assert told.ask("no_withdrawn_teacher", CLEAN) == (True, "")
    told.bury(Selector("teacher", "other"))
    told.bury(Selector("benchmark", "holdout@v2"))
    assert told.ask("no_withdrawn_teacher", CLEAN)[0]


def test_what_comes_through_another_checkpoint_is_told(told: Told) -> None:
    manifest = told.manifest(CLEAN)
    answers = {a.name: a for a in judge_checkpoint(manifest, manifest, ["teacher x reaches it: taught by c@1"], [])}
    assert not answers["no_withdrawn_teacher"].passed and "taught by c@1" in answers["no_withdrawn_teacher"].words


def test_an_obligation_that_is_not_met_is_told_and_one_for_people_is_only_noted(told: Told) -> None:
    tell_checkpoint(told, "b" * 16, {"teacher": "lama"}, [Terms("lama", family="llama", licence="llama3.3")])
    passed, words = told.ask("licence_obligations_met", "b" * 16)
    assert not passed and "Llama" in words
    assert told.ask("licence_obligations_met", CLEAN)[0]


def test_a_critic_of_the_teachers_family_is_told_and_another_is_not(told: Told) -> None:
    big = Terms("big", family="llama,gpt")
    kin = add(told, "c" * 16, ("strict@1", "mild@1"), (big, Terms("strict@1", family="gpt"), Terms("mild@1", family="claude")))
    passed, words = told.ask("judge_not_same_family", kin)
    assert not passed and "strict@1" in words and "gpt" in words and "mild@1" not in words
    assert told.ask("judge_not_same_family", CLEAN) == (True, "")
    unknown = add(told, "d" * 16, ("nobody@1",), (big, Terms("nobody@1")))
    assert told.ask("judge_not_same_family", unknown)[0]


@pytest.mark.parametrize(
    ("terms", "student", "holds"),
    [
        (Terms("big", family="smollm"), {}, False),
        (Terms("big", family="gpt"), {}, True),
        (Terms("big", base_lineage=("mid", "base-a")), {}, False),
        (Terms("big", base_lineage=("mid", "base-b")), {}, True),
        (Terms("big"), {"families": []}, True),
        (Terms("big", family="gpt,qwen"), {"families": ["qwen"]}, False),
    ],
)
def test_a_teacher_of_the_students_base_is_told(tmp_path: Path, terms: Terms, student: dict, holds: bool) -> None:
    told = Told(tmp_path)
    tell_checkpoint(told, CLEAN, terms=[terms], **student)
    assert told.ask("teacher_not_same_base", CLEAN)[0] is holds


def test_a_figure_needs_its_benchmark_screened_in_that_version(told: Told) -> None:
    told.evaluate(CLEAN, {"evaluation_id": "e2", "version": "v2", "digest": "d2", "metric": "f1"})
    passed, words = told.ask("decontamination_covers_evaluations", CLEAN)
    assert not passed and "holdout@v2" in words and "v1" not in words
    told.screen("hits 2", ("holdout", "d2"))
    assert not told.ask("decontamination_covers_evaluations", CLEAN)[0], "another dataset was held against it, not this one"


def test_figures_on_own_held_out_rows_need_no_screening_and_those_without_a_version_do(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell_checkpoint(told, CLEAN)
    told.evaluate(CLEAN, {"source": "synthetic", "benchmark": "heldout"})
    assert told.ask("decontamination_covers_evaluations", CLEAN)[0]
    told.evaluate(CLEAN, {"evaluation_id": "e2", "benchmark": "other", "version": None, "digest": None})
    passed, words = told.ask("decontamination_covers_evaluations", CLEAN)
    assert not passed and "other" in words


def test_a_lineage_that_differs_from_the_ledger_is_told_by_its_parts(told: Told) -> None:
    manifest = told.manifest(CLEAN)

    def ask(sealed: dict | None, problems: tuple[str, ...] = ()) -> tuple[bool, str]:
        [answer] = [a for a in judge_checkpoint(manifest, sealed, [], problems) if a.name == "manifest_matches_ledger"]
        return answer.passed, answer.words

    assert ask(manifest) == (True, "")
    assert not ask(None)[0] and not ask(manifest, ("weights: changed",))[0]
    for part in manifest:
        assert ask({**manifest, part: "forged"})[0] is (part in MOVING), part
        assert ask({name: value for name, value in manifest.items() if name != part})[0] is (part in MOVING), part
    assert not ask({**manifest, "more": 1})[0]


def test_exposure_that_nobody_counted_or_that_does_not_add_up_is_told(told: Told) -> None:
    told.dataset("d0", [f"{CLEAN}-1", f"{CLEAN}-2"])
    told.checkpoint("e" * 16, "d0", None)
    passed, words = told.ask("exposure_recorded", "e" * 16)
    assert not passed and "nobody counted" in words
    told.checkpoint("f" * 16, "d0", {**see(f"{CLEAN}-1"), "of another dataset": Seen()})
    passed, words = told.ask("exposure_recorded", "f" * 16)
    assert not passed and "2 rows were seen" in words and "1" in words
    told.checkpoint("0" * 16, "d0", {f"{CLEAN}-1": Seen(), f"{CLEAN}-2": Seen(0, 0, 0)})
    assert told.ask("exposure_recorded", "0" * 16) == (True, "")
