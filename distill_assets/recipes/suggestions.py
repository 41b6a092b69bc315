"""What a schema card itself suggests: topics to start from, and items that show a holdout's form.

Belongs here: honest, simple sentences made of table and column names. Does not belong here: questions
that pass for a person's own; a holdout of real questions starts empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from distill_assets.databases import Column, Schema, Table, quote_name

NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|DOUBLE|FLOAT|REAL")
SQL_WORDS = (
    " all and any array as asc case cast check collate column constraint create cross default desc distinct do else end except"
    " false fetch for foreign from full grant group having in inner intersect into is join lateral left like limit natural not"
    " null offset on only or order outer primary qualify references returning right select some symmetric table then to true"
    " union unique using values when where window with "
)


def render_rows(rows: list[dict[str, str]]) -> str:
    """Return rows as JSONL."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def make_topics(schema: Schema) -> list[dict[str, str]]:
    """Topics that the card itself suggests: counts, groups, amounts, dates and relations."""
    texts = [text for table in schema.tables for text in _make_table_topics(table)]
    return [{"database": schema.name, "kind": "topic", "text": text} for text in dict.fromkeys(texts)]


def _make_table_topics(table: Table) -> Iterator[str]:
    things = read_name(table.name)
    yield f"how many {things} there are"
    for column in table.columns:
        what = read_name(column.name)
        if column.references:
            yield f"{things} per {_make_singular(read_name(column.references.split('.')[0]))}"
        elif column.is_primary_key or not column.values:
            continue
        elif re.match(r"DATE|TIMESTAMP", column.type):
            yield f"{things} by year and month of {what}"
        elif is_category(table, column):
            yield f"{things} by {what}"
        elif NUMBER.fullmatch(column.type):
            yield f"{what} of {things}: total, average, highest and lowest"


def is_category(table: Table, column: Column) -> bool:
    """True for a text column whose few values repeat and are all on the card."""
    return column.type == "VARCHAR" and 1 < column.n_distinct <= min(len(column.values), table.n_rows // 2)


def make_example_items(schema: Schema) -> list[dict[str, str]]:
    """Holdout items that show the form: right over these tables, but nobody's real questions."""
    pairs = [pair for table in schema.tables for pair in _make_table_items(table)]
    return [{"database": schema.name, "question": question, "gold_sql": sql} for question, sql in pairs]


def _make_table_items(table: Table) -> Iterator[tuple[str, str]]:
    things, source = read_name(table.name), _quote_if_needed(table.name)
    yield f"How many {things} are there?", f"SELECT COUNT(*) FROM {source}"
    column = next((column for column in table.columns if is_category(table, column)), None)
    if column is not None:
        value = column.values[0].replace("'", "''")
        question = f"How many {things} have the {read_name(column.name)} {column.values[0]}?"
        yield question, f"SELECT COUNT(*) FROM {source} WHERE {_quote_if_needed(column.name)} = '{value}'"


def read_name(name: str) -> str:
    """A technical name as words: order_items and orderItems are both "order items"."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")
    return " ".join(parts.split()).lower()


def _make_singular(words: str) -> str:
    if words.endswith("ies") and len(words) > 4:
        return words[:-3] + "y"
    return words[:-1] if words.endswith("s") and not words.endswith(("ss", "us", "is")) else words


def _quote_if_needed(name: str) -> str:
    """Plain names stand as they are; one that is no plain word, or is an SQL word, is quoted."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and f" {name} " not in SQL_WORDS else quote_name(name)
