"""Croissant 1.1 with the RAI vocabulary: the training dataset, what it derives from, and who wrote it.

Belongs here: the mapping to JSON-LD. Does not belong here: rows: the mix is in two record sets with their data inline.
It names no file: the rows are nobody's to publish by an export, and a digest of what is not there would be a lie.
Source: mlcommons.org/croissant/1.1 and /croissant/RAI; W3C PROV-O for prov:wasDerivedFrom.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from distill_assets.lineage.cards import LIMITS
from distill_assets.lineage.showing import count, fold, name_endpoint, percent, prepare_manifest

CR = ("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet",
      "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references",
      "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform")  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "dct": "http://purl.org/dc/terms/", "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo", "data": {"@id": "cr:data", "@type": "@json"}, "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "name": {"@container": "@language"},
    "description": {"@container": "@language"}, **{name: f"cr:{name}" for name in CR},
}  # fmt: skip
TEXT, WHOLE, FRACTION = "sc:Text", "sc:Integer", "sc:Float"


def render_croissant(manifest: Mapping[str, Any]) -> str:
    """The dataset's description as JSON-LD text.

    Raises:
        LineageError: the manifest cannot be shown.
    """
    manifest = prepare_manifest(manifest)
    dataset = manifest["dataset"]
    document: dict[str, Any] = {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": f"Training data of {fold(manifest['checkpoint']['name'])}",
        "description": f"{count(dataset['n_rows'])} rows; Merkle root {dataset['merkle_root']}.",
        "url": f"urn:distill:snapshot:{dataset['snapshot_id']}", "identifier": dataset["snapshot_id"], "version": "1.0.0",
        "inLanguage": manifest["student"]["languages"], "prov:wasDerivedFrom": _parents(manifest), **_rai(manifest),
        "recordSet": [part for part in (_teachers(manifest), _sources(manifest)) if part["data"]],
    }  # fmt: skip
    if made_at := manifest["checkpoint"]["made_at"]:
        document["dateCreated"] = made_at
    if licences := sorted({fold(source["licence"]) for source in manifest["sources"] if source["licence"]}):
        document["license"] = licences
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _parents(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    seeds = [{"@type": "prov:Entity", "name": f"seed source {fold(source['source'])}"} for source in manifest["sources"]]
    return seeds + [
        {
            "@id": f"urn:distill:endpoint:{teacher['endpoint_id']}",
            "@type": "prov:Entity",
            "name": f"answers of {name_endpoint(teacher)}",
        }
        for teacher in manifest["teachers"]
    ]


def _rai(manifest: Mapping[str, Any]) -> dict[str, Any]:
    teachers, curation, screened = manifest["teachers"], manifest["curation"], manifest["decontamination"]
    made = [teacher for teacher in teachers if teacher["role"] != "people"]
    against = ", ".join(f"{fold(b['name'])} {fold(b['version'])}" for b in screened["benchmarks"]) or "nothing"
    dropped = ", ".join(f"{fold(reason)}: {n}" for reason, n in sorted(curation["dropped"].items()) if n) or "none"
    return {
        "rai:hasSyntheticData": any(teacher["n_rows"] for teacher in made),
        "rai:dataCollection": "; ".join(f"{name_endpoint(t)}: {count(t['n_rows'])} rows, {percent(t['share_frac'])} of loss tokens" for t in teachers),
        "rai:dataCollectionType": ["Synthetic data generation"] + (["Direct measurement"] if len(made) < len(teachers) else []),
        "rai:machineAnnotationTools": [f"{fold(j['judge'])} ({fold(j['layer'])})" for j in manifest["judges"]],
        "rai:dataPreprocessingProtocol": [
            f"{count(curation['n_generations'])} generated, {count(curation['n_kept'])} kept; dropped: {dropped}",
            f"screened against {against}: {count(screened['n_rows_kept_out'])} rows kept out",
        ],
        "rai:dataLimitations": list(LIMITS),
    }  # fmt: skip


def _teachers(manifest: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "name": TEXT,
        "role": TEXT,
        "licence": TEXT,
        "n_rows": WHOLE,
        "n_rows_seen": WHOLE,
        "n_loss_tokens": WHOLE,
        "share_frac": FRACTION,
    }
    rows = [{**t, "name": name_endpoint(t), "licence": fold(t["licence"])} for t in manifest["teachers"]]
    return _records("teachers", fields, rows)


def _sources(manifest: Mapping[str, Any]) -> dict[str, Any]:
    fields = {"source": TEXT, "licence": TEXT, "n_rows": WHOLE, "n_rows_seen": WHOLE, "share_frac": FRACTION}
    return _records(
        "sources", fields, [{**s, "source": fold(s["source"]), "licence": fold(s["licence"])} for s in manifest["sources"]]
    )


def _records(name: str, fields: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A record set with its rows inline; one without rows would be none to Croissant, for its fields came from nowhere."""
    return {
        "@type": "cr:RecordSet", "@id": name, "name": name,
        "field": [{"@type": "cr:Field", "@id": f"{name}/{field}", "name": f"{name}/{field}", "dataType": kind} for field, kind in fields.items()],
        "data": [{f"{name}/{field}": row[field] for field in fields} for row in rows],
    }  # fmt: skip
