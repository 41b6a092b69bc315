"""Lines of tokens: which rows stand in which line, and how a model reads each as if it stood alone.

Belongs here: packing, collating, and the masks that keep rows of one line apart. Does not belong here: the order of
the lines or the loss (trainer), tokens of a row (format).

A line is one row, or with packing several, one after another. Every token carries the number of its row, so that what
reaches the loss can be counted by row. Rows are packed here and not by TRL's `pack_dataset`, which forgets which row a
token was of, and knows no packing that leaves a curriculum in its order.

Between packed rows nothing is seen: positions start again, from which transformers makes the mask of attention. A short
convolution (LFM2) looks back over a few tokens whatever the mask says, so rows stand that many tokens of padding apart,
which it reads as zeros. Any other model that mixes rows is refused before training.

Source: find_packed_sequence_indices (transformers/masking_utils.py, 5.23); best-fit decreasing as in Ding et al. 2024,
arXiv 2404.10830, section 3.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import Any

from distill_assets.errors import TrainingError
from distill_assets.train.format import IGNORED_LABEL

PADDING_ROW = -1
# Largest difference between a row alone and packed, relative to the largest state. Rounding makes about 1e-6 of it.
MAX_DIFFERENCE_FRAC = 1e-3

Collator = Callable[[list[dict[str, Any]]], dict[str, Any]]


def build_lines(examples: Sequence[dict[str, Any]], packing: bool, max_length: int, gap: int, in_order: bool) -> list[list[int]]:
    """Return the lines, each a list of places in `examples`; without packing one of each."""
    if not packing:
        return [[place] for place in range(len(examples))]
    # A row takes the gap behind it with it; behind the last one there need be none.
    widths = [example["length"] + gap for example in examples]
    return fill_in_turn(widths, max_length + gap) if in_order else pack_best_fit(widths, max_length + gap)


def pack_best_fit(widths: Sequence[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing: widest first, each into the line that it fills most; places in `widths`, none twice."""
    lines: list[list[int]] = []
    spaces: list[int] = []  # what is left in some line, sorted, each value once
    lines_with: dict[int, list[int]] = {}
    for place in sorted(range(len(widths)), key=lambda place: (-widths[place], place)):
        best = bisect_left(spaces, widths[place])
        if best == len(spaces):
            space, line = capacity, len(lines)
            lines.append([])
        else:
            space = spaces[best]
            line = lines_with[space].pop()
            if not lines_with[space]:
                del spaces[best]
        lines[line].append(place)
        left = space - widths[place]
        if not lines_with.setdefault(left, []):
            insort(spaces, left)
        lines_with[left].append(line)
    return lines


def fill_in_turn(widths: Sequence[int], capacity: int) -> list[list[int]]:
    """Fill line after line with what comes next, so that the order stays; more lines than best fit needs."""
    lines: list[list[int]] = []
    left = -1
    for place, width in enumerate(widths):
        if width > left:
            lines.append([])
            left = capacity
        lines[-1].append(place)
        left -= width
    return lines


def count_gap(config: Any) -> int:
    """Tokens of padding that packed rows need between them: what a short convolution of the model looks back over."""
    return config.conv_L_cache - 1 if "conv" in (getattr(config, "layer_types", None) or ()) else 0


def build_collator(examples: Sequence[dict[str, Any]], padding_id: int, gap: int, packing: bool) -> Collator:
    """Make the function that turns lines (`places`) into tensors of shape (lines, tokens), padded on the right.

    They are `input_ids`, `labels` (-100 for what is not predicted), `rows` (-1 for padding) and, when packing,
    `position_ids`, which start again with each row.
    """
    padding = {"input_ids": padding_id, "labels": IGNORED_LABEL, "rows": PADDING_ROW, "position_ids": 0}
    names = [name for name in padding if packing or name != "position_ids"]

    def collate(lines: list[dict[str, Any]]) -> dict[str, Any]:
        import torch

        joined = [_join([examples[place] for place in line["places"]], padding, gap) for line in lines]
        width = max(len(line["rows"]) for line in joined)
        return {
            name: torch.tensor([line[name] + [padding[name]] * (width - len(line[name])) for line in joined], dtype=torch.long)
            for name in names
        }

    return collate


def _join(members: list[dict[str, Any]], padding: dict[str, int], gap: int) -> dict[str, list[int]]:
    line: dict[str, list[int]] = {name: [] for name in padding}
    for member in members:
        for name, values in line.items():
            values += [padding[name]] * (gap if values else 0)
        length = member["length"]
        line["input_ids"] += member["input_ids"]
        # Nothing comes before a row's first token, least of all the end of another row.
        line["labels"] += [IGNORED_LABEL, *member["labels"][1:]]
        line["rows"] += [member["row"]] * length
        line["position_ids"] += range(length)
    return line


def read_states(model: Any, batch: dict[str, Any]) -> Any:
    """Run the model without its head over a batch; return the last hidden states (lines, tokens, width).

    Rows are padded on the right and attention is causal, so that a line of one row needs no mask: what follows a row
    cannot change it.
    """
    placing: dict[str, Any] = {}
    if "position_ids" in batch:
        placing["position_ids"] = batch["position_ids"]
        if count_gap(model.config):
            placing["attention_mask"] = _mask_each_kind(model, batch)
    return model.base_model(input_ids=batch["input_ids"], use_cache=False, **placing).last_hidden_state


def _mask_each_kind(model: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """Masks by kind of layer: attention stays within a row, a convolution reads zeros where there is none."""
    import torch
    from transformers.masking_utils import create_causal_mask

    shape_only = torch.empty((*batch["input_ids"].shape, 0), dtype=model.dtype, device=batch["input_ids"].device)
    attention = create_causal_mask(
        config=model.config,
        inputs_embeds=shape_only,
        attention_mask=None,
        past_key_values=None,
        position_ids=batch["position_ids"],
    )
    return {"full_attention": attention, "conv": batch["rows"] != PADDING_ROW}


def check_borders(model: Any, collate: Collator, lines: Sequence[Sequence[int]]) -> None:
    """Compare two rows in one line with each alone, and refuse a model that does not keep them apart.

    Raises:
        TrainingError: a row's states depend on the row before it.
    """
    import torch

    pair = next((line[:2] for line in lines if len(line) > 1), None)
    if pair is None:
        return
    was_training = model.training
    model.eval()
    with torch.no_grad():
        together, alone = (_read_rows(model, collate, batch) for batch in ([pair], [[place] for place in pair]))
    model.train(was_training)
    difference = float((together - alone).abs().max() / alone.abs().max())
    if not difference <= MAX_DIFFERENCE_FRAC:
        raise TrainingError(
            f"packing: in {type(model).__name__} a row changes the row after it (states differ by {difference:.2g} of the largest, "
            f"rounding makes less than {MAX_DIFFERENCE_FRAC}). Nothing was trained. "
            "Set student.train.packing: false in recipe.yaml, or take another base model."
        )


def _read_rows(model: Any, collate: Collator, lines: Sequence[Sequence[int]]) -> Any:
    batch = {name: tensor.to(model.device) for name, tensor in collate([{"places": line} for line in lines]).items()}
    return read_states(model, batch)[batch["rows"] != PADDING_ROW].float()
