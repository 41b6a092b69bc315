"""Pictures that the UI and the report show, as PNG bytes.

Belongs here: axes in the project's look, saving, and a picture as markdown. Does not belong here: what is drawn (stages).
The bytes depend on the data alone: no date, no version in the files.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

INK = "#334155"
BLUE, GREY, AMBER, RED, GREEN = "#2563eb", "#94a3b8", "#d97706", "#dc2626", "#16a34a"


def new_axes(width: float, height: float) -> tuple[Any, Any]:
    """A figure with one pair of axes, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def save_png(figure: Any) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def as_markdown(pictures: Mapping[str, bytes]) -> str:
    """Pictures as markdown that needs no other file."""
    return "\n\n".join(
        f"![{name}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})" for name, png in pictures.items()
    )
