"""A chain's lines follow each other byte for byte, and a writer's death costs nothing that was acknowledged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.errors import LineageError
from distill_assets.lineage.chain import (
    FORMAT,
    Draft,
    Event,
    SegmentRef,
    build_head,
    build_line,
    parse_chain,
    parse_line,
    read_chain,
    read_head,
)
from distill_assets.lineage.ledger import Ledger

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def build_chain(n: int) -> tuple[bytes, list[Event]]:
    raw, events = b"", []
    for number in range(n):
        facts = {"n": number} if number else {"format": FORMAT, "salt_id": "0" * 16}
        draft = Draft("seeds" if number else "genesis", "r", None, (SegmentRef("seed", f"{number:064x}", 1, 2),), {}, facts)
        line = build_line(draft, events[-1] if events else None)
        events.append(parse_line(line[:-1], events[-1] if events else None))
        raw += line
    return raw, events


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_facts_come_back_as_they_were_given(facts: dict):
    line = build_line(Draft("seeds", "r", "2026-01-01T00:00:00Z", (), {"run_id": "x"}, facts), None)
    event = parse_line(line[:-1], None)
    assert event.facts == facts and event.dagster == {"run_id": "x"} and event.at == "2026-01-01T00:00:00Z"
    assert line.count(b"\n") == 1


@pytest.mark.parametrize("facts", [{"n": float("nan")}, {"n": {1, 2}}, {"n": object()}, {"n": b"bytes"}])
def test_facts_that_are_no_json_are_refused(facts: dict):
    with pytest.raises(LineageError, match=r"the event 'seeds' cannot be written as JSON: .* Nothing was recorded"):
        build_line(Draft("seeds", None, None, (), {}, facts), None)


def test_each_line_names_the_one_before():
    raw, events = build_chain(4)
    read, torn = parse_chain(raw)
    assert read == events and torn == b""
    assert [event.prev for event in events] == ["0" * 64, *(event.hash for event in events[:-1])]
    assert [event.seq for event in events] == [0, 1, 2, 3]


def test_every_changed_byte_breaks_the_chain_or_tears_its_last_line():
    raw, _ = build_chain(3)
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 0x01
        if at == len(raw) - 1:
            assert parse_chain(bytes(changed))[1], "the last line has no line break any more"
        else:
            with pytest.raises(LineageError, match=r"chain.jsonl is broken at line \d"):
                parse_chain(bytes(changed))


def test_a_line_put_in_place_of_another_is_seen_by_the_line_after_it():
    raw, events = build_chain(3)
    lines = raw.splitlines(keepends=True)
    lines[1] = build_line(Draft("seeds", "r", None, (), {}, {"n": "forged"}), events[0])
    with pytest.raises(LineageError, match="broken at line 2: the line does not name the hash of the line before it"):
        parse_chain(b"".join(lines))


def test_the_same_json_in_other_bytes_is_another_line():
    raw, _ = build_chain(1)
    for spaced in (
        raw.replace(b'":', b'": ', 1),
        b" " + raw,
        raw.replace(b'"n_rows":1,', b'"n_rows":1,"n_rows":1,'),
        raw.replace(b"\n", b"\r\n"),
    ):
        with pytest.raises(LineageError, match=r"is not written as events are|is no event"):
            parse_chain(spaced)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"null", b"[]", b"{}", b"\xff\xfe", b'{"seq":0}', b"[" * 100_000, b'{"seq":' * 50_000, b"9" * 5000, b"NaN", b'"\\ud800"', b"\x00" * 64,
        json.dumps({**build_chain(1)[1][0]._asdict(), "segments": [{"kind": "../x", "sha256": "0", "n_rows": 0, "n_bytes": 0}]}).encode(),
        json.dumps({**build_chain(1)[1][0]._asdict(), "segments": 3}).encode(),
        json.dumps({**build_chain(1)[1][0]._asdict(), "facts": []}).encode(),
    ],
    ids=lambda line: repr(line[:20]),
)  # fmt: skip
def test_what_is_no_event_is_refused_without_a_traceback(line: bytes):
    with pytest.raises(LineageError, match=r"is no event|is not written|does not"):
        parse_line(line, None)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_chain_or_an_error(raw: bytes):
    try:
        events, torn = parse_chain(raw)
    except LineageError:
        return
    assert events == [] and torn == raw


def test_a_segment_name_cannot_lead_out_of_its_folder():
    with pytest.raises(LineageError, match="names a segment that cannot be one"):
        build_line(Draft("seeds", None, None, (SegmentRef("../../x", "0" * 64, 0, 0),), {}, {}), None)


# --- HEAD and torn lines ---


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ledger = Ledger.open(tmp_path / "ledger", create=True)
    for number in range(3):
        ledger.append("seeds", "r", None, {"n": number}, {})
    return ledger.root


def test_head_names_the_last_line(root: Path):
    chain = read_chain(root)
    assert chain.head == read_head(root) == (3, chain.events[-1].hash)


def test_a_torn_last_line_is_passed_over_and_set_aside_by_the_next_record(root: Path):
    torn = (root / "chain.jsonl").read_bytes().splitlines()[-1][:40]
    with (root / "chain.jsonl").open("ab") as chain:
        chain.write(torn)
    assert read_chain(root).torn == torn
    assert Ledger.open(root).head().seq == 3
    assert Ledger(root).append("seeds", "r", None, {"n": 3}, {}).seq == 4
    assert (root / "chain.torn-1").read_bytes() == torn
    assert read_chain(root).torn == b""


def test_torn_lines_are_kept_apart(root: Path):
    for torn in (b"one", b"two"):
        with (root / "chain.jsonl").open("ab") as chain:
            chain.write(torn)
        Ledger(root).append("seeds", "r", None, {}, {})
    assert [(root / f"chain.torn-{n}").read_bytes() for n in (1, 2)] == [b"one", b"two"]


def test_a_tail_that_was_cut_is_an_error_that_says_which_lines_are_gone(root: Path):
    lines = (root / "chain.jsonl").read_bytes().splitlines(keepends=True)
    (root / "chain.jsonl").write_bytes(b"".join(lines[:2]))
    with pytest.raises(
        LineageError, match=r"the tail was cut: lines after 1 are gone, up to 3, which HEAD names. .*Restore chain.jsonl"
    ):
        read_chain(root)
    with pytest.raises(LineageError, match="the tail was cut"):
        Ledger(root).append("seeds", "r", None, {}, {})
    (root / "chain.jsonl").write_bytes(b"".join(lines)[:-1])
    with pytest.raises(LineageError, match="the tail was cut: lines after 2 are gone"):
        read_chain(root)
    (root / "chain.jsonl").write_bytes(b"")
    with pytest.raises(LineageError, match="the tail was cut: all lines are gone"):
        read_chain(root)


def test_a_line_written_but_not_acknowledged_counts_and_is_acknowledged_by_the_next_record(root: Path):
    events = read_chain(root).events
    (root / "HEAD").write_bytes(build_head(2, events[2].hash))
    assert read_chain(root).events == events
    with pytest.raises(LineageError, match="rows of 'seed' cannot be gathered"):
        Ledger(root).record("seeds", "r", None, {"seed": "no sql"}, {}, {}, {})
    assert read_head(root) == (3, events[3].hash), "before anything is added, so that no two lines are ever unsaid"
    Ledger(root).append("seeds", "r", None, {}, {})
    assert read_head(root) == (4, read_chain(root).events[-1].hash)


def test_a_head_further_back_than_any_writer_leaves_it_is_an_error(root: Path):
    events = read_chain(root).events
    (root / "HEAD").write_bytes(build_head(1, events[1].hash))
    with pytest.raises(LineageError, match="has 2 lines after the one that HEAD names"):
        read_chain(root)


def test_a_head_that_is_gone_or_no_head_is_an_error(root: Path):
    head = (root / "HEAD").read_bytes()
    (root / "HEAD").unlink()
    with pytest.raises(LineageError, match="HEAD is missing, so lines could have been cut"):
        read_chain(root)
    for wrong in (b"", b"null", head + b" ", head.replace(b":", b": "), b"\xff", b"[" * 4000, b"x" * 100_000, head[:-1]):
        (root / "HEAD").write_bytes(wrong)
        with pytest.raises(LineageError, match="HEAD does not name a line of the chain"):
            read_chain(root)


def test_a_head_of_another_chain_is_an_error(root: Path):
    (root / "HEAD").write_bytes(build_head(3, "0" * 64))
    with pytest.raises(LineageError, match="line 3 is not the one that HEAD names"):
        read_chain(root)


def test_a_folder_without_a_ledger_says_so(tmp_path: Path):
    with pytest.raises(
        LineageError, match=r"there is no ledger at .*: chain.jsonl is missing. Materialize a recipe, or restore a copy"
    ):
        Ledger.open(tmp_path)
    assert list(tmp_path.iterdir()) == []
