"""What is recorded stays, whole or not at all, whoever writes beside us and whenever a writer dies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import duckdb
import polars as pl
import pytest

from distill_assets.errors import LineageError, StorageError
from distill_assets.lineage.ids import salted
from distill_assets.lineage.kinds import EVENTS, KINDS
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.verify import verify_ledger
from tests.lineage.killed_writers import ROWS_PER_RECORD, read_told
from tests.lineage.ledgers import (
    AT,
    GENERATIONS,
    RECIPE,
    build_answers,
    build_world,
    count_rows,
    name_generations,
    read_all,
    record_dataset,
    record_generations,
)
from tests.unprivileged import run_as_nobody

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger", create=True, at=AT)


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


# --- recording and reading ---


def test_a_new_ledger_begins_with_a_line_that_names_its_salt(ledger: Ledger):
    genesis = ledger.head()
    assert (genesis.seq, genesis.kind, genesis.at, genesis.prev) == (0, "genesis", AT, "0" * 64)
    assert Ledger.open(ledger.root, create=True).head() == genesis
    assert ledger.salt().hex() not in (ledger.root / "chain.jsonl").read_text()


def test_rows_are_recorded_sorted_and_named_by_their_hash(ledger: Ledger):
    ids = name_generations(range(100))
    event = record_generations(ledger, ids)
    [segment] = event.segments
    assert (event.kind, event.recipe, event.at, segment.kind, segment.n_rows) == ("generations", RECIPE, AT, "generation", 100)
    assert [file.name for file in (ledger.root / "segments").iterdir()] == [segment.file_name]
    with ledger.connect() as connection:
        found = [row[0].hex for row in connection.execute("select generation_id from generation").fetchall()]
    assert found == sorted(salted(ledger.salt(), id_) for id_ in ids)
    assert ledger.events() == [ledger.genesis(), event] and ledger.head() == event
    assert verify_ledger(ledger.root) == []


def test_a_query_that_leaves_out_what_is_there_records_nothing_twice(ledger: Ledger):
    record_generations(ledger, name_generations(range(10)))
    event = record_generations(ledger, name_generations(range(5, 15)))
    assert [segment.n_rows for segment in event.segments] == [5]
    again = record_generations(ledger, name_generations(range(15)))
    assert again.segments == () and again.seq == 3, "the event counts, though it brought no rows"
    assert count_rows(ledger, "generation") == 15


def test_every_kind_is_a_view_with_its_columns_and_types_with_rows_or_without(ledger: Ledger):
    with ledger.connect() as connection:
        for kind in KINDS.values():
            found = {name: type_ for name, type_, *_ in connection.execute(f"describe {kind.name}").fetchall()}
            assert found == {name: column.type for name, column in kind.columns.items()}
            assert connection.execute(f"select count(*) from {kind.name}").fetchall() == [(0,)]


def sample_row(kind: str) -> str:
    values = {
        "UUID": "salted('{}')",
        "VARCHAR": "'{}'",
        "VARCHAR[]": "['{}', 'b']",
        "BIGINT": "5::bigint",
        "INTEGER": "4",
        "BOOLEAN": "true",
    }
    values |= {"FLOAT": "0.25::float", "DOUBLE": "0.5::double"}
    return "select " + ", ".join(f"{values[column.type].format(name)} as {name}" for name, column in KINDS[kind].columns.items())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_recorded_and_comes_back_with_its_types(ledger: Ledger, kind: str):
    assert set(KINDS[kind].key) <= set(KINDS[kind].columns)
    ledger.record("dataset", None, None, {kind: sample_row(kind)}, {}, {}, {})
    with ledger.connect() as connection:
        columns = ", ".join(KINDS[kind].columns)
        assert connection.execute(f"select {columns} from {kind}").fetchall() == connection.execute(sample_row(kind)).fetchall()
        found = {name: type_ for name, type_, *_ in connection.execute(f"describe {kind}").fetchall()}
        assert found == {name: column.type for name, column in KINDS[kind].columns.items()}


def test_columns_that_may_be_null_may_be_null(ledger: Ledger):
    for kind in KINDS.values():
        row = ", ".join(f"null::{column.type} as {name}" if column.nullable else f"{name}" for name, column in kind.columns.items())
        ledger.record("dataset", None, None, {kind.name: f"select {row} from ({sample_row(kind.name)})"}, {}, {}, {})
        assert count_rows(ledger, kind.name) == 1


def test_an_id_is_the_same_in_duckdb_polars_and_parquet(ledger: Ledger):
    ids = name_generations(range(50))
    [segment] = record_generations(ledger, ids).segments
    expected = sorted(salted(ledger.salt(), id_) for id_ in ids)
    file = ledger.root / "segments" / segment.file_name
    in_parquet = pl.read_parquet(file)["generation_id"]
    assert in_parquet.dtype == pl.Binary
    assert [raw.hex() for raw in in_parquet] == expected
    with ledger.connect() as connection:
        in_polars = connection.sql("select generation_id from generation order by 1").pl()["generation_id"]
        assert [UUID(text).hex for text in in_polars] == expected
        connection.register("back", pl.DataFrame({"hex": expected}).to_arrow())
        joined = connection.execute("select count(*) from generation join back on generation_id = hex::uuid").fetchall()
    assert joined == [(50,)]


def test_equal_rows_give_equal_files(tmp_path: Path):
    names = set()
    for folder in ("a", "b"):
        ledger = Ledger.open(tmp_path / folder, create=False) if (tmp_path / folder).exists() else None
        assert ledger is None
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "salt").write_bytes(b"s" * 32)
        ledger = Ledger.open(tmp_path / folder, create=True, at=AT)
        ids = name_generations(range(30_000))
        record_generations(ledger, ids if folder == "a" else ids[::-1])
        names.add((ledger.head().hash, ledger.head().segments[0].sha256))
    assert len(names) == 1


def test_one_id_of_many_is_found_by_reading_one_row_group(ledger: Ledger):
    ids = name_generations(range(60_000))
    [segment] = record_generations(ledger, ids).segments
    with ledger.connect() as connection:
        file = str(ledger.root / "segments" / segment.file_name).replace("'", "''")
        bounds = connection.execute(
            f"select stats_min_value::uuid, stats_max_value::uuid from parquet_metadata('{file}') where path_in_schema = 'generation_id'"
        ).fetchall()
        assert len(bounds) == 3
        for id_ in ids[:20]:
            wanted = UUID(salted(ledger.salt(), id_))
            assert sum(low <= wanted <= high for low, high in bounds) == 1
            assert connection.execute("select count(*) from generation where generation_id = ?", [wanted]).fetchall() == [(1,)]


def test_a_folder_whose_name_looks_like_a_pattern_or_a_partition_changes_no_row(tmp_path: Path):
    for name in ("status=gone", "a[b]c", "it's", "ü 🎉"):
        ledger = Ledger.open(tmp_path / name / "ledger", create=True)
        record_generations(ledger, name_generations(range(3)))
        with ledger.connect() as connection:
            assert connection.execute("select distinct status from generation").fetchall() == [("ok",)]


def test_without_the_salt_what_names_no_sample_still_works(ledger: Ledger):
    record_generations(ledger, name_generations(range(3)))
    (ledger.root / "salt").unlink()
    assert count_rows(Ledger.open(ledger.root), "generation") == 3
    with pytest.raises(LineageError, match=r"salt is missing, so no sample can be named"), ledger.connect() as connection:
        connection.execute("select * from generation where generation_id = salted('x')").fetchall()
    with pytest.raises(LineageError, match=r"salt is missing"):
        record_generations(ledger, name_generations(range(4)))
    assert ledger.head().seq == 1


def test_an_error_of_a_query_that_is_not_the_ledgers_passes(ledger: Ledger):
    with pytest.raises(duckdb.CatalogException), ledger.connect() as connection:
        connection.execute("select * from no_such_table")


# --- what is refused leaves the ledger as it was ---


ORIGIN = "salted('s') as snapshot_id, null::uuid as endpoint_id, null::uuid as prompt_key, null::uuid as panel_id, 'mit' as licence, 'a' as source"


@pytest.mark.parametrize(
    ("kind", "query", "words"),
    [
        ("seed", "select 1 as x", r"seed: seed_id \(expected UUID, got nothing\), recipe"),
        ("dropped", f"select {ORIGIN}, 'r' as reason, 1 as n_rows", r"dropped: n_rows \(expected BIGINT, got INTEGER\)"),
        ("dropped", f"select {ORIGIN}, 'r' as reason, 1::bigint as n_rows, 2 as more", r"dropped: more \(not expected\)"),
        ("dropped", f"select {ORIGIN}, null::varchar as reason, 1::bigint as n_rows", "dropped: reason is null in 1 of 1 rows"),
        ("dropped", f"select {ORIGIN}, 'r' as reason, n as n_rows from range(3) t(n)", r"2 of 3 rows have the key \(snapshot_id, endpoint_id, .*, reason\)"),
        ("dropped", f"select {ORIGIN}, 'r' as reason, error('boom')::bigint as n_rows from answers", "rows of 'dropped' cannot be gathered: .*boom"),
        ("dropped", "select * from nowhere", "rows of 'dropped' cannot be gathered: .*nowhere"),
        ("dropped", "no sql", "rows of 'dropped' cannot be gathered"),
        ("drops", "select 1", "drops: no such rows in a ledger"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_named_and_nothing_is_recorded(ledger: Ledger, kind: str, query: str, words: str):
    record_generations(ledger, name_generations(range(3)))
    before = read_all(ledger.root)
    segments = {"generation": GENERATIONS, kind: query}  # the other rows are good
    with pytest.raises(LineageError, match=words) as error:
        ledger.record("dataset", RECIPE, AT, segments, {"answers": build_answers(name_generations(range(9)))}, {}, {})
    assert "Nothing was recorded" in str(error.value)
    assert read_all(ledger.root) == before
    record_generations(ledger, name_generations(range(9)))
    assert verify_ledger(ledger.root) == []


def test_events_and_frames_with_wrong_names_and_facts_that_are_no_json_are_refused(ledger: Ledger):
    before = read_all(ledger.root)
    for kind in ("news", "genesis"):
        with pytest.raises(LineageError, match=f"'{kind}' is no event of a ledger"):
            ledger.append(kind, None, None, {}, {})
    with pytest.raises(LineageError, match="frames named seed would hide the ledger's own"):
        ledger.record("seeds", None, None, {}, {"seed": build_answers([])}, {}, {})
    with pytest.raises(LineageError, match="cannot be written as JSON"):
        ledger.append("seeds", None, None, {"n": object()}, {})
    assert read_all(ledger.root) == before
    assert "genesis" in EVENTS


def test_facts_that_are_no_json_leave_no_segment_that_counts(ledger: Ledger):
    frames = {"answers": build_answers(name_generations(range(3)))}
    with pytest.raises(LineageError, match="cannot be written as JSON"):
        ledger.record("generations", None, None, {"generation": GENERATIONS}, frames, {}, {"n": object()})
    assert count_rows(ledger, "generation") == 0 and ledger.head().seq == 0
    assert not list((ledger.root / "segments").iterdir())


def test_rows_whose_chain_is_gone_are_not_forgotten_by_beginning_anew(ledger: Ledger):
    record_generations(ledger, name_generations(range(3)))
    for name in ("chain.jsonl", "HEAD"):
        (ledger.root / name).unlink()
    before = read_all(ledger.root)
    with pytest.raises(LineageError, match=r"chain.jsonl is gone, but 1 segments of its rows are there. No new ledger was begun"):
        Ledger.open(ledger.root, create=True)
    assert read_all(ledger.root) == before


def test_a_first_line_whose_writer_died_is_written_again(tmp_path: Path):
    (tmp_path / "chain.jsonl").write_bytes(b'{"at":null,"dag')
    (tmp_path / "salt").write_bytes(b"s" * 32)
    assert Ledger.open(tmp_path, create=True).head().seq == 0
    assert (tmp_path / "chain.torn-1").read_bytes() == b'{"at":null,"dag'
    assert verify_ledger(tmp_path) == []


# --- segments that are gone or damaged ---


def test_a_missing_segment_fails_what_reads_its_kind_and_nothing_else(ledger: Ledger):
    ids = name_generations(range(5))
    [segment] = record_generations(ledger, ids).segments
    record_dataset(ledger, "dataset-1", ids)
    (ledger.root / "segments" / segment.file_name).unlink()
    assert count_rows(ledger, "snapshot_row") == 5
    words = rf"{segment.file_name} is missing. It holds 5 rows of 'generation' that line 1 of the chain recorded. Restore the file from a copy"
    for query in ("select count(*) from generation", "select 1 from generation where status = 'error'"):
        with pytest.raises(LineageError, match=words), ledger.connect() as connection:
            connection.execute(query).fetchall()
    with pytest.raises(LineageError, match=words):
        record_generations(ledger, name_generations(range(9)))
    generation = build_answers(ids)  # DuckDB would take a variable of the caller for a table that it misses
    with pytest.raises(LineageError, match=words), ledger.connect() as connection:
        connection.execute("select count(*) from generation").fetchall()
    assert generation.height == 5
    assert record_dataset(ledger, "dataset-2", ids).seq == 3, "recording what does not read it goes on"


def test_a_damaged_segment_fails_what_reads_its_kind_with_its_name(ledger: Ledger):
    ids = name_generations(range(5))
    [segment] = record_generations(ledger, ids).segments
    record_dataset(ledger, "dataset-1", ids)
    file = ledger.root / "segments" / segment.file_name
    for damaged in (b"x" * segment.n_bytes, file.read_bytes()[:-20] + b"\xff" * 20, b"cut"):
        file.write_bytes(damaged)
        with pytest.raises(LineageError, match=rf"{segment.file_name}"), ledger.connect() as connection:
            connection.execute("select count(*) from generation where status = 'ok'").fetchall()
        assert count_rows(ledger, "snapshot_row") == 5


# --- several processes, deaths, disks ---

WRITER = """
import sys
from pathlib import Path
from distill_assets.lineage.ledger import Ledger
from tests.lineage.ledgers import name_generations, record_generations
ledger = Ledger.open(Path(sys.argv[1]), create=True)
for number in range(int(sys.argv[3])):
    record_generations(ledger, name_generations(range(10 * number, 10 * number + 20)), sys.argv[2])
