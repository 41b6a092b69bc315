"""Merkle trees over a dataset's rows, and proofs that a row is in it or not that need neither rows nor database.

Belongs here: roots, proofs, checking them. Does not belong here: what a proof is used for (erasure, packs).

A tree has 4,096 leaves: a row belongs to the bucket of its generation_id's first 12 bits. A leaf is SHA-256 of 0x00, the
bucket's number (two bytes, big end first) and its entries, sorted; an entry is generation_id and row_digest, 16 bytes
each. A node above is SHA-256 of 0x01 and its two children; 12 levels up stands the root. A bucket is shown whole, so
what is not in it is not in the dataset. The two prefixes keep a leaf from passing for a node (RFC 6962, section 2.1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from distill_assets.errors import LineageError, name_culprits

N_LEVELS = 12
N_BUCKETS = 1 << N_LEVELS
ID_BYTES = 16
ENTRY_BYTES = 2 * ID_BYTES
PROOF_FORMAT = "distill-proof/1"
CLAIMS = ("absent", "present")
# A proof for some ids of 10 million rows has 80 KB a bucket; beyond these a proof is refused unread.
MAX_BUCKET_CHARS = 1 << 24
# Gathering takes DuckDB about 200 bytes a row.
_PIECE_ROWS = 1_000_000


class Tree(NamedTuple):
    """A dataset's tree: entries by bucket, and hashes by level from the 4,096 leaves to the one root."""

    entries: Sequence[bytes]
    levels: Sequence[Sequence[bytes]]

    @property
    def root(self) -> str:
        """The root as 64 hex characters."""
        return self.levels[-1][0].hex()


class ProofCheck(NamedTuple):
    """Whether a proof holds, and why not; true when it holds."""

    holds: bool
    words: str

    def __bool__(self) -> bool:
        return self.holds


def build_tree(rows: Iterable[tuple[str, str]]) -> Tree:
    """Build the tree over (generation_id, row_digest), both as 32 hex characters, in any order.

    Raises:
        LineageError: an id is no id, or comes twice.
    """
    entries = sorted(parse_id(generation_id) + parse_id(digest) for generation_id, digest in rows)
    buckets: list[list[bytes]] = [[] for _ in range(N_BUCKETS)]
    for entry in entries:
        buckets[find_bucket(entry)].append(entry)
    joined = [b"".join(bucket) for bucket in buckets]
    for number, bucket in enumerate(joined):
        if words := _find_entry_fault(number, bucket):
            raise LineageError(f"no tree can be built: {words}. Nothing was written. Give every row once.")
    return _grow(joined)


