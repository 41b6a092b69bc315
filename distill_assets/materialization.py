"""What every table asset has in common: its description in the UI and the way it is stored.

Belongs here: asset keywords and metadata derived from tables.py, reading pinned inputs, publishing a
frame under its content version. Does not belong here: anything that one stage alone does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from distill_assets.config import Recipe
from distill_assets.drawing import as_markdown
from distill_assets.errors import DistillError
from distill_assets.gates import CODE_VERSION_TAG, DATA_VERSION_TAG, asset_key, input_version, latest_version
from distill_assets.identity import fingerprint
from distill_assets.recording import RECORD_VERSION
from distill_assets.storage import Workspace, read_table, write_table
from distill_assets.tables import TableSpec

PREVIEW_ROWS = 8
PREVIEW_CHARS = 120
# Metadata key of raw_generations: calls that ended without a whole reply.
UNANSWERED = "n_unanswered"


def describe_asset(
    recipe: Recipe, name: str, description: str, *, group: str, kinds: set[str], deps: list[str], step: str, spec: dict[str, Any]
) -> dict[str, Any]:
    """Keywords for `dg.asset`.

    Args:
        step: hand-bumped version of the step's code. spec: the literals that decide its result.
    """
    return {
        "key": asset_key(recipe.name, name),
        "description": description,
        "group_name": group,
        "owners": list(recipe.owners),
        "kinds": kinds,
        "deps": [asset_key(recipe.name, dep) for dep in deps],
        "code_version": f"{step}.{RECORD_VERSION}+{fingerprint(spec)}",
    }


def describe_table(recipe: Recipe, table: TableSpec, **keywords: Any) -> dict[str, Any]:
    """Keywords for the asset of a table: name, meaning and column schema come from tables.py."""
    return {
        **describe_asset(recipe, table.name, table.meaning, **keywords),
        "metadata": {"dagster/column_schema": column_schema(table)},
    }


def column_schema(table: TableSpec) -> dg.TableSchema:
    """A table's columns as Dagster shows them."""
    columns = [
        dg.TableColumn(
            name,
            field.dtype.__name__,
            description=field.meaning,
            constraints=dg.TableColumnConstraints(nullable=field.nullable, unique=table.key == (name,)),
        )
        for name, field in table.fields.items()
    ]
    return dg.TableSchema(columns)


def read_input(context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe, table: TableSpec) -> pl.DataFrame:
    """Read an upstream table at the version that this step started from."""
    version = input_version(context, asset_key(recipe.name, table.name))
    return read_table(workspace, recipe.name, table, version)


def read_previous(context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe, table: TableSpec) -> pl.DataFrame | None:
    """Read what this asset's last materialization stored, for row-level reuse; None when there is none."""
    version = latest_version(context.instance, asset_key(recipe.name, table.name))
    try:
        return read_table(workspace, recipe.name, table, version) if version else None
    except DistillError as error:
        context.log.warning(f"earlier rows are not reused: {error}")
        return None


def find_same_code_version(context: dg.AssetExecutionContext) -> str | None:
    """Data version of this asset's last materialization if the same code and spec made it, else None."""
    key = context.asset_key
    event = context.instance.get_latest_materialization_event(key)
    tags = (event.asset_materialization.tags or {}) if event and event.asset_materialization else {}
    is_same = tags.get(CODE_VERSION_TAG) == context.assets_def.code_versions_by_key[key]
    return tags.get(DATA_VERSION_TAG) if is_same else None


def publish_table(
    workspace: Workspace, recipe: Recipe, table: TableSpec, frame: pl.DataFrame, metadata: dict[str, Any] | None = None
) -> dg.MaterializeResult:
    """Store a frame and return the materialization that names its content."""
    version = write_table(workspace, recipe.name, table, frame)
    shown = {
        "dagster/row_count": frame.height,
        **(metadata or {}),
        "path": dg.MetadataValue.path(str(workspace.table_file(recipe.name, table.name, version))),
        "preview": preview_rows(frame),
    }
    return dg.MaterializeResult(data_version=dg.DataVersion(version), metadata=shown)


def publish_stored(
    workspace: Workspace,
    recipe: Recipe,
    table: TableSpec,
    version: str,
    describe: Callable[[pl.LazyFrame], dict[str, Any]],
    previewed: Sequence[str],
) -> dg.MaterializeResult:
    """Return the materialization of a table that is stored already, without reading it as a whole.

    Args:
        describe: makes its metadata from the stored file. previewed: columns that the UI shows some rows of.
    """
    file = workspace.table_file(recipe.name, table.name, version)
    stored = pl.scan_parquet(file)
    shown = {
        "dagster/row_count": int(stored.select(pl.len()).collect().item()),
        **describe(stored),
        "path": dg.MetadataValue.path(str(file)),
        "preview": preview_rows(stored.select(previewed).head(PREVIEW_ROWS).collect()),
    }
    return dg.MaterializeResult(data_version=dg.DataVersion(version), metadata=shown)


def preview_rows(frame: pl.DataFrame, n: int = PREVIEW_ROWS) -> dg.TableMetadataValue:
    """The first rows as a table; model-written text is cut and shown as text only."""
    records = [
        dg.TableRecord({name: _shorten(value) for name, value in row.items()}) for row in frame.head(n).iter_rows(named=True)
    ]
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in frame.columns])
    return dg.MetadataValue.table(records, schema=schema)


def show_pictures(name: str, pictures: Mapping[str, bytes]) -> dict[str, dg.MetadataValue]:
    """Pictures as one piece of metadata that the UI shows; none without a picture."""
    return {name: dg.MetadataValue.md(as_markdown(pictures))} if pictures else {}


def _shorten(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, int | float | bool):
        return value
    text = " ".join(str(value).split())
    return text if len(text) <= PREVIEW_CHARS else text[: PREVIEW_CHARS - 1] + "…"


def count_values(frame: pl.DataFrame | pl.LazyFrame, column: str) -> dict[str, int]:
    """How many rows have each value of `column`; null is `none`."""
    counts = frame.lazy().select(pl.col(column).fill_null("none")).group_by(column).len().sort(column).collect()
    return {str(value): int(n) for value, n in counts.iter_rows()}
