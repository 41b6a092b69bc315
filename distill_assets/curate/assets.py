"""Dagster assets of the curate stage: duplicates, contamination_hits, curation_marks, training_dataset, dropped_samples,
corpus_diversity."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from distill_assets import linking
from distill_assets.call_log import open_bench
from distill_assets.checks import blocking_keys
from distill_assets.config import Recipe, RecipeFolder, cache_folder
from distill_assets.curate.arbiter import arbiter_identity, ask_arbiter, choose_pairs
from distill_assets.curate.contamination import find_hits
from distill_assets.curate.curve import build_curve, draw_curve
from distill_assets.curate.dataset import render_dataset
from distill_assets.curate.decontaminate.items import gather_items, list_screened
from distill_assets.curate.diversity.collapse import find_drops
from distill_assets.curate.diversity.map import draw_maps, place_samples
from distill_assets.curate.diversity.table import build_diversity
from distill_assets.curate.diversity.trend import collect_trend, draw_trend
from distill_assets.curate.duplicates import mark_duplicates
from distill_assets.curate.marks import Findings, build_marks
from distill_assets.curate.paraphrases import Texts
from distill_assets.curate.samples import gather_samples, take_accepted
from distill_assets.curate.select import Selection, select_samples
from distill_assets.curate.selection.funnel import count_funnel, draw_funnel
from distill_assets.curate.sides import pair_band, pair_duplicates, pair_hits
from distill_assets.curate.tokens import count_tokens, find_tokenizer
from distill_assets.curate.vectors.store import Vectors, plan_reader, read_vectors
from distill_assets.curate.words import NORMALISER
from distill_assets.errors import DistillError
from distill_assets.gates import DATA_VERSION_TAG, asset_key, input_version, require_gates
from distill_assets.lineage.record import record_dataset, record_duplicates, record_hits
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
from distill_assets.recording import record_materialization
from distill_assets.resources import GpuResource
from distill_assets.storage import Workspace, find_instances, scan_table
from distill_assets.tables import (
    BENCHMARK_ITEMS,
    CONTAMINATION_HITS,
    CORPUS_DIVERSITY,
    CURATION_MARKS,
    DATABASES,
    DROPPED_SAMPLES,
    DUPLICATES,
    HOLDOUT,
    JUDGED_SAMPLES,
    REAL_SAMPLES,
    SEED_CORPUS,
    TRAINING_DATASET,
)

GROUP = "curate"
MARKING = ("duplicates", "contamination", "embedding")
# How much less varied than the build before a build may be before the UI says so.
NOTICED_DROP_FRAC = 0.3
MAX_BUILDS = 12


def build_curate_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """Assets that mark samples, part them into kept and dropped, and measure what is kept."""
    recipe = folder.recipe
    sources = ["judged_samples", *(["real_samples"] if recipe.curate.mix.real_samples else [])]
    return [*_build_findings(folder, sources), _build_marking(recipe, sources), *_build_selection(recipe, sources)]


def _build_findings(folder: RecipeFolder, sources: list[str]) -> list[dg.AssetsDefinition]:
    recipe, spec = folder.recipe, folder.recipe.curate
    protected = ["holdout", *(["benchmark_items"] if spec.contamination.benchmarks else [])]
    arbiter = spec.contamination.arbiter
    prompt = load_prompt(folder.path, spec.contamination.prompt) if arbiter else None
    embedding = spec.embedding.identity() if spec.embedding else None
    semantic = embedding if spec.duplicates.semantic_cosine is not None else None
    same = spec.duplicates.identity("engine", "review_jaccard")

    @dg.asset(
        **describe_table(
            recipe, DUPLICATES, group=GROUP, kinds={"polars"}, deps=sources, step="1",
            spec={"duplicates": same, "embedding": semantic, "normaliser": NORMALISER},
        ),
        pool="gpu" if semantic else None,
    )  # fmt: skip
    def duplicates(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace], gpu: dg.ResourceParam[GpuResource]
    ) -> dg.MaterializeResult:
        samples = take_accepted(_read_samples(context, workspace, recipe))
        embed = _open_embedding(context, workspace, recipe, gpu) if semantic else None
        marked = mark_duplicates(samples, spec.duplicates, workspace.folder("duplicates", recipe.name), embed)
        metadata = {
            "n_new": marked.n_new,
            "by_kind": count_values(marked.frame, "duplicate_kind"),
            "side_by_side": _show_rows(pair_duplicates(marked.frame, samples)),
            "just_below_the_threshold": _show_rows(pair_band(samples, marked.frame, spec.duplicates)),
        }
        result = publish_table(workspace, recipe, DUPLICATES, marked.frame, metadata)
        return record_materialization(context, workspace, result, lambda version: record_duplicates(marked.frame, version, same))

    @dg.asset(
        **describe_table(
            recipe, CONTAMINATION_HITS, group=GROUP, kinds={"polars"}, deps=[*sources, *protected], step="1",
            spec={
                "contamination": spec.contamination.identity("benchmarks", "arbiter", "prompt"), "embedding": embedding,
                "arbiter": arbiter_identity(arbiter, prompt) if arbiter and prompt else None, "normaliser": NORMALISER,
            },
        ),
        pool="gpu" if embedding else None,
    )  # fmt: skip
    def contamination_hits(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace], gpu: dg.ResourceParam[GpuResource]
    ) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["holdout"]))
        samples = take_accepted(_read_samples(context, workspace, recipe))
        benchmarks = read_input(context, workspace, recipe, BENCHMARK_ITEMS) if spec.contamination.benchmarks else None
        items = gather_items(read_input(context, workspace, recipe, HOLDOUT), benchmarks)
        embed = _open_embedding(context, workspace, recipe, gpu) if embedding else None
        asked: dict[str, Any] = {}
        judge = (lambda judged, texts: _ask(context, workspace, recipe, prompt, judged, texts, asked)) if prompt else None
        hits = find_hits(samples, items, spec.contamination, embed, judge)
        metadata = {
            "n_items": items.height,
            "n_samples_kept_out": hits.frame.filter(pl.col("action") == "drop")["sample_id"].n_unique(),
            "by_benchmark": count_values(hits.frame, "benchmark"),
            "by_rule": count_values(hits.frame, "rule"),
            "by_action": count_values(hits.frame, "action"),
            "side_by_side": _show_rows(pair_hits(hits.frame, samples, items)),
            **asked,
        }
        if embedding:
            contamination = spec.contamination
            curve = build_curve(hits.near, samples.height, contamination.review_cosine)
            metadata["operating_curve"] = _show_rows(curve, n=40)
            metadata |= show_pictures("plot", draw_curve(curve, contamination.cosine, contamination.review_cosine))
        result = publish_table(workspace, recipe, CONTAMINATION_HITS, hits.frame, metadata)
        screened = list_screened(input_version(context, asset_key(recipe.name, HOLDOUT.name)), items, benchmarks)
        rules = spec.contamination.identity("benchmarks", "arbiter", "prompt")
        return record_materialization(context, workspace, result, lambda version: record_hits(hits.frame, version, screened, rules))

    return [duplicates, contamination_hits]


def _build_marking(recipe: Recipe, sources: list[str]) -> dg.AssetsDefinition:
    spec = recipe.curate
    counting = {"max_tokens": spec.max_tokens is not None, "base_model": recipe.student.base_model if spec.max_tokens else None}

    @dg.asset(
        **describe_table(
            recipe, CURATION_MARKS, group=GROUP, kinds={"polars"}, deps=[*sources, "duplicates", "contamination_hits"], step="2",
            spec={"fields": [spec.duplicates.fields, spec.contamination.fields], **counting},
        )
    )  # fmt: skip
    def curation_marks(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        require_gates(context, blocking_keys(recipe, ["duplicates", "contamination_hits"]))
        samples = take_accepted(_read_samples(context, workspace, recipe))
        tokens = count_tokens(samples, find_tokenizer(recipe)) if spec.max_tokens is not None else None
        found = Findings(
            read_input(context, workspace, recipe, DUPLICATES), read_input(context, workspace, recipe, CONTAMINATION_HITS), tokens
        )
        marks = build_marks(samples, found, spec, read_previous(context, workspace, recipe, CURATION_MARKS))
        metadata = {
            "n_reused": marks.n_reused,
            "by_duplicate_kind": count_values(marks.frame, "duplicate_kind"),
            "by_difficulty": count_values(marks.frame, "difficulty"),
            "n_templates": marks.frame["template_id"].n_unique(),
            "n_topics": marks.frame["topic"].drop_nulls().n_unique(),
            "templates": _show_rows(_count_templates(marks.frame)),
        }
        return record_materialization(context, workspace, publish_table(workspace, recipe, CURATION_MARKS, marks.frame, metadata))

    return curation_marks


def _build_selection(recipe: Recipe, sources: list[str]) -> list[dg.AssetsDefinition]:
    selecting = {"curate": recipe.curate.identity(*MARKING, "collapse")}

    def select(context: dg.AssetExecutionContext, workspace: Workspace) -> Selection:
        require_gates(context, blocking_keys(recipe, ["curation_marks"]))
        samples = _read_samples(context, workspace, recipe)
        return select_samples(samples, read_input(context, workspace, recipe, CURATION_MARKS), recipe.curate)

    @dg.asset(
        **describe_table(
            recipe, TRAINING_DATASET, group=GROUP, kinds={"polars", "dataset"}, deps=[*sources, "curation_marks", "databases"],
            step="2", spec={**selecting, "linking": linking.VERSION},
        )
    )  # fmt: skip
    def training_dataset(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        selection = select(context, workspace)
        instances = find_instances(workspace, recipe.name, read_input(context, workspace, recipe, DATABASES))
        frame = render_dataset(selection.kept, {name: linking.build_index(files[0]) for name, files in instances.items()})
        shares = {f"by_{name}": count_values(frame, name) for name in ("split", "database", "teacher", "strategy", "difficulty")}
        cost = _describe_cost(read_input(context, workspace, recipe, JUDGED_SAMPLES), frame.height)
        shown = {"n_dropped": selection.dropped.height, **shares, **cost}
        result = publish_table(workspace, recipe, TRAINING_DATASET, frame, shown)
        return record_materialization(
            context, workspace, result, lambda version: record_dataset(frame, selection.dropped, version, {})
        )

    @dg.asset(
        **describe_table(
            recipe, DROPPED_SAMPLES, group=GROUP, kinds={"polars"}, deps=[*sources, "curation_marks"], step="2", spec=selecting
        )
    )
    def dropped_samples(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        selection = select(context, workspace)
        funnel = count_funnel(selection.kept, selection.dropped)
        metadata = {
            "n_kept": selection.kept.height,
            "by_reason": count_values(selection.dropped, "drop_reason"),
            "funnel": _show_rows(funnel, n=40),
            **show_pictures("plot", draw_funnel(funnel)),
        }
        return record_materialization(
            context, workspace, publish_table(workspace, recipe, DROPPED_SAMPLES, selection.dropped, metadata)
        )

    @dg.asset(
        **describe_table(
            recipe, CORPUS_DIVERSITY, group=GROUP, kinds={"polars"},
            deps=[*sources, "seed_corpus", "curation_marks", "training_dataset", "dropped_samples"], step="1",
            spec={"collapse": recipe.curate.collapse.identity()},
        )
    )  # fmt: skip
    def corpus_diversity(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult:
        samples = _read_samples(context, workspace, recipe)
        marks = read_input(context, workspace, recipe, CURATION_MARKS)
        dropped = read_input(context, workspace, recipe, DROPPED_SAMPLES)
        own = marks.select("sample_id", "template_id", "template", "topic", "difficulty")
        accepted = take_accepted(samples).join(own, on="sample_id")
        kept = accepted.join(dropped, on="sample_id", how="anti")
        seeds = read_input(context, workspace, recipe, SEED_CORPUS)["text"].to_list()
        frame = build_diversity(kept, accepted, seeds, recipe.curate.collapse)
        fates = samples.join(dropped.select("sample_id", pl.col("drop_reason").alias("fate")), on="sample_id", how="left")
        fates = fates.with_columns(pl.col("fate").fill_null("kept"))
        metadata = {
            **_describe_diversity(context, workspace, recipe, frame),
            **show_pictures("map", draw_maps(place_samples(samples), fates)),
        }
        return record_materialization(context, workspace, publish_table(workspace, recipe, CORPUS_DIVERSITY, frame, metadata))

    return [training_dataset, dropped_samples, corpus_diversity]


def _read_samples(context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe) -> pl.DataFrame:
    """Judged samples and those that people wrote, behind their gates."""
    require_gates(context, blocking_keys(recipe, ["judged_samples"]))
    real = read_input(context, workspace, recipe, REAL_SAMPLES) if recipe.curate.mix.real_samples else None
    return gather_samples(read_input(context, workspace, recipe, JUDGED_SAMPLES), real)


def _open_embedding(
    context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe, gpu: GpuResource
) -> Callable[[pl.Series], Vectors]:
    """What gives the vectors of texts, by the recipe's model; refused before anything is read when the model is missing."""
    if recipe.curate.embedding is None:
        raise AssertionError("a recipe without an embedding model asks for vectors")
    reader = plan_reader(recipe.curate.embedding, gpu.count_threads(recipe.student.threads), cache_folder())

    def embed(texts: pl.Series) -> Vectors:
        run_child = lambda module, spec_file: gpu.run_child(context, module, spec_file)  # noqa: E731
        vectors = read_vectors(workspace, recipe.name, reader, texts, run_child)
        context.log.info(f"{reader.model.name} read {vectors.n_read} of {texts.len()} texts; the others were known")
        return vectors

    return embed


