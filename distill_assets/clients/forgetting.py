"""Replies out of a journal for good: what stood in them goes, what they cost stays counted.

Belongs here: rewriting segments without the text of some replies. Does not belong here: which replies (commands/lineage/scrubbing).

A reply's line becomes a failure's line with the same cost, so that budgets still know what was spent, and a line of a batch becomes the
end of its call. A segment is replaced as a whole, under the journal's own locks, so a kill leaves the old one or the new one.
"""

from __future__ import annotations

import fcntl
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from distill_assets.clients.segments import Line, Segment, list_segments, parse_line
from distill_assets.errors import LockedError
from distill_assets.storage import replace_atomically

ENDS = {"r": "f", "a": "e"}


def forget_replies(folder: Path, is_named: Callable[[list[Line]], list[bool]]) -> int:
    """Remove the texts of replies from a recipe's journal; return how many.

    Args:
        is_named: says of replies, given as lines, which ones go.

    Raises:
        LockedError: a run is at work on the journal; nothing was changed.
        StorageError: a segment cannot be written; it is as it was.
    """
    if not folder.is_dir():
        return 0
    lock = os.open(folder / "claims.lock", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    segments = [Segment(file, number) for number, file in list_segments(folder)]
    try:
        if any(not segment.try_hold() for segment in segments):
            raise LockedError(f"{folder} is in use by a run. Nothing was removed from it. Wait until it ends, then run again.")
        for draft in folder.glob(".segment-*.tmp"):  # of a process that was killed in here
            draft.unlink(missing_ok=True)
        return sum(_rewrite(segment.file, is_named) for segment in segments)
    finally:
        for segment in segments:
            os.close(segment.handle)
        os.close(lock)


def _rewrite(file: Path, is_named: Callable[[list[Line]], list[bool]]) -> int:
    raw = re.findall(rb"[^\n]*\n|[^\n]+", file.read_bytes())  # only a line break ends a line; words from outside can have others
    lines = [parse_line(line) for line in raw]
    replies = [(place, line) for place, line in enumerate(lines) if line is not None and line.kind in ENDS]
    named = [place for (place, _), gone in zip(replies, is_named([line for _, line in replies]), strict=True) if gone]
    # A damaged line can hold anything, and nothing reads it any more.
    damaged = [place for place, line in enumerate(lines) if line is None and raw[place].strip()]
    if not named:
        return 0
    for place in named:
        raw[place] = _write_end(lines[place])
    for place in damaged:
        raw[place] = b""
    with replace_atomically(file) as draft:
        draft.touch(0o600)
        draft.write_bytes(b"".join(raw))
    return len(named)


def _write_end(line: Line | None) -> bytes:
    assert line is not None
    rest = line.rest.partition(b" ")[0] if line.kind == "a" else b""
    text = f"{ENDS[line.kind]} {line.key} {line.usd_nano} {line.tokens} ".encode() + rest
    return b"%08x %s\n" % (zlib.crc32(text), text)
