"""Every checkpoint of a recipe in Dagster, each as a partition with its lineage and its lineage checks.

Belongs here: the external asset `checkpoints`, what its materializations show, and reporting answers to the lineage checks. Does not
belong here: the questions (lineage/findings) and asking them (lineage/standing).

`student_checkpoint` is the newest one; this asset has all of them, so that an old one can turn red when what it was trained on is
withdrawn. Its events come with other runs: a checkpoint is never made anew to say something of it.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from distill_assets.errors import LineageError
from distill_assets.gates import DATA_VERSION_TAG, asset_key
from distill_assets.lineage.audits.query import find_checkpoint, list_checkpoints
from distill_assets.lineage.findings import CHECKS, Answer, name_withdrawn
from distill_assets.lineage.flow import flow_as_markdown
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.manifest import build_manifest
from distill_assets.lineage.seal import seal_checkpoint
from distill_assets.lineage.standing import answer_checks, checkpoint_folder
from distill_assets.recording import open_ledger, read_now
from distill_assets.storage import Workspace

CHECKPOINTS = "checkpoints"
MEANING = "Every checkpoint that was trained, one partition each, with who taught it; its checks speak of what holds today."


def name_partitions(recipe: str) -> dg.DynamicPartitionsDefinition:
    """The partitions of a recipe's checkpoints: their ids."""
    return dg.DynamicPartitionsDefinition(name=f"{recipe}_{CHECKPOINTS}")


def build_checkpoint_spec(recipe: str, owners: Sequence[str]) -> dg.AssetSpec:
    """The external asset of a recipe's checkpoints."""
    return dg.AssetSpec(
        asset_key(recipe, CHECKPOINTS), description=MEANING, group_name="lineage", kinds={"lineage"}, owners=list(owners),
        deps=[asset_key(recipe, "student_checkpoint")], partitions_def=name_partitions(recipe),
    )  # fmt: skip


def build_checkpoint_checks(recipe: str) -> dg.AssetChecksDefinition:
    """The lineage checks; executed, they are asked anew of the checkpoint that the run is for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # of checks with partitions
        specs = [
            dg.AssetCheckSpec(
                name, asset=asset_key(recipe, CHECKPOINTS), description=meaning, partitions_def=name_partitions(recipe)
            )
            for name, meaning in CHECKS.items()
        ]

    @dg.multi_asset_check(name=f"{recipe}__{CHECKPOINTS}__checks", specs=specs, can_subset=True)
    def ask_checks(context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.name for key in context.selected_asset_check_keys}
        answers = answer_checks(workspace, recipe, context.partition_key)
        for answer in answers:
            if answer.name in wanted:
                yield dg.AssetCheckResult(
                    passed=answer.passed, asset_key=asset_key(recipe, CHECKPOINTS), check_name=answer.name, description=_say(answer)
                )

    return ask_checks


def report_checkpoint(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, workspace: Workspace, recipe: str, checkpoint_id: str
) -> dict[str, Any]:
    """Seal a checkpoint, show its lineage as a materialization of its partition, and ask its checks; return its lineage."""
    context.instance.add_dynamic_partitions(str(name_partitions(recipe).name), [checkpoint_id])
    manifest = show_checkpoint(context, workspace, recipe, checkpoint_id)
    report_answers(context, recipe, checkpoint_id, answer_checks(workspace, recipe, checkpoint_id))
    return manifest


def show_checkpoint(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, workspace: Workspace, recipe: str, checkpoint_id: str
) -> dict[str, Any]:
    """Seal a checkpoint and show its lineage as a materialization of its partition; return it.

    A lineage.json that somebody changed is left as it is; the check `manifest_matches_ledger` says so.
    """
    ledger, folder = open_ledger(workspace), checkpoint_folder(workspace, recipe, checkpoint_id)
    try:
        manifest = seal_checkpoint(ledger, folder, checkpoint_id, read_now(), {"run_id": context.run_id})
    except LineageError as error:
        context.log.error(str(error))
        manifest = describe_checkpoint_now(ledger, checkpoint_id)
    # Not an event of this run: it has to be stored before the checks' answers can name it.
    context.instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key(recipe, CHECKPOINTS),
            partition=checkpoint_id,
            metadata=describe_lineage(manifest, folder),
            tags={DATA_VERSION_TAG: checkpoint_id},
        )
    )
    return manifest


def describe_checkpoint_now(ledger: Ledger, checkpoint_id: str) -> dict[str, Any]:
    """A checkpoint's lineage as the ledger tells it now; nothing is written."""
    events = ledger.events()
    with ledger.connect() as connection:
        return build_manifest(connection, events, find_checkpoint(events, checkpoint_id))