def read_tree(connection, snapshot_id: str) -> Tree:
    """Build the tree of a dataset that the ledger holds; `connection` is a ledger's. Under 2 CPU seconds a million rows.

    Raises:
        LineageError: the ledger holds no row of it, or holds one twice.
    """
    snapshot = UUID(bytes=parse_id(snapshot_id))
    found: list[tuple[bytes, bytes]] = []
    n_pieces = _count_pieces(connection, snapshot)
    for piece in range(n_pieces):
        first, last = (place * N_BUCKETS // n_pieces for place in (piece, piece + 1))
        bounds = [f"{number:03x}{filler * 29}" for number, filler in ((first, "0"), (last - 1, "f"))]
        found += connection.execute(_SELECT_BUCKETS, [snapshot, *bounds]).fetchall()
    if not found:
        raise LineageError(
            f"the ledger holds no row of the dataset {snapshot_id}. Nothing was changed. Give the id of a recorded one."
        )
    entries = [b""] * N_BUCKETS
    for number, joined in found:
        entries[int.from_bytes(number, "big")] = joined
    for number, bucket in enumerate(entries):
        if words := _find_entry_fault(number, bucket):
            raise LineageError(f"the ledger's rows of the dataset {snapshot_id} are no tree: {words}. Nothing was changed.")
    return _grow(entries)


_SELECT_BUCKETS = """select unhex(k), unhex(string_agg(e, '' order by e)) from (
  select '0' || left(hex, 3) as k, hex || replace(row_digest::varchar, '-', '') as e
  from (select replace(generation_id::varchar, '-', '') as hex, row_digest from snapshot_row
    where snapshot_id = ? and generation_id between ?::uuid and ?::uuid)) group by k"""


def _count_pieces(connection, snapshot: UUID) -> int:
    """In how many pieces a dataset is read, so that it fits into the connection's memory; a power of two."""
    [[n_rows]] = connection.execute("select count(*) from snapshot_row where snapshot_id = ?", [snapshot]).fetchall()
    return min(N_BUCKETS, 1 << (n_rows // _PIECE_ROWS).bit_length())


def root_of(connection, snapshot_id: str) -> str:
    """The root of a dataset that the ledger holds, as 64 hex characters."""
    return read_tree(connection, snapshot_id).root


def parse_id(text: str) -> bytes:
    """16 bytes of an id given as 32 hex characters or as a UUID's text.

    Raises:
        LineageError: it is neither.
    """
    try:
        raw = bytes.fromhex(str(text).replace("-", ""))
    except ValueError:
        raw = b""
    if len(raw) != ID_BYTES:
        raise LineageError(f"{str(text)[:80]!r} is no id of the ledger. Nothing was changed. Give 32 hex characters.")
    return raw


def find_bucket(entry: bytes) -> int:
    """The bucket of an id or entry: its first 12 bits."""
    return entry[0] << 4 | entry[1] >> 4


def hash_leaf(number: int, entries: bytes) -> bytes:
    """Hash of a bucket."""
    return hashlib.sha256(b"\x00" + number.to_bytes(2, "big") + entries).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash of a node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _grow(entries: Sequence[bytes]) -> Tree:
    levels = [[hash_leaf(number, bucket) for number, bucket in enumerate(entries)]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([hash_node(below[i], below[i + 1]) for i in range(0, len(below), 2)])
    return Tree(entries, levels)


# --- proofs ---


def prove_absence(connection, snapshot_id: str, ids: Iterable[str]) -> dict[str, Any]:
    """A proof that none of `ids` is in a dataset, for `check_proof`; about 11 KB for one id of a million rows.

    Raises:
        LineageError: one of them is in it.
    """
    return prove(read_tree(connection, snapshot_id), ids, "absent")


def prove_presence(connection, snapshot_id: str, ids: Iterable[str]) -> dict[str, Any]:
    """A proof that all of `ids` are in a dataset; see `prove_absence`."""
    return prove(read_tree(connection, snapshot_id), ids, "present")


def prove(tree: Tree, ids: Iterable[str], claim: str) -> dict[str, Any]:
    """A proof for several ids; they share buckets and the hashes beside their paths.

    Returns:
        JSON: `buckets` (number -> entries as base64) and `siblings` ("level:position" -> hash) that lead to `root`.

    Raises:
        LineageError: the claim is false, or no id is given.
    """
    wanted = sorted({parse_id(text) for text in ids})
    if not wanted or claim not in CLAIMS:
        raise LineageError(f"no proof of '{claim}' for {len(wanted)} ids. Name at least one id, and absent or present.")
    false = [id_.hex() for id_ in wanted if _contains(tree.entries[find_bucket(id_)], id_) != (claim == "present")]
    if false:
        raise LineageError(f"{name_culprits(false)} not {claim} in the dataset with the root {tree.root}. No proof was made.")
    numbers = sorted({find_bucket(id_) for id_ in wanted})
    return {
        "format": PROOF_FORMAT,
        "claim": claim,
        "root": tree.root,
        "ids": [id_.hex() for id_ in wanted],
        "buckets": {str(number): base64.b64encode(tree.entries[number]).decode("ascii") for number in numbers},
        "siblings": {f"{level}:{position}": tree.levels[level][position].hex() for level, position in _list_siblings(numbers)},
    }


def _list_siblings(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """(level, position) of the hashes that are needed beside the buckets `numbers` to come to the root."""
    needed, known = [], set(numbers)
    for level in range(N_LEVELS):
        needed += [(level, position ^ 1) for position in sorted(known) if position ^ 1 not in known]
        known = {position >> 1 for position in known}
    return needed


def _contains(entries: bytes, id_: bytes) -> bool:
    ids = [entries[i : i + ID_BYTES] for i in range(0, len(entries), ENTRY_BYTES)]
    place = bisect_left(ids, id_)
    return place < len(ids) and ids[place] == id_


def _find_entry_fault(number: int, entries: bytes) -> str | None:
    """What is wrong with a bucket: its entries have their size, belong to it, and stand sorted with no id twice."""
    if len(entries) % ENTRY_BYTES:
        return f"bucket {number} has {len(entries)} bytes"
    ids = [entries[i : i + ID_BYTES] for i in range(0, len(entries), ENTRY_BYTES)]
    if any(find_bucket(id_) != number for id_ in (ids[:1] + ids[-1:])):
        return f"bucket {number} holds an id of another bucket"
    if any(left >= right for left, right in pairwise(ids)):
        return f"bucket {number} is not sorted or holds an id twice"
    return None


def check_proof(proof: Mapping[str, Any], root: str, ids: Iterable[str], claim: str = "absent") -> ProofCheck:
    """Check that `proof` shows that all of `ids` are absent from (or present in) the dataset with `root`. Needs no database.

    Args:
        root: 64 hex characters from where they can be trusted, such as lineage.json or the chain, not from the proof.
    """
    try:
        wanted = sorted({parse_id(text) for text in ids})
        if not wanted or claim not in CLAIMS:
            return ProofCheck(False, f"nothing was asked: {len(wanted)} ids, claim '{claim}'")
        buckets, siblings = _read_proof(proof)
        if words := next((words for number, entries in buckets.items() if (words := _find_entry_fault(number, entries))), None):
            return ProofCheck(False, words)
        if missing := [id_.hex() for id_ in wanted if find_bucket(id_) not in buckets]:
            return ProofCheck(False, f"the proof does not show where {name_culprits(missing)} would be")
        if _climb(buckets, siblings) != root:
            return ProofCheck(False, f"the proof does not lead to the root {root[:80]}")
        false = [id_.hex() for id_ in wanted if _contains(buckets[find_bucket(id_)], id_) != (claim == "present")]
    except LineageError as error:
        return ProofCheck(False, str(error))
    if false:
        return ProofCheck(False, f"{name_culprits(false)} not {claim}")
    return ProofCheck(True, f"{len(wanted)} ids are {claim}")


def _read_proof(proof: Mapping[str, Any]) -> tuple[dict[int, bytes], dict[tuple[int, int], bytes]]:
    """Buckets and siblings of a proof that may come from anybody."""
    try:
        if proof["format"] != PROOF_FORMAT:
            raise LineageError(f"the proof is not of the format {PROOF_FORMAT}")
        buckets = {}
        for key, text in proof["buckets"].items():
            if not 0 <= int(key) < N_BUCKETS or str(int(key)) != key or len(text) > MAX_BUCKET_CHARS:
                raise LineageError(f"the proof has a bucket {str(key)[:20]!r}")
            buckets[int(key)] = base64.b64decode(text, validate=True)
        siblings = {}
        for level, position in _list_siblings(sorted(buckets)):
            siblings[level, position] = bytes.fromhex(proof["siblings"][f"{level}:{position}"])
        n_given = len(proof["siblings"])
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise LineageError(f"the proof cannot be read ({type(error).__name__})") from error
    if len(siblings) != n_given or any(len(digest) != 32 for digest in siblings.values()):
        raise LineageError("the proof has other siblings than its buckets need")
    return buckets, siblings


def _climb(buckets: Mapping[int, bytes], siblings: Mapping[tuple[int, int], bytes]) -> str:
    known = {number: hash_leaf(number, entries) for number, entries in buckets.items()}
    for level in range(N_LEVELS):
        above = {}
        for position in known:
            even = position & ~1
            left, right = (known.get(side) or siblings[level, side] for side in (even, even + 1))
            above[position >> 1] = hash_node(left, right)
        known = above
    return known[0].hex() if known else ""
