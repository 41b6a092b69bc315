"""Tokens, labels and order of the rows."""

from __future__ import annotations

import pytest

from distill_assets.errors import TrainingError
from distill_assets.train.format import IGNORED_LABEL, encode_rows
from distill_assets.train.scratch import train_tokenizer
from distill_assets.train.trainer import order_rows

from .conftest import make_rows

ROWS = make_rows(20).rows(named=True)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(row["prompt"] + row["completion"] for row in ROWS)


def test_only_the_completion_is_labelled(tokenizer):
    example = encode_rows(ROWS, tokenizer, 256).examples[1]
    labelled = [token for token in example["labels"] if token != IGNORED_LABEL]
    assert tokenizer.decode(labelled[:-1]) == ROWS[1]["completion"]
    assert labelled[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(example["input_ids"][:-1]) == ROWS[1]["prompt"] + ROWS[1]["completion"]


def test_rows_that_do_not_fit_are_counted_and_never_cut(tokenizer):
    whole = encode_rows(ROWS, tokenizer, 256)
    limit = sorted(example["length"] for example in whole.examples)[10]
    cut = encode_rows(ROWS, tokenizer, limit)
    assert len(cut.examples) + len(cut.too_long) == len(ROWS)
    assert cut.too_long and max(example["length"] for example in cut.examples) <= limit
    with pytest.raises(TrainingError, match="0 of 20 rows fit max_length 3"):
        encode_rows(ROWS, tokenizer, 3)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 1000])
def test_order_is_a_permutation_that_depends_on_seed_and_epoch(n):
    lengths = [(i * 7919) % 61 for i in range(n)]
    order = order_rows(lengths, 16, 17, 0)
    assert sorted(order) == list(range(n))
    assert order == order_rows(lengths, 16, 17, 0)
    if n > 100:
        assert order != order_rows(lengths, 16, 17, 1) != order_rows(lengths, 16, 18, 1)


def test_batches_hold_rows_of_like_length():
    lengths = [(i * 7919) % 61 for i in range(1900)]
    order = order_rows(lengths, 16, 17, 0)
    batches = [[lengths[row] for row in order[i : i + 16]] for i in range(0, len(order), 16)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert padded < 1.03 * sum(lengths)


def test_rows_that_do_not_fit_are_cut_when_asked_for(tokenizer):
    whole = encode_rows(ROWS, tokenizer, 256)
    limit = sorted(example["length"] for example in whole.examples)[10]
    cut = encode_rows(ROWS, tokenizer, limit, "truncate")
    assert len(cut.examples) == len(ROWS) and not cut.too_long and cut.truncated
    for example, full in zip(cut.examples, whole.examples, strict=True):
        assert example["input_ids"] == full["input_ids"][:limit]
        assert example["labels"] == full["labels"][:limit]
        is_cut = full["length"] > limit
        assert (cut.sample_ids[example["row"]] in cut.truncated) == is_cut
        assert (example["input_ids"][-1] == tokenizer.eos_token_id) == (not is_cut)


def test_a_row_whose_prompt_alone_is_too_long_teaches_nothing(tokenizer):
    rows = [{"sample_id": "a", "prompt": "orders in 2000 " * 9, "completion": "SELECT"}, ROWS[0]]
    n_prompt = len(tokenizer(rows[0]["prompt"], add_special_tokens=False).input_ids)
    for limit, is_left_out in ((n_prompt, True), (n_prompt + 1, False)):
        encoded = encode_rows(rows, tokenizer, limit, "truncate")
        assert encoded.too_long == (("a",) if is_left_out else ())
        assert [example["row"] for example in encoded.examples] == ([1] if is_left_out else [0, 1])
