"""Ids are made of content alone: not of order, place or the process that makes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.identity import canonical_json, fingerprint, hash_file, hash_rows, hash_text, make_id, unit_interval

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ROWS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=8)


@given(ROWS, st.randoms())
def test_a_digest_of_rows_is_free_of_row_and_column_order(rows, random):
    shuffled = [dict(random.sample(sorted(row.items()), len(row))) for row in rows]
    random.shuffle(shuffled)
    assert hash_rows(shuffled) == hash_rows(rows)


@given(ROWS, st.dictionaries(st.text(), VALUES, max_size=4))
def test_one_row_more_is_another_digest(rows, row):
    assert hash_rows([*rows, row]) != hash_rows(rows)


@given(st.lists(VALUES, min_size=1), st.lists(VALUES, min_size=1))
def test_different_parts_have_different_ids(one, two):
    assert (make_id(*one) == make_id(*two)) == (canonical_json(one) == canonical_json(two))


def test_parts_do_not_run_into_each_other():
    assert len({make_id("a", "bc"), make_id("ab", "c"), make_id("abc"), make_id(["a", "bc"]), make_id("a", "b", "c")}) == 5


def test_a_number_is_not_its_text():
    assert make_id(1) != make_id("1")
    assert make_id(None) != make_id("null")


@given(st.text())
def test_any_text_has_an_id_of_32_hex_characters(text):
    assert len(make_id(text)) == 32
    assert set(make_id(text)) <= set("0123456789abcdef")


def test_a_lone_surrogate_is_no_crash():
    assert len(hash_text("\ud800")) == 64


@pytest.mark.parametrize("value", [{"f": print}, {"x": {1, 2}}, b"bytes"])
def test_what_has_no_stable_form_is_refused(value):
    with pytest.raises(TypeError):
        canonical_json(value)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": float("nan")})


def test_another_process_makes_the_same_ids():
    code = "from distill_assets.identity import make_id; print(make_id('seed', {'b': 1, 'a': ['ü', None]}))"
    ids = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
            cwd=Path(__file__).parents[1],
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert ids == {make_id("seed", {"a": ["ü", None], "b": 1})}


def test_a_fingerprint_is_free_of_key_order_and_short():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len(fingerprint({})) == 12


def test_a_file_is_its_bytes(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * (3 << 20))
    (tmp_path / "b").write_bytes(b"x" * (3 << 20))
    assert hash_file(tmp_path / "a") == hash_file(tmp_path / "b")
    (tmp_path / "b").write_bytes(b"x" * ((3 << 20) - 1) + b"y")
    assert hash_file(tmp_path / "a") != hash_file(tmp_path / "b")


@given(st.lists(VALUES))
def test_a_place_in_the_unit_interval_is_fixed_and_inside(parts):
    assert 0 <= unit_interval(*parts) < 1
    assert unit_interval(*parts) == unit_interval(*parts)


def test_places_are_spread_evenly():
    places = [unit_interval("split", i) for i in range(4000)]
    assert 0.08 < sum(place < 0.1 for place in places) / len(places) < 0.12


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_the_fast_way_writes_what_the_standard_librarys_json_writes(value: object) -> None:
    assert canonical_json(value) == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
