"""An index that is updated equals one that is built from what is left: any inserts, updates and deletes, in any batches."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.deduplicate.index import build_index, read_keep, update_index
from distill_assets.curate.deduplicate.index_files import load_index, save_index

N_WORDS, THRESHOLD = 2, 0.5


def make_frame(rows: dict[str, tuple[str, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "document_id": list(rows),
            "text": [text for text, _ in rows.values()],
            "grouped": ["even" if len(text) % 2 else "odd" for text, _ in rows.values()],
            "rank": pl.Series([rank for _, rank in rows.values()], dtype=pl.UInt64),
        },
        schema={"document_id": pl.String, "text": pl.String, "grouped": pl.String, "rank": pl.UInt64},
    )


def build(rows: dict[str, tuple[str, int]]) -> pl.DataFrame:
    return read_keep(build_index(make_frame(rows), N_WORDS, THRESHOLD))


texts = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=6).map(" ".join)
# Few ranks, so that equal ones meet; few ids, so that rows change and come back.
changes = st.lists(
    st.tuples(st.sampled_from([f"d{i:02}" for i in range(24)]), st.none() | st.tuples(texts, st.integers(0, 6))), max_size=14
)


@settings(deadline=None, max_examples=150)
@given(st.lists(changes, min_size=1, max_size=6))
def test_any_series_of_updates_equals_a_build(batches):
    rows: dict[str, tuple[str, int]] = {}
    index = build_index(make_frame(rows), N_WORDS, THRESHOLD)
    for batch in batches:
        wanted = dict(batch)
        added = {id_: row for id_, row in wanted.items() if row is not None}
        index = update_index(index, make_frame(added), pl.Series(list(wanted), dtype=pl.String))
        rows = {id_: row for id_, row in (rows | wanted).items() if row is not None}
        assert read_keep(index).equals(build(rows))


def make_chains(n: int, seed: int) -> dict[str, tuple[str, int]]:
    """Texts that drift word by word, so that near duplicates hang together in long chains."""
    rng = random.Random(seed)
    rows: dict[str, tuple[str, int]] = {}
    words: list[str] = []
    for i in range(n):
        if i % 17 == 0:
            words = [f"w{rng.randrange(3000)}" for _ in range(rng.randint(6, 40))]
        else:
            words = list(words)
            words[rng.randrange(len(words))] = f"w{rng.randrange(3000)}"
        rows[f"id{rng.randrange(10**9):09}"] = (" ".join(words), rng.randrange(2**60))
    return rows


def test_long_chains_in_batches_and_deletes_equal_a_build():
    rows = make_chains(3000, seed=11)
    ids = list(rows)
    random.Random(2).shuffle(ids)
    index = build_index(make_frame({i: rows[i] for i in ids[:1500]}), N_WORDS, THRESHOLD)
    kept = set(ids[:1500])
    for start in range(1500, 3000, 150):
        removed = random.Random(start).sample(sorted(kept), 40)
        batch = ids[start : start + 150]
        index = update_index(index, make_frame({i: rows[i] for i in batch}), pl.Series(removed))
        kept = (kept - set(removed)) | set(batch)
    assert read_keep(index).equals(build({i: rows[i] for i in sorted(kept)}))


def test_a_deleted_duplicate_brings_back_what_it_displaced():
    rows = {"a": ("one two three four five six", 0), "b": ("one two three four five seven", 1), "c": ("other words", 2)}
    index = build_index(make_frame(rows), N_WORDS, THRESHOLD)
    assert read_keep(index)["representative_id"].to_list() == ["a", "a", "c"]
    left = update_index(index, make_frame({}), pl.Series(["a"]))
    assert read_keep(left)["representative_id"].to_list() == ["b", "c"]
    assert read_keep(index)["representative_id"].to_list() == ["a", "a", "c"], "the index before the update is as it was"


def test_one_giant_family_costs_no_quadratic_time():
    """20,000 rows around one text, then its head is deleted: without care that is 200 million comparisons each time."""
    head = " ".join(f"word{i}" for i in range(30))
    rows = {f"d{i:05}": (f"{head} tail{i:05}", i) for i in range(20_000)}
    index = build_index(make_frame(rows), N_WORDS, THRESHOLD)
    assert read_keep(index)["representative_id"].unique().to_list() == ["d00000"]
    left = update_index(index, make_frame({}), pl.Series(["d00000"]))
    assert read_keep(left)["representative_id"].unique().to_list() == ["d00001"]


def test_a_hundred_thousand_equal_rows():
    rows = {f"d{i:06}": ("the same question again", i) for i in range(100_000)}
    index = build_index(make_frame(rows), N_WORDS, THRESHOLD)
    assert len(index.units.ranks) == 1
    keep = read_keep(update_index(index, make_frame({"x": ("the same question again", 5)}), pl.Series(["d000000", "d000001"])))
    assert keep["representative_id"].unique().to_list() == ["d000002"]
    assert keep.height == 99_999
    assert np.all(keep["is_same_set"].to_numpy())


def test_an_index_goes_on_from_disk(tmp_path):
    rows = make_chains(2000, seed=4)
    ids = list(rows)
    save_index(tmp_path, build_index(make_frame({i: rows[i] for i in ids[:1800]}), N_WORDS, THRESHOLD))
    for start in (1800, 1900):
        index = load_index(tmp_path, N_WORDS, THRESHOLD)
        removed = pl.Series(ids[start - 1800 : start - 1750])
        save_index(tmp_path, update_index(index, make_frame({i: rows[i] for i in ids[start : start + 100]}), removed))
    left = [i for i in ids if i not in ids[:50] and i not in ids[100:150]]
    assert read_keep(load_index(tmp_path, N_WORDS, THRESHOLD)).equals(build({i: rows[i] for i in left}))
    assert load_index(tmp_path, N_WORDS, 0.7) is None
    assert len({file.name.split("-")[1] for file in tmp_path.glob("state-*")}) == 1, "files of earlier versions are gone"


@pytest.mark.parametrize("damage", ["manifest.json", "base-*-tokens.npy", "state-*-ranks.npy", "state-*-rows.ipc"])
def test_a_damaged_index_is_none(tmp_path, damage):
    save_index(tmp_path, build_index(make_frame(make_chains(50, seed=1)), N_WORDS, THRESHOLD))
    [file] = tmp_path.glob(damage)
    file.write_bytes(file.read_bytes()[:20])
    assert load_index(tmp_path, N_WORDS, THRESHOLD) is None