def build_audit_job(recipe: str) -> dg.JobDefinition:
    """A job that asks the lineage checks of all checkpoints of a recipe anew; a withdrawal runs it."""

    @dg.op(name=f"{recipe}__ask_lineage_checks")
    def ask_lineage_checks(context: dg.OpExecutionContext, workspace: dg.ResourceParam[Workspace]) -> None:
        asked = {}
        for event in list_checkpoints(open_ledger(workspace).events(), recipe):
            own = event.facts["checkpoint"]
            context.instance.add_dynamic_partitions(str(name_partitions(recipe).name), [own])
            if checkpoint_folder(workspace, recipe, own).is_dir():
                show_checkpoint(context, workspace, recipe, own)
            asked[own] = answer_checks(workspace, recipe, own)
        # Dagster shows the last answer of each check, so what does not hold comes last.
        for own in sorted(asked, key=lambda own: sum(not answer.passed for answer in asked[own])):
            report_answers(context, recipe, own, asked[own])

    @dg.job(name=name_audit_job(recipe), description=f"Asks the lineage checks of every checkpoint of {recipe} anew.")
    def audit() -> None:
        ask_lineage_checks()

    return audit


def name_audit_job(recipe: str) -> str:
    """The job that asks a recipe's lineage checks anew."""
    return f"audit_{recipe}"


def report_answers(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, recipe: str, checkpoint_id: str, answers: Sequence[Answer]
) -> None:
    """Tell Dagster what holds of a checkpoint today.

    By events of a run, since Dagster 1.13 keeps only one evaluation of a partition that belongs to no run. They name the partition's
    last materialization; without it the UI counts the partition as never checked.
    """
    target = _find_target(context.instance, recipe, checkpoint_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        for answer in answers:
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=asset_key(recipe, CHECKPOINTS),
                    check_name=answer.name,
                    passed=answer.passed,
                    partition=checkpoint_id,
                    target_materialization_data=target,
                    description=_say(answer),
                    metadata={"checkpoint": checkpoint_id, "words": answer.words or "holds"},
                )
            )


def _find_target(
    instance: dg.DagsterInstance, recipe: str, checkpoint_id: str
) -> AssetCheckEvaluationTargetMaterializationData | None:
    wanted = dg.AssetRecordsFilter(asset_key(recipe, CHECKPOINTS), asset_partitions=[checkpoint_id])
    records = instance.fetch_materializations(wanted, limit=1).records
    return (
        AssetCheckEvaluationTargetMaterializationData(
            storage_id=records[0].storage_id, run_id=records[0].run_id, timestamp=records[0].timestamp
        )
        if records
        else None
    )


def _say(answer: Answer) -> str:
    meaning = CHECKS[answer.name]
    return f"{meaning}. {answer.words}".rstrip(". ") if answer.passed else f"not so: {meaning}. {answer.words}"


def describe_lineage(manifest: Mapping[str, Any], folder: Path) -> dict[str, dg.MetadataValue]:
    """A checkpoint's lineage as metadata: teachers as a table, the flow as a picture, and where the files are."""
    return {
        "teachers": show_teachers(manifest),
        "flow": dg.MetadataValue.md(flow_as_markdown(manifest)),
        "audit_page": dg.MetadataValue.path(str(folder / "audit.html")),
        "lineage_file": dg.MetadataValue.path(str(folder / "lineage.json")),
        "chain_head": f"#{manifest['ledger']['seq']} {manifest['ledger']['head']}",
    }


def show_teachers(manifest: Mapping[str, Any]) -> dg.TableMetadataValue:
    """Teachers by rows, tokens, share, terms and flags."""
    columns = ("teacher", "served", "rows", "rows_seen", "loss_tokens", "share", "terms", "flags")
    records = [
        dg.TableRecord({
            "teacher": teacher["requested_model"],
            "served": " / ".join(str(teacher[name]) for name in ("served_model", "system_fingerprint") if teacher[name]) or "not said",
            "rows": teacher["n_rows"],
            "rows_seen": teacher["n_rows_seen"],
            "loss_tokens": teacher["n_loss_tokens"],
            "share": f"{teacher['share_frac']:.1%}",
            "terms": " ".join(str(teacher[name]) for name in ("licence", "terms_accepted_on") if teacher[name]) or "not said",
            "flags": "; ".join([*teacher["flags"], *name_withdrawn(manifest, teacher)]) or "none",
        })
        for teacher in manifest["teachers"]
    ]  # fmt: skip
    kinds = {"rows": "int", "rows_seen": "int", "loss_tokens": "int"}
    return dg.MetadataValue.table(
        records, schema=dg.TableSchema([dg.TableColumn(name, kinds.get(name, "string")) for name in columns])
    )
