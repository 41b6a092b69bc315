"""What a rule sees, and what a rule is.

Belongs here: the one row and the type of a rule. Does not belong here: any rule.

A rule returns None when it is satisfied, else why not. Rules see what the student will be trained on and why the
endpoint stopped writing, and nothing else: never the teacher's record of its own planted errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from distill_assets.judging import HeuristicsSpec

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


class Generation(NamedTuple):
    """One generation's texts; `answer` is the query where the task is SQL. `finish_reason` is the endpoint's word."""

    question: str
    trace: str
    answer: str
    finish_reason: str | None = None


Rule = Callable[[Generation, HeuristicsSpec], str | None]


def drop_quoted(text: str) -> str:
    """Take out what stands in quotes: values of the data speak for nobody."""
    return _QUOTED.sub("''", text)


def name_texts(generation: Generation, *names: str) -> list[tuple[str, str]]:
    """The (name, text) pairs of a generation, of the fields `names`; empty texts are left out."""
    return [(name, text) for name in names if (text := str(getattr(generation, name)))]
