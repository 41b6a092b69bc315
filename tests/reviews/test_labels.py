"""The journal of labels loses nothing that was acknowledged, and says which of its lines do not count."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.errors import ReviewError, StorageError
from distill_assets.reviews.labels import (
    Label,
    append_labels,
    check_reviewer,
    forget_labels,
    labels_file,
    read_journal,
    read_labels,
)
from distill_assets.storage import Workspace, read_table, write_table
from distill_assets.tables import REVIEW_LABELS
from tests.reviews.world import make_label, sample_id

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from distill_assets.reviews.labels import append_labels
from distill_assets.storage import Workspace
from tests.reviews.world import make_label
home, reviewer, n = sys.argv[1:]
for number in range(int(n)):
    append_labels(Workspace(Path(home)), "choir", [make_label(number, reviewer=reviewer, comment="x" * 500)])
    print(number, flush=True)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def start_writer(workspace: Workspace, reviewer: str, n: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(workspace.root), reviewer, str(n)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_what_was_written_is_read_back_and_makes_a_table(workspace: Workspace) -> None:
    labels = [make_label(1, comment="a “quote”,\nand a line"), make_label(0, "unsure", "Bö")]
    append_labels(workspace, "choir", labels)
    assert read_journal(workspace, "choir").labels == tuple(labels)
    frame = read_labels(workspace, "choir").frame
    version = write_table(workspace, "choir", REVIEW_LABELS, frame)
    assert read_table(workspace, "choir", REVIEW_LABELS, version).equals(frame)


def test_without_a_journal_there_is_no_label(workspace: Workspace) -> None:
    read = read_labels(workspace, "choir")
    assert read.frame.height == 0 and read.problems == ()
    assert not workspace.root.exists(), "reading makes no folder"


def test_the_last_label_of_a_person_wins_and_the_earlier_one_stays(workspace: Workspace) -> None:
    for label in (make_label(), make_label(label="reject", drawn="chosen"), make_label(label="unsure", reviewer="bob")):
        append_labels(workspace, "choir", [label])
    frame = read_labels(workspace, "choir").frame
    assert frame.select("reviewer", "label", "drawn").rows() == [("ann", "reject", "random"), ("bob", "unsure", "random")]
    assert len(read_journal(workspace, "choir").labels) == 3


def test_the_time_of_a_label_is_no_part_of_the_tables_version(workspace: Workspace) -> None:
    versions = set()
    for recipe, time_ in (("a", "2026-11-21T10:00:00Z"), ("b", "2026-11-22T09:00:00+02:00")):
        append_labels(workspace, recipe, [make_label(labelled_at=time_)])
        versions.add(write_table(workspace, recipe, REVIEW_LABELS, read_labels(workspace, recipe).frame))
    assert len(versions) == 1


def test_a_label_cut_short_is_named_and_the_next_one_is_whole(workspace: Workspace) -> None:
    append_labels(workspace, "choir", [make_label(0), make_label(1)])
    file = labels_file(workspace, "choir")
    file.write_bytes(file.read_bytes()[:-20])
    journal = read_journal(workspace, "choir")
    assert [label.sample_id for label in journal.labels] == [sample_id(0)]
    assert journal.problems == (f"{file}:2: cut short: its writer ended before it was acknowledged; it does not count",)
    append_labels(workspace, "choir", [make_label(2)])
    journal = read_journal(workspace, "choir")
    assert [label.sample_id for label in journal.labels] == [sample_id(0), sample_id(2)]
    assert len(journal.problems) == 1 and f"{file}:2: damaged" in journal.problems[0]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda line: line.replace(b'"accept"', b'"reject"'), "not as it was written"),
        (lambda line: line.replace(b'"accept"', b'"maybe"'), "label: Input should be"),
        (lambda line: b"\xff\xfe" + line, "damaged"),
        (lambda line: b"[1]", "no JSON object"),
        (lambda line: b"[" * 100_000, "damaged"),
        (lambda line: b"\0" * 40, "damaged"),
    ],
)
def test_a_damaged_line_is_named_by_its_number_and_does_not_count(workspace: Workspace, spoil, words: str) -> None:
    append_labels(workspace, "choir", [make_label(number) for number in range(3)])
    file = labels_file(workspace, "choir")
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([lines[0], spoil(lines[1]), lines[2]]) + b"\n")
    read = read_labels(workspace, "choir")
    assert set(read.frame["sample_id"]) == {sample_id(0), sample_id(2)}
    assert len(read.problems) == 1
    assert f"{file}:2: " in read.problems[0] and words in read.problems[0]


@given(st.lists(st.one_of(st.binary(), st.just(b'{"label": "accept"}'), st.just(b"{}"), st.just(b"null")), max_size=4))
def test_whatever_stands_between_them_no_label_is_lost(junk: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        append_labels(workspace, "choir", [make_label(0)])
        with labels_file(workspace, "choir").open("ab") as file:
            file.write(b"\n".join(junk))
        append_labels(workspace, "choir", [make_label(1)])
        journal = read_journal(workspace, "choir")
        assert [label.sample_id for label in journal.labels] == [sample_id(0), sample_id(1)]
        lines = b"\n".join(junk).split(b"\n")
        assert len(journal.problems) == sum(bool(line.strip()) for line in lines)


def test_a_writer_killed_at_any_moment_loses_nothing_that_it_acknowledged(workspace: Workspace) -> None:
    for moment in range(4):
        with start_writer(workspace, f"person {moment}", 10_000) as writer:
            acknowledged = [int(writer.stdout.readline()) for _ in range(1 + 7 * moment)]
            time.sleep(0.003 * moment)
            writer.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
        journal = read_journal(workspace, "choir")
        kept = {label.sample_id for label in journal.labels if label.reviewer == f"person {moment}"}
        assert {sample_id(number) for number in acknowledged} <= kept
        assert len(journal.problems) <= moment + 1


def test_two_writers_at_once_lose_nothing(workspace: Workspace) -> None:
    writers = [start_writer(workspace, name, 60) for name in ("ann", "bob")]
    assert [writer.communicate(timeout=60)[0].count(b"\n") for writer in writers] == [60, 60]
    read = read_labels(workspace, "choir")
    assert read.problems == ()
    assert dict(read.frame["reviewer"].value_counts().iter_rows()) == {"ann": 60, "bob": 60}


def test_labels_are_forgotten_while_others_are_given_and_only_those(workspace: Workspace) -> None:
    append_labels(workspace, "choir", [make_label(900, reviewer="old"), make_label(901, reviewer="old")])
    writer, n_forgotten, n_rewritten = start_writer(workspace, "ann", 400), 0, 0
    number = 1_000
    while writer.poll() is None:
        append_labels(workspace, "choir", [make_label(number, reviewer="old")])
        n_forgotten += forget_labels(workspace, "choir", [sample_id(number)])
        number, n_rewritten = number + 1, n_rewritten + 1
    assert writer.communicate()[0].count(b"\n") == 400
    assert n_forgotten == n_rewritten > 20
    assert forget_labels(workspace, "choir", [sample_id(900)]) == 1 and forget_labels(workspace, "nobody", [sample_id(900)]) == 0
    read = read_labels(workspace, "choir")
    assert read.problems == () and dict(read.frame["reviewer"].value_counts().iter_rows()) == {"ann": 400, "old": 1}
    assert labels_file(workspace, "choir").stat().st_mode & 0o777 == 0o600


def test_a_journal_that_cannot_be_written_is_a_clear_error(workspace: Workspace) -> None:
    labels_file(workspace, "choir").mkdir(parents=True)
    with pytest.raises(StorageError, match="1 labels were not saved; earlier ones are untouched"):
        append_labels(workspace, "choir", [make_label()])


def test_a_full_disk_leaves_no_half_line(workspace: Workspace) -> None:
    append_labels(workspace, "choir", [make_label(0)])
    size = labels_file(workspace, "choir").stat().st_size
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); " + (
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 100}, {size + 100}));" + WRITER
    )
    full = subprocess.run(
        [sys.executable, "-c", code, str(workspace.root), "bob", "1"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "were not saved" in full.stderr
    assert labels_file(workspace, "choir").stat().st_size == size
    assert read_journal(workspace, "choir").problems == ()


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31m", "x" * 81, "two\nlines"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ReviewError, match="--reviewer NAME"):
        check_reviewer(name)


def test_a_name_has_one_spelling_and_a_comment_no_control_characters() -> None:
    assert check_reviewer(" Bo\u0308 ") == "Bö"
    assert make_label(comment="a\x1b[31m\r\nb\x07\tc").comment == "a[31m\nb\tc"
    assert make_label(labelled_at="2026-11-21T12:00:00.5+02:00").labelled_at == "2026-11-21T10:00:00.500Z"


@pytest.mark.parametrize(
    "changes", [{"labelled_at": "2026-11-21T10:00:00"}, {"labelled_at": "now"}, {"sample_id": "../x"}, {"comment": "x" * 5000}]
)
def test_a_label_that_is_none_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(pydantic.ValidationError):
        make_label(**changes)
    assert isinstance(make_label(), Label)
