"""The chain: one line an event, each naming the hash of the one before, so that no line can be changed unseen.

Belongs here: a line's bytes, reading and checking a chain, appending to it, HEAD and torn lines. Does not belong here:
what an event means (kinds), segments, locks (ledger).

A line is the canonical JSON of its event; its hash is the SHA-256 of that JSON without `hash`. A line is acknowledged once
it is on the disk and `HEAD` names it: a chain that ends before HEAD has lost its tail. What follows the last line
break is a line whose writer died; it was never acknowledged and readers pass it over.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.errors import LineageError, StorageError
from distill_assets.identity import canonical_bytes
from distill_assets.storage import sync_path, write_bytes

CHAIN_FILE = "chain.jsonl"
HEAD_FILE = "HEAD"
FORMAT = "distill-ledger/1"
NO_LINE = "0" * 64
_FIELDS = {"seq", "prev", "at", "kind", "recipe", "segments", "dagster", "facts", "hash"}
_MAX_HEAD_BYTES = 4096


class SegmentRef(NamedTuple):
    """A segment as a line names it: kind of its rows, SHA-256 of the file, rows and bytes."""

    kind: str
    sha256: str
    n_rows: int
    n_bytes: int

    @property
    def file_name(self) -> str:
        """Name of the file in the folder of segments."""
        return f"{self.kind}-{self.sha256}.parquet"


class Event(NamedTuple):
    """One line of the chain; `hash` covers all the rest, `prev` is the hash of the line before."""

    seq: int
    prev: str
    at: str | None
    kind: str
    recipe: str | None
    segments: tuple[SegmentRef, ...]
    dagster: dict[str, Any]
    facts: dict[str, Any]
    hash: str


class Chain(NamedTuple):
    """What was read of a chain: its events, and the bytes of a torn last line."""

    events: list[Event]
    torn: bytes
    head: tuple[int, str] | None  # what HEAD says; None where there is no such file


class Draft(NamedTuple):
    """What a new line is to say."""

    kind: str
    recipe: str | None
    at: str | None
    segments: tuple[SegmentRef, ...]
    dagster: Mapping[str, Any]
    facts: Mapping[str, Any]


def build_line(draft: Draft, before: Event | None) -> bytes:
    """The bytes of the line that follows `before`, with its line break.

    Raises:
        LineageError: the facts are no JSON.
    """
    body = {
        "seq": 0 if before is None else before.seq + 1,
        "prev": NO_LINE if before is None else before.hash,
        "at": draft.at,
        "kind": draft.kind,
        "recipe": draft.recipe,
        "segments": [segment._asdict() for segment in draft.segments],
        "dagster": dict(draft.dagster),
        "facts": dict(draft.facts),
    }
    try:
        body["hash"] = hashlib.sha256(canonical_bytes(body)).hexdigest()
        line = canonical_bytes(body) + b"\n"
        parse_line(line[:-1], before)
    except (TypeError, ValueError, RecursionError) as error:
        raise LineageError(f"the event '{draft.kind}' cannot be written as JSON: {error}. Nothing was recorded.") from error
    return line


def parse_line(line: bytes, before: Event | None) -> Event:
    """Read one line and check that it follows `before`, byte for byte.

    Raises:
        LineageError: it is no line of this chain; the message says how.
    """
    try:
        body = json.loads(line.decode("utf-8", errors="surrogatepass"))
        if not isinstance(body, dict) or set(body) != _FIELDS:
            raise LineageError("is no event")
        if canonical_bytes(body) != line:
            raise LineageError("is not written as events are")
        event = Event(**{**body, "segments": tuple(SegmentRef(**segment) for segment in body["segments"])})
        del body["hash"]
        if hashlib.sha256(canonical_bytes(body)).hexdigest() != event.hash:
            raise LineageError("does not match its own hash")
        _check_types(event)
    except LineageError:
        raise
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise LineageError(f"is no event ({type(error).__name__})") from error
    seq, prev = (0, NO_LINE) if before is None else (before.seq + 1, before.hash)
    if event.seq != seq:
        raise LineageError(f"is number {event.seq}, but {seq} is due")
    if event.prev != prev:
        raise LineageError("does not name the hash of the line before it")
    return event


def _check_types(event: Event) -> None:
    wanted = (type(event.seq), type(event.prev), type(event.kind), type(event.dagster), type(event.facts))
    texts = (event.at, event.recipe)
    if wanted != (int, str, str, dict, dict) or not all(text is None or isinstance(text, str) for text in texts):
        raise LineageError("is no event (a field has another type)")
    for segment in event.segments:
        is_named = isinstance(segment.kind, str) and segment.kind.isidentifier()
        if not is_named or not is_sha256(segment.sha256) or type(segment.n_rows) is not int or type(segment.n_bytes) is not int:
            raise LineageError("names a segment that cannot be one")


def is_sha256(value: object) -> bool:
    """Whether `value` is 64 lower-case hex characters."""
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")


def scan_chain(raw: bytes, where: object = CHAIN_FILE) -> tuple[list[Event], bytes, str | None]:
    """Read a chain's bytes as far as they can be trusted: its events, what is left of a torn last line, what is wrong."""
    *lines, torn = raw.split(b"\n")
    events: list[Event] = []
    for number, line in enumerate(lines):
        try:
            events.append(parse_line(line, events[-1] if events else None))
        except LineageError as error:
            return (
                events,
                torn,
                (
                    f"{where} is broken at line {number}: the line {error}. Nothing was changed, and no line from {number} on "
                    "can be trusted. Restore the file from a copy; distill lineage verify names what else is wrong."
                ),
            )
    if events and (events[0].kind != "genesis" or events[0].facts.get("format") != FORMAT):
        return [], torn, f"{where} does not begin with a ledger of format {FORMAT}. Nothing was changed. Restore it from a copy."
    return events, torn, None


