"""The journal: every whole reply is on the disk before it counts, so that none is bought twice.

Belongs here: appending, syncing and reading back replies by request id. Does not belong here: calls
(openai_chat) or what a reply means (stages).

One JSONL file a recipe; each line is `crc32 json`. A torn last line, or a flipped bit anywhere, costs
that line only. One writer at a time, held by a lock that the kernel frees when the process ends.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill_assets.clients.chat import ChatReply
from distill_assets.errors import StorageError
from distill_assets.storage import hold_lock


class Journal:
    """Replies by request id; `append` then `sync` make new ones durable."""

    def __init__(self, file: Path, replies: dict[str, ChatReply], handle) -> None:
        self.file = file
        self.replies = replies
        self._handle = handle

    def append(self, reply: ChatReply) -> None:
        """Write one final reply; it is durable after the next `sync`."""
        if not reply.is_final:
            return
        text = json.dumps(reply._asdict(), ensure_ascii=True, separators=(",", ":"))
        try:
            self._handle.write(f"{zlib.crc32(text.encode()):08x} {text}\n")
        except OSError as error:
            raise _cannot_write(self.file, error) from error
        self.replies[reply.request_id] = reply

    def sync(self) -> None:
        """Flush what was appended to the disk.

        Raises:
            StorageError: the disk is full; earlier replies are safe.
        """
        try:
            self._handle.flush()
            os.fdatasync(self._handle.fileno())
        except OSError as error:
            raise _cannot_write(self.file, error) from error


def _cannot_write(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{file} cannot be written: {error.strerror}. Replies up to the last sync are safe and nothing more was sent. "
        "Free disk space, then run again: only what is missing is asked for."
    )


@contextmanager
def open_journal(folder: Path, holder: str) -> Iterator[Journal]:
    """Open a recipe's journal for this process alone.

    Raises:
        LockedError: another run is generating into it.
        StorageError: it cannot be opened.
    """
    file = folder / "generations.jsonl"
    with hold_lock(folder / "journal.lock", holder):
        try:
            replies = read_replies(file)
            with file.open("a", encoding="ascii") as handle:
                if file.stat().st_size and not _ends_with_newline(file):
                    handle.write("\n")  # part a torn line from what follows
                journal = Journal(file, replies, handle)
                yield journal
                journal.sync()
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise _cannot_write(file, error) from error


def _ends_with_newline(file: Path) -> bool:
    with file.open("rb") as handle:
        handle.seek(-1, os.SEEK_END)
        return handle.read(1) == b"\n"


def read_replies(file: Path) -> dict[str, ChatReply]:
    """Return the replies of a journal file by request id; lines that fail their checksum are left out."""
    if not file.exists():
        return {}
    replies = {}
    with file.open("rb") as handle:
        for line in handle:
            reply = _read_line(line)
            if reply is not None:
                replies[reply.request_id] = reply
    return replies


def _read_line(line: bytes) -> ChatReply | None:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not text or f"{zlib.crc32(text):08x}".encode() != checksum:
        return None
    fields = json.loads(text)
    if not isinstance(fields, dict) or not {"request_id", "status"} <= set(fields):
        return None
    # A field that another version of this package wrote is no reason to buy the reply again.
    return ChatReply(**{name: value for name, value in fields.items() if name in ChatReply._fields})
