"""Model-written SQL can neither harm nor hang; real child processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_assets.errors import DatabaseSourceError, SandboxError
from distill_assets.verifiers.sql.execution import FAILURES, QueryLimits, SqlRunner
from tests.verifiers.sandboxes import TIERS

BOMB = "SELECT count(*) FROM range(3000000000) AS a (x) WHERE sqrt(x) * 7 % 3 = 1.5"
DEADLINE_S = 1.0


@pytest.fixture(scope="module")
def runner(instances: dict[str, list[Path]]) -> Iterator[SqlRunner]:
    files = {name: paths[0] for name, paths in instances.items()}
    with SqlRunner(files, QueryLimits(timeout_s=DEADLINE_S, max_rows=1000, max_bytes=100_000)) as live:
        yield live


@pytest.fixture(autouse=True)
def usable_afterwards(runner: SqlRunner) -> Iterator[None]:
    yield
    assert runner.run("shop", "SELECT COUNT(*) FROM customers").rows == ((42,),)


def test_rows_and_columns_come_back_as_plain_values(runner: SqlRunner) -> None:
    result = runner.run("shop", "SELECT title, price, launched, stock > 0 AS here FROM products WHERE id = 1;")
    assert result.columns == ("title", "price", "launched", "here") and result.failure is None
    assert result.rows == (("Trail Tent 2P", 189.0, "2022-03-01", True),)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1.5::DECIMAL(4,2)", 1.5),
        ("TIMESTAMP '2024-01-02 03:04:05'", "2024-01-02T03:04:05"),
        ("'nan'::DOUBLE", "nan"),
        ("[1, NULL]", [1, None]),
        ("{'a': DATE '2024-01-01'}", {"a": "2024-01-01"}),
        ("'\\xFF'::BLOB", "ff"),
        ("170141183460469231731687303715884105727", 170141183460469231731687303715884105727),
        ("INTERVAL 3 DAY", "3 days, 0:00:00"),
        ("NULL", None),
        ("'naïve ✓'", "naïve ✓"),
    ],
)
def test_cells_are_plain(runner: SqlRunner, expression: str, value: object) -> None:
    assert runner.run("shop", f"SELECT {expression}").rows == ((value,),)


@pytest.mark.parametrize(
    ("sql", "failure"),
    [
        ("SELEC 1", "syntax"),
        ("SELECT 1 FROM (", "syntax"),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "syntax"),
        ("SELECT * FROM nowhere", "unknown_name"),
        ("SELECT nothing FROM orders", "unknown_name"),
        ("SELECT nofunction(1)", "unknown_name"),
        ("SELECT sum(status) FROM orders", "runtime"),
        ("SELECT CAST('x' AS INTEGER)", "runtime"),
        ("", "not_select"),
        ("SELECT 1; SELECT 2", "not_select"),
        ("SELECT 1; DROP TABLE orders", "not_select"),
        ("EXPLAIN SELECT 1", "not_select"),
        ("SELECT * FROM range(1001)", "too_large"),
        ("SELECT repeat('x', 200000)", "too_large"),
        ("SELECT '" + "x" * 200_000 + "'", "too_large"),
    ],
)
def test_failure_kinds(runner: SqlRunner, sql: str, failure: str) -> None:
    result = runner.run("shop", sql)
    assert result.failure == failure and failure in FAILURES and result.reason and result.rows == ()


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '{file}' AS x",
        "ATTACH '{new}' AS x",
        "COPY (SELECT 1) TO '{new}'",
        "COPY orders FROM '{file}'",
        "EXPORT DATABASE '{new}'",
        "INSTALL httpfs",
        "LOAD '{file}'",
        "SET enable_external_access = true",
        "SET threads = 8",
        "RESET memory_limit",
        "PRAGMA memory_limit = '100GB'",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "PREPARE p AS SELECT 1",
        "CREATE SECRET s (TYPE s3)",
        "CREATE TABLE x AS SELECT 1",
        "CREATE TEMP MACRO count(x) AS 1",
        "UPDATE orders SET status = 'x'",
        "DELETE FROM order_lines RETURNING id",
        "DROP TABLE orders",
        "FORCE CHECKPOINT",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_blob('{folder}/*')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM sniff_csv('{file}')",
        "SELECT * FROM parquet_metadata('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "FROM query('DROP TABLE orders')",
        "SELECT * FROM json",
        "SELECT getenv('HOME')",
    ],
)
def test_door_is_closed(runner: SqlRunner, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\ncanary-1,2\n")
    new = tmp_path / "made"
    result = runner.run("shop", sql.format(file=secret, new=new, folder=tmp_path))
    assert result.failure in ("not_select", "runtime", "unknown_name", "syntax")
    assert "canary" not in str(result)
    assert list(tmp_path.iterdir()) == [secret]


def test_settings_are_locked_and_no_secret_shows(runner: SqlRunner) -> None:
    found = dict(runner.run("shop", "SELECT name, value FROM duckdb_settings()").rows)
    assert found["lock_configuration"] == "true" and found["enable_external_access"] == "false"
    assert found["threads"] == "1" and found["secret_directory"] == "/nonexistent"
    assert runner.run("shop", "SELECT * FROM duckdb_secrets()").rows == ()


@pytest.mark.parametrize(
    "sql",
    [
        BOMB,
        "SELECT length(repeat('x', 4000000000))",
        "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range % 7 = 3",
        "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "SELECT list(a.range::VARCHAR || repeat('x', 1000)) FROM range(100000000) a",
        "SELECT length(string_agg(repeat('abcdefgh', 10000000), '')) FROM range(100)",
    ],
)
def test_bomb_ends_within_its_deadline(runner: SqlRunner, sql: str) -> None:
    start = time.monotonic()
    result = runner.run("shop", sql)
    assert result.failure in ("timeout", "runtime", "killed")
    assert time.monotonic() - start < DEADLINE_S + 1.5


def test_hang_is_a_timeout(runner: SqlRunner) -> None:
    assert runner.run("shop", BOMB).failure == "timeout"


def test_dead_worker_is_replaced(runner: SqlRunner) -> None:
    runner.run("shop", "SELECT 1")
    os.kill(runner._child.pid, signal.SIGKILL)
    runner._child.wait()
    assert runner.run("clinic", "SELECT COUNT(*) FROM doctors").rows == ((14,),)


def test_unknown_database_is_the_callers_fault(runner: SqlRunner) -> None:
    with pytest.raises(DatabaseSourceError, match="no database 'zoo'"):
        runner.run("zoo", "SELECT 1")


def test_unreadable_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "bad.duckdb").write_bytes(b"no" * 4000)
    with (
        pytest.raises(DatabaseSourceError, match="cannot be opened safely"),
        SqlRunner({"bad": tmp_path / "bad.duckdb"}),
    ):
        pass


def test_worker_inherits_no_environment(runner: SqlRunner, monkeypatch: pytest.MonkeyPatch, instances) -> None:
    monkeypatch.setenv("PLANTED_KEY", "canary-key")
    with SqlRunner({"shop": instances["shop"][0]}) as own:
        environment = Path(f"/proc/{own._child.pid}/environ")
        if environment.exists():
            assert b"canary" not in environment.read_bytes() and b"HOME" not in environment.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux")
def test_worker_dies_with_its_parent(instances: dict[str, list[Path]]) -> None:
    code = (
        "import os, sys; from distill_assets.verifiers.sql.execution import SqlRunner;"
        f"r = SqlRunner({{'shop': {str(instances['shop'][0])!r}}}); r.__enter__();"
        "print(r._child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    worker = int(done.stdout)
    for _ in range(100):
        if not _is_alive(worker):
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its parent by 5 s")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("tier", TIERS)
def test_queries_run_confined_and_say_so(instances: dict[str, list[Path]], tier: str) -> None:
    with SqlRunner({"shop": instances["shop"][0], "clinic": instances["clinic"][0]}, minimum=tier) as own:
        assert own.tier == tier and own.describe()["tier"] == tier
        assert own.run("shop", "SELECT COUNT(*) FROM customers").rows == ((42,),)
        assert own.run("clinic", "SELECT TIMESTAMPTZ '2024-01-01 00:00:00+02'").rows == (("2023-12-31T22:00:00+00:00",),)
        child = [pid for pid in _family(own._child.pid) if _is_worker(pid)][-1]
        status = Path(f"/proc/{child}/status").read_text()
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status and len(list(Path(f"/proc/{child}/task").iterdir())) == 1
        assert "CapEff:\t0000000000000000" in status or "CapEff:\t0000000000000004" in status  # reading at most


@pytest.mark.parametrize("tier", TIERS)
def test_an_endless_query_ends_with_its_deadline_and_with_its_parent(instances: dict[str, list[Path]], tier: str) -> None:
    with SqlRunner({"shop": instances["shop"][0]}, QueryLimits(timeout_s=DEADLINE_S), minimum=tier) as own:
        assert own.run("shop", "SELECT 1").rows == ((1,),)
        family = _family(own._child.pid)
        assert own.run("shop", BOMB).failure == "timeout"
        _wait_until_gone(family)
    program = (
        "import sys, threading, time\n"
        "from pathlib import Path\n"
        "from distill_assets.verifiers.sql.execution import QueryLimits, SqlRunner\n"
        "with SqlRunner({'shop': Path(sys.argv[1])}, QueryLimits(timeout_s=300), minimum=sys.argv[2]) as own:\n"
        "    own.run('shop', 'SELECT 1')\n"
        "    print(own.pid, flush=True)\n"
        "    own.run('shop', sys.argv[3])\n"
    )
    command = [sys.executable, "-c", program, str(instances["shop"][0]), tier, BOMB]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        family = _family(int(parent.stdout.readline()))
        time.sleep(0.5)
        parent.kill()
    _wait_until_gone(family)


def _wait_until_gone(family: list[int]) -> None:
    for _ in range(200):
        if not any(_is_alive(pid) for pid in family):
            return
        time.sleep(0.05)
    pytest.fail(f"{sum(map(_is_alive, family))} of {len(family)} processes outlived it by 10 s")


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _is_worker(pid: int) -> bool:
    return b"python" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]


def test_weaker_sandbox_than_asked_for_is_refused(instances: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no bubblewrap
    with (
        pytest.raises(SandboxError, match=r"'namespaces' at least.*bwrap.*Nothing was run"),
        SqlRunner({"shop": instances["shop"][0]}, minimum="namespaces"),
    ):
        pass


def test_small_queries_are_cheap(instances: dict[str, list[Path]]) -> None:
    sql = "SELECT c.country, COUNT(*) FROM orders AS o JOIN customers AS c ON c.id = o.customer_id GROUP BY c.country"
    with SqlRunner({"shop": instances["shop"][0]}) as own:
        own.run("shop", sql)
        start = _cpu_s(own._child.pid)
        for _ in range(300):
            assert own.run("shop", sql).failure is None
        assert _cpu_s(own._child.pid) - start < 1.0


def _cpu_s(child: int) -> float:
    """Return the CPU seconds used so far by this process and by the living child."""
    fields = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
