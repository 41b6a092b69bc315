"""The way of the rows as one picture: seed source -> teacher -> judge -> kept or dropped by reason -> checkpoint.

Belongs here: grouping of a manifest's `flow`, the layout, the SVG. Does not belong here: who counted the rows (record).

Names stand inside their boxes, which clip them, so no text lies over a ribbon or another text. The picture brings its
own paper, since where it is shown may be light or dark and an image cannot tell; a page that knows better sets the CSS
variables --flow-ink and --flow-paper. Why no library draws it: docs/adr/0016-exports.md.
"""

from __future__ import annotations

import base64
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from distill_assets.lineage.showing import NOT_SAID, count, fold, prepare_manifest

COLUMNS = ("seed source", "teacher", "judge", "fate", "checkpoint")
MAX_NODES = 6
BOX_WIDTH, GAP_WIDTH, GAP_HEIGHT, LEAST_HEIGHT, ROWS_HEIGHT = 196, 56, 10, 38, 300
TOP, MARGIN = 34, 16
LABEL_CELLS = 25
KEPT = "kept"
OTHERS = "\x00others"  # no name of a manifest has this character once it was prepared
NOT_SEEN = "\x00not seen"
TINTS = ("#2563eb", "#7c3aed", "#0891b2", "#c026d3", "#ca8a04", "#64748b")
GOOD, BAD = "#16a34a", "#dc2626"

Way = tuple[str, ...]


class Node(NamedTuple):
    """One box: column and key, what is written on it, rows, and where it stands (pixels)."""

    column: int
    key: str
    label: str
    note: str
    n_rows: int
    y: float
    height: float


def render_flow(manifest: Mapping[str, Any]) -> str:
    """The flow as an SVG document, the same bytes for the same manifest.

    Raises:
        LineageError: the manifest cannot be shown.
    """
    manifest = prepare_manifest(manifest)
    paths, grouped = _group(_paths(manifest))
    columns = _place(paths, grouped, str(manifest["checkpoint"]["name"]))
    height = max([TOP + 60, *(node.y + node.height for column in columns for node in column)]) + MARGIN
    svg = _paper(height, _describe(manifest))
    if not paths:
        _text(svg, MARGIN, TOP + 30, "No row was recorded.", "name")
        return _write(svg)
    scale = ROWS_HEIGHT / sum(paths.values())
    for ribbon in _ribbons(paths, columns, scale):
        svg.append(ribbon)
    for index, column in enumerate(columns):
        _text(svg, _x(index), TOP - 10, COLUMNS[index], "head")
        for node in column:
            svg.append(_box(node))
    return _write(svg)


def flow_as_markdown(manifest: Mapping[str, Any]) -> str:
    """The flow as markdown that needs no other file; Dagster shows it."""
    data = base64.b64encode(render_flow(manifest).encode()).decode("ascii")
    return f"![Where the rows came from and where they went](data:image/svg+xml;base64,{data})"


def _paths(manifest: Mapping[str, Any]) -> Counter[Way]:
    found: Counter[Way] = Counter()
    for row in manifest["flow"]:
        path = (f"{fold(row['source'])}\n{fold(row['licence'])}", fold(row["teacher"]), fold(row["judge"]), fold(row["fate"]))
        found[path] += row["n_rows"]
    n_seen = manifest["exposure"]["n_rows_seen"]
    n_kept = sum(n for path, n in found.items() if path[3] == KEPT)
    return _end_paths(+found, n_kept if n_seen is None else n_seen)  # where nobody counted, no row is said to be left out


def _end_paths(paths: Mapping[Way, int], n_seen: int) -> Counter[Way]:
    """Kept rows go on to the checkpoint as far as it saw them; the share that it saw is spread evenly, for lack of more."""
    kept = sorted(path for path in paths if path[3] == KEPT)
    left_rows, left_seen = sum(paths[path] for path in kept), n_seen
    ended = Counter({path: n for path, n in paths.items() if path[3] != KEPT})
    for path in kept:
        seen = min(paths[path], round(left_seen * paths[path] / left_rows))
        left_rows, left_seen = left_rows - paths[path], left_seen - seen
        ended[(*path, "")] += seen
        ended[(*path, NOT_SEEN)] += paths[path] - seen
    return +ended


