"""Snapshots are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest

from distill_assets.errors import LockedError, StorageError, TableShapeError
from distill_assets.storage import (
    Workspace,
    connect_tables,
    find_instances,
    hold_lock,
    list_versions,
    read_table,
    replace_atomically,
    write_bytes,
    write_side_table,
    write_table,
    write_text,
)
from distill_assets.tables import DATABASES, PLANTED_ERRORS, build_frame

ROOT = Path(__file__).resolve().parents[1]


def planted(*ids: str) -> pl.DataFrame:
    return build_frame(PLANTED_ERRORS, [{"generation_id": id_, "planted_error": "wrong_sign"} for id_ in ids])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def everything(workspace: Workspace) -> list[str]:
    return sorted(str(file.relative_to(workspace.root)) for file in workspace.root.rglob("*") if file.is_file())


def run_python(code: str, *arguments: object, **keywords) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, **keywords)


def test_what_is_written_is_read_back_sorted(workspace: Workspace):
    version = write_table(workspace, "r", PLANTED_ERRORS, planted("b", "a").reverse())
    assert read_table(workspace, "r", PLANTED_ERRORS, version)["generation_id"].to_list() == ["a", "b"]
    assert everything(workspace) == [f"tables/r/planted_errors/{version}.parquet"]


def test_equal_content_is_written_once(workspace: Workspace):
    version = write_table(workspace, "r", PLANTED_ERRORS, planted("a", "b"))
    file = workspace.table_file("r", "planted_errors", version)
    before = file.stat()
    assert write_table(workspace, "r", PLANTED_ERRORS, planted("b", "a")) == version
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_damaged_snapshot_is_written_again(workspace: Workspace):
    version = write_table(workspace, "r", PLANTED_ERRORS, planted("a"))
    workspace.table_file("r", "planted_errors", version).write_bytes(b"PAR1")
    write_table(workspace, "r", PLANTED_ERRORS, planted("a"))
    assert read_table(workspace, "r", PLANTED_ERRORS, version).height == 1


def test_a_frame_that_does_not_fit_writes_nothing(workspace: Workspace):
    with pytest.raises(TableShapeError):
        write_table(workspace, "r", PLANTED_ERRORS, planted("a").drop("planted_error"))
    assert not workspace.root.exists()


@pytest.mark.parametrize(
    "spoil", [lambda f: f.unlink(), lambda f: f.write_bytes(b""), lambda f: f.write_bytes(f.read_bytes()[:-9])]
)
def test_a_missing_or_torn_snapshot_is_named(workspace: Workspace, spoil):
    version = write_table(workspace, "r", PLANTED_ERRORS, planted("a"))
    file = workspace.table_file("r", "planted_errors", version)
    spoil(file)
    with pytest.raises(StorageError, match="Materialize planted_errors again") as caught:
        read_table(workspace, "r", PLANTED_ERRORS, version)
    assert str(file) in str(caught.value)


def test_another_table_under_the_name_is_refused(workspace: Workspace):
    file = workspace.table_file("r", "planted_errors", "v")
    file.parent.mkdir(parents=True)
    pl.DataFrame({"x": [1]}).write_parquet(file)
    with pytest.raises(StorageError, match="column 'generation_id'"):
        read_table(workspace, "r", PLANTED_ERRORS, "v")


def test_a_failure_while_writing_leaves_the_old_content_and_no_trace(tmp_path: Path):
    target = tmp_path / "report.md"
    write_text(target, "old")
    with pytest.raises(ValueError, match="boom"), replace_atomically(target) as temporary:
        temporary.write_text("half of the new")
        raise ValueError("boom")
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.md"]


def test_a_killed_writer_leaves_the_old_content(tmp_path: Path):
    target = tmp_path / "report.md"
    write_text(target, "old")
    code = """
