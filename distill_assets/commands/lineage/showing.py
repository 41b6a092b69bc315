"""Audits as a person reads them: aligned tables, one line a fact.

Belongs here: wording and layout. Does not belong here: any figure (lineage/audits).

Names come from models and recipes, so control characters leave before they reach a terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distill_assets.lineage.findings import name_withdrawn

MAX_CELL = 60
MAX_LINES = 12


def plain(value: object, limit: int = MAX_CELL) -> str:
    """A value as one line without control characters, cut to `limit` characters."""
    text = " ".join(str(value).split())
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], right: frozenset[int] = frozenset()) -> list[str]:
    """Rows as aligned lines under their headings.

    Args:
        right: columns, from 0, that are aligned to the right.
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(headings)]

    def line(row: Sequence[str]) -> str:
        parts = [
            cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    return [line([name.upper() for name in headings]), *(line(row) for row in cells)]


def show_checkpoint(manifest: Mapping[str, Any], answers: Sequence[Any], files: str) -> str:
    """One checkpoint: who taught it, who judged it, what it was screened against, what does not hold."""
    checkpoint, student, dataset, exposure = (manifest[name] for name in ("checkpoint", "student", "dataset", "exposure"))
    seen = (
        "not counted"
        if exposure["n_rows_seen"] is None
        else f"{exposure['n_rows_seen']:,} seen · {exposure['n_loss_tokens']:,} loss tokens"
    )
    lines = [
        f"{plain(checkpoint['name'])}   made {checkpoint['made_at']}   base {plain(student['base_model'])}@{plain(student['base_revision'][:12])}"
        + (f"   from checkpoint {student['parent_checkpoint'][:12]}" if student["parent_checkpoint"] else ""),
        f"weights sha256:{checkpoint['weights_sha256'][:16]}…   chain #{manifest['ledger']['seq']} {manifest['ledger']['head'][:12]}…   {files}",
        f"dataset {dataset['data_version'][:12]}… root {str(dataset['merkle_root'])[:12]}…   {dataset['n_train_rows']:,} train rows · {seen}",
        "",
        *table(
            ("teacher (served / fingerprint)", "via", "rows", "seen", "loss tokens", "share", "terms", "flags"),
            [_teacher_cells(teacher, manifest) for teacher in manifest["teachers"]],
            frozenset({2, 3, 4, 5}),
        ),
        "",
        *_show_judges(manifest),
        *_show_screening(manifest),
        *_show_figures(manifest),
        "",
        *(f"{'✓' if answer.passed else '✗'} {answer.name:<36} {plain(answer.words, 140)}".rstrip() for answer in answers),
        *(
            f"open: {plain(item['obligation'], 100)} ({plain(item['holder'])})"
            for item in manifest["obligations"]
            if item["is_met"] is None
        ),
    ]
    return "\n".join(lines)


def _teacher_cells(teacher: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[object, ...]:
    told = [teacher[name] for name in ("served_model", "system_fingerprint") if teacher[name]]
    terms = " ".join(str(teacher[name]) for name in ("licence", "terms_accepted_on") if teacher[name]) or "not said"
    flags = [*teacher["flags"], *name_withdrawn(manifest, teacher)]
    return (
        " / ".join(told) or teacher["requested_model"], teacher["provider"] or "-", f"{teacher['n_rows']:,}", f"{teacher['n_rows_seen']:,}",
        f"{teacher['n_loss_tokens']:,}", f"{teacher['share_frac']:.1%}", terms, "; ".join(flags),
    )  # fmt: skip


def _show_judges(manifest: Mapping[str, Any]) -> list[str]:
    judges = [f"{plain(judge['judge'])} {judge['share_frac']:.1%}" for judge in manifest["judges"]]
    return [f"judges    {' · '.join(judges) or 'none'}"]


def _show_screening(manifest: Mapping[str, Any]) -> list[str]:
    named = [
        f"{plain(item['name'])}@{plain(str(item['version'])[:12])} ({item['n_items']:,})"
        for item in manifest["decontamination"]["benchmarks"]
    ]
    lost = sorted(
        {
            f"{plain(item['benchmark'])}@{plain(str(item['version'])[:12])}"
            for item in manifest["evaluations"]
            if not item["is_screened"]
        }
    )
    return [f"screened  {', '.join(named) or 'nothing'}", *([f"NOT screened: {', '.join(lost)}"] if lost else [])]


def _show_figures(manifest: Mapping[str, Any]) -> list[str]:
    return [
        f"measured  {plain(item['model_role'])} {plain(item['benchmark'])} {plain(item['metric'])} {item['value']:.3f} "
        + ("" if item["low"] is None else f"({item['low']:.3f} to {item['high']:.3f}, n {item['n']:,})")
        + ("" if item["is_screened"] else "  unscreened")
        for item in manifest["evaluations"]
    ]


def show_row(found: Mapping[str, Any], name: str) -> str:
    """One row's past."""
    made = found["generation"]
    told = " ".join(str(made[field]) for field in ("served_model", "system_fingerprint") if made[field]) or "by no name of its own"
    lines = [
        f"row {plain(name)}   recorded #{found['recorded']['seq']} {found['recorded']['at']} run {found['recorded']['run_id']}",
        f"  asked     {plain(made['requested_model'])} at {plain(made['provider'] or '-')}, prompt {plain(made['prompt_id'])}, "
        f"strategy {plain(made['strategy'])}",
        f"  answered  {plain(told)} ({made['status']}, {made['prompt_tokens']} + {made['completion_tokens']} tokens)",
        f"  terms     {plain(made['licence'] or 'not said')} {plain(made['terms_accepted_on'] or '')}".rstrip(),
        *_cut([f"  made from {_say_parent(parent)}" for parent in found["parents"]]),
        *(
            f"  judged    {item['status']}{' by people' if item['by_people'] else ''} (#{item['event_seq']}): {plain(' + '.join(item.get('judges', [])), 140)}"
            for item in found["judgments"]
        ),
        *_cut([f"  {item['how']:<12} {item['other'][:12]}… ({item['duplicate_kind']})" for item in found["duplicates"]]),
        *(f"  hit       {plain(item['benchmark'])} by rule {plain(item['rule'])}: {item['action']}" for item in found["hits"]),
        *(
            f"  dataset   {plain(item['recipe'])} {item['data_version'][:12]}… ({item['split']}), screened against {plain(', '.join(item['screened']), 140)}"
            for item in found["datasets"]
        ),
        *(_say_exposure(item) for item in found["exposures"]),
    ]
    if not found["exposures"]:
        lines.append("  seen      by no checkpoint")
    return "\n".join(lines)


def _cut(lines: list[str]) -> list[str]:
    """The first lines of a list that can be very long."""
    rest = len(lines) - MAX_LINES
    return lines if rest <= 0 else [*lines[:MAX_LINES], f"  …         and {rest:,} more (all with --json)"]


def _say_parent(parent: Mapping[str, Any]) -> str:
    steps = "" if parent["depth"] == 1 else f" ({parent['depth']} steps back)"
    if parent["source"] is None:
        return f"generation {parent['parent'][:12]}… of {plain(parent['teacher'])} as {parent['role']}{steps}"
    return f"seed {parent['parent'][:12]}… ({plain(parent['kind'])}, {plain(parent['licence'])}, {plain(parent['source'])}) as {parent['role']}{steps}"


def _say_exposure(item: Mapping[str, Any]) -> str:
    cut = ", truncated" if item["is_truncated"] else ""
    return (
        f"  seen      by {plain(item['checkpoint'])}: {item['n_times']}x, first at step {item['first_step']}, "
        f"{item['n_loss_tokens']} loss tokens{cut}"
    )


def show_taint(taints: Sequence[Any], selector: object, teachers: Sequence[Mapping[str, Any]]) -> str:
    """The checkpoints that a withdrawal touches."""
    if not taints:
        return f"{plain(selector)} touches no checkpoint"
    rows = [
        (
            taint.name, taint.how + (f" {taint.through}" if taint.through else ""),
            *("-" if value is None else f"{value:,}" for value in (taint.n_rows, taint.n_loss_tokens)),
            "-" if taint.share_frac is None else f"{taint.share_frac:.1%}",
        )
        for taint in taints
    ]  # fmt: skip
    lines = table(("checkpoint", "why", "rows", "loss tokens", "share"), rows, frozenset({2, 3, 4}))
    lines += [
        f"teacher now touched: {plain(item['teacher'])} is checkpoint {item['checkpoint'][:12]} ({item['n_rows']:,} rows)"
        for item in teachers
    ]
    return "\n".join(lines)


def show_log(events: Sequence[Any]) -> str:
    """Events, oldest first."""
    rows = [
        (event.seq, event.at or "-", event.kind, event.recipe or "-", sum(s.n_rows for s in event.segments) or "-",
         event.dagster.get("asset") or "-", str(event.dagster.get("run_id") or "-")[:8], event.hash[:12])
        for event in events
    ]  # fmt: skip
    return "\n".join(table(("seq", "at", "kind", "recipe", "rows", "asset", "run", "hash"), rows, frozenset({0, 4})))


def show_diff(diff: Mapping[str, Any]) -> str:
    """What changed between two checkpoints."""
    rows = diff["rows"]
    lines = [
        f"{plain(diff['first'])} -> {plain(diff['second'])}   weights {'the same' if diff['is_same_weights'] else 'differ'}",
        f"rows      {rows['n_only_first']:,} out, {rows['n_only_second']:,} in, {rows['n_changed']:,} rendered otherwise, {rows['n_both']:,} in both",
    ]
    for item in diff["teachers"]:
        first, second = item["n_rows"]
        lines.append(f"teacher   {plain(item['teacher'])} {plain(item['fingerprint'] or '')}: {first:,} -> {second:,} rows")
    for item in diff["figures"]:
        first, second = ("-" if value is None else f"{value:.3f}" for value in item["value"])
        lines.append(
            f"measured  {plain(item['model_role'])} {plain(item['benchmark'])}@{plain(item['version'], 12)} {plain(item['metric'])}: "
            f"{first} -> {second}"
        )
    for part, changed in diff["fields"].items():
        lines += [f"{part:<9} {plain(name)}: {plain(first)} -> {plain(second)}" for name, (first, second) in changed.items()]
    return "\n".join(lines)
