"""Forgetting replies: their texts are gone for good, their cost stays, all else is as it was, and a kill leaves a whole journal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.clients.forgetting import forget_replies
from distill_assets.clients.journal import OURS, Cap, Claim, open_journal
from distill_assets.clients.segments import Line, list_segments, parse_line
from distill_assets.errors import LockedError

ROOT = Path(__file__).resolve().parents[2]
NO_CAP = Cap()
SECRET = "a text that has to go"


def key(number: int) -> str:
    return f"{number:032x}"


def name_keys(*numbers: int):
    wanted = {key(number) for number in numbers}
    return lambda lines: [line.key in wanted for line in lines]


def line(kind: str, number: int, usd_nano: int, tokens: int, rest: bytes) -> bytes:
    text = f"{kind} {key(number)} {usd_nano} {tokens} ".encode() + rest
    return b"%08x %s\n" % (zlib.crc32(text), text)


def body(number: int) -> bytes:
    return orjson.dumps({"s": 200, "body": {"n": number, "text": SECRET}})


def fill(folder: Path) -> None:
    """Replies 1 to 4, a failure, a call in doubt, and a batch with an answer, an end and a call that is still in it."""
    with open_journal(folder) as journal:
        for number in (1, 2, 3, 4):
            assert journal.claim(key(number), 0.5, 900, NO_CAP) == OURS
            journal.append(key(number), 0.001 * number, 10 * number, {"s": 200}, b'{"text": "%s %d"}' % (SECRET.encode(), number))
        journal.append(key(2), 0.25, 7, {"s": 200}, b'{"text": "asked again"}')
        journal.claim(key(5), 0.5, 900, NO_CAP)
        journal.fail(key(5), 0.125, 90)
        journal.claim(key(6), 0.5, 900, NO_CAP)
        journal.claim_batch("batch-a", [Claim(key(number), 0.0625, 50) for number in (7, 8, 9)], NO_CAP)
        journal.append(key(7), 0.03125, 40, {"s": 200}, b'{"text": "%s 7"}' % SECRET.encode(), batch_id="batch-a")
        journal.leave_batch(key(8), "batch-a", "it was refused", is_in_doubt=True)


def read(folder: Path) -> tuple[object, dict[int, list[object]], dict[str, object]]:
    """Money, replies by number, and what is said of batches."""
    with open_journal(folder) as journal:
        found = {number: journal.find(key(number)) for number in range(1, 12)}
        batched = {
            "in": {number: journal.batched.find(key(number)) for number in range(1, 12)},
            "failures": {number: journal.batched.count_failures(key(number)) for number in range(1, 12)},
            "usd_nano": journal.batched.usd_nano,
        }
        return journal.spent(), found, batched


def raw_lines(folder: Path) -> list[bytes]:
    return [raw for _, file in list_segments(folder) for raw in file.read_bytes().split(b"\n") if raw]


def test_named_replies_are_gone_and_all_that_was_spent_stays(tmp_path: Path) -> None:
    fill(tmp_path)
    money, found, batched = read(tmp_path)
    before = raw_lines(tmp_path)
    assert forget_replies(tmp_path, name_keys(1, 2, 7, 99)) == 4
    after_money, after, after_batched = read(tmp_path)
    assert after_money == money and after_batched == batched
    assert after == {**found, 1: [], 2: [], 7: []}
    after_lines = raw_lines(tmp_path)
    gone = [raw for raw in before if (told := parse_line(raw)) and told.kind in "ra" and told.key in {key(1), key(2), key(7)}]
    assert [raw for raw in before if raw not in gone] == [raw for raw in after_lines if raw in before]
    assert len(after_lines) == len(before) and SECRET.encode() not in b"".join(set(after_lines) - set(before))
    assert forget_replies(tmp_path, name_keys(1, 2, 7)) == 0


def test_nothing_named_changes_no_byte_and_no_folder_is_made(tmp_path: Path) -> None:
    assert forget_replies(tmp_path / "none", name_keys(1)) == 0 and not (tmp_path / "none").exists()
    fill(tmp_path / "journal")
    file = tmp_path / "journal" / "segment-1.log"
    content, inode = file.read_bytes(), file.stat().st_ino
    assert forget_replies(tmp_path / "journal", name_keys(98)) == 0
    assert (file.read_bytes(), file.stat().st_ino) == (content, inode)


def test_only_the_owner_may_read_what_is_left(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "segment-1.log").chmod(0o600)
    old = os.umask(0o000)
    try:
        forget_replies(tmp_path, name_keys(1))
    finally:
        os.umask(old)
    assert (tmp_path / "segment-1.log").stat().st_mode & 0o777 == 0o600


def test_the_file_that_takes_a_segments_place_was_never_open_to_others(tmp_path: Path) -> None:
    """Between its writing and its renaming a kill would leave it as it is."""
    seen: list[int] = []

    def watch(event: str, arguments: tuple) -> None:
        if event == "os.rename" and str(arguments[0]).startswith(str(tmp_path)) and not done:
            seen.append(Path(arguments[0]).stat().st_mode & 0o777)

    done: list[bool] = []
    fill(tmp_path)
    old = os.umask(0o022)
    sys.addaudithook(watch)
    try:
        forget_replies(tmp_path, name_keys(1))
    finally:
        done.append(True)
        os.umask(old)
    assert seen == [0o600]


def test_a_run_that_holds_a_segment_keeps_everything_as_it_is(tmp_path: Path) -> None:
    fill(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom distill_assets.clients.journal import open_journal\n"
        "with open_journal(Path(sys.argv[1])) as journal:\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match="in use by a run"):
            forget_replies(tmp_path, name_keys(1))
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
        with open_journal(tmp_path) as journal:  # and the lock is free again
            assert journal.find(key(1))
        holder.stdin.close()
        assert holder.wait(30) == 0
    assert forget_replies(tmp_path, name_keys(1)) == 1


def test_replies_are_found_in_every_segment(tmp_path: Path) -> None:
    tmp_path.joinpath("segment-1.log").write_bytes(line("i", 1, 5, 5, b"") + line("r", 1, 3, 2, body(1)))
    tmp_path.joinpath("segment-2.log").write_bytes(line("r", 1, 4, 2, body(1)) + line("r", 2, 1, 1, body(2)))
    tmp_path.joinpath("segment-10.log").write_bytes(line("r", 2, 1, 1, body(2)))
    untouched = tmp_path.joinpath("segment-10.log").stat().st_ino
    money = read(tmp_path)[0]
    assert forget_replies(tmp_path, name_keys(1)) == 2
    assert read(tmp_path)[0] == money
    assert (tmp_path / "segment-10.log").stat().st_ino == untouched
    assert [found["body"]["n"] for found in read(tmp_path)[1][2]] == [2, 2]


def test_damaged_and_torn_lines_that_could_hold_the_text_go_with_it(tmp_path: Path) -> None:
    whole = line("r", 1, 3, 2, body(1)) + line("r", 2, 1, 1, body(2))
    spoiled = line("r", 1, 3, 2, body(1)).replace(b"that", b"thaT")
    torn = line("r", 1, 3, 2, body(1))[:-5]
    (tmp_path / "segment-1.log").write_bytes(whole + spoiled + b"\n" + torn)
    money = read(tmp_path)[0]
    assert forget_replies(tmp_path, name_keys(1)) == 1
    assert read(tmp_path)[0] == money and [found["body"]["n"] for found in read(tmp_path)[1][2]] == [2]
    left = (tmp_path / "segment-1.log").read_bytes()
    assert left.count(SECRET.encode()) == 1 and b"thaT" not in left
    with open_journal(tmp_path) as journal:
        journal.append(key(3), 0.0, 0, {}, b'{"n": 3}')
    assert read(tmp_path)[1][3]


def test_a_whole_last_line_without_its_break_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "segment-1.log").write_bytes(line("r", 2, 1, 1, body(2)) + line("r", 1, 3, 2, body(1))[:-1])
    assert forget_replies(tmp_path, name_keys(1)) == 1
    money, found, _ = read(tmp_path)
    assert money.tokens == 3 and found[1] == [] and found[2]


def test_a_line_that_has_a_carriage_return_in_it_is_one_line(tmp_path: Path) -> None:
    """A batch's words of refusal come from outside; what was in doubt there stays counted."""
    with open_journal(tmp_path) as journal:
        journal.claim_batch("batch-a", [Claim(key(8), 0.5, 50)], NO_CAP)
        journal.leave_batch(key(8), "batch-a", "refused\rby the \x0b\x1c house", is_in_doubt=True)
        journal.append(key(1), 0.25, 3, {}, b'{"n": 1}')
    money, _, batched = read(tmp_path)
    assert money.usd == 0.75
    assert forget_replies(tmp_path, name_keys(1)) == 1
    assert read(tmp_path)[0] == money and read(tmp_path)[2] == batched


