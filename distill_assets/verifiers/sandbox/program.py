"""What a forked, confined process does with the program it is given.

Belongs here: reading the job, running a program as a script, calling a function of it, answering another process's
calls, running tests against such a process. Does not belong here: confining and forking (server), values (codec).
Stands alone on the standard library.

Three of four roles run a candidate and know nothing of what is expected: `script`, `calls` and `serve`. The fourth,
`tests`, knows the tests and never sees the candidate, only the values that come back. Frames are a length of 4 bytes
and JSON; the job comes on descriptor JOB, what is found goes back on it; calls between two processes go over LINK.
"""

from __future__ import annotations

import builtins
import json
import os
import struct
import sys
import threading
import types
from contextlib import suppress

JOB, LINK = 3, 4
MAX_FRAME = 64 << 20
MAX_TEXT = 2000
# Raised inside a loop over calls, these would end it without a trace.
NEVER_RAISED = (StopIteration, StopAsyncIteration)

codec = None  # set by the server, which loads the modules by path


def run() -> None:
    """Do the job that waits on JOB, then end this process."""
    job = json.loads(read_frame(JOB))
    roles = {"script": run_script, "calls": answer_calls, "serve": serve_calls, "tests": run_tests}
    roles[job["role"]](job)


def rehearse() -> None:
    """Go through the motions of a run, so that what is made at first use is there before the fork."""
    names: dict = {}
    exec(compile("def f(a, b=[1], *c, **d):\n    return {k: (a, str(b)) for k in range(3)}\n", "<answer>", "exec"), names)
    for value in (1, 2.5, "a", [1], {"a": None}, {1: (2, {3})}):
        codec.loads(codec.dumps(value))
        json.loads(_answer(names["f"], [value], {}))
    json.loads(_answer(names["f"], [], {}))


def read_frame(source: int) -> bytes:
    """One frame; EOFError when the other side is gone, ValueError when it is longer than MAX_FRAME."""
    (size,) = struct.unpack("=I", _read_exactly(source, 4))
    if size > MAX_FRAME:
        raise ValueError("frame too long")
    return _read_exactly(source, size)


def _read_exactly(source: int, size: int) -> bytes:
    pieces = []
    while size:
        piece = os.read(source, min(size, 1 << 20))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def write_frame(target: int, text: str) -> None:
    """Send one frame."""
    data = text.encode()
    data = memoryview(struct.pack("=I", len(data)) + data)
    while data:
        data = data[os.write(target, data) :]


def say(**found: object) -> None:
    """Report to the parent."""
    write_frame(JOB, json.dumps(found))


def leave(status: int) -> None:
    """End at once what needs no clearing up, with what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the program may have broken or closed it
            stream.flush()
    os._exit(status)


def run_script(job: dict) -> None:
    """Run the program as __main__, to its very end: threads, atexit, finalizers."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    code = _compiled(job["code"])
    os.close(JOB)
    status = 1
    try:
        exec(code, main.__dict__)
        status = 0
    except SystemExit as error:
        status = _exit_status(error.code)
    except BaseException as error:  # noqa: BLE001 (a program may raise anything)
        _show(error)
    leave(status or _finish(main))


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _finish(main: types.ModuleType) -> int:
    """What the interpreter does at its end, without taking itself apart."""
    import atexit

    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        main.__dict__.clear()
    except BaseException as error:  # noqa: BLE001
        _show(error)
        return 1
    return 0


def _show(error: BaseException) -> None:
    import traceback

    with suppress(BaseException):  # it may refuse to be shown
        traceback.print_exception(type(error), error, error.__traceback__.tb_next, limit=-20)


def _compiled(code: str) -> types.CodeType:
    try:
        return compile(code, "<answer>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        say(state="syntax", detail=_describe(error))
        leave(3)


def _loaded(job: dict) -> object:
    """Run the program as a module and return the function that is asked for."""
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    code = _compiled(job["code"])
    try:
        exec(code, module.__dict__)
        entry = _find(module.__dict__, job["entry"])
    except BaseException as error:  # noqa: BLE001
        say(state="raised", error=_error(error))
        leave(4)
    if not callable(entry):
        say(state="missing")
        leave(5)
    return entry


def _find(names: dict, entry: str) -> object:
    first, *rest = entry.split(".")
    found = names.get(first)
    if rest and isinstance(found, type):
        found = found()
    for name in rest:
        found = getattr(found, name, None)
    return found


def answer_calls(job: dict) -> None:
    """Call the function once for each case and report each value."""
    calls = [codec.from_json(call) for call in job["calls"]]
    entry = _loaded(job)
    for arguments, named in calls:
        write_frame(JOB, _answer(entry, arguments, named))
    leave(0)


def serve_calls(job: dict) -> None:
    """Answer calls from LINK until the other side is gone."""
    entry = _loaded(job)
    while True:
        try:
            arguments, named = codec.loads(read_frame(LINK))
        except EOFError:
            leave(0)
        write_frame(LINK, _answer(entry, arguments, named))


def _answer(entry: object, arguments: list, named: dict) -> str:
    try:
        return f'{{"value":{codec.dumps(entry(*arguments, **named))}}}'
    except codec.CannotCross as error:
        return json.dumps({"uncrossed": str(error)})
    except BaseException as error:  # noqa: BLE001
        return json.dumps({"error": _error(error)})


def _error(error: BaseException) -> dict:
    known = [kind.__name__ for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind]
    return {"type": type(error).__name__[:100], "known": known, "message": _text(error), "text": _describe(error)}


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MAX_TEXT]
    except BaseException:  # noqa: BLE001 (its __str__ is the program's)
        return ""


