"""Tracing an output: the words of texts, the cached index of a dataset, and who taught the rows that hold the same words.

Belongs here: reading the dataset's snapshot and putting its words, the index and the ledger together. Does not belong here: n-grams and
spans (lineage/trace), origins (lineage/audits) or wording (telling).

The index is a cache, `<workspace>/traces/<recipe>/<data version>-<rule>.parquet`: it can be removed at any time, and an erasure has to.
Rows count by the words of their question and of their query, each for itself; the prompt's fixed parts are in all of them and say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from distill_assets.commands.lineage.audit import open_own
from distill_assets.curate.words import NORMALISER, hash_words, normalise
from distill_assets.errors import LineageError
from distill_assets.identity import fingerprint
from distill_assets.lineage.audits.query import find_checkpoint, find_dataset
from distill_assets.lineage.audits.why import describe_origins, look_up
from distill_assets.lineage.chain import Event
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.trace import (
    MAX_COMMON,
    MAX_WORDS,
    RULE,
    SURE_WORDS,
    Span,
    choose_grams,
    find_candidates,
    find_spans,
    hash_grams,
    keep_longest,
    least_words,
    write_index,
)
from distill_assets.storage import Workspace, replace_atomically
from distill_assets.tables import TRAINING_DATASET

TRACES = "traces"
FIELDS = ("question", "sql")
BATCH_ROWS = 20_000
# Rows whose words are compared one by one, and what is shown of them.
MAX_CANDIDATES, MAX_SPANS, MAX_ROWS = 400, 12, 5


class Match(NamedTuple):
    """A span of the output and a row that holds it, in which field."""

    span: Span
    row: int
    sample_id: str
    field: str


def trace_output(checkpoint: str | None, text: str) -> dict[str, Any]:
    """Where the words of an output stand in the rows that a checkpoint was trained on.

    Returns:
        checkpoint, data_version, n_words, least_words, is_cut, n_candidates, n_compared, spans: the rarest first, each with its words,
        place, n_rows (is_exact: not more hold it) and some of the rows with teacher, seeds, judges and how often they were trained on.

    Raises:
        LineageError: the output has too few words, or the texts of the dataset are gone.
    """
    workspace, ledger = open_own()
    events = ledger.events()
    event = find_checkpoint(events, checkpoint)
    snapshot = find_snapshot(workspace, event)
    words = normalise(text).split()[:MAX_WORDS]
    least = least_words(len(words))
    if len(words) < least:
        raise LineageError(
            f"the output has {len(words)} words, and fewer than {least} tell nothing. Nothing was traced. Give more of it."
        )
    output = hash_words(pl.Series([" ".join(words)])).hashes
    index = open_index(workspace, event, snapshot)
    n_rows = pl.scan_parquet(snapshot).select(pl.len()).collect().item()
    candidates = find_candidates(index, hash_grams(output), n_rows, MAX_CANDIDATES)
    matches = list(_match(snapshot, candidates.rows, output.tolist(), least))
    spans = _rank(matches)
    return {
        "checkpoint": f"{event.recipe}@{event.facts['checkpoint'][:12]}",
        "data_version": event.facts["data_version"],
        "n_words": len(words),
        "least_words": least,
        "is_cut": len(words) == MAX_WORDS,
        "n_candidates": candidates.n_rows,
        "n_compared": len(candidates.rows),
        "is_causal": False,
        "spans": [
            # A shorter span has an n-gram in the index of most rows that hold it, not of all.
            {**span, "is_exact": span["n_words"] >= SURE_WORDS and candidates.n_rows == len(candidates.rows)}
            for span in _describe(ledger, events, event, spans, words)
        ],
    }


def find_snapshot(workspace: Workspace, event: Event) -> Path:
    """The texts that a checkpoint was trained on.

    Raises:
        LineageError: they are gone.
    """
    file = workspace.table_file(str(event.recipe), TRAINING_DATASET.name, event.facts["data_version"])
    if not file.is_file():
        raise LineageError(
            f"the texts of dataset {event.facts['data_version'][:12]} are gone ({file}): erased or removed. Nothing was traced. "
            "The ledger still tells each row's past: distill lineage why --row ID"
        )
    return file


def open_index(workspace: Workspace, event: Event, snapshot: Path) -> Path:
    """The index of a dataset; built when there is none that can be read."""
    name = f"{event.facts['data_version']}-{fingerprint({'rule': RULE, 'normaliser': NORMALISER, 'fields': FIELDS})}.parquet"
    file = workspace.folder(TRACES, str(event.recipe)) / name
    with suppress(OSError, pl.exceptions.PolarsError):
        pl.scan_parquet(file).select(pl.len()).collect()
        return file
    with replace_atomically(file) as temporary:
        write_index(temporary, _choose(snapshot))
    return file


def _choose(snapshot: Path) -> Iterator[tuple[Any, Any]]:
    """The n-grams to store, batch by batch; rows are numbered as they stand in the snapshot, and only those trained on count."""
    numbers = pl.scan_parquet(snapshot).select("split").with_row_index("row").filter(pl.col("split") == "train").collect()["row"]
    n = pl.scan_parquet(snapshot).select(pl.len()).collect().item()
    for start in range(0, n, BATCH_ROWS):
        batch = pl.scan_parquet(snapshot).slice(start, BATCH_ROWS).select(FIELDS).collect()
        places = numbers.filter(numbers.is_between(start, start + BATCH_ROWS, closed="left"))
        for field in FIELDS:
            found = hash_words(batch[field].gather(places - start))
            grams, texts = choose_grams(found.hashes, found.offsets)
            yield grams, places.to_numpy()[texts]


def _match(snapshot: Path, rows: Sequence[int], output: list[int], least: int) -> Iterator[Match]:
    """The spans that candidate rows really hold."""
    texts = _read_rows(snapshot, sorted(rows))
    for field in FIELDS:
        words = hash_words(texts[field])
        hashes, offsets = words.hashes.tolist(), words.offsets.tolist()
        for i, (row, sample_id) in enumerate(texts.select("row", "sample_id").iter_rows()):
            for span in find_spans(output, hashes[offsets[i] : offsets[i + 1]], least):
                yield Match(span, row, sample_id, field)


def _read_rows(snapshot: Path, rows: Sequence[int]) -> pl.DataFrame:
    """Some rows by their number, in order; only the row groups that hold one are read."""
    from pyarrow.parquet import ParquetFile

    frames = [pl.DataFrame(schema={"sample_id": pl.String, **dict.fromkeys(FIELDS, pl.String), "row": pl.Int64})]
    with ParquetFile(snapshot) as file:
        start = 0
        for number in range(file.num_row_groups):
            end = start + file.metadata.row_group(number).num_rows
            if mine := [row for row in rows if start <= row < end]:
                group = pl.from_arrow(file.read_row_group(number, columns=["sample_id", *FIELDS]))
                assert isinstance(group, pl.DataFrame)
                frames.append(group[[row - start for row in mine]].with_columns(pl.Series("row", mine, dtype=pl.Int64)))
            start = end
    return pl.concat(frames, how="vertical_relaxed")


def _rank(matches: Sequence[Match]) -> list[tuple[Span, list[Match]]]:
    """Spans that lie in no other one, each with the rows that hold all of it, those that the fewest rows hold first."""
    found = []
    for span in keep_longest(match.span for match in matches):
        holders = {m.sample_id: m for m in matches if m.span.start <= span.start and m.span.end >= span.end}
        if span.n_words >= SURE_WORDS or len(holders) <= MAX_COMMON:
            found.append((span, [holders[sample] for sample in sorted(holders)]))
    return sorted(found, key=lambda item: (len(item[1]), -item[0].n_words, item[0].start))


def _describe(
    ledger: Ledger, events: Sequence[Event], event: Event, spans: Sequence[tuple[Span, list[Match]]], words: Sequence[str]
) -> list[dict[str, Any]]:
    salt = ledger.salt()
    shown = [(span, holders, holders[:MAX_ROWS]) for span, holders in spans[:MAX_SPANS]]
    ids = {match.sample_id: salted(salt, match.sample_id) for _, _, first in shown for match in first}
    dataset = find_dataset(events, event)
    with ledger.connect() as connection:
        origins = describe_origins(connection, sorted(ids.values()), dataset.seq if dataset else event.seq)
        mine = salted(salt, event.facts["checkpoint"])
        times = {
            row["generation_id"]: row["n_times"]
            for row in look_up(connection, "exposure", "generation_id", ids.values())
            if row["checkpoint_id"] == mine
        }
    return [
        {
            "words": " ".join(words[span.start : span.end]), "start": span.start, "n_words": span.n_words, "n_rows": len(holders),
            "rows": [_describe_row(match, ids[match.sample_id], origins, times) for match in first],
        }
        for span, holders, first in shown
    ]  # fmt: skip


def _describe_row(match: Match, row: str, origins: Mapping[str, Mapping[str, Any]], times: Mapping[str, int]) -> dict[str, Any]:
    origin = origins[row]
    told = {name: origin["endpoint"].get(name) for name in ("requested_model", "served_model", "system_fingerprint", "licence")}
    return {
        "sample_id": match.sample_id, "row": row, "field": match.field, "teacher": told, "seeds": origin["seeds"],
        "judges": origin["judges"], "n_times": times.get(row, 0),
    }  # fmt: skip
