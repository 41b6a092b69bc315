"""`distill lineage rebuild --prove`: a checkpoint built again apart from the workspace, and held against what is recorded.

Belongs here: the order of the proof, what counts as the same, the verdict. Does not belong here: building tables (rebuilding), training
(train), wording of other audits (showing).

Nothing is asked of a teacher: the rebuild starts from recorded generations, calls no client, and this process refuses every connection
while it runs; the training child gets no key. Nothing in the workspace is written.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from distill_assets.commands.lineage.audit import open_own
from distill_assets.commands.lineage.rebuilding import Step, list_recorded, rebuild_dataset
from distill_assets.commands.lineage.recorded import Recorded
from distill_assets.commands.lineage.retraining import compare_weights, retrain
from distill_assets.commands.lineage.showing import plain
from distill_assets.config import RecipeFolder
from distill_assets.errors import DistillError, LineageError
from distill_assets.identity import canonical_json, hash_text
from distill_assets.lineage.audits.query import fetch, find_checkpoint, find_dataset
from distill_assets.lineage.chain import Event
from distill_assets.lineage.circumstances import describe_code, describe_environment
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import build_tree
from distill_assets.lineage.standing import checkpoint_folder
from distill_assets.storage import Workspace

Say = Callable[[str], None]
_REFUSING = {"is_installed": False, "is_on": False}


def prove_checkpoint(folder: RecipeFolder, checkpoint: str, is_trained: bool, say: Say) -> tuple[dict[str, Any], str, bool]:
    """Build a checkpoint again and compare it; return the findings as data, in words, and whether all of it is the same.

    Args:
        is_trained: train too, and compare the weights; otherwise the dataset alone.

    Raises:
        LineageError: there is no such checkpoint, or it is another recipe's.
    """
    workspace, ledger = open_own()
    events = ledger.events()
    event = find_checkpoint(events, checkpoint)
    if event.recipe != folder.recipe.name:
        raise LineageError(
            f"{checkpoint} is of recipe '{event.recipe}', not '{folder.recipe.name}'. Nothing was built. Name its folder: --recipe"
        )
    dataset = find_dataset(events, event)
    if dataset is None:
        raise LineageError(
            f"the ledger does not say what {checkpoint} was trained on, so it cannot be built again. Nothing was built."
        )
    with tempfile.TemporaryDirectory(prefix="distill-rebuild-") as spill, refuse_connections():
        scratch = Workspace(Path(spill))
        steps, frame, drifts = _rebuild(folder, list_recorded(workspace, events, dataset), scratch, say)
        rows = {"is_same": False} if frame is None else _compare_rows(ledger, event, frame)
        drifts += [{"where": "dataset", "words": words} for words in rows.pop("words", [])]
        weights = None
        if is_trained and frame is not None and rows["is_same"]:
            target = checkpoint_folder(workspace, str(event.recipe), event.facts["checkpoint"])
            weights, more = _retrain(folder, event, frame, scratch, target, say)
            drifts += more
    data = _put_together(folder, event, steps, rows, weights, drifts)
    return data, show_proof(data), data["is_same"]


def _rebuild(
    folder: RecipeFolder, recorded: Recorded, scratch: Workspace, say: Say
) -> tuple[list[Step], pl.DataFrame | None, list[dict[str, Any]]]:
    steps: list[Step] = []
    say("building the dataset from recorded generations; no teacher is asked")
    frame, failed = None, []
    try:
        frame = rebuild_dataset(folder, recorded, scratch, steps)
    except DistillError as error:
        failed = [{"where": "dataset", "words": f"cannot be built: {error}"}]
    drifts = [
        {"where": step.table, "row": step.difference["row"], "column": step.difference["column"], "words": step.difference["words"]}
        for step in steps
        if step.difference
    ]
    return steps, frame, drifts + failed


def _compare_rows(ledger: Ledger, event: Event, frame: pl.DataFrame) -> dict[str, Any]:
    """Hold a dataset's rows against the ledger's: the root of all, and each row by its digest."""
    salt = ledger.salt()
    texts = frame.select("sample_id", "split", text=pl.concat_str("prompt", pl.lit("\x1e"), "completion"))
    built = {salted(salt, sample): (sample, salted(salt, text), split) for sample, split, text in texts.iter_rows()}
    with ledger.connect() as connection:
        sql = "select generation_id as id, row_digest as digest, split from snapshot_row where snapshot_id = salted(?)"
        known = {row["id"]: (row["digest"], row["split"]) for row in fetch(connection, sql, [event.facts["data_version"]])}
    root = build_tree((row, digest) for row, (_, digest, _) in built.items()).root
    differing = sorted(sample for row, (sample, digest, split) in built.items() if known.get(row) != (digest, split))
    n_gone = len(known.keys() - built.keys())
    words = []
    if differing:
        words.append(f"{len(differing)} rows are not as the ledger has them, the first is {differing[0]}")
    if n_gone:
        words.append(f"{n_gone} rows of the ledger were not built")
    if not words and root != event.facts["merkle_root"]:
        words.append("the rows are the ledger's, and its Merkle root is another one: the record of the checkpoint is damaged")
    return {
        "is_same": not words, "n_rows": len(built), "n_rows_differing": len(differing), "n_rows_missing": n_gone, "merkle_root": root,
        "merkle_root_recorded": event.facts["merkle_root"], "first_row": differing[0] if differing else None, "words": words,
    }  # fmt: skip


def _retrain(
    folder: RecipeFolder, event: Event, frame: pl.DataFrame, scratch: Workspace, target: Path, say: Say
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    try:
        built = retrain(folder.recipe, event, frame, scratch, say)
    except DistillError as error:
        return None, [{"where": "weights", "words": f"cannot be trained: {error}"}]
    return compare_weights(event, built, target)


def list_circumstances(folder: RecipeFolder, event: Event, training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is otherwise than it was when the checkpoint was made: code, packages, recipe, device."""
    facts = event.facts
    now = {**describe_code(), **describe_environment(dict(training))}
    then = {**facts["code"], **facts["environment"]}
    now["recipe"], then["recipe"] = (
        hash_text(canonical_json(folder.recipe.model_dump(mode="json"))),
        facts["config"]["recipe_sha256"],
    )
    versions = then.pop("packages", {}), now.pop("packages", {})
    pairs = {name: (then.get(name), now.get(name)) for name in sorted(then)}
    pairs |= {name: (versions[0].get(name), versions[1].get(name)) for name in sorted(versions[0])}
    if not training:
        pairs = {name: pair for name, pair in pairs.items() if name not in ("device", "dtype", "threads")}
    return [{"what": name, "then": old, "now": new} for name, (old, new) in pairs.items() if old != new]


