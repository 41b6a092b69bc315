"""What a person is shown of a sample: its letters, its evidence, and nothing that acts."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.commands.instance import open_instance
from distill_assets.commands.review.samples import load_judged, make_visible, show_samples
from distill_assets.config import RecipeFolder
from tests.commands.review.world import build_judged

ACTING = "\x00\x07\x1b\x7f\x9b\r\u200b\u202e\u2066\u2028\ufeff\ue000"


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(ACTING))))
def test_no_character_of_a_text_acts_and_the_others_stay(text: str) -> None:
    shown = make_visible(text)
    assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    assert make_visible(shown) == shown
    if not any(unicodedata.category(c)[0] == "C" or c in ACTING for c in text) and "\u2029" not in text:
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"), [(None, ""), ("é 漢 🎼\n\t'", "é 漢 🎼\n\t'"), ("\x1b[2J", "\\u001b[2J"), ("a\ud800", "a\\ud800")]
)
def test_a_text_is_shown_as_its_letters(text: str | None, shown: str) -> None:
    assert make_visible(text) == shown


def test_a_sample_without_an_answer_is_shown_with_its_evidence(home: Path, scenario: RecipeFolder) -> None:
    ids = build_judged(scenario, home)
    with open_instance() as instance:
        world = load_judged(scenario, instance)
    shown = show_samples(world, ids[::-1])
    assert list(shown) == ids[::-1]
    assert [one.is_decisive for one in shown[ids[0]].evidence] == [True, False], "what settled it stands first"
    assert "\\u001b]0;owned" in shown[ids[3]].evidence[0].found_by
    last = shown[ids[-1]]
    assert (last.status, last.question, last.trace, last.sql) == ("unscored", "", "", "")
    assert [(one.criterion, one.status, one.score) for one in last.evidence] == [
        ("clear", "unscored", None),
        ("length", "passed", 1.0),
    ]
