"""Dagster asset of the train stage: student_checkpoint."""

import os
from typing import Any

import dagster as dg

from distill_assets.checkpoints import describe_lineage, report_checkpoint
from distill_assets.checks import blocking_keys
from distill_assets.clients.base_model import resolve_base_model
from distill_assets.config import RecipeFolder, cache_folder
from distill_assets.gates import asset_key, input_version, require_gates
from distill_assets.lineage.record import record_checkpoint
from distill_assets.materialization import describe_asset, read_input
from distill_assets.recording import find_root, open_ledger, record
from distill_assets.resources import GpuResource
from distill_assets.storage import Workspace, hold_lock
from distill_assets.tables import TRAINING_DATASET
from distill_assets.train.exposure import read_exposure
from distill_assets.train.lineage import describe_training
from distill_assets.train.plan import STEP_VERSION, is_curriculum, name_checkpoint, plan_training, read_checkpoint, write_plan
from distill_assets.train.report import describe_checkpoint

MEANING = "The student: weights, tokenizer and manifest; the same inputs are never trained twice."


def build_train_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """The asset that trains the student."""
    recipe = folder.recipe
    # Samples of one difficulty have the same positions in every order, so that the dataset alone does not tell a curriculum.
    curriculum = {"in_order": True} if is_curriculum(recipe) else {}
    spec = {"base_model": recipe.student.base_model, "train": recipe.student.train.identity(), **curriculum}

    @dg.asset(
        **describe_asset(
            recipe, "student_checkpoint", MEANING, group="train", kinds={"pytorch", "huggingface"},
            deps=["training_dataset", "corpus_diversity"], step=STEP_VERSION, spec=spec,
        ),
        pool="gpu",
    )  # fmt: skip
    def student_checkpoint(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace], gpu: dg.ResourceParam[GpuResource]
    ) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["training_dataset", "corpus_diversity"]))
        dataset = read_input(context, workspace, recipe, TRAINING_DATASET)
        base = resolve_base_model(recipe.student.base_model, cache_folder())
        checkpoint_id = name_checkpoint(dataset, base.revision, recipe.student.train, is_curriculum(recipe))
        target = workspace.folder("checkpoints", recipe.name) / checkpoint_id
        manifest = read_checkpoint(target)
        reused = manifest is not None
        if manifest is None:
            version = input_version(context, asset_key(recipe.name, TRAINING_DATASET.name))
            plan = plan_training(workspace, recipe, dataset, base, checkpoint_id, gpu.count_threads(recipe.student.threads))
            with hold_lock(plan.work_dir.with_suffix(".lock"), f"run {context.run_id} (pid {os.getpid()})"):
                spec_file = write_plan(plan, dataset, {"dataset_version": version, "recipe": recipe.name})
                gpu.run_child(context, "distill_assets.train.child", spec_file)
            manifest = read_checkpoint(target, must_exist=True)
        version = input_version(context, asset_key(recipe.name, TRAINING_DATASET.name))
        exposure = read_exposure(target)
        facts = describe_training(recipe, base, manifest, exposure)
        facts["merkle_root"] = find_root(open_ledger(workspace), version)
        recording = record_checkpoint(exposure, checkpoint_id, version, facts)
        result = record(context, workspace, _publish(checkpoint_id, describe_checkpoint(target, manifest, reused)), lambda _: recording)
        lineage = report_checkpoint(context, workspace, recipe.name, checkpoint_id)
        return result._replace(metadata={**result.metadata, **describe_lineage(lineage, target)})

    return [student_checkpoint]


def _publish(checkpoint_id: str, facts: dict[str, Any]) -> dg.MaterializeResult:
    metadata = {
        "summary": dg.MetadataValue.md(facts["summary"]),
        "path": dg.MetadataValue.path(facts["path"]),
        **facts["numbers"],
        "manifest": dg.MetadataValue.json(facts["manifest"]),
    }
    return dg.MaterializeResult(data_version=dg.DataVersion(checkpoint_id), metadata=metadata)
