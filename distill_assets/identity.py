"""Content ids and fingerprints: the one place where bytes become names.

Belongs here: hashing of values, rows and files. Does not belong here: what goes into an id
(each stage decides that) and any clock or randomness.

An id is the first 128 bits of SHA-256 as 32 hex characters, so that it fits a UUID column
(docs/architecture.md, "Ids").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson

ID_CHARS = 32
SCALARS = frozenset({str, int, bool, type(None)})


def canonical_json(value: object) -> str:
    """Serialise `value` so that equal values give equal text (sorted keys, no spaces, no NaN).

    Raises:
        TypeError: for anything without a stable serialisation, such as a callable.
    """
    return canonical_bytes(value).decode("utf-8", errors="surrogatepass")


def canonical_bytes(value: object) -> bytes:
    """`canonical_json` in UTF-8, which is what is hashed; lone surrogates pass."""
    if _is_plain(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # a lone surrogate, or an integer beyond 64 bits
            pass
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", errors="surrogatepass")


def _is_plain(value: object) -> bool:
    """Whether orjson writes `value` as json does, ten times faster: no floats, whose text differs, and no odd types."""
    if type(value) in SCALARS:
        return True
    if type(value) is dict:
        if not all(type(key) is str for key in value):
            return False
        value = tuple(value.values())
    if type(value) is not list and type(value) is not tuple:
        return False
    for item in value:  # noqa: SIM110 - a generator takes twice as long, and this runs for each row of each table
        if type(item) not in SCALARS and not _is_plain(item):
            return False
    return True


def hash_text(text: str) -> str:
    """Return the full SHA-256 of `text` as 64 hex characters."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def make_id(*parts: object) -> str:
    """Return the 32-character content id of `parts`; their order matters."""
    return hashlib.sha256(canonical_bytes(parts)).hexdigest()[:ID_CHARS]


def fingerprint(spec: Mapping[str, object]) -> str:
    """Return 12 hex characters that name the literals which decide a result."""
    return hash_text(canonical_json(spec))[:12]


def hash_rows(rows: Iterable[Mapping[str, object]]) -> str:
    """Return the order-free digest of `rows`: SHA-256 over their sorted single digests."""
    return join_digests([hash_row(row) for row in rows])


def hash_row(row: Mapping[str, object]) -> str:
    """Return one row's digest."""
    return hashlib.sha256(canonical_bytes(row)).hexdigest()


def join_digests(digests: list[str]) -> str:
    """Return the digest of rows from their single ones, whatever their order; sorts `digests` in place."""
    digests.sort()
    whole = hashlib.sha256()
    for number, digest in enumerate(digests):  # one by one: joined, they would stand in memory twice more
        whole.update(f"\n{digest}".encode() if number else digest.encode())
    return whole.hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while piece := handle.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def unit_interval(*parts: object) -> float:
    """Map `parts` to a fixed number in [0, 1): a split or sample that no row's position can change."""
    return int(hashlib.sha256(canonical_bytes(parts)).hexdigest()[:13], 16) / 16**13
