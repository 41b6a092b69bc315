"""lineage.json: it adds up by plain counting, it is the same each time, and what comes later does not change what it says of then."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_assets.lineage.manifest import render
from distill_assets.lineage.record import Terms
from tests.lineage.small_world import Seen, Told, see

A = "aaaaaaaaaaaa1111"
KINDS = ("endpoint", "prompt", "seed", "generation", "derivation", "panel", "judgment", "snapshot_row", "dropped", "exposure",
         "mix", "evaluation")  # fmt: skip
LLAMA = Terms("big", family="llama", licence="llama3", terms_url="https://example.org", terms_accepted_on="2026-01-01")


def tell(told: Told, terms: Terms = LLAMA) -> None:
    """All that leads to one checkpoint, as often as it is asked for."""
    told.seeds({"s1": ("seeds/a.jsonl", "CC-BY-4.0"), "s2": ("seeds/b.jsonl", "MIT")})
    rows = [
        {"generation_id": "g1", "endpoint_headers": '{"x-model": "m1"}'},
        {"generation_id": "g2", "seed_id": "s2"},
        {"generation_id": "g3", "strategy": "evolve"},
        {"generation_id": "g4", "generation_status": "refused"},
    ]
    told.generations(rows, [terms])
    told.judge({"g1": "accepted", "g2": "accepted", "g3": "accepted", "g4": "rejected"}, ["strict@1"], score=0.5)
    told.screen("hits", ("holdout", "d1"))
    told.dataset("d", ["g1", "g2", "g3"], {"g4": "rejected"})
    told.checkpoint(A, "d", see("g1", "g2", "g3"))
    told.evaluate(A, {}, {"source": "synthetic"}, {"model_role": "base"})


def still(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != "ledger"}


def test_told_again_the_ledger_has_no_row_more_and_the_lineage_is_the_same(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell(told)
    counts, manifest = {kind: told.count(kind) for kind in KINDS}, told.manifest(A)
    assert all(counts.values())
    for _ in range(2):
        tell(told)
    assert {kind: told.count(kind) for kind in KINDS} == counts
    assert still(told.manifest(A)) == still(manifest)


def test_built_again_it_is_the_same_to_the_byte(tmp_path: Path) -> None:
    """Also where groups are of one size: prompts and judges with one name, figures of one benchmark from two sources."""
    told = Told(tmp_path)
    tell(told)
    texts = {render(told.manifest(A)) for _ in range(4)}
    assert len(texts) == 1
    assert json.loads(texts.pop()) == told.manifest(A)


def test_the_order_of_equal_groups_is_that_of_their_names(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.seeds({"s1": ("a", "MIT")})
    names = [f"strategy {i:02}" for i in range(40)]
    shuffled = random.Random(1).sample(names, 40)
    told.generations([{"generation_id": f"g{i}", "strategy": name} for i, name in enumerate(shuffled)])
    told.judge({f"g{i}": "accepted" for i in range(40)})
    told.dataset("d", [f"g{i}" for i in range(40)])
    told.checkpoint(A, "d", see(*(f"g{i}" for i in range(40))))
    rows = [{"source": source, "evaluation_id": f"{i}"} for i, source in enumerate(("synthetic", "human", "other"))]
    told.evaluate(A, *rows)
    assert [prompt["strategy"] for prompt in told.manifest(A)["prompts"]] == names
    assert [figure["source"] for figure in told.manifest(A)["evaluations"]] == ["human", "other", "synthetic"]


def test_what_comes_later_changes_nothing_of_an_old_checkpoint(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell(told)
    before = still(told.manifest(A))
    told.judge({"g1": "rejected", "g2": "accepted"}, ["other@1"], score=0.9)
    told.generations([{"generation_id": "g1"}, {"generation_id": "g9"}], [Terms("big", family="gpt", licence="MIT")])
    told.seeds({"s1": ("moved.jsonl", "CC0-1.0")})
    told.screen("hits later", ("holdout", "d2"))
    told.dataset("later", ["g2", "g9"], {"g1": "rejected"})
    told.checkpoint("b" * 16, "later", see("g2", "g9"))
    told.evaluate("b" * 16, {"evaluation_id": "later"})
    tell(told.of("other"))
    told.dataset("d", ["g1", "g2", "g3"], {"g4": "rejected", "g1": "contaminated"})
    told.checkpoint(A, "d", see("g1"))
    assert still(told.manifest(A)) == before


def test_a_figure_is_screened_by_any_screening_of_the_same_rows_that_found_the_same(tmp_path: Path) -> None:
    def is_screened(*later: object) -> list[bool]:
        told = Told(tmp_path / str(len(list(tmp_path.iterdir()))))
        tell(told)
        told.evaluate(A, {"evaluation_id": "new", "digest": "d2", "version": "v2"})
        for step in later:
            step(told)
        return [row["is_screened"] for row in told.manifest(A)["evaluations"] if row["digest"] == "d2"]

    again = lambda told: told.screen("hits", ("holdout", "d2"))  # noqa: E731
    assert is_screened() == [False]
    assert is_screened(again) == [True]
    assert is_screened(lambda told: told.screen("other hits", ("holdout", "d2"))) == [False], "it found a row that leaks"
    assert is_screened(lambda told: told.judge({"g1": "accepted"}, version="fewer"), again) == [False], "of other samples"
    assert is_screened(again, lambda told: told.judge({"g1": "accepted"}, version="fewer")) == [True]
    assert is_screened(lambda told: again(told.of("another recipe"))) == [False]


def test_other_terms_make_another_endpoint_and_rows_keep_the_terms_they_were_made_under(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell(told)
    told.generations([{"generation_id": "g1"}, {"generation_id": "g9"}], [LLAMA._replace(terms_accepted_on="2026-06-01")])
    told.judge({"g9": "accepted"})
    told.dataset("later", ["g1", "g9"])
    told.checkpoint("b" * 16, "later", see("g1", "g9"))
    found = {teacher["terms_accepted_on"]: teacher["n_rows"] for teacher in told.manifest("b" * 16)["teachers"]}
    assert found == {"2026-01-01": 1, "2026-06-01": 1}


def test_headers_that_tell_something_stand_in_the_endpoint(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell(told)
    found = {json.dumps(teacher["headers"]): teacher["n_rows"] for teacher in told.manifest(A)["teachers"]}
    assert found == {"{}": 2, '{"x-model": "m1"}': 1}


def test_a_judging_that_came_back_to_what_it_was_is_what_counts(tmp_path: Path) -> None:
    """Judged by one critic, then by another, then by the first again with the same outcome."""
    told = Told(tmp_path)
    told.seeds({"s1": ("a", "MIT")})
    told.generations([{"generation_id": "g1"}])
    for critic in ("first@1", "second@1", "first@1"):
        told.judge({"g1": "accepted"}, [critic])
    told.dataset("d", ["g1"])
    told.checkpoint(A, "d", see("g1"))
    assert {judge["judge"] for judge in told.manifest(A)["judges"]} == {"rules@1", "first@1"}
    told.judge({"g1": "accepted"}, ["first@1"])
    assert told.count("judgment") == 3


def test_real_samples_are_not_counted_as_what_teachers_wrote(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.seeds({"s1": ("a", "MIT")})
    told.generations([{"generation_id": f"g{i}"} for i in range(5)])
    told.real({"r1": ("real.jsonl", "MIT"), "r2": ("real.jsonl", "CC0-1.0")})
    told.judge({f"g{i}": "accepted" for i in range(5)})
    told.dataset("d", ["g0", "g1", "r1", "r2"])
    told.checkpoint(A, "d", see("g0", "r1", "r2"))
    manifest = told.manifest(A)
    assert manifest["curation"]["n_generations"] == 5
    people = [teacher for teacher in manifest["teachers"] if teacher["role"] == "people"]
    assert sorted((one["licence"], one["n_rows"]) for one in people) == [("CC0-1.0", 1), ("MIT", 1)]


def test_a_seed_whose_licence_was_put_right_has_the_right_one_from_then_on(tmp_path: Path) -> None:
    told = Told(tmp_path)
    tell(told)
    told.seeds({"s1": ("seeds/a.jsonl", "CC-BY-NC-4.0"), "s2": ("seeds/b.jsonl", "MIT")})
    told.generations([{"generation_id": "g9"}])
    told.judge({"g9": "accepted"})
    told.dataset("later", ["g1", "g9"])
    told.checkpoint("b" * 16, "later", see("g1", "g9"))
    assert [(one["licence"], one["n_rows"]) for one in told.manifest("b" * 16)["sources"]] == [("CC-BY-NC-4.0", 2)]
    assert {one["licence"] for one in told.manifest(A)["sources"]} == {"CC-BY-4.0", "MIT"}


def test_a_checkpoint_without_a_recorded_dataset_is_told_as_such(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.checkpoint(A, "never recorded", {})
    manifest = told.manifest(A)
    assert manifest["teachers"] == [] and manifest["dataset"]["n_rows"] is None and manifest["flow"] == []


TEACHERS = {"big": ("big-1", "big-2"), "small": ("small-1", None)}
SOURCES, LICENCES = ("a", "b"), ("MIT", "CC0-1.0")


@given(st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_sum_is_that_of_a_plain_count(number: int) -> None:
    draw = random.Random(number)
    with tempfile.TemporaryDirectory() as folder:
        told = Told(Path(folder))
        seeds = {f"s{i}": (draw.choice(SOURCES), draw.choice(LICENCES)) for i in range(4)}
        told.seeds(seeds)
        rows = []
        for i in range(draw.randint(1, 25)):
            teacher = draw.choice(list(TEACHERS))
            rows.append({
                "generation_id": f"g{i}", "seed_id": draw.choice(list(seeds)), "teacher": teacher,
                "served_model": draw.choice(TEACHERS[teacher]), "strategy": draw.choice(["write", "evolve"]),
            })  # fmt: skip
        told.generations(rows)
        told.judge({row["generation_id"]: draw.choice(["accepted", "rejected"]) for row in rows}, draw.sample(["c@1", "c@2"], 1))
        splits = {row["generation_id"]: draw.choice(["train", "train", "heldout", "out"]) for row in rows}
        kept = {i: split for i, split in splits.items() if split != "out"}
        dropped = {i: draw.choice(["rejected", "near_duplicate"]) for i, split in splits.items() if split == "out"}
        told.dataset("d", kept, dropped)
        seen = {
            i: Seen(n := draw.choice([0, 1, 2]), n * draw.randint(5, 9), n * 2) for i, split in kept.items() if split == "train"
        }
        told.checkpoint(A, "d", seen)
        manifest = told.manifest(A)
        by_id = {row["generation_id"]: row for row in rows}
        expected = {
            "teachers": count(seen, lambda i: (by_id[i]["teacher"], by_id[i]["served_model"])),
            "sources": count(seen, lambda i: seeds[by_id[i]["seed_id"]]),
            "judges": count(seen, lambda i: "all"),
        }
        assert told_of(manifest["teachers"], ("requested_model", "served_model")) == expected["teachers"]
        assert told_of(manifest["sources"], ("source", "licence")) == expected["sources"]
        for judge in manifest["judges"]:
            assert judge["n_rows"] == len(seen) and judge["share_frac"] == 1
        assert Counter({p["strategy"]: p["n_rows"] for p in manifest["prompts"]}) == Counter(by_id[i]["strategy"] for i in seen)
        fates = Counter()
        for item in manifest["flow"]:
            fates[item["fate"]] += item["n_rows"]
        assert fates == Counter({"kept": len(seen)}) + Counter(dropped.values())
        assert manifest["curation"]["dropped"] == dict(Counter(dropped.values()))
        assert (manifest["dataset"]["n_rows"], manifest["dataset"]["n_train_rows"]) == (len(kept), len(seen))
        assert sum(teacher["share_frac"] for teacher in manifest["teachers"]) == pytest.approx(
            1 if any(s.n_times for s in seen.values()) else 0
        )


def count(seen: dict[str, Seen], key: Any) -> dict[Any, list[int]]:
    """Rows, rows seen, tokens, loss tokens by a key."""
    found: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for i, one in seen.items():
        figures = (1, int(one.n_times > 0), one.n_tokens, one.n_loss_tokens)
        found[key(i)] = [a + b for a, b in zip(found[key(i)], figures, strict=True)]
    return dict(found)


def told_of(items: list[dict[str, Any]], names: tuple[str, ...]) -> dict[Any, list[int]]:
    figures = ("n_rows", "n_rows_seen", "n_tokens", "n_loss_tokens")
    return {tuple(item[name] for name in names): [item[figure] for figure in figures] for item in items}
