"""Tests that are nothing but calls with literals: `assert f(1, [2]) == 3`, one after the other.

Belongs here: recognising them. Such tests are judged like calls with expected values, in one process instead of two, with
the same verdict: the comparison is Python's own. Does not belong here: any other kind of test (verify runs it).
"""

from __future__ import annotations

import ast
import json
from typing import NamedTuple

from distill_assets.verifiers.sandbox.codec import CannotCross, dumps


class LiteralCall(NamedTuple):
    """One call as it crosses to the candidate, and the value that it should give."""

    message: list
    expected: object


def read_literal_calls(source: str, entry: str | None) -> tuple[LiteralCall, ...]:
    """The calls of a test source that holds nothing else; empty when it holds anything else."""
    try:
        body = _without_remarks(ast.parse(source).body)
        names = {"candidate", entry}
        if body and isinstance(body[0], ast.FunctionDef):
            check, *rest = body
            if check.name != "check" or len(check.args.args) != 1 or not all(_calls_check(node) for node in rest):
                return ()
            names, body = {check.args.args[0].arg}, _without_remarks(check.body)
        return tuple(_read_assert(node, names) for node in body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, CannotCross):
        return ()


def _without_remarks(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements but for texts that stand alone and METADATA = {...}."""
    return [node for node in body if not _is_remark(node)]


def _is_remark(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return names == ["METADATA"] and len(node.targets) == 1
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _calls_check(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check"


def _read_assert(node: ast.stmt, names: set[str | None]) -> LiteralCall:
    """Read `assert NAME(literals) == literal`; ValueError for anything else."""
    compared = node.test if isinstance(node, ast.Assert) else None
    if not isinstance(compared, ast.Compare) or len(compared.ops) != 1 or not isinstance(compared.ops[0], ast.Eq):
        raise ValueError("no such assert")
    call = compared.left
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id not in names:
        raise ValueError("no such call")
    arguments = [ast.literal_eval(argument) for argument in call.args]
    named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    return LiteralCall(json.loads(dumps([arguments, named])), ast.literal_eval(compared.comparators[0]))
