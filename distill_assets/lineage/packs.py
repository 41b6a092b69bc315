"""Packs: a checkpoint's records in one zip, which anybody can verify without the ledger, the weights or a network.

Belongs here: writing a pack and verifying one. Does not belong here: what verifying a folder or a ledger means (verify).

A pack stores its files uncompressed, in the order of their names and without times, so that equal content gives equal
bytes, every change of a byte is seen, and no zip can unfold into more than it is. It carries no salt.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from distill_assets.errors import LineageError
from distill_assets.identity import canonical_json, hash_file
from distill_assets.lineage.chain import CHAIN_FILE, HEAD_FILE, Event, build_head, check_head, parse_chain, read_head
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import check_proof
from distill_assets.lineage.segments import SEGMENTS_FOLDER
from distill_assets.lineage.verify import (
    FOLDER_MANIFEST,
    LINEAGE_FILE,
    Finding,
    check_heads,
    check_lineage,
    compare_records,
    find_segment_fault,
    list_files,
    parse_record,
    sha256_of,
)
from distill_assets.storage import replace_atomically

RECEIPT_FILE = "receipt.json"
_RECORDS = (CHAIN_FILE, HEAD_FILE, FOLDER_MANIFEST, LINEAGE_FILE, RECEIPT_FILE)
_NEEDED = (CHAIN_FILE, HEAD_FILE, FOLDER_MANIFEST, LINEAGE_FILE)
_SEGMENT_NAME = re.compile(rf"{SEGMENTS_FOLDER}/[a-z_]+-[0-9a-f]{{64}}\.parquet")
_MAX_FILES = 100_000
_MAX_RECORD_BYTES = 1 << 30
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_ASK = "Ask for the pack again."


def write_pack(folder: Path, ledger: Ledger, target: Path, with_segments: bool = False, receipt: Path | None = None) -> Path:
    """Write the records of the checkpoint in `folder`, the chain, and if wished all segments and a receipt, as a zip.

    Raises:
        LineageError: a record is missing or the chain is broken; nothing was written.
        StorageError: `target` cannot be written.
    """
    events = ledger.events()
    head = events[-1]
    raw = (ledger.root / CHAIN_FILE).read_bytes()
    end = sum(len(line) + 1 for line in raw.split(b"\n")[: head.seq + 1])
    files: dict[str, Path | bytes] = {CHAIN_FILE: raw[:end], HEAD_FILE: build_head(head.seq, head.hash)}
    files |= {name: folder / name for name in (LINEAGE_FILE, FOLDER_MANIFEST)}
    if receipt is not None:
        files[RECEIPT_FILE] = receipt
    if with_segments:
        names = {segment.file_name for event in events for segment in event.segments}
        files |= {f"{SEGMENTS_FOLDER}/{name}": ledger.root / SEGMENTS_FOLDER / name for name in names}
    gone = [str(path) for path in files.values() if isinstance(path, Path) and not path.is_file()]
    if gone:
        raise LineageError(f"{gone[0]} is missing, so no pack can be made. Nothing was written. Restore it from a copy.")
    with replace_atomically(target) as temporary:
        _write_zip(temporary, files)
    return target


def _write_zip(target: Path, files: Mapping[str, Path | bytes]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as pack:
        for name, content in sorted(files.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = 3, 0o644 << 16
            info.file_size = len(content) if isinstance(content, bytes) else content.stat().st_size
            with pack.open(info, "w") as sink:
                if isinstance(content, bytes):
                    sink.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, sink, 1 << 20)


def verify_pack(zip_file: Path, heads: Iterable[tuple[int, str]] = ()) -> list[Finding]:
    """Check a pack by itself: its bytes, the chain, the records against the chain, segments and receipt if it has them.

    Args:
        heads: (number, hash) of lines of the chain that the reader got from elsewhere; without one, a pack that was made
            up as a whole cannot be told from a true one.
    """
    with tempfile.TemporaryDirectory(prefix="distill-pack-") as spill:
        folder = Path(spill)
        try:
            names = _unfold(zip_file, folder)
            if words := _find_missing(names):
                return [Finding("error", zip_file.name, words)]
            _write_zip(folder / "again.zip", {name: folder / name for name in names})
            if hash_file(folder / "again.zip") != hash_file(zip_file):
                return [Finding("error", zip_file.name, f"the zip is not written as packs are: bytes of it were changed. {_ASK}")]
            return _verify_files(folder, names, heads)
        except LineageError as error:
            return [Finding("error", zip_file.name, str(error))]
        except (OSError, zipfile.BadZipFile, EOFError, ValueError, ArithmeticError, RuntimeError, struct.error) as error:
            return [Finding("error", zip_file.name, f"the pack cannot be read: {type(error).__name__}: {str(error)[:200]}. {_ASK}")]


def _unfold(zip_file: Path, folder: Path) -> list[str]:
    """Write a pack's files into `folder`; only names that packs have are written, and no more bytes than the zip holds."""
    with zipfile.ZipFile(zip_file) as pack:
        entries = pack.infolist()
        names = [entry.filename for entry in entries]
        if len(entries) > _MAX_FILES or len(set(names)) != len(names):
            raise LineageError(f"the pack holds {len(names)} files, or one twice. {_ASK}")
        for entry in entries:
            if entry.filename not in _RECORDS and not _SEGMENT_NAME.fullmatch(entry.filename):
                raise LineageError(f"the pack holds {entry.filename[:80]!r}, which no pack does. {_ASK}")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise LineageError(f"the pack holds {entry.filename[:80]!r} compressed or encrypted, which no pack does. {_ASK}")
        if sum(entry.file_size for entry in entries) > zip_file.stat().st_size:
            raise LineageError(f"the pack's files claim to be larger than the pack. {_ASK}")
        (folder / SEGMENTS_FOLDER).mkdir()
        for entry in entries:
            with pack.open(entry) as source, (folder / entry.filename).open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    return names


