"""Changes that somebody could make to a ledger and a checkpoint behind our back, and whether verifying sees each.

`run_mutations` is for tests and benchmarks alike: it makes a true ledger, then changes one thing at a time and puts it back.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

from distill_assets.identity import canonical_bytes
from distill_assets.lineage.chain import build_head
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.verify import Finding, verify_checkpoint_folder, verify_ledger
from tests.lineage.ledgers import build_world


def verify_world(folder: Path) -> list[Finding]:
    return verify_ledger(folder / "ledger") + verify_checkpoint_folder(folder / "checkpoint", Ledger(folder / "ledger"))


def run_mutations(folder: Path, n: int, seed: int) -> dict[str, object]:
    """Make `n` changes and return how many there were of each kind, how many were missed, and which."""
    build_world(folder, seed=seed)
    assert verify_world(folder) == []
    rng = random.Random(seed)
    counts: dict[str, int] = {}
    missed: list[str] = []
    for number in range(n):
        change = MUTATIONS[number % len(MUTATIONS)]
        before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        words = change(folder, rng)
        after = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        if before != after:  # a swap of equal lines is none
            counts[change.__name__] = counts.get(change.__name__, 0) + 1
            if not verify_world(folder):
                missed.append(f"{change.__name__}: {words}")
        _put_back(before, after)
    assert verify_world(folder) == []
    return {"mutations": sum(counts.values()), "missed": len(missed), "kinds": counts, "which": missed[:20]}


def _put_back(before: dict[Path, bytes], after: dict[Path, bytes]) -> None:
    for file in set(after) - set(before):
        file.unlink()
    for file, content in before.items():
        if after.get(file) != content:
            file.write_bytes(content)


# --- bytes ---


def list_files(folder: Path) -> list[Path]:
    """What must not change: all but the lock, which is empty and holds nothing."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "lock")


def _pick(folder: Path, rng: random.Random) -> tuple[Path, bytes, int]:
    file = rng.choice(list_files(folder))
    content = file.read_bytes()
    return file, content, rng.randrange(len(content))


def flip_byte(folder: Path, rng: random.Random) -> str:
    file, content, at = _pick(folder, rng)
    changed = bytearray(content)
    changed[at] ^= rng.randrange(1, 256)
    file.write_bytes(changed)
    return f"{file.name}, byte {at}"


def delete_byte(folder: Path, rng: random.Random) -> str:
    file, content, at = _pick(folder, rng)
    file.write_bytes(content[:at] + content[at + 1 :])
    return f"{file.name}, byte {at}"


def insert_byte(folder: Path, rng: random.Random) -> str:
    file, content, at = _pick(folder, rng)
    at += rng.randrange(2)  # also behind the last one
    file.write_bytes(content[:at] + rng.choice([b" ", b"\n", b"0", rng.randbytes(1)]) + content[at:])
    return f"{file.name}, before byte {at}"


def cut_bytes(folder: Path, rng: random.Random) -> str:
    file, content, at = _pick(folder, rng)
    file.write_bytes(content[:at])
    return f"{file.name} ends at {at}"


# --- lines of the chain ---


def _lines(folder: Path) -> tuple[Path, list[bytes]]:
    file = folder / "ledger" / "chain.jsonl"
    return file, file.read_bytes().splitlines(keepends=True)


def cut_lines(folder: Path, rng: random.Random) -> str:
    file, lines = _lines(folder)
    n = rng.randrange(len(lines))
    file.write_bytes(b"".join(lines[:n]))
    return f"{n} lines left"


def cut_lines_and_head(folder: Path, rng: random.Random) -> str:
    file, lines = _lines(folder)
    n = rng.randrange(1, len(lines))
    file.write_bytes(b"".join(lines[:n]))
    last = json.loads(lines[n - 1])
    (folder / "ledger" / "HEAD").write_bytes(build_head(last["seq"], last["hash"]))
    return f"{n} lines left"


def swap_lines(folder: Path, rng: random.Random) -> str:
    file, lines = _lines(folder)
    i, j = rng.sample(range(len(lines)), 2)
    lines[i], lines[j] = lines[j], lines[i]
    file.write_bytes(b"".join(lines))
    return f"lines {i} and {j}"


def repeat_line(folder: Path, rng: random.Random) -> str:
    file, lines = _lines(folder)
    i = rng.randrange(len(lines))
    file.write_bytes(b"".join([*lines[: i + 1], *lines[i:]]))
    return f"line {i}"


