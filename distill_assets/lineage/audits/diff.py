"""What changed between two checkpoints: teachers, rows, tokens, code, figures.

Belongs here: comparing two lineages and two sets of rows. Does not belong here: how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill_assets.lineage.audits.query import fetch

# Parts of a lineage that are compared as they stand.
COMPARED = ("student", "exposure", "curation", "decontamination", "code", "environment", "config")


def compare_checkpoints(connection: Any, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Differences of two lineages; empty lists and dicts where there is none.

    Args:
        first, second: manifests of the format distill-lineage/1.
    """
    return {
        "first": first["checkpoint"]["name"],
        "second": second["checkpoint"]["name"],
        "rows": _compare_rows(connection, first["dataset"]["snapshot_id"], second["dataset"]["snapshot_id"]),
        "teachers": _compare_teachers(first, second),
        "fields": {part: changed for part in COMPARED if (changed := _compare(first[part], second[part]))},
        "figures": _compare_figures(first, second),
        "is_same_weights": first["checkpoint"]["weights_sha256"] == second["checkpoint"]["weights_sha256"],
    }


def is_different(diff: Mapping[str, Any]) -> bool:
    """Whether anything differs but the figures' place in time."""
    rows = diff["rows"]
    moved = rows["n_only_first"] or rows["n_only_second"] or rows["n_changed"]
    return bool(moved or diff["teachers"] or diff["fields"] or diff["figures"] or not diff["is_same_weights"])


def _compare_rows(connection: Any, first: str, second: str) -> dict[str, int]:
    [row] = fetch(
        connection,
        """select count(*) filter (b.generation_id is null)::bigint as n_only_first,
          count(*) filter (a.generation_id is null)::bigint as n_only_second,
          count(*) filter (a.row_digest is distinct from b.row_digest and a.generation_id is not null and b.generation_id is not null)::bigint
            as n_changed,
          count(*) filter (a.generation_id is not null and b.generation_id is not null)::bigint as n_both
          from (select * from snapshot_row where snapshot_id = $first::uuid) a
          full join (select * from snapshot_row where snapshot_id = $second::uuid) b on a.generation_id = b.generation_id""",
        {"first": first, "second": second},
    )
    return row


def _compare_teachers(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    by_id = [{teacher["endpoint_id"]: teacher for teacher in side["teachers"]} for side in (first, second)]
    changed = []
    for endpoint in sorted({*by_id[0], *by_id[1]}):
        sides = [side.get(endpoint) for side in by_id]
        figures = [(side["n_rows"], side["n_loss_tokens"]) if side else (0, 0) for side in sides]
        known = sides[1] or sides[0]
        if figures[0] != figures[1] and known:
            changed.append({
                "teacher": known["served_model"] or known["requested_model"],
                "fingerprint": known["system_fingerprint"],
                "n_rows": [figures[0][0], figures[1][0]],
                "n_loss_tokens": [figures[0][1], figures[1][1]],
            })  # fmt: skip
    return changed


def _compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    names = sorted({*first, *second})
    return {name: [first.get(name), second.get(name)] for name in names if first.get(name) != second.get(name)}


def _compare_figures(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    # Figures on other items are other figures.
    key = ("benchmark", "version", "source", "model_role", "metric")
    by_key = [{tuple(item[name] for name in key): item for item in side["evaluations"]} for side in (first, second)]
    changed = []
    for names in sorted({*by_key[0], *by_key[1]}, key=str):
        values = [side[names]["value"] if names in side else None for side in by_key]
        if values[0] != values[1]:
            changed.append({**dict(zip(key, names, strict=True)), "value": values})
    return changed
