"""What the graph leaves out: everything that was derived from what is withdrawn, known to the ledger or not."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_assets.errors import LineageError
from distill_assets.lineage.ids import salted
from distill_assets.lineage.record import Terms
from distill_assets.lineage.tombstones import Selector
from distill_assets.lineage.withdrawals import FILE, read_withdrawals, write_watched
from tests.lineage.erasure_world import TEACHERS, follow, list_selectors, make_world, record_world
from tests.lineage.small_world import Told, make_generations

LICENCES = {"big": None, "small": None}


def marked(told: Told, selector: Selector, rows: pl.DataFrame, licences: dict[str, str | None] = LICENCES) -> set[str]:
    withdrawals = read_withdrawals(told.ledger.root, only=[selector])
    return set(rows.filter(withdrawals.mark_generations(rows, licences))["generation_id"])


def test_a_chain_and_a_circle_of_derivations_leave_whole(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.seeds({"s1": ("a", "MIT"), "s2": ("b", "MIT")})
    rows = [{"generation_id": f"g{i}", "seed_id": "s2"} for i in range(60)]
    chain = [(f"g{i}", f"g{i - 1}", "evolved_from") for i in range(1, 50)]
    circle = [("g50", "g51", "few_shot"), ("g51", "g52", "few_shot"), ("g52", "g50", "few_shot"), ("g52", "g10", "revised_from")]
    own = [(f"g{i}", "s2", "seed") for i in range(60)]
    told.generations(rows, edges=[*own, *chain, *circle])
    frame = make_generations(rows)
    salt = told.ledger.salt()
    expected = {f"g{i}" for i in range(10, 53)}
    assert marked(told, Selector("generation", salted(salt, "g10")), frame) == expected
    assert marked(told, Selector("generation", salted(salt, "g51")), frame) == {"g50", "g51", "g52"}
    assert marked(told, Selector("generation", salted(salt, "g59")), frame) == {"g59"}
    assert marked(told, Selector("seed", salted(salt, "s2")), frame) == {f"g{i}" for i in range(60)}
    assert marked(told, Selector("seed", salted(salt, "s1")), frame) == set()


def test_a_row_that_the_ledger_does_not_know_yet_leaves_by_what_it_says_itself(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.seeds({"s1": ("a", "MIT")})
    told.generations([{"generation_id": "g1"}], [Terms("big", licence="llama3")])
    new = make_generations([
        {"generation_id": "n1"}, {"generation_id": "n2", "teacher": "small", "served_model": "small-1"},
        {"generation_id": "n3", "teacher": "small", "served_model": None, "system_fingerprint": "fp"},
    ])  # fmt: skip
    licences = {"big": "llama3", "small": "MIT"}
    for selector, expected in (
        (Selector("teacher", "big"), {"n1"}), (Selector("served", "small-1"), {"n2"}), (Selector("fingerprint", "fp"), {"n3"}),
        (Selector("licence", "llama3"), {"n1"}), (Selector("licence", "MIT"), {"n2", "n3"}), (Selector("source", "a"), set()),
        (Selector("generation", salted(told.ledger.salt(), "n3")), {"n3"}), (Selector("judge", "big"), set()),
    ):  # fmt: skip
        assert marked(told, selector, new, licences) == expected, selector


def test_rows_keep_the_licence_they_were_made_under(tmp_path: Path) -> None:
    """The teacher's licence in the recipe is another one by now; the old one is withdrawn."""
    told = Told(tmp_path)
    told.generations([{"generation_id": "g1"}, {"generation_id": "g2", "teacher": "small"}], [Terms("big", licence="old")])
    rows = make_generations([{"generation_id": "g1"}, {"generation_id": "g2", "teacher": "small"}])
    assert marked(told, Selector("licence", "old"), rows, {"big": "new", "small": None}) == {"g1"}


def test_answers_that_were_withdrawn_are_not_asked_for_again_until_it_is_lifted(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.seeds({"s1": ("a", "MIT"), "s2": ("a", "CC0-1.0")})
    rows = [{"generation_id": "g1"}, {"generation_id": "g2", "teacher": "small"}, {"generation_id": "g3", "seed_id": "s2"}]
    told.generations(rows)
    assert not read_withdrawals(told.ledger.root)
    tombstone = told.bury(Selector("teacher", "big"))
    told.bury(Selector("judge", "strict@1"))
    found = read_withdrawals(told.ledger.root)
    assert found and [f"request g{i}" in found for i in (1, 2, 3, 4)] == [True, False, True, False]
    with pytest.raises(LineageError, match=r"strict@1: withdrawn"):
        found.check_judges(["rules@1", "strict@1"])
    found.check_judges(["strict@2"])
    told.lift(tombstone)
    assert "request g1" not in read_withdrawals(told.ledger.root)


def test_the_watched_file_says_what_is_in_force_and_is_not_written_for_nothing(tmp_path: Path) -> None:
    write_watched(tmp_path / "none")
    told = Told(tmp_path)
    file = told.ledger.root / FILE
    write_watched(told.ledger.root)
    assert not file.exists()
    tombstone = told.bury(Selector("teacher", "it's \n %s ü"))
    write_watched(told.ledger.root)
    first = (file.read_bytes(), file.stat().st_ino)
    write_watched(told.ledger.root)
    assert (file.read_bytes(), file.stat().st_ino) == first
    told.lift(tombstone)
    write_watched(told.ledger.root)
    assert file.read_text() == "[]\n"


@given(st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_ledger_and_plain_python_name_the_same_rows(tmp_path_factory, number: int) -> None:
    world = make_world(number, n_seeds=6, n_generations=30)
    ledger = record_world(world, tmp_path_factory.mktemp("ledger") / "ledger")
    draw = random.Random(number)
    for _ in range(4):
        selector = list_selectors(world, ledger, draw)
        withdrawals = read_withdrawals(ledger.root, only=[selector])
        marks = withdrawals.mark_generations(world.generations, dict.fromkeys(TEACHERS))
        gone = follow(world, ledger, selector)
        assert set(world.generations.filter(marks)["generation_id"]) == gone & set(world.generations["generation_id"]), selector
        requests = {row["request_id"] for row in world.generations.iter_rows(named=True) if row["generation_id"] in gone}
        assert {i for i in world.generations["request_id"] if i in withdrawals} == requests
        seeds = set(world.seeds.filter(withdrawals.mark_seeds(world.seeds))["seed_id"])
        assert seeds == gone & set(world.seeds["seed_id"])
