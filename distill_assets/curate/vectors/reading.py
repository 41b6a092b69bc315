"""A local model turns texts into vectors of whole numbers.

Belongs here: tokens, windows, forward passes of fixed shapes, rounding. Does not belong here: which texts are read (store), the
process around it (child), or what vectors are compared for (neighbours).

A text is read in windows of at most `max_tokens`, each half of the one before, so that a question stands whole in one of them.
A window's vector is the mean of the last hidden states. It is stored as whole numbers from -127 to 127, so that the cosine of
two stored vectors is an exact figure, whatever the order of sums (neighbours).

Forward passes have a few fixed shapes: texts of like length, padded to one width and to one number of rows. Then a text's
vector does not depend on what is read beside it; a test holds the bits to that, and to the number of threads. Another
processor, device or version of torch may round otherwise in the last bits of a float, which moves a stored number by 1 now and
then (measured, AVX-512 beside AVX2: in 1 of 100 vectors, and no cosine by more than 0.0003). So vectors are kept, not remade.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.errors import BaseModelError

# Tokens in one forward pass. More is slower on a processor, where the states no longer fit its cache (measured: 70 texts of
# 56 tokens a CPU second at 1,024, 55 at 4,096), and faster on a GPU.
BATCH_TOKENS = {"cpu": 1_024, "cuda": 65_536}
LARGEST = 127
# Two vectors of at most this length have an inner product below 2^24, so a sum in float32 is exact in any order.
LONGEST = 4_095.0


class Encoder(NamedTuple):
    """A loaded encoder with its tokenizer and device."""

    model: Any
    tokenizer: Any
    device: str


class Window(NamedTuple):
    """A part of a text: which text and which of its windows, its tokens with the special ones, and where it stands in the text."""

    text_ix: int
    window_ix: int
    ids: list[int]
    start_chars: int
    end_chars: int


def load_encoder(path: Path, name: str, max_tokens: int) -> Encoder:
    """Load a model folder.

    Raises:
        BaseModelError: transformers cannot load it, or it reads fewer tokens than asked for.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModel.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa")
    except (OSError, ValueError) as error:
        raise BaseModelError(f"model {name} at {path} cannot be loaded: {error}. No text was read. Check the folder.") from error
    most = getattr(model.config, "max_position_embeddings", max_tokens)
    if max_tokens > most:
        raise BaseModelError(
            f"model {name} reads at most {most} tokens, and embedding.max_tokens is {max_tokens}. No text was read. Lower it."
        )
    return Encoder(model.to(device).eval(), tokenizer, device)


def cut_windows(encoder: Encoder, texts: Sequence[str], max_tokens: int) -> list[Window]:
    """All windows of all texts, in order; every text has at least one."""
    if not texts:
        return []
    tokens = encoder.tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    first, last = _find_marks(encoder.tokenizer)
    room = max_tokens - len(first) - len(last)
    windows = []
    for text_ix, (ids, places) in enumerate(zip(tokens.input_ids, tokens.offset_mapping, strict=True)):
        for window_ix, start in enumerate(list_starts(len(ids), room)):
            part = slice(start, start + room)
            ends = (places[part][0][0], places[part][-1][1]) if ids else (0, 0)
            windows.append(Window(text_ix, window_ix, [*first, *ids[part], *last], *ends))
    return windows


def list_starts(n_tokens: int, room: int) -> list[int]:
    """Where windows of `room` tokens begin, so that each run of half a window stands whole in one, and the last ends the text."""
    if n_tokens <= room:
        return [0]
    stride = max(1, room // 2)
    return [*range(0, n_tokens - room, stride), n_tokens - room]


def _find_marks(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that the model expects before and after a text."""
    inside = tokenizer("a", add_special_tokens=False).input_ids
    whole = tokenizer("a").input_ids
    place = next(i for i in range(len(whole)) if whole[i : i + len(inside)] == inside)
    return whole[:place], whole[place + len(inside) :]


def embed_windows(encoder: Encoder, windows: Sequence[Window], max_tokens: int) -> Any:
    """Return the windows' vectors of whole numbers: int8, (windows, width of the model)."""
    import numpy as np

    vectors = np.zeros((len(windows), encoder.model.config.hidden_size), np.int8)
    n_tokens = BATCH_TOKENS[encoder.device]
    for width, batch in cut_batches([len(window.ids) for window in windows], max_tokens, n_tokens):
        means = _read_batch(encoder, [windows[place].ids for place in batch], width, max(1, n_tokens // width))
        vectors[batch] = round_vectors(means[: len(batch)])
    return vectors


def cut_batches(lengths: Sequence[int], max_tokens: int, batch_tokens: int) -> Iterator[tuple[int, list[int]]]:
    """The padded width and the places of each batch: places of one width, as many as fit `batch_tokens`."""
    by_width: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        by_width.setdefault(find_width(length, max_tokens), []).append(place)
    for width, places in sorted(by_width.items()):
        n_rows = max(1, batch_tokens // width)
        yield from ((width, places[start : start + n_rows]) for start in range(0, len(places), n_rows))


def find_width(n_tokens: int, max_tokens: int) -> int:
    """The width that `n_tokens` are padded to: the next multiple of an eighth of the power of two above, at least of 8."""
    n_tokens = max(1, n_tokens)
    step = max(8, 1 << max(0, (n_tokens - 1).bit_length() - 3))
    return max(n_tokens, min(-(-n_tokens // step) * step, max_tokens))


def _read_batch(encoder: Encoder, rows: Sequence[Sequence[int]], width: int, n_rows: int) -> Any:
    """Mean of the last hidden states of each row, in a pass of exactly `n_rows` rows of `width` tokens."""
    import numpy as np
    import torch

    ids, mask = np.zeros((n_rows, width), np.int64), np.zeros((n_rows, width), np.int64)
    mask[:, 0] = 1  # a row without any token would have no mean
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    with torch.inference_mode():
        on_device = torch.from_numpy(mask).to(encoder.device)
        hidden = encoder.model(input_ids=torch.from_numpy(ids).to(encoder.device), attention_mask=on_device).last_hidden_state
        weights = on_device.unsqueeze(-1).to(hidden.dtype)
        return ((hidden * weights).sum(1) / weights.sum(1)).float().cpu().numpy()


def round_vectors(vectors: Any) -> Any:
    """Stretch each vector until its largest number is 127 (and its length at most 4,095), and round: int8.

    A cosine does not depend on length, so each vector may use all of int8.
    """
    import numpy as np

    exact = np.asarray(vectors, np.float64)
    largest = np.maximum(np.abs(exact).max(axis=1, keepdims=True), 1e-30)
    length = np.maximum(np.sqrt((exact**2).sum(axis=1, keepdims=True)), 1e-30)
    return np.rint(exact * np.minimum(LARGEST / largest, (LONGEST - 32) / length)).astype(np.int8)
