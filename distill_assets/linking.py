"""What of a database a question mentions: stored values, columns and tables.

Belongs here: an index of a database's names, documentation and text values, and the look-up of a
question's words in it. Does not belong here: the prompt's form (prompts) or running queries
(verifiers).

Lexical schema linking: values that stand in the question are shown with their column (as in BRIDGE, Lin
et al. 2020, section 2.1), and so are columns and tables whose name or documented synonym stands there.
The match is on word stems, the longest phrase first. Where the hits lie in several tables, the foreign
keys between them follow. A small student need not learn by heart which column lies in which table, or
how tables hang together.
"""

from __future__ import annotations

import re
from collections.abc import Set
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from distill_assets.databases import Schema, quote_name, read_schema

# Part of the code version of what holds prompts: a rule that changes them makes those tables stale.
VERSION = "2"
MAX_VALUES_PER_COLUMN = 20_000
MAX_WORDS = 6
MAX_HINTS = 6
MAX_JOINS = 3
MAX_PLACES = 2
MIN_VALUE_CHARS = 3
MIN_PREFIX_CHARS = 5
MAX_PREFIX_REST = 4
WORD = re.compile(r"\w+(?:['’.+-]\w+)*[+-]?")
NEGATED = re.compile(r"\bnon-(?=\w)", flags=re.IGNORECASE)
# Words of questions and of documentation that point to nothing by themselves.
COMMON_TEXT = (
    "a an the of in on at by to for from with and or is are was were be been do does did has have had it its "
    "this that which who whom what when where how many much number count list show give me all any our we i "
    "you they there can could per each every most least top more less than over under not no one date time"
)
COMMON_WORDS = frozenset(COMMON_TEXT.split())


class ForeignKey(NamedTuple):
    """Referring and referred `table.column`, and the stems that tell it from another key between the same tables."""

    child: str
    parent: str
    cues: frozenset[str]

    @property
    def tables(self) -> tuple[str, str]:
        """The referring and the referred table."""
        return self.child.split(".")[0], self.parent.split(".")[0]


class LinkIndex(NamedTuple):
    """What a question's words may point to, by stemmed phrase.

    `values`: (table.column, stored value) pairs. `names`: `table.column` or `table` texts. `prefixes` maps
    the first letters of one-word values to their phrase.
    """

    values: dict[str, tuple[tuple[str, str], ...]]
    names: dict[str, tuple[str, ...]]
    prefixes: dict[str, tuple[str, ...]]
    keys: tuple[ForeignKey, ...]


def stem(word: str) -> str:
    """Lower case without a plural ending: enough to meet singular and plural."""
    word = word.lower().replace("’", "'").removesuffix("'s").rstrip(".")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def stem_phrase(text: str) -> str:
    """The stems of a text's words, joined by one space."""
    return " ".join(stem(word) for word in WORD.findall(text.replace("_", " ")))


def build_index(path: Path) -> LinkIndex:
    """Index the DuckDB file at `path`: its text values, its names and the synonyms of its comments."""
    import duckdb

    schema = read_schema(path.stem, path)
    values: dict[str, dict[tuple[str, str], None]] = {}
    with duckdb.connect(str(path), read_only=True) as con:
        for table in schema.tables:
            for column in table.columns:
                if column.type == "VARCHAR":
                    for value in _read_values(con, table.name, column.name):
                        phrase = stem_phrase(value)
                        if 0 < len(phrase.split()) <= MAX_WORDS:  # a longer one is never looked up
                            values.setdefault(phrase, {})[(f"{table.name}.{column.name}", value)] = None
    names = _index_names(schema)
    prefixes: dict[str, list[str]] = {}
    for phrase in sorted(values):
        if " " not in phrase and len(phrase) > MIN_PREFIX_CHARS:
            prefixes.setdefault(phrase[:MIN_PREFIX_CHARS], []).append(phrase)
    endings = _list_endings(list(values), {word for phrase in names for word in phrase.split()} | COMMON_WORDS)
    return LinkIndex(
        {phrase: tuple(values[whole]) for phrase, whole in {**endings, **{phrase: phrase for phrase in values}}.items()},
        names,
        {k: tuple(v) for k, v in prefixes.items()},
        _index_keys(schema),
    )


