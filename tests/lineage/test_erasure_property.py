"""Erasing is rebuilding: whatever is withdrawn from whatever world, both give the same dataset; deleting rows does not."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lineage.erasure_world import compare, make_world


@given(st.integers(0, 2**32))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_erased_dataset_is_the_one_built_from_scratch(seed: int) -> None:
    outcome = compare(seed)
    if outcome is not None:
        assert outcome.incremental == outcome.scratch


def test_deleting_rows_gives_another_dataset_where_a_former_duplicate_or_a_free_place_comes_in() -> None:
    outcomes = [outcome for seed in range(8) if (outcome := compare(seed)) is not None]
    moved = [outcome for outcome in outcomes if outcome.n_in]
    assert moved, "no world of these lets a row come in"
    for outcome in outcomes:
        assert (outcome.naive[1] != outcome.scratch[1]) == bool(outcome.n_in)


def test_worlds_have_what_makes_erasing_hard() -> None:
    worlds = [make_world(seed) for seed in range(6)]
    assert all(len(set(world.derivations["role"])) == 4 for world in worlds)
    assert all(world.generations["teacher"].n_unique() == 2 for world in worlds)
    assert all(not world.judged[0]["sample_status"].equals(world.judged[1]["sample_status"]) for world in worlds)
