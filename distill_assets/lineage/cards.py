"""The Hugging Face cards of a checkpoint and of its dataset.

Belongs here: front matter and wording. Does not belong here: counting (record), other formats (export).

Only screened figures of the student go into the machine-readable results; the others are named as unscreened. Foreign
text stands as inline code or in the front matter, which the hub's own classes write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from distill_assets.lineage.showing import (
    NO_ADVICE,
    NOT_SAID,
    code,
    count,
    decide,
    fold,
    name_endpoint,
    name_selector,
    percent,
    prepare_manifest,
    table,
)  # fmt: skip

# Names that the hub knows; any other goes out as "other" with its name.
HUB_LICENCES = {
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0",
    "gemma", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "unknown",
}  # fmt: skip
LIMITS = (
    "Served model and fingerprint are what the provider reported; the ledger proves that the record was not changed after it was "
    "made, not that a provider told the truth.",
    "Weights that were handed out already cannot be called back when a row is erased.",
    "A share is of loss tokens that the optimizer saw, not of influence on what the model does.",
)


def render_model_card(manifest: Mapping[str, Any]) -> str:
    """The card of the weights: README.md with YAML front matter.

    Raises:
        LineageError: the manifest cannot be shown.
    """
    from huggingface_hub import ModelCardData

    manifest = prepare_manifest(manifest)
    student = manifest["student"]
    data = ModelCardData(
        base_model=fold(student["base_model"]), language=student["languages"] or None, library_name="transformers",
        pipeline_tag="text-generation", tags=["distillation", "synthetic-data", "lineage"], model_name=fold(manifest["checkpoint"]["name"]),
        eval_results=_results(manifest) or None, **_licence(student["base_licence"]),
    )  # fmt: skip
    sections = [
        f"# {code(manifest['checkpoint']['name'])}", _student(manifest), _synthetic(manifest), "## Teachers\n\n" + teachers_table(manifest),
        _obligations(manifest), _exposure(manifest), _evaluations(manifest), _withdrawn(manifest), _limits(), _digests(manifest),
    ]  # fmt: skip
    return _join(data.to_yaml(), sections)


def render_dataset_card(manifest: Mapping[str, Any]) -> str:
    """The card of the training dataset: README.md with YAML front matter.

    Raises:
        LineageError: the manifest cannot be shown.
    """
    from huggingface_hub import DatasetCardData

    manifest = prepare_manifest(manifest)
    data = DatasetCardData(
        language=manifest["student"]["languages"] or None, pretty_name=f"Training data of {fold(manifest['checkpoint']['name'])}",
        annotations_creators=["machine-generated"], language_creators=["machine-generated"], task_categories=["text-generation"],
        tags=["synthetic", "distillation", "lineage"], license="other", license_name="see-obligations",
    )  # fmt: skip
    dataset = manifest["dataset"]
    intro = (
        f"{count(dataset['n_rows'])} rows, {count(dataset['n_train_rows'])} of them for training and "
        f"{count(dataset['n_heldout_rows'])} held out. Merkle root {code(dataset['merkle_root'])}."
    )
    sections = [
        f"# Training data of {code(manifest['checkpoint']['name'])}", intro, _synthetic(manifest),
        "## Teachers\n\n" + teachers_table(manifest), "## Seed sources\n\n" + sources_table(manifest), _curation(manifest),
        _obligations(manifest), _withdrawn(manifest), _limits(), _digests(manifest),
    ]  # fmt: skip
    return _join(data.to_yaml(), sections)


def _join(front: str, sections: list[str]) -> str:
    return f"---\n{front.strip()}\n---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def _licence(name: str | None) -> dict[str, str]:
    if name and name.lower() in HUB_LICENCES:
        return {"license": name.lower()}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", fold(name).lower()).strip("-") or "other"}


def _results(manifest: Mapping[str, Any]) -> list[Any]:
    from huggingface_hub import EvalResult

    shown = [row for row in manifest["evaluations"] if _counts(row)]
    return [
        EvalResult(
            task_type="text-generation", dataset_type=fold(row["benchmark"]), dataset_name=fold(row["benchmark"]),
            dataset_config=fold(row["source"]), dataset_revision=fold(row["version"]), metric_type=fold(row["metric"]),
            metric_value=row["value"],
        )
        for row in sorted(shown, key=lambda row: row["evaluation_id"])
    ]  # fmt: skip


def _counts(row: Mapping[str, Any]) -> bool:
    return row["model_role"] == "student" and row["is_screened"] is True and row["value"] is not None


def _student(manifest: Mapping[str, Any]) -> str:
    student = manifest["student"]
    words = (
        f"{code(student['base_model'])} at revision {code(student['base_revision'])}, {count(student['n_parameters'])} parameters"
    )
    parent = f", continued from checkpoint {code(student['parent_checkpoint'])}" if student["parent_checkpoint"] else ""
    return f"Trained from {words}{parent}, for the task {code(student['task'])}.\n\nDescription: {code(student['description'])}"


def _synthetic(manifest: Mapping[str, Any]) -> str:
    made, people = (
        sum(t["n_rows"] for t in manifest["teachers"] if (t["role"] == "people") is is_people) for is_people in (False, True)
    )
    return (
        f"## Synthetic data\n\n{count(made)} rows were written by models and {count(people)} by people. Each row's teacher, seed, judges "
        "and place in training are recorded; `lineage.json` has the sums."
    )


def teachers_table(manifest: Mapping[str, Any]) -> str:
    """Teachers with rows, loss tokens, share, terms and flags; the manifest was prepared."""
    rows = [
        [
            code(name_endpoint(t)), code(t["provider"]), count(t["n_rows"]), count(t["n_rows_seen"]), count(t["n_loss_tokens"]),
            percent(t["share_frac"]), _terms(t), ", ".join(code(flag) for flag in t["flags"]) or "–",
        ]
        for t in manifest["teachers"]
    ]  # fmt: skip
    return table(["teacher", "via", "rows>", "seen>", "loss tokens>", "share>", "terms", "flags"], rows)


def _terms(teacher: Mapping[str, Any]) -> str:
    said = [code(teacher[name]) for name in ("licence", "terms_url") if teacher[name]]
    if teacher["terms_accepted_on"]:
        said.append(f"accepted {code(teacher['terms_accepted_on'])}")
    return ", ".join(said) or NOT_SAID


def sources_table(manifest: Mapping[str, Any]) -> str:
    """Seed sources with licence, rows and share; the manifest was prepared."""
    rows = [
        [code(s["source"]), code(s["licence"]), count(s["n_rows"]), count(s["n_rows_seen"]), percent(s["share_frac"])]
        for s in manifest["sources"]
    ]
    return table(["source", "licence", "rows>", "seen>", "share>"], rows)


def _curation(manifest: Mapping[str, Any]) -> str:
    found, screened = manifest["curation"], manifest["decontamination"]
    steps = [
        ["generated", count(found["n_generations"])], ["accepted", count(found["n_accepted"])], ["rejected", count(found["n_rejected"])],
        ["unscored", count(found["n_unscored"])], ["kept", count(found["n_kept"])],
        *([f"dropped: {code(reason)}", count(n)] for reason, n in sorted(found["dropped"].items())),
    ]  # fmt: skip
    against = ", ".join(f"{code(b['name'])} ({code(b['version'])})" for b in screened["benchmarks"]) or "nothing"
    return f"## Curation\n\n{table(['step', 'rows>'], steps)}\n\nScreened against: {against}."


def _obligations(manifest: Mapping[str, Any]) -> str:
    rows = [[code(o["holder"]), code(o["licence"]), code(o["obligation"]), decide(o["is_met"])] for o in manifest["obligations"]]
    if not rows:
        return f"## Obligations\n\nThe table of licences names none. {NO_ADVICE}"
    built = "\n\nBuilt with Llama." if any("built with llama" in o["obligation"].lower() for o in manifest["obligations"]) else ""
    return f"## Obligations\n\n{table(['of', 'licence', 'obligation', 'state'], rows)}\n\n{NO_ADVICE}{built}"


def _exposure(manifest: Mapping[str, Any]) -> str:
    seen = manifest["exposure"]
    return (
        f"## What the optimizer saw\n\n{count(seen['n_rows_seen'])} rows in {count(seen['n_steps'])} steps, "
        f"{count(seen['n_times'])} times in all, {count(seen['n_loss_tokens'])} of {count(seen['n_tokens'])} tokens with loss. "
        f"{count(seen['n_rows_not_seen'])} rows of the dataset were not seen, {count(seen['n_rows_truncated'])} were cut, "
        f"{count(seen['n_rows_too_long'])} were too long."
    )


def _evaluations(manifest: Mapping[str, Any]) -> str:
    rows = [
        [
            code(e["model_role"]), f"{code(e['benchmark'])} {code(e['version'])}", code(e["source"]), code(e["metric"]), _figure(e["value"]),
            f"{_figure(e['low'])} to {_figure(e['high'])}", count(e["n"]), "screened" if e["is_screened"] else "**unscreened**",
        ]
        for e in manifest["evaluations"]
    ]  # fmt: skip
    head = ["model", "benchmark", "items of", "metric", "value>", "95% interval", "n>", "training data"]
    words = "Unscreened: the training data was not compared with that benchmark, so the figure may be of items it has seen."
    return f"## Evaluations\n\n{table(head, rows)}\n\n{words}" if rows else "## Evaluations\n\nNone was recorded."


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _withdrawn(manifest: Mapping[str, Any]) -> str:
    rows = [
        [code(name_selector(t["selector"])), code(t["reason"]), code(t["at"]), count(t["n_rows"])] for t in manifest["tombstones"]
    ]
    return f"## Withdrawn or erased\n\n{table(['what', 'why', 'when', 'rows here>'], rows)}" if rows else ""


def _limits() -> str:
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in LIMITS)


def _digests(manifest: Mapping[str, Any]) -> str:
    checkpoint, ledger = manifest["checkpoint"], manifest["ledger"]
    rows = [
        ["checkpoint", code(checkpoint["id"])], ["weights, SHA-256", code(checkpoint["weights_sha256"])],
        ["dataset, Merkle root", code(manifest["dataset"]["merkle_root"])], ["ledger", f"line {ledger['seq']}, {code(ledger['head'])}"],
    ]  # fmt: skip
    return f"## Digests\n\n{table(['of', 'is'], rows)}"