def _describe(error: BaseException) -> str:
    text = _text(error)
    line = getattr(error, "lineno", None)
    return ": ".join([type(error).__name__, text] if text else [type(error).__name__]) + (
        f" (line {line})" if isinstance(line, int) and "line " not in text else ""
    )


class CandidateError(Exception):
    """What the candidate raised, when its type is none that tests could name."""


class Candidate:
    """The function under test, seen from the tests: arguments go out, a value or an exception comes back."""

    def __init__(self, name: str) -> None:
        self.__name__ = self.__qualname__ = name
        self._lock = threading.Lock()
        self._state = {"calls": 0, "broken": ""}

    def __call__(self, *arguments: object, **named: object) -> object:
        """Call the candidate in its own process."""
        text = codec.dumps([list(arguments), named])
        if '{"$opaque":"Opaque"}' in text:
            self._state["broken"] = "a returned value that cannot be compared is passed on"
            raise CandidateError(self._state["broken"])
        if '{"$opaque":' in text:
            raise Uncrossable("the tests pass a value that cannot leave their process")
        with self._lock:
            reply = self._ask(text)
        if "error" in reply:
            raise _imitated(reply["error"])
        if "value" not in reply:
            self._state["broken"] = f"a returned value cannot be compared: {str(reply.get('uncrossed'))[:200]}"
            raise CandidateError(self._state["broken"])
        return codec.from_json(reply["value"])

    def _ask(self, text: str) -> dict:
        self._state["calls"] += 1
        try:
            write_frame(LINK, text)
            reply = json.loads(read_frame(LINK))
            if type(reply) is not dict:
                raise ValueError
            codec.from_json(reply.get("value"))
        except (EOFError, OSError):
            self._state["broken"] = "ended"
        except Exception:  # noqa: BLE001 (whatever the candidate wrote, it is no reply)
            self._state["broken"] = "invalid reply"
        if self._state["broken"]:
            raise CandidateError(self._state["broken"])
        return reply


class Uncrossable(BaseException):
    """The tests are at fault, not the candidate."""


def _imitated(error: object) -> Exception:
    """An exception of the same built-in type as the candidate's; never one that would end a loop of the tests."""
    known = error.get("known", []) if type(error) is dict else []
    for name in known if type(known) is list else []:
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, NEVER_RAISED):
            try:
                raised = kind(str(error.get("message"))[:MAX_TEXT])
            except TypeError:
                continue
            raised.from_candidate = True
            return raised
    raised = CandidateError(str(error.get("text") if type(error) is dict else error)[:MAX_TEXT])
    raised.from_candidate = True
    return raised


def run_tests(job: dict) -> None:
    """Run the tests against the process at the other end of LINK and report what they say."""
    candidate = Candidate(job["entry"])
    state = candidate._state
    names = {"__name__": "tests", "candidate": candidate, job["entry"].split(".")[-1]: candidate}
    try:
        exec(compile(job["tests"], "<tests>", "exec", dont_inherit=True), names)
        if callable(names.get("check")):
            names["check"](candidate)
        found = {"state": "passed"}
    except Uncrossable as error:
        found = {"state": "unusable", "detail": str(error)}
    except BaseException as error:  # noqa: BLE001
        found = {"state": "failed", "detail": _describe(error), "line": _line_of(error, job["tests"])}
        found["by_candidate"] = getattr(error, "from_candidate", False) is True
    say(**found, calls=state["calls"], broken=state["broken"])
    leave(0)


def _line_of(error: BaseException, tests: str) -> str:
    """The line of the tests at which it ended."""
    number, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == "<tests>":
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = tests.splitlines()
    return lines[number - 1].strip()[:200] if 0 < number <= len(lines) else ""
