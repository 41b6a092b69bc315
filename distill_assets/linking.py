"""Which stored values a question mentions.

Belongs here: an index of a database's text values and the look-up of a question's words in it.
Does not belong here: the prompt's form (prompts) or running queries (verifiers).

Content-based schema linking as in BRIDGE (Lin et al. 2020, section 2.1): literals that stand in the
question and in a column are shown to the model beside that column. Only text columns; the match is
on whole words, regardless of case, the longest first. Numbers and dates need no look-up.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from distill_assets.databases import quote_name

MAX_VALUES_PER_COLUMN = 20_000
MAX_WORDS = 6
MAX_HINTS = 3
WORD = re.compile(r"\w+(?:['’.-]\w+)*\.?")


class ValueIndex(NamedTuple):
    """Folded value text -> (table.column, stored value) pairs, in schema order."""

    entries: dict[str, tuple[tuple[str, str], ...]]


def build_index(path: Path) -> ValueIndex:
    """Read the distinct values of all text columns of the DuckDB file at `path`."""
    import duckdb

    found: dict[str, dict[tuple[str, str], None]] = {}
    with duckdb.connect(str(path), read_only=True) as con:
        columns = con.sql(
            "select table_name, column_name from duckdb_columns() where schema_name = 'main' and not internal"
            " and data_type = 'VARCHAR' order by table_name, column_index"
        ).fetchall()
        for table, column in columns:
            for (value,) in con.sql(
                f"select distinct {quote_name(column)} as v from {quote_name(table)} where v is not null"
                f" order by v limit {MAX_VALUES_PER_COLUMN}"
            ).fetchall():
                found.setdefault(fold(value), {})[(f"{table}.{column}", value)] = None
    return ValueIndex({key: tuple(places) for key, places in found.items() if key})


def fold(text: str) -> str:
    """Lower case, with words joined by one space."""
    return " ".join(word.rstrip(".").lower() for word in WORD.findall(text))


def link_values(index: ValueIndex, question: str) -> list[str]:
    """Return up to three hints `column = 'value'` for the values that `question` mentions, in its order."""
    words = [word.rstrip(".").lower() for word in WORD.findall(question)]
    hints: list[str] = []
    start = 0
    while start < len(words) and len(hints) < MAX_HINTS:
        size = _longest_match(index, words, start)
        if size:
            places = index.entries[" ".join(words[start : start + size])]
            hints.append(_render_hint(places))
        start += size or 1
    return list(dict.fromkeys(hints))


def _longest_match(index: ValueIndex, words: list[str], start: int) -> int:
    for size in range(min(MAX_WORDS, len(words) - start), 0, -1):
        if " ".join(words[start : start + size]) in index.entries:
            return size
    return 0


def _render_hint(places: tuple[tuple[str, str], ...]) -> str:
    columns = list(dict.fromkeys(column for column, _ in places))
    value = places[0][1].replace("'", "''")
    return f"{' or '.join(columns[:2])} = '{value}'"
