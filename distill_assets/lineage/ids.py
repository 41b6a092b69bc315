"""Salted ids: names in the ledger that nobody can guess back to a text without the salt.

Belongs here: the salt's file and what is made with it. Does not belong here: what an id is an id of.

An id of the ledger is the first 128 bits of SHA-256(salt as hex + id). Content ids alone would let anybody who guesses a
text check whether it was trained on; without the salt they tell nothing, so a ledger can be handed out.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from distill_assets.errors import LineageError, StorageError
from distill_assets.lineage.chain import CHAIN_FILE, read_genesis_salt_id
from distill_assets.storage import sync_path

SALT_FILE = "salt"
SALT_BYTES = 32
_RESTORE = (
    "Restore it from a copy. Nothing was changed; the ledger stays readable for every question that names no sample and no seed."
)


def load_salt(root: Path, create: bool) -> bytes:
    """Read the salt of the ledger at `root`: 32 bytes.

    Args:
        create: make one where there is neither a salt nor a chain.

    Raises:
        LineageError: it is missing beside a chain, damaged, or not the one the chain was begun with.
        StorageError: it cannot be written.
    """
    file = root / SALT_FILE
    if create and not file.exists() and not (root / CHAIN_FILE).exists():
        _make_salt(file)
    try:
        salt = file.read_bytes()
    except FileNotFoundError:
        raise LineageError(f"{file} is missing, so no sample can be named in the ledger. {_RESTORE}") from None
    except OSError as error:
        raise LineageError(f"{file} cannot be read: {error.strerror}. Nothing was changed. Fix its permissions.") from error
    if len(salt) != SALT_BYTES:
        raise LineageError(f"{file} holds {len(salt)} bytes, not {SALT_BYTES}. {_RESTORE}")
    expected = read_genesis_salt_id(root)
    if expected is not None and expected != salt_id(salt):
        raise LineageError(f"{file} is the salt {salt_id(salt)}, but the chain was begun with {expected}. {_RESTORE}")
    return salt


def salt_id(salt: bytes) -> str:
    """16 hex characters that name a salt without telling it."""
    return hashlib.sha256(b"distill-salt-id\x00" + salt).hexdigest()[:16]


def salted(salt: bytes, identifier: str) -> str:
    """The ledger's name for `identifier`: 32 hex characters, the text of a UUID without its dashes."""
    return hashlib.sha256((salt.hex() + identifier).encode("utf-8", errors="surrogatepass")).hexdigest()[:32]


def _make_salt(file: Path) -> None:
    """Write a new salt under another name and link it in place: it is there whole or not at all, and never replaced."""
    draft = file.with_name(f".{SALT_FILE}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(secrets.token_bytes(SALT_BYTES))
            handle.flush()
            os.fsync(handle.fileno())
        with suppress(FileExistsError):  # another process was faster: its salt counts
            os.link(draft, file)
        sync_path(file.parent)
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written: {error.strerror}. Nothing was recorded. Free disk space or fix the folder's permissions."
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()