KINDS = st.sampled_from("raifeb")
ENTRY = st.tuples(
    KINDS, st.integers(1, 6), st.integers(0, 10**10), st.integers(0, 1000), st.sampled_from([b"b1", b"b2"]),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20),
)  # fmt: skip


def write_entry(kind: str, number: int, usd_nano: int, tokens: int, batch: bytes, words: str) -> bytes:
    reply = orjson.dumps({"t": words})
    rest = {"r": reply, "a": batch + b" " + reply, "i": b"", "f": b"", "e": batch + b" " + words.encode(), "b": batch}[kind]
    return line(kind, number, usd_nano, tokens, rest)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(ENTRY, max_size=12), min_size=1, max_size=3), st.sets(st.integers(1, 6)), st.data())
def test_whatever_is_in_a_journal_only_the_named_replies_change(tmp_path_factory, segments, named, data) -> None:
    folder = tmp_path_factory.mktemp("journal")
    for number, entries in enumerate(segments, 1):
        (folder / f"segment-{number}.log").write_bytes(b"".join(write_entry(*entry) for entry in entries))
    before, money, found, batched = raw_lines(folder), *read(folder)
    n = sum(kind in "ra" and number in named for entries in segments for kind, number, *_ in entries)
    assert forget_replies(folder, name_keys(*named)) == n
    after, after_money, after_found, after_batched = raw_lines(folder), *read(folder)
    assert (after_money, after_batched["in"], after_batched["usd_nano"]) == (money, batched["in"], batched["usd_nano"])
    assert after_found == {number: [] if number in named else replies for number, replies in found.items()}
    assert after_batched["failures"] == batched["failures"]
    kept = [raw for raw in before if (told := parse_line(raw)) is None or told.kind not in "ra" or int(told.key, 16) not in named]
    assert [raw for raw in after if raw in set(kept)] == kept


