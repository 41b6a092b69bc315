"""Every checkpoint of a recipe in Dagster, each as a partition with its lineage and its lineage checks.

Belongs here: the external asset `checkpoints`, what its materializations show, and reporting answers to the lineage checks. Does not
belong here: the questions (lineage/findings).

`student_checkpoint` is the newest one; this asset has all of them, so that an old one can turn red when what it was trained on is
withdrawn. Its events come with other runs: a checkpoint is never made anew to say something of it.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from distill_assets.errors import LineageError
from distill_assets.gates import DATA_VERSION_TAG, asset_key
from distill_assets.lineage.audits.query import find_checkpoint, list_checkpoints
from distill_assets.lineage.audits.taint import find_taint
from distill_assets.lineage.chain import Event
from distill_assets.lineage.findings import CHECKS, Answer, judge_checkpoint
from distill_assets.lineage.flow import flow_as_markdown
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.manifest import build_manifest
from distill_assets.lineage.seal import read_manifest, seal_checkpoint
from distill_assets.lineage.tombstones import list_tombstones
from distill_assets.lineage.verify import verify_checkpoint_folder
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


def checkpoint_folder(workspace: Workspace, recipe: str, checkpoint_id: str) -> Path:
    """Where a checkpoint's weights lie."""
    return workspace.folder("checkpoints", recipe) / checkpoint_id


def answer_checks(workspace: Workspace, recipe: str, checkpoint_id: str) -> list[Answer]:
    """Ask the lineage checks of one checkpoint, by the ledger as it is now."""
    ledger = open_ledger(workspace)
    events = ledger.events()
    [checkpoint] = [e for e in list_checkpoints(events, recipe) if e.facts["checkpoint"] == checkpoint_id]
    with ledger.connect() as connection:
        return _answer(connection, events, checkpoint, checkpoint_folder(workspace, recipe, checkpoint_id), ledger)


def _answer(connection: Any, events: Sequence[Event], checkpoint: Event, folder: Path, ledger: Ledger) -> list[Answer]:
    own = checkpoint.facts["checkpoint"]
    manifest = build_manifest(connection, events, checkpoint)
    reached = [
        f"{tombstone.selector.kind} {tombstone.selector.value[:40]} reaches it: {taint.how} {taint.through}"
        for tombstone in list_tombstones(events)
        for taint in find_taint(connection, events, tombstone.selector)
        if taint.checkpoint == own and taint.through
    ]
    problems = [f"{found.where}: {found.words}" for found in verify_checkpoint_folder(folder, ledger) if found.level == "error"]
    try:
        sealed = read_manifest(folder)
    except LineageError as error:
        sealed, problems = manifest, [str(error), *problems]
    return judge_checkpoint(manifest, sealed, reached, problems)


def report_checkpoint(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, workspace: Workspace, recipe: str, checkpoint_id: str
) -> dict[str, Any]:
    """Seal a checkpoint, show its lineage as a materialization of its partition, and ask its checks; return its lineage.

    A lineage.json that somebody changed is left as it is; the check `manifest_matches_ledger` says so.
    """
    ledger, folder = open_ledger(workspace), checkpoint_folder(workspace, recipe, checkpoint_id)
    try:
        manifest = seal_checkpoint(ledger, folder, checkpoint_id, read_now(), {"run_id": context.run_id})
    except LineageError as error:
        context.log.error(str(error))
        manifest = describe_checkpoint_now(ledger, checkpoint_id)
    context.instance.add_dynamic_partitions(str(name_partitions(recipe).name), [checkpoint_id])
    context.log_event(
        dg.AssetMaterialization(
            asset_key(recipe, CHECKPOINTS),
            partition=checkpoint_id,
            metadata=describe_lineage(manifest, folder),
            tags={DATA_VERSION_TAG: checkpoint_id},
        )
    )
    report_answers(context, recipe, checkpoint_id, answer_checks(workspace, recipe, checkpoint_id))
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
        for event in list_checkpoints(open_ledger(workspace).events(), recipe):
            own = event.facts["checkpoint"]
            if checkpoint_folder(workspace, recipe, own).is_dir():
                report_checkpoint(context, workspace, recipe, own)
            else:
                context.instance.add_dynamic_partitions(str(name_partitions(recipe).name), [own])
                report_answers(context, recipe, own, answer_checks(workspace, recipe, own))

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

    By events of a run, since Dagster 1.13 keeps only one evaluation of a partition that belongs to no run.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        for answer in answers:
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=asset_key(recipe, CHECKPOINTS),
                    check_name=answer.name,
                    passed=answer.passed,
                    partition=checkpoint_id,
                    description=_say(answer),
                    metadata={"checkpoint": checkpoint_id, "words": answer.words or "holds"},
                )
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
            "flags": "; ".join([*teacher["flags"], *_withdrawn(manifest, teacher)]) or "none",
        })
        for teacher in manifest["teachers"]
    ]  # fmt: skip
    kinds = {"rows": "int", "rows_seen": "int", "loss_tokens": "int"}
    return dg.MetadataValue.table(
        records, schema=dg.TableSchema([dg.TableColumn(name, kinds.get(name, "string")) for name in columns])
    )


def _withdrawn(manifest: Mapping[str, Any], teacher: Mapping[str, Any]) -> list[str]:
    fields = {"teacher": "requested_model", "served": "served_model", "fingerprint": "system_fingerprint", "licence": "licence"}
    return [
        "WITHDRAWN"
        for item in manifest["tombstones"]
        if item["selector"]["kind"] in fields and teacher[fields[item["selector"]["kind"]]] == item["selector"]["value"]
    ][:1]
