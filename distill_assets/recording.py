"""What each materialization leaves in the ledger, which outlives Dagster's own history.

Belongs here: joining an event of the ledger with Dagster's run, asset and versions. Does not belong here: which rows are kept
(lineage/record) and how they are written (lineage/ledger).

The event is written before Dagster hears of the materialization, so that none is without its record; a step that dies between the two
records once more when it runs again, which adds a line and no rows.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from distill_assets.errors import NothingSurvivedError
from distill_assets.lineage.chain import Event
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import root_of
from distill_assets.lineage.record import Recording
from distill_assets.lineage.withdrawals import LEDGER_FOLDER, Withdrawals, read_withdrawals
from distill_assets.resources import read_wall_clock_s
from distill_assets.storage import Workspace
from distill_assets.tables import TableSpec

# What the ledger is told of an asset. Raise it when that changes: every asset is materialized once more, to the same content.
RECORD_VERSION = "1"
# Metadata key that names the event of a materialization.
LEDGER_EVENT = "ledger"


def record_materialization(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    result: dg.MaterializeResult,
    make: Callable[[str], Recording] | None = None,
) -> dg.MaterializeResult:
    """Write a materialization down and name the event in its metadata.

    Args:
        make: from the data version, what is kept of the table beside the fact that it was materialized.
    """
    version = result.data_version.value if result.data_version else ""
    ledger = open_ledger(workspace)
    recipe, asset = context.asset_key.path[0], context.asset_key.path[-1]
    dagster = {
        "run_id": context.run_id,
        "asset": asset,
        "data_version": version,
        "code_version": context.assets_def.code_versions_by_key[context.asset_key],
        "step_key": context.get_step_execution_context().step.key,
    }
    recording = make(version) if make else Recording("materialization", {}, {}, {})
    event = ledger.record(recording.kind, recipe, read_now(), recording.segments, recording.frames, dagster, recording.facts)
    return result._replace(metadata={**(result.metadata or {}), LEDGER_EVENT: name_event(event)})


def find_withdrawals(workspace: Workspace) -> Withdrawals:
    """What the graph must leave out, by the ledger as it is now."""
    return read_withdrawals(workspace.root / LEDGER_FOLDER)


def leave_out(context: dg.AssetExecutionContext, rows: pl.DataFrame, marks: pl.Series, table: TableSpec) -> pl.DataFrame:
    """The rows that are not withdrawn.

    Raises:
        NothingSurvivedError: none is left; the last good table stays.
    """
    kept = rows.filter(~marks)
    if rows.height and kept.is_empty():
        raise NothingSurvivedError(
            f"all {rows.height} rows of {table.name} were withdrawn. {table.name} was not replaced. "
            "Look at: distill lineage log; add other rows, or take a withdrawal back."
        )
    if kept.height < rows.height:
        context.log.warning(
            f"{rows.height - kept.height} rows are withdrawn and left out of {table.name}; take them out of the recipe's files too"
        )
    return kept


def find_root(ledger: Ledger, dataset_version: str) -> str | None:
    """The Merkle root of a dataset's rows; None when the ledger has none of them."""
    with ledger.connect() as connection:
        snapshot = salted(ledger.salt(), dataset_version)
        [[n_rows]] = connection.execute("select count(*) from snapshot_row where snapshot_id = ?::uuid", [snapshot]).fetchall()
        return root_of(connection, snapshot) if n_rows else None


def open_ledger(workspace: Workspace) -> Ledger:
    """The workspace's ledger; begun when there is none."""
    return Ledger.open(workspace.root / LEDGER_FOLDER, create=True)


def name_event(event: Event) -> str:
    """An event as it stands in Dagster's metadata: enough to notice later that the chain was cut."""
    return f"#{event.seq} {event.hash}"


def read_now() -> str:
    """The time of day in UTC, to the second, as the ledger writes it."""
    return datetime.fromtimestamp(int(read_wall_clock_s()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
