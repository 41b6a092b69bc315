"""Tombstones: what is in force, which rows of tables and of checkpoints a selector names, whatever its value looks like."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from distill_assets.lineage.ids import salted
from distill_assets.lineage.record import Terms
from distill_assets.lineage.tombstones import (
    SELECTORS,
    Selector,
    find_touched,
    list_tombstones,
    mark_generations,
    mark_seeds,
    name_tombstone,
    touches,
)
from tests.lineage.small_world import Seen, Told, make_generations, see

HOSTILE = ["it's", 'a "quote"', "100%", "_", "line\nbreak", "naïve ü 日本", "$value", "'; drop view mix; --", "{}", "null", " "]


def test_a_withdrawal_that_was_lifted_and_said_again_is_in_force_once(tmp_path: Path) -> None:
    told = Told(tmp_path)
    first, second = Selector("teacher", "big"), Selector("served", "big")
    told.bury(first, "one")
    told.bury(second, "two")
    told.bury(first, "said twice")
    in_force = list_tombstones(told.ledger.events())
    assert [(t.selector, t.reason) for t in in_force] == [(first, "one"), (second, "two")]
    told.lift(name_tombstone(first))
    told.lift(name_tombstone(first))
    assert [t.selector for t in list_tombstones(told.ledger.events())] == [second]
    told.bury(first, "again")
    assert [(t.selector, t.reason) for t in list_tombstones(told.ledger.events())] == [(second, "two"), (first, "again")]


def test_every_kind_and_value_has_a_name_of_its_own() -> None:
    names = {name_tombstone(Selector(kind, value)) for kind in SELECTORS for value in ("a", "b", "")}
    assert len(names) == 3 * len(SELECTORS)


def tell_two(told: Told) -> None:
    """Two teachers, two sources, two licences, a real sample; a row of the first teacher was never seen, one is held out."""
    told.seeds({"s1": ("seeds/a.jsonl", "CC-BY-4.0"), "s2": ("seeds/b.jsonl", "MIT")})
    told.real({"r1": ("real/r.jsonl", "MIT")})
    told.generations(
        [
            {"generation_id": "g1", "system_fingerprint": "fp1"},
            {"generation_id": "g2", "seed_id": "s2"},
            {"generation_id": "g3", "teacher": "small", "served_model": "small-1", "seed_id": "s2"},
            {"generation_id": "g4", "system_fingerprint": "fp1"},
            {"generation_id": "g5"},
        ],
        [Terms("big", licence="llama3"), Terms("small", licence="MIT")],
    )
    told.judge({f"g{i}": "accepted" for i in range(1, 5)}, ["strict@1"])
    told.judge({"g5": "accepted", "r1": "accepted"})
    told.dataset("d", {"g1": "train", "g2": "train", "g3": "train", "g4": "train", "g5": "heldout", "r1": "train"})
    told.checkpoint("c1", "d", {**see("g1", "g2", "r1"), "g3": Seen(2, 60, 25), "g4": Seen(0, 0, 0)})


def test_each_selector_names_the_rows_it_says(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell_two(told)
    salt = told.ledger.salt()
    expected = {
        Selector("teacher", "big"): (3, 2), Selector("served", "small-1"): (1, 1), Selector("fingerprint", "fp1"): (2, 1),
        Selector("licence", "MIT"): (3, 3), Selector("licence", "llama3"): (3, 2), Selector("licence", "CC-BY-4.0"): (2, 1),
        Selector("source", "seeds/b.jsonl"): (2, 2), Selector("source", "real/r.jsonl"): (1, 1), Selector("judge", "strict@1"): (4, 3),
        Selector("judge", "rules@1"): (5, 4), Selector("teacher", "people"): (1, 1),
        Selector("seed", salted(salt, "s2")): (2, 2), Selector("seed", salted(salt, "s1")): (2, 1),
        Selector("generation", salted(salt, "g3")): (1, 1), Selector("generation", salted(salt, "g4")): (1, 0),
        Selector("generation", salted(salt, "r1")): (1, 1),
    }  # fmt: skip
    with told.ledger.connect() as connection:
        [[mine]] = connection.execute("select salted('c1')").fetchall()
        found = {selector: [one[1:3] for one in find_touched(connection, selector)] for selector in expected}
        assert found == {selector: [figures] for selector, figures in expected.items()}
        [small] = find_touched(connection, Selector("served", "small-1"))
        assert (small.n_tokens, small.n_loss_tokens, small.share_frac) == (60, 25, pytest.approx(25 / 55))
        for named in (Selector("teacher", "bi"), Selector("generation", salted(salt, "g5")), Selector("seed", salted(salt, "g9"))):
            assert find_touched(connection, named) == [] and touches(connection, named, mine.hex) == 0


def test_rows_are_named_although_nobody_counted_what_was_seen(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell_two(told)
    told.dataset("d0", ["g1", "g3"])
    told.checkpoint("c0", "d0", None)
    with told.ledger.connect() as connection:
        [[mine]] = connection.execute("select salted('c0')").fetchall()
        for kind, value in (("seed", "s2"), ("generation", "g3")):
            assert touches(connection, Selector(kind, salted(told.ledger.salt(), value)), mine.hex) == 1
        assert touches(connection, Selector("served", "small-1"), mine.hex) == 1


def test_a_value_is_a_value_whatever_it_looks_like(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.seeds({f"s{i}": (value, value) for i, value in enumerate(HOSTILE)})
    rows = [
        {"generation_id": f"g{i}", "seed_id": f"s{i}", "teacher": value, "served_model": value, "system_fingerprint": value}
        for i, value in enumerate(HOSTILE)
    ]
    told.generations(rows, [Terms(value, licence=value) for value in HOSTILE])
    for i, value in enumerate(HOSTILE):
        told.judge({f"g{i}": "accepted"}, [value])
    told.dataset("d", [row["generation_id"] for row in rows])
    told.checkpoint("c1", "d", see(*(row["generation_id"] for row in rows)))
    told.evaluate("c1", *({"benchmark": value} for value in HOSTILE))
    kinds = ("teacher", "served", "fingerprint", "licence", "source", "judge", "benchmark")
    with told.ledger.connect() as connection:
        [[mine]] = connection.execute("select salted('c1')").fetchall()
        for value in HOSTILE:
            assert [touches(connection, Selector(kind, value), mine.hex) for kind in kinds] == [1] * len(kinds), value
    for value in HOSTILE:
        told.bury(Selector("teacher", value), value)
    assert [tombstone.selector.value for tombstone in list_tombstones(told.ledger.events())] == HOSTILE
    assert [item["selector"]["value"] for item in told.manifest("c1")["tombstones"]] == HOSTILE


def test_what_was_derived_from_a_row_is_touched_with_it(tmp_path: Path) -> None:
    """A row that another teacher evolved, one shown another seed's row as an example, and one of two seeds."""
    told = Told(tmp_path)
    told.seeds({"s1": ("seeds/a.jsonl", "MIT"), "s2": ("seeds/b.jsonl", "CC0-1.0")})
    small = {"teacher": "small", "served_model": "small-1", "seed_id": "s2"}
    rows = [{"generation_id": "g1"}, *({"generation_id": i, **small} for i in ("g2", "g3", "g4", "g5"))]
    own = [("g1", "s1", "seed"), *((i, "s2", "seed") for i in ("g2", "g3", "g4", "g5"))]
    told.generations(rows, edges=[*own, ("g2", "g1", "evolved_from"), ("g3", "g2", "few_shot"), ("g4", "s1", "few_shot")])
    told.judge(dict.fromkeys(("g2", "g3", "g4", "g5"), "accepted"))
    told.dataset("d", ["g2", "g3", "g4", "g5"])
    told.checkpoint("c1", "d", see("g2", "g3", "g4", "g5"))
    salt = told.ledger.salt()
    expected = {
        Selector("teacher", "big"): 2, Selector("served", "big-2026"): 2, Selector("generation", salted(salt, "g1")): 2,
        Selector("source", "seeds/a.jsonl"): 3, Selector("licence", "MIT"): 3, Selector("seed", salted(salt, "s1")): 3,
        Selector("generation", salted(salt, "g5")): 1, Selector("teacher", "small"): 4, Selector("source", "seeds/b.jsonl"): 4,
    }  # fmt: skip
    with told.ledger.connect() as connection:
        [[mine]] = connection.execute("select salted('c1')").fetchall()
        assert {selector: touches(connection, selector, mine.hex) for selector in expected} == expected


