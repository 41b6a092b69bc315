"""Calls on their way into a batch, gathered while a run resolves its requests.

Belongs here: keeping calls until they are submitted, each once. Does not belong here: which go (batches) or the
batch's own files (batch_files).

The calls' lines wait in a file without a name, so that a plan of a million calls takes no memory for their texts and
a killed run leaves nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from distill_assets.clients.batch_files import write_line
from distill_assets.clients.journal import Journal
from distill_assets.clients.resolve import Call
from distill_assets.teachers import TeacherSpec


class Posted(NamedTuple):
    """One call that waits: where its line lies in the file, and what the call was."""

    offset: int
    n_bytes: int
    n_content: int
    max_tokens: int
    is_repeat: bool


class Outbox:
    """One teacher's calls that are to be asked in a batch."""

    def __init__(self, spec: TeacherSpec, journal: Journal, folder: Path, path: str) -> None:
        """Args: folder: where the file without a name lies. path: what each line asks, as the endpoint names it."""
        self._spec, self._journal, self._path = spec, journal, path
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._size = 0
        self.calls: dict[str, Posted] = {}

    def put(self, call: Call) -> tuple[str, str]:
        """Take a call that is missing; return with which status and words its request ends for this run."""
        n_tries = self._journal.batched.count_failures(call.key)
        if n_tries >= self._spec.limits.max_tries:
            words = self._journal.batched.tell_failure(call.key)
            return "error", f"{words} (in {n_tries} batches; a higher limits.max_tries asks again)"
        if call.key not in self.calls and self._journal.batched.find(call.key) is None:
            line = write_line(call.key, call.content, self._path)
            self._file.write(line)
            self.calls[call.key] = Posted(self._size, len(line), len(call.content), call.max_tokens, call.is_repeat)
            self._size += len(line)
        return "waiting", "a batch has this call, or will"

    def read_lines(self, keys: list[str]) -> Iterator[bytes]:
        """The lines of some calls."""
        self._file.flush()
        for key in keys:
            posted = self.calls[key]
            self._file.seek(posted.offset)
            yield self._file.read(posted.n_bytes)
        self._file.seek(self._size)

    def close(self) -> None:
        """Forget what was not submitted; the next run resolves it again."""
        self._file.close()
