"""The journal: every whole reply is on the disk before it counts, so that none is lost or bought twice.

Belongs here: what lines mean together, claims, and what was spent. Does not belong here: a line's bytes (segments),
calls (engine, batches) or what a reply means (replies).

One folder a recipe. Each run appends to a segment of its own, `segment-<n>.log`, which it holds by a lock that
the kernel frees when the process ends; a dead run's segment is taken over by the next one. A line is
`crc32 kind key usd tokens rest`: the CRC covers what follows it, so a torn or spoiled line costs itself only.

    i  intent: the call `key` is about to be sent, with the most that it can cost
    r  reply: it ended, with what it cost; `rest` is JSON
    f  failure: no whole reply came; the cost is what is in doubt, else 0
    b  batched: the call `key` is in a batch, with the most that it can cost; `rest` is the batch's id
    a  answered there: as r, with the batch's id before the JSON
    e  ended there: as f, with the batch's id and why; without a why, nobody tried

USD are stored in billionths. A key with an intent and nothing after it, in a segment that nobody holds, is in
doubt: the money counts as spent and the call may be sent again. In a segment that a live run holds it is in
flight, and nobody else sends it. A call in a batch is in flight until its `a` or `e`, whether anybody holds a segment
or not: the endpoint works on it alone. Claims are made under one short lock (`claims.lock`).
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import orjson

from distill_assets.clients.batched import Batched
from distill_assets.clients.segments import Line, Segment, lay_ballast, list_segments, parse_line, part_torn_line
from distill_assets.errors import StorageError

NANO = 1_000_000_000
SEGMENT_BITS = 40
OURS, THEIRS, ANSWERED, OVER, BATCHED = "ours", "theirs", "answered", "over", "batched"


class Cap(NamedTuple):
    """The most that all runs together may spend; None is no bound."""

    usd: float | None = None
    tokens: int | None = None


class Claim(NamedTuple):
    """One call that is about to be sent: its key, the most that it can cost, and whether a known reply is no reason not to."""

    key: str
    usd: float
    tokens: int
    may_repeat: bool = False


class Spent(NamedTuple):
    """What all runs of a recipe spent: settled, and not yet or never settled."""

    usd: float
    tokens: int
    usd_in_doubt: float
    tokens_in_doubt: int


class Journal:
    """Replies by key, over all segments of a folder; this process appends to one of them."""

    def __init__(self, folder: Path, own: Segment, segments: list[Segment], lock: int) -> None:
        self.folder, self._own, self._segments, self._lock = folder, own, {s.number: s for s in segments}, lock
        self._index: dict[str, int | list[int]] = {}
        self._held: dict[str, dict[str, object]] = {}
        self._usd_nano = self._tokens = 0
        self._doubt_usd_nano = self._doubt_tokens = 0
        self.batched = Batched()
        self._n_opened = -1
        self.n_damaged = 0
        self.is_full = False
        for segment in segments:
            self._read_new_lines(segment)
        for cost in own.open_calls.values():  # of a run that ended before they did
            self._doubt(cost)
        own.open_calls.clear()

    # --- reading ---

    def find(self, key: str) -> list[dict[str, object]]:
        """All replies journaled under `key`, oldest first, then one that is held back."""
        places = self._index.get(key, ())
        found = [self._load(place) for place in ([places] if isinstance(places, int) else places)]
        return [*found, self._held[key]] if key in self._held else found

    def _load(self, place: int) -> dict[str, object]:
        segment, offset = self._segments[place >> SEGMENT_BITS], place & ((1 << SEGMENT_BITS) - 1)
        piece = os.pread(segment.handle, 4096, offset)
        while (end := piece.find(b"\n")) < 0:
            more = os.pread(segment.handle, 1 << 16, offset + len(piece))
            if not more:
                end = len(piece)
                break
            piece += more
        _, kind, _, _, _, rest = piece[:end].split(b" ", 5)
        return orjson.loads(rest.partition(b" ")[2] if kind == b"a" else rest)

    def __len__(self) -> int:
        return len(self._index)

    def _read_new_lines(self, segment: Segment) -> None:
        size = os.fstat(segment.handle).st_size
        if size <= segment.read_to:
            return
        with open(segment.handle, "rb", closefd=False) as file:
            file.seek(segment.read_to)
            offset = segment.read_to
            for raw in file:
                if raw == b"\n":  # written by who took over a segment that ended in a torn line
                    offset += 1
                    continue
                if not raw.endswith(b"\n") and segment.is_alive() and not segment.is_held_by_us:
                    break  # its writer is in the middle of a line
                self._take_in(segment, parse_line(raw), offset)
                offset += len(raw)
        segment.read_to = offset

    def _take_in(self, segment: Segment, line: Line | None, offset: int) -> None:
        if line is None:
            self.n_damaged += 1
        elif line.kind == "i":
            if (before := segment.open_calls.get(line.key)) is not None:
                self._doubt(before)
            segment.open_calls[line.key] = (line.usd_nano, line.tokens)
        elif line.kind == "b":
            self.batched.enter(line)
        else:
            if line.kind in "ae":
                self.batched.leave(line)
            else:
                segment.open_calls.pop(line.key, None)
            self._usd_nano += line.usd_nano
            self._tokens += line.tokens
            if line.kind in "ra":
                self._add(line.key, segment.number << SEGMENT_BITS | offset)

    def _doubt(self, cost: tuple[int, int]) -> None:
        """Count a call that nobody will ever hear of as spent."""
        self._doubt_usd_nano += cost[0]
        self._doubt_tokens += cost[1]

    def _add(self, key: str, place: int) -> None:
        before = self._index.get(key)
        if before is None:
            self._index[key] = place
        else:
            self._index[key] = [*(before if isinstance(before, list) else [before]), place]

    # --- claiming ---

    def claim(self, key: str, usd: float, tokens: int, cap: Cap, may_repeat: bool = False) -> str:
        """Say that this process is about to send `key`, unless another one is, or has, or it could cost too much.

        Args:
            usd, tokens: the most that the call can cost. may_repeat: claim it although a reply is known.

        Returns:
            OURS: send it. ANSWERED: another run's reply is here by now. THEIRS: a live run has it in flight.
            BATCHED: it is in a batch. OVER: with it, and all that is in flight or in doubt, more than `cap` could be spent.
        """
        with self._locked():
            state = self._look(key, usd, tokens, cap, may_repeat)
            if state == OURS:
                self._write("i", key, round(usd * NANO), tokens, b"")
        return state

    def claim_batch(self, batch_id: str, claims: Iterable[Claim], cap: Cap) -> tuple[list[Claim], Claim | None]:
        """Say that calls are about to be sent in one batch.

        Returns:
            Those that may be, of which `claim` would say OURS, up to the first that is OVER; and that one, if any.
        """
        ours: list[Claim] = []
        with self._locked():
            self._refresh()
            for claim in claims:
                state = self._judge(*claim[:3], cap, claim.may_repeat)
                if state == OVER:
                    return ours, claim
                if state == OURS:
                    self._write("b", claim.key, round(claim.usd * NANO), claim.tokens, batch_id.encode())
                    ours.append(claim)
        return ours, None

    def look(self, key: str, usd: float, tokens: int, cap: Cap, may_repeat: bool = False) -> str:
        """What `claim` would say, without claiming."""
        with self._locked():
            return self._look(key, usd, tokens, cap, may_repeat)

    def _look(self, key: str, usd: float, tokens: int, cap: Cap, may_repeat: bool) -> str:
        self._refresh()
        return self._judge(key, usd, tokens, cap, may_repeat)

    def _judge(self, key: str, usd: float, tokens: int, cap: Cap, may_repeat: bool) -> str:
        if not may_repeat and (key in self._index or key in self._held):
            return ANSWERED
        if self.batched.find(key) is not None:
            return BATCHED
        if any(key in s.open_calls and s.is_alive() for s in self._segments.values()):
            return THEIRS
        return OVER if self._would_exceed(usd, tokens, cap) else OURS

    def _would_exceed(self, usd: float, tokens: int, cap: Cap) -> bool:
        if cap == Cap():
            return False
        spent = self.spent()
        is_over_usd = cap.usd is not None and spent.usd + spent.usd_in_doubt + usd > cap.usd + 1 / NANO
        return is_over_usd or (cap.tokens is not None and spent.tokens + spent.tokens_in_doubt + tokens > cap.tokens)

    def spent(self) -> Spent:
        """What was spent so far by all runs that this process has read of."""
        doubtful = [cost for segment in self._segments.values() for cost in segment.open_calls.values()]
        usd_nano = self._doubt_usd_nano + self.batched.usd_nano + sum(cost[0] for cost in doubtful)
        tokens = self._doubt_tokens + self.batched.tokens + sum(cost[1] for cost in doubtful)
        return Spent(self._usd_nano / NANO, self._tokens, usd_nano / NANO, tokens)

    def count_in_flight(self) -> int:
        """Calls that a live process has in flight."""
        return sum(len(s.open_calls) for s in self._segments.values() if s.open_calls and s.is_alive())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def refresh(self) -> None:
        """Read what other processes wrote until now."""
        with self._locked():
            self._refresh()

    def _refresh(self) -> None:
        """Read what other processes wrote; cheap while there are none."""
        n_opened = os.fstat(self._lock).st_size
        if n_opened != self._n_opened:
            self._n_opened = n_opened
            for number, file in list_segments(self.folder):
                if number not in self._segments:
                    self._segments[number] = Segment(file, number)
        if len(self._segments) > 1:
            for segment in self._segments.values():
                if segment is not self._own:
                    self._read_new_lines(segment)

    # --- writing ---

    def append(
        self, key: str, usd: float, tokens: int, reply: dict[str, object], body: bytes | None = None, batch_id: str | None = None
    ) -> None:
        """Write down how a call ended; it is durable after the next `sync`.

        Args:
            reply: facts of the call. body: the reply's own JSON, kept as it came. batch_id: of the batch that it was in.

        Raises:
            StorageError: the disk is full; nothing more may be sent.
        """
        rest = orjson.dumps(reply)
        if body is not None:
            rest = b'{"body":' + body.replace(b"\n", b" ").replace(b"\r", b" ") + (b"," if reply else b"") + rest[1:]
        if batch_id is None:
            self._write("r", key, round(usd * NANO), tokens, rest)
        else:
            self._write("a", key, round(usd * NANO), tokens, batch_id.encode() + b" " + rest)

    def hold(self, key: str, reply: dict[str, object]) -> None:
        """Let this run find a reply that is not to be written down yet; `settle_held` ends that."""
        self._held[key] = reply

    def settle_held(self, keys: Iterable[str], is_kept: bool) -> None:
        """Write down replies that were held back, or forget them."""
        for key in keys:
            reply = self._held.pop(key)
            if is_kept:
                self.append(key, 0.0, 0, reply)

    def fail(self, key: str, usd_in_doubt: float = 0.0, tokens_in_doubt: int = 0) -> None:
        """Write down that a call ended without a whole reply."""
        self._write("f", key, round(usd_in_doubt * NANO), tokens_in_doubt, b"")

    def leave_batch(self, key: str, batch_id: str, words: str = "", is_in_doubt: bool = False) -> None:
        """Write down that a call's batch ended without a whole reply to it.

        Args:
            words: why, when it was tried. is_in_doubt: it may have been billed with the most that it can cost.
        """
        place = self.batched.find(key)
        usd_nano, tokens = (place.usd_nano, place.tokens) if place is not None and is_in_doubt else (0, 0)
        self._write("e", key, usd_nano, tokens, f"{batch_id} {words}".rstrip().encode())

    def _write(self, kind: str, key: str, usd_nano: int, tokens: int, rest: bytes) -> None:
        text = f"{kind} {key} {usd_nano} {tokens} ".encode() + rest
        offset = self._own.read_to
        raw = b"%08x %s\n" % (zlib.crc32(text), text)
        self._put(raw, offset)
        self._own.read_to = offset + len(raw)
        self._take_in(self._own, Line(kind, key, usd_nano, tokens, rest), offset)

    def _put(self, raw: bytes, offset: int) -> None:
        try:
            if os.write(self._own.handle, raw) == len(raw):
                return None
            raise OSError(28, "No space left on device")
        except OSError as error:
            os.ftruncate(self._own.handle, offset)
            self.is_full = True
            if self._drop_ballast():
                return self._put(raw, offset)
            raise cannot_write(self._own.file, error) from error

    def _drop_ballast(self) -> bool:
        """Free the space kept for replies that were in flight when the disk filled up."""
        with suppress(OSError):
            (self.folder / "ballast").unlink()
            return True
        return False

    def sync(self) -> None:
        """Flush what was appended to the disk.

        Raises:
            StorageError: the disk is full; earlier replies are safe.
        """
        try:
            os.fdatasync(self._own.handle)
        except OSError as error:
            raise cannot_write(self._own.file, error) from error

    def close(self) -> None:
        """Flush, and give the segment up."""
        try:
            self.sync()
        finally:
            for segment in self._segments.values():
                os.close(segment.handle)
            os.close(self._lock)


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Open a recipe's journal; other processes may have it open too.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        journal = _open(folder)
    except OSError as error:
        raise cannot_write(error.filename or folder, error) from error
    try:
        yield journal
    finally:
        journal.close()


def _open(folder: Path) -> Journal:
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "claims.lock", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        segments = [Segment(file, number) for number, file in list_segments(folder)]
        own = next((segment for segment in segments if segment.try_hold()), None)
        if own is None:
            number = 1 + max((segment.number for segment in segments), default=0)
            own = Segment(folder / f"segment-{number}.log", number)
            own.try_hold()
            segments.append(own)
            os.write(lock, b".")  # its size tells the others to look for new segments; times are too coarse
        own.is_held_by_us = True
        part_torn_line(own)
        lay_ballast(folder)
        return Journal(folder, own, segments, lock)
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def cannot_write(file: object, error: OSError) -> StorageError:
    """The error of a journal that takes no more."""
    return StorageError(
        f"{file} cannot be written: {error.strerror}. Replies that were acknowledged are safe and nothing more is sent. "
        "Free disk space or fix the folder's permissions, then run again: only what is missing is asked for."
    )
