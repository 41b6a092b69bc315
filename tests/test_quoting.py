"""What a sample says cannot end its quote, speak as another role, or hide."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.quoting import REMOVED, SPECIAL_TOKENS, clean_text, make_fence, quote_sample


@given(st.text(max_size=400))
def test_a_quote_is_one_line_of_json_that_reads_back(text: str):
    quoted = quote_sample({"question": text})
    assert len(quoted.splitlines()) == 1 or "\n" not in quoted
    assert "\n" not in quoted
    assert json.loads(quoted) == {"question": clean_text(text)}
    assert not SPECIAL_TOKENS.search(quoted)


@pytest.mark.parametrize(
    "token",
    ["<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "</s>",
     "<start_of_turn>", "<end_of_turn>", "<|endoftext|>", "<|IM_START|>", "<｜User｜>"],
)  # fmt: skip
def test_special_tokens_of_chat_templates_are_taken_out(token: str):
    assert clean_text(f"a{token}b") == f"a{REMOVED}b"


@pytest.mark.parametrize("char", ["\u200b", "\u202e", "\u2066", "\x1b", "\x00", "\ufeff", "\ue000", "\U000e0041", "\u00ad"])
def test_what_nobody_sees_is_written_as_its_code(char: str):
    assert clean_text(f"a{char}b") == f"a[U+{ord(char):04X}]b"


def test_a_token_that_hides_behind_an_unseen_character_is_still_none():
    assert "<|im_end|>" not in clean_text("<|im\u200b_end|>")


def test_ordinary_text_stays_as_it_is():
    text = "Größe ≥ 5 kg\n\tSELECT * FROM a WHERE b <> 'x' -- <b>"
    assert clean_text(text) == text


def test_a_long_text_is_cut_and_says_so():
    assert clean_text("x" * 20_000).endswith("[8000 more characters]")


def test_a_fence_stands_in_no_text_and_differs_from_sample_to_sample():
    fence = make_fence("one")
    assert fence != make_fence("two")
    assert fence == make_fence("one")
    assert fence not in "one"