def name_even(lines: list[Line]) -> list[bool]:
    return [int(line.key, 16) % 2 == 0 for line in lines]


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_each_segment_old_or_new(tmp_path: Path) -> None:
    """20 children are killed; whatever is left has all the money, and each reply that was not named."""
    n_segments, n_lines, rng = 4, 2000, random.Random(6)
    content = [
        b"".join(line("r", s * n_lines + i, 3, 2, orjson.dumps({"n": s * n_lines + i, "pad": "x" * 600})) for i in range(n_lines))
        for s in range(n_segments)
    ]
    n_half = 0
    for attempt in range(20):
        for number, raw in enumerate(content, 1):
            (tmp_path / f"segment-{number}.log").write_bytes(raw)
        child = os.fork()
        if child == 0:
            forget_replies(tmp_path, name_even)
            os._exit(0)
        time.sleep(rng.random() * 0.12)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        states = set()
        for number, raw in enumerate(content, 1):
            left = (tmp_path / f"segment-{number}.log").read_bytes()
            told = [parse_line(piece) for piece in left.split(b"\n") if piece]
            assert all(isinstance(item, Line) for item in told) and len(told) == n_lines
            assert sum(item.usd_nano for item in told) == 3 * n_lines, attempt
            states.add("old" if left == raw else "new")
            if left != raw:
                assert [item.kind for item in told] == ["f" if int(item.key, 16) % 2 == 0 else "r" for item in told]
        n_half += len(states) == 2
    assert n_half, "no child was killed between two segments"
    forget_replies(tmp_path, name_even)
    assert not list(tmp_path.glob(".segment*")), "what a killed child began has replies in it"
