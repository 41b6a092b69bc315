"""Every format, held against the library or the schema that reads it, and each of those against a broken document."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_assets.errors import LineageError
from distill_assets.lineage.export.registry import FORMATS, export_manifest
from tests.lineage.example_manifest import build_least, build_manifest, replace_strings

BUILDERS = (build_manifest, build_least)
ODD_TEXT = st.text(alphabet=st.characters(codec=None), max_size=40)


def document(name: str, manifest: dict[str, Any]) -> Any:
    return json.loads(export_manifest(manifest, name)[1])


def check_cyclonedx(text: str) -> Any:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)


def load_croissant(found: dict[str, Any]) -> Any:
    import mlcroissant

    return mlcroissant.Dataset(jsonld=found)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_same_manifest_gives_the_same_bytes_and_is_left_alone(name: str) -> None:
    manifest = build_manifest()
    before = copy.deepcopy(manifest)
    first = export_manifest(manifest, name)
    assert first == export_manifest(build_manifest(), name)
    assert manifest == before


def test_the_bytes_do_not_depend_on_the_hash_seed_of_the_process() -> None:
    script = (
        "from distill_assets.lineage.export.registry import *; from tests.lineage.example_manifest import *; import hashlib;"
        "print([hashlib.sha256(export_manifest(build_manifest(), n)[1]).hexdigest() for n in sorted(FORMATS)])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


@pytest.mark.parametrize("name", sorted(FORMATS))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=ODD_TEXT)
def test_any_string_in_any_field_is_exported(name: str, text: str) -> None:
    assert export_manifest(replace_strings(build_manifest(), lambda _: text), name)[1]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=ODD_TEXT)
def test_a_bill_of_any_strings_is_valid(text: str) -> None:
    bill = export_manifest(replace_strings(build_manifest(), lambda _: text), "cyclonedx")[1].decode()
    assert check_cyclonedx(bill) is None


@pytest.mark.parametrize("build", BUILDERS)
def test_the_bill_is_valid_cyclonedx(build: Callable[[], dict[str, Any]]) -> None:
    assert check_cyclonedx(export_manifest(build(), "cyclonedx")[1].decode()) is None


@pytest.mark.parametrize("breaks", ["bomFormat", "hash", "unknown", "reference"])
def test_the_validator_refuses_a_broken_bill(breaks: str) -> None:
    bill = document("cyclonedx", build_manifest())
    student = bill["metadata"]["component"]
    if breaks == "bomFormat":
        bill["bomFormat"] = "CycloneDX?"
    elif breaks == "hash":
        student["hashes"][0]["content"] = "not a digest"
    elif breaks == "unknown":
        student["modelCard"]["teachers"] = []
    else:
        bill["components"].append(bill["components"][0])
    assert check_cyclonedx(json.dumps(bill)) is not None


def test_the_bill_says_what_the_student_is_made_of() -> None:
    manifest = build_manifest()
    bill = document("cyclonedx", manifest)
    student, parts = bill["metadata"]["component"], {part["bom-ref"]: part for part in bill["components"]}
    assert student["hashes"] == [{"alg": "SHA-256", "content": manifest["checkpoint"]["weights_sha256"]}]
    assert student["pedigree"]["ancestors"][0]["name"] == manifest["student"]["base_model"]
    for teacher in manifest["teachers"]:
        kept = {p["name"]: p["value"] for p in parts[f"teacher:{teacher['endpoint_id']}"]["properties"]}
        assert kept["distill:n_rows_seen"] == str(teacher["n_rows_seen"])
    refs = {student["bom-ref"], *parts}
    named = {ref for line in bill["dependencies"] for ref in [line["ref"], *line.get("dependsOn", [])]}
    assert named == refs


@pytest.mark.parametrize("build", BUILDERS)
def test_croissant_reads_the_dataset(build: Callable[[], dict[str, Any]]) -> None:
    manifest = build()
    dataset = load_croissant(document("croissant", manifest))
    assert not dataset.metadata.ctx.issues.errors
    if manifest["teachers"]:
        rows = list(dataset.records("teachers"))
        assert [row["teachers/n_rows_seen"] for row in rows] == [teacher["n_rows_seen"] for teacher in manifest["teachers"]]


@pytest.mark.parametrize("breaks", ["dataType", "source", "conformsTo"])
def test_croissant_refuses_a_broken_dataset(breaks: str) -> None:
    import mlcroissant

    found = document("croissant", build_manifest())
    if breaks == "dataType":
        del found["recordSet"][0]["field"][0]["dataType"]
    elif breaks == "source":
        del found["recordSet"][0]["data"]
    else:
        found["conformsTo"] = "http://mlcommons.org/croissant/9.9"
    with pytest.raises((mlcroissant.ValidationError, ValueError)):
        assert not load_croissant(found).metadata.ctx.issues.errors


def test_croissant_tells_of_synthetic_data_by_rows_of_models() -> None:
    manifest = build_manifest()
    assert document("croissant", manifest)["rai:hasSyntheticData"] is True
    manifest["teachers"] = [teacher for teacher in manifest["teachers"] if teacher["role"] == "people"]
    assert document("croissant", manifest)["rai:hasSyntheticData"] is False


def test_the_summary_for_the_eu_has_its_four_points_and_marked_blanks() -> None:
    manifest = build_manifest()
    manifest["teachers"][2] |= {"licence": None, "terms_url": None}
    text = export_manifest(manifest, "eu-summary")[1].decode()
    part = text.split("### 2.5 Synthetic data")[1].split("### 2.6")[0]
    market, other = part.split("(iii)")
    assert "(i) Modality: text" in part and "(iv) Comments" in part
    assert "gpt-x-2026-01-10" in market and "Llama-3.3-70B" in market and "Qwen3-32B" in other and "Qwen3-32B" not in market
    assert "`people`" not in part
    assert "no legal advice" in text and text.count("[to be filled in:") >= 8


@pytest.mark.parametrize(("part", "value"), [("format", "distill-lineage/2"), ("teachers", None), ("exposure", [])])
def test_a_manifest_that_is_none_is_refused_in_words(part: str, value: object) -> None:
    with pytest.raises(LineageError, match="Nothing was exported"):
        export_manifest(build_manifest() | {part: value}, "hf")


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LineageError, match="cyclonedx, eu-summary"):
        export_manifest(build_manifest(), "spdx")
