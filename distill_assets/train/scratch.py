"""The `tiny` student: a model from nothing, with a tokenizer learnt from the training rows.

Belongs here: its tokenizer. Its architecture is clients.base_model's, because the untrained model is
also the base that evaluation compares with. It exists so that the whole graph runs in a test in
seconds; it learns the form of an answer, not the task.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

VOCABULARY_SIZE = 768
END_TOKEN = "<|end|>"


def train_tokenizer(texts: Iterable[str]) -> Any:
    """Learn a byte-level BPE in which a word has the same tokens wherever it stands.

    White space, digits and punctuation stand alone, so that a value has the same tokens in the question
    and between a query's quotes: copying needs no translation.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\s|\d|[^\s\w]|_|[^\W\d_]+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_TOKEN, pad_token=END_TOKEN)
