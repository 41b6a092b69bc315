"""People's labels: an append-only journal in the workspace, and the table that it amounts to.

Belongs here: one label, the file that keeps it, reading it back. Does not belong here: which samples people see
(drawing), what their labels mean together (measuring), labels made elsewhere (exchange) or asking anybody (commands).

A person's label is the dearest thing in a workspace, so the journal is only ever appended to, but for an erasure: a label is on the disk
before it is acknowledged, a later one of the same person on the same sample wins, and the earlier one stays. Each
line carries a digest of itself, so a damaged line is found and named by its number, and never counts.
"""

from __future__ import annotations

import fcntl
import json
import os
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl
import pydantic

from distill_assets.errors import ReviewError, StorageError
from distill_assets.identity import make_id
from distill_assets.storage import Workspace, replace_atomically, sync_path
from distill_assets.tables import REVIEW_LABELS, build_frame

MAX_REVIEWER_CHARS = 80
MAX_COMMENT_CHARS = 4_000
KEPT_CONTROLS = "\n\t"


class Label(pydantic.BaseModel):
    """One person's label on one sample.

    Args:
        labelled_at: ISO 8601 with an offset; kept as UTC in milliseconds. seen_status: what the judges said of the
        sample when it was shown. drawn: `random` if chance chose the sample, `chosen` if a person did.
        text_id: content id of the text that was shown (`name_text`).
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    sample_id: str = pydantic.Field(pattern=r"^[0-9a-f]{32}$")
    reviewer: str
    label: Literal["accept", "reject", "unsure"]
    comment: str = pydantic.Field("", max_length=MAX_COMMENT_CHARS)
    labelled_at: str
    seen_status: Literal["accepted", "rejected", "unscored"]
    drawn: Literal["random", "chosen"]
    text_id: str = pydantic.Field(pattern=r"^[0-9a-f]{32}$")

    @pydantic.field_validator("reviewer")
    @classmethod
    def check_reviewer(cls, value: str) -> str:
        """One spelling a name: composed, without white space around it."""
        name = unicodedata.normalize("NFC", value).strip()
        if not name or len(name) > MAX_REVIEWER_CHARS or not name.isprintable():
            raise ValueError(f"a reviewer is 1 to {MAX_REVIEWER_CHARS} printable characters")
        return name

    @pydantic.field_validator("comment")
    @classmethod
    def clean_comment(cls, value: str) -> str:
        """Without control characters, which would act in a terminal."""
        kept = [c for c in value.replace("\r\n", "\n") if c in KEPT_CONTROLS or unicodedata.category(c) not in ("Cc", "Cs")]
        return "".join(kept).strip()

    @pydantic.field_validator("labelled_at")
    @classmethod
    def check_time(cls, value: str) -> str:
        """One spelling a time."""
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError("a time needs its offset from UTC, as in 2026-11-21T23:15:00Z")
        return format_time(time.timestamp())

    @property
    def label_id(self) -> str:
        """Content id of the whole label; a line that does not fit its own is damaged."""
        return make_id("label", self.model_dump())


class Journal(NamedTuple):
    """All labels in the order in which they were given, and what of the file could not be read, by line."""

    labels: tuple[Label, ...]
    problems: tuple[str, ...]


class ReadLabels(NamedTuple):
    """The table `review_labels`, and what of the journal could not be read, by line."""

    frame: pl.DataFrame
    problems: tuple[str, ...]


def check_reviewer(name: str) -> str:
    """Return a reviewer's name in its one spelling.

    Raises:
        ReviewError: it is empty, too long, or has characters that do not print.
    """
    try:
        return Label.check_reviewer(name)
    except ValueError as error:
        raise ReviewError(
            f"{name[:MAX_REVIEWER_CHARS]!r}: {error}. Nothing was labelled. Say who you are: --reviewer NAME"
        ) from error


def format_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def name_text(question: str | None, trace: str | None, sql: str | None) -> str:
    """Content id of what a person is shown of a sample."""
    return make_id("shown", question, trace, sql)


def labels_file(workspace: Workspace, recipe: str) -> Path:
    """Where a recipe's labels lie."""
    return workspace.folder("reviews", recipe) / "labels.jsonl"


def append_labels(workspace: Workspace, recipe: str, labels: Sequence[Label]) -> None:
    """Add labels to the journal; when this returns they are on the disk, whatever happens next.

    Raises:
        StorageError: the file cannot be written; none of these labels is in it, all earlier ones are.
    """
    file = labels_file(workspace, recipe)
    data = "".join(f"{_write_line(label)}\n" for label in labels).encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _hold(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, fcntl.LOCK_EX) as handle:
            _append(handle, data)
        sync_path(file.parent)
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written: {error.strerror or error}. {len(labels)} labels were not saved; earlier ones are untouched. "
            "Free disk space or fix the folder's permissions, then label again."
        ) from error


