"""When to rebuild: watching a recipe's files and batches, and the level-triggered rebuild condition.

Belongs here: what is out of date and why, external file assets, sensors. Does not belong here: how to
rebuild (definitions, cli).

An asset is out of date when its code version, or the data version of a direct input, differs from
what its latest materialization recorded. That is not transitive: a rebuild with equal content leaves
everything below it fresh. The condition looks at this state and not at events, so nothing is lost
while the sensor is off; a failed asset is tried again only after its inputs or code changed. While a
batch has calls of a recipe's, its generations stay out of date and no run would change that: then the
condition leaves them alone, and the batch sensor starts a run when one has ended.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from distill_assets.clients.batch_files import FOLDER, Batch, are_held, find_open
from distill_assets.clients.batches import describe_waiting, poll_batches
from distill_assets.config import Recipe, RecipeFolder, home_folder, read_secret
from distill_assets.errors import DistillError
from distill_assets.gates import CODE_VERSION_TAG, DATA_VERSION_TAG, asset_key, read_latest, read_tags, read_version
from distill_assets.identity import hash_file, make_id
from distill_assets.lineage.withdrawals import FILE as WITHDRAWALS
from distill_assets.lineage.withdrawals import LEDGER_FOLDER, write_watched
from distill_assets.reviews.labels import labels_file
from distill_assets.storage import Workspace
from distill_assets.tables import RAW_GENERATIONS

INPUT_VERSION_TAG = "dagster/input_data_version/"
SENSOR_INTERVAL_S = 10
BATCH_INTERVAL_S = 60


class WatchedFiles(NamedTuple):
    """An external asset: its name, what its files are, and their paths."""

    name: str
    meaning: str
    paths: tuple[Path, ...]


def list_watched(folder: RecipeFolder) -> list[WatchedFiles]:
    """The files of a recipe that a person edits, by the asset that reads them."""
    recipe, path = folder
    seeds = sorted({file for pattern in recipe.seeds for file in _match_files(path, pattern)})
    databases = tuple(path / source for source in recipe.databases.values())
    home = Workspace(home_folder())
    named = [spec.file for spec in recipe.curate.contamination.benchmarks.values() if spec.file]
    benchmarks = [file for name in named for file in _match_files(path, name) or [path / name]]
    real = sorted({file for pattern in recipe.curate.mix.real_samples for file in _match_files(path, pattern)})
    optional = [
        WatchedFiles("benchmark_files", "Files of benchmarks that must not leak into training.", tuple(benchmarks)),
        WatchedFiles("real_files", "Files of samples that people wrote.", tuple(real)),
    ]
    wanted = (bool(recipe.curate.contamination.benchmarks), bool(recipe.curate.mix.real_samples))
    return [
        WatchedFiles("seed_files", "Seed files of the recipe, as a person edits them.", tuple(seeds)),
        WatchedFiles("holdout_file", "The file of real questions with gold SQL.", (path / recipe.holdout,)),
        WatchedFiles("database_files", "The databases' scripts or files.", databases),
        WatchedFiles("withdrawal_file", "What was withdrawn, as the ledger tells it.", (home.root / LEDGER_FOLDER / WITHDRAWALS,)),
        WatchedFiles("label_file", "What people said of samples, as distill review keeps it.", (labels_file(home, recipe.name),)),
        *(watched for watched, is_wanted in zip(optional, wanted, strict=True) if is_wanted),
    ]


def _match_files(folder: Path, pattern: str) -> list[Path]:
    """The files that a recipe's pattern matches; none for a pattern that cannot be, which reading it will refuse in clear words."""
    try:
        return sorted(file for file in folder.glob(pattern) if file.is_file())
    except (NotImplementedError, ValueError):
        return []


def hash_watched(watched: WatchedFiles) -> str:
    """Content version of the files; a missing one counts as missing."""
    return make_id([[file.name, hash_file(file) if file.is_file() else None] for file in watched.paths])


def build_file_specs(folder: RecipeFolder) -> list[dg.AssetSpec]:
    """External assets for a recipe's files."""
    return [
        dg.AssetSpec(
            asset_key(folder.recipe.name, watched.name),
            description=watched.meaning,
            group_name="files",
            kinds={"file"},
            owners=list(folder.recipe.owners),
        )
        for watched in list_watched(folder)
    ]


def observe_files(folder: RecipeFolder, instance: dg.DagsterInstance) -> list[dg.AssetMaterialization]:
    """Runless materializations for the watched files whose content differs from what was last reported."""
    events = []
    write_watched(Workspace(home_folder()).root / LEDGER_FOLDER)
    files = {asset_key(folder.recipe.name, watched.name): watched for watched in list_watched(folder)}
    latest = read_latest(instance, files)
    for key, watched in files.items():
        version = hash_watched(watched)
        if read_version(latest, key) != version:
            metadata = {"n_files": len(watched.paths), "files": dg.MetadataValue.json([file.name for file in watched.paths])}
            events.append(dg.AssetMaterialization(key, metadata=metadata, tags={DATA_VERSION_TAG: version}))
    return events


def report_files(folder: RecipeFolder, instance: dg.DagsterInstance) -> None:
    """Record the present content of the watched files."""
    for event in observe_files(folder, instance):
        instance.report_runless_asset_event(event)


def find_causes(latest: Mapping[dg.AssetKey, dg.EventLogRecord], graph, key: dg.AssetKey) -> list[str]:
    """Why the asset is out of date; empty when it is fresh.

    Args:
        latest: what `read_latest` gives of `key` and its direct parents. graph: a Dagster asset graph that holds them.
    """
    if key not in latest:
        return ["never materialized"]
    node, tags = graph.get(key), read_tags(latest, key)
    causes = ["code"] if node.code_version != tags.get(CODE_VERSION_TAG) else []
    for parent in sorted(node.parent_keys):
        if read_version(latest, parent) != tags.get(INPUT_VERSION_TAG + parent.to_user_string()):
            causes.append(parent.to_user_string())
    return causes


