"""What one judge found on one criterion, and its row of the verdicts table.

Belongs here: the plain data that all layers of judging share, and their order. Does not belong here: any judging.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

MAX_REASON_CHARS = 300
MAX_EVIDENCE_CHARS = 4_000


class Finding(NamedTuple):
    """One criterion's outcome; `score` is None when unscored. One that is not decisive is shown and settles nothing."""

    layer: str
    judge: str
    criterion: str
    status: str
    score: float | None
    reason: str | None = None
    is_decisive: bool = True
    evidence: Mapping[str, object] | None = None


def build_row(subject_id: str, key: str, finding: Finding, is_canary: bool = False) -> dict[str, object]:
    """A finding as a row of the verdicts table.

    Args:
        subject_id: the generation's or canary's id. key: content id of all that decides the finding.
    """
    return {
        "generation_id": subject_id,
        "layer": finding.layer,
        "judge": finding.judge,
        "criterion": finding.criterion,
        "verdict_status": finding.status,
        "score": finding.score,
        "reason": None if finding.reason is None else clean_line(finding.reason, MAX_REASON_CHARS),
        "is_decisive": finding.is_decisive,
        "is_canary": is_canary,
        "evidence": _render_evidence(finding.evidence),
        "judge_key": key,
    }


def clean_line(text: str, n: int) -> str:
    """Text on one printable line of at most `n` characters: a model wrote some of it."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= n else line[: n - 1] + "…"


def _render_evidence(evidence: Mapping[str, object] | None) -> str | None:
    if not evidence:
        return None
    text = json.dumps(evidence, ensure_ascii=False, sort_keys=True, default=str)
    if len(text) <= MAX_EVIDENCE_CHARS:
        return text
    return json.dumps({"cut": text[:MAX_EVIDENCE_CHARS]}, ensure_ascii=False)
