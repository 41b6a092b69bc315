"""What a judge asks with: all that the engine needs besides the questions and who is asked.

Belongs here: that bundle. Does not belong here: opening it for a step (call_log) or asking (engine).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from distill_assets.clients.engine import Counts
from distill_assets.clients.journal import Cap, Journal


class Bench(NamedTuple):
    """Journal, budget, where keys come from, the clock, and who is told how it goes."""

    journal: Journal
    cap: Cap
    read_secret: Callable[[str], str | None]
    read_wall_clock: Callable[[], float]
    tell: Callable[[Counts], None]
