"""CycloneDX 1.6 ML-BOM: the student, what it was made of, and the digests.

Belongs here: the mapping to CycloneDX. Does not belong here: a model of CycloneDX: its Python library knows no model card
(11.12), so the document is plain JSON, and the library's strict schema is what the tests hold it against.
Source: CycloneDX 1.6 JSON schema; ECMA-424.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distill_assets.identity import hash_text, make_id
from distill_assets.lineage.cards import LIMITS
from distill_assets.lineage.showing import NO_ADVICE, decide, fold, name_endpoint, name_selector, prepare_manifest

SPDX = {name.lower(): name for name in (
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0",
)}  # fmt: skip


def render_cyclonedx(manifest: Mapping[str, Any]) -> str:
    """The bill of materials as JSON text.

    Raises:
        LineageError: the manifest cannot be shown.
    """
    manifest = prepare_manifest(manifest)
    student, base, dataset = _student(manifest), _base(manifest), _dataset(manifest)
    teachers = [_teacher(teacher) for teacher in manifest["teachers"]]
    sources = [_source(source) for source in manifest["sources"]]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{_uuid(make_id('cyclonedx', hash_text(json.dumps(manifest, sort_keys=True))))}",
        "metadata": _metadata(manifest, student),
        "components": _once([base, dataset, *teachers, *sources]),
        "dependencies": _dependencies(student, base, dataset, [*teachers, *sources]),
    }  # fmt: skip
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _metadata(manifest: Mapping[str, Any], student: dict[str, Any]) -> dict[str, Any]:
    tool = {"type": "application", "name": "distill-assets", "version": fold(manifest["code"]["package_version"])}
    found: dict[str, Any] = {"tools": {"components": [tool]}, "component": student}
    return found | ({"timestamp": manifest["checkpoint"]["made_at"]} if manifest["checkpoint"]["made_at"] else {})


def _student(manifest: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint, student = manifest["checkpoint"], manifest["student"]
    ancestors = [{**_base(manifest), "bom-ref": "ancestor:base"}]
    if student["parent_checkpoint"]:
        ancestors.append({"type": "machine-learning-model", "name": f"checkpoint {student['parent_checkpoint']}"})
    files = [
        {"type": "file", "name": fold(name), "bom-ref": f"file:{make_id(name)}", "hashes": _hashes(file["sha256"])}
        for name, file in sorted(checkpoint["files"].items())
    ]
    return {
        "type": "machine-learning-model", "bom-ref": f"checkpoint:{checkpoint['id']}", "name": fold(checkpoint["name"]),
        "version": checkpoint["id"], "description": fold(student["description"], 1000), "hashes": _hashes(checkpoint["weights_sha256"]),
        "components": files, "pedigree": {"ancestors": ancestors}, "modelCard": _model_card(manifest),
        "properties": _properties({
            **{f"exposure.{name}": value for name, value in manifest["exposure"].items()}, "ledger.head": manifest["ledger"]["head"],
            "ledger.seq": manifest["ledger"]["seq"], "dataset.merkle_root": manifest["dataset"]["merkle_root"],
            **{f"tombstone.{i}": f"{name_selector(t['selector'])}: {t['reason']}" for i, t in enumerate(manifest["tombstones"])},
        }),
    }  # fmt: skip


def _model_card(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "modelParameters": {
            "task": fold(manifest["student"]["task"]), "datasets": [{"ref": f"dataset:{manifest['dataset']['snapshot_id']}"}],
            "inputs": [{"format": "text"}], "outputs": [{"format": "text"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": [_metric(row) for row in manifest["evaluations"] if row["value"] is not None]},
        "considerations": {
            "technicalLimitations": list(LIMITS),
            "ethicalConsiderations": [
                {"name": f"{fold(o['obligation'])} ({fold(o['holder'])}, {fold(o['licence'])}): {decide(o['is_met'])}",
                 "mitigationStrategy": NO_ADVICE}
                for o in manifest["obligations"]
            ],
        },
    }  # fmt: skip


def _metric(row: Mapping[str, Any]) -> dict[str, Any]:
    screened = "screened" if row["is_screened"] else "UNSCREENED"
    found: dict[str, Any] = {
        "type": fold(row["metric"]), "value": repr(row["value"]),
        "slice": f"{fold(row['model_role'])} on {fold(row['benchmark'])} {fold(row['version'])}, {fold(row['source'])}, {screened}",
    }  # fmt: skip
    if row["low"] is not None and row["high"] is not None:
        found["confidenceInterval"] = {"lowerBound": repr(row["low"]), "upperBound": repr(row["high"])}
    return found


def _base(manifest: Mapping[str, Any]) -> dict[str, Any]:
    student = manifest["student"]
    return {"type": "machine-learning-model", "bom-ref": "base", "name": fold(student["base_model"]),
            "version": fold(student["base_revision"]), **_licences(student["base_licence"])}  # fmt: skip


def _teacher(teacher: Mapping[str, Any]) -> dict[str, Any]:
    kind = "data" if teacher["role"] == "people" else "machine-learning-model"
    names = (
        "role", "requested_model", "served_model", "system_fingerprint", "provider", "upstream", "terms_url", "terms_sha256",
        "terms_accepted_on", "is_open", "n_rows", "n_rows_seen", "n_tokens", "n_loss_tokens", "share_frac",
    )  # fmt: skip
    facts = {name: teacher[name] for name in names} | {
        "families": ", ".join(teacher["families"]),
        "flags": ", ".join(teacher["flags"]),
    }
    return {"type": kind, "bom-ref": f"teacher:{teacher['endpoint_id']}", "name": name_endpoint(teacher),
            **_licences(teacher["licence"]), "properties": _properties(facts)}  # fmt: skip


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: source[name] for name in ("n_rows", "n_rows_seen", "n_tokens", "n_loss_tokens", "share_frac")}
    return {"type": "data", "bom-ref": f"source:{make_id(source['source'], source['licence'])}", "name": fold(source["source"]),
            "data": [{"type": "dataset", "name": fold(source["source"])}],
            **_licences(source["licence"]), "properties": _properties(facts)}  # fmt: skip


def _dataset(manifest: Mapping[str, Any]) -> dict[str, Any]:
    dataset = manifest["dataset"]
    return {"type": "data", "bom-ref": f"dataset:{dataset['snapshot_id']}", "name": "training dataset", "version": dataset["data_version"],
            "data": [{"type": "dataset", "name": "training dataset", "description": "synthetic rows; see the teachers"}],
            "properties": _properties(dataset)}  # fmt: skip


def _dependencies(
    student: dict[str, Any], base: dict[str, Any], dataset: dict[str, Any], made_of: list[Any]
) -> list[dict[str, Any]]:
    parts = sorted({part["bom-ref"] for part in made_of})
    return [
        {"ref": student["bom-ref"], "dependsOn": [base["bom-ref"], dataset["bom-ref"]]},
        {"ref": dataset["bom-ref"], "dependsOn": parts}, {"ref": base["bom-ref"]}, *({"ref": part} for part in parts),
    ]  # fmt: skip


def _once(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({component["bom-ref"]: component for component in components}.values())


def _licences(name: str | None) -> dict[str, Any]:
    if not name:
        return {}
    known = SPDX.get(name.lower())
    return {"licenses": [{"license": {"id": known} if known else {"name": fold(name)}}]}


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]


def _properties(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"name": f"distill:{name}", "value": fold(value, 500)} for name, value in sorted(facts.items()) if value is not None]


def _uuid(hex32: str) -> str:
    return f"{hex32[:8]}-{hex32[8:12]}-{hex32[12:16]}-{hex32[16:20]}-{hex32[20:]}"
