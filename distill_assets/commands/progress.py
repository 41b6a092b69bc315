"""Showing a run on the terminal while it goes on.

Belongs here: turning log records of the steps into lines. Does not belong here: the run itself.

Dagster logs to a Python logger of the run's own; a handler picks the steps' starts, ends and messages
out of it. On a terminal the last message of a step is a live line, elsewhere each message is a line.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from distill_assets.call_log import PREVIEW
from distill_assets.resources import read_clock_s


class StepLines(logging.Handler):
    """Prints one line a step, with its seconds, and its messages as they come."""

    def __init__(self, say: Callable[[str], None], whisper: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._say, self._whisper = say, whisper
        self._started: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Print what the record says, if a person wants to know."""
        meta = getattr(record, "dagster_meta", None) or {}
        event = meta.get("dagster_event")
        step = _name_step(meta.get("step_key"))
        if event is None:
            if step and record.levelno >= logging.INFO:
                text = meta.get("orig_message") or record.getMessage()
                is_lasting = record.levelno >= logging.WARNING or text.startswith(PREVIEW)
                (self._say if is_lasting else self._whisper)(f"  {step}: {text}")
            return
        self._tell_event(event, step)

    def _tell_event(self, event, step: str) -> None:
        kind = event.event_type_value
        if kind == "STEP_START":
            self._started[step] = read_clock_s()
            self._whisper(f"  {step} …")
        elif kind in ("STEP_SUCCESS", "STEP_FAILURE"):
            seconds = read_clock_s() - self._started.get(step, read_clock_s())
            self._say(f"{'✓' if kind == 'STEP_SUCCESS' else '✗'} {step:<32} {seconds:6.1f} s")
        elif kind == "ASSET_CHECK_EVALUATION" and not event.event_specific_data.passed:
            data = event.event_specific_data
            self._say(f"✗ check {data.asset_key.path[-1]}:{data.check_name} {data.description or ''}")


def _name_step(step_key: str | None) -> str:
    return (step_key or "").removesuffix("__checks").rpartition("__")[2] + (
        " checks" if (step_key or "").endswith("__checks") else ""
    )


@contextmanager
def show_progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show steps until the block ends; gives a function that prints a line of one's own."""
    from rich.console import Console

    console = Console(file=_keep_stdout(), highlight=False, markup=False, soft_wrap=True)
    if quiet:
        with _listen(StepLines(_ignore, _ignore)):
            yield _ignore
        return
    if not console.is_terminal:
        with _listen(StepLines(console.print, console.print)):
            yield console.print
        return
    with console.status("…") as status, _listen(StepLines(console.print, status.update)):
        yield console.print


def _keep_stdout() -> TextIO | None:
    """Standard output by a handle of its own: while a step runs, Dagster points the usual one at the step's log file."""
    try:
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace", buffering=1)
    except (OSError, ValueError):  # no file behind it, as under a test runner
        return None


def _ignore(_: str) -> None:
    return None


@contextmanager
def _listen(handler: logging.Handler) -> Iterator[None]:
    from distill_assets.run_log import forward_to

    with forward_to(handler):
        yield
