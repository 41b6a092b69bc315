"""The journal: what was synced is never lost, what is damaged costs its line only."""

from __future__ import annotations

import signal
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.clients.chat import ChatReply
from distill_assets.clients.journal import open_journal, read_replies
from distill_assets.errors import LockedError, StorageError

ROOT = Path(__file__).resolve().parents[2]


def reply(number: int, status: str = "ok", **fields: object) -> ChatReply:
    answer = {"question": f"how many ü {number}\n?", "sql": f"SELECT {number}"}
    return ChatReply(f"request{number}", status, answer, finish_reason="stop", prompt_tokens=number, **fields)


def write(folder: Path, *replies: ChatReply) -> Path:
    with open_journal(folder, "me") as journal:
        for item in replies:
            journal.append(item)
    return folder / "generations.jsonl"


def test_replies_are_read_back_as_they_were(tmp_path: Path):
    replies = [reply(1), reply(2, "refused", extra={"planted_error": "x"}), reply(3, "truncated"), reply(4, "invalid", error="e")]
    file = write(tmp_path, *replies)
    assert list(read_replies(file).values()) == replies
    with open_journal(tmp_path, "me") as journal:
        assert list(journal.replies.values()) == replies


def test_what_can_be_asked_again_is_not_kept(tmp_path: Path):
    file = write(tmp_path, reply(1, "error"), reply(2))
    assert list(read_replies(file)) == ["request2"]


def test_an_append_is_seen_at_once_in_this_process(tmp_path: Path):
    with open_journal(tmp_path, "me") as journal:
        journal.append(reply(1))
        assert journal.replies == {"request1": reply(1)}


def test_a_journal_that_is_not_there_is_empty(tmp_path: Path):
    assert read_replies(tmp_path / "none.jsonl") == {}


def test_a_line_torn_at_any_offset_costs_itself_only(tmp_path: Path):
    content = write(tmp_path, reply(1), reply(2), reply(3)).read_bytes()
    start = content.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(start, len(content) + 1):
        file = tmp_path / "torn" / "generations.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content[:cut])
        whole = cut >= len(content) - 1
        assert list(read_replies(file)) == ["request1", "request2"] + ["request3"] * whole, cut
        write(file.parent, reply(4))
        assert list(read_replies(file)) == ["request1", "request2"] + ["request3"] * whole + ["request4"], cut


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("journal")
    return folder, write(folder, *[reply(i) for i in range(5)]).read_bytes()


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_flipped_bit_anywhere_costs_its_own_line_or_the_one_it_joins(whole, data):
    folder, content = whole
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    spoiled = bytearray(content)
    spoiled[place] ^= 1 << bit
    file = folder / "spoiled.jsonl"
    file.write_bytes(bytes(spoiled))
    found = read_replies(file)
    expected = {item.request_id: item for item in (reply(i) for i in range(5))}
    assert found.items() <= expected.items()
    # A newline that is lost joins two lines; one that appears parts one. Nothing else is touched.
    assert len(found) >= (3 if content[place] == ord("\n") else 4)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.booleans())
def test_foreign_bytes_are_never_a_reply_and_hide_none(whole, junk, ends_line):
    folder, content = whole
    file = folder / "junk.jsonl"
    file.write_bytes(content + junk + (b"\n" if ends_line else b""))
    assert len(read_replies(file)) == 5


def test_a_reply_of_another_version_is_kept_and_what_is_none_is_left_out(tmp_path: Path):
    lines = [b'{"request_id":"old","status":"ok","gone":1}', b'{"status":"ok"}', b"[1]", b"null"]
    file = write(tmp_path, reply(1))
    file.write_bytes(file.read_bytes() + b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines))
    assert list(read_replies(file)) == ["request1", "old"]


WRITER = """
import os, sys
from pathlib import Path
from distill_assets.clients.chat import ChatReply
from distill_assets.clients.journal import open_journal
with open_journal(Path(sys.argv[1]), "'distill run r' (pid 42)") as journal:
    number = 0
    while True:
        for _ in range(7):
            number += 1
            journal.append(ChatReply(f"request{number}", "ok", {"sql": "x" * 500}))
        journal.sync()
        os.write(1, f"{number}\\n".encode())
"""


def start_writer(folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path):
    with start_writer(tmp_path) as other:
        other.stdout.readline()
        with pytest.raises(LockedError, match=r"held by 'distill run r' \(pid 42\)"), open_journal(tmp_path, "me"):
            pass
        other.kill()
    write(tmp_path, reply(0))
    assert "request0" in read_replies(tmp_path / "generations.jsonl")


@pytest.mark.parametrize("lines", [1, 3, 10, 25])
def test_sigkill_while_appending_loses_nothing_that_was_synced(tmp_path: Path, lines: int):
    with start_writer(tmp_path) as other:
        for _ in range(lines):
            synced = int(other.stdout.readline())
        other.send_signal(signal.SIGKILL)
        told = other.stdout.read().split("\n")
    synced = max([synced, *(int(number) for number in told[:-1])])
    found = read_replies(tmp_path / "generations.jsonl")
    assert {f"request{number}" for number in range(1, synced + 1)} <= set(found)
    assert all(item.answer == {"sql": "x" * 500} for item in found.values())


FULL = """
import resource, signal, sys
from pathlib import Path
from distill_assets.clients.chat import ChatReply
from distill_assets.clients.journal import open_journal
from distill_assets.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
synced = 0
try:
    with open_journal(Path(sys.argv[1]), "me") as journal:
        for number in range(1, 100):
            journal.append(ChatReply(f"request{number}", "ok", {"sql": "x" * 900}))
            journal.sync()
            synced = number
except StorageError as error:
    print(synced, error)
"""


def test_a_full_disk_is_a_clear_error_and_keeps_what_was_synced(tmp_path: Path):
    found = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    synced, _, words = found.stdout.partition(" ")
    assert "Replies up to the last sync are safe" in words, found.stderr
    assert int(synced) > 5
    assert set(read_replies(tmp_path / "generations.jsonl")) == {f"request{n}" for n in range(1, int(synced) + 1)}
    write(tmp_path, reply(0))
    assert len(read_replies(tmp_path / "generations.jsonl")) == int(synced) + 1


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path):
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(StorageError, match="cannot be locked"), open_journal(tmp_path / "journal", "me"):
        pass
