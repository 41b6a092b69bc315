"""Dagster assets of the judge stage: verdicts, review_labels, judge_calibration, judged_samples."""

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl
from polars import selectors

from distill_assets.call_log import open_bench
from distill_assets.checks import blocking_keys
from distill_assets.clients.base_model import resolve_base_model
from distill_assets.clients.endpoints import name_teacher
from distill_assets.config import Recipe, RecipeFolder, cache_folder
from distill_assets.errors import DistillError
from distill_assets.families import Kinship
from distill_assets.gates import DATA_VERSION_TAG, asset_key, require_gates
from distill_assets.identity import make_id
from distill_assets.judge.calibration import calibrate, measure_drift
from distill_assets.judge.critics.asking import Asking, choose_samples
from distill_assets.judge.critics.rubric import Rubric, build_answer_model, load_rubric
from distill_assets.judge.critics.run import (
    CriticRun,
    check_families,
    compare_pairs,
    critic_identity,
    find_threshold,
    name_judge,
    run_critics,
)
from distill_assets.judge.figures import draw_calibration, draw_quality, draw_rejects, draw_scores
from distill_assets.judge.quality.measure import list_texts, measure_samples, plan_reading
from distill_assets.judge.quality.scores import FILTER, Scored, figures_as_data, label_quality, score_samples
from distill_assets.judge.settle import settle_samples
from distill_assets.judge.verdicts import (
    HEURISTICS,
    SQL_EXECUTION,
    STEPS,
    Judged,
    build_layers,
    count_rejects,
    find_failed,
    judge_generations,
)
from distill_assets.judging import QualitySpec
from distill_assets.lineage.record import record_judgments
from distill_assets.lineage.terms import describe_terms
from distill_assets.materialization import (
    count_values,
    describe_table,
    preview_rows,
    publish_table,
    read_input,
    read_previous,
    show_pictures,
)
from distill_assets.prompts import Prompt, load_prompt
from distill_assets.recording import find_withdrawals, record_materialization
from distill_assets.resources import GpuResource
from distill_assets.reviews.labels import read_labels
from distill_assets.reviews.measuring import ReviewFigures, measure_review, name_decided
from distill_assets.storage import Workspace, find_instances, scan_table
from distill_assets.tables import (
    DATABASES,
    JUDGE_CALIBRATION,
    JUDGED_SAMPLES,
    QUALITY_SCORES,
    RAW_GENERATIONS,
    REVIEW_LABELS,
    VERDICTS,
    build_frame,
)
from distill_assets.verifiers.sql.execution import QueryLimits, SqlRunner
from distill_assets.verifiers.sql.verify import SqlVerifier

GROUP = "judge"
MAX_EARLIER = 20


def build_judge_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """Assets that judge generations, measure the judges, and settle."""
    quality = [_build_quality(folder, folder.recipe.judge.quality)] if folder.recipe.judge.quality else []
    return [*_build_verdicts(folder), *quality, *_build_settling(folder)]


