"""Dagster assets of the seed stage: databases, seed_corpus, holdout, benchmark_items, real_samples."""

import dagster as dg

from distill_assets.config import RecipeFolder
from distill_assets.lineage.record import record_real_samples, record_seeds
from distill_assets.materialization import count_values, describe_table, preview_rows, publish_table, read_input
from distill_assets.recording import find_withdrawals, leave_out, record
from distill_assets.seed.benchmarks import load_benchmarks
from distill_assets.seed.corpus import load_seed_corpus
from distill_assets.seed.databases import prepare_databases
from distill_assets.seed.holdout import load_holdout
from distill_assets.seed.real_samples import load_real_samples
from distill_assets.storage import Workspace, find_instances
from distill_assets.tables import BENCHMARK_ITEMS, DATABASES, HOLDOUT, REAL_SAMPLES, SEED_CORPUS
from distill_assets.verifiers.sql.check_items import check_gold

GROUP = "seed"


def build_seed_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """Assets that turn a recipe's files into tables."""
    recipe, path = folder
    names = sorted(recipe.databases)

    @dg.asset(
        **describe_table(
            recipe, DATABASES, group=GROUP, kinds={"duckdb", "python"}, deps=["database_files"],
            step="1", spec={"databases": recipe.databases, "instances": recipe.instances},
        )
    )  # fmt: skip
    def databases(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        frame = prepare_databases(workspace, recipe.name, path, recipe.databases, recipe.instances)
        shown = {"n_databases": len(names), "n_rows": int(frame["n_rows"].sum())}
        return record(context, workspace, publish_table(workspace, recipe, DATABASES, frame, shown))

    @dg.asset(
        **describe_table(
            recipe, SEED_CORPUS, group=GROUP, kinds={"polars", "file"}, deps=["seed_files", "withdrawal_file"],
            step="1", spec={"seeds": recipe.seeds, "licence": recipe.seed_licence, "databases": names},
        )
    )  # fmt: skip
    def seed_corpus(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        read = load_seed_corpus(path, recipe.seeds, names, recipe.seed_licence)
        frame = leave_out(context, read, find_withdrawals(workspace).mark_seeds(read), SEED_CORPUS)
        shown = {"by_kind": count_values(frame, "kind"), "n_withdrawn": read.height - frame.height}
        result = publish_table(workspace, recipe, SEED_CORPUS, frame, shown)
        return record(context, workspace, result, lambda _: record_seeds(frame, recipe.name))

    @dg.asset(
        **describe_table(
            recipe, HOLDOUT, group=GROUP, kinds={"polars", "duckdb"}, deps=["holdout_file", "databases"],
            step="1", spec={"holdout": recipe.holdout},
        )
    )  # fmt: skip
    def holdout(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        instances = find_instances(workspace, recipe.name, read_input(context, workspace, recipe, DATABASES))
        files = {name: list(by_ix.values()) for name, by_ix in instances.items()}
        frame = load_holdout(path / recipe.holdout, names, lambda items: check_gold(items, files), recipe.instances)
        return record(context, workspace, publish_table(workspace, recipe, HOLDOUT, frame, {"by_database": count_values(frame, "database")}))

    return [databases, seed_corpus, holdout, *_build_optional(folder)]


def _build_optional(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """What only some recipes name: benchmarks to keep out, and samples that people wrote."""
    recipe, path = folder
    benchmarks, mix = recipe.curate.contamination.benchmarks, recipe.curate.mix

    @dg.asset(
        **describe_table(
            recipe, BENCHMARK_ITEMS, group=GROUP, kinds={"polars", "file"}, deps=["benchmark_files"], step="1",
            spec={name: spec.identity() for name, spec in benchmarks.items()},
        )
    )  # fmt: skip
    def benchmark_items(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        frame = load_benchmarks(path, benchmarks)
        versions = frame.select("benchmark", "version", "digest").unique().sort("benchmark")
        shown = {"by_benchmark": count_values(frame, "benchmark"), "versions": preview_rows(versions, n=100)}
        return record(context, workspace, publish_table(workspace, recipe, BENCHMARK_ITEMS, frame, shown))

    @dg.asset(
        **describe_table(
            recipe, REAL_SAMPLES, group=GROUP, kinds={"polars", "duckdb"}, deps=["real_files", "databases", "withdrawal_file"], step="1",
            spec={"files": mix.real_samples, "licence": recipe.seed_licence},
        )
    )  # fmt: skip
    def real_samples(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        instances = find_instances(workspace, recipe.name, read_input(context, workspace, recipe, DATABASES))
        files = {name: list(by_ix.values()) for name, by_ix in instances.items()}
        check = lambda items: check_gold(items, files)  # noqa: E731
        read = load_real_samples(path, mix.real_samples, sorted(recipe.databases), recipe.seed_licence, check)
        frame = leave_out(context, read, find_withdrawals(workspace).mark_seeds(read, "sample_id"), REAL_SAMPLES)
        result = publish_table(workspace, recipe, REAL_SAMPLES, frame, {"by_database": count_values(frame, "database")})
        return record(context, workspace, result, lambda _: record_real_samples(frame, recipe.name))

    return [*([benchmark_items] if benchmarks else []), *([real_samples] if mix.real_samples else [])]
