"""Rows with equal sort keys may come in any order; everything else about an order counts."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from distill_assets.verifiers.registry import Verifier, get_verifier
from distill_assets.verifiers.sql.execution import SqlRunner

ROWS = "(1,'ann',5),(2,'bob',3),(3,'cy',5),(4,'dan',3),(5,'eve',1),(6,'fay',3)"


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    file = tmp_path_factory.mktemp("ties") / "t.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(f"CREATE TABLE p (id INTEGER, name VARCHAR, n INTEGER); INSERT INTO p VALUES {ROWS}")
    with SqlRunner({"t": file}) as runner:
        yield get_verifier("sql")(runner, ["t"])


@pytest.mark.parametrize(
    ("answer", "gold", "status"),
    [
        ("SELECT name FROM p ORDER BY n DESC, id DESC", "SELECT name FROM p ORDER BY n DESC", "passed"),
        ("SELECT name FROM p ORDER BY n DESC, id DESC", "SELECT name FROM p ORDER BY n DESC, id", "failed"),
        ("SELECT name FROM p ORDER BY n", "SELECT name FROM p ORDER BY n DESC", "failed"),
        ("SELECT name FROM p ORDER BY n DESC, id DESC LIMIT 1", "SELECT name FROM p ORDER BY n DESC LIMIT 1", "passed"),
        ("SELECT name FROM p WHERE id = 2", "SELECT name FROM p ORDER BY n DESC LIMIT 1", "failed"),
        ("SELECT name FROM p ORDER BY n DESC, id DESC LIMIT 3", "SELECT name FROM p ORDER BY n DESC LIMIT 3", "passed"),
        ("SELECT name FROM p ORDER BY n DESC LIMIT 2", "SELECT name FROM p ORDER BY n DESC LIMIT 3", "failed"),
        ("SELECT 'bob' UNION ALL SELECT 'bob'", "SELECT name FROM p ORDER BY n LIMIT 2 OFFSET 1", "failed"),
        ("SELECT 'fay' UNION ALL SELECT 'bob'", "SELECT name FROM p ORDER BY n LIMIT 2 OFFSET 1", "passed"),
        ("SELECT n, name FROM p ORDER BY n, id DESC", "SELECT n AS m, name FROM p ORDER BY m", "passed"),
        ("SELECT n, name FROM p ORDER BY n, id DESC", "SELECT n, name FROM p ORDER BY 1", "passed"),
        ("SELECT n, name FROM p ORDER BY n, id DESC", "SELECT n, name FROM p ORDER BY 1, 2", "failed"),
        ("SELECT DISTINCT n FROM p ORDER BY n DESC", "SELECT DISTINCT n FROM p ORDER BY n", "failed"),
        ("SELECT left(name, 1) FROM p GROUP BY 1 ORDER BY 1 DESC", "SELECT left(name, 1) FROM p GROUP BY 1 ORDER BY COUNT(*)", "passed"),
        ("SELECT 3 UNION ALL SELECT 5", "SELECT n FROM p GROUP BY n ORDER BY COUNT(*) DESC LIMIT 2", "passed"),
        ("SELECT 3 UNION ALL SELECT 1", "SELECT n FROM p GROUP BY n ORDER BY COUNT(*) DESC LIMIT 2", "failed"),
        ("SELECT name FROM p ORDER BY id DESC", "SELECT name FROM p WHERE n = 5 UNION ALL SELECT name FROM p WHERE n < 5 ORDER BY 1", "failed"),
    ],
)  # fmt: skip
def test_ties(verifier: Verifier, answer: str, gold: str, status: str) -> None:
    assert verifier.verify(answer, gold).status == status
