"""The journal: what was acknowledged is never lost, what is damaged costs its line only, no key is in flight twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.clients.journal import ANSWERED, OURS, OVER, THEIRS, Cap, open_journal
from distill_assets.errors import StorageError

ROOT = Path(__file__).resolve().parents[2]
NO_CAP = Cap()


def key(number: int) -> str:
    return f"{number:032x}"


def write(folder: Path, *numbers: int, usd: float = 0.001) -> Path:
    with open_journal(folder) as journal:
        for number in numbers:
            assert journal.claim(key(number), usd * 5, 900, NO_CAP) == OURS
            journal.append(key(number), usd, 100, {"s": 200}, b'{"text": "how many \u00fc\\n?", "n": %d}' % number)
    return folder / "segment-1.log"


def read(folder: Path) -> set[int]:
    with open_journal(folder) as journal:
        found = {number for number in range(200) if journal.find(key(number))}
        assert all(journal.find(key(number))[-1]["body"]["n"] == number for number in found)
    return found


def test_replies_are_read_back_as_they_came_with_what_they_cost(tmp_path: Path):
    write(tmp_path, 1, 2, 3)
    with open_journal(tmp_path) as journal:
        assert journal.find(key(2)) == [{"s": 200, "body": {"text": "how many ü\n?", "n": 2}}]
        assert journal.find(key(9)) == []
        assert journal.spent() == (pytest.approx(0.003), 300, 0.0, 0)
        assert journal.n_damaged == 0


def test_an_append_is_found_at_once_and_a_second_reply_does_not_hide_the_first(tmp_path: Path):
    with open_journal(tmp_path) as journal:
        for text in (b'{"n": 1}', b'{"n": 2}'):
            journal.append(key(1), 0.0, 0, {}, text)
        assert [record["body"]["n"] for record in journal.find(key(1))] == [1, 2]


def test_a_body_with_line_breaks_stays_one_line(tmp_path: Path):
    with open_journal(tmp_path) as journal:
        journal.append(key(1), 0.0, 0, {}, b'{\n "n": 1,\r\n "x": "a\\nb"\n}')
    assert read(tmp_path) == {1}


def test_a_failure_settles_its_intent_and_what_is_in_doubt_is_counted(tmp_path: Path):
    with open_journal(tmp_path) as journal:
        journal.claim(key(1), 0.5, 1000, NO_CAP)
        assert journal.spent().usd_in_doubt == pytest.approx(0.5)
        journal.fail(key(1))
        assert journal.spent() == (0.0, 0, 0.0, 0)
        journal.claim(key(1), 0.5, 1000, NO_CAP)
        journal.fail(key(1), 0.5, 1000)
        assert journal.spent().usd == pytest.approx(0.5)
        journal.claim(key(2), 0.25, 10, NO_CAP)
    for _ in range(2):  # the call that never ended stays in doubt, also after somebody took the segment over
        with open_journal(tmp_path) as journal:
            assert journal.spent() == (pytest.approx(0.5), 1000, pytest.approx(0.25), 10)
    with open_journal(tmp_path) as journal:
        assert journal.claim(key(2), 0.25, 10, NO_CAP) == OURS, "nobody has it in flight any more"
        journal.append(key(2), 0.1, 5, {}, b"{}")
        assert journal.spent() == (pytest.approx(0.6), 1005, pytest.approx(0.25), 10)


def test_a_cap_counts_what_is_in_flight_and_in_doubt(tmp_path: Path):
    with open_journal(tmp_path) as journal:
        cap = Cap(usd=1.0)
        assert journal.claim(key(1), 0.6, 10, cap) == OURS
        assert journal.claim(key(2), 0.6, 10, cap) == OVER
        journal.append(key(1), 0.3, 10, {}, b"{}")
        assert journal.claim(key(2), 0.6, 10, cap) == OURS
        assert journal.claim(key(3), 0.01, 100, Cap(tokens=119)) == OVER
        assert journal.claim(key(3), 0.01, 99, Cap(tokens=119)) == OURS


def test_a_line_torn_at_any_offset_costs_itself_only(tmp_path: Path):
    content = write(tmp_path / "whole", 1, 2, 3).read_bytes()
    start = content.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(start, len(content) + 1):
        folder = tmp_path / f"torn{cut}"
        folder.mkdir()
        (folder / "segment-1.log").write_bytes(content[:cut])
        whole = {3} if cut >= len(content) - 1 else set()
        assert read(folder) == {1, 2} | whole, cut
        write(folder, 4)
        assert read(folder) == {1, 2, 4} | whole, cut


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("journal")
    return folder, write(folder / "whole", *range(5)).read_bytes()


def replace(folder: Path, content: bytes) -> Path:
    spoiled = folder / "spoiled"
    spoiled.mkdir(exist_ok=True)
    (spoiled / "segment-1.log").write_bytes(content)
    return spoiled


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_flipped_bit_anywhere_costs_its_own_line_or_the_one_it_joins(whole, data):
    folder, content = whole
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    spoiled = bytearray(content)
    spoiled[place] ^= 1 << bit
    found = read(replace(folder, bytes(spoiled)))
    assert found <= set(range(5))
    assert len(found) >= (3 if content[place] == ord("\n") else 4)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.booleans())
def test_foreign_bytes_are_never_a_reply_and_hide_none(whole, junk, ends_line):
    folder, content = whole
    assert read(replace(folder, content + junk + (b"\n" if ends_line else b""))) == set(range(5))


def test_damaged_lines_are_counted(tmp_path: Path):
    file = write(tmp_path, 1, 2)
    file.write_bytes(file.read_bytes().replace(b"how many", b"how much", 1) + b"not a line\n")
    with open_journal(tmp_path) as journal:
        assert journal.n_damaged == 2
        assert (journal.find(key(1)), len(journal.find(key(2)))) == ([], 1)


WRITER = """
import os, sys
from pathlib import Path
from distill_assets.clients.journal import Cap, open_journal
with open_journal(Path(sys.argv[1])) as journal:
    journal.claim("f" * 32, 0.5, 10, Cap())
    number = 0
    while True:
        for _ in range(7):
            number += 1
            journal.append(f"{number:032x}", 0.001, 1, {"s": 200}, b'{"n": %d, "x": "%s"}' % (number, b"x" * 500))
        journal.sync()
        os.write(1, f"{number}\\n".encode())
        if len(sys.argv) > 2 and number > 20:
            sys.stdin.readline()