def _ask(
    context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe, prompt: Prompt, judged: pl.DataFrame, texts: Texts,
    asked: dict[str, Any],
) -> pl.DataFrame:  # fmt: skip
    """Have the arbiter judge the pairs that closeness alone cannot; what it said goes into `asked` too."""
    arbiter = recipe.curate.contamination.arbiter
    if arbiter is None:
        raise AssertionError("a recipe without an arbiter asks it")
    pairs = choose_pairs(judged)
    with open_bench(context.log, workspace, recipe, "neighbours", pairs.height) as bench:
        verdicts = ask_arbiter(arbiter, pairs, texts, prompt, bench)
    counted = count_values(verdicts.frame, "verdict")
    asked |= {
        "arbiter_served": ", ".join(verdicts.served),
        "arbiter_verdicts": {name: counted.get(name, 0) + asked.get("arbiter_verdicts", {}).get(name, 0) for name in ("leak", "clean", "unscored")},
        "n_questions_sent": asked.get("n_questions_sent", 0) + verdicts.counts.sent,
        "cost_usd_this_run": round(asked.get("cost_usd_this_run", 0.0) + verdicts.counts.usd, 6),
    }  # fmt: skip
    return verdicts.frame


def _count_templates(marks: pl.DataFrame) -> pl.DataFrame:
    return marks.group_by("template").len("n").sort("n", "template", descending=[True, False]).head(12)


