"""A schema card read as words: what each table, column and key is called and what it means.

Belongs here: parsing names and documentation into nouns, clauses, units and notes, once per card.
Does not belong here: drawing questions. The one idea: documentation is a noun phrase with
synonyms, and clauses inside it ("date the order was placed", "customer who placed the order")
give the verbs that people use.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from distill_assets.clients.sql_grammar import english, meanings
from distill_assets.clients.sql_grammar.query import Edge, Ref
from distill_assets.databases import Column, Schema, Table

_DATE_TYPES = ("DATE", "TIMESTAMP")
_NUMBER_TYPES = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "REAL", "BIGINT", "HUGEINT", "NUMERIC")
_LABELS = ("name", "title", "label", "full name", "display name")
_CUT = re.compile(
    r" (?:of (?:the|one|a|an|this)\b|the|on the|in the|in which|that|who|where|for (?:the|this)|above|with|within|placed|registered|prescribed|to) ?.*"
)
_CLAUSE = re.compile(r"(?:date|time|day|moment|timestamp|year) (?:when |on which |at which )?(?:the|an?) (\w+) (.+)")
_ROLE = re.compile(r"(?:\w+ )+?(?:where|which|at which|from which) (?:the|an?) (\w+) (.+)")
_ACTOR = re.compile(r"(?:\w+ )+?(?:who|that) (\w+(?: (?:in|up|for|on|out))?)(?: (?:the|an?) \w+)?")


# Values that a threshold or a year can be taken from; a column with none of them is only selected.
_SHAPES = {"number": re.compile(r"-?\d+(\.\d+)?\Z"), "date": re.compile(r"\d{4}-\d\d-\d\d")}


class Words(NamedTuple):
    """One column: where it is, what it is (`kind`), what it means (`family`), how it is called.

    kind: key, ref, label, flag, date, year, number, category or text. `clause` is a past verb
    phrase of the row ("signed up"), "" when there is none.
    """

    ref: Ref
    kind: str
    family: str
    nouns: tuple[str, ...]
    unit: str
    clause: str
    values: tuple[str, ...]
    n_distinct: int
    null_words: str
    zero_words: str
    is_timestamp: bool
    is_whole: bool
    doc: str
    is_counted: bool = False


class Link(NamedTuple):
    """One foreign key: its edge, the words for the role of the other side, and the verbs of its clause."""

    edge: Edge
    roles: tuple[str, ...]
    actor_verb: str
    passive_verb: str
    place_verb: str
    joint: str
    is_nullable: bool


class Thing(NamedTuple):
    """One table: its nouns, its columns by use, its keys."""

    name: str
    nouns: tuple[str, ...]
    is_person: bool
    is_place: bool
    n_rows: int
    key: Ref | None
    label: Words
    has_label: bool
    columns: tuple[Words, ...]
    links: tuple[Link, ...]


class Lexicon(NamedTuple):
    """All tables of one card."""

    name: str
    things: dict[str, Thing]


@lru_cache(maxsize=64)
def read_lexicon(schema: Schema) -> Lexicon:
    """Read a schema card into words; the card's columns decide everything."""
    column_nouns = {_words(c.name) for t in schema.tables for c in t.columns}
    things = {t.name: _read_thing(t, column_nouns, schema) for t in schema.tables}
    return Lexicon(schema.name, things)


def _words(name: str) -> str:
    return english.split_name(name) or "value"


def _parse_doc(doc: str) -> tuple[str, tuple[str, ...], str, tuple[str, ...]]:
    """Split documentation into phrase, synonyms, unit, notes; characters of the template language go."""
    doc = re.sub(r"[(){}|]", "", doc)
    main, *parts = [part.strip() for part in doc.split(";")]
    also: tuple[str, ...] = ()
    unit, notes = "", []
    for part in parts:
        if part.startswith("also:"):
            also = tuple(word.strip() for word in part[5:].split(",") if word.strip())
        elif part.startswith("unit:"):
            unit = part[5:].strip()
        elif part:
            notes += [piece.strip() for piece in part.split(",")]
    return main, also, unit, tuple(notes)


def _read_thing(table: Table, column_nouns: set[str], schema: Schema) -> Thing:
    main, also, _, _ = _parse_doc(table.doc)
    single = english.singularize(_words(table.name))
    taken = column_nouns | {english.singularize(noun) for noun in column_nouns}
    nouns = (single, *[noun for noun in also if noun.lower() not in taken and noun != single])
    is_person = english.is_person((*nouns, *main.split()[:2]))
    columns = tuple(_read_column(table, column, is_person) for column in table.columns)
    label = _find_label(table, columns)
    label = label._replace(kind="label") if label.kind in ("text", "category", "label") else label
    columns = tuple(label if c.ref == label.ref else c for c in columns)
    keys = [c.ref for c, card in zip(columns, table.columns, strict=True) if card.is_primary_key]
    links = tuple(link for c in table.columns if (link := _read_link(table, c, schema)))
    return Thing(
        table.name, nouns, is_person, english.is_place(nouns), table.n_rows, keys[0] if len(keys) == 1 else None,
        label, label.kind == "label", columns, links,
    )  # fmt: skip


def _find_label(table: Table, columns: tuple[Words, ...]) -> Words:
    texts = [c for c in columns if c.kind in ("text", "category")]
    for wanted in _LABELS:
        for column in texts:
            if _words(column.ref.column) == wanted:
                return column
    for column in texts:
        name = _words(column.ref.column)
        if name.endswith((" name", " title")) and column.n_distinct * 2 > table.n_rows:
            return column
    keys = [c for c in columns if c.kind == "key"]
    if not keys:
        keys = [c for c in texts if c.n_distinct == table.n_rows]
    return keys[0] if keys else columns[0]


