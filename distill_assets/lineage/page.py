"""audit.html: a manifest as one page that needs no network, no script and no other file.

Belongs here: what the page is given. Does not belong here: how it looks (templates/audit.html.j2), what was counted.

Jinja escapes whatever it is given, and a template that names what is not there fails. The page's policy forbids every
script and every request, so that even text which got through would be letters. What a browser opens by itself as an
address (a link) is never made from a manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from distill_assets.lineage.export.signature import FILE_NAME
from distill_assets.lineage.flow import render_flow
from distill_assets.lineage.showing import NO_ADVICE, count, decide, fold, name_endpoint, name_selector, percent, prepare_manifest

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
HELD_BACK = 12


def render_page(manifest: Mapping[str, Any]) -> str:
    """The page as HTML; the same bytes for the same manifest.

    Raises:
        LineageError: the manifest cannot be shown.
    """
    picture = Markup(render_flow(manifest))  # ElementTree wrote it and escaped every name
    manifest = prepare_manifest(manifest)
    environment = Environment(
        loader=PackageLoader("distill_assets.lineage", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters.update(
        count=count, percent=percent, fold=fold, figure=_figure, decide=decide, called=name_endpoint, selector=name_selector
    )
    environment.filters["worded"] = lambda name: name.removeprefix("n_").replace("_", " ")
    return environment.get_template("audit.html.j2").render(
        manifest, policy=POLICY, flow=picture, funnel=_funnel(manifest), banner=_banner(manifest), no_advice=NO_ADVICE,
        signature=FILE_NAME, settings=_settings(manifest), held_back=HELD_BACK,
    )  # fmt: skip


def _banner(manifest: Mapping[str, Any]) -> list[Any]:
    """Tombstones that touch rows of this checkpoint."""
    return [stone for stone in manifest["tombstones"] if stone["n_rows"]]


def _funnel(manifest: Mapping[str, Any]) -> list[tuple[str, int, float, str]]:
    """What became of the answers: words, rows, share of all answers (0 to 1), and good, bad or plain."""
    found, seen = manifest["curation"], manifest["exposure"]
    steps = [
        ("generated", found["n_generations"], "plain"), ("accepted", found["n_accepted"], "good"),
        ("rejected", found["n_rejected"], "bad"), ("unscored", found["n_unscored"], "bad"),
        *((f"dropped: {fold(reason)}", n, "bad") for reason, n in sorted(found["dropped"].items(), key=lambda item: (-item[1], item[0]))),
        ("kept", found["n_kept"], "good"), ("seen in training", seen["n_rows_seen"], "good"),
    ]  # fmt: skip
    told = [step for step in steps if step[1] is not None]  # of a checkpoint of before, not all was recorded
    most = max(1, *(n for _, n, _ in told))
    return [(words, n, n / most, kind) for words, n, kind in told]


def _settings(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [pair for part in ("code", "config", "environment", "dagster") for pair in _pairs(manifest[part], part)]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _pairs(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Nested settings as lines of path and value."""
    if not isinstance(value, Mapping):
        return [(path, fold(value, 300))]
    return [pair for key, item in sorted(value.items()) for pair in _pairs(item, f"{path}.{fold(key)}" if path else fold(key))]