def _put_together(
    folder: RecipeFolder, event: Event, steps: Sequence[Step], rows: dict[str, Any], weights: dict[str, Any] | None,
    drifts: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    training = weights.pop("training") if weights else {}
    named = sorted(drifts, key=lambda drift: drift.get("row") is None)  # one that names a row says more
    return {
        "checkpoint": event.facts["checkpoint"],
        "name": f"{event.recipe}@{event.facts['checkpoint'][:12]}",
        "is_same": not drifts,
        "verdict": "drift" if drifts else "reproduced" if weights else "dataset reproduced",
        "tables": [{**step._asdict(), "is_same": step.is_same} for step in steps],
        "dataset": rows,
        "weights": weights,
        "first_difference": named[0] if named else None,
        "drifts": drifts,
        "circumstances": list_circumstances(folder, event, training),
    }


def show_proof(data: Mapping[str, Any]) -> str:
    """A proof, or a drift report, in words."""
    lines = [f"{plain(data['name'])}: {data['verdict']}"]
    lines += [f"  {'✓' if t['is_same'] else '✗'} {t['table']:<20} {t['how']:<12} {t['found'][:12]}" for t in data["tables"]]
    rows, weights = data["dataset"], data["weights"]
    if "merkle_root" in rows:
        roots = f"Merkle root {rows['merkle_root'][:12]}… recorded {str(rows['merkle_root_recorded'])[:12]}…"
        lines.append(f"  {'✓' if rows['is_same'] else '✗'} {rows['n_rows']:,} rows one by one, {roots}")
    if weights:
        sums = f"sha256:{weights['weights_sha256'][:16]}… recorded {weights['recorded_sha256'][:16]}…"
        counts = f"{weights['n_files_same']} of {weights['n_files']} files the same"
        lines.append(f"  {'✓' if weights['is_same'] else '✗'} weights {sums} ({counts})")
    if data["first_difference"]:
        others = [drift for drift in data["drifts"] if drift is not data["first_difference"]]
        lines += ["first difference", f"  {_say_drift(data['first_difference'])}", *(["others"] if others else [])]
        lines += [f"  {_say_drift(drift)}" for drift in others]
    if not rows["is_same"]:
        lines.append(
            f"not trained again: {'the rows are not the same' if 'merkle_root' in rows else 'there are no rows to train on'}"
        )
    if data["drifts"] or data["circumstances"]:
        lines.append("otherwise than then" + ("" if data["circumstances"] else ": nothing that is recorded"))
        lines += [f"  {plain(c['what'])}: {plain(c['then'])} -> {plain(c['now'])}" for c in data["circumstances"]]
    return "\n".join(lines)


def _say_drift(drift: Mapping[str, Any]) -> str:
    return f"{drift['where']}: {plain(drift['words'], 400)}"


@contextmanager
def refuse_connections() -> Iterator[None]:
    """Let no connection leave this process while the block runs, whatever library asks for it."""
    if not _REFUSING["is_installed"]:  # a hook cannot be taken out again, so it is switched
        sys.addaudithook(_refuse)
        _REFUSING["is_installed"] = True
    _REFUSING["is_on"] = True
    try:
        yield
    finally:
        _REFUSING["is_on"] = False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _REFUSING["is_on"] or event not in ("socket.connect", "socket.getaddrinfo"):
        return
    if event == "socket.connect" and not isinstance(arguments[1], tuple):
        return  # a socket of this machine's file system
    raise LineageError("a rebuild asks nobody, and something wanted a connection. Nothing was sent and nothing was changed.")
