"""Tokens as the student counts them, also of hostile texts; a tokenizer that cannot be read stops the step."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from distill_assets.curate.tokens import count_tokens
from distill_assets.errors import BaseModelError
from distill_assets.train.scratch import train_tokenizer

BIG = "how many orders of May " * 90_000  # 2 MB
ROWS = {
    "plain": ("how many orders", "SELECT COUNT(*) FROM orders"),
    "empty": ("", ""),
    "nulls": (None, None),
    "odd": ("سؤال 🤔 \u200b", "SELECT 'é\u0301'"),
}


def samples(rows: dict[str, tuple]) -> pl.DataFrame:
    schema = {"sample_id": pl.String, "question": pl.String, "sql": pl.String}
    return pl.DataFrame([(id_, *texts) for id_, texts in rows.items()], schema=schema, orient="row")


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(["how many orders of May SELECT COUNT(*) FROM orders"] * 20).save_pretrained(folder)
    return folder / "tokenizer.json"


def test_each_sample_is_counted_by_the_students_tokenizer(tokenizer_file: Path):
    from tokenizers import Tokenizer

    counted = count_tokens(samples(ROWS), tokenizer_file)
    own = Tokenizer.from_file(str(tokenizer_file))
    wanted = [len(own.encode(f"{q or ''}\n{s or ''}", add_special_tokens=False).ids) for q, s in ROWS.values()]
    assert counted["sample_id"].to_list() == list(ROWS) and counted["n_tokens"].to_list() == wanted
    assert counted.schema == {"sample_id": pl.String, "n_tokens": pl.Int64}


def test_without_a_tokenizer_bytes_are_counted_which_tokens_never_exceed(tokenizer_file: Path):
    in_bytes, in_tokens = count_tokens(samples(ROWS), None), count_tokens(samples(ROWS), tokenizer_file)
    assert in_bytes["n_tokens"].to_list() == [len(f"{q or ''}\n{s or ''}".encode()) for q, s in ROWS.values()]
    assert (in_bytes["n_tokens"] >= in_tokens["n_tokens"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [{}, {"big": (BIG, "SELECT 1"), "one word": ("a" * 100_000, "")}])
def test_no_text_and_huge_texts_are_counted(tokenizer_file: Path, rows: dict[str, tuple]):
    counted = count_tokens(samples(rows), tokenizer_file)
    assert counted.schema == {"sample_id": pl.String, "n_tokens": pl.Int64}
    assert counted.height == len(rows) and (counted["n_tokens"] > 10_000).all()


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe"])
def test_a_tokenizer_that_cannot_be_read_stops_the_step(tmp_path: Path, content: bytes | None):
    file = tmp_path / "tokenizer.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BaseModelError, match=r"tokenizer.json cannot be read.*take curate.max_tokens out"):
        count_tokens(samples(ROWS), file)
