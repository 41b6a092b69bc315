"""The flow: well-formed whatever the names are, no row lost, few boxes, nothing over anything."""

from __future__ import annotations

import base64
import re
from collections import Counter
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.lineage.flow import COLUMNS, MAX_NODES, flow_as_markdown, render_flow
from tests.lineage.example_manifest import build_least, build_manifest

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.one_of(
    st.none(), st.text(alphabet=st.characters(codec=None), max_size=30), st.sampled_from(["kept", "others", "3 others", ""])
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"source": NAMES, "licence": NAMES, "teacher": NAMES, "judge": NAMES, "fate": NAMES, "n_rows": st.integers(0, 10**7)}
    ),
    max_size=20,
)


def read_boxes(svg: str) -> dict[str, list[tuple[ET.Element, int]]]:
    """Column -> boxes with their rows."""
    boxes: dict[str, list[tuple[ET.Element, int]]] = {}
    for box in ET.fromstring(svg).findall(f"{SVG}svg"):
        title = box.findtext(f"{SVG}title") or ""
        rows = re.search(r"([\d,]+) rows", box.findall(f"{SVG}text")[1].text or "")
        assert rows, title
        boxes.setdefault(title.split(":")[0], []).append((box, int(rows[1].replace(",", ""))))
    return boxes


def test_every_row_is_in_every_column_until_it_was_dropped() -> None:
    manifest = build_manifest()
    boxes = read_boxes(render_flow(manifest))
    total = sum(row["n_rows"] for row in manifest["flow"])
    kept = sum(row["n_rows"] for row in manifest["flow"] if row["fate"] == "kept")
    sums = {column: sum(n for _, n in found) for column, found in boxes.items()}
    assert list(sums) == list(COLUMNS)
    assert [sums[column] for column in COLUMNS] == [total] * 4 + [kept]
    checkpoint = Counter({box.findall(f"{SVG}text")[0].text: n for box, n in boxes["checkpoint"]})
    assert checkpoint == {"text_to_sql@cc8bf90bb526": 588, "not trained on": kept - 588}


def test_small_sources_are_put_together() -> None:
    boxes = read_boxes(render_flow(build_manifest()))
    assert all(len(found) <= MAX_NODES for found in boxes.values())
    assert [box.findall(f"{SVG}text")[0].text for box, _ in boxes["seed source"]][-1] == "36 others"


def test_no_box_lies_over_another() -> None:
    for found in read_boxes(render_flow(build_manifest())).values():
        spans = sorted((float(box.get("y", 0)), float(box.get("height", 0))) for box, _ in found)
        assert all(y + height <= below for (y, height), (below, _) in pairwise(spans))


def test_nothing_recorded_says_so() -> None:
    assert "No row was recorded." in render_flow(build_least())


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, n_seen=st.integers(0, 10**8))
def test_any_names_and_counts_make_a_picture(rows: list[dict[str, Any]], n_seen: int) -> None:
    manifest = build_manifest()
    manifest["flow"], manifest["exposure"]["n_rows_seen"] = rows, n_seen
    svg = render_flow(manifest)
    svg.encode()
    boxes = read_boxes(svg)
    for column in COLUMNS[:4] if boxes else ():
        assert sum(n for _, n in boxes[column]) == sum(row["n_rows"] for row in rows)
    manifest["flow"] = rows[::-1]
    assert render_flow(manifest) == svg


def test_markdown_has_the_picture_in_it() -> None:
    found = re.fullmatch(r"!\[[\w ]+\]\(data:image/svg\+xml;base64,([\w+/=]+)\)", flow_as_markdown(build_manifest()))
    assert found and base64.b64decode(found[1]).decode() == render_flow(build_manifest())
