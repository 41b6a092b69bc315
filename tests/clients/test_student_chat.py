"""Greedy answers: the same whatever the company, stopped where an answer ends."""

from __future__ import annotations

import pytest

from distill_assets.clients import student_chat
from distill_assets.clients.base_model import build_tiny_model
from distill_assets.clients.student_chat import StudentChat
from distill_assets.errors import CheckpointError
from distill_assets.train.scratch import train_tokenizer

PROMPTS = [f"shop: how many orders were placed in {2000 + i}{' by anybody at all' * (i % 4)}\nSQL:" for i in range(9)]


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer(PROMPTS)
    build_tiny_model(tokenizer, 3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return StudentChat(folder, 1)


def test_a_prompt_alone_in_company_or_in_another_order_gets_the_same_answer(chat, monkeypatch):
    together = chat.answer(PROMPTS, 12)
    assert chat.answer(PROMPTS[::-1], 12)[::-1] == together
    assert [chat.answer([prompt], 12)[0] for prompt in PROMPTS] == together
    monkeypatch.setattr(student_chat, "BATCH_SIZE", 2)
    assert chat.answer(PROMPTS, 12) == together


def test_counts_are_those_of_the_tokenizer(chat):
    for prompt, answer in zip(PROMPTS, chat.answer(PROMPTS, 5), strict=True):
        assert answer.n_prompt_tokens == len(chat.tokenizer(prompt).input_ids)
        assert 1 <= answer.n_completion_tokens <= 5
        assert answer.finish_reason == ("stop" if answer.n_completion_tokens < 5 else answer.finish_reason)


def test_rows_end_at_their_own_time(chat, monkeypatch):
    """Rows that stop early leave the batch; the others go on as if alone."""
    whole = chat.answer(PROMPTS, 12)
    monkeypatch.setattr(chat, "_is_stopped", lambda tokens: len(tokens) >= 2 + sum(tokens[:2]) % 9)
    early = chat.answer(PROMPTS, 12)
    for full, cut in zip(whole, early, strict=True):
        assert full.text.startswith(cut.text)
        assert cut.n_completion_tokens < 12


@pytest.mark.parametrize(
    ("text", "is_stopped", "shown"),
    [
        (" SELECT 1\n", True, "SELECT 1"),
        ("\n", False, ""),
        ("\n\nSELECT 1\n", True, "SELECT 1"),
        ("```sql\n", False, ""),
        ("\n```sql\nSELECT 1\n", True, "SELECT 1"),
        (" SELECT 1", False, "SELECT 1"),
        (" SELECT 1<|end|>", True, "SELECT 1"),
    ],
)
def test_where_an_answer_ends(chat, text, is_stopped, shown):
    tokens = chat.tokenizer(text, add_special_tokens=False).input_ids
    assert chat._is_stopped(tokens) is is_stopped
    assert chat._finish(4, tokens).text == shown


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        StudentChat(tmp_path, 1)
