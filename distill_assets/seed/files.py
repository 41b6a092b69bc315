"""Reading rows out of the files that a person edits: JSONL, CSV, Parquet, text and markdown.

Belongs here: bytes to plain dicts, each with its file and line, and errors that name both. Does not
belong here: what a row means (corpus, holdout).

Input files are untrusted: sizes are bounded before a parser sees them, links are refused, and
nothing is skipped; a row that cannot be read stops the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from distill_assets.errors import SeedError

MAX_FILE_BYTES = 256 << 20
MAX_LINE_CHARS = 1 << 20
TEXT_SUFFIXES = (".txt", ".md")
KINDS = (".jsonl", ".csv", ".parquet", *TEXT_SUFFIXES)
UNTOUCHED = "Nothing was generated; the last good tables stay."


class FileRow(NamedTuple):
    """One row of an input file, with where it stands."""

    file: str
    line: int
    values: dict[str, object]


def find_files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Return the files under `folder` that match `patterns`, sorted.

    Raises:
        SeedError: a pattern matches nothing, leads out of the folder, or matches a link or an unknown kind.
    """
    found: set[Path] = set()
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise SeedError(f"pattern {pattern!r} leads out of the recipe folder {folder}. {UNTOUCHED}")
        matches = [file for file in folder.glob(pattern) if not file.name.startswith(".") and not file.is_dir()]
        if not matches:
            raise SeedError(f"{folder}: no file matches {pattern!r}. {UNTOUCHED} Add one, or fix the path in recipe.yaml.")
        found.update(matches)
    return sorted(check_file(_refuse_linked_folder(folder, file)) for file in found)


def _refuse_linked_folder(folder: Path, file: Path) -> Path:
    for parent in file.parents:
        if parent == folder:
            break
        if parent.is_symlink():
            raise SeedError(f"{parent}: is a link, and links are not followed. {UNTOUCHED} Put the folder itself there.")
    return file


def check_file(file: Path) -> Path:
    """Refuse a file that is a link, too large or of an unknown kind; return it otherwise."""
    if file.is_symlink():
        raise SeedError(f"{file}: is a link, and links are not followed. {UNTOUCHED} Put the file itself there.")
    if file.suffix not in KINDS:
        raise SeedError(f"{file}: kind {file.suffix!r} is not one of {', '.join(KINDS)}. {UNTOUCHED}")
    try:
        size = file.stat().st_size
    except OSError as error:
        raise SeedError(f"{file}: cannot be read ({error.strerror}). {UNTOUCHED}") from error
    if size > MAX_FILE_BYTES:
        raise SeedError(f"{file}: {size:,} bytes is over the limit of {MAX_FILE_BYTES:,}. {UNTOUCHED} Split the file.")
    return file


def read_rows(file: Path) -> Iterator[FileRow]:
    """Yield the rows of `file` in order.

    Raises:
        SeedError: naming file and line of the first row that cannot be read.
    """
    check_file(file)
    if file.suffix == ".jsonl":
        yield from _read_jsonl(file)
    elif file.suffix in TEXT_SUFFIXES:
        yield from _read_text(file)
    else:
        yield from _read_frame(file)


def _read_lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="\n") as handle:
            number = 0
            while line := handle.readline(MAX_LINE_CHARS + 1):
                number += 1
                if len(line) > MAX_LINE_CHARS:
                    raise SeedError(
                        f"{file}:{number}: the line is longer than {MAX_LINE_CHARS:,} characters. {UNTOUCHED} "
                        "One row a line; split long texts."
                    )
                yield number, line
    except UnicodeDecodeError as error:
        raise SeedError(f"{file}: not UTF-8 near byte {error.start} ({error.reason}). {UNTOUCHED} Save it as UTF-8.") from error
    except OSError as error:
        raise SeedError(f"{file}: cannot be read ({error.strerror}). {UNTOUCHED}") from error


def _read_jsonl(file: Path) -> Iterator[FileRow]:
    for number, line in _read_lines(file):
        if not line.strip():
            continue
        try:
            values = json.loads(line, object_pairs_hook=_refuse_repeated_fields)
        except (ValueError, RecursionError) as error:
            raise SeedError(f"{file}:{number}: not JSON: {error} in {line.strip()[:60]!r}. {UNTOUCHED} Fix the line.") from error
        if not isinstance(values, dict):
            raise SeedError(f"{file}:{number}: expected an object, got {type(values).__name__}. {UNTOUCHED}")
        yield FileRow(file.name, number, values)


def _refuse_repeated_fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(name for name in names if names.count(name) > 1)!r} twice")
    return values


def _read_text(file: Path) -> Iterator[FileRow]:
    """One row a paragraph: blank lines part them."""
    paragraph: list[str] = []
    first = 1
    for number, line in [*_read_lines(file), (0, "\n")]:
        if line.strip():
            first = first if paragraph else number
            paragraph.append(line.strip())
        elif paragraph:
            yield FileRow(file.name, first, {"text": " ".join(paragraph)})
            paragraph = []


def _read_frame(file: Path) -> Iterator[FileRow]:
    import polars as pl

    if file.suffix == ".csv":
        for _ in _read_lines(file):  # bounds the lines and checks UTF-8 before the parser runs
            pass
    try:
        frame = pl.read_csv(file, infer_schema=False) if file.suffix == ".csv" else pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise SeedError(f"{file}: cannot be read as {file.suffix[1:]}: {error}. {UNTOUCHED}") from error
    for number, values in enumerate(frame.iter_rows(named=True), start=1):
        yield FileRow(file.name, number, values)


def take_text(row: FileRow, name: str, max_chars: int = MAX_LINE_CHARS, fold: bool = True) -> str:
    """Return field `name` as non-empty text; `fold` turns each stretch of white space into one space.

    Raises:
        SeedError: the field is missing, not text, empty or too long.
    """
    value = row.values.get(name)
    if not isinstance(value, str) or not value.strip():
        shown = "nothing" if value is None else repr(value)[:60]
        raise SeedError(f"{row.file}:{row.line}: field '{name}' must be a non-empty text, got {shown}. {UNTOUCHED}")
    if len(value) > max_chars:
        raise SeedError(f"{row.file}:{row.line}: field '{name}' has {len(value):,} characters, over {max_chars:,}. {UNTOUCHED}")
    return " ".join(value.split()) if fold else value.strip()


def refuse_unknown(row: FileRow, known: tuple[str, ...]) -> None:
    """Refuse a row with a field that nobody reads: most often a typing mistake.

    Raises:
        SeedError: naming the field.
    """
    unknown = sorted(set(row.values) - set(known))
    if unknown:
        raise SeedError(f"{row.file}:{row.line}: unknown field '{unknown[0]}'; known are {', '.join(known)}. {UNTOUCHED}")
