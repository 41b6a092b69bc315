"""What a step may read: pinned versions, behind blocking checks that are green.

Belongs here: the version of an input that this step started from, and the refusal to read an asset
whose blocking checks failed, never ran, or speak of an older materialization. Does not belong here:
the checks themselves (checks).

Dagster stops the children of a failed blocking check in the same run only; a run launched later on a
child alone would read bad data. Every consumer of a gated asset calls `require_gates` first.
"""

from collections.abc import Iterable, Mapping

import dagster as dg

from distill_assets.errors import GateError, StorageError

DATA_VERSION_TAG = "dagster/data_version"
CODE_VERSION_TAG = "dagster/code_version"


def asset_key(recipe: str, name: str) -> dg.AssetKey:
    """The key of a recipe's asset: the recipe's name is the prefix."""
    return dg.AssetKey([recipe, name])


def latest_version(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """Data version of an asset's latest materialization, or None."""
    return read_version(read_latest(instance, [key]), key)


def read_latest(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> dict[dg.AssetKey, dg.EventLogRecord]:
    """The latest materialization of each asset that has one, read at once: asset by asset, planning took as long as the steps."""
    entries = (record.asset_entry for record in instance.get_asset_records(list(keys)))
    return {entry.asset_key: entry.last_materialization_record for entry in entries if entry.last_materialization_record}


def read_tags(latest: Mapping[dg.AssetKey, dg.EventLogRecord], key: dg.AssetKey) -> Mapping[str, str]:
    """Tags of an asset's latest materialization; empty without one."""
    materialization = latest[key].asset_materialization if key in latest else None
    return (materialization.tags or {}) if materialization else {}


def read_version(latest: Mapping[dg.AssetKey, dg.EventLogRecord], key: dg.AssetKey) -> str | None:
    """Data version of an asset's latest materialization, or None."""
    return read_tags(latest, key).get(DATA_VERSION_TAG)


def input_version(context: dg.AssetExecutionContext, key: dg.AssetKey) -> str:
    """Data version of an upstream asset as pinned when this step started.

    The step's provenance tags name that version, so reading the latest instead would make the tags
    lie when the upstream is materialized meanwhile (docs/adr/0004).

    Raises:
        StorageError: the upstream asset was never materialized.
    """
    step = context.get_step_execution_context()
    info = step.maybe_fetch_and_get_input_asset_version_info(key)
    version = info.data_version.value if info and info.data_version else latest_version(context.instance, key)
    if version is None:
        raise StorageError(f"{key.to_user_string()} was never materialized. Nothing was run. Materialize it first.")
    return version


def gate_problems(instance: dg.DagsterInstance, check_keys: list[dg.AssetCheckKey]) -> list[str]:
    """Say for each blocking check why it is not green for its asset's latest materialization."""
    problems = []
    latest, evaluations = read_latest(instance, {key.asset_key for key in check_keys}), _read_evaluations(instance, check_keys)
    for key in check_keys:
        if key.asset_key not in latest:
            continue
        evaluation = evaluations.get(key)
        name = f"{key.asset_key.to_user_string()}:{key.name}"
        if evaluation is None:
            problems.append(f"{name} was never evaluated")
        elif not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
            problems.append(f"{name} failed")
        elif _is_stale(latest[key.asset_key], evaluation):
            problems.append(f"{name} was evaluated for an older materialization")
    return problems


def find_unchecked(instance: dg.DagsterInstance, check_keys: list[dg.AssetCheckKey]) -> set[dg.AssetKey]:
    """Assets whose latest materialization one of the checks has not judged, such as after a run that was killed."""
    unchecked = set()
    latest, evaluations = read_latest(instance, {key.asset_key for key in check_keys}), _read_evaluations(instance, check_keys)
    for key in check_keys:
        evaluation = evaluations.get(key)
        if key.asset_key in latest and (evaluation is None or _is_stale(latest[key.asset_key], evaluation)):
            unchecked.add(key.asset_key)
    return unchecked


def _read_evaluations(
    instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey]
) -> dict[dg.AssetCheckKey, dg.AssetCheckEvaluation]:
    """Each check's latest evaluation; none where the latest run only planned one and died before."""
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    found = {key: record.evaluation for key, record in records.items()}
    return {key: evaluation for key, evaluation in found.items() if isinstance(evaluation, dg.AssetCheckEvaluation)}


def _is_stale(latest: dg.EventLogRecord, evaluation: dg.AssetCheckEvaluation) -> bool:
    target = evaluation.target_materialization_data
    return target is None or target.storage_id != latest.storage_id


def require_gates(context: dg.AssetExecutionContext, check_keys: list[dg.AssetCheckKey]) -> None:
    """Refuse to go on while an upstream blocking check is not green.

    Raises:
        GateError: as a Dagster failure that no retry policy repeats.
    """
    if problems := gate_problems(context.instance, check_keys):
        error = GateError(
            f"upstream blocking checks are not green: {'; '.join(problems)}. Nothing was read and nothing was written. "
            "Mend the data and materialize it again, or execute the checks again if only they are missing."
        )
        raise dg.Failure(str(error), metadata={"problems": dg.MetadataValue.json(problems)}, allow_retries=False)
