"""Whether a ledger, and a checkpoint's folder, are byte for byte what they were when they were written.

Belongs here: findings about a ledger's files and about a checkpoint's folder held against its ledger. Does not belong
here: packs, which are verified without either (packs), and what the records say (audits).

A file that is damaged, huge or hostile gives a finding, never a traceback. A chain shows that nothing was changed after
it was recorded; it does not show that what was recorded is true, and a ledger cut back together with its HEAD is only
seen by a head that was kept elsewhere (`heads`: every lineage.json and every materialization carries one).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from distill_assets.errors import LineageError
from distill_assets.identity import hash_file
from distill_assets.lineage.chain import CHAIN_FILE, HEAD_FILE, Event, check_head, is_sha256, read_head, scan_chain
from distill_assets.lineage.ids import SALT_FILE, load_salt
from distill_assets.lineage.kinds import KINDS
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.segments import SEGMENTS_FOLDER

LINEAGE_FILE = "lineage.json"
LINEAGE_FORMAT = "distill-lineage/1"
FOLDER_MANIFEST = "manifest.json"
MAX_JSON_BYTES = 1 << 26
_FROM_COPY = "Restore it from a copy."
# What a loader would take for weights or run; such a file that no list names could stand in for the recorded one.
_LOADABLE = frozenset({".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".gguf", ".onnx", ".h5", ".msgpack", ".py"})


class Finding(NamedTuple):
    """One thing that verifying found: `error` is not as it was written, `note` is worth knowing."""

    level: Literal["error", "note"]
    where: str
    words: str


def verify_ledger(root: Path, deep: bool = True, heads: Iterable[tuple[int, str]] = ()) -> list[Finding]:
    """Check every file of a ledger; nothing found means that all of it is as it was written.

    Args:
        deep: read every segment; otherwise only their sizes are checked. heads: (number, hash) of lines, kept elsewhere.
    """
    try:
        head, words = read_head(root), None  # before the chain, as a writer may be at work
    except LineageError as error:
        head, words = None, str(error)
    found = [] if words is None else [Finding("error", HEAD_FILE, words)]
    try:
        raw = (root / CHAIN_FILE).read_bytes()
    except OSError as error:
        return [*found, Finding("error", CHAIN_FILE, f"{root / CHAIN_FILE} cannot be read: {error.strerror}. {_FROM_COPY}")]
    events, torn, fault = scan_chain(raw, root / CHAIN_FILE)
    if fault is not None:
        found.append(Finding("error", CHAIN_FILE, fault))
    elif words is None:
        found += _check_end(root, events, torn, head)
    found += check_heads(events, heads)
    found += _check_salt(root)
    return found + _check_segments(root, events, deep)


def _check_end(root: Path, events: list[Event], torn: bytes, head: tuple[int, str] | None) -> list[Finding]:
    found = []
    try:
        check_head(root, events, head)
    except LineageError as error:
        found.append(Finding("error", CHAIN_FILE, str(error)))
    if torn:
        words = f"{len(torn)} bytes after the last line are of a line whose writer died. The next record sets them aside."
        found.append(Finding("note", CHAIN_FILE, words))
    if events and (head is None or head[0] == len(events) - 2):
        words = f"line {len(events) - 1} was written, but its writer died before {HEAD_FILE} named it. The next record mends that."
        found.append(Finding("note", HEAD_FILE, words))
    return found


def check_heads(events: list[Event], heads: Iterable[tuple[int, str]]) -> list[Finding]:
    """Check that the chain has the lines that were noted elsewhere."""
    wrong = [seq for seq, line_hash in heads if not (0 <= seq < len(events) and events[seq].hash == line_hash)]
    words = "the chain does not have the line {} that was noted elsewhere: it was cut or written anew. Restore it from a copy."
    return [Finding("error", CHAIN_FILE, words.format(seq)) for seq in wrong]


def _check_salt(root: Path) -> list[Finding]:
    try:
        load_salt(root, create=False)
    except LineageError as error:
        return [Finding("error", SALT_FILE, str(error))]
    return []


def _check_segments(root: Path, events: list[Event], deep: bool) -> list[Finding]:
    folder, found, named = root / SEGMENTS_FOLDER, [], set()
    for event in events:
        for segment in event.segments:
            named.add(segment.file_name)
            words = find_segment_fault(folder / segment.file_name, segment, deep)
            if words is None and segment.kind not in KINDS:
                found.append(Finding("note", segment.file_name, f"'{segment.kind}' is no kind of rows that this version reads."))
            if words is not None:
                told = f"{words}. Line {event.seq} ('{event.kind}') recorded its {segment.n_rows} rows of '{segment.kind}'. {_FROM_COPY}"
                found.append(Finding("error", segment.file_name, told))
    try:
        strays = sorted(file.name for file in folder.iterdir() if file.name not in named)
    except OSError:
        strays = []
    words = "no line of the chain names this file: its writer died, or is at work, or somebody put it there. It counts for nothing."
    return found + [Finding("note", name, words) for name in strays]


def find_segment_fault(file: Path, segment, deep: bool) -> str | None:
    """What is wrong with a segment's file: missing, another size, other bytes, or another number of rows."""
    try:
        n_bytes = file.stat().st_size
        if n_bytes != segment.n_bytes:
            return f"the file has {n_bytes} bytes, not {segment.n_bytes}"
        if not deep:
            return None
        if hash_file(file) != segment.sha256:
            return "the file's bytes were changed"
        n_rows = _count_rows(file)
    except OSError as error:
        return f"the file cannot be read: {error.strerror or error}"
    return None if n_rows == segment.n_rows else f"the file has {n_rows} rows, not {segment.n_rows}"