def _build_verdicts(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    recipe = folder.recipe
    rubric, prompt, pair_prompt = _load_critics(folder)

    @dg.asset(
        **describe_table(
            recipe, VERDICTS, group=GROUP, kinds={"duckdb", "polars"}, deps=["raw_generations", "databases", "withdrawal_file"], step="2",
            spec=_verdict_spec(recipe, rubric, prompt),
        ),
        pool="teacher" if rubric else None,
    )  # fmt: skip
    def verdicts(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["raw_generations"]))
        critics = [name_judge(critic, rubric) for critic in recipe.judge.critics.judges] if rubric else []
        find_withdrawals(workspace).check_judges([HEURISTICS, SQL_EXECUTION, STEPS, *critics])
        generations = read_input(context, workspace, recipe, RAW_GENERATIONS)
        databases = read_input(context, workspace, recipe, DATABASES)
        judged, sandbox = _run_layers(context, workspace, recipe, generations, databases)
        rows, shown = judged.rows, {"n_judged": max(judged.n_judged.values()), "n_judged_by": judged.n_judged, "sandbox": sandbox}
        if rubric and prompt:
            asking = Asking(prompt, rubric, dict(databases.select("database", "card").iter_rows()))
            run, kin = _run_critics(context, workspace, recipe, generations, judged, asking)
            rows = [*rows, *run.rows]
            shown |= _describe_critics(recipe, run, kin, rubric)
        frame = build_frame(VERDICTS, rows)
        return record_materialization(
            context, workspace, publish_table(workspace, recipe, VERDICTS, frame, {**shown, **_describe_verdicts(frame)})
        )

    @dg.asset(
        **describe_table(
            recipe, JUDGE_CALIBRATION, group=GROUP, kinds={"polars"},
            deps=["raw_generations", "databases", "verdicts", "review_labels"], step="1",
            spec={"pairs": recipe.judge.critics.n_pairs if rubric else 0, "pair_prompt": pair_prompt.prompt_id if pair_prompt else ""},
        ),
        pool="teacher" if pair_prompt else None,
    )  # fmt: skip
    def judge_calibration(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["raw_generations", "verdicts"]))
        generations = read_input(context, workspace, recipe, RAW_GENERATIONS)
        table = read_input(context, workspace, recipe, VERDICTS)
        labels = name_decided(generations, read_input(context, workspace, recipe, REVIEW_LABELS), recipe.judge.review.min_reviewers)
        replies = {}
        if rubric and pair_prompt:
            databases = read_input(context, workspace, recipe, DATABASES)
            asking = Asking(pair_prompt, rubric, dict(databases.select("database", "card").iter_rows()))
            with open_bench(context.log, workspace, recipe, "comparisons", 2 * recipe.judge.critics.n_pairs) as bench:
                replies = compare_pairs(recipe.judge.critics, generations, table, asking, bench)
        judges = {critic.called: name_judge(critic, rubric) for critic in recipe.judge.critics.judges} if rubric else {}
        frame = calibrate(table, labels, replies, judges)
        shown = {
            "calibration": preview_rows(frame.with_columns(selectors.float().round(4)), n=100),
            "drift": _show_rows(measure_drift(table, _find_earlier_judges(context, workspace, recipe, table))),
        }
        pictures = draw_calibration(table, labels)
        shown |= show_pictures("plot", pictures)
        return record_materialization(context, workspace, publish_table(workspace, recipe, JUDGE_CALIBRATION, frame, shown))

    return [verdicts, judge_calibration]


def _build_quality(folder: RecipeFolder, spec: QualitySpec) -> dg.AssetsDefinition:
    recipe = folder.recipe

    @dg.asset(
        **describe_table(
            recipe, QUALITY_SCORES, group=GROUP, kinds={"pytorch", "scikitlearn"}, deps=["raw_generations", "verdicts", "review_labels"],
            step="1", spec={**spec.identity(), "base_model": recipe.student.base_model, "filter": FILTER},
        ),
        pool="gpu",
    )  # fmt: skip
    def quality_scores(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace], gpu: dg.ResourceParam[GpuResource]
    ) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["raw_generations", "verdicts"]))
        generations = read_input(context, workspace, recipe, RAW_GENERATIONS)
        people = name_decided(generations, read_input(context, workspace, recipe, REVIEW_LABELS), recipe.judge.review.min_reviewers)
        labels = label_quality(read_input(context, workspace, recipe, VERDICTS), people)
        base = resolve_base_model(recipe.student.base_model, cache_folder())
        models = plan_reading(spec, base, gpu.count_threads(recipe.student.threads), cache_folder())
        answered = list_texts(generations.filter(pl.col("generation_status") == "ok"))
        measured = measure_samples(
            workspace, recipe.name, models, answered, lambda module, file: gpu.run_child(context, module, file)
        )  # fmt: skip
        scored = score_samples(measured.frame, labels, spec, models)
        if scored.problem:
            context.log.warning(scored.problem)
        shown = {"n_read": measured.n_read, "n_labels": len(labels), "problem": scored.problem or "none"}
        shown |= _describe_quality(scored)
        return record_materialization(context, workspace, publish_table(workspace, recipe, QUALITY_SCORES, scored.frame, shown))

    return quality_scores


