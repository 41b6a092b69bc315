"""The lineage checks of a checkpoint: seven yes-or-no questions to its lineage as the ledger tells it now.

Belongs here: the questions. Does not belong here: where the answers are shown (checkpoints) or the lineage itself (manifest).

An old checkpoint's answer can change without its being touched: when a teacher, a seed or a benchmark is withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from distill_assets.errors import name_culprits

CHECKS = {
    "no_withdrawn_teacher": "no teacher, judge, seed, licence or benchmark that was withdrawn has a part in it, directly or through another checkpoint",
    "licence_obligations_met": "what the teachers' licences ask for is done, as far as that can be seen",
    "judge_not_same_family": "no critic judged what a model of its own family wrote",
    "teacher_not_same_base": "no teacher shares a base model family with the student",
    "decontamination_covers_evaluations": "every figure is of a benchmark that the training data was screened against, in that version",
    "manifest_matches_ledger": "lineage.json beside the weights says what the ledger says, and the files are those that were recorded",
    "exposure_recorded": "what the optimizer saw of each row is recorded",
}
# Of a sealed lineage, what may be older than the ledger.
MOVING = ("ledger", "tombstones", "evaluations")

# Selector -> field of a teacher that it names.
WITHDRAWN_BY = {"teacher": "requested_model", "served": "served_model", "fingerprint": "system_fingerprint", "licence": "licence"}


class Answer(NamedTuple):
    """One check's answer: its name, whether it holds, and in words what does not, or what is open."""

    name: str
    passed: bool
    words: str


def judge_checkpoint(
    manifest: Mapping[str, Any], sealed: Mapping[str, Any] | None, reached: Sequence[str], problems: Sequence[str]
) -> list[Answer]:
    """Ask all checks.

    Args:
        manifest: the lineage, built from the ledger now. sealed: lineage.json beside the weights; None when there is none.
        reached: withdrawals that touch it through other checkpoints, in words. problems: what is wrong with its files, in words.
    """
    found = {
        "no_withdrawn_teacher": [_name_tombstone(item) for item in manifest["tombstones"]] + list(reached),
        "licence_obligations_met": [f"{i['obligation']} ({i['holder']})" for i in manifest["obligations"] if i["is_met"] is False],
        "judge_not_same_family": find_kin_judges(manifest),
        "teacher_not_same_base": find_kin_teachers(manifest),
        "decontamination_covers_evaluations": sorted({_name_figure(i) for i in manifest["evaluations"] if not i["is_screened"]}),
        "manifest_matches_ledger": [*_compare(manifest, sealed), *problems],
        "exposure_recorded": _check_exposure(manifest),
    }  # fmt: skip
    return [Answer(name, not wrong, name_culprits(wrong) or _note_open(name, manifest)) for name, wrong in found.items()]


def _name_tombstone(item: Mapping[str, Any]) -> str:
    selector = item["selector"]
    return f"{selector['kind']} {selector['value'][:40]} was withdrawn on {item['at'][:10]} ({item['reason']}): {item['n_rows']:,} rows"


def _name_figure(item: Mapping[str, Any]) -> str:
    return f"{item['benchmark']}@{(item['version'] or 'no version')[:12]}"


def find_kin_judges(manifest: Mapping[str, Any]) -> list[str]:
    """Critics that share a family with a teacher."""
    return [
        f"critic {judge['judge']} and teacher {teacher['requested_model']}: {', '.join(shared)}"
        for judge in manifest["judges"]
        if judge["layer"] == "critic"
        for teacher in manifest["teachers"]
        if (shared := sorted(set(judge["families"]) & set(teacher["families"])))
    ]


def find_kin_teachers(manifest: Mapping[str, Any]) -> list[str]:
    """Teachers that share a family, or a model that both were made from, with the student."""
    student = manifest["student"]
    own = {*student["families"], student["base_model"]}
    return [
        f"teacher {teacher['requested_model']}: {', '.join(shared)}"
        for teacher in manifest["teachers"]
        if (shared := sorted(own & {*teacher["families"], *teacher["base_lineage"]}))
    ]


def _compare(manifest: Mapping[str, Any], sealed: Mapping[str, Any] | None) -> list[str]:
    if sealed is None:
        return ["there is no lineage.json beside the weights"]
    return [f"'{name}' differs" for name in sorted({*manifest, *sealed} - set(MOVING)) if manifest.get(name) != sealed.get(name)]


def _check_exposure(manifest: Mapping[str, Any]) -> list[str]:
    told = manifest["exposure"]
    if told["n_rows_seen"] is None:
        return ["nobody counted what the optimizer saw"]
    summed = sum(teacher["n_rows_seen"] for teacher in manifest["teachers"])
    if summed != told["n_rows_seen"]:
        return [f"{told['n_rows_seen']:,} rows were seen, but the teachers' add up to {summed:,}"]
    return []


def _note_open(name: str, manifest: Mapping[str, Any]) -> str:
    if name != "licence_obligations_met":
        return ""
    open_ones = sorted({f"{i['obligation']} ({i['holder']})" for i in manifest["obligations"] if i["is_met"] is None})
    return f"for a person to decide: {name_culprits(open_ones)}" if open_ones else ""


def name_withdrawn(manifest: Mapping[str, Any], teacher: Mapping[str, Any]) -> list[str]:
    """WITHDRAWN, when a tombstone names this teacher; else nothing."""
    selectors = [item["selector"] for item in manifest["tombstones"]]
    hit = any(s["kind"] in WITHDRAWN_BY and teacher[WITHDRAWN_BY[s["kind"]]] == s["value"] for s in selectors)
    return ["WITHDRAWN"] if hit else []
