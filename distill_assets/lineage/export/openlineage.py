"""OpenLineage events of the training: START and COMPLETE of one job, with a facet of our own for the mix of teachers.

Belongs here: the mapping. Does not belong here: sending: the file has one event a line, as OpenLineage's file transport
writes it. Needs the extra `openlineage`, whose typed classes check what they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill_assets.errors import LineageError
from distill_assets.identity import make_id
from distill_assets.lineage.showing import fold, name_endpoint, prepare_manifest

PRODUCER = "urn:distill-assets"
SCHEMA = "urn:distill-assets:facet:teacherMix:1"
NAMESPACE = "distill"


def render_openlineage(manifest: Mapping[str, Any]) -> str:
    """Two events as lines of JSON; the run's id and time come from the manifest.

    Raises:
        LineageError: the manifest has no time, cannot be shown, or the extra is missing.
    """
    manifest = prepare_manifest(manifest)
    if not manifest["checkpoint"]["made_at"]:
        raise LineageError(
            f"lineage.json: checkpoint.made_at is null in {fold(manifest['checkpoint']['name'])}, and an OpenLineage event needs a time. "
            "Nothing was exported. Choose another format, or build the checkpoint in a run, which records it."
        )
    try:
        from openlineage.client.serde import Serde
    except ImportError as missing:
        raise LineageError(
            "The format openlineage needs openlineage-python, which is not installed. Nothing was exported. "
            "pip install 'distill-assets[openlineage]'"
        ) from missing
    try:
        return "".join(Serde.to_json(event) + "\n" for event in _events(manifest))
    except ValueError as error:
        raise LineageError(
            f"lineage.json: {fold(manifest['checkpoint']['name'])} makes no OpenLineage event: {error}. Nothing was exported. "
            "Restore the file that was written beside the weights: distill lineage verify names it."
        ) from error


def _events(manifest: Mapping[str, Any]) -> list[Any]:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import dataset_version_dataset

    checkpoint = manifest["checkpoint"]
    namespace = f"{NAMESPACE}/{fold(checkpoint['recipe'])}"
    run_id = _uuid(make_id("openlineage", checkpoint["id"], manifest["ledger"]["head"]))
    version = dataset_version_dataset.DatasetVersionDatasetFacet(
        datasetVersion=manifest["dataset"]["data_version"], producer=PRODUCER
    )
    inputs = [
        InputDataset(namespace, "training_dataset", {"version": version}),
        *(InputDataset(namespace, name) for name in sorted({fold(source["source"]) for source in manifest["sources"]})),
    ]
    made = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=checkpoint["id"], producer=PRODUCER)
    outputs = [OutputDataset(namespace, "student_checkpoint", {"version": made})]
    return [
        RunEvent(
            eventType=state, eventTime=checkpoint["made_at"], run=Run(run_id, {"teacherMix": _mix(manifest)}),
            job=Job(namespace, "student_checkpoint"), inputs=inputs, outputs=outputs, producer=PRODUCER,
        )
        for state in (RunState.START, RunState.COMPLETE)
    ]  # fmt: skip


def _mix(manifest: Mapping[str, Any]) -> Any:
    import attr
    from openlineage.client.generated.base import RunFacet

    # Made here, for its base class is in an extra.
    facet = attr.make_class("TeacherMixRunFacet", ["teachers"], bases=(RunFacet,), kw_only=True)
    facet._get_schema = staticmethod(lambda: SCHEMA)
    names = ("endpoint_id", "role", "requested_model", "served_model", "system_fingerprint", "provider", "licence", "n_rows",
             "n_rows_seen", "n_loss_tokens", "share_frac")  # fmt: skip
    rows = [{"name": name_endpoint(teacher), **{name: teacher[name] for name in names}} for teacher in manifest["teachers"]]
    return facet(teachers=rows, producer=PRODUCER)


def _uuid(hex32: str) -> str:
    """An id as a UUID of version 8 (RFC 9562: the bits are the maker's own)."""
    return f"{hex32[:8]}-{hex32[8:12]}-8{hex32[13:16]}-8{hex32[17:20]}-{hex32[20:]}"
