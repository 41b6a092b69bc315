"""Rows into tokens: prompt and completion as one sequence, labels on the completion only.

Belongs here: tokenization and what is left out because of its length. Does not belong here: how rows
are batched or learnt (trainer).

Prompt and completion are tokenized apart and joined, as at inference, where the model continues the
prompt's own tokens. A row that does not fit is left out and counted: half a query is half a lesson. When the
recipe asks for it, it is cut instead, with no end-of-sequence token after the cut, so that the student doesn't learn
to stop there; a row whose prompt alone fills the length has nothing to learn from and is left out even so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from distill_assets.errors import TrainingError, name_culprits

IGNORED_LABEL = -100


class EncodedRows(NamedTuple):
    """Examples in the rows' order, ids of all rows, and which rows were left out or cut.

    An example has `input_ids`, `labels`, `length` (tokens) and `row`, its place in `sample_ids`; `n_tokens` is the sum
    of the lengths.
    """

    examples: list[dict[str, Any]]
    sample_ids: tuple[str, ...]
    n_tokens: int
    too_long: tuple[str, ...]
    truncated: tuple[str, ...]


def encode_rows(
    rows: Iterable[Mapping[str, str]], tokenizer: Any, max_length: int, long_rows: Literal["drop", "truncate"] = "drop"
) -> EncodedRows:
    """Tokenize rows of sample_id, prompt, completion; the end-of-sequence token closes each.

    Args:
        max_length: longest sequence in tokens that is trained on.
        long_rows: what happens to a longer one.

    Raises:
        TrainingError: no row fits.
    """
    rows = list(rows)
    prompts = _tokenize(tokenizer, [row["prompt"] for row in rows])
    completions = _tokenize(tokenizer, [row["completion"] for row in rows])
    sample_ids = tuple(row["sample_id"] for row in rows)
    examples: list[dict[str, Any]] = []
    too_long, truncated = [], []
    for place, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        answer = [*completion, tokenizer.eos_token_id]
        is_long = len(prompt) + len(answer) > max_length
        if is_long and (long_rows == "drop" or len(prompt) >= max_length):
            too_long.append(sample_ids[place])
            continue
        if is_long:
            truncated.append(sample_ids[place])
        ids = (prompt + answer)[:max_length]
        labels = ([IGNORED_LABEL] * len(prompt) + answer)[:max_length]
        examples.append({"input_ids": ids, "labels": labels, "length": len(ids), "row": place})
    if not examples:
        culprits = name_culprits(too_long) or "there is no row"
        raise TrainingError(
            f"0 of {len(rows)} rows fit max_length {max_length} tokens: {culprits}. Nothing was trained. "
            "Raise student.train.max_length in recipe.yaml."
        )
    n_tokens = sum(example["length"] for example in examples)
    return EncodedRows(examples, sample_ids, n_tokens, tuple(too_long), tuple(truncated))


def _tokenize(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False).input_ids if texts else []
