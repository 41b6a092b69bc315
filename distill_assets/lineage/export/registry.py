"""The formats that a manifest goes out in: name, renderer, file name and meaning.

Belongs here: the table and the look-up. Does not belong here: a format. A new one is a module and a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from distill_assets.errors import LineageError
from distill_assets.lineage.cards import render_dataset_card, render_model_card
from distill_assets.lineage.export.croissant import render_croissant
from distill_assets.lineage.export.cyclonedx import render_cyclonedx
from distill_assets.lineage.export.eu_summary import render_eu_summary
from distill_assets.lineage.export.openlineage import render_openlineage
from distill_assets.lineage.flow import render_flow
from distill_assets.lineage.page import render_page

Render = Callable[[Mapping[str, Any]], str]


class Format(NamedTuple):
    """How a manifest becomes a file of text (UTF-8), and what that file is."""

    render: Render
    file_name: str
    meaning: str


FORMATS: dict[str, Format] = {
    "croissant": Format(render_croissant, "croissant.json", "Croissant 1.1 with RAI: the dataset for catalogues"),
    "cyclonedx": Format(render_cyclonedx, "bom.cdx.json", "CycloneDX 1.6 ML-BOM: what the model is made of, with digests"),
    "eu-summary": Format(render_eu_summary, "eu-summary.md", "EU summary of training content, sec. 2.5 filled in; no legal advice"),
    "flow": Format(render_flow, "flow.svg", "the way of the rows as a picture"),
    "hf": Format(render_model_card, "README.md", "Hugging Face model card"),
    "hf-dataset": Format(render_dataset_card, "dataset-README.md", "Hugging Face dataset card"),
    "html": Format(render_page, "audit.html", "the audit as one page that loads nothing"),
    "openlineage": Format(
        render_openlineage, "openlineage.jsonl", "OpenLineage events with the mix of teachers (extra openlineage)"
    ),
}


def export_manifest(manifest: Mapping[str, Any], name: str) -> tuple[str, bytes]:
    """A manifest in the format `name`: the file's name and its bytes.

    Raises:
        LineageError: no such format, the manifest cannot be shown, or an extra is missing.
    """
    if name not in FORMATS:
        raise LineageError(f"format {name[:80]!r} is not one of {', '.join(sorted(FORMATS))}. Nothing was exported.")
    return FORMATS[name].file_name, FORMATS[name].render(manifest).encode()
