"""Dagster assets of the evaluate stage: eval_results, eval_report."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from distill_assets import linking
from distill_assets.call_log import CallTeller
from distill_assets.checkpoints import report_checkpoint
from distill_assets.checks import blocking_keys
from distill_assets.clients.base_model import TINY_NAME, resolve_base_model
from distill_assets.clients.chat import ChatReply
from distill_assets.clients.desk import open_desks
from distill_assets.clients.endpoints import name_teacher, teacher_identity
from distill_assets.clients.engine import Counts, ask
from distill_assets.clients.journal import Cap, open_journal
from distill_assets.config import Recipe, RecipeFolder, cache_folder, read_secret
from distill_assets.drawing import as_markdown
from distill_assets.evaluate.answering import answer_items
from distill_assets.evaluate.facts import count_funnel, count_planted
from distill_assets.evaluate.figures import draw_figures
from distill_assets.evaluate.ledger_rows import list_evaluations
from distill_assets.evaluate.items import Model, build_items, name_answers
from distill_assets.evaluate.judges import list_judges, summarize_quality
from distill_assets.evaluate.report import EvalReport, build_report, headline_table
from distill_assets.evaluate.scoring import score_answers
from distill_assets.evaluate.teacher import SqlAnswer, key_items, plan_questions, read_replies
from distill_assets.gates import asset_key, input_version, require_gates
from distill_assets.identity import hash_text
from distill_assets.lineage.record import record_evaluations
from distill_assets.materialization import describe_asset, describe_table, publish_table, read_input
from distill_assets.prompts import Prompt, load_prompt
from distill_assets.recording import record
from distill_assets.resources import GpuResource, read_wall_clock_s
from distill_assets.storage import Workspace, find_instances, read_table, write_bytes, write_text
from distill_assets.tables import (
    DATABASES,
    DROPPED_SAMPLES,
    EVAL_RESULTS,
    HOLDOUT,
    JUDGE_CALIBRATION,
    JUDGED_SAMPLES,
    PLANTED_ERRORS,
    QUALITY_SCORES,
    RAW_GENERATIONS,
    TRAINING_DATASET,
)
from distill_assets.teachers import TeacherSpec
from distill_assets.verifiers.sql.execution import QueryLimits, SqlRunner

GROUP = "evaluate"
REPORT_MEANING = "How good the student is, beside its base model, and what its data was made of."


def build_evaluate_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """Assets that measure the student and tell how good it is."""
    recipe = folder.recipe
    spec = {**recipe.evaluate.identity(), "linking": linking.VERSION}
    if _is_teacher_asked(recipe):
        prompt = load_prompt(folder.path, recipe.evaluate.prompt)
        spec |= {"prompt": prompt.prompt_id, "teacher": teacher_identity(_find_asked_teacher(recipe))}

    @dg.asset(
        **describe_table(
            recipe, EVAL_RESULTS, group=GROUP, kinds={"pytorch", "duckdb", "polars"},
            deps=["student_checkpoint", "holdout", "training_dataset", "databases"], step="1", spec=spec,
        ),
        pool="gpu",
    )  # fmt: skip
    def eval_results(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace], gpu: dg.ResourceParam[GpuResource]
    ) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["holdout", "training_dataset"]))
        dataset = read_input(context, workspace, recipe, TRAINING_DATASET)
        databases = read_input(context, workspace, recipe, DATABASES)
        files = find_instances(workspace, recipe.name, databases)
        indexes = {name: linking.build_index(by_ix[0]) for name, by_ix in files.items()}
        items = build_items(read_input(context, workspace, recipe, HOLDOUT), dataset, indexes, recipe.evaluate)
        names = {name: [f"{name}#{ix}" for ix in by_ix] for name, by_ix in files.items()}
        opened = {f"{name}#{ix}": file for name, by_ix in files.items() for ix, file in by_ix.items()}
        frames, asked = [], {}
        limits, minimum = QueryLimits(timeout_s=recipe.judge.query_timeout_s), recipe.judge.sandbox.minimum
        with SqlRunner(opened, limits, minimum) as runner:
            for model, path in _list_models(context, workspace, folder):
                asked_of = items if model.role == "student" else items.filter(pl.col("source") == "human")
                keyed = name_answers(asked_of, model, recipe.evaluate)
                answers, asked[f"n_asked_{model.role}"] = answer_items(
                    workspace, recipe.name, model, path, keyed, recipe.evaluate,
                    lambda module, file: gpu.run_child(context, module, file), gpu.count_threads(recipe.student.threads),
                )  # fmt: skip
                frames.append(score_answers(keyed, answers, model, dataset, runner, names))
            if _is_teacher_asked(recipe):
                cards = dict(databases.select("database", "card").iter_rows())
                model, keyed, answers, counts = _ask_teacher(context, workspace, recipe, items, cards, prompt)
                asked |= {"n_asked_teacher": counts.sent, "cost_usd_this_run": round(counts.usd, 6)}
                frames.append(score_answers(keyed, answers, model, dataset, runner, names))
        frame = pl.concat(frames)
        checkpoint_id = input_version(context, asset_key(recipe.name, "student_checkpoint"))
        versions = {"human": input_version(context, asset_key(recipe.name, HOLDOUT.name)),
                    "synthetic": input_version(context, asset_key(recipe.name, TRAINING_DATASET.name))}  # fmt: skip
        evaluations = list_evaluations(frame, checkpoint_id, versions)
        result = publish_table(workspace, recipe, EVAL_RESULTS, frame, {**asked, **_accuracies(frame)})
        result = record(context, workspace, result, lambda _: record_evaluations(evaluations, checkpoint_id))
        report_checkpoint(context, workspace, recipe.name, checkpoint_id)
        return result

    @dg.asset(
        **describe_asset(
            recipe, "eval_report", REPORT_MEANING, group=GROUP, kinds={"report", "json"},
            deps=list_report_inputs(recipe), step="2", spec={"teacher": _name_teachers(recipe)},
        )
    )  # fmt: skip
    def eval_report(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["eval_results"]))
        results = read_input(context, workspace, recipe, EVAL_RESULTS)
        facts = _gather_facts(context, workspace, folder, results)
        report = build_report(results, facts)
        manifest = facts.pop("manifest")
        figures = draw_figures(report.data, manifest["training"]["history"])
        target = _write_report(workspace, recipe.name, facts["versions"]["student_checkpoint"], report, figures)
        return record(context, workspace, _publish_report(target, report, figures))

    return [eval_results, eval_report]


def list_report_inputs(recipe: Recipe) -> list[str]:
    """What the report reads."""
    inputs = [
        "eval_results", "student_checkpoint", "training_dataset", "dropped_samples", "judge_calibration", "judged_samples",
        "raw_generations",
    ]  # fmt: skip
    return [*inputs, QUALITY_SCORES.name] if recipe.judge.quality else inputs


def _list_models(context: dg.AssetExecutionContext, workspace: Workspace, folder: RecipeFolder) -> list[tuple[Model, Path]]:
    """The student and, unless it started from nothing, the base model, with their folders."""
    recipe = folder.recipe
    checkpoint_id = input_version(context, asset_key(recipe.name, "student_checkpoint"))
    student = Model("student", f"{recipe.name}@{checkpoint_id[:12]}", checkpoint_id)
    models = [(student, workspace.folder("checkpoints", recipe.name) / checkpoint_id)]
    base = resolve_base_model(recipe.student.base_model, cache_folder())
    if "base" in recipe.evaluate.models and base.name != TINY_NAME:  # a model from scratch has no base
        models.append((Model("base", f"{base.name}@{base.revision[:12]}", base.revision), base.path))
    return models


def _name_teachers(recipe: Recipe) -> str:
    return ", ".join(name_teacher(teacher) for teacher in recipe.list_teachers())


def _find_asked_teacher(recipe: Recipe) -> TeacherSpec | None:
    """The first teacher that can answer; a rule-based one cannot."""
    return next((teacher for teacher in recipe.list_teachers() if not teacher.is_embedded), None)


def _is_teacher_asked(recipe: Recipe) -> bool:
    return "teacher" in recipe.evaluate.models and _find_asked_teacher(recipe) is not None


def _ask_teacher(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    recipe: Recipe,
    items: pl.DataFrame,
    cards: dict[str, str],
    prompt: Prompt,
) -> tuple[Model, pl.DataFrame, pl.DataFrame, Counts]:
    """Ask a real teacher the human questions, greedily; return who, the items with keys, the answers, and how asking went."""
    human, teacher = items.filter(pl.col("source") == "human"), _find_asked_teacher(recipe)
    requests = plan_questions(human, cards, prompt, teacher.called)
    replies: dict[str, ChatReply] = {}
    teller = CallTeller(context.log, "teacher's answers", len(requests))
    cap = Cap(recipe.budget.usd, recipe.budget.tokens)
    # Online even where generations are batched: a report waits for these few.
    desks = open_desks([teacher.model_copy(update={"batch": False})], SqlAnswer, read_secret, temperature=0.0)
    with open_journal(workspace.folder("journal", recipe.name)) as journal:
        counts = ask(
            requests, desks, journal, cap, lambda request, reply: replies.update({request.subject: reply}), teller.tell,
            read_wall_clock_s,
        )  # fmt: skip
    served = sorted({reply.served_model for reply in replies.values() if reply.served_model})
    name = f"{name_teacher(teacher)} (served by {', '.join(served)})" if served else name_teacher(teacher)
    return Model("teacher", name, name), key_items(human, replies), read_replies(replies), counts


def _accuracies(frame: pl.DataFrame) -> dict[str, float]:
    groups = frame.group_by("model_role", "source").agg(pl.col("is_correct").mean().alias("accuracy")).sort("model_role", "source")
    return {f"accuracy_{role}_{source}": accuracy for role, source, accuracy in groups.iter_rows()}


def _gather_facts(
    context: dg.AssetExecutionContext, workspace: Workspace, folder: RecipeFolder, results: pl.DataFrame
) -> dict[str, Any]:
    recipe = folder.recipe
    dataset = read_input(context, workspace, recipe, TRAINING_DATASET)
    judged = read_input(context, workspace, recipe, JUDGED_SAMPLES)
    generations = read_input(context, workspace, recipe, RAW_GENERATIONS)
    dropped = read_input(context, workspace, recipe, DROPPED_SAMPLES)
    raw_version = input_version(context, asset_key(recipe.name, RAW_GENERATIONS.name))
    planted = read_table(workspace, recipe.name, PLANTED_ERRORS, raw_version)
    checkpoint_id = input_version(context, asset_key(recipe.name, "student_checkpoint"))
    manifest_file = workspace.folder("checkpoints", recipe.name) / checkpoint_id / "manifest.json"
    names = results.select("model_role", "model_name").unique().sort("model_role")
    return {
        "recipe": recipe.name,
        "models": dict(names.iter_rows()),
        "teacher": _name_teachers(recipe),
        "served_models": sorted(generations["served_model"].drop_nulls().unique()),
        "planted": count_planted(planted, judged, dataset),
        "quality": _summarize_quality(context, workspace, recipe),
        "judges": list_judges(read_input(context, workspace, recipe, JUDGE_CALIBRATION)),
        "figures": count_funnel(generations, judged, dropped, dataset),
        "versions": {
            name: input_version(context, asset_key(recipe.name, name)) for name in ("training_dataset", "student_checkpoint")
        },
        "manifest": json.loads(manifest_file.read_text(encoding="utf-8")),
    }


def _summarize_quality(context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe) -> dict[str, Any] | None:
    spec = recipe.judge.quality
    return summarize_quality(read_input(context, workspace, recipe, QUALITY_SCORES), spec.good_from) if spec else None


def _write_report(workspace: Workspace, recipe: str, checkpoint_id: str, report: EvalReport, figures: dict[str, bytes]) -> Path:
    """Write markdown, JSON, summary and pictures: into a folder named by their content, and beside the checkpoint."""
    data = json.dumps(report.data, indent=1, sort_keys=True, ensure_ascii=False)
    pictures = "\n\n".join(f"![{name}]({name}.png)" for name in figures)
    target = workspace.folder("reports", recipe) / hash_text(data)[:32]
    for folder in (target, workspace.folder("checkpoints", recipe) / f"{checkpoint_id}.report"):
        for name, png in figures.items():
            write_bytes(folder / f"{name}.png", png)
        write_text(folder / "report.json", data)
        write_text(folder / "summary.txt", report.summary)
        write_text(folder / "report.md", f"{report.markdown}\n## Pictures\n\n{pictures}\n")
    return target


def _publish_report(target: Path, report: EvalReport, figures: dict[str, bytes]) -> dg.MaterializeResult:
    headline = report.data["headline"]
    numbers = {name: float(value) for name, value in headline.items() if isinstance(value, int | float)}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(target.name),
        metadata={
            "accuracy": dg.MetadataValue.md(headline_table(report.data)),
            "report": dg.MetadataValue.md(f"{report.markdown}\n\n{as_markdown(figures)}"),
            "path": dg.MetadataValue.path(str(target / "report.md")),
            **numbers,
        },
    )
