"""Which training rows hold the words of an output: an index of word n-grams, and the spans that two texts share.

Belongs here: choosing n-grams, the index's file, looking them up, and shared spans, all on hashes of words. Does not belong here: words
and texts (commands/lineage/tracing) or who taught a row (audits).

Of every WINDOW n-grams in a row the one with the smallest hash is kept (winnowing), so that a span of GRAM_WORDS + WINDOW - 1 = 8 words
always has one in the index, and one of three n-grams is stored. All n-grams of the output are looked up. A match of n-grams only says
where to look: the words themselves decide.

Source: winnowing is Schleimer, Wilkerson and Aiken, "Winnowing: local algorithms for document fingerprinting", SIGMOD 2003, section 3;
that texts are traced at all follows OLMoTrace (Liu et al., 2025), which holds whole corpora in a suffix array.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.errors import LineageError

GRAM_WORDS = 4
WINDOW = 5
# Spans of so many words are always found.
SURE_WORDS = GRAM_WORDS + WINDOW - 1
# A shorter span counts only where so few rows hold it: one that many hold is a phrase of the language.
MAX_COMMON = 20
# Bits of a stored hash: enough that few rows are looked at in vain, few enough that sorted ones take two or three bytes.
HASH_BITS = 40
ROW_GROUP_ROWS = 20_480
# An output that is longer is traced by its beginning.
MAX_WORDS = 4_000
RULE = f"winnow@1 {GRAM_WORDS} {WINDOW} {HASH_BITS}"


class Candidates(NamedTuple):
    """Rows that share n-grams with an output, the rarest in common first, and how many there are in all."""

    rows: list[int]
    n_rows: int


class Span(NamedTuple):
    """Words start..end (end not included) of the output that stand in a text."""

    start: int
    end: int

    @property
    def n_words(self) -> int:
        """How long it is."""
        return self.end - self.start


def hash_grams(words: Any) -> Any:
    """The hashes (uint64, HASH_BITS wide) of all n-grams that begin at each word; the last GRAM_WORDS - 1 words begin none.

    Args:
        words: uint64 hashes of words.
    """
    import numpy as np

    n = max(len(words) - GRAM_WORDS + 1, 0)
    total = np.zeros(n, np.uint64)
    for place in range(GRAM_WORDS):  # wraps around, as 64-bit hashes do
        total = (total ^ words[place : place + n]) * np.uint64(0x9E3779B97F4A7C15)
        total ^= total >> np.uint64(29)
    return total >> np.uint64(64 - HASH_BITS)


def choose_grams(words: Any, offsets: Any) -> tuple[Any, Any]:
    """The n-grams of many texts that are stored: hashes (uint64) and the number of their text (int64).

    Args:
        words: uint64 hashes of the words of all texts. offsets: int64, texts + 1, where each text's words begin.
    """
    import numpy as np

    grams = hash_grams(words)
    text = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    is_inside = text[: len(grams)] == text[GRAM_WORDS - 1 :][: len(grams)]
    grams, text = grams[is_inside], text[: len(is_inside)][is_inside]
    if not len(grams):
        return grams, text
    smallest, place = grams.copy(), np.arange(len(grams))
    for step in range(1, WINDOW):
        later = np.full(len(grams), np.iinfo(np.uint64).max, np.uint64)
        same = text[step:] == text[:-step]
        later[: len(grams) - step][same] = grams[step:][same]
        is_smaller = later <= smallest  # of equal ones the last, as the paper has it
        is_smaller &= later != np.iinfo(np.uint64).max
        smallest[is_smaller] = later[is_smaller]
        place[is_smaller] = np.nonzero(is_smaller)[0] + step
    is_first = np.r_[True, text[1:] != text[:-1]]
    is_whole = np.r_[text[WINDOW - 1 :] == text[: -(WINDOW - 1) or None], np.zeros(min(WINDOW - 1, len(text)), bool)][: len(text)]
    chosen = np.unique(place[is_whole | is_first])
    return grams[chosen], text[chosen]


def write_index(file: Path, batches: Iterable[tuple[Any, Any]]) -> int:
    """Write (hashes, rows) of `choose_grams` as one file sorted by hash; return how many n-grams it holds.

    Args:
        file: a path that nobody reads yet.
    """
    import duckdb
    import polars as pl

    frames = [
        pl.DataFrame({"gram": grams, "row": rows}, schema={"gram": pl.UInt64, "row": pl.UInt32}).unique() for grams, rows in batches
    ]
    index = pl.concat([pl.DataFrame(schema={"gram": pl.UInt64, "row": pl.UInt32}), *frames]).sort("gram", "row")
    with duckdb.connect() as connection:
        connection.register("found", index.to_arrow())
        # Version 2 of Parquet stores sorted numbers by their differences.
        connection.execute(
            f"copy (select gram::bigint as gram, row::integer as row from found) to {_quote(file)} "
            f"(format parquet, parquet_version v2, compression zstd, row_group_size {ROW_GROUP_ROWS})"
        )
    return index.height


def find_candidates(file: Path, grams: Any, n_rows: int, limit: int) -> Candidates:
    """The rows that share n-grams with an output, those whose common n-grams are rarest first.

    Args:
        grams: of `hash_grams`. n_rows: rows in all. limit: how many are returned at most.

    Raises:
        LineageError: the index cannot be read; it can be built again.
    """
    import duckdb

    wanted = sorted({int(gram) for gram in grams})
    if not wanted:
        return Candidates([], 0)
    try:
        with duckdb.connect(config={"threads": 2}) as connection:
            listed = ", ".join(map(str, wanted))
            found = connection.execute(
                f"""with hits as (select gram, row from read_parquet({_quote(file)}) where gram in ({listed})),
                  rarity as (select gram, ln(1 + {int(n_rows)} / count(*)) as weight from hits group by gram),
                  scored as (select row, sum(weight) as score from hits join rarity using (gram) group by row)
                  select row, count(*) over () from scored order by score desc, row limit {int(limit)}"""
            ).fetchall()
    except duckdb.Error as error:
        raise LineageError(f"{file} cannot be read: {error}. Nothing was traced. Remove it; it is built anew.") from error
    return Candidates([row for row, _ in found], found[0][1] if found else 0)


def find_spans(output: Sequence[int], text: Sequence[int], min_words: int) -> list[Span]:
    """The spans that an output and a text share and that cannot be made longer, by their place in the output.

    They have at least `min_words` words, or are the whole of the text.

    Args:
        output, text: hashes of words. min_words: not fewer than GRAM_WORDS.
    """
    starts: dict[tuple[int, ...], list[int]] = {}
    for place in range(len(output) - GRAM_WORDS + 1):
        starts.setdefault(tuple(output[place : place + GRAM_WORDS]), []).append(place)
    found = set()
    for place in range(len(text) - GRAM_WORDS + 1):
        for start in starts.get(tuple(text[place : place + GRAM_WORDS]), ()):
            if start and place and output[start - 1] == text[place - 1]:
                continue  # part of a span that began before
            n = GRAM_WORDS
            while start + n < len(output) and place + n < len(text) and output[start + n] == text[place + n]:
                n += 1
            if n >= min_words or n == len(text):
                found.add(Span(start, start + n))
    return keep_longest(found)


def keep_longest(spans: Iterable[Span]) -> list[Span]:
    """The spans that lie in no other one, by place."""
    kept: list[Span] = []
    for span in sorted(set(spans), key=lambda span: (span.start, -span.end)):
        if not kept or span.end > kept[-1].end:
            kept.append(span)
    return kept


def least_words(n_words: int) -> int:
    """How long a span of an output of `n_words` words has to be: SURE_WORDS; in a shorter output half of it, but a whole n-gram."""
    return SURE_WORDS if n_words >= 2 * SURE_WORDS else max(GRAM_WORDS, (n_words + 1) // 2)


def _quote(file: Path) -> str:
    return "'" + str(file).replace("'", "''") + "'"
