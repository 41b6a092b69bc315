"""`distill explain`: the whole past of one row, from seed to split or quarantine.

Belongs here: the joins that a row's past is, and their telling. Does not belong here: storage.

A row is a generation, or a sample that a person wrote; of the second there are no request and no verdicts. Tables that a recipe
does not have, such as real_samples, count as empty.
"""

from __future__ import annotations

import re
from typing import Any

import dagster as dg

from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, home_folder
from distill_assets.errors import DistillError
from distill_assets.resources import SnapshotDuckDB
from distill_assets.storage import Workspace
from distill_assets.tables import TABLES, VERDICT_LAYERS, build_frame

Row = dict[str, Any]
INDENT = " " * 11
NEEDED = ("raw_generations", "verdicts", "review_labels", "judged_samples", "dropped_samples")
FIND = """
select generation_id as sample_id from raw_generations where starts_with(generation_id, $id)
union select sample_id from real_samples where starts_with(sample_id, $id) order by 1 limit 6
"""
GENERATION = """
select g.*, s.text as seed_text, s.kind as seed_kind, s.source_file, j.sample_status, j.reason, j.quality_score,
       j.instruction_difficulty, j.is_shortcut, p.planted_error
from raw_generations g left join seed_corpus s using (seed_id)
left join judged_samples j on j.sample_id = g.generation_id
left join planted_errors p on p.generation_id = g.generation_id
where g.generation_id = $id
"""
WRITTEN = "from real_samples where sample_id = $id"
VERDICTS = f"""
select judge, criterion, verdict_status, score, reason, is_decisive from verdicts where generation_id = $id
order by list_position({list(VERDICT_LAYERS)}, layer), judge, criterion
"""
LABELS = "select reviewer, label, comment, labelled_at from review_labels where sample_id = $id order by labelled_at, reviewer"
OWN_MARKS = "select template, topic, difficulty, n_tokens from curation_marks where sample_id = $id"
DUPLICATE = """
select d.field, d.duplicate_kind, d.similarity, d.duplicate_of, coalesce(j.question, r.question) as other_question
from duplicates d left join judged_samples j on j.sample_id = d.duplicate_of left join real_samples r on r.sample_id = d.duplicate_of
where d.sample_id = $id order by d.field
"""
HITS = (
    "from contamination_hits where sample_id = $id order by action, coverage_frac desc nulls last, benchmark, item_id, rule, field"
)
FATE = """
select t.split, t.position, d.drop_reason, d.evidence
from (select $id as sample_id) left join training_dataset t using (sample_id) left join dropped_samples d using (sample_id)
"""


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
    if missing := [table for table in NEEDED if table not in versions]:
        raise DistillError(f"{', '.join(missing)} of recipe '{folder.recipe.name}' are not there yet. Run: distill run")
    with SnapshotDuckDB().open_tables(Workspace(home_folder()), folder.recipe.name, versions) as connection:
        _add_absent(connection)
        found = [row["sample_id"] for row in _read(connection, FIND, sample_id)]
        if len(found) != 1:
            shown = ", ".join(id_[:12] for id_ in found) or "none"
            raise DistillError(f"{len(found)} samples have an id that begins with {sample_id}: {shown}. Give more of it.")
        return "\n".join(_make_plain(line) for line in _tell_past(connection, found[0]))


def _make_plain(text: str) -> str:
    """Text that can neither steer a terminal nor pass for a line of ours: models and people wrote some of it."""
    lines = ["".join(char if char.isprintable() else "\ufffd" for char in line) for line in text.splitlines()]
    return f"\n{INDENT}".join(lines)


def _add_absent(connection: Any) -> None:
    """Put an empty table in the place of each one that the recipe does not have, or not yet."""
    there = {name for (name,) in connection.execute("select view_name from duckdb_views() where not internal").fetchall()}
    for name, spec in TABLES.items():
        if name not in there:
            connection.register(name, build_frame(spec, []).to_arrow())