"""


def start_writer(folder: Path, *pauses: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), *pauses], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip


def test_two_runs_share_the_journal_and_no_key_is_in_flight_in_both(tmp_path: Path):
    with start_writer(tmp_path, "pause") as other:
        while int(other.stdout.readline()) <= 20:
            pass
        with open_journal(tmp_path) as journal:
            assert journal.claim("f" * 32, 0.1, 1, NO_CAP) == THEIRS
            assert journal.claim(key(3), 0.1, 1, NO_CAP) == ANSWERED, "what the other run bought is not bought again"
            assert journal.claim(key(150), 0.1, 1, NO_CAP) == OURS
            assert journal.claim(key(150), 0.1, 1, NO_CAP) == THEIRS, "nor twice by this one"
            other.stdin.write("go on\n")
            other.stdin.flush()
            other.stdout.readline()
            assert journal.claim(key(25), 0.1, 1, NO_CAP) == ANSWERED, "nor what it bought since"
            other.kill()
            other.wait()
            assert journal.claim("f" * 32, 0.1, 1, NO_CAP) == OURS, "a dead run has nothing in flight"
            assert journal.spent().usd_in_doubt == pytest.approx(0.5 + 0.1 + 0.1), "but its call may have been billed"
    assert sorted(file.name for file in tmp_path.glob("segment-*")) == ["segment-1.log", "segment-2.log"]
    write(tmp_path, 160)
    assert sorted(file.name for file in tmp_path.glob("segment-*")) == ["segment-1.log", "segment-2.log"], "segments are reused"


@pytest.mark.parametrize("lines", [1, 3, 10, 25])
def test_sigkill_while_appending_loses_nothing_that_was_synced(tmp_path: Path, lines: int):
    with start_writer(tmp_path) as other:
        for _ in range(lines):
            synced = int(other.stdout.readline())
        other.send_signal(signal.SIGKILL)
        told = other.stdout.read().split("\n")
    synced = max([synced, *(int(number) for number in told[:-1])])
    with open_journal(tmp_path) as journal:
        assert all(journal.find(key(number))[0]["body"]["n"] == number for number in range(1, synced + 1))


FULL = """
import resource, signal, sys
from pathlib import Path
from distill_assets.clients.journal import open_journal
from distill_assets.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
synced = 0
try:
    with open_journal(Path(sys.argv[1])) as journal:
        for number in range(1, 100):
            journal.append(f"{number:032x}", 0.0, 0, {}, b'{"n": %d, "x": "%s"}' % (number, b"x" * 900))
            journal.sync()
            synced = number
except StorageError as error:
    print(synced, error)
"""


def test_a_full_disk_is_a_clear_error_and_keeps_what_was_synced(tmp_path: Path):
    found = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    synced, _, words = found.stdout.partition(" ")
    assert "Replies that were acknowledged are safe" in words, found.stderr
    assert int(synced) > 5
    assert read(tmp_path) == set(range(1, int(synced) + 1))
    write(tmp_path, 150)
    assert read(tmp_path) == {*range(1, int(synced) + 1), 150}


def test_the_journal_is_for_its_owner_only(tmp_path: Path):
    assert write(tmp_path, 1).stat().st_mode & 0o077 == 0


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path):
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(StorageError, match="cannot be written"), open_journal(tmp_path / "journal"):
        pass
