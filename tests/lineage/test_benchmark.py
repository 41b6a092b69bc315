"""The ledger's benchmark, in small: its world is what it says, and every figure is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.lineage.asking import list_questions
from benchmarks.lineage.large import build_large
from benchmarks.lineage.world import RECIPE, build_world, name_dataset
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import root_of
from distill_assets.lineage.verify import verify_ledger

N_ROWS = 2000


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Ledger, dict]:
    home = tmp_path_factory.mktemp("world")
    figures = build_world(home, N_ROWS, is_branched=True)
    return Ledger.open(home / "ledger"), figures


def test_a_world_has_what_it_says(world):
    ledger, figures = world
    assert figures["bytes_per_row"] > 0 and figures["record_s"] > 0 and figures["record_peak_mib"] > 0
    sql = """select (select count(*) from generation), (select count(*) from judgment), (select count(distinct endpoint_id) from generation),
      (select count(*) from snapshot_row where split = 'train' and snapshot_id = $newer), (select count(distinct snapshot_id) from snapshot_row),
      (select count(*) from duplicate where run = (select any_value(run) from duplicate group by run order by count(*) desc limit 1))"""
    with ledger.connect() as connection:
        newer = salted(ledger.salt(), name_dataset("newer"))
        n_generations, n_judgments, n_endpoints, n_train, n_datasets, n_duplicates = connection.execute(
            sql.replace("$newer", f"'{newer}'::uuid")
        ).fetchall()[0]
    assert (n_generations, n_judgments, n_endpoints, n_train, n_datasets) == (2 * N_ROWS, 2 * N_ROWS, 6, N_ROWS, 2)
    assert 0.4 * N_ROWS < n_duplicates < 0.6 * N_ROWS
    assert verify_ledger(ledger.root) == []


def test_each_question_finds_something(world):
    ledger, figures = world
    answers = {name: ask() for name, ask in list_questions(ledger, figures["row"]).items()}
    assert sum(teacher["n_rows"] for teacher in answers["show"]["teachers"]) == N_ROWS
    assert all(
        answers[name] for name in ("taint", "taint_source", "taint_generation", "taint_seed", "taint_benchmark", "diff", "digest")
    )
    roles = {parent["role"] for parent in answers["why"]["parents"]}
    assert roles == {"seed", "evolved_from"} and answers["why"]["exposures"]


def test_a_large_ledger_answers_by_its_roll_up(tmp_path):
    build_large(tmp_path, N_ROWS)
    ledger = Ledger.open(tmp_path / "ledger")
    questions = list_questions(ledger, "")
    assert sum(teacher["n_rows"] for teacher in questions["show"]()["teachers"]) == N_ROWS
    assert {taint.name.split("@")[0] for taint in questions["taint"]()} == {RECIPE} and len(questions["taint"]()) == 2
    rows = questions["diff"]()["rows"]
    assert rows["n_only_second"] == rows["n_changed"] == N_ROWS // 2


def test_a_tree_that_is_read_in_pieces_has_the_same_root(world, monkeypatch):
    ledger, _ = world
    newer = salted(ledger.salt(), name_dataset("newer"))
    with ledger.connect() as connection:
        whole = root_of(connection, newer)
        monkeypatch.setattr("distill_assets.lineage.merkle._PIECE_ROWS", 300)
        assert root_of(connection, newer) == whole


def test_without_a_part_its_figures_are_null(tmp_path: Path, monkeypatch, capsys):
    import json

    from benchmarks.lineage.__main__ import HEADLINES, main

    monkeypatch.setattr("sys.argv", ["benchmarks.lineage", "--json", "--part", "record", "--rows", "500", "--data", str(tmp_path)])
    main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(HEADLINES) | {"parts"} == set(told) and told["bytes_per_row"] > 0 and told["missed"] is None