def drop_line(folder: Path, rng: random.Random) -> str:
    file, lines = _lines(folder)
    i = rng.randrange(len(lines))
    file.write_bytes(b"".join(lines[:i] + lines[i + 1 :]))
    return f"line {i}"


def write_line_otherwise(folder: Path, rng: random.Random) -> str:
    """The same JSON in other bytes."""
    file, lines = _lines(folder)
    i = rng.randrange(len(lines))
    lines[i] = json.dumps(json.loads(lines[i]), sort_keys=rng.random() < 0.5).encode() + b"\n"
    file.write_bytes(b"".join(lines))
    return f"line {i}"


def forge_chain(folder: Path, rng: random.Random) -> str:
    """Change a fact and hash all lines anew, HEAD too: only what is kept outside of the ledger shows it."""
    file, lines = _lines(folder)
    bodies = [json.loads(line) for line in lines]
    i = rng.randrange(len(bodies) - 1)
    bodies[i]["facts"]["forged"] = rng.randrange(1000)
    prev = "0" * 64
    for body in bodies:
        del body["hash"]
        body["prev"] = prev
        body["hash"] = prev = hashlib.sha256(canonical_bytes(body)).hexdigest()
    file.write_bytes(b"".join(canonical_bytes(body) + b"\n" for body in bodies))
    (folder / "ledger" / "HEAD").write_bytes(build_head(bodies[-1]["seq"], prev))
    return f"line {i}"


def move_head_back(folder: Path, rng: random.Random) -> str:
    _, lines = _lines(folder)
    old = json.loads(rng.choice(lines[:-1]))
    (folder / "ledger" / "HEAD").write_bytes(build_head(old["seq"], old["hash"]))
    return f"to {old['seq']}"


# --- whole files ---


def copy_segment_over_another(folder: Path, rng: random.Random) -> str:
    source, target = rng.sample(sorted((folder / "ledger" / "segments").iterdir()), 2)
    target.write_bytes(source.read_bytes())
    return f"{source.name} over {target.name}"


def copy_segment_beside(folder: Path, rng: random.Random) -> str:
    source = rng.choice(sorted((folder / "ledger" / "segments").iterdir()))
    source.with_name(f"{source.stem[:-1]}{rng.choice('ghij')}.parquet").write_bytes(source.read_bytes())
    return source.name


def remove_file(folder: Path, rng: random.Random) -> str:
    file = rng.choice(list_files(folder))
    file.unlink()
    return file.name


def replace_weights(folder: Path, rng: random.Random) -> str:
    """Other weights, with a manifest that fits them."""
    file = folder / "checkpoint" / "model.safetensors"
    old = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_bytes(rng.randbytes(5000))
    manifest = folder / "checkpoint" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(old, hashlib.sha256(file.read_bytes()).hexdigest()))
    return "with a manifest that fits"


def replace_weights_and_lineage(folder: Path, rng: random.Random) -> str:
    """Other weights, with a manifest and a lineage.json that fit them: the chain knows better."""
    old_manifest = hashlib.sha256((folder / "checkpoint" / "manifest.json").read_bytes()).hexdigest()
    old = hashlib.sha256((folder / "checkpoint" / "model.safetensors").read_bytes()).hexdigest()
    replace_weights(folder, rng)
    new = hashlib.sha256((folder / "checkpoint" / "model.safetensors").read_bytes()).hexdigest()
    new_manifest = hashlib.sha256((folder / "checkpoint" / "manifest.json").read_bytes()).hexdigest()
    lineage = folder / "checkpoint" / "lineage.json"
    lineage.write_text(lineage.read_text().replace(old, new).replace(old_manifest, new_manifest))
    return "with records that fit"


def add_weights(folder: Path, rng: random.Random) -> str:
    name = rng.choice(["pytorch_model.bin", "model-00002-of-00002.safetensors", "modeling_student.py"])
    (folder / "checkpoint" / name).write_bytes(rng.randbytes(10))
    return name


MUTATIONS: list[Callable[[Path, random.Random], str]] = [
    flip_byte, delete_byte, insert_byte, flip_byte, cut_bytes, cut_lines, flip_byte, cut_lines_and_head, swap_lines, insert_byte,
    repeat_line, drop_line, delete_byte, write_line_otherwise, forge_chain, flip_byte, move_head_back, copy_segment_over_another,
    flip_byte, copy_segment_beside, remove_file, replace_weights, replace_weights_and_lineage, add_weights,
]  # fmt: skip