def _count_rows(file: Path) -> int | None:
    import pyarrow
    from pyarrow.parquet import read_metadata

    try:
        return read_metadata(file).num_rows
    except pyarrow.ArrowException:
        return None


# --- a checkpoint's folder ---


def verify_checkpoint_folder(folder: Path, ledger: Ledger | None) -> list[Finding]:
    """Check a checkpoint's files against its lists, and its lineage.json against the ledger.

    Args:
        ledger: None leaves out what only a ledger shows, and says so.
    """
    lineage, raw, found = read_record(folder, LINEAGE_FILE)
    manifest, _, more = read_record(folder, FOLDER_MANIFEST)
    found += more
    listed = {}
    for name, record in ((FOLDER_MANIFEST, manifest), (LINEAGE_FILE, lineage)):
        listed[name], more = list_files(name, record)
        found += more
    found += _check_files(folder, listed)
    named = {LINEAGE_FILE, FOLDER_MANIFEST}.union(*listed.values())
    found += _find_strays(folder, named) + compare_records(lineage, manifest)
    if lineage is None:
        return found
    if ledger is None:
        words = f"not held against a ledger: a change of {LINEAGE_FILE} itself would not be seen. Name the ledger."
        return [*found, Finding("note", LINEAGE_FILE, words)]
    try:
        events = ledger.events()
    except LineageError as error:
        return [*found, Finding("error", CHAIN_FILE, str(error))]
    return found + check_lineage(lineage, raw, events)


def read_record(folder: Path, name: str) -> tuple[dict[str, Any] | None, bytes, list[Finding]]:
    """A JSON file of a checkpoint's folder: what it says, its bytes, and what is wrong with it."""
    try:
        with (folder / name).open("rb") as handle:
            raw = handle.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        return None, b"", [Finding("error", name, f"{folder / name} cannot be read: {error.strerror}. {_FROM_COPY}")]
    record, words = parse_record(name, raw)
    return record, raw, [] if words is None else [Finding("error", name, words)]


