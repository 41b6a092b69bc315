"""Labels go out and come in whole, and a file with a mistake is refused by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_assets.errors import ReviewError
from distill_assets.reviews.exchange import export_labels, pick_new, read_import
from tests.reviews.world import make_label, sample_id

TEXT_ID = make_label(0).text_id
KNOWN = {sample_id(0): {"seen_status": "accepted", "text_id": TEXT_ID}}
DEFAULTS = {"reviewer": "ann", "labelled_at": "2026-11-21T10:00:00Z"}


def read(tmp_path: Path, *rows: object):
    file = tmp_path / "made.jsonl"
    file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_import(file, KNOWN, DEFAULTS)


def test_an_export_comes_in_as_it_went_out_even_of_samples_that_are_gone(tmp_path: Path) -> None:
    labels = [make_label(0), make_label(5, "reject", "bob", comment="“no”")]
    assert read(tmp_path, export_labels(labels)) == labels


def test_a_row_of_two_fields_is_filled_in_as_chosen(tmp_path: Path) -> None:
    [label] = read(tmp_path, {"sample_id": sample_id(0), "label": "reject"})
    assert label == make_label(0, "reject", drawn="chosen")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"sample_id": sample_id(7), "label": "accept"}, "no judged sample has sample_id"),
        ({"sample_id": sample_id(0)[:8], "label": "accept"}, "give the whole id"),
        ({"sample_id": sample_id(0), "label": "good"}, "label: Input should be 'accept', 'reject' or 'unsure'"),
        ({"sample_id": sample_id(0), "label": "accept", "stars": 5}, "stars: Extra inputs are not permitted"),
        ({"sample_id": sample_id(0), "label": "accept", "reviewer": ""}, "reviewer: a reviewer is 1 to 80"),
        ({"sample_id": sample_id(0), "label": "accept", "labelled_at": "today"}, "labelled_at: "),
        ({**make_label(0).model_dump(), "label_id": "0" * 32}, "its label_id does not fit"),
        ("not json\n", "not JSON in UTF-8"),
        ("[]\n", "a row is a JSON object, not list"),
    ],
)
def test_a_mistake_is_named_by_line_and_nothing_is_taken(tmp_path: Path, row: object, words: str) -> None:
    with pytest.raises(ReviewError) as caught:
        read(tmp_path, {"sample_id": sample_id(0), "label": "accept"}, "\n", row)
    [mistake, _] = str(caught.value).splitlines()
    assert "made.jsonl:3: " in mistake and words in mistake
    assert "No label was taken" in str(caught.value)


def test_many_mistakes_are_counted_and_an_empty_or_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="and 4 more"):
        read(tmp_path, *["x\n"] * 9)
    with pytest.raises(ReviewError, match="holds no label"):
        read(tmp_path, "\n")
    with pytest.raises(ReviewError, match="cannot be read: No such file"):
        read_import(tmp_path / "nowhere.jsonl", KNOWN, DEFAULTS)


def test_only_what_is_new_is_added() -> None:
    old, newer = make_label(0, "accept"), make_label(0, "reject", labelled_at="2026-11-22T10:00:00Z")
    assert pick_new([old], [old])[1:] == (1, 0)
    assert pick_new([old], [newer])[1:] == (0, 1)
    assert pick_new([newer, old], []).new == (old, newer)
    assert pick_new([newer, newer], [old]).new == (newer,)
