"""`lineage.json`: all that is known of a checkpoint, complete without any database.

Belongs here: putting it together from the ledger, and writing it beside the weights. Does not belong here: what is recorded (record),
how it is shown (page, cards, export).

It copies and does not point: teachers, terms, benchmarks and run ids stand in it, so that it can be read when ledger and Dagster are
gone. Everything in it can be built again from the ledger, which is how it is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distill_assets.lineage.audits.query import fetch, find_dataset, find_last, find_versions_at
from distill_assets.lineage.chain import Event
from distill_assets.lineage.obligations import find_obligations
from distill_assets.lineage.record import PEOPLE
from distill_assets.lineage.tombstones import list_tombstones, touches

FORMAT = "distill-lineage/1"
MANIFEST = "lineage.json"
SUMS = "sum(n_rows)::bigint as n_rows, sum(n_rows_seen)::bigint as n_rows_seen, sum(n_tokens)::bigint as n_tokens, sum(n_loss_tokens)::bigint as n_loss_tokens"
# Tables that a dataset is selected from.
SAMPLES = ("judged_samples", "real_samples")


def build_manifest(connection: Any, events: Sequence[Event], checkpoint: Event) -> dict[str, Any]:
    """A checkpoint's lineage as data, in the format `distill-lineage/1`.

    Args:
        connection: the ledger's views. events: the chain up to now. checkpoint: the event that recorded it.
    """
    facts, dataset = checkpoint.facts, find_dataset(events, checkpoint)
    mine = fetch(connection, "select salted(?) as id", [facts["checkpoint"]])[0]["id"]
    teachers = list_teachers(connection, mine, facts["student"])
    sources = list_groups(connection, mine, ("source", "licence"))
    manifest = {
        "format": FORMAT,
        "checkpoint": describe_checkpoint(checkpoint),
        "student": facts["student"],
        "dataset": _describe_dataset(connection, checkpoint, dataset),
        "exposure": facts["exposure"],
        "teachers": teachers,
        "sources": sources,
        "prompts": _list_prompts(connection, mine),
        "judges": _list_judges(connection, mine),
        "curation": _describe_curation(events, checkpoint, dataset),
        "decontamination": _describe_decontamination(events, dataset),
        "evaluations": _list_evaluations(connection, mine, _screened(events, dataset)),
        "flow": _list_flow(connection, mine, dataset),
        "obligations": find_obligations(teachers, describe_checkpoint(checkpoint)["name"], sources),
        "tombstones": _list_touching(events, teachers, connection, mine),
        "code": facts["code"],
        "environment": facts["environment"],
        "config": facts["config"],
        "dagster": _describe_dagster(events, checkpoint),
        "ledger": {
            "seq": events[-1].seq,
            "head": events[-1].hash,
            "genesis": events[0].hash,
            "salt_id": events[0].facts["salt_id"],
        },
    }
    return json.loads(json.dumps(manifest))  # plain data only, as it will be read back


def render(manifest: Mapping[str, Any]) -> str:
    """The manifest's text; the same manifest gives the same bytes."""
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def describe_checkpoint(checkpoint: Event) -> dict[str, Any]:
    """Who a checkpoint is: id, name, files."""
    facts = checkpoint.facts
    return {
        "id": facts["checkpoint"],
        "recipe": checkpoint.recipe,
        "name": f"{checkpoint.recipe}@{facts['checkpoint'][:12]}",
        "made_at": checkpoint.at,
        "weights_sha256": facts["weights_sha256"],
        "files": facts["files"],
    }


