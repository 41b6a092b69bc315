"""Texts out of a workspace: snapshots, journal, caches, labels, reports, Dagster's own history.

Belongs here: where texts lie and how they leave each place, and the search for what is left. Does not belong here: which rows (planning).

Nothing that the graph uses now is touched: tables in use hold none of the texts by then. What cannot be removed (weights, a person's own
files) is named and not hidden. Dagster keeps previews of rows in its events, so runs that materialized the recipe's tables before go from
its history; the ledger has them still.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import orjson
import polars as pl

from distill_assets.clients.forgetting import forget_replies
from distill_assets.clients.segments import Line
from distill_assets.commands.lineage.after import Leaving
from distill_assets.commands.lineage.recorded import Recorded
from distill_assets.config import dagster_home
from distill_assets.curate.vectors.store import name_texts
from distill_assets.judge.quality.measure import list_texts
from distill_assets.reviews.labels import forget_labels
from distill_assets.storage import Workspace, hold_lock, replace_atomically
from distill_assets.tables import TABLES

# A text that is shorter says nothing that could be told from others.
MIN_CHARS = 12
# Previews and logs cut texts; so many characters are looked for.
SOUGHT_CHARS = 48
ROW_IDS = ("seed_id", "generation_id", "sample_id", "item_id", "duplicate_of")
TEXT_COLUMNS = ("question", "trace", "completion", "endpoint_trace")


class Texts(NamedTuple):
    """What must go: ids of rows, of requests, keys of caches, and the texts themselves."""

    row_ids: frozenset[str]
    request_ids: frozenset[str]
    text_ids: frozenset[str]
    text_keys: frozenset[str]
    texts: tuple[str, ...]


class Scrubbed(NamedTuple):
    """What was removed, and where a text was still found, in words."""

    n_files: int
    n_replies: int
    n_runs: int
    still_here: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """As JSON."""
        return {**self._asdict(), "still_here": list(self.still_here)}


def gather_texts(leaving: Leaving) -> Texts:
    """All that the rows which leave hold."""
    rows, real, seeds = leaving.generations, leaving.real, leaving.seeds
    columns = [*(rows[name] for name in TEXT_COLUMNS), seeds["text"], real["question"], real["sql"]]
    texts = {text for column in columns for text in column.drop_nulls()}
    pairs = [
        f"{question}\n{sql}"
        for frame, name in ((rows, "completion"), (real, "sql"))
        for question, sql in frame.select("question", name).iter_rows()
    ]
    named = pl.Series(sorted({*texts, *pairs}), dtype=pl.String)
    ids = [*rows["generation_id"], *real["sample_id"], *seeds["seed_id"]]
    keys = list_texts(rows)["text_key"] if rows.height else []
    long = tuple(sorted(text for text in texts if len(text) >= MIN_CHARS))
    return Texts(frozenset(ids), frozenset(rows["request_id"]), frozenset(name_texts(named)), frozenset(keys), long)


def scrub_texts(workspace: Workspace, recipe: str, after: Recorded, texts: Texts, say: Callable[[str], None]) -> Scrubbed:
    """Remove texts from every place of a workspace that keeps some, then look for what is left."""
    sought = find_sought(texts, after)
    with hold_lock(workspace.root / "locks" / f"{recipe}.lock", f"removing texts of {recipe}"):
        n_files = sum(
            remove(workspace, recipe, after, texts, sought)
            for remove in (_drop_tables, _drop_caches, _drop_rows, _drop_labels, _drop_files)
        )
        n_replies = forget_replies(workspace.folder("journal", recipe), lambda lines: mark_replies(lines, texts, sought))
    say(f"removed: {n_files} files, {n_replies} replies; looking for what is left")
    return Scrubbed(n_files, n_replies, 0, tuple(find_left(workspace, sought)))


def find_sought(texts: Texts, after: Recorded) -> tuple[str, ...]:
    """What is looked for: the beginning of each text, its whole where rows that stay hold the beginning, nothing where they hold it all."""
    whole = {folded for text in texts.texts if len(folded := _fold(text)) >= MIN_CHARS}
    begin = {text[:SOUGHT_CHARS] for text in whole}
    staying = pl.concat([pl.Series("words", [], dtype=pl.String), *_list_staying(after)]).unique()
    held = _find_held(staying, begin | whole)
    return tuple(sorted((begin - held) | {text for text in whole - held if text[:SOUGHT_CHARS] in held}))


def _list_staying(after: Recorded) -> Iterator[pl.Series]:
    """The words of all tables in use, white space folded."""
    for table in (table for table in TABLES.values() if after.has(table)):
        frame = after.read(table)
        for name, field in table.fields.items():
            if field.dtype == pl.String and not name.endswith(("_id", "_key")):
                yield frame[name].drop_nulls().unique().str.replace_all(r"\s+", " ").str.strip_chars().rename("words")


def _find_held(words: pl.Series, texts: set[str]) -> set[str]:
    """Those of the texts that stand somewhere in the words."""
    if not texts or words.is_empty():
        return set()
    found = words.str.extract_many(sorted(texts), overlapping=True).explode().drop_nulls()
    return set(found)


def _fold(text: str) -> str:
    return " ".join(text.split())


def _drop_tables(workspace: Workspace, recipe: str, after: Recorded, texts: Texts, sought: tuple[str, ...]) -> int:
    """Snapshots that are not in use any more and hold one of the rows."""
    n = 0
    for name, table in TABLES.items():
        for file in sorted((workspace.root / "tables" / recipe / name).glob("*.parquet")):
            if file.stem != after.versions.get(name) and _holds_rows(file, table.fields, texts):
                file.unlink()
                n += 1
    return n


def _holds_rows(file: Path, fields: Iterable[str], texts: Texts) -> bool:
    columns = [name for name in ROW_IDS if name in fields]
    if not columns:
        return False
    try:
        ids = pl.read_parquet(file, columns=columns)
    except (OSError, pl.exceptions.PolarsError):
        return True  # nobody can tell what is in it, and nothing reads it
    return any(not texts.row_ids.isdisjoint(ids[name].drop_nulls().unique()) for name in columns)


def _drop_caches(workspace: Workspace, recipe: str, after: Recorded, texts: Texts, sought: tuple[str, ...]) -> int:
    """The indexes of duplicates and of traces, which hold hashes of every text; they are built anew when they are needed."""
    n = 0
    for folder in (workspace.folder("duplicates", recipe), workspace.folder("traces", recipe)):
        n += sum(file.is_file() for file in folder.rglob("*")) if folder.is_dir() else 0
        shutil.rmtree(folder, ignore_errors=True)
    return n


def _drop_rows(workspace: Workspace, recipe: str, after: Recorded, texts: Texts, sought: tuple[str, ...]) -> int:
    """Rows of the caches that are files of rows: vectors, readings, answers."""
    wanted = (("vectors", "text_id", texts.text_ids), ("readings", "text_key", texts.text_keys))
    n = 0
    for kind, column, ids in wanted:
        for file in sorted(workspace.folder(kind, recipe).rglob("*.parquet")):
            n += _filter_file(
                file, lambda rows, column=column, ids=ids: ~pl.Series([i in ids for i in rows[column]], dtype=pl.Boolean)
            )
    for file in sorted(workspace.folder("answers", recipe).glob("*.parquet")):
        n += _filter_file(file, lambda rows: ~_hold_texts(rows, sought))
    return n


def _filter_file(file: Path, keep: Callable[[pl.DataFrame], pl.Series]) -> int:
    try:
        rows = pl.read_parquet(file)
        kept = rows.filter(keep(rows))
    except (OSError, pl.exceptions.PolarsError):
        file.unlink(missing_ok=True)
        return 1
    if kept.height == rows.height:
        return 0
    with replace_atomically(file) as temporary:
        kept.write_parquet(temporary)
    return 1


def _hold_texts(rows: pl.DataFrame, sought: tuple[str, ...]) -> pl.Series:
    columns = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    marks = pl.repeat(False, rows.height, eager=True)
    for name in columns if sought else ():
        folded = rows[name].fill_null("").str.replace_all(r"\s+", " ")
        marks = marks | folded.str.contains_any(list(sought))
    return marks


def _drop_labels(workspace: Workspace, recipe: str, after: Recorded, texts: Texts, sought: tuple[str, ...]) -> int:
    """What people wrote of the rows: their labels go with the rows."""
    return int(forget_labels(workspace, recipe, texts.row_ids) > 0)


def _drop_files(workspace: Workspace, recipe: str, after: Recorded, texts: Texts, sought: tuple[str, ...]) -> int:
    """Left-over rows of trainings, batches, reports and checks that hold a text."""
    folders = [workspace.folder(kind, recipe) for kind in ("work", "reports", "checks")]
    folders += [workspace.folder("journal", recipe) / "batches", *workspace.folder("checkpoints", recipe).glob("*.report")]
    n = _drop_drafts(workspace, recipe)
    for file in sorted(file for folder in folders for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock"):
        if holds_text(file, sought):
            file.unlink()
            n += 1
    return n


def _drop_drafts(workspace: Workspace, recipe: str) -> int:
    """Files that killed runs began and never named; the recipe's lock is held, so nobody is writing one."""
    folders = [workspace.folder(kind, recipe) for kind in ("tables", "vectors", "readings", "answers", "reviews", "journal")]
    drafts = [file for folder in folders if folder.is_dir() for file in folder.rglob(".*.tmp") if file.is_file()]
    for file in drafts:
        file.unlink(missing_ok=True)
    return len(drafts)


