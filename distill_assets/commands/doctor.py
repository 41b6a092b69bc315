"""`distill doctor`: what is wrong with the environment, and the runs whose process is gone.

Belongs here: looking, and marking lost runs as failed. Does not belong here: mending data.

A run that is killed with its process stays STARTED for ever, because Dagster's default launcher has no
health check. Each in-process run carries its process as a tag: host, pid and the process's start time,
so that a reused pid is not mistaken for it. Runs started from the UI carry Dagster's own pid.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from distill_assets.clients.base_model import resolve_base_model
from distill_assets.commands.liveness import HOST_TAG, is_running
from distill_assets.config import RecipeFolder, cache_folder, count_cores, home_folder, read_secret
from distill_assets.errors import BaseModelError

LIBRARIES = (
    "dagster",
    "dagster-duckdb",
    "duckdb",
    "polars",
    "openai",
    "instructor",
    "great-expectations",
    "torch",
    "transformers",
    "trl",
)
MIN_FREE_BYTES = 2 << 30
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class Diagnosis(NamedTuple):
    """One line of the doctor: what was looked at, whether it is well, and what to know or do."""

    subject: str
    is_well: bool
    words: str


def find_lost_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Runs that have not ended although their process is gone."""
    return [run for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)) if _is_lost(instance, run)]


def _is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    name = run.tags.get(HOST_TAG) or _find_process(instance, run)
    return name is not None and not is_running(name)


def _find_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """The process that Dagster's engine event names, for runs that a webserver launched."""
    for record in instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT, limit=20).records:
        event = record.event_log_entry.dagster_event
        pid = (event.engine_event_data.metadata or {}).get("pid") if event and event.engine_event_data else None
        if pid is not None:
            return f"{platform.node()}:{pid.value}"
    return None


def reap_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark lost runs as failed, free the pool slots that no run will free any more, and return the lost runs' ids."""
    lost = find_lost_runs(instance)
    for run in lost:
        instance.report_run_failed(run, "The run's process is gone (distill doctor --reap).")
    _free_slots(instance)
    return [run.run_id for run in lost]


def _free_slots(instance: dg.DagsterInstance) -> None:
    """Free the slots of runs that have ended or are unknown: one that is killed just after its end leaves them, too."""
    storage = instance.event_log_storage
    for pool in storage.get_concurrency_keys():
        info = storage.get_concurrency_info(pool)
        for run_id in {*info.active_run_ids, *info.pending_run_ids}:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


def examine(instance: dg.DagsterInstance, folders: list[RecipeFolder]) -> list[Diagnosis]:
    """Look at interpreter, libraries, disk, base models, keys, locks and runs."""
    python = f"Python {platform.python_version()}"
    found = [Diagnosis("python", (3, 11) <= sys.version_info[:2] <= (3, 13), f"{python}; 3.11 to 3.13 is needed")]
    found += [_examine_library(name) for name in LIBRARIES]
    home = home_folder()
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    found.append(Diagnosis("disk", free > MIN_FREE_BYTES, f"{free / 2**30:.1f} GiB free at {home}; 2 GiB are wanted"))
    found.append(Diagnosis("processor", True, f"{count_cores()} cores{_describe_gpu()}"))
    for folder in folders:
        found += _examine_recipe(folder)
    lost = find_lost_runs(instance)
    words = ", ".join(run.run_id[:8] for run in lost) + ": run distill doctor --reap" if lost else "none is lost"
    return [*found, Diagnosis("runs", not lost, words)]


def _examine_library(name: str) -> Diagnosis:
    try:
        return Diagnosis(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Diagnosis(name, False, "is not installed: run make distill, or pip install -c constraints.txt -e .")


def _describe_gpu() -> str:
    return (
        ", an NVIDIA driver is there"
        if Path("/proc/driver/nvidia/version").exists()
        else ", no NVIDIA driver: training runs on the CPU"
    )


def _examine_recipe(folder: RecipeFolder) -> list[Diagnosis]:
    recipe = folder.recipe
    found = []
    try:
        model = resolve_base_model(recipe.student.base_model, cache_folder())
        found.append(Diagnosis(f"{recipe.name}: base model", True, f"{model.name} at {model.path}"))
    except BaseModelError as error:
        found.append(Diagnosis(f"{recipe.name}: base model", False, str(error)))
    asked = (*recipe.list_teachers(), *recipe.judge.critics.judges)
    for variable in sorted({spec.api_key_env for spec in asked if not spec.is_embedded}):
        is_set = bool(read_secret(variable))
        found.append(Diagnosis(f"{recipe.name}: key", is_set, f"{variable} is {'set' if is_set else 'empty'}"))
    return found