def _list_endings(phrases: list[str], other_words: Set[str]) -> dict[str, str]:
    """The last words of a value that stand for it, as a surname does: those that no other value ends on."""
    wholes: dict[str, list[str]] = {}
    for phrase in phrases:
        words = phrase.split()
        for start in range(1, len(words)):
            wholes.setdefault(" ".join(words[start:]), []).append(phrase)
    return {
        ending: whole[0]
        for ending, whole in wholes.items()
        if len(whole) == 1 and len(ending) >= MIN_VALUE_CHARS and not ending.isdigit() and not set(ending.split()) <= other_words
    }


def _read_values(con, table: str, column: str) -> list[str]:
    query = f"select distinct {quote_name(column)} as v from {quote_name(table)} where v is not null order by v limit {MAX_VALUES_PER_COLUMN}"
    return [value for (value,) in con.sql(query).fetchall()]


def _index_names(schema: Schema) -> dict[str, tuple[str, ...]]:
    names: dict[str, dict[str, None]] = {}
    for table in schema.tables:
        for phrase in list_phrases(table.name, table.doc):
            names.setdefault(phrase, {})[table.name] = None
        for column in table.columns:
            if column.is_primary_key or column.references:
                continue
            for phrase in list_phrases(column.name, column.doc):
                names.setdefault(phrase, {})[f"{table.name}.{column.name}"] = None
    return {phrase: tuple(places) for phrase, places in names.items()}


def _index_keys(schema: Schema) -> tuple[ForeignKey, ...]:
    keys = []
    for table in schema.tables:
        for column in table.columns:
            if column.references:
                words = {word for phrase in list_phrases(column.name, column.doc) for word in phrase.split()}
                ends = {stem(table.name), stem(column.references.split(".")[0]), "id"}
                keys.append(ForeignKey(f"{table.name}.{column.name}", column.references, frozenset(words - ends - COMMON_WORDS)))
    return tuple(keys)


def list_phrases(name: str, doc: str) -> list[str]:
    """Stemmed phrases that stand for a table or column: its name, its noun phrase and its `also:` synonyms."""
    parts = [part.strip() for part in doc.split(";")]
    texts = [name, *parts[:1]]
    for part in parts[1:]:
        if part.lower().startswith("also:"):
            texts += part[5:].split(",")
    phrases = (stem_phrase(re.sub(r"^(a|an|the) ", "", text.strip(), flags=re.IGNORECASE)) for text in texts)
    return [phrase for phrase in dict.fromkeys(phrases) if phrase and not set(phrase.split()) <= COMMON_WORDS]


def link_question(index: LinkIndex, question: str) -> list[str]:
    """Return hints for what `question` mentions, in its order: `t.c = 'value'`, `t.c` or `t`; then `t.c = u.d` joins."""
    words = [part for word in WORD.findall(NEGATED.sub("non ", question)) for part in _split_word(index, word)]
    stems = [stem(word) for word in words]
    hints: dict[str, None] = {}
    tables: dict[str, None] = {}
    start = 0
    while start < len(stems) and len(hints) < MAX_HINTS:
        size, found = _match_at(index, words, stems, start)
        hints.update(dict.fromkeys(found))
        # What lies in two places says nothing of which table is meant.
        if len(found) == 1 and " or " not in found[0].split(" = ")[0]:
            tables[found[0].split(".")[0]] = None
        start += size
    return _drop_covered(list(hints), set(stems)) + _join_tables(index.keys, list(tables), set(stems))


def _join_tables(keys: tuple[ForeignKey, ...], tables: list[str], stems: set[str]) -> list[str]:
    """The foreign keys on the shortest ways from the first table to each other one, in their order."""
    joins: dict[str, None] = {}
    for table in tables[1:]:
        joins.update(dict.fromkeys(_find_way(keys, tables[0], table, stems)))
    return list(joins)[:MAX_JOINS]


