"""Dagster asset of the generate stage: raw_generations."""

import os

import dagster as dg
import polars as pl

from distill_assets.checks import blocking_keys
from distill_assets.clients.journal import open_journal
from distill_assets.clients.openai_chat import name_provider, name_teacher, plan_endpoint, teacher_identity
from distill_assets.config import RecipeFolder, read_secret
from distill_assets.gates import require_gates
from distill_assets.generate.sampling import (
    REQUEST_FORMAT,
    build_generations,
    build_planted_errors,
    generate_rows,
    plan_requests,
)
from distill_assets.materialization import UNANSWERED, count_values, describe_table, publish_table, read_input
from distill_assets.prompts import load_prompt
from distill_assets.storage import Workspace, write_side_table
from distill_assets.tables import DATABASES, PLANTED_ERRORS, RAW_GENERATIONS, SEED_CORPUS


def build_generate_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """The asset that asks the teacher."""
    recipe, path = folder
    prompt = load_prompt(path, recipe.generate.prompt)
    provider, teacher = name_provider(recipe.teacher), name_teacher(recipe.teacher)
    spec = {
        "teacher": teacher_identity(recipe.teacher, provider),
        "generate": recipe.generate.identity(),
        "prompt": prompt.prompt_id,
        "format": REQUEST_FORMAT,
    }

    @dg.asset(
        **describe_table(
            recipe, RAW_GENERATIONS, group="generate", kinds={"openai", "polars"}, deps=["seed_corpus", "databases"],
            step="1", spec=spec,
        ),
        pool="teacher",
    )  # fmt: skip
    def raw_generations(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["seed_corpus"]))
        seeds = read_input(context, workspace, recipe, SEED_CORPUS)
        cards = dict(read_input(context, workspace, recipe, DATABASES).select("database", "card").iter_rows())
        planned = plan_requests(seeds, cards, prompt, recipe.teacher, recipe.generate, provider)
        with open_journal(workspace.folder("journal", recipe.name), f"run {context.run_id} (pid {os.getpid()})") as journal:
            endpoint = plan_endpoint(recipe.teacher, read_secret)
            replies, counts = generate_rows(planned, journal, endpoint, _report_progress(context))
        frame = build_generations(planned, replies, prompt.prompt_id, teacher, provider)
        planted = build_planted_errors(replies.values())
        result = publish_table(workspace, recipe, RAW_GENERATIONS, frame, _describe(frame, counts, teacher))
        write_side_table(workspace, recipe.name, PLANTED_ERRORS, planted, str(result.data_version.value))
        return result

    return [raw_generations]


def _report_progress(context: dg.AssetExecutionContext):
    def report(done: int, total: int, failed: int) -> None:
        context.log.info(f"generations {done}/{total}, {failed} failed")

    return report


def _describe(frame: pl.DataFrame, counts, teacher: str) -> dict[str, object]:
    return {
        "teacher": teacher,
        "n_requests_planned": counts.planned,
        "n_requests_reused": counts.reused,
        "n_requests_sent": counts.sent,
        UNANSWERED: int((frame["generation_status"] == "error").sum()),
        "prompt_tokens": int(frame["prompt_tokens"].sum()),
        "completion_tokens": int(frame["completion_tokens"].sum()),
        "by_status": count_values(frame, "generation_status"),
        "by_served_model": count_values(frame, "served_model"),
    }
