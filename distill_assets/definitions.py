"""The code location: the same graph for every recipe.

Belongs here: putting the stages together. Does not belong here: anything that a stage could do itself.
Adding a recipe writes no Python; adding a stage adds one line to `build_recipe_assets`.
"""

from collections.abc import Sequence

import dagster as dg

from distill_assets.automation import build_file_specs, build_sensors, rebuild_condition
from distill_assets.checkpoints import build_audit_job, build_checkpoint_checks, build_checkpoint_spec
from distill_assets.checks import build_checks
from distill_assets.config import RecipeFolder, find_recipe_folders, home_folder, load_recipe
from distill_assets.curate.assets import build_curate_assets
from distill_assets.errors import RecipeError
from distill_assets.evaluate.assets import build_evaluate_assets
from distill_assets.generate.assets import build_generate_assets
from distill_assets.judge.assets import build_judge_assets
from distill_assets.resources import GpuResource, SnapshotDuckDB
from distill_assets.run_log import step_logger
from distill_assets.seed.assets import build_seed_assets
from distill_assets.storage import Workspace
from distill_assets.tables import TABLES
from distill_assets.train.assets import build_train_assets

STAGES = (
    build_seed_assets, build_generate_assets, build_judge_assets, build_curate_assets, build_train_assets,
    build_evaluate_assets,
)  # fmt: skip


def build_recipe_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """All assets of one recipe, in the order of the stages, each with the rebuild condition."""
    assets = [asset for build in STAGES for asset in build(folder)]
    condition = rebuild_condition(folder.recipe)
    return [asset.map_asset_specs(lambda spec: spec.replace_attributes(automation_condition=condition)) for asset in assets]


def _describe_checkpoints(folder: RecipeFolder) -> dg.AssetSpec:
    return build_checkpoint_spec(folder.recipe.name, folder.recipe.owners)


def build_definitions(folders: Sequence[RecipeFolder], **overrides: object) -> dg.Definitions:
    """The definitions of `folders`; `overrides` replace resources by name.

    Raises:
        RecipeError: two recipes have the same name.
    """
    names = [folder.recipe.name for folder in folders]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RecipeError(f"two recipes are called '{sorted(twice)[0]}'. Rename one; the name is the prefix of its assets.")
    resources = {"workspace": Workspace(home_folder()), "duckdb": SnapshotDuckDB(), "gpu": GpuResource(), **overrides}
    return dg.Definitions(
        assets=[item for folder in folders for item in (*build_recipe_assets(folder), *build_file_specs(folder), _describe_checkpoints(folder))],
        asset_checks=[
            check
            for folder in folders
            for check in (*build_checks(folder.recipe, TABLES.values()), build_checkpoint_checks(folder.recipe.name))
        ],
        sensors=[sensor for folder in folders for sensor in build_sensors(folder)],
        jobs=[
            dg.define_asset_job(
                f"distill_{folder.recipe.name}",
                selection=dg.AssetSelection.key_prefixes([folder.recipe.name]),
                description=f"The whole graph of {folder.recipe.name}, from seed corpus to eval report.",
            )
            for folder in folders
        ]
        + [build_audit_job(folder.recipe.name) for folder in folders],
        resources=resources,
        executor=dg.in_process_executor,
        loggers={"console": step_logger},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads: the built-in recipe and the user's own."""
    return build_definitions([load_recipe(path) for path in find_recipe_folders()])
