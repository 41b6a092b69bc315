"""Dagster assets of the curate stage: curation_marks, training_dataset, dropped_samples."""

import dagster as dg
import polars as pl

from distill_assets import linking
from distill_assets.checks import blocking_keys
from distill_assets.config import RecipeFolder
from distill_assets.curate.dataset import render_dataset
from distill_assets.curate.marks import build_marks
from distill_assets.curate.select import Selection, select_samples
from distill_assets.gates import require_gates
from distill_assets.materialization import count_values, describe_table, publish_table, read_input, read_previous
from distill_assets.storage import Workspace, find_instances
from distill_assets.tables import CURATION_MARKS, DATABASES, DROPPED_SAMPLES, HOLDOUT, JUDGED_SAMPLES, TRAINING_DATASET

GROUP = "curate"


def build_curate_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """Assets that mark samples and part them into kept and dropped."""
    recipe = folder.recipe
    marking = recipe.curate.identity("mix", "best_of", "max_samples", "max_tokens", "prefer", "order", "heldout_frac", "seed")
    selecting = {"curate": recipe.curate.identity("duplicates", "contamination", "embedding")}
    rendering = {**selecting, "linking": linking.VERSION}

    @dg.asset(
        **describe_table(
            recipe, CURATION_MARKS, group=GROUP, kinds={"polars"}, deps=["judged_samples", "holdout"], step="1", spec=marking
        )
    )
    def curation_marks(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["judged_samples", "holdout"]))
        judged = read_input(context, workspace, recipe, JUDGED_SAMPLES)
        holdout = read_input(context, workspace, recipe, HOLDOUT)
        previous = read_previous(context, workspace, recipe, CURATION_MARKS)
        frame, n_reused = build_marks(judged, holdout, recipe.curate, previous)
        metadata = {
            "n_reused": n_reused,
            "by_duplicate_kind": count_values(frame, "duplicate_kind"),
            "n_contaminated": frame["contaminated_by"].count(),
        }
        return publish_table(workspace, recipe, CURATION_MARKS, frame, metadata)

    def select(context: dg.AssetExecutionContext, workspace: Workspace) -> Selection:
        require_gates(context, blocking_keys(recipe, ["judged_samples", "holdout"]))
        judged = read_input(context, workspace, recipe, JUDGED_SAMPLES)
        return select_samples(judged, read_input(context, workspace, recipe, CURATION_MARKS), recipe.curate)

    @dg.asset(
        **describe_table(
            recipe, TRAINING_DATASET, group=GROUP, kinds={"polars", "dataset"},
            deps=["judged_samples", "curation_marks", "databases"], step="1", spec=rendering,
        )
    )  # fmt: skip
    def training_dataset(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        selection = select(context, workspace)
        instances = find_instances(workspace, recipe.name, read_input(context, workspace, recipe, DATABASES))
        frame = render_dataset(selection.kept, {name: linking.build_index(files[0]) for name, files in instances.items()})
        metadata = {
            "n_dropped": selection.dropped.height,
            "by_split": count_values(frame, "split"),
            "by_database": count_values(frame, "database"),
            **_describe_cost(read_input(context, workspace, recipe, JUDGED_SAMPLES), frame.height),
        }
        return publish_table(workspace, recipe, TRAINING_DATASET, frame, metadata)

    @dg.asset(
        **describe_table(
            recipe,
            DROPPED_SAMPLES,
            group=GROUP,
            kinds={"polars"},
            deps=["judged_samples", "curation_marks"],
            step="1",
            spec=selecting,
        )
    )
    def dropped_samples(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        selection = select(context, workspace)
        metadata = {"n_kept": selection.kept.height, "by_reason": count_values(selection.dropped, "drop_reason")}
        return publish_table(workspace, recipe, DROPPED_SAMPLES, selection.dropped, metadata)

    return [curation_marks, training_dataset, dropped_samples]


def _describe_cost(judged: pl.DataFrame, n_kept: int) -> dict[str, float]:
    """What all generations cost, and that for each row that was kept; nothing where a price is not known."""
    if judged["cost_usd"].null_count():
        return {}
    cost = float(judged["cost_usd"].sum())
    return {"cost_usd": round(cost, 6), "cost_usd_per_kept_row": round(cost / max(1, n_kept), 9)}