def _build_settling(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    recipe = folder.recipe
    quality = [QUALITY_SCORES.name] if recipe.judge.quality else []

    @dg.asset(**describe_table(recipe, REVIEW_LABELS, group=GROUP, kinds={"file"}, deps=["label_file"], step="1", spec={}))
    def review_labels(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        found = read_labels(workspace, recipe.name)
        for problem in found.problems:
            context.log.warning(problem)
        by_reviewer = count_values(found.frame, "reviewer")
        shown = {"by_reviewer": by_reviewer, "n_damaged_lines": len(found.problems)}
        return record_materialization(context, workspace, publish_table(workspace, recipe, REVIEW_LABELS, found.frame, shown))

    @dg.asset(
        **describe_table(
            recipe, JUDGED_SAMPLES, group=GROUP, kinds={"polars"},
            deps=["raw_generations", "verdicts", "review_labels", "judge_calibration", *quality], step="2",
            spec={"min_reviewers": recipe.judge.review.min_reviewers, "quality": bool(quality)},
        )
    )  # fmt: skip
    def judged_samples(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["raw_generations", "verdicts", "judge_calibration"]))
        generations = read_input(context, workspace, recipe, RAW_GENERATIONS)
        labels = read_input(context, workspace, recipe, REVIEW_LABELS)
        table = read_input(context, workspace, recipe, VERDICTS)
        scores = read_input(context, workspace, recipe, QUALITY_SCORES) if quality else None
        decided = name_decided(generations, labels, recipe.judge.review.min_reviewers)
        frame = settle_samples(generations, table, decided, scores)
        shown = _describe_samples(frame, measure_review(labels, frame))
        result = publish_table(workspace, recipe, JUDGED_SAMPLES, frame, shown)
        rubric = _load_critics(folder)[0]
        terms = describe_terms((name_judge(critic, rubric), critic) for critic in recipe.judge.critics.judges if rubric)
        return record_materialization(context, workspace, result, lambda _: record_judgments(frame, table, terms, scores))

    return [review_labels, judged_samples]


def _load_critics(folder: RecipeFolder) -> tuple[Rubric | None, Prompt | None, Prompt | None]:
    """The rubric and the prompts that critics are asked with; nothing without critics."""
    spec = folder.recipe.judge.critics
    if not spec.judges:
        return None, None, None
    pair_prompt = load_prompt(folder.path, spec.pair_prompt) if spec.n_pairs else None
    return load_rubric(folder.path, spec.rubric), load_prompt(folder.path, spec.prompt), pair_prompt


def _verdict_spec(recipe: Recipe, rubric: Rubric | None, prompt: Prompt | None) -> dict[str, object]:
    spec: dict[str, object] = {
        "judge": recipe.judge.identity("critics", "quality", "review", "sandbox"),
        "judges": [HEURISTICS, SQL_EXECUTION, STEPS],
    }
    if rubric and prompt:
        spec["critics"] = critic_identity(recipe.judge.critics, rubric, prompt.prompt_id)
    return spec


def _run_layers(
    context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe, generations: pl.DataFrame, databases: pl.DataFrame
) -> tuple[Judged, dict[str, object]]:
    """Rules and execution; and what the queries ran in."""
    files = find_instances(workspace, recipe.name, databases)
    named = {f"{name}#{i}": file for name, by_ix in files.items() for i, file in by_ix.items()}
    ids = {name: make_id(sorted(file.name for file in by_ix.values())) for name, by_ix in files.items()}
    previous = read_previous(context, workspace, recipe, VERDICTS)
    with SqlRunner(named, QueryLimits(timeout_s=recipe.judge.query_timeout_s), recipe.judge.sandbox.minimum) as runner:
        verifiers = {name: SqlVerifier(runner, [f"{name}#{i}" for i in by_ix]) for name, by_ix in files.items()}
        layers = build_layers(recipe.judge, verifiers, ids, runner)
        tell = lambda done, total: context.log.info(f"judged {done}/{total}")  # noqa: E731
        return judge_generations(generations, layers, previous, tell), runner.describe()


def _run_critics(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    recipe: Recipe,
    generations: pl.DataFrame,
    judged: Judged,
    asking: Asking,
) -> tuple[CriticRun, list[Kinship]]:
    spec = recipe.judge.critics
    taught = _list_served(generations)
    check_families(spec, recipe.list_teachers(), recipe.student.base_model, {}, taught)  # before anything is paid for
    samples = choose_samples(generations, find_failed(judged.rows), spec.ask_failed_frac)
    n_expected = (len(samples) + spec.n_canaries) * len(spec.judges)
    with open_bench(context.log, workspace, recipe, "judgements", n_expected) as bench:
        run = run_critics(spec, samples, generations, asking, build_answer_model(asking.rubric), bench)
    kin = check_families(spec, recipe.list_teachers(), recipe.student.base_model, run.served, taught)
    for found in kin:
        context.log.warning(found.words)
    return run, kin


def _list_served(generations: pl.DataFrame) -> dict[str, list[str]]:
    """Teacher -> the models that answered for it."""
    pairs = generations.select("teacher", "served_model").drop_nulls().unique().sort("teacher", "served_model")
    return {str(teacher): group["served_model"].to_list() for (teacher,), group in pairs.group_by("teacher")}


def _find_earlier_judges(
    context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe, now: pl.DataFrame
) -> pl.DataFrame:
    """The critics' rows of the latest earlier verdicts that others, or another rubric, gave; without any, none."""
    by_critic = pl.col("layer") == "critic"
    nobody = build_frame(VERDICTS, [])
    critics = set(now.filter(by_critic)["judge"])
    if not critics:
        return nobody
    key = asset_key(recipe.name, VERDICTS.name)
    for record in context.instance.fetch_materializations(key, limit=MAX_EARLIER).records:
        version = (record.asset_materialization.tags or {}).get(DATA_VERSION_TAG) if record.asset_materialization else None
        try:
            before = scan_table(workspace, recipe.name, VERDICTS, str(version)).filter(by_critic).collect()
        except DistillError:
            continue
        if not before.is_empty() and set(before["judge"]) != critics:
            return before
    return nobody


def _describe_verdicts(frame: pl.DataFrame) -> dict[str, object]:
    """Rejections by criterion: as a table, as a picture, and each rule's share as a number that Dagster plots over time."""
    rejects = count_rejects(frame)
    rules = rejects.filter(pl.col("layer") == "heuristic").select("criterion", "failed_frac").sort("criterion")
    return {
        "by_criterion": preview_rows(rejects, n=100),
        **{f"failed_frac/{criterion}": float(share) for criterion, share in rules.iter_rows()},
        **show_pictures("rejections", draw_rejects(rejects)),
    }


def _describe_critics(recipe: Recipe, run: CriticRun, kin: Sequence[Kinship], rubric: Rubric) -> dict[str, object]:
    return {
        "rubric": rubric.rubric_id,
        "threshold": find_threshold(recipe.judge.critics, rubric),
        "n_samples_asked_about": run.n_samples,
        "n_judgements_reused": run.counts.reused,
        "n_judgements_sent": run.counts.sent,
        "cost_usd_this_run": round(run.counts.usd, 6),
        "critics": ", ".join(name_teacher(critic) for critic in recipe.judge.critics.judges),
        "critics_served": dg.MetadataValue.json(run.served),
        "same_family": dg.MetadataValue.json([found.words for found in kin]),
    }


def _describe_quality(scored: Scored) -> dict[str, object]:
    """The filter's figures on labels that it was not taught with, and histograms of what it says."""
    pictures = draw_quality(scored.frame)
    if scored.figures is None:
        return show_pictures("histograms", pictures)
    figures = figures_as_data(scored.figures)
    calibration = figures.pop("calibration")
    return {
        **{
            f"heldout_{name}" if name in ("auc", "precision", "recall") else name: value
            for name, value in figures.items()
            if value is not None
        },
        "calibration": _show_rows(calibration),
        **show_pictures("histograms", pictures),
    }


def _describe_samples(frame: pl.DataFrame, review: ReviewFigures) -> dict[str, object]:
    by_status = count_values(frame, "sample_status")
    reasons = frame.filter(pl.col("sample_status") != "accepted").select(
        pl.col("sample_status"), pl.col("reason").str.split(":").list.first().alias("criterion")
    )
    counted = reasons.group_by("sample_status", "criterion").len("n").sort("n", "criterion", descending=[True, False])
    return {
        "by_status": by_status,
        "accepted_frac": by_status.get("accepted", 0) / max(1, frame.height),
        "n_shortcuts": int(frame["is_shortcut"].sum()),
        "n_labelled": frame["label"].count(),
        "n_overruled": frame.filter(pl.col("sample_status") != pl.col("judged_status")).height,
        "by_reason": preview_rows(counted, n=60),
        "review": _show_rows([stratum._asdict() for stratum in review.strata]),
        **show_pictures("scores", draw_scores(frame)),
    }


def _show_rows(rows: Sequence[Mapping[str, object]]) -> dg.MetadataValue:
    if not rows:
        return dg.MetadataValue.text("none")
    return preview_rows(pl.DataFrame(rows, infer_schema_length=None).with_columns(selectors.float().round(4)), n=100)