def waits_for_ancestor(latest: Mapping[dg.AssetKey, dg.EventLogRecord], graph, key: dg.AssetKey) -> bool:
    """True while something above the asset is out of date.

    The report reads early tables directly; without this it would be rebuilt once when they change, and
    again when the student between them has followed.
    """
    ancestors = (ancestor for ancestor in graph.get_ancestor_asset_keys(key) if graph.get(ancestor).is_materializable)
    return any(find_causes(latest, graph, ancestor) for ancestor in ancestors)


class OutOfDate(dg.AutomationCondition):
    """True while `find_causes` finds one and nothing above is out of date."""

    @property
    def name(self) -> str:
        """The condition's label in the UI."""
        return "out_of_date"

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        """Select the asset when it is out of date."""
        graph, key = context.asset_graph, context.key
        latest = read_latest(context.asset_graph_view.instance, {key, *graph.get_ancestor_asset_keys(key)})
        is_hit = bool(find_causes(latest, graph, key)) and not waits_for_ancestor(latest, graph, key)
        return dg.AutomationResult(context, context.candidate_subset if is_hit else context.get_empty_subset())


class WaitsForBatch(dg.AutomationCondition):
    """True for a recipe's generations while a batch has some of their calls."""

    def __init__(self, key: dg.AssetKey, is_waiting: Callable[[], bool]) -> None:
        self._key, self._is_waiting = key, is_waiting

    @property
    def name(self) -> str:
        """The condition's label in the UI."""
        return "waits_for_batch"

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        """Select the asset while it waits."""
        is_hit = context.key == self._key and self._is_waiting()
        return dg.AutomationResult(context, context.candidate_subset if is_hit else context.get_empty_subset())


def rebuild_condition(recipe: Recipe) -> dg.AutomationCondition:
    """Rebuild when out of date, one attempt per change (docs/adr/0004), and not while a batch has the answer."""
    c = dg.AutomationCondition
    retry = (c.any_deps_updated() | c.code_version_changed()).since_last_handled()
    return (
        OutOfDate()
        & ~WaitsForBatch(asset_key(recipe.name, RAW_GENERATIONS.name), lambda: bool(find_open_batches(recipe)))
        & ~c.any_deps_missing()
        & ~c.any_deps_in_progress()
        & ~c.in_progress()
        & c.all_deps_blocking_checks_passed()
        & (~c.execution_failed() | retry)
    ).with_label("rebuild_when_out_of_date")


def batch_folder(recipe: Recipe) -> Path:
    """Where what is known of a recipe's batches lies."""
    return Workspace(home_folder()).folder("journal", recipe.name) / FOLDER


def find_open_batches(recipe: Recipe) -> list[Batch]:
    """The batches that a recipe waits for."""
    return find_open(batch_folder(recipe), recipe.list_teachers())


def has_batches(recipe: Recipe) -> bool:
    """Whether a recipe asks in batches, or waits for some that it asked for before."""
    try:
        return any(teacher.batch for teacher in recipe.list_teachers()) or bool(find_open_batches(recipe))
    except DistillError:  # of a damaged file; the graph loads all the same, and a run says what is wrong
        return True


def build_batch_sensor(recipe: Recipe) -> dg.SensorDefinition:
    """A sensor that asks after the open batches, and starts one run when one has ended."""
    selection = dg.AssetSelection.assets(asset_key(recipe.name, RAW_GENERATIONS.name)).downstream().materializable()

    @dg.sensor(
        name=f"{recipe.name}_batch_sensor",
        target=selection,
        minimum_interval_seconds=BATCH_INTERVAL_S,
        description="Asks after the recipe's open batches; when one has ended, starts one run that collects it.",
    )
    def watch_batches(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            waiting = find_open_batches(recipe)
            if not waiting:
                return dg.SkipReason("no batch is open")
            if are_held(batch_folder(recipe)):
                return dg.SkipReason("a run is at work on the batches")
            polled = poll_batches(batch_folder(recipe), recipe.list_teachers(), read_secret)
        except DistillError as error:
            return dg.SkipReason(f"the batches cannot be asked after: {error}")
        moved = sorted(f"{batch.id}:{batch.state}" for batch, can_go_on in polled if can_go_on)
        return dg.RunRequest(run_key=make_id(moved)) if moved else dg.SkipReason(describe_waiting(waiting))

    return watch_batches


def build_sensors(folder: RecipeFolder) -> list[dg.SensorDefinition]:
    """A sensor that watches the recipe's files, one that rebuilds what is out of date, and one for batches if there are any."""
    name = folder.recipe.name

    @dg.sensor(
        name=f"{name}_files_sensor",
        minimum_interval_seconds=SENSOR_INTERVAL_S,
        description="Records a new version of the recipe's files when their content changes.",
    )
    def watch_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        events = observe_files(folder, context.instance)
        return dg.SensorResult(asset_events=events) if events else dg.SkipReason("no file changed")

    with warnings.catch_warnings():
        # A condition of our own needs the code server's evaluation, which Dagster 1.13 calls beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        rebuild = dg.AutomationConditionSensorDefinition(
            f"{name}_rebuild_sensor",
            target=dg.AssetSelection.key_prefixes([name]),
            use_user_code_server=True,
            minimum_interval_seconds=SENSOR_INTERVAL_S,
            description="Rebuilds what is out of date, layer by layer. Off until switched on: training costs time.",
        )
    return [watch_files, rebuild, *([build_batch_sensor(folder.recipe)] if has_batches(folder.recipe) else [])]
