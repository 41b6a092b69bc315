"""`distill verify`: a file of answers held against a verifier, without a recipe.

Belongs here: reading the rows, opening the verifier by name, the verdict rows and the summary. Does not belong here:
any check (verifiers).

A failed verdict is a result; a row that cannot be read is an error, named by file and line. The rows that can be read
are verified all the same.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from distill_assets.errors import JudgeError, RecipeError
from distill_assets.verifiers.registry import STATUSES, Verdict, Verifier, get_verifier

MAX_LINE_CHARS = 4 << 20
MAX_SHOWN_PROBLEMS, MAX_SHOWN_REASONS = 20, 5


class Answer(NamedTuple):
    """One row: its line, its id if it has one, the answer, and the gold as text or None."""

    line: int
    id: str | None
    answer: str
    gold: str | None


class Report(NamedTuple):
    """What came of a file: verdicts in the rows' order, rows that could not be read, and the verifier's own word on its sandbox."""

    verifier: str
    answers: list[Answer]
    verdicts: list[Verdict]
    problems: list[str]
    sandbox: Mapping[str, object] | None


def verify_file(file: Path, verifier: str, options: Mapping[str, object], database: Path | None, n_instances: int = 2) -> Report:
    """Verify each row of a JSONL file of {answer, gold, id}.

    Args:
        options: arguments of the verifier, such as {"relative_tolerance": 0.01}.
        database: for sql: a .duckdb, .sqlite or .sql file. n_instances: differently filled copies to compare on.

    Raises:
        JudgeError: the file cannot be read or holds no row, or an option or the database does not fit.
    """
    answers, problems = read_answers(file)
    if not answers and not problems:
        raise JudgeError(f"{file}: no rows. Nothing was verified. Each line is an object with 'answer' and 'gold'.")
    with open_verifier(verifier, options, database, n_instances) as (judge, sandbox):
        verdicts = [judge.verify(row.answer, row.gold) for row in answers]
    return Report(verifier, answers, verdicts, problems, sandbox)


def read_answers(file: Path) -> tuple[list[Answer], list[str]]:
    """Read a file's rows; what is wrong with a line is told by file and line.

    Raises:
        JudgeError: the file is missing or no UTF-8.
    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise JudgeError(f"{file}: cannot be read ({error.strerror}). Nothing was verified.") from error
    except UnicodeDecodeError as error:
        raise JudgeError(f"{file}: byte {error.start} is not UTF-8. Nothing was verified. Save the file as UTF-8.") from error
    answers, problems = [], []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                answers.append(_read_answer(number, line))
            except ValueError as error:
                problems.append(f"{file}:{number}: {error}")
    return answers, problems


def _read_answer(number: int, line: str) -> Answer:
    if len(line) > MAX_LINE_CHARS:
        raise ValueError(f"{len(line)} characters, at most {MAX_LINE_CHARS} are read")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object with 'answer' and 'gold', got {type(row).__name__}")
    if not isinstance(row.get("answer"), str):
        raise ValueError(f"'answer' must be a text, got {json.dumps(row.get('answer'))[:40]}")
    gold = row.get("gold")
    text = gold if isinstance(gold, str | None) else json.dumps(gold, ensure_ascii=False)
    return Answer(number, None if row.get("id") is None else str(row["id"])[:200], row["answer"], text)


@contextmanager
def open_verifier(
    name: str, options: Mapping[str, object], database: Path | None, n_instances: int
) -> Iterator[tuple[Verifier, Mapping[str, object] | None]]:
    """Give the verifier and, where it runs code, what its sandbox says of itself.

    Raises:
        JudgeError: an option or the database does not fit. RecipeError: no verifier has that name.
    """
    factory = get_verifier(name)
    if (database is None) == (name == "sql"):
        what = "needs a database: --database FILE (.duckdb, .sqlite or .sql)" if name == "sql" else "takes no --database"
        raise JudgeError(f"verifier '{name}' {what}. Nothing was verified.")
    with ExitStack() as stack:
        if name == "sql":
            yield factory(*_open_databases(stack, Path(str(database)), n_instances)), None
        elif name == "python":
            sandbox = stack.enter_context(_open_sandbox(options))
            yield factory(sandbox), sandbox.describe()
        else:
            verifier = _make(factory, name, options)
            yield (stack.enter_context(verifier) if hasattr(verifier, "__enter__") else verifier), None