def _describe_diversity(
    context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe, frame: pl.DataFrame
) -> dict[str, Any]:
    """Figures of the whole as numbers that Dagster plots over time, what is wrong, and the trend over the builds before."""
    whole = frame.filter(pl.col("slice_by") == "whole").select("metric", "value")
    earlier = _read_builds(context, workspace, recipe)
    shown = {
        **{f"whole/{metric}": float(value) for metric, value in whole.iter_rows()},
        "problems": _show_rows(
            frame.filter(pl.col("problem").is_not_null()).select("slice_by", "slice_value", "metric", "problem"), n=60
        ),
        **show_pictures("trend", draw_trend(collect_trend([*earlier, ("this build", frame)]))),
    }
    if earlier:
        drops = find_drops(frame, earlier[-1][1], NOTICED_DROP_FRAC)
        shown["less_varied_than_before"] = _show_rows(drops.select("slice_by", "slice_value", "words"), n=60)
    return shown


def _read_builds(context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe) -> list[tuple[str, pl.DataFrame]]:
    """What earlier materializations stored, the oldest first; those whose table is gone are left out."""
    builds = []
    for record in context.instance.fetch_materializations(asset_key(recipe.name, CORPUS_DIVERSITY.name), limit=MAX_BUILDS).records:
        version = (record.asset_materialization.tags or {}).get(DATA_VERSION_TAG) if record.asset_materialization else None
        try:
            table = scan_table(workspace, recipe.name, CORPUS_DIVERSITY, str(version)).collect()
        except DistillError:
            continue
        if not builds or builds[-1][0] != str(version):
            builds.append((str(version), table))
    return builds[::-1]


def _describe_cost(judged: pl.DataFrame, n_kept: int) -> dict[str, float]:
    """What all generations cost, and that for each row that was kept; nothing where a price is not known."""
    if judged["cost_usd"].null_count():
        return {}
    cost = float(judged["cost_usd"].sum())
    return {"cost_usd": round(cost, 6), "cost_usd_per_kept_row": round(cost / max(1, n_kept), 9)}


def _show_rows(frame: pl.DataFrame, n: int = 24) -> dg.MetadataValue:
    return preview_rows(frame, n=n) if frame.height else dg.MetadataValue.text("none")
