"""A reasoning as steps.

Belongs here: where one step ends and the next begins, and the parts of a step that are code. Does not belong here:
what a step claims.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_TRACE_CHARS = 40_000
MAX_STEPS = 200
# A number that ends a sentence ("below 3. 3. Then") is none of a step: that one comes after an end.
_NUMBER = re.compile(r"(?:\A|\n|(?<=[.!?:;)\x00`])\s+)(?:[Ss]tep\s+)?(\d{1,3})[.):]\s+")
_LINES = re.compile(r"\n+(?:[ \t]*[-*•][ \t]+)?")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"'(])")
_CODE = re.compile(r"```(?:\w*\n)?(.*?)(?:```|\Z)|`([^`\n]+)`", re.DOTALL)
_BARE_QUERY = re.compile(
    r"(?:\A|(?<=[\s:]))((?:SELECT|WITH)\s(?:(?!\bFROM\b)[^;]){1,2000}\bFROM\b[^;]{1,2000}?)(?=;|\.\s|\.\Z|\n\s*\n|\Z)", re.DOTALL
)
_ABBREVIATIONS = ("Dr.", "Mr.", "Mrs.", "Ms.", "St.", "e.g.", "i.e.", "vs.", "No.", "Prof.", "approx.", "etc.")


class Step(NamedTuple):
    """One step: its whole text, its text without the queries that it holds, and those queries with what follows each."""

    text: str
    prose: str
    queries: tuple[tuple[str, str], ...]


def split_steps(trace: str) -> list[Step]:
    """Split at numbers that count up from 1, else at lines, else at sentences; code fences stay whole."""
    lines = (re.sub(r"\s{20,}", " ", line.strip()) for line in trace[:MAX_TRACE_CHARS].splitlines())
    text = "\n".join(line for line in lines if line)
    fences: list[str] = []

    def hide(match: re.Match[str]) -> str:
        fences.append(match[0])
        return f"\x00{len(fences) - 1}\x00"

    hidden = re.sub(r"```.*?(?:```|\Z)|'(?:[^'\n]|'')*'", hide, text, flags=re.DOTALL)
    parts = _split_numbered(hidden) or [part for part in _LINES.split(hidden) if part.strip()]
    if len(parts) == 1:
        parts = _split_sentences(parts[0])
    shown = (re.sub(r"\x00(\d+)\x00", lambda match: fences[int(match[1])], part) for part in parts)
    return [_read_step(part.strip()) for part in shown if part.strip()][:MAX_STEPS]


def _split_numbered(text: str) -> list[str]:
    """Parts of a text whose numbers are 1, 2, 3; [] when there are not at least two."""
    wanted, cuts = 1, []
    for match in _NUMBER.finditer(text):
        if int(match[1]) == wanted:
            cuts.append((match.start(), match.end()))
            wanted += 1
    if len(cuts) < 2:
        return []
    ends = [start for start, _ in cuts[1:]] + [len(text)]
    return [text[: cuts[0][0]], *(text[start:end] for (start, _), end in zip(cuts, ends, strict=True))]


def _split_sentences(text: str) -> list[str]:
    parts: list[str] = []
    for part in _SENTENCE.split(text):
        if parts and parts[-1].endswith(_ABBREVIATIONS):
            parts[-1] += f" {part}"
        else:
            parts.append(part)
    return parts


def _read_step(text: str) -> Step:
    queries: list[tuple[str, str]] = []

    def take(match: re.Match[str]) -> str:
        code = next(group for group in (*match.groups(), "") if group is not None).strip()
        if not re.match(r"(select|with)\b", code, re.IGNORECASE):
            return f" {code} "
        queries.append((code.rstrip("; \n"), match.string[match.end() : match.end() + 200]))
        return " "

    prose = _BARE_QUERY.sub(take, _CODE.sub(take, text))
    return Step(text, " ".join(prose.split()), tuple(queries))
