"""`distill run`: bring a recipe's graph up to date in this process.

Belongs here: which assets to run in which wave, and telling how it went. Does not belong here: the
assets themselves.

A wave is what is out of date and has no out-of-date parent, plus everything below it that was never
materialized. After a wave, staleness is asked anew, so equal content stops the rebuild, and a run
with nothing to do sends nothing. A first run is one wave: one run in the Dagster UI. Generations that
wait for a batch are left out with all that is below them, until a batch has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import dagster as dg

from distill_assets.automation import find_causes, find_open_batches, report_files
from distill_assets.checks import blocking_keys
from distill_assets.clients.batches import describe_waiting
from distill_assets.commands.doctor import reap_runs
from distill_assets.commands.instance import holder_name
from distill_assets.commands.liveness import HOST_TAG, process_name
from distill_assets.config import RecipeFolder, home_folder
from distill_assets.definitions import build_definitions
from distill_assets.errors import DistillError
from distill_assets.gates import asset_key, find_unchecked, gate_problems, read_latest
from distill_assets.materialization import UNANSWERED
from distill_assets.storage import hold_lock
from distill_assets.tables import RAW_GENERATIONS, TABLES


class RunReport(NamedTuple):
    """What `distill run` did: waves of asset names, the errors of failed steps, and what it waits for, in words."""

    waves: list[list[str]]
    errors: list[str]
    waiting: str | None = None


def run_recipe(
    folder: RecipeFolder,
    instance: dg.DagsterInstance,
    select: list[str],
    say: Callable[[str], None],
    wait: Callable[[], None] | None = None,
) -> RunReport:
    """Materialize what is out of date, wave by wave, under the recipe's lock.

    Args:
        select: asset names to bring up to date with their ancestors; empty means all.
        wait: returns when one of the recipe's batches has ended; without it, a run that needs one ends.

    Raises:
        LockedError: another run of this recipe is going on in this workspace.
    """
    name = folder.recipe.name
    with hold_lock(home_folder() / "locks" / f"{name}.lock", holder_name(f"distill run {name}")):
        for reaped in reap_runs(instance):
            say(f"run {reaped[:8]} had lost its process; it is marked as failed")
        defs = build_definitions([folder])
        job = defs.resolve_implicit_global_asset_job_def()
        graph = job.asset_layer.asset_graph
        wanted = _find_wanted(graph, name, select)
        report = _bring_up_to_date(job, instance, folder, wanted)
        while wait is not None and report.waiting and not report.errors:
            say(report.waiting)
            wait()
            more = _bring_up_to_date(job, instance, folder, wanted)
            report = RunReport([*report.waves, *more.waves], more.errors, more.waiting)
        return report


def _bring_up_to_date(job, instance: dg.DagsterInstance, folder: RecipeFolder, wanted: set[dg.AssetKey]) -> RunReport:
    """Wave after wave, until all of `wanted` is fresh or waits for a batch."""
    name, graph, waves, waiting = folder.recipe.name, job.asset_layer.asset_graph, [], None
    while True:
        report_files(folder, instance)
        if errors := _check_unchecked(job, instance, folder, wanted, graph):
            return RunReport(waves, errors, waiting)
        again = wanted & find_unanswered(instance, name) if not waves else set()
        wave = plan_wave(instance, graph, wanted, again)
        if not wave:
            return RunReport(waves, _unchecked(instance, folder, wanted), waiting)
        if waves and [key.path[-1] for key in wave] in waves:
            raise DistillError(f"{', '.join(waves[-1])} stays out of date after a rebuild. Nothing more was run.")
        waves.append([key.path[-1] for key in wave])
        errors, has_waited = _run_wave(job, instance, wave, graph)
        if errors:
            return RunReport(waves, errors, waiting)
        if has_waited:
            generations = asset_key(name, RAW_GENERATIONS.name)
            wanted = {key for key in wanted if key != generations and generations not in graph.get_ancestor_asset_keys(key)}
            waiting = describe_waiting(find_open_batches(folder.recipe))


def _find_wanted(graph, recipe: str, select: list[str]) -> set[dg.AssetKey]:
    keys = set(graph.materializable_asset_keys)
    if not select:
        return keys
    wanted: set[dg.AssetKey] = set()
    for name in select:
        key = asset_key(recipe, name)
        if key not in keys:
            known = ", ".join(sorted(k.path[-1] for k in keys))
            raise DistillError(f"recipe '{recipe}' has no asset '{name}'. Nothing was run. Known: {known}")
        wanted |= {key} | {k for k in graph.get_ancestor_asset_keys(key) if k in keys}
    return wanted


def find_unanswered(instance: dg.DagsterInstance, recipe: str) -> set[dg.AssetKey]:
    """raw_generations when some of its calls failed: the next run asks for those again, once."""
    key = asset_key(recipe, RAW_GENERATIONS.name)
    event = instance.get_latest_materialization_event(key)
    count = event.asset_materialization.metadata.get(UNANSWERED) if event and event.asset_materialization else None
    return {key} if count is not None and count.value else set()


def plan_wave(
    instance: dg.DagsterInstance, graph, wanted: set[dg.AssetKey], again: set[dg.AssetKey] = frozenset()
) -> list[dg.AssetKey]:
    """The next assets to run, parents before children; empty when all of `wanted` is fresh.

    Args:
        again: assets to run although they are fresh.
    """
    latest = read_latest(instance, graph.get_all_asset_keys())
    stale = again | {key for key in wanted if find_causes(latest, graph, key)}
    missing = stale - latest.keys()
    # What stands between two stale assets is fresh only until the upper one is rebuilt.
    above = {key: graph.get_ancestor_asset_keys(key) for key in graph.toposorted_asset_keys}
    unsettled = stale | {key for key in wanted if above[key] & stale}
    wave: list[dg.AssetKey] = []
    for key in graph.toposorted_asset_keys:
        if key in stale and (not above[key] & stale or (key in missing and (above[key] & unsettled) <= set(wave))):
            wave.append(key)
    return wave


def _check_unchecked(job, instance: dg.DagsterInstance, folder: RecipeFolder, wanted: set[dg.AssetKey], graph) -> list[str]:
    """Judge what a killed run materialized and did not live to check; nothing below could read it."""
    latest = read_latest(instance, graph.get_all_asset_keys())
    fresh = {key for key in wanted if not find_causes(latest, graph, key)}
    unchecked = find_unchecked(instance, _blocking_keys(folder, fresh))
    return _run_wave(job, instance, [], graph, unchecked)[0] if unchecked else []


def _blocking_keys(folder: RecipeFolder, keys: set[dg.AssetKey]) -> list[dg.AssetCheckKey]:
    return blocking_keys(folder.recipe, sorted(key.path[-1] for key in keys if key.path[-1] in TABLES))


def _run_wave(
    job, instance: dg.DagsterInstance, wave: list[dg.AssetKey], graph, checked: set[dg.AssetKey] | None = None
) -> tuple[list[str], bool]:
    """Run the assets and their checks, and only the checks of what is in `checked`.

    Returns:
        The errors, and whether generations were only observed: they wait for a batch.
    """
    checks = {key for key in graph.asset_check_keys if key.asset_key in {*wave, *(checked or ())}}
    subset = job.get_subset(asset_selection=set(wave), asset_check_selection=checks)
    result = subset.execute_in_process(
        run_config={"loggers": {"console": {}}},  # run_log's; without this Dagster prints every engine event
        instance=instance,
        raise_on_error=False,
        tags={HOST_TAG: process_name()},
    )
    if result.success:
        return [], any(event.event_type_value == "ASSET_OBSERVATION" for event in result.all_events)
    return [_show_failure(event) for event in result.all_events if event.is_step_failure] or ["the run failed"], False


def _show_failure(event) -> str:
    error = event.step_failure_data.error
    # Past Dagster's own wrapping, but not into our error's cause: ours says what to do.
    while error.cause is not None and error.cls_name.startswith("Dagster"):
        error = error.cause
    failure = event.step_failure_data.user_failure_data
    text = failure.description if failure and failure.description else error.message.strip()
    text = text.removeprefix(f"{DistillError.__module__}.")
    return f"{event.step_key.split('__')[-1]}: {text}"


def _unchecked(instance: dg.DagsterInstance, folder: RecipeFolder, wanted: set[dg.AssetKey]) -> list[str]:
    """Blocking checks that are not green although everything is fresh, such as after a failed gate."""
    return gate_problems(instance, _blocking_keys(folder, wanted))
