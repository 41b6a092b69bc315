"""What the tests of decontamination share: frames from plain texts, and hits as plain tuples."""

from __future__ import annotations

import json

import polars as pl

from distill_assets.curate.decontaminate import find_overlaps
from distill_assets.curation import ContaminationSpec


def make_items(*questions: str, answer: str | None = None, choices: list[str] | None = None) -> pl.DataFrame:
    """Items i0, i1, ... of benchmark b."""
    listed = None if choices is None else json.dumps(choices)
    rows = [("b", f"i{number}", question, answer, listed) for number, question in enumerate(questions)]
    names = ("benchmark", "item_id", "question", "answer", "choices")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def make_documents(*texts: str) -> pl.DataFrame:
    """Documents d0000, d0001, ..."""
    return pl.DataFrame({"document_id": [f"d{number:04}" for number in range(len(texts))], "text": list(texts)})


def list_hits(items: pl.DataFrame, text: str, answer: str | None = None, **spec: object) -> list[tuple[str, str, str]]:
    """(item, rule, action) of each hit of one text."""
    documents = make_documents(text).with_columns(answer=pl.lit(answer, pl.String))
    return find_overlaps(items, documents, ContaminationSpec(**spec)).select("item_id", "rule", "action").rows()


def count_words(first: int, last: int) -> str:
    """Words that stand nowhere else: 'wa wb ...' from number `first` to before `last`."""
    return " ".join(f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(first, last))
