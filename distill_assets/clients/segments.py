"""The journal's files: one line, one segment, and who holds it.

Belongs here: the bytes of a line, the lock of a segment, what a killed run left at its end. Does not belong here:
what lines mean together (journal).
"""

from __future__ import annotations

import fcntl
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

BALLAST_BYTES = 4 << 20


class Line(NamedTuple):
    """One line, read."""

    kind: str
    key: str
    usd_nano: int
    tokens: int
    rest: bytes


class Segment:
    """One file of the journal: how far it was read, and the calls in it that have an intent and no end yet."""

    def __init__(self, file: Path, number: int) -> None:
        self.file, self.number = file, number
        self.handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.read_to = 0
        self.open_calls: dict[str, tuple[int, int]] = {}
        self.is_held_by_us = False

    def try_hold(self) -> bool:
        """Take the segment's lock for this process, if no live process has it."""
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_alive(self) -> bool:
        """Whether another process holds the segment."""
        if self.is_held_by_us:
            return True
        if self.try_hold():
            fcntl.flock(self.handle, fcntl.LOCK_UN)
            return False
        return True


def parse_line(raw: bytes) -> Line | None:
    """Read a line; None when its checksum does not fit."""
    text = raw[9:].rstrip(b"\n")
    try:
        if raw[8:9] != b" " or int(raw[:8], 16) != zlib.crc32(text):
            return None
        kind, key, usd_nano, tokens, rest = text.split(b" ", 4)
        return Line(kind.decode(), key.decode(), int(usd_nano), int(tokens), rest)
    except ValueError:  # a line of an older form
        return None


def list_segments(folder: Path) -> list[tuple[int, Path]]:
    """Number and file of each segment, in order."""
    files = [(file.stem.removeprefix("segment-"), file) for file in folder.glob("segment-*.log")]
    return sorted((int(number), file) for number, file in files if number.isdigit())


def part_torn_line(segment: Segment) -> None:
    """End a line that a killed run left in its middle, so that the next one is whole."""
    size = os.fstat(segment.handle).st_size
    if size and os.pread(segment.handle, 1, size - 1) != b"\n":
        os.write(segment.handle, b"\n")


def lay_ballast(folder: Path) -> None:
    """Keep some space back, so that replies in flight when the disk fills up can still be written."""
    file = folder / "ballast"
    with suppress(OSError), file.open("ab") as handle:
        if os.fstat(handle.fileno()).st_size < BALLAST_BYTES:  # one that did not fit when it was laid
            os.posix_fallocate(handle.fileno(), 0, BALLAST_BYTES)