"""


@pytest.mark.parametrize("n_writers", [2, 4])
def test_writers_at_once_all_succeed_and_record_no_row_twice(tmp_path: Path, n_writers: int):
    root = tmp_path / "ledger"
    command = [sys.executable, "-c", WRITER, root]
    writers = [subprocess.Popen([*command, str(n), "6"], cwd=ROOT, stderr=subprocess.PIPE, text=True) for n in range(n_writers)]
    said = [writer.communicate(timeout=100)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * n_writers, said
    events = Ledger.open(root).events()
    assert len(events) == 1 + 6 * n_writers
    assert {event.dagster["run_id"] for event in events[1:]} == {str(n) for n in range(n_writers)}
    assert count_rows(Ledger(root), "generation") == 70, "each of 70 generations once, though all asked to record them"
    assert verify_ledger(root) == []


def test_a_reader_beside_a_writer_sees_a_whole_ledger_each_time(tmp_path: Path):
    root = tmp_path / "ledger"
    Ledger.open(root, create=True)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, root, "w", "25"], cwd=ROOT)
    seen = []
    while writer.poll() is None:
        with Ledger.open(root).connect() as connection:
            [(n,)] = connection.execute("select count(*) from generation").fetchall()
        seen.append(n)
    assert writer.returncode == 0
    assert seen == sorted(seen) and all(n % 10 == 0 for n in seen)
    assert count_rows(Ledger(root), "generation") == 260


@pytest.mark.slow
def test_writers_killed_at_any_moment_lose_nothing_that_they_acknowledged(tmp_path: Path):
    command = [sys.executable, "-m", "tests.lineage.killed_writers", str(tmp_path), "50", "1"]
    figures = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=True).stdout)
    assert figures["kills"] == 50 and figures["lost"] == 0 and figures["acknowledged"] >= 50
    ledger, told = Ledger.open(tmp_path / "ledger"), read_told(tmp_path / "told")
    ids = name_generations(number + i for number in told.numbers for i in range(ROWS_PER_RECORD))
    wanted = {salted(ledger.salt(), id_) for id_ in ids}
    with ledger.connect() as connection:
        found = {row[0].hex for row in connection.execute("select generation_id from generation").fetchall()}
    assert wanted <= found
    record_generations(ledger, name_generations([-1]))
    assert not [finding for finding in verify_ledger(ledger.root) if finding.level == "error"]


FULL = """
import resource, signal, sys
from pathlib import Path
from distill_assets.errors import DistillError
from distill_assets.lineage.ledger import Ledger
from tests.lineage.ledgers import name_generations, record_generations
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    record_generations(Ledger(Path(sys.argv[1])), name_generations(range(2000)))
except DistillError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("room", ["segment", "chain"])
def test_a_full_disk_records_nothing_and_loses_nothing(ledger: Ledger, room: str):
    """A limit on a file's size stops the segment; a chain that is longer than a segment may be is stopped itself."""
    record_generations(ledger, name_generations(range(3)))
    if room == "chain":
        ledger.append("seeds", None, None, {"long": "x" * 200_000}, {})
    limit = (ledger.root / "chain.jsonl").stat().st_size + 10 if room == "chain" else 10_000
    before = read_all(ledger.root)
    told = run_python(FULL, ledger.root, limit)
    assert told.stdout.startswith("StorageError") and "Nothing was recorded" in told.stdout, told.stderr
    left = read_all(ledger.root)
    assert {name: left[name] for name in before} == before
    assert [finding.level for finding in verify_ledger(ledger.root)] == ["note"] * (len(left) - len(before)), "at most a segment"
    assert record_generations(ledger, name_generations(range(2000))).segments[0].n_rows == 1997
    assert verify_ledger(ledger.root) == []


