"""What a step may read: pinned versions, behind blocking checks that are green.

Belongs here: the version of an input that this step started from, and the refusal to read an asset
whose blocking checks failed, never ran, or speak of an older materialization. Does not belong here:
the checks themselves (checks).

Dagster stops the children of a failed blocking check in the same run only; a run launched later on a
child alone would read bad data. Every consumer of a gated asset calls `require_gates` first.
"""

import dagster as dg

from distill_assets.errors import GateError, StorageError

DATA_VERSION_TAG = "dagster/data_version"
CODE_VERSION_TAG = "dagster/code_version"


def asset_key(recipe: str, name: str) -> dg.AssetKey:
    """The key of a recipe's asset: the recipe's name is the prefix."""
    return dg.AssetKey([recipe, name])


def latest_version(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """Data version of an asset's latest materialization, or None."""
    event = instance.get_latest_materialization_event(key)
    materialization = event.asset_materialization if event else None
    return (materialization.tags or {}).get(DATA_VERSION_TAG) if materialization else None


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
    for key in check_keys:
        last = instance.get_latest_materialization_event(key.asset_key)
        if last is None:
            continue
        evaluation = _read_evaluation(instance, key)
        name = f"{key.asset_key.to_user_string()}:{key.name}"
        if evaluation is None:
            problems.append(f"{name} was never evaluated")
        elif not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
            problems.append(f"{name} failed")
        elif _is_stale(instance, key.asset_key, evaluation):
            problems.append(f"{name} was evaluated for an older materialization")
    return problems


def find_unchecked(instance: dg.DagsterInstance, check_keys: list[dg.AssetCheckKey]) -> set[dg.AssetKey]:
    """Assets whose latest materialization one of the checks has not judged, such as after a run that was killed."""
    unchecked = set()
    for key in check_keys:
        evaluation = _read_evaluation(instance, key)
        is_there = instance.get_latest_materialization_event(key.asset_key) is not None
        if is_there and (evaluation is None or _is_stale(instance, key.asset_key, evaluation)):
            unchecked.add(key.asset_key)
    return unchecked


def _read_evaluation(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """The check's latest evaluation; None too when the latest run only planned one and died before."""
    record = instance.get_latest_asset_check_evaluation_record(key)
    found = record.evaluation if record else None
    return found if isinstance(found, dg.AssetCheckEvaluation) else None


def _is_stale(instance: dg.DagsterInstance, key: dg.AssetKey, evaluation: dg.AssetCheckEvaluation) -> bool:
    records = instance.fetch_materializations(key, limit=1).records
    target = evaluation.target_materialization_data
    return not records or target is None or target.storage_id != records[0].storage_id


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
