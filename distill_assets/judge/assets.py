"""Dagster assets of the judge stage: verdicts, judged_samples."""

import dagster as dg

from distill_assets.checks import blocking_keys
from distill_assets.config import RecipeFolder
from distill_assets.gates import require_gates
from distill_assets.identity import make_id
from distill_assets.judge.settle import settle_samples
from distill_assets.judge.verdicts import HEURISTICS, SQL_EXECUTION, count_rejects, judge_generations
from distill_assets.materialization import count_values, describe_table, preview_rows, publish_table, read_input, read_previous
from distill_assets.storage import Workspace, find_instances
from distill_assets.tables import DATABASES, JUDGED_SAMPLES, RAW_GENERATIONS, VERDICTS
from distill_assets.verifiers.sql.execution import QueryLimits, SqlRunner
from distill_assets.verifiers.sql.verify import SqlVerifier

GROUP = "judge"


def build_judge_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """Assets that judge generations and settle the verdicts."""
    recipe = folder.recipe
    spec = {"judge": recipe.judge.identity(), "judges": [HEURISTICS, SQL_EXECUTION]}

    @dg.asset(
        **describe_table(
            recipe, VERDICTS, group=GROUP, kinds={"duckdb", "polars"}, deps=["raw_generations", "databases"], step="1", spec=spec
        )
    )
    def verdicts(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["raw_generations"]))
        generations = read_input(context, workspace, recipe, RAW_GENERATIONS)
        files = find_instances(workspace, recipe.name, read_input(context, workspace, recipe, DATABASES))
        named = {f"{name}#{i}": file for name, by_ix in files.items() for i, file in by_ix.items()}
        ids = {name: make_id(sorted(file.name for file in by_ix.values())) for name, by_ix in files.items()}
        with SqlRunner(named, QueryLimits(timeout_s=recipe.judge.query_timeout_s)) as runner:
            verifiers = {name: SqlVerifier(runner, [f"{name}#{i}" for i in by_ix]) for name, by_ix in files.items()}
            judged = judge_generations(
                generations, recipe.judge, verifiers, ids, read_previous(context, workspace, recipe, VERDICTS),
                lambda done, total: context.log.info(f"judged {done}/{total}"),
            )  # fmt: skip
        metadata = {
            "n_judged": judged.n_judged,
            "n_reused": generations.height - judged.n_judged,
            "by_criterion": preview_rows(count_rejects(judged.frame), n=50),
        }
        return publish_table(workspace, recipe, VERDICTS, judged.frame, metadata)

    @dg.asset(
        **describe_table(
            recipe, JUDGED_SAMPLES, group=GROUP, kinds={"polars"}, deps=["raw_generations", "verdicts"], step="1", spec={}
        )
    )
    def judged_samples(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["raw_generations"]))
        generations = read_input(context, workspace, recipe, RAW_GENERATIONS)
        frame = settle_samples(generations, read_input(context, workspace, recipe, VERDICTS))
        by_status = count_values(frame, "sample_status")
        return publish_table(
            workspace, recipe, JUDGED_SAMPLES, frame,
            {"by_status": by_status, "accepted_frac": by_status.get("accepted", 0) / max(1, frame.height)},
        )  # fmt: skip

    return [verdicts, judged_samples]
