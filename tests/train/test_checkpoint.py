"""A folder is there whole or not at all, and a changed byte is noticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from distill_assets.errors import CheckpointError
from distill_assets.train.checkpoint import find_last_good, publish_folder, verify_checkpoint, write_manifest


def fill(folder):
    (folder / "model.safetensors").write_bytes(os.urandom(4096))
    (folder / "config.json").write_text("{}")


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "append", "no manifest", "bad manifest"])
def test_damage_is_noticed(tmp_path, damage):
    target = tmp_path / "checkpoint"
    publish_folder(target, fill, {"checkpoint_id": "a"})
    weights, manifest = target / "model.safetensors", target / "manifest.json"
    data = weights.read_bytes()
    match damage:
        case "truncate":
            weights.write_bytes(data[:-1])
        case "flip":
            weights.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        case "remove":
            weights.unlink()
        case "append":
            weights.write_bytes(data + b"x")
        case "no manifest":
            manifest.unlink()
        case "bad manifest":
            manifest.write_text("[]")
    with pytest.raises(CheckpointError, match="checkpoint"):
        verify_checkpoint(target)
    publish_folder(target, fill, {"checkpoint_id": "a"})
    verify_checkpoint(target)
    assert (tmp_path / "damaged-1-checkpoint").exists()


def test_a_whole_target_is_kept(tmp_path):
    first = publish_folder(tmp_path / "checkpoint", fill, {})
    assert publish_folder(tmp_path / "checkpoint", fill, {}) == first
    assert first["weights_sha256"] == first["files"]["model.safetensors"]["sha256"]


def test_last_good_passes_over_what_does_not_verify(tmp_path):
    said = []
    for step in (3, 6, 12):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        fill(folder)
        if step != 12:
            write_manifest(folder, {"step": step})
    (tmp_path / "checkpoint-6" / "config.json").write_text("{ }")
    good = find_last_good(tmp_path, said.append)
    assert good == tmp_path / "checkpoint-3"
    assert [line.split(" is")[0] for line in said] == ["the state of step 12", "the state of step 6"]
    assert find_last_good(tmp_path / "nothing", said.append) is None


WRITER = """
import sys, itertools, pathlib, os
from distill_assets.train.checkpoint import publish_folder
root = pathlib.Path(sys.argv[1])
def fill(folder):
    for i in range(6): (folder / f"{i}.bin").write_bytes(os.urandom(200_000))
for i in itertools.count(int(sys.argv[2]) * 1000):
    publish_folder(root / f"c{i}", fill, {})
    print(i, flush=True)
"""


def test_killed_while_publishing_nothing_half_is_visible(tmp_path):
    acknowledged = set()
    for attempt in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(attempt)], stdout=subprocess.PIPE, text=True)
        for _ in range(3 + attempt):
            acknowledged.add(writer.stdout.readline().strip())
        writer.send_signal(signal.SIGKILL)
        acknowledged |= set(writer.communicate()[0].split())
    visible = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    for path in visible:
        verify_checkpoint(path)
    assert {f"c{i}" for i in acknowledged} <= {path.name for path in visible}
