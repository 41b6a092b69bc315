"""Texts as streams of word hashes, in the three ways in which rules part words.

Belongs here: from texts to hashes, and from a place in a stream back to the text's words. Does not belong here: what counts as
a word for this project (curate.words), n-grams, rules.

words: the project's own words. numbers: the same, each run of numbers taken for one and the same word. spaced: what stands
between white space, in lower case, punctuation kept, as open-r1 and s1 part words.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import polars as pl

from distill_assets.curate import words

StreamKind = Literal["words", "numbers", "spaced"]

# English number words count as numbers, so that "two" changed to "3" is a change of number.
NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen half third quarter "
    "once twice thrice double triple halves thirds quarters fourth fifth"
)

# Marks outside ASCII that part words as a space does, whatever stands beside them. Most texts that are not ASCII hold no others,
# and without them need no folding, which takes as long as all the rest.
PARTING_MARKS = "‘’‚‛“”„‟‹›«»–—―‐‑‒…•‣·→←↔⇒×÷≤≥≠≈−±∞√∑∫°€£¥¢§¶©®†‡′″\u00a0\u2002\u2003\u2009\u202f"


class Stream(NamedTuple):
    """Word hashes of many texts, where each text begins, and, for numbers, each word's place among the text's own words."""

    hashes: Any
    offsets: Any
    places: Any = None


def read_streams(texts: pl.Series, kinds: set[StreamKind]) -> dict[StreamKind, Stream]:
    """Part `texts` (no nulls) into words in each of the ways `kinds`."""
    from distill_assets.curate.decontaminate import stream_kernels

    streams: dict[StreamKind, Stream] = {}
    if "numbers" in kinds:
        hashes, offsets, flags = stream_kernels.hash_flagged(*words.view_bytes(words.fold_texts(blank_marks(texts))))
        streams["words"] = Stream(hashes, offsets)
        spelled = words.hash_words(pl.Series([NUMBER_WORDS])).hashes
        streams["numbers"] = Stream(*stream_kernels.abstract_numbers(hashes, offsets, flags, spelled))
    elif "words" in kinds:
        streams["words"] = Stream(*words.hash_words(blank_marks(texts)))
    if "spaced" in kinds:
        streams["spaced"] = Stream(*stream_kernels.hash_spaced(*words.view_bytes(space_texts(texts))))
    return streams


def blank_marks(texts: pl.Series) -> pl.Series:
    """Put a space for each parting mark; the words stay the same."""
    places = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()
    blanked = texts.gather(places).str.replace_many(dict.fromkeys(PARTING_MARKS, " "))
    return texts.clone().scatter(places, blanked) if len(places) else texts.clone()


def space_texts(texts: pl.Series) -> pl.Series:
    """Lower case, each stretch of white space one space: what open-r1 calls normalised."""
    return texts.str.to_lowercase().str.replace_all(r"[\s\x1c-\x1f]+", " ").str.strip_chars(" ")


def fold_words(texts: pl.Series, kind: StreamKind) -> pl.Series:
    """Each text as the words of its stream with one space between; those of numbers are those of words."""
    return space_texts(texts) if kind == "spaced" else words.normalise_texts(texts)
