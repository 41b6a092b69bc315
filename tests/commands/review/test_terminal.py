"""`distill review --terminal` through a pipe and through a real terminal, and labels out and in."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from distill_assets.cli import main
from distill_assets.config import RecipeFolder
from distill_assets.reviews.labels import read_journal, read_labels
from distill_assets.storage import Workspace
from tests.commands.review.world import ROOT, build_judged, review_command, run_review, sample_id

PATIENCE_S = 40


@pytest.fixture
def judged(home: Path, scenario: RecipeFolder) -> RecipeFolder:
    build_judged(scenario, home)
    return scenario


def review(folder: RecipeFolder, *options: str, keys: str = "", reviewer: str = "ann") -> tuple[int, str]:
    named = ("--reviewer", reviewer) if reviewer else ()
    result = CliRunner().invoke(main, ["review", "--recipe", str(folder.path), *named, *options], input=keys)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output


def said(home: Path) -> list[tuple[str, str, str]]:
    return [(label.sample_id, label.label, label.comment) for label in read_journal(Workspace(home), "choir").labels]


def test_keys_through_a_pipe_label_comment_go_back_and_end(home: Path, judged: RecipeFolder) -> None:
    code, output = review(judged, "--terminal", keys="a\nc\nwhy not\nr\nb\nc\nmind changed\nx\n\nq\na\n")
    assert code == 0, output
    first, second, changed = said(home)
    assert (first[1:], second[1:], changed) == (("accept", ""), ("reject", "why not"), (second[0], "reject", "mind changed"))
    assert "'x' is no key here" in output
    assert "Labelled in this review: 2 (1 accept, 1 reject, 0 unsure)" in output


def test_what_is_labelled_is_not_drawn_again_and_the_end_of_the_input_ends(home: Path, judged: RecipeFolder) -> None:
    for _ in range(2):
        assert review(judged, "--terminal", keys="u\n" * 3)[0] == 0
    assert sorted(label[0] for label in said(home)) == sorted(sample_id(number) for number in range(6))
    code, output = review(judged, "--terminal")
    assert code == 0 and "Nothing is left to review" in output
    code, output = review(judged, "--terminal", keys="a\n", reviewer="bob")
    assert "Nothing is left to review" in output
    code, output = review(judged, "--terminal", "--with-others", keys="a\n", reviewer="bob")
    assert "6 samples by 2 people; 1 by more than one, who differ on 1" in output


def test_a_blind_review_keeps_the_judges_word_back_until_the_label(home: Path, judged: RecipeFolder) -> None:
    before, after = review(judged, "--terminal", "--blind", keys="a\nb\nq\n")[1].split("saved: accept", 1)
    assert "judges say" not in before and "heuristics@3" not in before
    assert after.splitlines()[0].split("; ")[1].startswith("the judges say ") and "heuristics@3" in after
    [label] = read_journal(Workspace(home), "choir").labels
    assert f"the judges say {label.seen_status}" in after


def test_a_verdict_that_settles_nothing_is_told_as_such(judged: RecipeFolder) -> None:
    _, output = review(judged, "--terminal", "--sample", sample_id(0), keys="q\n")
    assert "the judges say accepted" in output, "people have overruled it; what counts here is the judges' own word"
    assert re.search(r"critic@1 +clear +passed, not +decisive", output)


def test_the_summary_alone_shows_no_sample(home: Path, judged: RecipeFolder) -> None:
    review(judged, "--terminal", keys="a\n")
    code, output = review(judged, "--summary")
    assert code == 0 and "In all: 1 sample by 1 person" in output
    assert "question" not in output and len(said(home)) == 1


def test_text_of_a_model_cannot_act_in_the_terminal(judged: RecipeFolder) -> None:
    _, output = review(judged, "--terminal", "-n", "1", keys="a\n")
    assert "\x1b]" not in output and "\x1b[2J" not in output and "\x07" not in output and "\u202e" not in output
    assert "\\u001b[2J" in output and "[bold]red[/bold]\\u202etxt" in output


def test_the_rate_counts_random_draws_alone(home: Path, judged: RecipeFolder) -> None:
    _, output = review(judged, "--terminal", "--sample", sample_id(0)[:10], keys="r\n")
    assert "accepted          3         0" in output
    _, output = review(judged, "--terminal", "--status", "accepted", keys="r\na\na\n")
    assert "accepted          3         3       0      1  33.3% (6.1% to 79.2%)" in output
    assert "unknown until accepted and rejected samples are both labelled" in output
    frame = read_labels(Workspace(home), "choir").frame
    assert frame["drawn"].unique().to_list() == ["random"]
    assert set(frame["seen_status"]) == {"accepted"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sample", "zz"), "0 judged samples of recipe 'choir' have an id that begins with 'zz'"),
        (("--sample", ""), "0 judged samples"),
        (("--reviewer", " "), "a reviewer is 1 to 80 printable characters"),
        (("--sample", "a", "-n", "3"), "--sample names the samples itself"),
        (("-n", "0"), "0 is not in the range"),
        (("--status", "good"), "'good' is not one of"),
        (("--export", "a", "--import", "b"), "give either --export or --import"),
        (("--summary", "--terminal"), "--summary shows no sample"),
        (("--import", "nowhere.jsonl"), "cannot be read: No such file"),
        (("--export", "labels.jsonl"), "has no label yet"),
        (("--recipe", "nowhere"), "distill new-recipe NAME"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_labelled(
    home: Path, judged: RecipeFolder, options: tuple[str, ...], words: str
) -> None:
    code, output = review(judged, *options)
    assert code in (1, 2) and words in output
    assert "Traceback" not in output
    assert said(home) == []


def test_without_judged_samples_there_is_nothing_to_review(home: Path, scenario: RecipeFolder) -> None:
    code, output = review(scenario, "--terminal")
    assert code == 1 and "no verdicts and no judged_samples yet" in output and "distill run" in output


def test_labels_go_out_and_come_in_elsewhere_and_are_never_written_over(home: Path, judged: RecipeFolder, tmp_path: Path) -> None:
    review(judged, "--terminal", keys="a\nr\n")
    file = tmp_path / "labels.jsonl"
    assert "2 labels written" in review(judged, "--export", str(file))[1]
    code, output = review(judged, "--export", str(file))
    assert code == 1 and "is there already and was left as it is" in output
    before = said(home)
    journal = home / "reviews" / "choir" / "labels.jsonl"
    journal.unlink()
    rows = [json.dumps({"sample_id": sample_id(5), "label": "accept", "reviewer": "zoe"}) + "\n"]
    file.write_text(file.read_text() + "".join(rows))
    assert "3 labels taken" in review(judged, "--import", str(file))[1]
    assert set(before) < set(said(home))
    assert "1 labels taken" in review(judged, "--import", str(file))[1], "a row without a time is a new label"
    with file.open("a") as handle:
        handle.write('{"sample_id": "x", "label": "accept"}\n')
    code, output = review(judged, "--import", str(file))
    assert code == 1 and f"{file}:4: no judged sample" in output
    assert len(said(home)) == 4


def test_a_damaged_journal_is_told_in_the_summary(home: Path, judged: RecipeFolder) -> None:
    review(judged, "--terminal", keys="a\nr\n")
    journal = home / "reviews" / "choir" / "labels.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])
    _, output = review(judged, "--terminal", keys="q\n")
    assert f"Not counted: {journal}:2: cut short" in output


def test_the_command_itself_works_through_a_pipe(home: Path, judged: RecipeFolder) -> None:
    done = run_review(judged, "--terminal", "--reviewer", "ann", keys="a\nq\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "saved: accept" in done.stdout and len(said(home)) == 1


def test_in_a_terminal_keys_act_at_once(home: Path, judged: RecipeFolder) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    command = review_command(judged, "--terminal", "--reviewer", "ann")
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment, close_fds=True) as process:
        os.close(follower)
        try:
            read_until(leader, "1 of 6")
            os.write(leader, b"a")
            read_until(leader, "2 of 6")
            os.write(leader, b"c")
            read_until(leader, "comment: ")  # the list of keys has the word as well
            os.write(leader, "schön\n".encode())
            read_until(leader, "saved with your label")
            os.write(leader, b"ru")
            read_until(leader, "4 of 6")
            os.write(leader, b"\x1b[D")
            read_until(leader, "you said unsure")
            os.write(leader, b"q")
            read_until(leader, "Labels: ")
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            os.close(leader)
    assert [label[1:] for label in said(home)] == [("accept", ""), ("reject", "schön"), ("unsure", "")]


def read_until(handle: int, words: str) -> str:
    seen, deadline = b"", time.monotonic() + PATIENCE_S
    while words.encode() not in seen:
        assert time.monotonic() < deadline, seen.decode(errors="replace")
        if select.select([handle], [], [], 0.2)[0]:
            seen += os.read(handle, 65536)
    return seen.decode(errors="replace")


def test_ctrl_c_in_a_terminal_keeps_what_was_labelled(home: Path, judged: RecipeFolder) -> None:
    leader, follower = pty.openpty()
    command = review_command(judged, "--terminal", "--reviewer", "ann")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    # Whoever runs the tests in the background has children that ignore the signal.
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment, preexec_fn=heed) as process:
        os.close(follower)
        read_until(leader, "1 of 6")
        os.write(leader, b"a")
        read_until(leader, "2 of 6")
        time.sleep(1)  # until the sample is drawn and a key is waited for
        process.send_signal(signal.SIGINT)
        told = read_until(leader, "Labels: ")
        assert process.wait(PATIENCE_S) == 0
        os.close(leader)
    assert "Traceback" not in told
    assert [label[1] for label in said(home)] == ["accept"]
