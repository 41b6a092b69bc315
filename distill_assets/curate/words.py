"""The one normaliser of curation: a text's words, as strings and as 64-bit hashes.

Belongs here: what counts as a word, and which texts count as the same. Does not belong here: what words are compared for
(deduplicate, decontaminate).

A text is folded first: compatibility forms, case, letters of other scripts that look Latin, marks that nobody sees. Then its
words are the runs of letters, digits and `_`; a letter of a script that is written without spaces is a word by itself.
ASCII texts, which are most, need no folding but the case, and the compiled kernel does that by itself; so both ways to the
words must agree, and a test holds them to it.

Sources: Unicode UAX #15 (NFKC), UTS #39 (confusables; the table here holds the letters of Greek and Cyrillic that look like
one Latin letter), Python and Rust `\\w` as the regex crate defines it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

# Raise it when a rule below changes: marks that were found by the old rules are then found anew.
NORMALISER = "words@1"

# Letters of Cyrillic and Greek that look like one Latin letter (UTS #39), capitals too: they are replaced before the case is
# folded, and only in texts that are mostly Latin, so that a Russian word stays one word whatever its case.
_LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХԚԜаеѕіјкорсухһԁԛԝӏүΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹαειικνορτυχϲϳıɡɑ",
    "ABESIJKMHOPCTYXQWaesijkopcyxhdqwlyABEZHIKMNOPTYXCaeiikvoptuxcjiga",
)
_OTHER_SCRIPTS = r"[\p{Greek}\p{Cyrillic}ıɡɑ]"
# Characters that NFKC leaves as they are, whatever stands beside them, in either case: most of what is not ASCII in Western text.
# Normalising is the dear part of folding, so texts of these alone are spared it.
_STABLE = (
    r"\x00-\x7F\u00A1-\u00A7\u00A9\u00AB\u00AC\u00AE\u00B0\u00B1\u00B6\u00B7\u00BB\u00BF-\u012F\u0131\u0134-\u013E\u0141-\u0148"
    r"\u014A-\u017E\u0400-\u045F\u2010\u2013\u2014\u2018-\u201A\u201C-\u201E\u2020\u2022\u20AC\u2212"
)
_SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_UNSEEN = r"[\p{Cf}\p{Cc}&&[^\t\n\x0B\f\r]]|[\u{FE00}-\u{FE0F}\u{E0100}-\u{E01EF}\u{115F}\u{1160}\u{3164}\u{FFA0}]"


class Words(NamedTuple):
    """Words of many texts: `hashes` (uint64) of all words in order, `offsets` (int64, texts + 1) where each text's begin."""

    hashes: Any
    offsets: Any


def normalise_texts(texts: pl.Series) -> pl.Series:
    """Return each text as its words with one space between; a text without a word becomes ''."""
    folded = _fold_others(texts)
    return folded.str.to_lowercase().str.replace_all(r"[^\w]+", " ").str.strip_chars(" ")


def normalise(text: str) -> str:
    """`normalise_texts` of one text."""
    return str(normalise_texts(pl.Series([text], dtype=pl.String))[0])


def hash_words(texts: pl.Series) -> Words:
    """Hash the words of `texts` with the compiled kernel; no nulls.

    A word's hash is FNV-1a over its folded UTF-8 bytes, finished with MurmurHash3's 64-bit mixer.
    """
    from distill_assets.curate import kernels

    return Words(*kernels.hash_words(*view_bytes(fold_texts(texts))))


def fold_texts(texts: pl.Series) -> pl.Series:
    """Fold what the kernel cannot; ASCII texts come back as they are, in the others ASCII marks stay where they stand."""
    places = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()
    if not places.len():
        return texts
    folded = _fold_others(texts.gather(places)).str.replace_all(r"[^\w\x00-\x7F]+", " ")
    return texts.clone().scatter(places, folded)  # scatter writes into its own series


def view_bytes(texts: pl.Series) -> tuple[Any, Any]:
    """The UTF-8 bytes of all texts in a row (uint8) and where each begins (int64, texts + 1), without a copy where possible."""
    import numpy as np

    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, dtype=np.uint8) if data is not None and data.size else np.zeros(0, np.uint8), starts


def _fold_others(texts: pl.Series) -> pl.Series:
    """NFKC, no unseen marks, lookalikes as Latin letters, lower case, spaceless scripts apart; only where there is more than ASCII."""
    is_ascii = texts.str.len_bytes() == texts.str.len_chars()
    if is_ascii.all():
        return texts
    plain = _normalise_unicode(texts.filter(~is_ascii)).str.replace_all(_UNSEEN, "")
    n_others = plain.str.count_matches(_OTHER_SCRIPTS)
    mixed = (n_others > 0).arg_true()
    n_latin = plain.gather(mixed).str.count_matches("[A-Za-z]")
    mixed = mixed.filter(n_latin > n_others.gather(mixed))
    if mixed.len():
        replaced = pl.Series([text.translate(_LOOKALIKES) for text in plain.gather(mixed)], dtype=pl.String)
        plain = plain.clone().scatter(mixed, replaced)
    folded = _normalise_unicode(plain.str.to_lowercase()).str.replace_all(f"({_SPACELESS})", " $1 ")
    return texts.clone().scatter((~is_ascii).arg_true(), folded)


def _normalise_unicode(texts: pl.Series) -> pl.Series:
    """NFKC, where it changes anything."""
    places = texts.str.contains(f"[^{_STABLE}]").arg_true()
    return texts.clone().scatter(places, texts.gather(places).str.normalize("NFKC")) if places.len() else texts
