"""`distill lineage why`, as a person asks it of a recipe that ran."""

from __future__ import annotations

import json
from collections.abc import Callable

import polars as pl
import pytest
from click.testing import Result

from distill_assets.lineage.ids import salted
from tests.commands.lineage.conftest import World

Ask = Callable[..., Result]
pytestmark = pytest.mark.timeout(300)  # the first test waits for the recipe to run
NOISE = "zebra quilt umbra fjord nymph waltz glyph vexed crypt dwarf"


def read_dataset(world: World) -> pl.DataFrame:
    return pl.read_parquet(world.table("training_dataset")).filter(split="train")


def ask(lineage: Ask, *words: str, code: int = 0) -> dict:
    result = lineage("why", *words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_a_row_is_told_from_its_seed_to_the_step_that_saw_it_with_its_texts(world: World, lineage: Ask) -> None:
    row = read_dataset(world).row(0, named=True)
    made = pl.read_parquet(world.table("raw_generations")).filter(generation_id=row["sample_id"]).row(0, named=True)
    where = ("--recipe", str(world.folder.path), "--row", row["sample_id"][:9])
    found = ask(lineage, *where)
    assert found["texts"]["question"] == row["question"] and found["texts"]["response_id"] == made["response_id"]
    assert found["generation"]["served_model"] == made["served_model"]
    assert [parent["parent"] for parent in found["parents"]] == [salted(world.ledger.salt(), row["seed_id"])]
    assert found["exposures"][0]["n_times"] == 1 and found["datasets"][0]["split"] == "train"
    told = lineage("why", *where).stdout
    assert row["question"] in told and made["response_id"] in told


def test_a_row_whose_texts_are_gone_is_still_told_and_says_so(world: World, lineage: Ask) -> None:
    row = read_dataset(world)["sample_id"][0]
    world.table("raw_generations").unlink()
    result = lineage("why", "--recipe", str(world.folder.path), "--row", row)
    assert result.exit_code == 0 and "gone: no table" in result.stdout and "answered" in result.stdout


def test_control_characters_of_a_text_do_not_reach_the_terminal(world: World, lineage: Ask) -> None:
    file = world.table("raw_generations")
    rows = pl.read_parquet(file)
    rows.with_columns(question=pl.lit("red \x1b[31m\u202etext")).write_parquet(file)
    told = lineage("why", "--recipe", str(world.folder.path), "--row", read_dataset(world)["sample_id"][0]).stdout
    assert "red [31mtext" in told


def test_a_checkpoint_is_told_step_by_step_in_the_order_of_the_chain(world: World, lineage: Ask) -> None:
    story = ask(lineage)
    places = [story["steps"][kind][0]["seq"] for kind in ("seeds", "generations", "verdicts", "dataset", "checkpoint", "manifest")]
    assert places == sorted(places)
    assert sum(item["n_rows"] for item in story["written_by"]) == story["lineage"]["dataset"]["n_rows"]
    assert story["ancestors"] == [] and story["since"] == []
    told = lineage("why").stdout
    assert f"#{story['steps']['dataset'][0]['seq']} " in told and story["steps"]["checkpoint"][0]["run_id"][:8] in told
    assert "nothing was withdrawn" in told


def test_what_was_withdrawn_since_is_part_of_the_story(world: World, lineage: Ask) -> None:
    teacher = world.checkpoint.facts["checkpoint"] and read_dataset(world)["teacher"][0]
    facts = {"tombstone_id": "t" * 32, "selector": {"kind": "teacher", "value": teacher}, "reason": "it lied", "by": "me"}
    world.ledger.append("tombstone", None, "2026-01-01T00:00:00Z", facts, {})
    told = lineage("why").stdout
    assert "it lied" in told and "TOUCHES IT" in told


def test_a_row_is_told_back_over_the_rows_it_came_from_to_their_seed(world: World, lineage: Ask) -> None:
    first, second, third = read_dataset(world)["sample_id"][:3]
    edges = ", ".join(
        f"(salted('{child}'), salted('{parent}'), 'evolved_from')" for child, parent in ((third, second), (second, first))
    )
    select = f"select child, parent, role from (values {edges}) as t(child, parent, role)"
    world.ledger.record("generations", world.folder.recipe.name, None, {"derivation": select}, {}, {}, {})
    past = ask(lineage, "--recipe", str(world.folder.path), "--row", third)["parents"]
    salt = world.ledger.salt()
    assert [(p["parent"], p["depth"]) for p in past if p["role"] == "evolved_from"] == [
        (salted(salt, second), 1),
        (salted(salt, first), 2),
    ]
    assert all(p["teacher"] for p in past if p["role"] == "evolved_from")
    assert max(p["depth"] for p in past if p["source"] == "seeds/seeds.jsonl") <= 3


def test_checkpoints_that_it_starts_from_are_part_of_the_story_over_several_steps(world: World, lineage: Ask) -> None:
    first = world.checkpoint
    for name, parent in (("b" * 32, first.facts["checkpoint"]), ("c" * 32, "b" * 32)):
        facts = {**first.facts, "checkpoint": name, "student": {**first.facts["student"], "parent_checkpoint": parent}}
        world.ledger.append("checkpoint", first.recipe, "2026-01-01T00:00:00Z", facts, {"run_id": "r"})
    found = ask(lineage, "cccc")["ancestors"]
    assert [item["checkpoint"].split("@")[1] for item in found] == ["b" * 12, first.facts["checkpoint"][:12]]
    told = lineage("why", "cccc").stdout
    assert "initialised from" in told and "by way of choir@bbbbbbbbbbbb" in told


def test_an_output_copied_from_a_row_leads_to_that_row_its_teacher_and_seed(world: World, lineage: Ask) -> None:
    longest = read_dataset(world).sort(pl.col("sql").str.len_chars(), "sample_id").row(-1, named=True)
    found = ask(lineage, "--output", longest["sql"])
    holders = {row["sample_id"]: row for span in found["spans"] for row in span["rows"]}
    row = holders[longest["sample_id"]]
    assert row["teacher"]["served_model"] and row["seeds"][0]["source"] == "seeds/seeds.jsonl"
    assert row["seeds"][0]["seed_id"] == salted(world.ledger.salt(), longest["seed_id"])
    assert row["judges"] and row["n_times"] == 1
    holding = read_dataset(world).filter(pl.col("sql") == longest["sql"])["sample_id"]
    assert found["spans"][0]["is_exact"] and found["spans"][0]["n_rows"] == holding.len()
    assert found["is_causal"] is False and "not causal" in lineage("why", "--output", longest["sql"]).stdout


def test_a_span_among_other_words_is_found_and_random_words_are_not(world: World, lineage: Ask) -> None:
    row = read_dataset(world).sort(pl.col("question").str.len_chars(), "sample_id").row(-1, named=True)
    found = ask(lineage, "--output", f"{NOISE} {row['question']} {NOISE}")
    [span] = [span for span in found["spans"] if span["start"] == 10]
    assert row["sample_id"] in {holder["sample_id"] for holder in span["rows"]}
    assert ask(lineage, "--output", f"{NOISE} {NOISE[::-1]}")["spans"] == []
    assert "no row that it was trained on" in lineage("why", "--output", NOISE).stdout


def test_the_span_that_the_fewest_rows_hold_comes_first(world: World, lineage: Ask) -> None:
    rows = read_dataset(world)
    text = " . ".join(rows["question"].head(6))
    counts = [span["n_rows"] for span in ask(lineage, "--output", text)["spans"]]
    assert len(counts) > 1 and counts == sorted(counts)


def test_an_output_that_repeats_itself_without_end_is_answered(world: World, lineage: Ask) -> None:
    found = ask(lineage, "--output", "select count " * 30_000)
    assert found["is_cut"] and "beginning of the output" in lineage("why", "--output", "select count " * 30_000).stdout


def test_rows_that_were_held_out_are_not_traced_to(world: World, lineage: Ask) -> None:
    dataset = pl.read_parquet(world.table("training_dataset"))
    held = set(dataset.filter(split="heldout")["sample_id"])
    for text in dataset.filter(split="heldout")["question"]:
        found = ask(lineage, "--output", f"{text} and {NOISE}")
        assert held.isdisjoint(row["sample_id"] for span in found["spans"] for row in span["rows"])


def test_the_index_is_a_cache_that_is_built_again_when_it_is_damaged(world: World, lineage: Ask) -> None:
    text = read_dataset(world)["question"][0]
    first = ask(lineage, "--output", f"{text} {NOISE}")
    [index] = (world.home / "traces" / world.folder.recipe.name).iterdir()
    index.write_bytes(b"nonsense")
    assert ask(lineage, "--output", f"{text} {NOISE}") == first


def test_an_erased_dataset_and_an_output_of_two_words_are_errors_that_say_so(world: World, lineage: Ask) -> None:
    short = lineage("why", "--output", "two words")
    assert short.exit_code == 1 and "has 2 words" in short.output
    world.table("training_dataset").unlink()
    gone = lineage("why", "--output", NOISE)
    assert gone.exit_code == 1 and "are gone" in gone.output and "why --row" in gone.output


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--kind", "nothing"), "'nothing' is no kind of event"), (("--recipe", "chior"), "no event of recipe 'chior'. Known: choir")],
)
def test_a_log_of_what_does_not_exist_is_refused(lineage: Ask, words: tuple[str, ...], said: str) -> None:
    result = lineage("log", *words)
    assert result.exit_code != 0 and said in result.output
    assert lineage("log", "--kind", "erasure", "--recipe", "choir").exit_code == 0, "a kind without an event is no mistake"
