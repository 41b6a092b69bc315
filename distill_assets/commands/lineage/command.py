"""The `distill lineage` commands: arguments, output, exit codes.

Belongs here: parsing and printing. Does not belong here: any audit (lineage/audits) or change (withdraw, erase).
Exit codes: 0 fine, 1 an error or something that does not verify, 2 wrong usage, 3 a difference or a touched checkpoint, so that CI can
ask.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from distill_assets.commands.lineage.selecting import selector_options

RECIPE = click.option(
    "--recipe", "recipe_path", type=click.Path(path_type=Path), help="Recipe folder. Default: the built-in text_to_sql."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
DIFFERENT = 3


@click.group()
def lineage() -> None:
    """Which teacher taught which checkpoint, what a withdrawal touches, and the proof that it is gone."""


def _say(data: Any, text: str, as_json: bool) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, sort_keys=True) if as_json else text)


@lineage.command()
@click.argument("checkpoint", required=False)
@AS_JSON
@click.option("--strict", is_flag=True, help="Exit with 3 when a lineage check does not hold.")
def show(checkpoint: str | None, as_json: bool, strict: bool) -> None:
    """Who taught a checkpoint (its id's beginning; default: the newest), under which terms, and what holds of it today."""
    from distill_assets.commands.lineage.audit import audit_checkpoint
    from distill_assets.commands.lineage.showing import show_checkpoint

    manifest, answers, files = audit_checkpoint(checkpoint)
    data = {**manifest, "checks": [answer._asdict() for answer in answers]}
    _say(data, show_checkpoint(manifest, answers, files), as_json)
    if strict and not all(answer.passed for answer in answers):
        raise SystemExit(DIFFERENT)


@lineage.command()
@click.argument("checkpoint", required=False)
@RECIPE
@click.option("--row", metavar="ID", help="A row of it: its sample_id, or a unique beginning.")
@click.option("--output", metavar="TEXT", help="Something the student wrote; - reads it from the standard input.")
@AS_JSON
def why(checkpoint: str | None, recipe_path: Path | None, row: str | None, output: str | None, as_json: bool) -> None:
    """Why a checkpoint is as it is: all that led to it, one row's past, or where words of an output stand in what it was trained on."""
    from distill_assets.commands.lineage import why as questions

    if row and output:
        raise click.UsageError("--row and --output are two questions; ask one at a time")
    if row:
        data, text = questions.ask_row(_load(recipe_path), row)
    elif output:
        data, text = questions.ask_output(checkpoint, click.get_text_stream("stdin").read() if output == "-" else output)
    else:
        data, text = questions.ask_checkpoint(checkpoint)
    _say(data, text, as_json)


@lineage.command()
@RECIPE
@selector_options
@AS_JSON
def taint(recipe_path: Path | None, as_json: bool, **options: str | None) -> None:
    """The checkpoints that a withdrawal would touch, also through those that start from a touched one or were taught by it."""
    from distill_assets.commands.lineage.audit import audit_taint
    from distill_assets.commands.lineage.showing import show_taint

    selector, taints, teachers = audit_taint(_load(recipe_path), options)
    data = {"selector": selector._asdict(), "checkpoints": [one._asdict() for one in taints], "teachers": teachers}
    _say(data, show_taint(taints, selector, teachers), as_json)
    if taints:
        raise SystemExit(DIFFERENT)


@lineage.command()
@click.argument("first")
@click.argument("second", required=False)
@AS_JSON
def diff(first: str, second: str | None, as_json: bool) -> None:
    """What changed from one checkpoint to another (default: to the newest)."""
    from distill_assets.commands.lineage.audit import audit_diff
    from distill_assets.commands.lineage.showing import show_diff
    from distill_assets.lineage.audits.diff import is_different

    found = audit_diff(first, second)
    _say(found, show_diff(found), as_json)
    if is_different(found):
        raise SystemExit(DIFFERENT)


@lineage.command()
@click.option("--recipe", "recipe", metavar="NAME", help="Only events of this recipe.")
@click.option("--kind", metavar="KIND", help="Only events of this kind, such as tombstone.")
@click.option("-n", "n", type=click.IntRange(1), help="Only the last N.")
@AS_JSON
def log(recipe: str | None, kind: str | None, n: int | None, as_json: bool) -> None:
    """The ledger's events, oldest first."""
    from distill_assets.commands.lineage.audit import list_events
    from distill_assets.commands.lineage.showing import show_log

    events = list_events(recipe, kind, n)
    _say([event._asdict() | {"segments": [s._asdict() for s in event.segments]} for event in events], show_log(events), as_json)


@lineage.command()
@click.argument("target", required=False, type=click.Path(path_type=Path))
@click.option("--public-key", type=click.Path(path_type=Path), help="Also check the folder's signature by this key.")
@AS_JSON
def verify(target: Path | None, public_key: Path | None, as_json: bool) -> None:
    """Check the ledger and all checkpoints; or a checkpoint's folder, a pack (.zip) or a receipt (.json), which need nothing else."""
    from distill_assets.commands.lineage.verifying import verify_target

    findings, words = verify_target(target, public_key)
    errors = [finding for finding in findings if finding.level == "error"]
    text = "\n".join([*(f"{'BAD ' if f.level == 'error' else 'note'} {f.where}: {f.words}" for f in findings), words])
    _say({"is_well": not errors, "findings": [finding._asdict() for finding in findings], "words": words}, text, as_json)
    if errors:
        raise SystemExit(1)


@lineage.command()
@click.argument("checkpoint", required=False)
@click.option(
    "--format", "form", required=True, metavar="NAME", help="A format, or pack for a zip that verifies offline; list names them."
)
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: beside the weights.")
@click.option("--private-key", type=click.Path(path_type=Path), help="For signature: the key to sign with.")
def export(checkpoint: str | None, form: str, out: Path | None, private_key: Path | None) -> None:
    """Write a checkpoint's lineage in another format: cards, ML-BOM, EU summary, Croissant, OpenLineage, signature, pack."""
    from distill_assets.commands.lineage.exporting import export_checkpoint

    click.echo(export_checkpoint(checkpoint, form, out, private_key))


@lineage.command()
@RECIPE
@selector_options
@click.option("--reason", metavar="TEXT", help="Why; it stays on record.")
@click.option("--by", metavar="NAME", help="Who says so. Default: your user name.")
@click.option("--lift", metavar="TOMBSTONE", help="Take this withdrawal back instead.")
def withdraw(recipe_path: Path | None, reason: str | None, by: str | None, lift: str | None, **options: str | None) -> None:
    """Put on record that something may not be used any more; checkpoints turn red at once, and the next run leaves it out."""
    from distill_assets.commands.lineage.withdrawing import lift_tombstone, withdraw_selector

    if lift:
        click.echo(lift_tombstone(lift, reason, by))
    else:
        click.echo(withdraw_selector(_load(recipe_path), options, reason, by, click.echo))


@lineage.command()
@RECIPE
@selector_options
@click.option("--plan", "is_plan", is_flag=True, help="Only say what would be done.")
@click.option("--execute", "is_execute", is_flag=True, help="Withdraw, rebuild, remove the texts, and write a receipt.")
@click.option("--reason", metavar="TEXT", help="Why; it stays on record.")
@click.option("--by", metavar="NAME", help="Who says so. Default: your user name.")
@click.option("--no-train", is_flag=True, help="Rebuild the dataset only; train later: distill run")
@AS_JSON
def erase(
    recipe_path: Path | None, is_plan: bool, is_execute: bool, reason: str | None, by: str | None, no_train: bool, as_json: bool,
    **options: str | None,
) -> None:  # fmt: skip
    """Take a teacher, a seed or whatever else out of a recipe: the least rebuild, the texts gone, and a receipt that proves it."""
    from distill_assets.commands.lineage import erasing

    if is_plan == is_execute:
        raise click.UsageError("say --plan or --execute")
    folder = _load(recipe_path)
    if is_plan:
        data, text = erasing.plan(folder, options)
    else:
        data, text = erasing.execute(folder, options, reason, by, not no_train, lambda words: click.echo(words, err=True))
    _say(data, text, as_json)


@lineage.command()
@click.option("--prove", "checkpoint", required=True, metavar="CHECKPOINT", help="The checkpoint to build again.")
@RECIPE
@click.option("--dataset-only", is_flag=True, help="Do not train; compare the dataset alone.")
@AS_JSON
def rebuild(checkpoint: str, recipe_path: Path | None, dataset_only: bool, as_json: bool) -> None:
    """Build a checkpoint again from recorded generations, apart from the workspace, and compare it with what is recorded."""
    from distill_assets.commands.lineage.proving import prove_checkpoint

    data, text, is_same = prove_checkpoint(
        _load(recipe_path), checkpoint, not dataset_only, lambda words: click.echo(words, err=True)
    )
    _say(data, text, as_json)
    if not is_same:
        raise SystemExit(DIFFERENT)


def _load(recipe_path: Path | None):
    from distill_assets.config import BUILT_IN_RECIPE, built_in_recipe, load_recipe

    return load_recipe(recipe_path or built_in_recipe(BUILT_IN_RECIPE))
