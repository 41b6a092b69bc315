"""What a step tells while it asks a teacher: a line now and then, on the terminal and in Dagster's event log.

Belongs here: the lines, and what a judge asks with, opened for a step. Does not belong here: where the lines go (run_log,
commands/progress) or asking (clients).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from distill_assets.clients.bench import Bench
from distill_assets.clients.chat import ChatReply
from distill_assets.clients.engine import Counts
from distill_assets.clients.journal import Cap, open_journal
from distill_assets.config import Recipe, read_secret
from distill_assets.resources import read_clock_s, read_wall_clock_s
from distill_assets.storage import Workspace

# Each line is an event in Dagster's log: often enough to watch, seldom enough for a run of a day.
TELL_EVERY_S, TELL_LATER_EVERY_S, LATER_S = 2.0, 15.0, 120.0
PREVIEW = "preview of"
PREVIEW_CHARS = 160
PREVIEW_EVERY = 3  # lines


class CallTeller:
    """Tells how asking a teacher goes: done, cached, failed, rate, time left, money, and a preview now and then."""

    def __init__(self, log: logging.Logger, noun: str, total: int) -> None:
        self._log, self._noun, self._total = log, noun, total
        self._started = self._told = read_clock_s()
        self._latest: ChatReply | None = None
        self._n_told = 0

    def see(self, reply: ChatReply) -> None:
        """Remember a reply for the next preview."""
        if reply.answer:
            self._latest = reply

    def tell(self, counts: Counts) -> None:
        """Log a line if it is time for one, and always the last one."""
        now = read_clock_s()
        every = TELL_EVERY_S if now - self._started < LATER_S else TELL_LATER_EVERY_S
        if counts.done < self._total and now - self._told < every:
            return
        self._told = now
        if self._latest is not None and self._n_told % PREVIEW_EVERY == 0 and counts.sent:
            self._log.info(f"{PREVIEW} {self._latest.teacher}: {preview_answer(self._latest)}")
            self._latest = None
        self._log.info(describe_progress(self._noun, counts, self._total, now - self._started))
        self._n_told += 1


@contextmanager
def open_bench(log: logging.Logger, workspace: Workspace, recipe: Recipe, noun: str, n_expected: int) -> Iterator[Bench]:
    """Open the recipe's journal under its budget, and tell `log` how asking for `n_expected` of `noun` goes."""
    teller = CallTeller(log, noun, n_expected)
    cap = Cap(recipe.budget.usd, recipe.budget.tokens)
    with open_journal(workspace.folder("journal", recipe.name)) as journal:
        yield Bench(journal, cap, read_secret, read_wall_clock_s, teller.tell)


def describe_progress(noun: str, counts: Counts, total: int, seconds: float) -> str:
    """One line on how asking goes.

    Args:
        seconds: since asking began. The rate is that of replies that needed a call.
    """
    parts = [f"{noun} {counts.done - counts.waiting:,}/{total:,}", f"{counts.reused:,} cached", f"{counts.failed:,} failed"]
    if counts.waiting:
        parts.append(f"{counts.waiting:,} for a batch")
    rate = max(0, counts.done - counts.reused - counts.waiting) / seconds if seconds > 0 else 0.0
    if rate > 0:
        parts.append(f"{rate:.1f}/s")
        if counts.done < total:
            parts.append(f"{format_duration((total - counts.done) / rate)} left")
    if counts.concurrency:
        parts.append(f"up to {counts.concurrency} at once")
    if counts.usd:
        parts.append(f"{counts.usd:.4f} USD")
    if counts.tokens:
        parts.append(f"{counts.tokens:,} tokens")
    return " · ".join(parts)


def format_duration(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def preview_answer(reply: ChatReply) -> str:
    """An answer on one short line; what a model wrote is shown as printable text only."""
    text = " | ".join(str(value) for name, value in (reply.answer or {}).items() if name != "reasoning")
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= PREVIEW_CHARS else line[: PREVIEW_CHARS - 1] + "…"
