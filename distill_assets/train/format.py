"""Rows into tokens: prompt and completion as one sequence, labels on the completion only.

Belongs here: tokenization and what is left out because of its length. Does not belong here: how rows
are batched or learnt (trainer).

Prompt and completion are tokenized apart and joined, as at inference, where the model continues the
prompt's own tokens. A row that does not fit is left out and counted, never cut: half a query would
teach the student to stop in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from distill_assets.errors import TrainingError, name_culprits

IGNORED_LABEL = -100


class EncodedRows(NamedTuple):
    """Examples with `input_ids`, `labels` and `length` (tokens), in the rows' order, and what was left out."""

    examples: list[dict[str, Any]]
    n_tokens: int
    n_label_tokens: int
    too_long: tuple[str, ...]


def encode_rows(rows: Iterable[Mapping[str, str]], tokenizer: Any, max_length: int) -> EncodedRows:
    """Tokenize rows of sample_id, prompt, completion; the end-of-sequence token closes each.

    Args:
        max_length: longest sequence in tokens that is trained on.

    Raises:
        TrainingError: no row fits.
    """
    rows = list(rows)
    prompts = _tokenize(tokenizer, [row["prompt"] for row in rows])
    completions = _tokenize(tokenizer, [row["completion"] for row in rows])
    examples: list[dict[str, Any]] = []
    too_long, n_label_tokens = [], 0
    for row, prompt, completion in zip(rows, prompts, completions, strict=True):
        answer = [*completion, tokenizer.eos_token_id]
        if len(prompt) + len(answer) > max_length:
            too_long.append(row["sample_id"])
            continue
        n_label_tokens += len(answer)
        ids = prompt + answer
        examples.append({"input_ids": ids, "labels": [IGNORED_LABEL] * len(prompt) + answer, "length": len(ids)})
    if not examples:
        culprits = name_culprits(too_long) or "there is no row"
        raise TrainingError(
            f"0 of {len(rows)} rows fit max_length {max_length} tokens: {culprits}. Nothing was trained. "
            "Raise student.train.max_length in recipe.yaml."
        )
    return EncodedRows(examples, sum(example["length"] for example in examples), n_label_tokens, tuple(too_long))


def _tokenize(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False).input_ids if texts else []