def _read_column(table: Table, column: Column, is_person: bool) -> Words:
    main, also, unit, notes = _parse_doc(column.doc)
    name = _words(column.name)
    kind, values = _find_kind(table, column, name), column.values
    if kind in _SHAPES:
        values = tuple(value for value in values if _SHAPES[kind].match(value))
    kind = kind if values or kind not in (*_SHAPES, "category") else "other"
    family = _find_family(kind, name, main, also, unit)
    if kind == "date" and not family:
        family = "join" if is_person and name in ("joined", "registered", "hired", "since") else "event"
    kind = "year" if family == "year" and kind == "number" and all(value.isdecimal() for value in values) else kind
    return Words(
        Ref(table.name, column.name), kind, "birth" if kind == "year" and "birth" in (name + main) else family,
        _read_nouns(name, main, also, kind), unit, _read_clause(name, main, kind), values, column.n_distinct,
        _note(notes, ("empty when ", "empty if ", "null when ")), _note(notes, ("0 means ", "zero means ")),
        column.type.startswith("TIMESTAMP"), "INT" in column.type, column.doc, main.startswith("number of "),
    )  # fmt: skip


def _find_kind(table: Table, column: Column, name: str) -> str:
    if column.references:
        return "ref"
    if column.is_primary_key or name == "id":
        return "key"
    if column.type == "BOOLEAN":
        return "flag"
    if column.type.startswith(_DATE_TYPES):
        return "date"
    if column.type.startswith(_NUMBER_TYPES) or "INT" in column.type:
        return "ref" if name.endswith(" id") else "number"
    if column.type != "VARCHAR":
        return "other"
    repeats = column.n_distinct <= 24 and column.n_distinct * 5 <= table.n_rows * 3
    return "category" if repeats else "text"


def _find_family(kind: str, name: str, main: str, also: tuple[str, ...], unit: str) -> str:
    texts = (name, main, " ".join(also))
    if kind in ("category", "text", "label"):
        return meanings.find_family(meanings.TEXT_FAMILIES, *texts)
    if kind == "number":
        return meanings.find_family(meanings.NUMBER_FAMILIES, unit, *texts) or ("price" if unit else "")
    if kind == "date":
        return meanings.find_family(meanings.DATE_FAMILIES, *texts)
    return ""


def _read_nouns(name: str, main: str, also: tuple[str, ...], kind: str) -> tuple[str, ...]:
    if kind == "ref" and name.endswith(" id"):
        name = name[:-3]
    nouns = [] if kind == "date" and english.is_past(name) else [name]
    if main.startswith("number of "):
        nouns.append(_CUT.sub("", main[10:]))
    elif main and not main.startswith(("what ", "whether ")) and not _CLAUSE.match(main):
        nouns.append(re.sub(r"^(?:the|an?) ", "", _CUT.sub("", main)) if kind != "ref" else name)
    nouns += [word for word in also if word not in ("born", "from", "to")]
    if len(nouns) > 1 and kind != "label":
        nouns = [noun for noun in nouns if noun not in ("name", "date", "time of the", "full")] or nouns
    if not nouns:
        nouns = [f"{english.base_form(name)} date" if kind == "date" else name]
    if kind == "flag":
        nouns = [re.sub(r"^(?:has|is|can|was) ", "", noun) for noun in nouns]
    return tuple(dict.fromkeys(noun for noun in nouns if noun))


def _read_clause(name: str, main: str, kind: str) -> str:
    if kind not in ("date", "year", "number"):
        return ""
    if found := _CLAUSE.match(main):
        return found[2]
    if kind == "number":
        found = re.match(r"what (?:the|an?|one) \w+ (\w+)\Z", main)
        return found[1] if found else ""
    if name == "born" or "birth" in f"{name} {main}":
        return "was born"
    if not english.is_past(name) or (main and " last " not in main):
        return ""
    return f"was last {name}" if main else (name if name in english.ACTIVE_PASTS else f"was {name}")


def _note(notes: tuple[str, ...], starts: tuple[str, ...]) -> str:
    for note in notes:
        for start in starts:
            if note.startswith(start):
                return note[len(start) :]
    return ""


def _read_link(table: Table, column: Column, schema: Schema) -> Link | None:
    if not column.references:
        return None
    target, _, key = column.references.partition(".")
    if target not in {t.name for t in schema.tables} or target == table.name:
        return None
    main, also, _, notes = _parse_doc(column.doc)
    name = re.sub(r" id\Z", "", _words(column.name))
    role = _ROLE.match(main)
    actor = _ACTOR.match(main)
    verb = actor[1] if actor else ""
    is_verb = verb and verb not in ("was", "is", "were", "the") and english.is_past(verb.split()[0])
    roles = tuple(dict.fromkeys((name, *[word for word in also if word not in ("from", "to")])))
    passive = re.match(r"(?:\w+ )+?that (?:was|were|is) (\w+)\Z", main)
    joint = next((word for word in ("from", "to") if word in also), "")
    return Link(
        Edge(Ref(table.name, column.name), Ref(target, key)), roles, verb if is_verb else "",
        passive[1] if passive else "", role[2] if role else "", joint,
        bool(_note(notes, ("empty when ", "empty if ", "null when "))),
    )  # fmt: skip
