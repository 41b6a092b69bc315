"""`distill explain`: the whole past of one row, from seed to split or quarantine.

Belongs here: the joins that a row's past is, and their telling. Does not belong here: storage.
"""

from __future__ import annotations

import re

import dagster as dg
import polars as pl

from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, home_folder
from distill_assets.errors import DistillError
from distill_assets.resources import SnapshotDuckDB
from distill_assets.storage import Workspace
from distill_assets.tables import VERDICT_LAYERS

PAST = """
select g.*, s.text as seed_text, s.kind as seed_kind, s.source_file, j.sample_status, j.reason, j.quality_score, j.instruction_difficulty, j.is_shortcut,
       m.duplicate_of, m.duplicate_kind, m.contaminated_by, t.split, t.prompt, d.drop_reason, d.evidence, p.planted_error
from raw_generations g left join seed_corpus s using (seed_id)
left join judged_samples j on j.sample_id = g.generation_id
left join curation_marks m on m.sample_id = g.generation_id
left join training_dataset t on t.sample_id = g.generation_id
left join dropped_samples d on d.sample_id = g.generation_id
left join planted_errors p on p.generation_id = g.generation_id
where g.generation_id like '{prefix}%' order by 1 limit 6
"""
VERDICTS = """
select judge, criterion, verdict_status, score, reason, is_decisive from verdicts where generation_id = '{id}'
order by list_position({layers}, layer), judge, criterion
"""
LABELS = "select reviewer, label, comment, labelled_at from review_labels where sample_id = '{id}' order by labelled_at"


def explain_sample(folder: RecipeFolder, instance: dg.DagsterInstance, sample_id: str) -> str:
    """Return a row's past as text.

    Raises:
        DistillError: no row or several rows have an id that begins so, or the graph was not built.
    """
    if not re.fullmatch(r"[0-9a-f]{4,32}", sample_id):
        raise DistillError(
            f"{sample_id!r} is not a sample id: 4 to 32 characters of 0-9 and a-f. See: distill sql 'from dropped_samples'"
        )
    versions = find_versions(folder, instance)
    missing = [
        t for t in ("raw_generations", "verdicts", "review_labels", "judged_samples", "dropped_samples") if t not in versions
    ]
    if missing:
        raise DistillError(f"{', '.join(missing)} of recipe '{folder.recipe.name}' are not there yet. Run: distill run")
    duck, workspace = SnapshotDuckDB(), Workspace(home_folder())
    rows = duck.query(workspace, folder.recipe.name, versions, PAST.format(prefix=sample_id))
    if rows.height != 1:
        found = ", ".join(rows["generation_id"].str.head(12)) if rows.height else "none"
        raise DistillError(f"{rows.height} samples have an id that begins with {sample_id}: {found}. Give more of it.")
    row = rows.row(0, named=True)
    verdicts = duck.query(
        workspace, folder.recipe.name, versions, VERDICTS.format(id=row["generation_id"], layers=list(VERDICT_LAYERS))
    )
    labels = duck.query(workspace, folder.recipe.name, versions, LABELS.format(id=row["generation_id"]))
    return "\n".join([*_tell_origin(row), *_tell_verdicts(verdicts), *_tell_labels(labels), *_tell_fate(row)])


def _tell_origin(row: dict) -> list[str]:
    return [
        f"sample     {row['generation_id']}",
        f"seed       {row['seed_id']} ({row['seed_kind']} in {row['source_file']}): {row['seed_text']}",
        f"request    {row['request_id']} sample {row['sample_ix']}, prompt {row['prompt_id']}",
        f"teacher    {row['teacher']} at {row['provider']}; answered: {row['served_model']} {row['system_fingerprint'] or ''}",
        f"reply      {row['generation_status']} {row['error'] or ''}, {row['prompt_tokens']} + {row['completion_tokens']} tokens",
        f"question   [{row['database']}] {row['question']}",
        f"reasoning  {row['trace']}",
        f"query      {row['completion']}",
    ]


def _tell_verdicts(verdicts: pl.DataFrame) -> list[str]:
    return [_tell_verdict(*row) for row in verdicts.iter_rows()]


def _tell_verdict(judge: str, criterion: str, status: str, score: float | None, reason: str | None, is_decisive: bool) -> str:
    shown = "" if score in (None, 0.0, 1.0) else f" {score:.2f}"
    aside = "" if is_decisive else " (settles nothing by itself)"
    return f"verdict    {judge:<16} {criterion:<16} {status}{shown}{aside}{f': {reason}' if reason else ''}"


def _tell_labels(labels: pl.DataFrame) -> list[str]:
    return [
        f"label      {who}: {label} on {when}{f': {comment}' if comment else ''}"
        for who, label, comment, when in labels.iter_rows()
    ]


def _tell_fate(row: dict) -> list[str]:
    told = []
    if row["quality_score"] is not None:
        told.append(f"filter     quality {row['quality_score']:.2f}, instruction difficulty {row['instruction_difficulty']}")
    told.append(f"settled    {row['sample_status']}{': ' + row['reason'] if row['reason'] else ''}")
    if row["is_shortcut"]:
        told.append("shortcut   the query holds, but the reasoning does not lead to it")
    if row["duplicate_of"]:
        told.append(f"mark       {row['duplicate_kind']} duplicate of {row['duplicate_of']}")
    if row["contaminated_by"]:
        told.append(f"mark       overlaps holdout item {row['contaminated_by']}")
    if row["planted_error"]:
        told.append(f"planted    {row['planted_error']} (the teacher's own record; judging never saw it)")
    told.append(
        f"fate       dropped: {row['drop_reason']} ({row['evidence']})"
        if row["drop_reason"]
        else f"fate       in training_dataset, split {row['split']}"
    )
    return told
