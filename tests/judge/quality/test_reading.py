"""What a model reads of a text, held against the model's own full forward pass."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from distill_assets.errors import TrainingError
from distill_assets.judge.quality.reading import cut_batches, embed_texts, load_reader, read_texts

TEXTS = [
    {"text_key": f"k{number}", "instruction": f"how many orders in {2000 + number}", "answer": "SELECT COUNT(*)\n" + "x, " * number}
    for number in range(9)
]


@pytest.fixture(scope="module")
def reader():
    return load_reader(Path("nowhere"), "tiny", seed=3)


def read(reader, texts, max_tokens: int = 200) -> list[dict]:
    return read_texts(reader, texts, max_tokens, lambda done, total: None)


def find_loss(reader, head: str, tail: str) -> float:
    """The answer's mean loss by the model's own arithmetic, one text at a time."""
    import torch

    ids = [reader.tokenizer.eos_token_id, *reader.tokenizer(head + tail).input_ids]
    n_tail = len(reader.tokenizer(tail).input_ids)
    labels = torch.tensor([[-100] * (len(ids) - n_tail) + ids[len(ids) - n_tail :]])
    with torch.inference_mode():
        return float(reader.model(input_ids=torch.tensor([ids]), labels=labels).loss)


def test_losses_are_those_of_the_whole_model_whatever_the_batch(reader) -> None:
    for text, row in zip(TEXTS, read(reader, TEXTS), strict=True):
        assert row["text_key"] == text["text_key"]
        assert row["loss_given"] == pytest.approx(find_loss(reader, text["instruction"] + "\n", text["answer"]), abs=1e-3)
        assert row["loss_alone"] == pytest.approx(find_loss(reader, "", text["answer"]), abs=1e-3)


def test_the_neighbours_of_a_text_do_not_show(reader) -> None:
    together = read(reader, TEXTS)
    alone = [row for text in TEXTS for row in read(reader, [text])]
    for row, other in zip(together, alone, strict=True):
        assert row["loss_given"] == pytest.approx(other["loss_given"], abs=2e-4)
        assert row["embedding"] == pytest.approx(other["embedding"], abs=2e-3)
    assert read(reader, TEXTS[::-1])[::-1] == together


def test_a_text_that_is_too_long_has_a_vector_and_no_loss(reader) -> None:
    short, long = read(reader, [TEXTS[0], TEXTS[8]], max_tokens=42)
    assert short["loss_given"] is not None and len(short["embedding"]) == len(long["embedding"])
    assert long["loss_given"] is None


def test_an_empty_answer_has_no_loss(reader) -> None:
    [row] = read(reader, [{"text_key": "k", "instruction": "why", "answer": ""}])
    assert row["loss_given"] is None and row["loss_alone"] is None
    assert all(math.isfinite(value) for value in row["embedding"])


def test_an_encoder_gives_vectors(tmp_path: Path, reader) -> None:
    save_encoder(tmp_path, reader.tokenizer)
    encoder = load_reader(tmp_path, "encoder", 1, is_causal=False)
    vectors = embed_texts(encoder, ["one", "another one", "one"], 32)
    assert [len(vector) for vector in vectors] == [16, 16, 16]
    assert vectors[0] == pytest.approx(vectors[2], abs=2e-3) and vectors[0] != vectors[1]


def save_encoder(folder: Path, tokenizer) -> None:
    """A sentence encoder's shape, untrained: what MiniLM is, smaller."""
    from transformers import BertConfig, BertModel

    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_a_folder_without_a_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No sample was read"):
        load_reader(tmp_path, "empty", 1)


def test_batches_hold_every_text_once_and_not_too_many_tokens() -> None:
    lengths = [5, 3000, 700, 700, 700, 1, 1] + [10] * 300
    batches = list(cut_batches(lengths))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= 2048 for batch in batches)