def _group(paths: Mapping[Way, int]) -> tuple[Counter[Way], dict[int, int]]:
    """Put the small ones of each column together; also how many each column's group holds."""
    grouped: dict[int, int] = {}
    shown: list[set[str]] = []
    for column in range(len(COLUMNS)):
        sizes = Counter[str]()
        for path, n in paths.items():
            if column < len(path):
                sizes[path[column]] += n
        ranked = sorted(sizes, key=lambda key: (key != KEPT, -sizes[key], key))
        many = len(ranked) > MAX_NODES
        shown.append(set(ranked[: MAX_NODES - 1] if many else ranked))
        grouped[column] = len(ranked) - MAX_NODES + 1 if many else 0
    found: Counter[Way] = Counter()
    for path, n in paths.items():
        found[tuple(key if key in shown[column] else OTHERS for column, key in enumerate(path))] += n
    return found, grouped


def _place(paths: Mapping[Way, int], grouped: Mapping[int, int], checkpoint: str) -> list[list[Node]]:
    scale = ROWS_HEIGHT / max(1, sum(paths.values()))
    columns = []
    for column in range(len(COLUMNS)):
        sizes = Counter[str]()
        for path, n in paths.items():
            if column < len(path):
                sizes[path[column]] += n
        nodes, y = [], float(TOP)
        for key in sorted(sizes, key=lambda key: (key in (OTHERS, NOT_SEEN), key != KEPT, -sizes[key], key)):
            height = max(LEAST_HEIGHT, sizes[key] * scale)
            label, _, licence = key.partition("\n")  # no name has a line break once it was folded
            label = {OTHERS: f"{grouped[column]} others", NOT_SEEN: "not trained on", "": fold(checkpoint)}.get(key, label)
            note = f"{count(sizes[key])} rows" + (f" · {licence}" if licence else "")
            nodes.append(Node(column, key, label.replace("_", " ") if column == 3 else label, note, sizes[key], y, height))
            y += height + GAP_HEIGHT
        columns.append(nodes)
    return columns


def _ribbons(paths: Mapping[Way, int], columns: list[list[Node]], scale: float) -> Iterable[ET.Element]:
    """Ribbons between neighbouring columns; each box gives and takes them in the order of the boxes, so few cross."""
    for left, right in pairwise(columns):
        column = left[0].column
        sizes = Counter[tuple[str, str]]()
        for path, n in paths.items():
            if column + 1 < len(path):
                sizes[path[column], path[column + 1]] += n
        outs = {node.key: _start(node, sum(n for (a, _), n in sizes.items() if a == node.key) * scale) for node in left}
        ins = {node.key: _start(node, node.n_rows * scale) for node in right}
        for index, start in enumerate(left):
            for end in right:
                if n := sizes[start.key, end.key]:
                    y0, y1, thick = outs[start.key], ins[end.key], n * scale
                    outs[start.key], ins[end.key] = y0 + thick, y1 + thick
                    yield _ribbon(start, end, n, (y0, y1, thick), _tint(index, end))


def _start(node: Node, thick: float) -> float:
    return node.y + (node.height - thick) / 2


def _tint(index: int, end: Node) -> str:
    if end.column == 3:
        return GOOD if end.key == KEPT else BAD
    return GOOD if end.column == 4 and end.key == "" else TINTS[5] if end.column == 4 else TINTS[index % len(TINTS)]


