"""From the recipe's files of samples that people wrote to the real_samples table; fails closed.

Belongs here: what such a sample is, its id, and the refusal of one whose query does not run. Does not belong here: running
queries (verifiers), or how many are mixed in (curate).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from distill_assets.errors import SeedError, name_culprits
from distill_assets.identity import make_id
from distill_assets.seed.corpus import refuse_repeat, take_database
from distill_assets.seed.files import UNTOUCHED, FileRow, find_files, read_rows, refuse_unknown, take_text
from distill_assets.seed.holdout import MAX_QUESTION_CHARS, GoldCheck
from distill_assets.tables import REAL_SAMPLES, build_frame

FIELDS = ("database", "question", "sql", "licence")


def load_real_samples(
    folder: Path, patterns: tuple[str, ...], databases: list[str], licence: str, check_gold: GoldCheck
) -> pl.DataFrame:
    """Read all samples and run their queries.

    Args:
        patterns: files of JSONL, CSV or Parquet with database, question, sql and, where it is another, licence.
        licence: of samples that name none. check_gold: runs items' gold queries and returns what is wrong with them.

    Raises:
        SeedError: a file or row that cannot be read, a sample twice, or a query that does not run; says which.
    """
    seen: dict[str, FileRow] = {}
    samples: list[dict[str, Any]] = []
    lines: list[int] = []
    for file in find_files(folder, patterns):
        for row in read_rows(file):
            sample = read_sample(row, databases, licence)
            refuse_repeat(seen, sample["sample_id"], row)
            samples.append(sample | {"source_file": str(file.relative_to(folder))})
            lines.append(row.line)
    if not samples:
        raise SeedError(f"{', '.join(patterns)}: hold no sample. {UNTOUCHED} Add some, or take mix.real_samples out.")
    shown = [
        f"{samples[problem.row - 1]['source_file']}:{lines[problem.row - 1]}: {problem.problem}"
        for problem in check_gold([{**sample, "gold_sql": sample["sql"]} for sample in samples])
        # Of a whole database: that the instances do not tell queries apart, which matters only where they are to measure.
        if problem.row is not None
    ]
    if shown:
        raise SeedError(f"{len(shown)} problems with real samples: {name_culprits(shown)}. {UNTOUCHED} Fix the queries.")
    return build_frame(REAL_SAMPLES, samples)


def read_sample(row: FileRow, databases: list[str], licence: str) -> dict[str, str]:
    """Return one row as a sample with its id.

    Raises:
        SeedError: an unknown or bad field, by file and line.
    """
    refuse_unknown(row, FIELDS)
    question = take_text(row, "question", MAX_QUESTION_CHARS)
    database = take_database(row, databases)
    sql = take_text(row, "sql", fold=False)  # white space can matter: strings, line comments
    return {
        "sample_id": make_id("real", database, question, sql),
        "database": database,
        "question": question,
        "sql": sql,
        "licence": take_text(row, "licence") if row.values.get("licence") is not None else licence,
    }