def _make(factory, name: str, options: Mapping[str, object]) -> Verifier:
    try:
        return factory(**options)
    except (TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, RecipeError):
            raise JudgeError(str(error)) from error
        raise JudgeError(f"options {dict(options)} do not fit verifier '{name}': {error}. Nothing was verified.") from error


def _open_sandbox(options: Mapping[str, object]):
    from pydantic import ValidationError

    from distill_assets.judging import SandboxSpec
    from distill_assets.verifiers.sandbox.box import Sandbox

    try:
        return Sandbox(SandboxSpec(**options))
    except ValidationError as error:
        raise JudgeError(f"options {dict(options)} do not fit the sandbox: {error.errors()[0]['msg']}. Nothing was run.") from error


def _open_databases(stack: ExitStack, database: Path, n_instances: int):
    from distill_assets.verifiers.sql.execution import SqlRunner
    from distill_assets.verifiers.sql.instances import build_database, refill_database

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    files = {f"{database.stem}#{i}": folder / f"{i}.duckdb" for i in range(n_instances)}
    first, *others = files.values()
    build_database(database, first)
    for seed, target in enumerate(others, 1):
        refill_database(first, target, seed)
    return stack.enter_context(SqlRunner(files)), list(files)


def parse_options(pairs: Sequence[str]) -> dict[str, object]:
    """Read NAME=VALUE pairs; a value is JSON, or else text, or the JSON of a file that is named as @FILE.

    Raises:
        JudgeError: a pair has no name, or its file cannot be read.
    """
    options: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise JudgeError(f"option {pair!r} is not NAME=VALUE. Nothing was verified.")
        try:
            source = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        except (OSError, UnicodeDecodeError) as error:
            raise JudgeError(f"option {name}: {text[1:]} cannot be read ({error}). Nothing was verified.") from error
        try:
            options[name] = json.loads(source)
        except (ValueError, RecursionError):
            options[name] = source
    return options


def write_verdicts(report: Report, target: Path) -> None:
    """Write one JSON object a row, in the rows' order; an earlier file is replaced as a whole.

    Raises:
        JudgeError: the file cannot be written.
    """
    lines = []
    for row, verdict in zip(report.answers, report.verdicts, strict=True):
        head = {"line": row.line} | ({} if row.id is None else {"id": row.id})
        lines.append(json.dumps(head | verdict._asdict(), ensure_ascii=False, sort_keys=False))
    draft = target.with_name(f".{target.name}.draft")
    try:
        draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="replace")
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise JudgeError(f"{target}: cannot be written ({error.strerror}). An earlier file stays as it is.") from error


def summarize(report: Report) -> str:
    """The table that is printed: counts, the most frequent reasons, the sandbox, and what could not be read."""
    n = len(report.verdicts)
    counts = Counter(verdict.status for verdict in report.verdicts)
    lines = [f"{'verifier':<10} {report.verifier}", f"{'rows':<10} {n}"]
    lines += [f"{status:<10} {counts[status]:<7} {counts[status] / max(1, n):.1%}" for status in STATUSES]
    if report.problems:
        lines.append(f"{'unreadable':<10} {len(report.problems)}")
    if report.sandbox is not None:
        lines.append(f"{'sandbox':<10} " + ", ".join(f"{name} {_show(value)}" for name, value in report.sandbox.items()))
    reasons = Counter((verdict.status, verdict.reason) for verdict in report.verdicts if verdict.status != "passed")
    for (status, reason), count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:MAX_SHOWN_REASONS]:
        lines.append(f"  {count:>6} {status}: {reason[:100]}")
    return "\n".join(lines)


def _show(value: object) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {item}" for key, item in value.items()) + ")"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)


def show_problems(problems: Sequence[str]) -> str:
    """The first problems, and how many more there are."""
    more = len(problems) - MAX_SHOWN_PROBLEMS
    return "\n".join([*problems[:MAX_SHOWN_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])