def parse_record(name: str, raw: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """A record's bytes as JSON, or why they are none; lineage.json must also say its format."""
    if len(raw) > MAX_JSON_BYTES:
        return None, f"{name} is larger than {MAX_JSON_BYTES} bytes, which no such record is. {_FROM_COPY}"
    try:
        record = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return None, f"{name} is no JSON ({type(error).__name__}). {_FROM_COPY}"
    if not isinstance(record, dict):
        return None, f"{name} is no record. {_FROM_COPY}"
    if name == LINEAGE_FILE and record.get("format") != LINEAGE_FORMAT:
        return (
            None,
            f"{name} is not of the format {LINEAGE_FORMAT}, but {str(record.get('format'))[:40]!r}. Use the version that wrote it.",
        )
    return record, None


def list_files(name: str, record: Mapping[str, Any] | None) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Files that lineage.json or manifest.json lists with sha256 and bytes, and entries that are none."""
    if record is None:
        return {}, []
    files = _dig(record, "checkpoint", "files") if name == LINEAGE_FILE else record.get("files")
    if not isinstance(files, dict) or not files:
        return {}, [Finding("error", name, f"{name} lists no files. {_FROM_COPY}")]
    bad = [file for file, entry in files.items() if not _is_entry(file, entry)]
    good = {file: entry for file, entry in files.items() if file not in bad}
    return good, [
        Finding("error", name, f"{name} lists {file[:80]!r}, which is no file of this folder. {_FROM_COPY}") for file in bad
    ]


def _is_entry(file: str, entry: object) -> bool:
    path = PurePosixPath(file)
    is_inside = bool(file) and not path.is_absolute() and ".." not in path.parts and "\\" not in file and "\x00" not in file
    return is_inside and isinstance(entry, dict) and is_sha256(entry.get("sha256")) and type(entry.get("bytes")) is int


def _check_files(folder: Path, listed: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Check files against the lists that name them; each file is read once. `listed`: list -> file -> entry."""
    found = []
    for file in sorted({file for files in listed.values() for file in files}):
        entries = {name: files[file] for name, files in listed.items() if file in files}
        found += _check_file(folder / file, file, entries)
    return found


def _check_file(path: Path, file: str, entries: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    try:
        n_bytes = path.stat().st_size
        sizes = [name for name, entry in entries.items() if entry["bytes"] != n_bytes]
        sha256 = hash_file(path) if len(sizes) < len(entries) else ""
    except OSError as error:
        words = f"{path}, which {' and '.join(entries)} list, cannot be read: {error.strerror}. {_FROM_COPY}"
        return [Finding("error", file, words)]
    changed = [name for name, entry in entries.items() if name not in sizes and entry["sha256"] != sha256]
    words = [f"{path} has {n_bytes} bytes, not {entries[name]['bytes']} as {name} says. {_FROM_COPY}" for name in sizes]
    words += [f"the bytes of {path} were changed since {name} was written. {_FROM_COPY}" for name in changed]
    return [Finding("error", file, told) for told in words]


def _find_strays(folder: Path, named: set[str]) -> list[Finding]:
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.suffix in _LOADABLE)
    words = "no list names this file, and a loader could take it for the checkpoint's. Remove it, or ask who put it there."
    return [Finding("error", file, words) for file in sorted(files) if file not in named]


def compare_records(lineage: Mapping[str, Any] | None, manifest: Mapping[str, Any] | None) -> list[Finding]:
    """Check that lineage.json and manifest.json say the same of the weights and of every file both list."""
    if lineage is None or manifest is None:
        return []
    found = []
    ours, theirs = _dig(lineage, "checkpoint", "weights_sha256"), manifest.get("weights_sha256")
    if ours != theirs:
        words = f"{LINEAGE_FILE} speaks of the weights {str(ours)[:64]}, {FOLDER_MANIFEST} of {str(theirs)[:64]}. {_FROM_COPY}"
        found.append(Finding("error", LINEAGE_FILE, words))
    (left, _), (right, _) = list_files(LINEAGE_FILE, lineage), list_files(FOLDER_MANIFEST, manifest)
    for file in sorted(set(left) & set(right)):
        if left[file] != right[file]:
            found.append(Finding("error", file, f"{LINEAGE_FILE} and {FOLDER_MANIFEST} disagree about this file. {_FROM_COPY}"))
    if FOLDER_MANIFEST not in left:
        words = f"{LINEAGE_FILE} does not list {FOLDER_MANIFEST}, so a change of its other facts would not be seen."
        found.append(Finding("note", FOLDER_MANIFEST, words))
    return found


def check_lineage(lineage: Mapping[str, Any], raw: bytes, events: list[Event]) -> list[Finding]:
    """Check a lineage.json against a chain: its own SHA-256, the head it names, the ledger it is of."""
    own, found = lineage.get("ledger"), []
    own = own if isinstance(own, dict) else {}
    seq, genesis = own.get("seq"), events[0] if events else None
    if genesis is None or own.get("genesis") != genesis.hash or own.get("salt_id") != genesis.facts.get("salt_id"):
        words = f"{LINEAGE_FILE} is of another ledger: it names the first line {str(own.get('genesis'))[:64]}. Name its own ledger."
        found.append(Finding("error", LINEAGE_FILE, words))
    if type(seq) is not int or not 0 <= seq < len(events) or events[seq].hash != own.get("head"):
        words = (
            f"the chain does not have the line {str(seq)[:20]} that {LINEAGE_FILE} names: it was cut or written anew. {_FROM_COPY}"
        )
        found.append(Finding("error", CHAIN_FILE, words))
    checkpoint = _dig(lineage, "checkpoint", "id")
    recorded = [event for event in events if event.kind == "manifest" and event.facts.get("checkpoint") == checkpoint]
    if not recorded:
        words = f"no line of the chain records a {LINEAGE_FILE} of the checkpoint {str(checkpoint)[:64]}. Write it again, or restore the chain."
        found.append(Finding("error", LINEAGE_FILE, words))
    elif recorded[-1].facts.get("sha256") != sha256_of(raw):
        words = f"{LINEAGE_FILE} is not the one that line {recorded[-1].seq} of the chain records. {_FROM_COPY}"
        found.append(Finding("error", LINEAGE_FILE, words))
    return found


def sha256_of(raw: bytes) -> str:
    """SHA-256 of bytes as 64 hex characters."""
    return hashlib.sha256(raw).hexdigest()


def _dig(record: Mapping[str, Any], *path: str) -> Any:
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