def mark_replies(lines: list[Line], texts: Texts, sought: tuple[str, ...]) -> list[bool]:
    """Which journaled replies go: those to the requests, and any other that holds one of the texts (asked again, judged)."""
    flat = pl.DataFrame(
        {"words": [_fold(" ".join(_list_strings(_parse(line.rest)))) for line in lines]}, schema={"words": pl.String}
    )
    held = _hold_texts(flat, sought)
    return [line.key in texts.request_ids or bool(hit) for line, hit in zip(lines, held, strict=True)]


def _parse(rest: bytes) -> object:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(rest)
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(rest.partition(b" ")[2])  # of a batch: its id stands before
    return rest.decode("utf-8", errors="replace")


def _list_strings(value: object, depth: int = 0) -> Iterator[str]:
    """All strings of a JSON value, also of JSON that stands in a string."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _list_strings(item, depth)
    elif isinstance(value, str):
        yield value
        start = value.find("{")
        if start >= 0 and depth < 3:
            with suppress(ValueError, RecursionError):
                yield from _list_strings(json.JSONDecoder(strict=False).raw_decode(value[start:])[0], depth + 1)


def forget_runs(instance: dg.DagsterInstance, recipe: str, before_s: float) -> int:
    """Delete a recipe's ended runs that began before a time, in s since 1970, and what SQLite keeps of deleted rows.

    A run that was killed before then has been marked as ended by now; what it had written down is of before.
    What only those had materialized counts as never materialized: the next run makes it again, to the same content.
    """
    records = instance.get_run_records()
    gone = [
        r.dagster_run.run_id
        for r in records
        if r.end_time and r.create_timestamp.timestamp() < before_s and _is_of(r.dagster_run, recipe)
    ]
    for run_id in gone:
        instance.delete_run(run_id)
        shutil.rmtree(dagster_home() / "storage" / run_id, ignore_errors=True)
        for file in (dagster_home() / "history" / "runs").glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
    wipe_orphans(instance, recipe)
    for file in (dagster_home() / "history").rglob("*.db"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(file, timeout=30)) as connection:
            connection.execute("pragma wal_checkpoint(truncate)")
            connection.execute("vacuum")
    return len(gone)


def wipe_orphans(instance: dg.DagsterInstance, recipe: str) -> None:
    """Forget the last materializations whose runs are gone: Dagster keeps them apart, previews and all, and no check can speak of them."""
    mine = [key for key in instance.all_asset_keys() if key.path[0] == recipe]
    orphans = [key for key in mine if not instance.fetch_materializations(key, limit=1).records]
    if orphans:
        instance.wipe_assets(orphans)


def _is_of(run: dg.DagsterRun, recipe: str) -> bool:
    keys = {key.path[0] for key in (run.asset_selection or ())}
    return not keys or recipe in keys


def holds_text(file: Path, sought: tuple[str, ...]) -> bool:
    """Whether a file holds one of the texts: in a column of Parquet, or in its bytes as they are or escaped as in JSON."""
    if not sought:
        return False
    if file.suffix == ".parquet":
        try:
            return bool(_hold_texts(pl.read_parquet(file), sought).any())
        except (OSError, pl.exceptions.PolarsError):
            pass
    try:
        words = _fold(
            file.read_bytes().decode("utf-8", errors="replace").replace("\\n", " ").replace("\\\\", "\\").replace('\\"', '"')
        )
    except OSError:
        return False
    return bool(pl.Series([words]).str.contains_any(list(sought))[0])


def find_left(workspace: Workspace, sought: tuple[str, ...]) -> Iterator[str]:
    """Files of the workspace, Dagster's included, in which one of the texts can still be found."""
    roots = {workspace.root, dagster_home()}
    for file in sorted({file for root in roots for file in root.rglob("*") if file.is_file()}):
        parts = file.relative_to(workspace.root).parts if file.is_relative_to(workspace.root) else ("dagster",)
        if parts[0] not in ("databases", "ledger", "erasing") and holds_text(file, sought):
            yield "/".join(parts) + (" (a checkpoint's own file)" if parts[0] == "checkpoints" else "")
