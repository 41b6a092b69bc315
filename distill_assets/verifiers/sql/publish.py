"""Putting a finished file in place in one step.

Belongs here: the write-beside-then-rename of database files. Does not belong here: what is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill_assets.errors import DatabaseSourceError


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """Yield a fresh path beside `target` and rename it to `target` when the block ends well.

    A block that raises leaves `target` as it was and nothing beside it.

    Raises:
        DatabaseSourceError: when DuckDB left a write-ahead log, so that the file alone is not whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    log = draft.with_name(draft.name + ".wal")
    try:
        draft.unlink(missing_ok=True)
        yield draft
        if log.exists():
            raise DatabaseSourceError(f"{draft} was not checkpointed; {target} was not replaced. Close every connection to it.")
        with draft.open("rb+") as handle:
            os.fsync(handle.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
