"""The Dagster instance of a workspace: made once under a lock, opened by every command.

Belongs here: DAGSTER_HOME and its dagster.yaml. Does not belong here: what is run on it.

The first use of an empty DAGSTER_HOME by several processes at once can leave SQLite without its
tables, so it is initialised under a lock before anybody else opens it (docs/adr/0005).
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from distill_assets.config import dagster_home, export_setting
from distill_assets.errors import StorageError
from distill_assets.recording import LEDGER_EVENT

READY = "initialised"


def find_instance_config() -> Path:
    """The dagster.yaml that comes with the project: beside the package, or inside it when installed."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "dagster.yaml"
    return inside if inside.exists() else package.parent / "dagster.yaml"


def open_instance() -> dg.DagsterInstance:
    """Open the workspace's instance; initialise it first when it is new.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    home = dagster_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with (home / "init.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            config = home / "dagster.yaml"
            if not config.exists():
                config.write_text(find_instance_config().read_text(encoding="utf-8"), encoding="utf-8")
            export_setting("DAGSTER_HOME", str(home))
            instance = dg.DagsterInstance.get()
            if not (home / READY).exists():
                instance.get_runs(limit=1)
                instance.fetch_materializations(dg.AssetKey("none"), limit=1)
                instance.schedule_storage.all_instigator_state()
                (home / READY).touch()
            return instance
    except OSError as error:
        raise StorageError(
            f"{home}: Dagster's folder cannot be used: {error.strerror or error}. Nothing was run. "
            "Fix its permissions or free space, or set DISTILL_HOME to another folder."
        ) from error


def list_remembered() -> Iterator[tuple[int, str]]:
    """Places in the ledger's chain that the latest materializations name: number of the line and its hash."""
    if not (dagster_home() / READY).exists():
        return
    instance = open_instance()
    for key in instance.all_asset_keys():
        event = instance.get_latest_materialization_event(key)
        metadata = event.asset_materialization.metadata if event and event.asset_materialization else {}
        if match := re.fullmatch(r"#(\d+) ([0-9a-f]{64})", str(getattr(metadata.get(LEDGER_EVENT), "value", ""))):
            yield int(match[1]), match[2]


def holder_name(command: str) -> str:
    """How this process names itself in a lock."""
    return f"'{command}' (pid {os.getpid()})"
