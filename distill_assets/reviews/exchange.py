"""Labels to and from a file: an export to keep or to hand on, and labels made elsewhere.

Belongs here: JSONL out and in, each row checked, mistakes named by file and line. Does not belong here: where the
labels are kept (labels).

A file is taken as a whole or not at all. A row needs `sample_id` and `label`; the rest is filled in: by what is known
of the sample, and as chosen by a person, since nothing says that it was drawn. A row of our own export is taken as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pydantic

from distill_assets.errors import ReviewError
from distill_assets.reviews.labels import Label, describe_mistakes, parse_line

MAX_LINE_BYTES = 64 << 10
SHOWN_MISTAKES = 5


class Imported(NamedTuple):
    """What a file amounts to: labels to add, and how many it has that are in the journal, or older than one there."""

    new: tuple[Label, ...]
    n_known: int
    n_older: int


def export_labels(labels: Sequence[Label]) -> str:
    """All labels as JSONL in the order in which they were given, earlier ones of the same person too."""
    return "".join(json.dumps({**label.model_dump(), "label_id": label.label_id}, ensure_ascii=False) + "\n" for label in labels)


def read_import(file: Path, known: Mapping[str, Mapping[str, str]], defaults: Mapping[str, str]) -> list[Label]:
    """Read and check a file of labels.

    Args:
        known: sample_id -> its seen_status and text_id. defaults: reviewer and labelled_at of rows without.

    Raises:
        ReviewError: it cannot be read, or a row is no label; names the first five by file and line. Nothing is taken.
    """
    labels, mistakes = [], []
    for number, line in _read_lines(file):
        try:
            labels.append(_read_row(line, known, defaults))
        except pydantic.ValidationError as error:
            mistakes.append(f"{file}:{number}: {describe_mistakes(error)}")
        except (ValueError, RecursionError) as error:
            mistakes.append(f"{file}:{number}: {error}")
    if mistakes:
        more = len(mistakes) - SHOWN_MISTAKES
        tail = [f"and {more} more"] if more > 0 else []
        raise ReviewError("\n".join([*mistakes[:SHOWN_MISTAKES], *tail, "No label was taken. Mend the file and import it again."]))
    if not labels:
        raise ReviewError(f"{file} holds no label. Nothing was changed. Each line is {{'sample_id': ..., 'label': ...}}.")
    return labels


def _read_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if len(line) > MAX_LINE_BYTES:
                    raise ReviewError(f"{file}:{number}: longer than a label can be ({MAX_LINE_BYTES} bytes). No label was taken.")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ReviewError(f"{file} cannot be read: {error.strerror or error}. No label was taken. Name a JSONL file.") from error


def _read_row(line: bytes, known: Mapping[str, Mapping[str, str]], defaults: Mapping[str, str]) -> Label:
    try:
        values: Any = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON in UTF-8: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"a row is a JSON object, not {type(values).__name__}")
    if "label_id" in values:
        return parse_line(line)
    sample_id = values.get("sample_id")
    if not isinstance(sample_id, str) or sample_id not in known:
        raise ValueError(f"no judged sample has sample_id {str(sample_id)[:40]!r}; give the whole id")
    return Label.model_validate({"drawn": "chosen", **defaults, **known[sample_id], **values})


def pick_new(labels: Sequence[Label], journal: Sequence[Label]) -> Imported:
    """Which of the read labels to add: none that is there, and none older than its person's label on its sample."""
    there = {label.label_id for label in journal}
    newest = {(label.sample_id, label.reviewer): label.labelled_at for label in journal}
    new: list[Label] = []
    n_known = n_older = 0
    for label in sorted(labels, key=lambda one: one.labelled_at):
        if label.label_id in there:
            n_known += 1
        elif label.labelled_at < newest.get((label.sample_id, label.reviewer), ""):
            n_older += 1
        else:
            there.add(label.label_id)
            new.append(label)
    return Imported(tuple(new), n_known, n_older)