import os, signal, sys
from pathlib import Path
from distill_assets.storage import replace_atomically
with replace_atomically(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run_python(code, target).returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    write_text(target, "new")
    assert target.read_text() == "new"


FULL = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from distill_assets.errors import StorageError
from distill_assets.storage import Workspace, write_bytes, write_table
from distill_assets.tables import PLANTED_ERRORS, build_frame
from distill_assets.identity import make_id
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rows = [{"generation_id": make_id(i), "planted_error": make_id("e", i)} for i in range(5000)]
try:
    if sys.argv[2] == "table":
        write_table(Workspace(Path(sys.argv[1])), "r", PLANTED_ERRORS, build_frame(PLANTED_ERRORS, rows))
    else:
        write_bytes(Path(sys.argv[1]) / "report.md", b"x" * 100_000)
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("what", ["table", "report"])
def test_a_full_disk_is_a_clear_error_and_leaves_no_trace(workspace: Workspace, what: str):
    kept = write_table(workspace, "r", PLANTED_ERRORS, planted("a"))
    write_text(workspace.root / "report.md", "old")
    before = everything(workspace)
    found = run_python(FULL, workspace.root, what)
    assert "cannot be written" in found.stdout, found.stderr
    assert "What was there before is untouched" in found.stdout
    assert everything(workspace) == before
    assert (workspace.root / "report.md").read_text() == "old"
    assert read_table(workspace, "r", PLANTED_ERRORS, kept).height == 1


def test_a_file_in_place_of_the_folder_is_a_clear_error(tmp_path: Path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StorageError, match=r"cannot be written: .*untouched"):
        write_table(Workspace(tmp_path / "home"), "r", PLANTED_ERRORS, planted("a"))
    with (
        pytest.raises(StorageError, match=r"cannot be locked: .*DISTILL_HOME"),
        hold_lock(tmp_path / "home" / "locks" / "r.lock", "me"),
    ):
        pass
    assert (tmp_path / "home").read_text() == "a file"


HOLD = """
import sys, time
from pathlib import Path
from distill_assets.storage import hold_lock
with hold_lock(Path(sys.argv[1]), "'distill run r' (pid 42)"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_holder_and_is_freed_when_the_holder_is_killed(tmp_path: Path):
    file = tmp_path / "locks" / "r.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=r"held by 'distill run r' \(pid 42\)\. Nothing was run"), hold_lock(file, "me"):
            pass
        other.kill()
    with hold_lock(file, "me"):
        assert file.read_text() == "me"
    with hold_lock(file, "a much longer name"), pytest.raises(LockedError, match="a much longer name"), hold_lock(file, "x"):
        pass


def test_two_writers_of_one_table_do_not_disturb_each_other(workspace: Workspace):
    code = """
import sys
from pathlib import Path
from distill_assets.storage import Workspace, read_table, write_table
from distill_assets.tables import PLANTED_ERRORS, build_frame
for round in range(15):
    rows = [{"generation_id": f"{round}-{i}", "planted_error": "e"} for i in range(200)]
    version = write_table(Workspace(Path(sys.argv[1])), "r", PLANTED_ERRORS, build_frame(PLANTED_ERRORS, rows))
    assert read_table(Workspace(Path(sys.argv[1])), "r", PLANTED_ERRORS, version).height == 200
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(workspace.root)], cwd=ROOT) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(everything(workspace)) == 15


def test_versions_are_listed_oldest_first(workspace: Workspace):
    versions = [write_table(workspace, "r", PLANTED_ERRORS, planted(*ids)) for ids in (["a"], ["b"], ["a", "b"])]
    for age, version in enumerate(reversed(versions)):
        file = workspace.table_file("r", "planted_errors", version)
        os.utime(file, (time.time() - age * 10,) * 2)
    assert list_versions(workspace, "r", "planted_errors") == versions
    assert list_versions(workspace, "r", "nothing") == []


def test_tables_are_views_also_below_a_folder_with_a_quote(tmp_path: Path):
    workspace = Workspace(tmp_path / 'it\'s "home"')
    version = write_table(workspace, "r", PLANTED_ERRORS, planted("a", "b"))
    write_side_table(workspace, "r", PLANTED_ERRORS, planted("a"), "of_another")
    with duckdb.connect() as connection:
        connect_tables(connection, workspace, "r", {"planted_errors": version, "stranger": version, "verdicts": "gone"})
        assert connection.sql("select count(*) from planted_errors").fetchall() == [(2,)]


def test_an_instance_that_is_gone_is_named(workspace: Workspace):
    row = {"database": "shop", "schema_id": "s", "card": "{}", "n_tables": 1, "n_rows": 1}
    frame = build_frame(DATABASES, [row | {"instance": i, "content_id": f"c{i}"} for i in (0, 1)])
    for i in (0, 1):
        write_bytes(workspace.database_file("r", "shop", i, f"c{i}"), b"x")
    assert set(find_instances(workspace, "r", frame)["shop"]) == {0, 1}
    workspace.database_file("r", "shop", 1, "c1").unlink()
    with pytest.raises(StorageError, match=r"shop-1-c1\.duckdb is gone.*Materialize r/databases again"):
        find_instances(workspace, "r", frame)