def _find_missing(names: list[str]) -> str | None:
    gone = [name for name in _NEEDED if name not in names]
    return f"the pack lacks {', '.join(gone)}. {_ASK}" if gone else None


def _verify_files(folder: Path, names: list[str], heads: Iterable[tuple[int, str]]) -> list[Finding]:
    if any((folder / name).stat().st_size > _MAX_RECORD_BYTES for name in names if name in _RECORDS):
        return [Finding("error", CHAIN_FILE, f"a record of the pack is larger than {_MAX_RECORD_BYTES} bytes. {_ASK}")]
    events, torn = parse_chain((folder / CHAIN_FILE).read_bytes())
    check_head(Path(), events, read_head(folder))
    found = [Finding("error", CHAIN_FILE, f"the chain ends in the midst of a line. {_ASK}")] if torn else []
    found += check_heads(events, heads)
    raw = {name: (folder / name).read_bytes() for name in (LINEAGE_FILE, FOLDER_MANIFEST)}
    records: dict[str, dict[str, Any] | None] = {}
    for name, content in raw.items():
        records[name], words = parse_record(name, content)
        found += [] if words is None else [Finding("error", name, words)]
    lineage, manifest = records[LINEAGE_FILE], records[FOLDER_MANIFEST]
    found += compare_records(lineage, manifest) + list_files(FOLDER_MANIFEST, manifest)[1]
    if lineage is not None:
        found += check_lineage(lineage, raw[LINEAGE_FILE], events) + _check_manifest(lineage, raw[FOLDER_MANIFEST])
    found += _check_segments(folder, names, events)
    return found + (_check_receipt((folder / RECEIPT_FILE).read_bytes(), events) if RECEIPT_FILE in names else [])


def _check_manifest(lineage: Mapping[str, Any], raw: bytes) -> list[Finding]:
    files, found = list_files(LINEAGE_FILE, lineage)
    entry = files.get(FOLDER_MANIFEST)
    if entry is not None and entry["sha256"] != sha256_of(raw):
        found.append(Finding("error", FOLDER_MANIFEST, f"{FOLDER_MANIFEST} is not the one that {LINEAGE_FILE} lists. {_ASK}"))
    return found


def _check_segments(folder: Path, names: list[str], events: list[Event]) -> list[Finding]:
    given = {name for name in names if name not in _RECORDS}
    named = {f"{SEGMENTS_FOLDER}/{segment.file_name}": segment for event in events for segment in event.segments}
    found = [Finding("error", name, f"no line of the chain names this segment. {_ASK}") for name in sorted(given - set(named))]
    for name in sorted(given & set(named)):
        if words := find_segment_fault(folder / name, named[name], deep=True):
            found.append(Finding("error", name, f"{words}. {_ASK}"))
    if given and (gone := sorted(set(named) - given)):
        found.append(Finding("error", gone[0], f"the pack lacks {len(gone)} of {len(named)} segments. {_ASK}"))
    return found


def _check_receipt(raw: bytes, events: list[Event]) -> list[Finding]:
    """A receipt is what an erasure's line names by its SHA-256; the proofs in it must lead to roots that the chain names."""
    receipt, words = parse_record(RECEIPT_FILE, raw)
    if receipt is None:
        return [Finding("error", RECEIPT_FILE, str(words))]
    found = []
    if not any(sha256_of(raw) in canonical_json(event.facts) for event in events if event.kind == "erasure"):
        found.append(Finding("error", RECEIPT_FILE, f"no erasure that the chain records names this receipt. {_ASK}"))
    facts = [canonical_json(event.facts) for event in events]
    for proof in _list_proofs(receipt):
        root, ids, claim = str(proof.get("root")), proof.get("ids"), str(proof.get("claim"))
        if not any(json.dumps(root) in text for text in facts):
            found.append(Finding("error", RECEIPT_FILE, f"the chain knows no dataset with the root {root[:64]}. {_ASK}"))
        if not (check := check_proof(proof, root, ids if isinstance(ids, list) else [], claim)):
            found.append(Finding("error", RECEIPT_FILE, f"its proof does not hold: {check.words}. {_ASK}"))
    return found


def _list_proofs(receipt: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    proofs = receipt.get("proofs", [])
    proofs = [*(proofs if isinstance(proofs, list) else []), receipt.get("proof")]
    return [proof for proof in proofs if isinstance(proof, dict)]
