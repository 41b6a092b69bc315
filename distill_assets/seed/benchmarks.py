"""From the benchmarks that a recipe names to the benchmark_items table; fails closed.

Belongs here: reading them from a file of the recipe or a data set of the hub, what an item is, its id, the digests. Does not
belong here: finding items in samples (curate).

A benchmark that cannot be read stops the run: samples that could not be held against it must not count as clean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from distill_assets.curation import BenchmarkSpec
from distill_assets.errors import ContaminationError, SeedError, name_culprits
from distill_assets.identity import hash_file, make_id
from distill_assets.seed.files import UNTOUCHED, FileRow, find_files, read_rows
from distill_assets.tables import BENCHMARK_ITEMS, build_frame

CLOSED = "Decontamination does not skip a benchmark."


def load_benchmarks(folder: Path, specs: dict[str, BenchmarkSpec]) -> pl.DataFrame:
    """Read all benchmarks of a recipe.

    Args:
        folder: the recipe's folder, within which files are looked for.
        specs: name to where it comes from and how its columns are called.

    Returns:
        benchmark_items. Questions that are the same but for white space are one item, the first that has them.

    Raises:
        ContaminationError: a benchmark cannot be read, is another than the recipe pins, or holds no item; or an item has no
            question, or choices that are no list.
    """
    rows = [row for name in sorted(specs) for row in load_benchmark(folder, name, specs[name])]
    return build_frame(BENCHMARK_ITEMS, rows)


def load_benchmark(folder: Path, name: str, spec: BenchmarkSpec) -> list[dict[str, object]]:
    """Rows of benchmark_items of one benchmark.

    Raises:
        ContaminationError: as `load_benchmarks` says.
    """
    try:
        rows, digest = read_file(folder, spec) if spec.file is not None else read_hub(spec)
        items = [read_item(row, name, spec) for row in rows]
    except SeedError as error:
        raise ContaminationError(f"benchmark {name}: {error} {CLOSED}") from error
    if not items:
        raise ContaminationError(f"benchmark {name}: {spec.file or spec.hub} holds no item. {UNTOUCHED} {CLOSED}")
    version = spec.version if spec.revision is None else spec.revision
    distinct: dict[object, dict[str, object]] = {}
    for item in items:
        distinct.setdefault(item["item_id"], item | {"version": version, "digest": digest})
    return list(distinct.values())


def read_file(folder: Path, spec: BenchmarkSpec) -> tuple[list[FileRow], str]:
    """Rows of a file of the recipe, and the SHA-256 of its bytes.

    Raises:
        SeedError: it cannot be read, leads out of the folder, or its bytes are not those that the recipe pins.
    """
    files = find_files(folder, (str(spec.file),))
    if len(files) > 1:
        raise SeedError(f"{spec.file!r} matches {name_culprits([file.name for file in files])}: write one file. {UNTOUCHED}")
    digest = hash_file(files[0])
    if spec.sha256 is not None and digest != spec.sha256:
        raise SeedError(
            f"{files[0]}: its SHA-256 is {digest}, not {spec.sha256} as the recipe pins. {UNTOUCHED} Fetch that version."
        )
    return list(read_rows(files[0])), digest


def read_hub(spec: BenchmarkSpec) -> tuple[list[FileRow], str]:
    """Rows of a data set of the hub at its revision, and the SHA-256 of their content.

    Raises:
        SeedError: the hub or the data set cannot be reached, or the content is not what the recipe pins.
    """
    import datasets

    try:
        found = datasets.load_dataset(str(spec.hub), spec.subset, split=spec.split, revision=spec.revision)
    except Exception as error:
        raise SeedError(
            f"data set {spec.hub} at {spec.revision} cannot be read: {_first_line(error)}. {UNTOUCHED} "
            "Connect to the hub, or put the items into a file of the recipe and name it with file:."
        ) from error
    frame = found.to_polars()
    rows = [FileRow(str(spec.hub), number, values) for number, values in enumerate(frame.iter_rows(named=True), start=1)]
    digest = hash_values(row.values for row in rows)
    if spec.sha256 is not None and digest != spec.sha256:
        raise SeedError(
            f"data set {spec.hub}: the SHA-256 of its rows is {digest}, not {spec.sha256} as the recipe pins. {UNTOUCHED}"
        )
    return rows, digest


def hash_values(rows: Iterable[dict[str, object]]) -> str:
    """SHA-256 over the rows as JSON, in order; what JSON does not know counts as its text."""
    import hashlib

    whole = hashlib.sha256()
    for row in rows:
        whole.update(json.dumps(row, sort_keys=True, ensure_ascii=False, default=str).encode("utf-8", errors="surrogatepass"))
        whole.update(b"\n")
    return whole.hexdigest()


def read_item(row: FileRow, name: str, spec: BenchmarkSpec) -> dict[str, object]:
    """One row as an item.

    Raises:
        SeedError: no question, no such column, or choices that are no list of texts, by file and line.
    """
    missing = [column for column in (spec.question, spec.answer, spec.choices) if column is not None and column not in row.values]
    if missing:
        known = ", ".join(map(str, row.values))
        raise SeedError(f"{row.file}:{row.line}: no field {missing[0]!r}; there are {known}. {UNTOUCHED} Name it in the recipe.")
    question = row.values[spec.question]
    if not isinstance(question, str) or not question.strip():
        shown = "nothing" if question is None else repr(question)[:60]
        raise SeedError(f"{row.file}:{row.line}: field {spec.question!r} must be a non-empty text, got {shown}. {UNTOUCHED}")
    choices = _read_choices(row, spec)
    return {
        "benchmark": name,
        "item_id": make_id(name, " ".join(question.split())),
        "question": question.strip(),  # line breaks stay: code is asked about too
        "answer": _read_answer(row, spec, choices),
        "choices": None if choices is None else json.dumps(choices, ensure_ascii=False),
    }


def _read_choices(row: FileRow, spec: BenchmarkSpec) -> list[str] | None:
    value = None if spec.choices is None else row.values[spec.choices]
    if isinstance(value, str):  # in a CSV file a list can only be written as JSON
        try:
            value = json.loads(value)
        except ValueError as error:
            raise SeedError(f"{row.file}:{row.line}: field {spec.choices!r} is no JSON list: {value!r:.60}. {UNTOUCHED}") from error
    if value is None:
        return None
    if isinstance(value, dict) and isinstance(value.get("text"), list):  # as ARC writes them: label and text
        value = value["text"]
    if not isinstance(value, list) or not all(isinstance(choice, str) for choice in value):
        raise SeedError(f"{row.file}:{row.line}: field {spec.choices!r} must be a list of texts, got {value!r:.60}. {UNTOUCHED}")
    return value


def _read_answer(row: FileRow, spec: BenchmarkSpec, choices: list[str] | None) -> str | None:
    """The answer as text; a number among choices stands for the choice, as MMLU writes it."""
    value = None if spec.answer is None else row.values[spec.answer]
    if isinstance(value, int) and not isinstance(value, bool) and choices is not None and 0 <= value < len(choices):
        return choices[value]
    return None if value is None or value == "" else str(value)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no message'}"