def _ribbon(start: Node, end: Node, n: int, where: tuple[float, float, float], tint: str) -> ET.Element:
    y0, y1, thick = where
    x0, x1 = _x(start.column) + BOX_WIDTH, _x(end.column)
    middle = (x0 + x1) / 2
    thick = max(thick, 1.0)
    line = (
        f"M{x0} {y0:.1f}C{middle} {y0:.1f} {middle} {y1:.1f} {x1} {y1:.1f}"
        f"V{y1 + thick:.1f}C{middle} {y1 + thick:.1f} {middle} {y0 + thick:.1f} {x0} {y0 + thick:.1f}Z"
    )
    path = ET.Element("path", {"d": line, "fill": tint, "fill-opacity": "0.38"})
    ET.SubElement(path, "title").text = f"{start.label} → {end.label}: {count(n)} rows"
    return path


def _box(node: Node) -> ET.Element:
    """A box that clips what is written in it."""
    where = {"x": str(_x(node.column)), "y": f"{node.y:.1f}", "width": str(BOX_WIDTH), "height": f"{node.height:.1f}"}
    box = ET.Element("svg", where)
    ET.SubElement(box, "title").text = f"{COLUMNS[node.column]}: {node.label}, {node.note}"
    ET.SubElement(box, "rect", {"class": "box", "width": "100%", "height": "100%", "rx": "4"})
    ET.SubElement(box, "rect", {"width": "4", "height": "100%", "fill": _edge(node)})
    _text(box, 12, node.height / 2 - 3, _cut(node.label), "name")
    _text(box, 12, node.height / 2 + 12, _cut(node.note), "rows")
    return box


def _edge(node: Node) -> str:
    if node.column == 3:
        return GOOD if node.key == KEPT else BAD
    return GOOD if node.column == 4 and node.key == "" else TINTS[5]


def _cut(label: str) -> str:
    """As much of a label as a box holds; wide characters count twice."""
    widths = [2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in label]
    if sum(widths) <= LABEL_CELLS:
        return label
    shown, used = "", 0
    for char, width in zip(label, widths, strict=True):
        if used + width > LABEL_CELLS - 1:
            break
        shown, used = shown + char, used + width
    return shown + "…"


def _describe(manifest: Mapping[str, Any]) -> str:
    rows = manifest["flow"]
    total = sum(row["n_rows"] for row in rows)
    kept = sum(row["n_rows"] for row in rows if row["fate"] == KEPT)
    sources, teachers = (len({row[name] or NOT_SAID for row in rows}) for name in ("source", "teacher"))
    return (
        f"{count(total)} rows of {sources} seed sources, written by {teachers} teachers: {count(kept)} kept, "
        f"{count(manifest['exposure']['n_rows_seen'])} seen in training."
    )


def _x(column: int) -> int:
    return MARGIN + column * (BOX_WIDTH + GAP_WIDTH)


def _paper(height: float, words: str) -> ET.Element:
    width = _x(len(COLUMNS) - 1) + BOX_WIDTH + MARGIN
    svg = ET.Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height:.0f}", "width": str(width), "height": f"{height:.0f}",
        "role": "img", "aria-label": words, "class": "flow",
    })  # fmt: skip
    ET.SubElement(svg, "title").text = words
    ET.SubElement(svg, "style").text = (
        ".flow .paper{fill:var(--flow-paper,#f8fafc)}.flow text{fill:var(--flow-ink,#0f172a);font:12px system-ui,sans-serif}"
        ".flow text.head{font-weight:600}.flow text.rows{font-size:11px;opacity:.75}"
        ".flow .box{fill:var(--flow-paper,#f8fafc);stroke:var(--flow-ink,#0f172a);stroke-opacity:.25}"
    )
    ET.SubElement(svg, "rect", {"class": "paper", "width": "100%", "height": "100%", "rx": "6"})
    return svg


def _text(parent: ET.Element, x: float, y: float, words: str, kind: str) -> None:
    ET.SubElement(parent, "text", {"x": f"{x:.0f}", "y": f"{y:.1f}", "class": kind}).text = words


def _write(svg: ET.Element) -> str:
    return ET.tostring(svg, encoding="unicode")