def test_a_benchmark_is_named_alone_or_with_its_version(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell_two(told)
    told.evaluate("c1", {}, {"evaluation_id": "e2", "version": "v2", "metric": "f1"})
    with told.ledger.connect() as connection:
        [[mine]] = connection.execute("select salted('c1')").fetchall()
        named = {"holdout": 2, "holdout@v1": 1, "holdout@v2": 1, "holdout@v3": 0, "hold": 0}
        assert {name: touches(connection, Selector("benchmark", name), mine.hex) for name in named} == named


def test_what_is_not_known_of_a_row_names_it_by_nothing() -> None:
    """A row without served model, fingerprint or licence is not withdrawn by another row's."""
    rows = make_generations([{"generation_id": "g1", "served_model": None}, {"generation_id": "g2", "system_fingerprint": "fp"}])
    selectors = [Selector("served", "x"), Selector("fingerprint", "fp"), Selector("licence", "MIT")]
    assert mark_generations(rows, {"big": None}, selectors, str).to_list() == [False, True]
    assert mark_generations(rows, {"big": "MIT"}, selectors, str).to_list() == [True, True]
    seeds = pl.DataFrame({"seed_id": ["a", "b"], "licence": [None, "MIT"], "source_file": ["f", "g"]})
    assert mark_seeds(seeds, [Selector("licence", "MIT")], str).to_list() == [False, True]
    assert mark_seeds(seeds, [Selector("source", "f")], str).to_list() == [True, False]
    assert mark_seeds(seeds, [Selector("seed", "b")], str).to_list() == [False, True]
    assert mark_seeds(seeds, [], str).to_list() == [False, False]
