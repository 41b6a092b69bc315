"""The summary of training content that the EU's template asks for, as far as the record knows it.

Belongs here: section 2.5 (synthetic data) from row facts, and the other sections as marked blanks. Does not belong here:
legal judgement. Source: template C(2025) 8311 of 5 December 2025, sec. 2.5 (i) to (iv); Model Documentation Form 1.3, 1.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill_assets.lineage.cards import sources_table
from distill_assets.lineage.showing import NO_ADVICE, code, count, name_endpoint, percent, prepare_manifest, table

BLANK = "**[to be filled in: {}]**"


def render_eu_summary(manifest: Mapping[str, Any]) -> str:
    """The summary as markdown.

    Raises:
        LineageError: the manifest cannot be shown.
    """
    manifest = prepare_manifest(manifest)
    sections = [
        _title(),
        _general(manifest),
        _sources(manifest),
        _synthetic(manifest),
        _rest(),
        _processing(manifest),
        _hashes(manifest),
    ]
    return "\n\n".join(sections) + "\n"


def _blank(what: str) -> str:
    return BLANK.format(what)


def _title() -> str:
    return (
        "# Public summary of training content (draft)\n\n"
        f"After the template C(2025) 8311. {NO_ADVICE} What the record cannot know is marked as a blank, and whether the template "
        "applies to this model at all is for its provider to decide."
    )


def _general(manifest: Mapping[str, Any]) -> str:
    student, checkpoint = manifest["student"], manifest["checkpoint"]
    lines = [
        f"Provider: {_blank('name and contact of the provider and of the authorised representative')}",
        f"Model: {code(checkpoint['name'])}, checkpoint {code(checkpoint['id'])}",
        f"Model dependencies: modified from {code(student['base_model'])} at {code(student['base_revision'])}"
        + (f", continued from {code(student['parent_checkpoint'])}" if student["parent_checkpoint"] else ""),
        f"Date of placing on the Union market: {_blank('date')}",
        f"Modality: text. Languages: {', '.join(code(language) for language in student['languages']) or _blank('languages')}",
        f"Size of what was trained on: {count(manifest['exposure']['n_tokens'])} tokens, "
        f"{count(manifest['exposure']['n_rows_seen'])} rows (this training only)",
        f"Data of the base model: {_blank('see the summary of the base model')}",
    ]
    return "## 1 General information\n\n" + _bullets(lines)


def _sources(manifest: Mapping[str, Any]) -> str:
    asks = (
        "### 2.1 Publicly available datasets", "### 2.2 Private datasets of third parties", "### 2.3 Data crawled and scraped",
        "### 2.4 User data",
    )  # fmt: skip
    blanks = "\n\n".join(
        f"{head}\n\n{_blank('which of the seed files below are of this kind, and whose they are')}" for head in asks
    )
    return f"## 2 List of data sources\n\nSeed files, from which prompts were made:\n\n{sources_table(manifest)}\n\n{blanks}"


def _synthetic(manifest: Mapping[str, Any]) -> str:
    made = [teacher for teacher in manifest["teachers"] if teacher["role"] != "people"]
    market = [teacher for teacher in made if teacher["licence"] or teacher["terms_url"]]
    other = [teacher for teacher in made if not (teacher["licence"] or teacher["terms_url"])]
    people = sum(teacher["n_rows"] for teacher in manifest["teachers"] if teacher["role"] == "people")
    return (
        f"### 2.5 Synthetic data\n\nWas synthetic data made by or for the provider to train the model: {'yes' if made else 'no'}.\n\n"
        f"(i) Modality: {'text' if made else 'none'}.\n\n"
        f"(ii) General-purpose AI models used to generate it, if available on the market (taken to be those with a licence or terms; "
        f"{_blank('confirm')}):\n\n{_models(market)}\n\n"
        f"(iii) Other AI models, including own models that are not on the market (no licence and no terms were recorded; "
        f"{_blank('confirm')}):\n\n{_models(other)}\n\n"
        f"(iv) Comments: {count(manifest['curation']['n_generations'])} answers were generated and "
        f"{count(manifest['curation']['n_kept'])} kept; {count(manifest['exposure']['n_rows_seen'])} rows were seen in training; "
        f"{count(people)} rows were written by people. Model names are what the endpoints reported."
    )


def _models(teachers: list[Mapping[str, Any]]) -> str:
    rows = [
        [
            code(name_endpoint(t)), code(t["requested_model"]), code(t["provider"]), code(t["licence"] or t["terms_url"]),
            count(t["n_rows_seen"]), count(t["n_loss_tokens"]), percent(t["share_frac"]),
        ]
        for t in teachers
    ]  # fmt: skip
    head = ["model that answered", "asked for", "via", "terms", "rows seen>", "loss tokens>", "share>"]
    return table(head, rows) if rows else "None was recorded."


def _rest() -> str:
    return f"### 2.6 Other sources\n\n{_blank('anything that did not pass through this build')}"


def _processing(manifest: Mapping[str, Any]) -> str:
    screened = manifest["decontamination"]
    return (
        f"## 3 Data processing\n\n### 3.1 Reservations of rights\n\n{_blank('measures to respect opt-outs of text and data mining')}\n\n"
        f"### 3.2 Illegal content\n\n{_blank('measures to remove it')}\n\n### 3.3 Other\n\n"
        f"{count(screened['n_rows_kept_out'])} rows were kept out because they were like items of benchmarks; "
        f"{count(len(manifest['tombstones']))} withdrawals or erasures stand against this checkpoint."
    )


def _hashes(manifest: Mapping[str, Any]) -> str:
    lines = [
        f"Weights, SHA-256: {code(manifest['checkpoint']['weights_sha256'])}", f"Dataset, Merkle root: {code(manifest['dataset']['merkle_root'])}",
        f"Ledger head: {code(manifest['ledger']['head'])}",
    ]  # fmt: skip
    return "## Secure hashes\n\n" + _bullets(lines)


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
