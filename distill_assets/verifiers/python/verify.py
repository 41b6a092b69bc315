"""A Python answer judged by running it where it can do no harm.

Belongs here: the verdict. Does not belong here: running (sandbox), what is expected (gold), equality (compare).

The process that runs the answer is given inputs and nothing else: what is expected, the tests and the verdict live in
other processes. So an answer can be wrong in many ways, but a false "passed" is not among what it can write down. Whatever
it does (ends early, floods, hangs, replies nonsense) is a failure. Only a fault of the sandbox or of the gold is unscored.
"""

from __future__ import annotations

import json

from distill_assets.errors import SandboxError
from distill_assets.verifiers.python.compare import show, values_equal
from distill_assets.verifiers.python.extract import extract_program, last_function
from distill_assets.verifiers.python.gold import Call, Gold, GoldError, read_gold
from distill_assets.verifiers.registry import Verdict
from distill_assets.verifiers.sandbox.box import Sandbox
from distill_assets.verifiers.sandbox.codec import CannotCross, from_json
from distill_assets.verifiers.sandbox.exchange import Job, Run, clean

MAX_ANSWER_CHARS = 200_000
MAX_REASON_CHARS = 300
REPLIES = ("value", "error", "uncrossed")


class PythonVerifier:
    """Verifies Python answers.

    Args:
        sandbox: an entered sandbox.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def verify(self, answer: str, gold: str | None) -> Verdict:
        """Run `answer` against `gold` (see gold.py for its forms).

        Passed: every case or test agrees. Without gold, passed: it compiles and runs to its end, which does not say
        that it is right. Unscored: the gold cannot be used, or the sandbox failed.
        """
        if len(answer) > MAX_ANSWER_CHARS:
            return _failed("too long", f"{len(answer)} characters, at most {MAX_ANSWER_CHARS}")
        try:
            expected = read_gold(gold) if gold is not None else None
            return self._verify(answer.encode(errors="replace").decode(), expected)
        except GoldError as error:
            return _unscored("the gold cannot be used", str(error))
        except SandboxError as error:
            return _unscored("the sandbox failed", str(error))

    def _verify(self, answer: str, gold: Gold | None) -> Verdict:
        if gold is None:
            return self._run_alone(extract_program(answer))
        if gold.programs:
            return self._run_programs(extract_program(answer), gold)
        program = extract_program(answer, gold.entry)
        entry = gold.entry or last_function(program)
        if entry is None:
            return _failed("missing", "no function is defined")
        if gold.tests:
            return self._run_tests(program, entry, gold.tests)
        return self._run_calls(program, gold)

    def _run_alone(self, program: str) -> Verdict:
        run = self._sandbox.run(Job({"role": "script", "code": program}))
        return _end_of_program(run) or _passed("compiles and runs; nothing says that it is right", run)

    def _run_programs(self, program: str, gold: Gold) -> Verdict:
        for place, (given, expected) in enumerate(gold.programs):
            run = self._sandbox.run(Job({"role": "script", "code": program}, given.encode()))
            failure = _end_of_program(run)
            if failure:
                return failure._replace(evidence={**failure.evidence, "case": place, "stdin": show(given)})
            if _lines(run.output) != _lines(clean(expected)):
                evidence = {"case": place, "stdin": show(given), "expected": show(expected), "found": show(run.output)}
                return _failed("wrong answer", f"another output in case {place + 1}", evidence)
        return _passed(f"{len(gold.programs)} outputs agree", run)

    def _run_calls(self, program: str, gold: Gold) -> Verdict:
        message = {"role": "calls", "code": program, "entry": gold.entry, "calls": [call.message for call in gold.calls]}
        run = self._sandbox.run(Job(message))
        failure = _failure_to_load(run, gold.entry)
        if failure:
            return failure
        for place, call in enumerate(gold.calls):
            failure = _judge_call(run, place, call, gold)
            if failure:
                return failure
        if run.ending != "ended" or run.status or len(run.frames) != len(gold.calls) or not run.is_whole:
            return _failed("invalid reply", "it replied more than it was asked, or did not end there")
        return _passed(f"{len(gold.calls)} cases agree", run)

    def _run_tests(self, program: str, entry: str, tests: str) -> Verdict:
        tester, candidate = self._sandbox.run_pair(
            Job({"role": "tests", "entry": entry, "tests": tests}), Job({"role": "serve", "code": program, "entry": entry})
        )
        failure = _failure_to_load(candidate, entry)
        if failure:
            return failure
        said = _parsed(tester.frames[0]) if len(tester.frames) == 1 and tester.is_whole else {}
        if not said:
            worse = tester if candidate.ending == "killed" else candidate
            return _failed(_kind_of(worse), f"no verdict of the tests: {worse.reason}", {"tests": tester.reason})
        return _judge_tests(said, candidate, tester)


def _judge_tests(said: dict, candidate: Run, tester: Run) -> Verdict:
    """The verdict from what the tests' process says; that is ours, but for the candidate's values in it."""
    evidence = {key: show(said[key]) for key in ("detail", "line") if said.get(key)}
    state, calls, broken = said.get("state"), said.get("calls", 0), said.get("broken")
    if state == "unusable":
        return _unscored("the gold cannot be used", evidence.get("detail", ""))
    if broken:
        kind = _kind_of(candidate) if broken == "ended" else "invalid reply"
        kind = kind if kind != "invalid reply" or broken != "ended" else "crashed"
        return _failed(kind, candidate.reason if broken == "ended" else clean(str(broken)), evidence)
    if not calls:
        detail = evidence.get("detail") or "they call nothing"
        return _unscored("the gold cannot be used", f"the tests end before any call: {detail}")
    if state != "passed":
        kind = "raised" if said.get("by_candidate") else "wrong answer"
        return _failed(kind, evidence.get("line") or evidence.get("detail", "a test failed"), evidence)
    return _passed(f"the tests pass ({calls} calls)", tester)


def _judge_call(run: Run, place: int, call: Call, gold: Gold) -> Verdict | None:
    """A failed verdict for one call, or None when it agrees."""
    evidence: dict[str, object] = {"case": place, "args": show(call.message[0])}
    if place >= len(run.frames):
        return _failed(_kind_of(run), f"no answer to case {place + 1}: {run.reason}", evidence)
    reply = _parsed(run.frames[place])
    if len(reply) != 1 or next(iter(reply)) not in REPLIES:
        return _failed("invalid reply", f"what came for case {place + 1} is no reply", evidence)
    if "error" in reply:
        return _judge_error(reply["error"], place, call, evidence)
    if "uncrossed" in reply:
        return _failed("wrong answer", f"case {place + 1}: {clean(str(reply['uncrossed']))}", evidence)
    try:
        found = from_json(reply["value"])
    except (ValueError, RecursionError, TypeError, KeyError, ArithmeticError, AttributeError, CannotCross):
        return _failed("invalid reply", f"what came for case {place + 1} is no value", evidence)
    if call.raises is None and values_equal(call.expected, found, gold.tolerance, gold.is_exact):
        return None
    wanted = f"raises {call.raises}" if call.raises else show(call.expected)
    return _failed("wrong answer", f"case {place + 1} differs", {**evidence, "expected": wanted, "found": show(found)})


def _judge_error(error: object, place: int, call: Call, evidence: dict[str, object]) -> Verdict | None:
    details = error if isinstance(error, dict) else {}
    names = [details.get("type"), *(details.get("known") if isinstance(details.get("known"), list) else [])]
    if call.raises is not None and call.raises in names:
        return None
    kind = "memory" if details.get("type") == "MemoryError" else "raised"
    return _failed(kind, f"case {place + 1}: {clean(str(details.get('text')))}", evidence)


def _failure_to_load(run: Run, entry: str) -> Verdict | None:
    """A failed verdict for a program that could not be loaded, or None."""
    first = _parsed(run.frames[0]) if run.frames else {}
    state = first.get("state")
    if state == "syntax":
        return _failed("syntax error", clean(str(first.get("detail"))))
    if state == "missing":
        return _failed("missing", f"no function '{entry}' is defined")
    if state == "raised":
        error = first.get("error")
        details = error if isinstance(error, dict) else {}
        kind = "memory" if details.get("type") == "MemoryError" else "raised"
        return _failed(kind, f"while loading: {clean(str(details.get('text')))}")
    return None


def _end_of_program(run: Run) -> Verdict | None:
    """A failed verdict for a script that did not end well, or None."""
    failure = _failure_to_load(run, "")
    if failure or (run.ending == "ended" and run.status == 0):
        return failure
    last = (run.errors.strip().splitlines() or [run.reason])[-1]
    kind = "memory" if last.startswith("MemoryError") else "raised" if run.ending == "ended" else _kind_of(run)
    return _failed(kind, last if run.ending == "ended" else run.reason)


def _kind_of(run: Run) -> str:
    return {"ended": "invalid reply", "lost": "invalid reply", "killed": "crashed"}.get(run.ending, run.ending)


def _parsed(frame: bytes) -> dict:
    try:
        found = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _passed(reason: str, run: Run) -> Verdict:
    return Verdict("passed", 1.0, reason, {"ending": run.ending})


def _failed(kind: str, detail: str, evidence: dict[str, object] | None = None) -> Verdict:
    text = " ".join(f"{kind}: {detail}".split())[:MAX_REASON_CHARS]
    return Verdict("failed", 0.0, text, {"kind": kind, **(evidence or {})})


def _unscored(kind: str, detail: str) -> Verdict:
    return Verdict("unscored", None, " ".join(f"{kind}: {clean(detail)}".split())[:MAX_REASON_CHARS], {"kind": kind})