def test_a_disk_of_its_own_that_fills_up_records_nothing_and_goes_on_when_there_is_room(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("only root mounts a small disk; that a full one is told and loses nothing is tested by a file-size limit too")
    try:
        ledger = Ledger.open(disk / "ledger", create=True)
        record_generations(ledger, name_generations(range(10)))
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as handle:
            while True:
                handle.write(b"x" * 4096)
        before = read_all(ledger.root)
        for attempt in (
            lambda: record_generations(ledger, name_generations(range(2000))),
            lambda: ledger.append("seeds", None, None, {"x": "y" * 9000}, {}),
        ):
            with pytest.raises(StorageError, match="Nothing was recorded"):
                attempt()
        left = read_all(ledger.root)
        assert {name: left[name] for name in before} == before
        filler.unlink()
        record_generations(ledger, name_generations(range(2000)))
        assert count_rows(ledger, "generation") == 2000 and verify_ledger(ledger.root) == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


READ_ONLY = """
import sys
from pathlib import Path
from distill_assets.errors import StorageError
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.verify import verify_ledger
from tests.lineage.ledgers import build_world, count_rows
ledger, _ = build_world(Path("world").resolve())
for path in [ledger.root, ledger.root / "segments", *ledger.root.rglob("*")]:
    path.chmod(0o555 if path.is_dir() else 0o444)
same = Ledger.open(ledger.root, create=True)
print(count_rows(same, "generation"), verify_ledger(ledger.root))
try:
    same.append("seeds", None, None, {}, {})
except StorageError as error:
    print(error)
"""


def test_a_ledger_that_may_only_be_read_is_read_and_says_that_it_cannot_be_written():
    told = run_as_nobody("-c", READ_ONLY)
    assert told.stdout.startswith("40 []\n"), told.stderr
    assert "cannot be written: Permission denied. Nothing was recorded." in told.stdout


def test_the_small_world_of_these_tests_is_sound(tmp_path: Path):
    ledger, _ = build_world(tmp_path)
    assert [event.kind for event in ledger.events()] == [
        "genesis",
        "generations",
        "generations",
        "dataset",
        "checkpoint",
        "manifest",
    ]