def parse_chain(raw: bytes, where: object = CHAIN_FILE) -> tuple[list[Event], bytes]:
    """Read a chain's bytes: its events, and what is left of a torn last line.

    Raises:
        LineageError: a line is no event, or does not follow the one before.
    """
    events, torn, fault = scan_chain(raw, where)
    if fault is not None:
        raise LineageError(fault)
    return events, torn


def read_chain(root: Path) -> Chain:
    """Read and check the chain of the ledger at `root`, and hold it against HEAD.

    Raises:
        LineageError: there is none, it is broken, or its tail was cut.
    """
    head = read_head(root)  # before the chain: a writer beside us makes the chain longer than HEAD, never shorter
    file = root / CHAIN_FILE
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise LineageError(
            f"there is no ledger at {root}: {file.name} is missing. Materialize a recipe, or restore a copy."
        ) from None
    except OSError as error:
        raise LineageError(f"{file} cannot be read: {error.strerror}. Nothing was changed. Fix its permissions.") from error
    events, torn = parse_chain(raw, file)
    check_head(root, events, head)
    return Chain(events, torn, head)


def read_head(root: Path) -> tuple[int, str] | None:
    """What HEAD names: number and hash of the last acknowledged line; None where there is no such file.

    Raises:
        LineageError: the file cannot be read as such.
    """
    file = root / HEAD_FILE
    try:
        with file.open("rb") as handle:
            raw = handle.read(_MAX_HEAD_BYTES)
        head = json.loads(raw.decode("ascii"))
        seq, line_hash = head["seq"], head["hash"]
        if type(seq) is int and is_sha256(line_hash) and raw == build_head(seq, line_hash):
            return seq, line_hash
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass
    raise LineageError(f"{file} does not name a line of the chain. Nothing was changed. Restore it from a copy.")


def build_head(seq: int, line_hash: str) -> bytes:
    """The bytes of HEAD."""
    return canonical_bytes({"seq": seq, "hash": line_hash}) + b"\n"


def check_head(root: Path, events: list[Event], head: tuple[int, str] | None) -> None:
    """Check that `events` reach what HEAD names, and at most one line beyond, whose writer died before it was acknowledged.

    Raises:
        LineageError: they do not.
    """
    file, last = root / CHAIN_FILE, len(events) - 1
    if not events:
        if head is None:
            raise LineageError(f"there is no ledger at {root}: {file.name} holds no line. Materialize a recipe, or restore a copy.")
        raise LineageError(_say_cut(file, last, head[0]))
    if head is None:
        if last > 0:
            raise LineageError(
                f"{root / HEAD_FILE} is missing, so lines could have been cut. Nothing was changed. Restore it from a copy."
            )
        return
    seq, line_hash = head
    if seq > last:
        raise LineageError(_say_cut(file, last, seq))
    if seq < 0 or events[seq].hash != line_hash:
        raise LineageError(f"{file}: line {seq} is not the one that HEAD names. Nothing was changed. Restore both from a copy.")
    if last > seq + 1:
        raise LineageError(
            f"{file} has {last - seq} lines after the one that HEAD names; no writer leaves more than one. "
            "Nothing was changed. Restore both from a copy."
        )


def _say_cut(file: Path, last: int, seq: int) -> str:
    gone = f"lines after {last} are gone" if last >= 0 else "all lines are gone"
    return f"{file}: the tail was cut: {gone}, up to {seq}, which HEAD names. Nothing was changed. Restore {file.name} from a copy."


def read_genesis_salt_id(root: Path) -> str | None:
    """The id of the salt that the chain at `root` was begun with; None where there is no chain."""
    try:
        with (root / CHAIN_FILE).open("rb") as handle:
            line = handle.readline()
        facts = parse_line(line.rstrip(b"\n"), None).facts
    except (OSError, LineageError):
        return None
    salt_id = facts.get("salt_id")
    return salt_id if isinstance(salt_id, str) else None


def append_line(root: Path, line: bytes, event: Event) -> None:
    """Add a line durably and let HEAD name it; the caller holds the ledger's lock and no torn line is left.

    Raises:
        StorageError: the disk is full or the folder read-only; the chain is as it was.
    """
    file = root / CHAIN_FILE
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise _cannot_write(file, error) from error
    try:
        size = os.fstat(handle).st_size
        try:
            _write_all(handle, line)
            sync_path(root)
            write_bytes(root / HEAD_FILE, build_head(event.seq, event.hash))
        except OSError as error:  # StorageError is one
            if read_head(root) != (event.seq, event.hash):
                with suppress(OSError):
                    os.ftruncate(handle, size)
                raise _cannot_write(file, error) from error
    finally:
        os.close(handle)


def _write_all(handle: int, line: bytes) -> None:
    if os.write(handle, line) != len(line):
        raise OSError(28, "No space left on device")
    os.fsync(handle)


def _cannot_write(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{file} cannot be written: {error.strerror or error}. Nothing was recorded and what was recorded before is safe. "
        "Free disk space or fix the folder's permissions, then run again."
    )


def set_torn_aside(root: Path, torn: bytes) -> Path:
    """Keep the bytes of a torn last line as `chain.torn-<n>` and take them off the chain; the caller holds the lock."""
    n = 1
    while (aside := root / f"chain.torn-{n}").exists():
        n += 1
    write_bytes(aside, torn)
    file = root / CHAIN_FILE
    try:
        os.truncate(file, file.stat().st_size - len(torn))
        sync_path(file)
    except OSError as error:
        raise _cannot_write(file, error) from error
    return aside
