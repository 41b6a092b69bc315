"""The child process that compares expressions; started by verify, never imported by it.

Belongs here: confining this process and asking math-verify. Does not belong here: deadlines and restarts (the
parent's part: sympy answers no interrupt while it raises 9 to the 9 to the 9) or verdicts.
Stands alone on the standard library and math-verify, so that it starts in a clean interpreter.

First line out: {"ready": true}. Then {"gold", "answer"} in, and out two lines: {"gold": text or null, what was read},
then {"found": text or null, "is_equal": bool} or {"error": text}.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve requests until stdin closes. Arguments: the parent's id, memory in MiB."""
    _die_with_parent(int(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    logging.disable(logging.CRITICAL)
    import math_verify

    _read("$1 + x$", math_verify)  # builds the grammar once, before memory is bounded
    _limit_process(int(sys.argv[2]))
    print(json.dumps({"ready": True}), file=replies)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            gold = _read(request["gold"], math_verify)
            print(json.dumps({"gold": _show(gold)}), file=replies)
            found = _read(request["answer"], math_verify)
            is_equal = bool(gold and found) and math_verify.verify(gold, found, timeout_seconds=None)
            print(json.dumps({"found": _show(found), "is_equal": bool(is_equal)}), file=replies)
        except MemoryError:
            os._exit(70)  # nothing that is left can be trusted
        except Exception as error:  # noqa: BLE001 (whatever an expression provokes is told to the parent)
            print(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}), file=replies)


def _read(text: str, math_verify) -> list:
    """Expressions and the text that they were read from; nothing when only text was found."""
    parsed = math_verify.parse(text, parsing_timeout=None, raise_on_error=False)
    return parsed if any(not isinstance(value, str) for value in parsed) else []


def _show(parsed: list) -> str | None:
    """The text that was read: printing the value itself can take for ever."""
    return str(parsed[-1])[:200] if parsed else None


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent ended before the worker began")


def _limit_process(memory_mb: int) -> None:
    limits = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: memory_mb << 20}
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
