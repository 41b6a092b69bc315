"""One normaliser, two ways to its words: strings by Polars, hashes by the compiled kernel."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.words import _STABLE, fold_texts, hash_words, normalise, normalise_texts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello,  World! it's 3.5", "hello world it s 3 5"),
        ("zero\u200bwidth so\u00adft \u202eright\u202c", "zerowidth soft right"),
        ("раураl vs paypal", "paypal vs paypal"),
        ("ЅСОРЕ of the scope", "scope of the scope"),
        ("Мир и мир", "мир и мир"),
        ("ﬁne ① ſ Ｆｕｌｌ", "fine 1 s full"),
        ("日本語 text", "日 本 語 text"),
        ("e\u0301cole", "école"),
        ("!?… —", ""),
        ("", ""),
        ("snake_case", "snake_case"),
    ],
)
def test_what_is_a_word(text, words):
    assert normalise(text) == words


texts = st.lists(st.text(max_size=40) | st.text("abcXYZ019_ .,'\n\té😀аб中\u200b", max_size=40), min_size=1, max_size=12)


@settings(deadline=None, max_examples=150)
@given(texts)
def test_kernel_and_strings_agree_on_words(some):
    """The same word has the same hash and other words have others, text by text."""
    series = pl.Series(some, dtype=pl.String)
    strings = normalise_texts(series).str.split(" ").to_list()
    hashed = hash_words(series)
    seen: dict[str, int] = {}
    for place, words in enumerate(strings):
        words = [word for word in words if word]
        hashes = hashed.hashes[hashed.offsets[place] : hashed.offsets[place + 1]].tolist()
        assert len(words) == len(hashes)
        for word, value in zip(words, hashes, strict=True):
            assert seen.setdefault(word, value) == value
    assert len(set(seen.values())) == len(seen)


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


def test_a_words_hash_is_the_same_on_every_machine():
    """FNV-1a of 'a' is 0xaf63dc4c8601ec8c (the published test vector), finished with fmix64."""
    value = 0xAF63DC4C8601EC8C
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = ((value ^ (value >> 33)) * factor) & (2**64 - 1)
    assert hash_words(pl.Series(["A"])).hashes.tolist() == [value ^ (value >> 33)]


def test_the_texts_given_stay_as_they_are():
    given_texts = pl.Series(["Ünï", "ascii", "раураl"])
    for read in (normalise_texts, hash_words, fold_texts):
        read(given_texts)
        assert given_texts.to_list() == ["Ünï", "ascii", "раураl"]


def test_texts_that_are_spared_normalising_would_not_change():
    stable = [chr(code) for code in range(0x3000) if not pl.Series([chr(code)]).str.contains(f"[^{_STABLE}]")[0]]
    assert len(stable) > 400
    for letter in stable:
        for form in (letter, letter.lower()):
            assert unicodedata.normalize("NFKC", form) == form
            assert not any(unicodedata.combining(part) for part in form)
