"""An SQL answer judged by what it returns, on several fillings of the same database.

Belongs here: the verdict. Does not belong here: running (execution), equality (compare).
"""

from __future__ import annotations

from collections.abc import Sequence

from distill_assets.verifiers.registry import Verdict
from distill_assets.verifiers.sql.compare import is_ordered, results_equal
from distill_assets.verifiers.sql.execution import QueryResult, SqlRunner
from distill_assets.verifiers.sql.ties import equal_but_for_ties


class SqlVerifier:
    """Verifies queries on one database.

    Args:
        runner: an entered runner that holds every instance.
        instances: the runner's names of the differently filled instances of one database.
    """

    def __init__(self, runner: SqlRunner, instances: Sequence[str]) -> None:
        self._runner = runner
        self._instances = tuple(instances)

    def verify(self, answer: str, gold: str | None) -> Verdict:
        """Compare `answer` with `gold` on every instance.

        Passed: equal results everywhere, in the gold's order where it has one; rows that tie may stand in any.
        Without gold, passed: it runs everywhere and gives a value on at least one instance, which does not say that
        the answer is right. Unscored: gold failed.
        """
        if gold is None:
            return self._verify_alone(answer)
        for instance in self._instances:
            expected = self._runner.run(instance, gold)
            if expected.failure:
                reason = f"gold does not run on {instance}: {expected.failure}"
                return Verdict("unscored", None, reason, {"instance": instance, "detail": expected.reason})
            found = self._runner.run(instance, answer)
            if found.failure:
                return _failed_to_run(instance, found)
            if not self._are_equal(gold, expected, found, instance):
                return Verdict("failed", 0.0, f"another result on {instance}", _contrast(instance, expected, found))
        return Verdict("passed", 1.0, f"equal results on {len(self._instances)} instances", {"instances": list(self._instances)})

    def _are_equal(self, gold: str, expected: QueryResult, found: QueryResult, instance: str) -> bool:
        """Equal as they stand; or, where gold asks for an order, but for rows that it leaves in any."""
        if not is_ordered(gold):
            return results_equal(expected, found, ordered=False)
        if results_equal(expected, found, ordered=True):
            return True
        return equal_but_for_ties(gold, found, lambda sql: self._runner.run(instance, sql))

    def _verify_alone(self, answer: str) -> Verdict:
        has_value = False
        for instance in self._instances:
            found = self._runner.run(instance, answer)
            if found.failure:
                return _failed_to_run(instance, found)
            has_value = has_value or holds_value(found)
        evidence = {"instances": list(self._instances)}
        if not has_value:
            return Verdict("failed", 0.0, "gives no value on any instance", evidence)
        return Verdict("passed", 1.0, f"runs on {len(self._instances)} instances", evidence)


def holds_value(result: QueryResult) -> bool:
    """Say whether a result has at least one cell that is not NULL."""
    return any(cell is not None for row in result.rows for cell in row)


def _failed_to_run(instance: str, found: QueryResult) -> Verdict:
    evidence = {"instance": instance, "failure": found.failure, "detail": found.reason}
    return Verdict("failed", 0.0, f"{found.failure} on {instance}", evidence)


def _contrast(instance: str, expected: QueryResult, found: QueryResult) -> dict[str, object]:
    return {
        "instance": instance,
        "shape_expected": [len(expected.rows), len(expected.columns)],
        "shape_found": [len(found.rows), len(found.columns)],
        "first_expected": [list(row) for row in expected.rows[:3]],
        "first_found": [list(row) for row in found.rows[:3]],
    }
