"""How many tokens a sample has, as its student counts them.

Belongs here: counting, and which tokenizer counts. Does not belong here: the bound on tokens (selection) or tokens for training (train).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from distill_assets.clients.base_model import TINY_NAME, resolve_base_model
from distill_assets.config import Recipe, cache_folder
from distill_assets.errors import BaseModelError


def find_tokenizer(recipe: Recipe) -> Path | None:
    """The student's tokenizer; None for one from scratch, which has none before its rows are chosen."""
    base = resolve_base_model(recipe.student.base_model, cache_folder())
    return None if base.name == TINY_NAME else base.path / "tokenizer.json"


def count_tokens(samples: pl.DataFrame, tokenizer_file: Path | None) -> pl.DataFrame:
    """Count the tokens of question and query.

    Args:
        samples: sample_id, question, sql. tokenizer_file: the base model's tokenizer.json; None for a student from scratch, whose
        tokens do not exist before its rows are chosen: its texts are counted in bytes, which its tokens never exceed.

    Returns:
        sample_id, n_tokens.

    Raises:
        BaseModelError: the tokenizer cannot be read.
    """
    texts = [f"{question or ''}\n{sql or ''}" for question, sql in samples.select("question", "sql").iter_rows()]
    if tokenizer_file is None:
        counts = [len(text.encode("utf-8", errors="surrogatepass")) for text in texts]
    else:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:
            raise BaseModelError(
                f"{tokenizer_file} cannot be read ({error}), so curate.max_tokens cannot be kept. Nothing was marked. "
                "Name a base model with a tokenizer.json, or take curate.max_tokens out."
            ) from error
        counts = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    return samples.select("sample_id", pl.Series("n_tokens", counts, dtype=pl.Int64))
