"""What steps are given: the workspace, DuckDB over snapshots, and the device for heavy work.

Belongs here: Dagster resources, the one place that reads the clock. Does not belong here: decisions
about data.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from dagster_duckdb import DuckDBResource

from distill_assets.config import count_cores
from distill_assets.errors import TrainingError
from distill_assets.processes import constructed_environment
from distill_assets.storage import Workspace, connect_tables


class SnapshotDuckDB(DuckDBResource):
    """DuckDB as the query engine over immutable Parquet snapshots; never a database file."""

    database: str = ":memory:"

    @contextmanager
    def open_tables(self, workspace: Workspace, recipe: str, versions: Mapping[str, str]) -> Iterator[Any]:
        """Give a connection with one view per table of `versions` (table -> data version)."""
        with self.get_connection() as connection:
            connect_tables(connection, workspace, recipe, dict(versions))
            try:
                yield connection
            finally:
                connection.close()

    def query(self, workspace: Workspace, recipe: str, versions: Mapping[str, str], sql: str) -> pl.DataFrame:
        """Run one query over the tables."""
        with self.open_tables(workspace, recipe, versions) as connection:
            return connection.sql(sql).pl()


class GpuResource(dg.ConfigurableResource):
    """Where heavy work runs: a child process on CUDA when there is one, else on the CPU.

    The child picks the device and reports it; this process never imports torch. `threads` None means
    all cores when this process is the only heavy one. One step at a time holds pool `gpu`.
    """

    threads: int | None = None

    def count_threads(self, asked: int | None) -> int:
        """Threads for a child: as asked by the recipe, else as configured, else all cores."""
        return asked or self.threads or count_cores()

    def run_child(self, context: dg.AssetExecutionContext, module: str, spec_file: Path) -> list[dict[str, Any]]:
        """Run `python -m module --spec spec_file` under Dagster Pipes and return its custom messages.

        The child gets a constructed environment (no keys), its log lines reach the event log as they
        come, and it dies with this process.

        Raises:
            TrainingError: the child ended without success; a rerun resumes.
        """
        injector, reader = dg.PipesEnvContextInjector(), dg.PipesTempFileMessageReader()
        with dg.open_pipes_session(context, injector, reader) as session:
            environment = constructed_environment(session.get_bootstrap_env_vars())
            command = [sys.executable, "-m", module, "--spec", str(spec_file)]
            child = subprocess.Popen(command, env=environment)
            try:
                code = child.wait()
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
        if code:
            raise TrainingError(
                f"{module} ended with {_name_exit(code)}. Nothing was published; what it had saved is kept. "
                "Run again: it resumes from the newest checkpoint that verifies. Its own words are in the run's stderr log."
            )
        return list(session.get_custom_messages())


def _name_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def read_clock_s() -> float:
    """Seconds since an arbitrary start, for durations that are shown and never stored in a result."""
    return time.monotonic()


def read_wall_clock_s() -> float:
    """Seconds since 1970, for when a reply was bought; it stands in the journal and decides nothing."""
    return time.time()
