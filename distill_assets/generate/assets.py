"""Dagster asset of the generate stage: raw_generations."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from distill_assets.call_log import CallTeller
from distill_assets.checks import blocking_keys
from distill_assets.clients.batches import Batches, describe_waiting
from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import Desk, open_desks
from distill_assets.clients.endpoints import name_provider, name_teacher, teacher_identity
from distill_assets.clients.engine import Counts
from distill_assets.clients.journal import Cap, Spent, open_journal
from distill_assets.clients.wire import KEY_FORMAT
from distill_assets.config import Recipe, RecipeFolder, read_secret
from distill_assets.errors import StorageError
from distill_assets.gates import asset_key, require_gates
from distill_assets.generate.sampling import (
    Earlier,
    GenerationRows,
    Leaving,
    SqlSample,
    count_requests,
    leave_out_teachers,
    plan_requests,
)
from distill_assets.lineage.record import GENERATION_FACTS, record_generations
from distill_assets.lineage.terms import describe_teachers
from distill_assets.materialization import (
    UNANSWERED,
    count_values,
    describe_table,
    find_same_code_version,
    publish_stored,
    read_input,
)
from distill_assets.prompts import load_prompt
from distill_assets.recording import find_withdrawals, record
from distill_assets.resources import read_wall_clock_s
from distill_assets.storage import Workspace, read_table, scan_table, write_side_table, write_table_in_pieces
from distill_assets.tables import DATABASES, PLANTED_ERRORS, RAW_GENERATIONS, SEED_CORPUS

PREVIEWED = ("generation_id", "question", "completion", "generation_status", "teacher", "served_model", "cost_usd")


def build_generate_assets(folder: RecipeFolder) -> list[dg.AssetsDefinition]:
    """The asset that asks the teachers."""
    recipe, path = folder
    teachers = recipe.list_teachers()
    terms = describe_teachers(teachers)
    licences = dict(terms.select("teacher", "licence").iter_rows())
    prompts = {name: load_prompt(path, strategy.prompt) for name, strategy in recipe.generate.list_strategies().items()}
    spec = {
        "teachers": [teacher_identity(teacher) for teacher in teachers],
        "routes": [[teacher.called, teacher.weight, teacher.strategies, teacher.fallback] for teacher in teachers],
        "generate": recipe.generate.identity(),
        "prompts": {name: prompt.prompt_id for name, prompt in prompts.items()},
        "format": KEY_FORMAT,
    }

    @dg.asset(
        **describe_table(
            recipe, RAW_GENERATIONS, group="generate", kinds={"openai", "polars"}, deps=["seed_corpus", "databases", "withdrawal_file"],
            step="2", spec=spec,
        ),
        pool="teacher",
        output_required=False,  # while a batch has calls, there is nothing to store: the last good table stays
    )  # fmt: skip
    def raw_generations(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterator[dg.MaterializeResult | dg.AssetObservation]:
        require_gates(context, blocking_keys(recipe, ["seed_corpus"]))
        seeds = read_input(context, workspace, recipe, SEED_CORPUS)
        cards = dict(read_input(context, workspace, recipe, DATABASES).select("database", "card").iter_rows())
        named = {t.called: (name_teacher(t), name_provider(t)) for t in teachers}
        withdrawn = find_withdrawals(workspace)
        leaving = Leaving(withdrawn, lambda piece: withdrawn.mark_generations(piece, licences))
        rows = GenerationRows(named, _find_earlier(context, workspace, recipe), leaving)
        teller = CallTeller(context.log, "generations", count_requests(seeds, recipe.generate))

        def take(request: ChatRequest, reply: ChatReply) -> None:
            if reply.status != "waiting":
                rows.add(request, reply)
            teller.see(reply)

        with open_journal(workspace.folder("journal", recipe.name)) as journal:
            warn_of_damage(context, journal.n_damaged)
            desks = open_desks(teachers, SqlSample, read_secret)
            planned = leave_out_teachers(
                plan_requests(seeds, cards, prompts, teachers, recipe.generate), teachers,
                withdrawn.list_values("teacher"), withdrawn.list_values("licence"),
            )  # fmt: skip
            cap = Cap(recipe.budget.usd, recipe.budget.tokens)
            batches = Batches(desks, journal, cap, read_wall_clock_s, context.log.info)
            counts = batches.ask(planned, take, teller.tell, rows.settled())
            spent = journal.spent()
        if counts.waiting:
            yield _observe(context, recipe, counts, batches)
            return
        version = rows.find_unchanged() or write_table_in_pieces(workspace, recipe.name, RAW_GENERATIONS, rows.pieces())
        result = publish_stored(
            workspace,
            recipe,
            RAW_GENERATIONS,
            version,
            lambda stored: _describe(recipe, stored, counts, spent, desks),
            PREVIEWED,
        )
        write_side_table(workspace, recipe.name, PLANTED_ERRORS, rows.build_planted_errors(), version)
        yield record(context, workspace, result, lambda _: record_generations(_read_facts(workspace, recipe, version), terms))

    return [raw_generations]


def _find_earlier(context: dg.AssetExecutionContext, workspace: Workspace, recipe: Recipe) -> Earlier | None:
    """The rows that this asset made last with the same code and spec; the journal has their replies too."""
    if (version := find_same_code_version(context)) is None:
        return None
    try:
        rows = scan_table(workspace, recipe.name, RAW_GENERATIONS, version)
        return Earlier(version, rows, read_table(workspace, recipe.name, PLANTED_ERRORS, version))
    except StorageError as error:
        context.log.warning(f"earlier rows are read from the journal instead: {error}")
        return None


def _read_facts(workspace: Workspace, recipe: Recipe, version: str) -> pl.DataFrame:
    """Who answered what, without a text."""
    return scan_table(workspace, recipe.name, RAW_GENERATIONS, version).select(GENERATION_FACTS).collect()


def warn_of_damage(context: dg.AssetExecutionContext, n_damaged: int) -> None:
    """Say that lines of the journal cannot be read; what stood in them is asked again."""
    if n_damaged:
        context.log.warning(f"{n_damaged} lines of the journal are damaged and left out; what stood in them is asked again")


def _observe(context: dg.AssetExecutionContext, recipe: Recipe, counts: Counts, batches: Batches) -> dg.AssetObservation:
    """What is known of a table that is not there yet; without a materialization, what is below is left out of this run."""
    context.log.info(f"{describe_waiting(batches.open)}; {counts.done - counts.waiting:,} requests have their reply")
    metadata = {
        "batches": [f"{batch.batch_id} {batch.status}, {batch.n_calls} calls of {batch.teacher}" for batch in batches.open],
        "n_waiting": counts.waiting,
        "n_done": counts.done - counts.waiting,
        "n_submitted": sum(batch.n_calls for batch in batches.submitted),
        "n_collected": sum(got.n_answered for got in batches.collected),
        "cost_usd_this_run": round(counts.usd, 6),
    }
    return dg.AssetObservation(asset_key(recipe.name, RAW_GENERATIONS.name), metadata=metadata)


def _describe(recipe: Recipe, stored: pl.LazyFrame, counts: Counts, spent: Spent, desks: dict[str, Desk]) -> dict[str, object]:
    sums = stored.select(
        pl.len().alias("n"),
        pl.col("prompt_tokens", "completion_tokens", "cost_usd").sum(),
        pl.col("cost_usd").null_count().alias("n_unpriced"),
    ).collect()
    total = sums.row(0, named=True)
    by_status = count_values(stored, "generation_status")
    shown: dict[str, object] = {
        "teacher": ", ".join(name_teacher(teacher) for teacher in recipe.list_teachers()),
        "teachers": _show_teachers(recipe, count_values(stored, "teacher"), desks),
        "n_requests_planned": total["n"],
        "n_requests_reused": counts.reused,
        "n_requests_sent": counts.sent,
        UNANSWERED: by_status.get("error", 0),
        "prompt_tokens": total["prompt_tokens"],
        "completion_tokens": total["completion_tokens"],
        "cost_usd_this_run": round(counts.usd, 6),
        "cost_usd_all_runs": round(spent.usd, 6),
        "cost_usd_in_doubt": round(spent.usd_in_doubt, 6),
        "by_status": by_status,
        "by_served_model": count_values(stored, "served_model"),
    }
    if total["n_unpriced"] == 0:
        per_ok_row = total["cost_usd"] / max(1, by_status.get("ok", 0))
        shown |= {"cost_usd": round(total["cost_usd"], 6), "cost_usd_per_ok_row": round(per_ok_row, 9)}
    return shown


def _show_teachers(recipe: Recipe, n_rows: dict[str, int], desks: dict[str, Desk]) -> dg.TableMetadataValue:
    """Each teacher with its terms, its price and its share of the rows."""
    records = [
        dg.TableRecord({
            "teacher": name_teacher(teacher),
            "rows": n_rows.get(name_teacher(teacher), 0),
            "family": teacher.terms.family or "not said",
            "licence": teacher.terms.licence or "not said",
            "terms": f"{teacher.terms.url or 'not said'} {teacher.terms.accepted_on or ''}".strip(),
            "pinned": teacher.pin.served_model if teacher.pin else "no",
            "price": price.source if (price := desks[teacher.called].price) else "not known",
        })
        for teacher in recipe.list_teachers()
    ]  # fmt: skip
    return dg.MetadataValue.table(records)