def _read(connection: Any, query: str, sample_id: str) -> list[Row]:
    return connection.sql(query, params={"id": sample_id}).pl().rows(named=True)


def _tell_past(connection: Any, sample_id: str) -> list[str]:
    told = []
    for row in _read(connection, WRITTEN, sample_id):
        told += _tell_writing(row)
    for row in _read(connection, GENERATION, sample_id):
        told += _tell_origin(row)
        told += [_tell_verdict(verdict) for verdict in _read(connection, VERDICTS, sample_id)]
        told += [_tell_label(label) for label in _read(connection, LABELS, sample_id)]
        told += _tell_settlement(row)
    for row in _read(connection, OWN_MARKS, sample_id):
        told += _tell_marks(row)
    told += [_tell_duplicate(row) for row in _read(connection, DUPLICATE, sample_id)]
    told += [_tell_hit(row) for row in _read(connection, HITS, sample_id)]
    return [*told, *(_tell_fate(row) for row in _read(connection, FATE, sample_id))]


def _tell_writing(row: Row) -> list[str]:
    return [
        f"sample     {row['sample_id']}",
        f"written    by people, in {row['source_file']}, licence {row['licence']}; no teacher was asked and no judge",
        f"question   [{row['database']}] {row['question']}",
        f"query      {row['sql']}",
    ]


def _tell_origin(row: Row) -> list[str]:
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


def _tell_verdict(row: Row) -> str:
    shown = "" if row["score"] in (None, 0.0, 1.0) else f" {row['score']:.2f}"
    aside = "" if row["is_decisive"] else " (settles nothing by itself)"
    return f"verdict    {row['judge']:<16} {row['criterion']:<16} {row['verdict_status']}{shown}{aside}{_add(row['reason'])}"


def _tell_label(row: Row) -> str:
    return f"label      {row['reviewer']}: {row['label']} on {row['labelled_at']}{_add(row['comment'])}"


def _tell_settlement(row: Row) -> list[str]:
    told = []
    if row["quality_score"] is not None:
        told.append(f"filter     quality {row['quality_score']:.2f}, instruction difficulty {row['instruction_difficulty']}")
    told.append(f"settled    {row['sample_status']}{_add(row['reason'])}")
    if row["is_shortcut"]:
        told.append("shortcut   the query holds, but the reasoning does not lead to it")
    if row["planted_error"]:
        told.append(f"planted    {row['planted_error']} (the teacher's own record; judging never saw it)")
    return told


def _tell_marks(row: Row) -> list[str]:
    tokens = "" if row["n_tokens"] is None else f", {row['n_tokens']} tokens"
    return [f"template   {row['template']}", f"topic      {row['topic'] or 'unknown'}, difficulty {row['difficulty']}{tokens}"]


def _tell_duplicate(row: Row) -> str:
    found = f"{row['duplicate_kind']} in {row['field']}, similarity {row['similarity']:.3f}"
    return f"duplicate  {found}, of {row['duplicate_of']}: {row['other_question']}"


def _tell_hit(row: Row) -> str:
    share = "" if row["coverage_frac"] is None else f", share {row['coverage_frac']:.3f}"
    words = "" if row["span"] is None else f", words {row['span']!r}"
    found = f"{row['benchmark']}:{row['item_id']} in {row['field']} by {row['rule']}{share}{words}{_add(row['reason'])}"
    return f"overlap    {row['action']}: {found}"


def _tell_fate(row: Row) -> str:
    if row["drop_reason"] is not None:
        return f"fate       dropped: {row['drop_reason']} ({row['evidence']})"
    if row["split"] is not None:
        return f"fate       in training_dataset, split {row['split']}, position {row['position']}"
    return "fate       not selected yet. Run: distill run"


def _add(reason: str | None) -> str:
    return f": {reason}" if reason else ""
