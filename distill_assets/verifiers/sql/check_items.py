"""Whether gold queries deserve their name, so that a holdout can fail closed.

Belongs here: checks of (database, question, gold_sql) items against real instances. Does not belong
here: reading the items (seed) and what is done about a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from distill_assets.verifiers.sql.compare import results_equal
from distill_assets.verifiers.sql.execution import QueryResult, SqlRunner
from distill_assets.verifiers.sql.verify import holds_value

# Below this share of items whose result changes, other fillings would not catch a lucky query.
MIN_DIFFERING_FRAC = 0.6


class GoldProblem(NamedTuple):
    """One finding; `row` counts items from 1, and is None when it concerns a whole database."""

    row: int | None
    database: str
    problem: str


def check_gold(items: Iterable[Mapping[str, str]], instances: Mapping[str, Sequence[Path]]) -> list[GoldProblem]:
    """Run every gold query on every instance of its database and list what is wrong; [] is good.

    Args:
        items: mappings with `database` and `gold_sql`.
        instances: database name -> its DuckDB files, differently filled.

    Returns:
        A problem for each gold that fails on an instance, gives no value on any, or names an unknown
        database; and one for each database whose instances give equal results for too many items.
    """
    files = {f"{name}#{i}": path for name, paths in instances.items() for i, path in enumerate(paths)}
    problems: list[GoldProblem] = []
    differing: dict[str, list[bool]] = {}
    with SqlRunner(files) as runner:
        for row, item in enumerate(items, 1):
            name = item["database"]
            if name not in instances:
                problems.append(GoldProblem(row, name, f"no such database (known: {', '.join(instances)})"))
                continue
            results = [runner.run(f"{name}#{i}", item["gold_sql"]) for i in range(len(instances[name]))]
            problems += [GoldProblem(row, name, text) for text in _find_faults(results)]
            if not any(result.failure for result in results):
                is_same = all(results_equal(results[0], other, False) for other in results[1:])
                differing.setdefault(name, []).append(not is_same)
    return problems + [found for name, flags in differing.items() for found in _find_sameness(name, flags, instances[name])]


def _find_faults(results: Sequence[QueryResult]) -> list[str]:
    faults = [f"fails on instance {i}: {r.failure}: {r.reason}" for i, r in enumerate(results) if r.failure]
    if not faults and not any(holds_value(result) for result in results):
        faults.append("gives no value on any instance")
    return faults


def _find_sameness(name: str, flags: list[bool], paths: Sequence[Path]) -> list[GoldProblem]:
    share = sum(flags) / len(flags)
    if len(paths) < 2 or share >= MIN_DIFFERING_FRAC:
        return []
    text = f"instances give different results for {share:.0%} of {len(flags)} items"
    return [GoldProblem(None, name, f"{text} (at least {MIN_DIFFERING_FRAC:.0%} wanted)")]
