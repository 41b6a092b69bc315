"""A local model reads samples: a vector for each, and how much the question helps to expect the answer.

Belongs here: tokens, forward passes, the figures of each text. Does not belong here: which texts are read (measure),
what is learnt from the vectors (filter), or the process around it (child).

A text is read twice: question and answer together, which gives the vector (the mean of the last hidden states)
and the answer's loss given the question; and the answer alone. The answer's tokens are the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.errors import TrainingError

BATCH_TOKENS = 2048
HEAD_ROWS = 512
# So that the order in which texts are batched, which moves the last bits, does not show in a table.
VECTOR_DIGITS = 3
LOSS_DIGITS = 4


class Reader(NamedTuple):
    """A loaded model with its tokenizer and device; `is_causal` says that it can expect the next token."""

    model: Any
    tokenizer: Any
    device: str
    is_causal: bool


class Encoded(NamedTuple):
    """One text in tokens: `ids` begin with a start token, the answer with `start`; `is_cut` when it was too long."""

    ids: list[int]
    start: int
    is_cut: bool


def load_reader(path: Path, name: str, seed: int, *, is_causal: bool = True) -> Reader:
    """Load a model folder; `tiny` is made anew, untrained, over single bytes.

    Raises:
        TrainingError: transformers cannot load it.
    """
    import torch
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    from distill_assets.clients.base_model import TINY_NAME, build_tiny_model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if name == TINY_NAME:
        tokenizer = build_byte_tokenizer()
        return Reader(build_tiny_model(tokenizer, seed).to(device).eval(), tokenizer, device, True)
    loader = AutoModelForCausalLM if is_causal else AutoModel
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = loader.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa")
    except (OSError, ValueError) as error:
        raise TrainingError(f"model {name} at {path} cannot be loaded: {error}. No sample was read. Check the folder.") from error
    return Reader(model.to(device).eval(), tokenizer, device, is_causal)


def build_byte_tokenizer() -> Any:
    """A tokenizer whose tokens are bytes: nothing is learnt, so no text changes another one's tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")


def read_texts(
    reader: Reader, texts: Sequence[Mapping[str, str]], max_tokens: int, say: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """Return for each text of text_key, instruction, answer: its vector and the answer's mean losses.

    Args:
        max_tokens: a longer text is cut for its vector, and its losses are None.

    Returns:
        Rows of text_key, embedding (floats), loss_given and loss_alone (nats a token; None where unknown).
    """
    whole = _encode(reader, [text["instruction"] for text in texts], [text["answer"] for text in texts], max_tokens)
    alone = _encode(reader, ["" for _ in texts], [text["answer"] for text in texts], max_tokens)
    vectors: dict[int, list[float]] = {}
    given: dict[int, float | None] = {}
    expected: dict[int, float | None] = {}
    for batch in cut_batches([len(text.ids) for text in whole]):
        for place, vector, loss in _read_batch(reader, batch, whole):
            vectors[place], given[place] = vector, loss
        expected |= {place: loss for place, _, loss in _read_batch(reader, batch, alone)}
        say(len(vectors), len(texts))
    return [
        {"text_key": text["text_key"], "embedding": vectors[place], "loss_given": given[place], "loss_alone": expected[place]}
        for place, text in enumerate(texts)
    ]


def embed_texts(reader: Reader, texts: Sequence[str], max_tokens: int) -> list[list[float]]:
    """Return the mean of the last hidden states of each text, special tokens included, as sentence encoders want it."""
    encoded = reader.tokenizer(list(texts), truncation=True, max_length=max_tokens).input_ids
    whole = [Encoded(ids, 0, False) for ids in encoded]
    vectors: dict[int, list[float]] = {}
    for batch in cut_batches([len(ids) for ids in encoded]):
        hidden, mask = _forward(reader, [whole[place].ids for place in batch])
        vectors |= zip(batch, _mean(hidden, mask), strict=True)
    return [vectors[place] for place in range(len(texts))]


def cut_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts of like length, at most BATCH_TOKENS with the padding, longest first."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _encode(reader: Reader, instructions: Sequence[str], answers: Sequence[str], max_tokens: int) -> list[Encoded]:
    tokenizer = reader.tokenizer
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    heads = tokenizer([f"{text}\n" if text else "" for text in instructions], add_special_tokens=False).input_ids
    tails = tokenizer(list(answers), add_special_tokens=False).input_ids
    encoded = []
    for head, tail in zip(heads, tails, strict=True):
        ids = [first, *head, *tail]
        encoded.append(Encoded(ids[:max_tokens], 1 + len(head), len(ids) > max_tokens))
    return encoded


def _read_batch(reader: Reader, batch: list[int], texts: list[Encoded]) -> Iterator[tuple[int, list[float], float | None]]:
    hidden, mask = _forward(reader, [texts[place].ids for place in batch])
    mask[:, 0] = 0  # the start token stands for nothing of the text
    losses = _answer_losses(reader, hidden, [texts[place] for place in batch])
    yield from zip(batch, _mean(hidden, mask), losses, strict=True)


def _forward(reader: Reader, rows: list[list[int]]) -> tuple[Any, Any]:
    """Last hidden states (rows, tokens, width), and the mask of what is text."""
    import torch

    width = max(len(row) for row in rows)
    pad = reader.tokenizer.pad_token_id if reader.tokenizer.pad_token_id is not None else reader.tokenizer.eos_token_id
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=reader.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=reader.device)
    body = reader.model.base_model
    with torch.inference_mode():
        return body(input_ids=ids, attention_mask=mask).last_hidden_state, mask


def _mean(hidden: Any, mask: Any) -> list[list[float]]:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    means = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
    return [[round(value, VECTOR_DIGITS) for value in row] for row in means.float().tolist()]


def _answer_losses(reader: Reader, hidden: Any, texts: list[Encoded]) -> list[float | None]:
    """Mean loss of each answer's tokens in nats; None for a cut text, an empty answer, or a model that expects nothing."""
    import torch

    known = [place for place, text in enumerate(texts) if not text.is_cut and len(text.ids) > text.start]
    losses: list[float | None] = [None] * len(texts)
    if not reader.is_causal or not known:
        return losses
    head = reader.model.get_output_embeddings()
    states = torch.cat([hidden[place, texts[place].start - 1 : len(texts[place].ids) - 1] for place in known])
    targets = torch.tensor([token for place in known for token in texts[place].ids[texts[place].start :]], device=reader.device)
    with torch.inference_mode():
        pieces = [
            torch.nn.functional.cross_entropy(head(states[i : i + HEAD_ROWS]).float(), targets[i : i + HEAD_ROWS], reduction="none")
            for i in range(0, len(targets), HEAD_ROWS)
        ]
    sizes = [len(texts[place].ids) - texts[place].start for place in known]
    for place, part in zip(known, torch.cat(pieces).split(sizes), strict=True):
        losses[place] = round(float(part.mean()), LOSS_DIGITS)
    return losses