def forget_labels(workspace: Workspace, recipe: str, sample_ids: Collection[str]) -> int:
    """Take the lines that name one of the samples out of the journal; return how many those were. Labels given meanwhile stay.

    Raises:
        StorageError: the file cannot be read or written; it is as it was.
    """
    file = labels_file(workspace, recipe)
    names = [sample_id.encode() for sample_id in sample_ids]
    try:
        with _hold(file, os.O_RDONLY, fcntl.LOCK_EX):
            lines = file.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not any(name in line for name in names)]
            if len(kept) < len(lines):
                with replace_atomically(file) as temporary:
                    temporary.write_bytes(b"".join(kept))
                    temporary.chmod(0o600)
            return len(lines) - len(kept)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StorageError(
            f"{file} cannot be rewritten: {error.strerror or error}. It is as it was. Fix the folder's permissions, then run again."
        ) from error


@contextmanager
def _hold(file: Path, flags: int, lock: int) -> Iterator[int]:
    """Open the journal under its lock; opened anew when it was rewritten while we waited, since what we hold then is no file any more."""
    while True:
        handle = os.open(file, flags, 0o600)
        try:
            fcntl.flock(handle, lock)
            if _is_still(handle, file):
                yield handle
                return
        finally:
            os.close(handle)


def _is_still(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _append(handle: int, data: bytes) -> None:
    size = os.fstat(handle).st_size
    # A writer that was killed in the middle of a line left it open: end it, so that this one is whole.
    is_torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
    left = memoryview(b"\n" + data if is_torn else data)
    try:
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, size)
        raise


def _write_line(label: Label) -> str:
    return json.dumps({**label.model_dump(), "label_id": label.label_id}, ensure_ascii=False)


def read_journal(workspace: Workspace, recipe: str) -> Journal:
    """Read all labels; a line that is none is reported and skipped, never repaired.

    Raises:
        StorageError: the file is there and cannot be read.
    """
    file = labels_file(workspace, recipe)
    try:
        with _hold(file, os.O_RDONLY, fcntl.LOCK_SH) as handle, open(handle, "rb", closefd=False) as lines:
            data = lines.read()
    except FileNotFoundError:
        return Journal((), ())
    except OSError as error:
        raise StorageError(
            f"{file} cannot be read: {error.strerror or error}. Nothing was changed. Fix its permissions; it holds people's labels."
        ) from error
    return _parse_journal(file, data)


def _parse_journal(file: Path, data: bytes) -> Journal:
    labels, problems = [], []
    lines = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            labels.append(parse_line(line))
        except (ValueError, RecursionError) as error:
            is_torn = number == len(lines)
            what = "cut short: its writer ended before it was acknowledged" if is_torn else f"damaged: {_shorten(error)}"
            problems.append(f"{file}:{number}: {what}; it does not count")
    return Journal(tuple(labels), tuple(problems))


def parse_line(line: bytes) -> Label:
    """Read one line of the journal.

    Raises:
        ValueError: it is no label, or is not as it was written.
    """
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")
    given = values.pop("label_id", None)
    label = Label.model_validate(values)
    if given != label.label_id:
        raise ValueError("it is not as it was written: its label_id does not fit")
    return label


def _shorten(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        return describe_mistakes(error)
    return str(error)


def describe_mistakes(error: pydantic.ValidationError) -> str:
    """A validation's first three mistakes in one line, without the values of other fields."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'label'}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors()[:3]
    )


def read_labels(workspace: Workspace, recipe: str) -> ReadLabels:
    """Return the table `review_labels`: of each person and sample the last label.

    Raises:
        StorageError: the journal is there and cannot be read.
    """
    journal = read_journal(workspace, recipe)
    return ReadLabels(tabulate_labels(journal.labels), journal.problems)


def tabulate_labels(labels: Sequence[Label]) -> pl.DataFrame:
    """The last label of each person on each sample; a sample that chance once showed them stays randomly drawn."""
    last: dict[tuple[str, str], dict[str, object]] = {}
    for label in labels:
        key = (label.sample_id, label.reviewer)
        was_random = key in last and last[key]["drawn"] == "random"
        last[key] = label.model_dump() | ({"drawn": "random"} if was_random else {})
    return build_frame(REVIEW_LABELS, list(last.values()))
