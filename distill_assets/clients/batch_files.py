"""What is known of each batch, on the disk: `journal/<recipe>/batches/<id>.json`, and its calls in `<id>.jsonl`.

Belongs here: the steps of a batch's life, written one after the other, each whole and durable before the next begins.
Does not belong here: what happens between two steps (batches) or which calls are in a batch (journal).

    prepared   its calls are being claimed; the endpoint knows nothing of it
    uploaded   the endpoint has its file; whether it has the batch too is for its list of batches to say
    created    the endpoint works on it
    ended      the endpoint is done with it
    collected  all that came back is in the journal
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import orjson

from distill_assets.clients.endpoints import name_provider
from distill_assets.errors import StorageError
from distill_assets.storage import replace_atomically, write_bytes
from distill_assets.teachers import TeacherSpec

FOLDER = "batches"
BODY_MARK = b',"body":'
PREPARED, UPLOADED, CREATED, ENDED, COLLECTED = "prepared", "uploaded", "created", "ended", "collected"


class Batch(NamedTuple):
    """One batch as it is known here.

    `id` is ours, `batch_id` the endpoint's. `teacher` (its name), `provider` and `model` tell whose it is. `at` is when
    it came into its state, in seconds since 1970. `is_left`: no teacher of the recipe is its any more, so nobody waits
    for it; its cost stays reserved. `codes` and `words` are the endpoint's, on a batch that failed.
    """

    id: str
    teacher: str
    provider: str
    model: str
    state: str = PREPARED
    n_calls: int = 0
    prompt_tokens: int = 0
    usd_at_most: float = 0.0
    file_id: str = ""
    batch_id: str = ""
    status: str = ""
    output_file_id: str | None = None
    error_file_id: str | None = None
    codes: tuple[str, ...] = ()
    words: str = ""
    at: float = 0.0
    is_left: bool = False

    @property
    def is_open(self) -> bool:
        """True while somebody waits for it."""
        return self.state != COLLECTED and not self.is_left

    def belongs_to(self, spec: TeacherSpec) -> bool:
        """Whether a teacher of the recipe would have asked its calls; a name may change."""
        return not spec.is_embedded and (self.provider, self.model) == (name_provider(spec), spec.model)


def state_file(folder: Path, batch_id: str) -> Path:
    """Where a batch's state lies."""
    return folder / f"{batch_id}.json"


def input_file(folder: Path, batch_id: str) -> Path:
    """Where a batch's calls lie until it is collected."""
    return folder / f"{batch_id}.jsonl"


def write_batch(folder: Path, batch: Batch) -> None:
    """Make a batch's state durable."""
    write_bytes(state_file(folder, batch.id), orjson.dumps(batch._asdict(), option=orjson.OPT_INDENT_2))


def read_batches(folder: Path) -> list[Batch]:
    """All batches of a recipe, oldest first.

    Raises:
        StorageError: a state file is damaged.
    """
    return sorted((_read(file) for file in folder.glob("*.json")), key=lambda batch: (batch.at, batch.id))


def _read(file: Path) -> Batch:
    try:
        data = orjson.loads(file.read_bytes())
        return Batch(**{**data, "codes": tuple(data["codes"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"{file} cannot be read as the state of a batch: {error}. Nothing was sent. Put it back from a copy; or delete it: "
            "its calls then count as spent with the most that they could cost, and are asked again."
        ) from error


def find_open(folder: Path, specs: Sequence[TeacherSpec]) -> list[Batch]:
    """The batches that the recipe's teachers wait for."""
    return [batch for batch in read_batches(folder) if batch.is_open and any(batch.belongs_to(spec) for spec in specs)]


def forget_batch(folder: Path, batch_id: str) -> None:
    """Remove a batch that the endpoint never had."""
    for file in (input_file(folder, batch_id), state_file(folder, batch_id)):
        with suppress(FileNotFoundError):
            file.unlink()


def write_input(folder: Path, batch_id: str, lines: Iterable[bytes]) -> None:
    """Make a batch's input file durable."""
    with replace_atomically(input_file(folder, batch_id)) as temporary, temporary.open("wb") as handle:
        handle.writelines(lines)


def read_sizes(folder: Path, batch_id: str) -> dict[str, int]:
    """A batch's calls, each with the bytes of its body; none when the file is gone."""
    try:
        with input_file(folder, batch_id).open("rb") as handle:
            return {orjson.loads(line)["custom_id"]: len(line.partition(BODY_MARK)[2]) - len(b"}\n") for line in handle}
    except FileNotFoundError:
        return {}


def write_line(key: str, content: bytes, path: str) -> bytes:
    """A call as a line of a batch's input file."""
    # Some readers of JSON lines break a line at these characters, too.
    body = content.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return b'{"custom_id":"%s","method":"POST","url":"%s"%s%s}\n' % (key.encode(), path.encode(), BODY_MARK, body)


def sweep(folder: Path, batches: Iterable[Batch]) -> None:
    """Remove what killed runs left: halves of files, and calls of batches that are collected."""
    collected = [input_file(folder, batch.id) for batch in batches if batch.state == COLLECTED]
    for file in (*folder.glob(".*.tmp"), *collected):
        file.unlink(missing_ok=True)


@contextmanager
def hold_batches(folder: Path) -> Iterator[None]:
    """Work on a recipe's batches alone: wait while another process does. The kernel frees it when this one ends."""
    handle = _open_lock(folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def are_held(folder: Path) -> bool:
    """Whether a process works on a recipe's batches right now."""
    handle = _open_lock(folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _open_lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder / "batches.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror}. Nothing was sent. Fix the folder's permissions and run again."
        ) from error
