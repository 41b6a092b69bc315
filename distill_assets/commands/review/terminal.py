"""The review in a terminal: one sample at a time, one key a label.

Belongs here: keys and what is printed. Does not belong here: what is drawn or saved (session).

At a terminal a key acts at once, and Ctrl-C ends like q; through a pipe each line is a key, so that a script can drive it. What a model wrote
is printed as text: no markup is read in it, and no character of it reaches the terminal that would act there.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from distill_assets.commands.review.samples import Shown
from distill_assets.commands.review.session import Review, read_own_labels, save_label
from distill_assets.errors import DistillError

LABEL_KEYS = {"a": "accept", "r": "reject", "u": "unsure"}
KEYS = "a accept   r reject   u unsure   c comment   n next   b back   q end"
COLOURS = {"accepted": "green", "rejected": "red", "unscored": "yellow", "passed": "green", "failed": "red"}
END = "q"
BACK_KEYS = ("b", "\x1b[D", "\x1bOD")
NEXT_KEYS = ("n", "\x1b[C", "\x1bOC")


def review_in_terminal(review: Review, console: Console) -> dict[str, str]:
    """Show sample after sample until the last one or q; return sample_id -> label of what was labelled.

    Raises:
        StorageError: a label cannot be saved; those before it are.
    """
    given: dict[str, str] = {}
    with without_line_buffer(), suppress(KeyboardInterrupt):
        _review(review, console, given)
    return given


def _review(review: Review, console: Console, given: dict[str, str]) -> None:
    ids, place = list(review.samples), 0
    comments = {sample_id: own["comment"] for sample_id, own in read_own_labels(review).items()}
    keys, is_new = read_keys(), True
    while place < len(ids):
        shown = review.samples[ids[place]]
        if is_new:
            label = given.get(shown.sample_id)
            show_sample(console, shown, f"{place + 1} of {len(ids)}", label, not review.is_blind or label is not None)
        key, is_new = next(keys, END), True
        if key == END:
            break
        if key in LABEL_KEYS:
            _label(review, console, shown, LABEL_KEYS[key], comments.get(shown.sample_id, ""), given)
            place += 1
        elif key in BACK_KEYS or key in NEXT_KEYS:
            place = max(0, place - 1) if key in BACK_KEYS else place + 1
        else:
            is_new = False
            _act(review, console, shown, key, comments, given)


def _act(review: Review, console: Console, shown: Shown, key: str, comments: dict[str, str], given: dict[str, str]) -> None:
    """A key that stays on the sample: a comment, or one that does nothing."""
    if key != "c":
        console.print(Text(f"{key!r} is no key here: {KEYS}", style="yellow"))
        return
    comments[shown.sample_id] = ask_comment(console)
    if shown.sample_id in given:
        _label(review, console, shown, given[shown.sample_id], comments[shown.sample_id], given)
    else:
        console.print(Text("The comment is saved with your label.", style="dim"))


def _label(review: Review, console: Console, shown: Shown, label: str, comment: str, given: dict[str, str]) -> None:
    try:
        save_label(review, shown.sample_id, label, comment, review.drawn)
    except DistillError:
        console.print(Text(f"{len(given)} labels were saved before this one.", style="red"))
        raise
    given[shown.sample_id] = label
    judges = f"; the judges say {shown.status}" if review.is_blind else ""
    console.print(Text(f"saved: {label} {shown.sample_id[:12]}{judges}", style="bold"))


def read_keys() -> Iterator[str]:
    """Keys as they are pressed; without a terminal the first character of each line. Ends where the input ends."""
    while True:
        for key in _read_pressed() if sys.stdin.isatty() else _read_line():
            if key == "":
                return
            yield key


@contextmanager
def without_line_buffer() -> Iterator[None]:
    """Give the terminal's keys at once and unseen; what was typed ahead is kept, Ctrl-C still interrupts."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextmanager
def with_line_buffer() -> Iterator[None]:
    """Within `without_line_buffer`, let a whole line be typed and mended."""
    modes = termios.tcgetattr(sys.stdin)
    modes[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)
    try:
        yield
    finally:
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)


def _read_pressed() -> list[str]:
    # A library has the kernel resume a read that Ctrl-C interrupts; it never resumes a select.
    select.select([sys.stdin], [], [])
    pressed = os.read(sys.stdin.fileno(), 64).decode("utf-8", errors="replace")
    if pressed in ("", "\x04"):
        return [""]
    # What is typed fast comes together; a key such as an arrow is several characters that begin with escape.
    return [pressed] if pressed.startswith("\x1b") else list(pressed)


def _read_line() -> list[str]:
    line = sys.stdin.readline()
    return [line.strip()[:1].lower()] if line.strip() else [] if line else [""]


def ask_comment(console: Console) -> str:
    """One line of comment."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    with with_line_buffer():
        console.print("comment: ", end="")
        return sys.stdin.readline().strip()


def show_sample(console: Console, shown: Shown, place: str, label: str | None, with_judges: bool) -> None:
    """Print one sample, and unless the review is blind what the judges say of it."""
    console.rule(Text(f"{place}   {shown.sample_id[:12]}   {shown.database}"))
    if with_judges:
        console.print(Text("the judges say ").append_text(_colour(shown.status)))
    if label:
        console.print(Text(f"you said {label}"))
    for title, text in (("question", shown.question), ("reasoning", shown.trace)):
        console.print(Text(title, style="bold"))
        console.print(Text(text or "(none)"))
    console.print(Text("query", style="bold"))
    console.print(Syntax(shown.sql, "sql", word_wrap=True, background_color="default") if shown.sql else Text("(none)"))
    if with_judges:
        console.print(_tabulate(shown))
    console.print(Text(KEYS, style="dim"))


def _tabulate(shown: Shown) -> Table:
    """What did not simply pass, row by row; then what did, in one row a judge."""
    table = Table(box=None, pad_edge=False)
    for name in ("judge", "criterion", "verdict", "score", "reason"):
        table.add_column(name, overflow="fold")
    plain: dict[str, list[str]] = {}
    for one in shown.evidence:
        if one.status == "passed" and one.score == 1 and one.is_decisive and not one.reason:
            plain.setdefault(one.judge, []).append(one.criterion)
            continue
        score = "" if one.score is None else f"{one.score:.2f}"
        status = _colour(one.status).append("" if one.is_decisive else ", not decisive")
        reason = Text(one.reason).append(f"\n{one.found_by}" if one.found_by else "", style="dim")
        table.add_row(Text(one.judge), Text(one.criterion), status, Text(score), reason)
    for judge, criteria in plain.items():
        table.add_row(Text(judge), Text(", ".join(criteria)), _colour("passed"), Text("1.00"), Text(""))
    return table


def _colour(status: str) -> Text:
    return Text(status, style=COLOURS.get(status, "yellow"))


def open_console() -> Console:
    """A console that reads no markup, and folds what is too long."""
    return Console(markup=False, emoji=False, highlight=False)
