"""A mathematical answer judged by what it means: sqrt(8) is 2 sqrt(2), and 1/2 is 0.5.

Belongs here: the parent's side of the child that compares, and the verdict. Does not belong here: comparing (worker).

A deadline is enforced by killing, memory by the child's own limit; an expression that needs more of either is
unscored, for nobody has found it wrong.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock
from typing import Self

from distill_assets.verifiers.registry import Verdict

START_DEADLINE_S = 60.0
MAX_CHARS = 4_000
_IN_LATEX = re.compile(r"\$|\\\(|\\\[|\\boxed|\\begin\{")
# From what people and computer algebra write to LaTeX, in this order.
_TO_LATEX = (
    (r"\*\*", "^"),
    (r"\s*\^\s*", "^"),
    (r"\bsqrt\s*\(([^()]{1,200})\)", r"\\sqrt{\1}"),
    (r"(?<!\\)\bpi\b", r"\\pi "),
    (r"(?<![\\\w])(sin|cos|tan|ln|log|exp)\b", r"\\\1"),
    (r"\s*\*\s*", r" \\cdot "),
    (r"\^\(([^()]{1,100})\)", r"^{\1}"),
    (r"\^(-?\d{2,})(?![\d^])", r"^{\1}"),
)
_MARKER = re.compile(r"\b(?:final )?answer\b(?:\s*(?:is|are|=|:|equals))+\s*|####\s*", re.IGNORECASE)


class MathVerifier:
    """Compares expressions with math-verify in a child process; a context manager that ends it.

    Args:
        timeout_s: longest comparison, by the clock. memory_mb: address space of the child.
    """

    def __init__(self, timeout_s: float = 5.0, memory_mb: int = 1024) -> None:
        self._timeout_s, self._memory_mb = timeout_s, memory_mb
        self._child: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def verify(self, answer: str, gold: str | None) -> Verdict:
        """Compare `answer` with `gold`; plain text such as x^2 + 1 is read as LaTeX.

        Unscored: gold cannot be read, or the comparison took too long or too much memory. Failed: the answer says
        something else or nothing that can be read.
        """
        if not answer.strip():
            return Verdict("failed", 0.0, "the answer is empty", {})
        if gold is None:
            return Verdict("unscored", None, "no gold to compare with", {})
        if not gold.strip() or len(gold) > MAX_CHARS:
            return Verdict("unscored", None, "gold is empty" if not gold.strip() else f"gold of {len(gold)} characters", {})
        with self._lock:
            return self._compare(to_latex(answer[-MAX_CHARS:]), to_latex(gold))

    def close(self) -> None:
        """End the child; the next `verify` starts another."""
        child, self._child, self._buffer = self._child, None, b""
        if child is None:
            return
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()

    def _compare(self, answer: str, gold: str) -> Verdict:
        stage = "gold"
        try:
            self._start()
            self._send({"gold": gold, "answer": answer})
            read = self._receive(self._timeout_s)
            if read.get("gold") is None:
                if "error" not in read:
                    self._receive(self._timeout_s)
                return Verdict("unscored", None, f"gold cannot be read: {gold[:60]!r}", read)
            stage = "answer"
            return _judge(read["gold"], self._receive(self._timeout_s))
        except (TimeoutError, EOFError, OSError, ValueError) as error:
            self.close()
            what = f"took longer than {self._timeout_s:g} s" if isinstance(error, TimeoutError) else "needed too much memory"
            return Verdict("unscored", None, f"the {stage} {what}", {"stage": stage})

    def _start(self) -> None:
        if self._child is not None and self._child.poll() is None:
            return
        self.close()
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-B", str(Path(__file__).with_name("worker.py")), str(os.getpid()), str(self._memory_mb)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8"}, cwd="/", start_new_session=True,
        )  # fmt: skip
        self._receive(START_DEADLINE_S)

    def _send(self, message: dict[str, str]) -> None:
        self._child.stdin.write(json.dumps(message).encode() + b"\n")
        self._child.stdin.flush()

    def _receive(self, timeout_s: float) -> dict:
        """Return the next line.

        Raises:
            TimeoutError: no whole line in time. EOFError, OSError, ValueError: the child is gone.
        """
        deadline = time.monotonic() + timeout_s
        poll = select.poll()
        poll.register(self._child.stdout, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError
            piece = os.read(self._child.stdout.fileno(), 1 << 16)
            if not piece:
                raise EOFError
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)


def _judge(gold: str, reply: dict) -> Verdict:
    evidence = {"expected": gold, "found": reply.get("found")}
    if "error" in reply:
        return Verdict("unscored", None, f"could not be compared: {reply['error']}", evidence)
    if reply["is_equal"]:
        return Verdict("passed", 1.0, "equal in value", evidence)
    reason = "no expression in the answer" if reply["found"] is None else f"{reply['found'][:40]!r} is not {gold[:40]!r}"
    return Verdict("failed", 0.0, reason, evidence)


def to_latex(text: str) -> str:
    """Put plain text into LaTeX as far as math-verify needs it; what is LaTeX already stays."""
    if _IN_LATEX.search(text):
        return text
    marks = list(_MARKER.finditer(text))
    plain = (text[marks[-1].end() :] if marks else text.strip().splitlines()[-1]).strip().rstrip(".")
    for pattern, latex in _TO_LATEX:
        plain = re.sub(pattern, latex, plain)
    plain = re.sub(r"(?:\^-?[A-Za-z0-9.]{1,50}){2,20}", _nest_powers, plain)
    return f"${plain}$"


def _nest_powers(match: re.Match[str]) -> str:
    """9^9^9 is 9^{9^{9}}: a tower of powers is read from its top."""
    parts = match[0].split("^")[1:]
    return "^{" + "^{".join(parts) + "}" * len(parts)
