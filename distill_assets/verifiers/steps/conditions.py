"""When a condition that a reasoning states cannot be one of the query's.

Belongs here: comparing conditions on one expression. Does not belong here: finding them (claims, facts).

The same thing can be said in several ways: BETWEEN as two bounds, IN as several =, above 20 as from 21. Only what
leaves no such reading contradicts.
"""

from __future__ import annotations

from collections.abc import Sequence

from distill_assets.verifiers.steps.facts import OPPOSITE, Condition, Expression

LOWER, UPPER = (">", ">="), ("<", "<=")


def agree(left: Expression, right: Expression) -> bool:
    """Whether two expressions can be the same: equal texts, and no two different tables said."""
    return left.text == right.text and not (left.tables and right.tables and not left.tables & right.tables)


def find_contradiction(claim: Condition, actual: Sequence[Condition]) -> str | None:
    """Say how the query's conditions on the same expression contradict a claimed one, or None."""
    if any(claim.op == found.op and claim.values == found.values for found in actual):
        return None
    if claim.op in ("=", "in", "<>", "not in"):
        return _check_values(claim, actual)
    if claim.op in LOWER + UPPER:
        return _check_bound(claim, actual)
    if claim.op in ("between", "not between"):
        return _check_range(claim, actual)
    against = [found for found in actual if found.op == OPPOSITE[claim.op] and found.values == claim.values]
    return _tell(against[0]) if against else None


def _check_values(claim: Condition, actual: Sequence[Condition]) -> str | None:
    """Values that are wanted, and values that are not."""
    wanted = {value for found in actual if found.op in ("=", "in") for value in found.values}
    unwanted = {value for found in actual if found.op in ("<>", "not in") for value in found.values}
    ours, theirs = (wanted, unwanted) if claim.op in ("=", "in") else (unwanted, wanted)
    values = set(claim.values)
    if values <= ours or not (wanted or unwanted):
        return None
    return _tell(next(found for found in actual if found.values)) if values & theirs or ours else None


def _check_bound(claim: Condition, actual: Sequence[Condition]) -> str | None:
    bounds = [bound for found in actual for bound in _list_bounds(found)]
    if any(bound.op == claim.op and bound.values == claim.values for bound in bounds) or any(_is_next(claim, b) for b in bounds):
        return None
    for bound in bounds:
        is_same_way = (bound.op in LOWER) == (claim.op in LOWER)
        if bound.values == claim.values or is_same_way:
            return _tell(bound)
    against = [found for found in actual if found.op in ("=", "<>") and found.values == claim.values]
    return _tell(against[0]) if against else None


def find_reversal(claim: Condition, actual: Sequence[Condition]) -> str | None:
    """Say how a bound in words is turned round by the query: the same value, and only the other way."""
    same = [bound for found in actual for bound in _list_bounds(found) if bound.values == claim.values]
    other = [bound for bound in same if (bound.op in LOWER) != (claim.op in LOWER)]
    return _tell(other[0]) if other and len(other) == len(same) else None


def _list_bounds(found: Condition) -> list[Condition]:
    """A condition as bounds: BETWEEN has two, = and the like none."""
    if found.op in LOWER + UPPER:
        return [found]
    if found.op == "between":
        return [found._replace(op=">=", values=found.values[:1]), found._replace(op="<=", values=found.values[1:])]
    if found.op == "not between":
        return [found._replace(op="<", values=found.values[:1]), found._replace(op=">", values=found.values[1:])]
    return []


def _is_next(claim: Condition, bound: Condition) -> bool:
    """Whether two bounds are the same for whole numbers: above 20 is from 21."""
    pairs = {(">", ">="): 1, (">=", ">"): -1, ("<", "<="): -1, ("<=", "<"): 1}
    step = pairs.get((claim.op, bound.op))
    try:
        return step is not None and float(claim.values[0]) + step == float(bound.values[0])
    except ValueError:
        return False


def _check_range(claim: Condition, actual: Sequence[Condition]) -> str | None:
    if claim.op == "between":
        low, high = claim._replace(op=">=", values=claim.values[:1]), claim._replace(op="<=", values=claim.values[1:])
        if all(any(found.op == bound.op and found.values == bound.values for found in actual) for bound in (low, high)):
            return None
    against = [found for found in actual if found.op in ("between", "not between")]
    return _tell(against[0]) if against else None


def _tell(found: Condition) -> str:
    names = {"null": "IS NULL", "not null": "IS NOT NULL", "true": "IS TRUE", "false": "IS FALSE"}
    return f"the query has {found.expression.text} {names.get(found.op, found.op.upper())} {', '.join(found.values)}".rstrip()
