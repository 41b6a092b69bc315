"""Finding the program in a model's answer.

Belongs here: taking off code fences and choosing among several. Does not belong here: reading the program (it is hostile
until it runs in the sandbox).
"""

from __future__ import annotations

import re

FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+.-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
PYTHON_NAMES = ("", "py", "python", "python3", "py3")
DEFINITION = re.compile(r"^(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)


def extract_program(answer: str, entry: str | None = None) -> str:
    """The program in `answer`: without fences the whole, with several fenced blocks the last that defines `entry`, else the longest."""
    blocks = [block for _, name, block in FENCE.findall(answer) if name.lower() in PYTHON_NAMES]
    if not blocks:
        return answer
    defining = [block for block in blocks if entry and _defines(block, entry.split(".")[0])]
    return defining[-1] if defining else max(blocks, key=len)


def _defines(block: str, name: str) -> bool:
    return (
        re.search(rf"^(?:async[ \t]+)?(?:def|class)[ \t]+{re.escape(name)}\b|^{re.escape(name)}[ \t]*=", block, re.MULTILINE)
        is not None
    )


def last_function(program: str) -> str | None:
    """The name of the last function defined at the outermost level."""
    names = DEFINITION.findall(program)
    return names[-1] if names else None
