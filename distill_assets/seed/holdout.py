"""From the holdout file to the holdout table; fails closed.

Belongs here: what a holdout item means, its id, and the refusal of an item that cannot be protected
or scored. Does not belong here: running queries (verifiers) or decontamination (curate).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from distill_assets.errors import ContaminationError, SeedError, name_culprits
from distill_assets.identity import make_id
from distill_assets.seed.corpus import refuse_repeat, take_database
from distill_assets.seed.files import FileRow, read_rows, refuse_unknown, take_text
from distill_assets.tables import HOLDOUT, build_frame
from distill_assets.verifiers.sql.check_items import GoldProblem

FIELDS = ("database", "question", "gold_sql")
MAX_QUESTION_CHARS = 2_000
GoldCheck = Callable[[list[dict[str, str]]], Sequence[GoldProblem]]


def load_holdout(file: Path, databases: list[str], check_gold: GoldCheck, n_instances: int) -> pl.DataFrame:
    """Read the holdout file and check each gold query by running it.

    Args:
        file: JSONL, CSV or Parquet with database, question, gold_sql.
        check_gold: runs the items' gold queries and returns what is wrong with them.
        n_instances: database instances that `check_gold` ran each query on.

    Raises:
        ContaminationError: an item without a question, a file without an item, or a gold query that
            does not run: decontamination and evaluation skip no row.
    """
    seen: dict[str, FileRow] = {}
    items: list[dict[str, str]] = []
    places: list[FileRow] = []
    try:
        for row in read_rows(file):
            item = read_item(row, databases)
            refuse_repeat(seen, item["item_id"], row)
            items.append(item)
            places.append(row)
    except SeedError as error:
        raise ContaminationError(f"holdout: {error} Decontamination does not skip rows.") from error
    if not items:
        raise ContaminationError(f"{file}: holds no item, so nothing can be protected or measured. Add real questions.")
    if problems := check_gold(items):
        shown = [_show_problem(problem, places) for problem in problems]
        raise ContaminationError(
            f"{file}: {len(problems)} problems with gold queries: {name_culprits(shown)}. Nothing was generated. Fix the queries."
        )
    return build_frame(HOLDOUT, [item | {"gold_checked": n_instances} for item in items])


def read_item(row: FileRow, databases: list[str]) -> dict[str, str]:
    """Return one row as a holdout item with its id.

    Raises:
        SeedError: an unknown or bad field, by file and line.
    """
    refuse_unknown(row, FIELDS)
    question = take_text(row, "question", MAX_QUESTION_CHARS)
    database = take_database(row, databases)
    item_id = make_id("holdout", database, question)
    return {
        "item_id": item_id,
        "database": database,
        "question": question,
        "gold_sql": take_text(row, "gold_sql", fold=False),  # white space can matter: strings, line comments
    }


def _show_problem(problem: GoldProblem, places: list[FileRow]) -> str:
    where = problem.database if problem.row is None else f"line {places[problem.row - 1].line}"
    return f"{where}: {problem.problem}"