def _find_way(keys: tuple[ForeignKey, ...], start: str, end: str, stems: set[str]) -> list[str]:
    """The joins of the shortest way between two tables; none when there is no way, or no single shortest one."""
    ways = [[start]]
    seen = {start}
    while ways:
        ways = [[*way, near] for way in ways for near in _list_neighbours(keys, way[-1]) if near not in seen]
        arrived = [way for way in ways if way[-1] == end]
        if arrived:
            return [_render_join(keys, a, b, stems) for a, b in pairwise(arrived[0])] if len(arrived) == 1 else []
        seen.update(way[-1] for way in ways)
    return []


def _list_neighbours(keys: tuple[ForeignKey, ...], table: str) -> list[str]:
    ends = [key.tables for key in keys]
    return list(dict.fromkeys(parent if child == table else child for child, parent in ends if table in (child, parent)))


def _render_join(keys: tuple[ForeignKey, ...], one: str, other: str, stems: set[str]) -> str:
    """`referring = referred`; of several keys between two tables, those that the question's words name, else all."""
    between = [key for key in keys if set(key.tables) == {one, other}]
    named = [key for key in between if any(word.startswith(cue) for cue in key.cues for word in stems)]
    chosen = named or between
    return f"{' or '.join(key.child for key in chosen)} = {chosen[0].parent}"


def _split_word(index: LinkIndex, word: str) -> list[str]:
    """A word with hyphens in two, where a part is known and the whole is not: insured-by, but not follow-up."""
    cuts = [at for at, char in enumerate(word) if char == "-" and 0 < at < len(word) - 1]
    if not cuts or _is_known(index, word):
        return [word]
    return next(
        ([word[:at], word[at + 1 :]] for at in cuts if _is_known(index, word[:at]) or _is_known(index, word[at + 1 :])), [word]
    )


def _is_known(index: LinkIndex, word: str) -> bool:
    return stem(word) in index.values or stem(word) in index.names


def _match_at(index: LinkIndex, words: list[str], stems: list[str], start: int) -> tuple[int, list[str]]:
    """The longest phrase that begins at word `start`: its length in words and its hints."""
    for size in range(min(MAX_WORDS, len(stems) - start), 0, -1):
        phrase = " ".join(stems[start : start + size])
        if phrase in index.values and (len(phrase) >= MIN_VALUE_CHARS or _is_stored(index, phrase, words[start])):
            return size, [_render_value(index.values[phrase])]
        if phrase in index.names and len(index.names[phrase]) <= MAX_PLACES:
            return size, list(index.names[phrase])
    return 1, _match_prefix(index, stems[start])


def _is_stored(index: LinkIndex, phrase: str, word: str) -> bool:
    return phrase not in COMMON_WORDS and any(value == word for _, value in index.values[phrase])


def _match_prefix(index: LinkIndex, word: str) -> list[str]:
    """A one-word value that shares its beginning with the word, as dermatology with dermatologist."""
    if len(word) <= MIN_PREFIX_CHARS:
        return []
    for phrase in index.prefixes.get(word[:MIN_PREFIX_CHARS], ()):
        shared = next((i for i, (a, b) in enumerate(zip(word, phrase, strict=False)) if a != b), min(len(word), len(phrase)))
        if max(len(word), len(phrase)) - shared <= MAX_PREFIX_REST:
            return [_render_value(index.values[phrase])]
    return []


def _render_value(places: tuple[tuple[str, str], ...]) -> str:
    columns = list(dict.fromkeys(column for column, _ in places))[:MAX_PLACES]
    value = places[0][1].replace("'", "''")
    return f"{' or '.join(columns)} = '{value}'"


def _drop_covered(hints: list[str], stems: set[str]) -> list[str]:
    """Leave out a column that stands in a value's hint, and a table that the question calls by its own name."""
    return [
        hint
        for hint in hints
        if not any(other.startswith(f"{hint} = ") for other in hints) and ("." in hint or stem(hint) not in stems)
    ]
