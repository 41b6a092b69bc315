"""The ledger: rows and events that are only ever added, readable as DuckDB views while others write.

Belongs here: opening, recording and connecting. Does not belong here: bytes of a line (chain) or a segment (segments),
what is recorded when (record) and whether all of it is as it was written (verify).

One writer at a time holds `<ledger>/lock` from the query to the acknowledged line, so a query that leaves out what is
recorded already cannot miss what another run is recording. Readers take no lock: segments are never changed and
count once a line names them.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from distill_assets.errors import LineageError, StorageError, name_culprits
from distill_assets.lineage.chain import (
    CHAIN_FILE,
    FORMAT,
    HEAD_FILE,
    Chain,
    Draft,
    Event,
    SegmentRef,
    append_line,
    build_head,
    build_line,
    parse_line,
    read_chain,
    set_torn_aside,
)
from distill_assets.lineage.ids import load_salt, salt_id
from distill_assets.lineage.kinds import EVENTS, KINDS
from distill_assets.lineage.segments import (
    LEDGER_FAULT,
    SEGMENTS_FOLDER,
    connect_views,
    drop_drafts,
    find_fault,
    publish_segment,
    quote_text,
    write_segment,
)
from distill_assets.storage import write_bytes

LOCK_FILE = "lock"
MEMORY = "1GB"
THREADS = 2


class Ledger:
    """The ledger in one folder; holds no state but the path, so every call sees what others have recorded."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, root: Path, create: bool = False, at: str | None = None) -> Ledger:
        """Open the ledger at `root`.

        Args:
            create: begin one, with its salt, where there is none. at: when, in ISO 8601, for a new ledger's first line.

        Raises:
            LineageError: there is none, or its chain is broken.
            StorageError: it cannot be begun.
        """
        ledger = cls(root)
        if create and not _is_begun(root):
            with _hold_lock(root):
                if not _is_begun(root):
                    _begin(root, at)
        ledger.events()
        return ledger

    def events(self) -> list[Event]:
        """Every event, oldest first; the chain is checked line by line.

        Raises:
            LineageError: the chain is broken or its tail was cut.
        """
        return read_chain(self.root).events

    def head(self) -> Event:
        """The last event."""
        return self.events()[-1]

    def genesis(self) -> Event:
        """The first event; its facts name the salt."""
        return self.events()[0]

    def salt(self) -> bytes:
        """The salt of this ledger's ids.

        Raises:
            LineageError: it is missing or another one.
        """
        return load_salt(self.root, create=False)

    @contextmanager
    def connect(self, memory: str = MEMORY) -> Iterator[Any]:
        """A DuckDB connection with a view per kind and the macro `salted(identifier)`, which gives a UUID.

        Without the salt, all works that does not call `salted`. A segment that is missing fails those queries that read
        its kind.

        Raises:
            LineageError: the chain is broken; or, from inside the block, a query met a damaged segment or needs the salt.
        """
        events = self.events()
        with _connect(self.root, events, memory) as (connection, _):
            yield connection

    def record(
        self,
        kind: str,
        recipe: str | None,
        at: str | None,
        segments: Mapping[str, str],
        frames: Mapping[str, pl.DataFrame],
        dagster: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> Event:
        """Add an event and its rows: all of it is in the ledger when this returns, and nothing when it raises.

        Args:
            kind: one of EVENTS. at: when, in ISO 8601. segments: kind of rows -> SELECT with that kind's columns; it may
                read the views, `frames` by their name, `salted`, and the variable `event_seq`, which is this event's place.
                dagster: ids of the run. facts: JSON of the event.

        Returns:
            The event as it stands in the chain; a kind without rows has no segment in it.

        Raises:
            LineageError: the chain is broken, or a query fails or gives other columns; nothing was recorded.
            StorageError: the disk is full or the folder read-only; nothing was recorded.
        """
        _check_names(kind, segments, frames)
        with _hold_lock(self.root):
            before = _mend(self.root, read_chain(self.root))
            build_line(Draft(kind, recipe, at, (), dagster, facts), before[-1])  # says what is no JSON before any row is written
            drop_drafts(self.root)
            written = self._write_segments(before, segments, frames) if segments else ()
            draft = Draft(kind, recipe, at, written, dagster, facts)
            line = build_line(draft, before[-1])
            event = parse_line(line[:-1], before[-1])
            append_line(self.root, line, event)
            return event

    def append(self, kind: str, recipe: str | None, at: str | None, facts: Mapping[str, Any], dagster: Mapping[str, Any]) -> Event:
        """Add an event without rows; see `record`."""
        return self.record(kind, recipe, at, {}, {}, dagster, facts)

    def _write_segments(
        self, before: list[Event], segments: Mapping[str, str], frames: Mapping[str, pl.DataFrame]
    ) -> tuple[SegmentRef, ...]:
        try:
            with _connect(self.root, before, MEMORY) as (connection, faults):
                for name, frame in frames.items():
                    connection.register(name, frame.to_arrow())
                connection.execute(f"set variable event_seq = {before[-1].seq + 1}")
                drafts = [
                    write_segment(connection, self.root, KINDS[kind], query, faults) for kind, query in sorted(segments.items())
                ]
            found = [draft for draft in drafts if draft is not None]
            for draft, segment in found:
                publish_segment(self.root, draft, segment)
        finally:
            drop_drafts(self.root)
        return tuple(segment for _, segment in found)


def _check_names(kind: str, segments: Mapping[str, str], frames: Mapping[str, pl.DataFrame]) -> None:
    if kind not in EVENTS or kind == "genesis":
        raise LineageError(f"'{kind}' is no event of a ledger. Nothing was recorded. Use one of {', '.join(sorted(EVENTS))}.")
    if wrong := sorted(set(segments) - set(KINDS)):
        raise LineageError(
            f"{name_culprits(wrong)}: no such rows in a ledger. Nothing was recorded. Use one of {', '.join(KINDS)}."
        )
    if wrong := sorted(set(frames) & set(KINDS)):
        raise LineageError(f"frames named {name_culprits(wrong)} would hide the ledger's own. Nothing was recorded. Rename them.")


def _is_begun(root: Path) -> bool:
    """Whether a first line was written, be it gone by now."""
    if (root / HEAD_FILE).exists():
        return True
    try:
        with (root / CHAIN_FILE).open("rb") as handle:
            return handle.readline().endswith(b"\n")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LineageError(
            f"{root / CHAIN_FILE} cannot be read: {error.strerror}. Nothing was changed. Fix its permissions."
        ) from error


def _begin(root: Path, at: str | None) -> None:
    """Write salt and first line, unless rows show that there was a chain: beginning anew would forget them."""
    rows = sorted((root / SEGMENTS_FOLDER).glob("*.parquet"))
    if rows:
        raise LineageError(
            f"{root / CHAIN_FILE} is gone, but {len(rows)} segments of its rows are there. No new ledger was begun. "
            f"Restore {CHAIN_FILE} and {HEAD_FILE} from a copy; to begin anew, move the folder away."
        )
    torn = (root / CHAIN_FILE).read_bytes() if (root / CHAIN_FILE).exists() else b""
    salt = load_salt(root, create=True)
    if torn:
        set_torn_aside(root, torn)
    draft = Draft("genesis", None, at, (), {}, {"format": FORMAT, "salt_id": salt_id(salt)})
    line = build_line(draft, None)
    append_line(root, line, parse_line(line[:-1], None))


def _mend(root: Path, chain: Chain) -> list[Event]:
    """Put right what a killed writer left: a torn line is kept aside, a whole line is acknowledged."""
    if chain.torn:
        set_torn_aside(root, chain.torn)
    last = chain.events[-1]
    if chain.head != (last.seq, last.hash):
        write_bytes(root / HEAD_FILE, build_head(last.seq, last.hash))
    return chain.events


@contextmanager
def _hold_lock(root: Path) -> Iterator[None]:
    """Wait for the ledger's lock and hold it; the kernel frees it when this process ends, however it ends."""
    try:
        (root / SEGMENTS_FOLDER).mkdir(parents=True, exist_ok=True)
        handle = (root / LOCK_FILE).open("a")
    except OSError as error:
        raise StorageError(
            f"the ledger at {root} cannot be written: {error.strerror}. Nothing was recorded. Fix the folder's permissions."
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _connect(root: Path, events: list[Event], memory: str) -> Iterator[tuple[Any, dict[str, str]]]:
    """A connection with views and macro, and the kinds that have no view with what to say of them."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="distill-ledger-") as spill:
        settings: dict[str, Any] = {"memory_limit": memory, "threads": THREADS, "temp_directory": spill}
        with duckdb.connect(config=settings) as connection:
            connection.execute("set autoinstall_known_extensions = false")
            connection.execute("set python_enable_replacements = false")  # no variable may stand in for a kind without a view
            faults = connect_views(connection, root, [(event.seq, segment) for event in events for segment in event.segments])
            connection.execute(f"create macro salted(identifier) as {_write_macro(root)}")
            try:
                yield connection, faults
            except duckdb.Error as error:
                words = find_fault(root, faults, error)
                if words is None:
                    raise
                raise LineageError(words) from error


def _write_macro(root: Path) -> str:
    try:
        salt = load_salt(root, create=False)
    except LineageError as error:
        return f"error({quote_text(LEDGER_FAULT + str(error))} || identifier)::uuid"
    return f"left(sha256({quote_text(salt.hex())} || identifier), 32)::uuid"