def list_teachers(connection: Any, mine: str, student: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The endpoints that wrote a checkpoint's rows, the one with the most loss tokens first."""
    rows = fetch(
        connection,
        f"""select m.*, e.role, e.requested_model, e.served_model, e.system_fingerprint, e.provider, e.upstream, e.headers, e.family,
          e.base_lineage, e.licence, e.terms_url, e.terms_sha256, e.terms_accepted_on
          from (select endpoint_id, {SUMS} from mix where checkpoint_id = ?::uuid group by endpoint_id) m
          left join endpoint e on e.endpoint_id = m.endpoint_id order by m.n_loss_tokens desc, m.n_rows desc, m.endpoint_id""",
        [mine],
    )
    total = sum(row["n_loss_tokens"] for row in rows)
    for row in rows:
        row["families"] = row.pop("family").split(",") if row["family"] else []
        row["base_lineage"] = row["base_lineage"] or []
        row["headers"] = json.loads(row["headers"]) if row["headers"] else {}
        row["role"] = row["role"] or "teacher"
        row["requested_model"] = row["requested_model"] or "not recorded"
        row["is_open"] = None
        row["share_frac"] = row["n_loss_tokens"] / total if total else 0.0
        row["flags"] = find_flags(row, student)
    return rows


def find_flags(teacher: Mapping[str, Any], student: Mapping[str, Any]) -> list[str]:
    """What a reader should notice of a teacher."""
    flags = []
    if shared := sorted(set(teacher["families"]) & set(student["families"])):
        flags.append(f"same base family as the student: {', '.join(shared)}")
    if teacher["role"] == "teacher" and teacher["licence"] is None:
        flags.append("terms not said")
    if teacher["served_model"] and teacher["served_model"] not in teacher["requested_model"]:
        flags.append(f"answered by {teacher['served_model']}")
    return flags


def list_groups(connection: Any, mine: str, columns: Iterable[str]) -> list[dict[str, Any]]:
    """A checkpoint's rows by columns of the roll-up, with each group's share of the loss tokens."""
    names = ", ".join(columns)
    rows = fetch(
        connection,
        f"select {names}, {SUMS} from mix where checkpoint_id = ?::uuid group by {names} order by n_loss_tokens desc, {names}",
        [mine],
    )
    total = sum(row["n_loss_tokens"] for row in rows)
    return [{**row, "share_frac": row["n_loss_tokens"] / total if total else 0.0} for row in rows]


def _list_prompts(connection: Any, mine: str) -> list[dict[str, Any]]:
    rows = fetch(
        connection,
        f"""select p.prompt_id, p.strategy, {SUMS} from mix m left join prompt p on p.prompt_key = m.prompt_key
          where checkpoint_id = ?::uuid group by all order by n_rows desc, p.prompt_id, p.strategy""",
        [mine],
    )
    total = sum(row["n_rows"] for row in rows)
    return [
        {"prompt_id": row["prompt_id"], "strategy": row["strategy"], "n_rows": row["n_rows"], "share_frac": row["n_rows"] / total}
        for row in rows
    ]


def _list_judges(connection: Any, mine: str) -> list[dict[str, Any]]:
    rows = fetch(
        connection,
        """select p.judge, p.layer, e.served_model, e.family, e.licence, sum(m.n_rows)::bigint as n_rows,
          any_value(t.n)::bigint as n_all from mix m join panel p on p.panel_id = m.panel_id left join endpoint e on e.endpoint_id = p.endpoint_id
          cross join (select sum(n_rows) as n from mix where checkpoint_id = ?::uuid) t where checkpoint_id = ?::uuid
          group by p.judge, p.layer, e.served_model, e.family, e.licence order by p.layer, p.judge, e.served_model, e.family, e.licence""",
        [mine, mine],
    )
    return [
        {
            "judge": row["judge"], "layer": row["layer"], "served_model": row["served_model"], "licence": row["licence"],
            "families": row["family"].split(",") if row["family"] else [], "n_rows": row["n_rows"],
            "share_frac": row["n_rows"] / row["n_all"] if row["n_all"] else 0.0,
        }
        for row in rows
    ]  # fmt: skip


def _describe_dataset(connection: Any, checkpoint: Event, dataset: Event | None) -> dict[str, Any]:
    splits = dataset.facts["by_split"] if dataset else {}
    [ids] = fetch(connection, "select salted(?) as id", [checkpoint.facts["data_version"]])
    return {
        "snapshot_id": ids["id"],
        "data_version": checkpoint.facts["data_version"],
        "merkle_root": checkpoint.facts["merkle_root"],
        "n_rows": dataset.facts["n_rows"] if dataset else None,
        "n_train_rows": splits.get("train", 0),
        "n_heldout_rows": splits.get("heldout", 0),
    }


def _describe_curation(events: Sequence[Event], checkpoint: Event, dataset: Event | None) -> dict[str, Any]:
    before = dataset.seq if dataset else checkpoint.seq
    by_teachers = [event for event in events if event.facts.get("written_by") != PEOPLE]
    asked, judged = (find_last(by_teachers, kind, checkpoint.recipe, before) for kind in ("generations", "verdicts"))
    states = judged.facts["by_status"] if judged else {}
    return {
        "n_generations": asked.facts["n_generations"] if asked else None,
        **{f"n_{state}": states.get(state, 0) for state in ("accepted", "rejected", "unscored")},
        "n_kept": dataset.facts["n_rows"] if dataset else None,
        "dropped": dataset.facts["dropped"] if dataset else {},
    }


def _find_screening(events: Sequence[Event], dataset: Event | None) -> Event | None:
    return find_last(events, "decontamination", dataset.recipe, dataset.seq) if dataset else None


def _screened(events: Sequence[Event], dataset: Event | None) -> set[tuple[str, str]]:
    """Benchmarks, by name and digest, that the rows were screened against: before they were selected, or later without another hit.

    A benchmark that changes and hits nothing leaves the dataset as it is: no event of it follows the one of the screening.
    """
    first = _find_screening(events, dataset)
    if first is None or dataset is None:
        return set()
    own, version = _find_samples(events, dataset), first.dagster.get("data_version")
    later = [e for e in events if e.kind == "decontamination" and e.recipe == dataset.recipe and e.seq > dataset.seq]
    same = [e for e in later if e.dagster.get("data_version") == version and _find_samples(events, e) == own]
    return {(item["name"], item["digest"]) for run in (first, *same) for item in run.facts["benchmarks"]}


def _find_samples(events: Sequence[Event], place: Event) -> list[str | None]:
    versions = find_versions_at(events, place)
    return [versions.get(name) for name in SAMPLES]


def _describe_decontamination(events: Sequence[Event], dataset: Event | None) -> dict[str, Any]:
    run = _find_screening(events, dataset)
    return {
        "benchmarks": run.facts["benchmarks"] if run else [],
        "rules": run.facts["rules"] if run else {},
        "n_hits": run.facts["n_hits"] if run else 0,
        "n_rows_kept_out": dataset.facts["dropped"].get("contaminated", 0) if dataset else 0,
    }


def _list_evaluations(connection: Any, mine: str, screened: set[tuple[str, str]]) -> list[dict[str, Any]]:
    rows = fetch(
        connection,
        """select evaluation_id, benchmark, version, digest, source, model_role, metric, value, low, high, n from evaluation
          where checkpoint_id = ?::uuid order by benchmark, model_role, metric, version, source, evaluation_id""",
        [mine],
    )
    # What is held out of the dataset itself cannot leak from it: duplicates left before the split.
    return [{**row, "is_screened": row["source"] == "synthetic" or (row["benchmark"], row["digest"]) in screened} for row in rows]


def _list_flow(connection: Any, mine: str, dataset: Event | None) -> list[dict[str, Any]]:
    panels = "(select panel_id, string_agg(judge, ' + ' order by layer, judge) as judge from panel group by panel_id)"
    names = "x.source, x.licence, coalesce(e.served_model, e.requested_model) as teacher, p.judge"
    version = dataset.facts["data_version"] if dataset else ""
    return fetch(
        connection,
        f"""select {names}, fate, sum(x.n_rows)::bigint as n_rows from (
            select source, licence, endpoint_id, panel_id, 'kept' as fate, n_rows from mix where checkpoint_id = ?::uuid
            union all select source, licence, endpoint_id, panel_id, reason, n_rows from dropped where snapshot_id = salted(?)) x
          left join endpoint e on e.endpoint_id = x.endpoint_id left join {panels} p on p.panel_id = x.panel_id
          group by all order by all""",
        [mine, version],
    )


def _list_touching(events: Sequence[Event], teachers: list[dict[str, Any]], connection: Any, mine: str) -> list[dict[str, Any]]:
    found = []
    for tombstone in list_tombstones(events):
        n_rows = touches(connection, tombstone.selector, mine)
        if n_rows:
            found.append({"tombstone_id": tombstone.id, "selector": tombstone.selector._asdict(), "reason": tombstone.reason,
                          "at": tombstone.at, "n_rows": n_rows})  # fmt: skip
    return found


def _describe_dagster(events: Sequence[Event], checkpoint: Event) -> dict[str, Any]:
    """Run and data version of each asset as they were last recorded before the checkpoint, its own included."""
    runs, versions = {}, {}
    for event in events:
        told = event.dagster
        if event.recipe == checkpoint.recipe and event.seq <= checkpoint.seq and told.get("asset"):
            runs[told["asset"]], versions[told["asset"]] = told.get("run_id"), told.get("data_version")
    return {"run_ids": runs, "data_versions": versions}
