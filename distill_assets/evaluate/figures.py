"""The report's pictures: accuracy with intervals, slices, the loss curve.

Belongs here: drawing from the report's plain data to PNG bytes. Does not belong here: counting (report).
"""

from __future__ import annotations

from typing import Any

from distill_assets.drawing import AMBER, BLUE, GREY, INK, new_axes, save_png

COLOURS = {"student": BLUE, "base": GREY, "teacher": AMBER}


def draw_figures(data: dict[str, Any], history: list[dict[str, float]]) -> dict[str, bytes]:
    """Return name -> PNG.

    Args:
        data: `EvalReport.data`. history: training log rows with step and loss.
    """
    figures = {"accuracy": _draw_accuracy(data["accuracy"])}
    if data["slices"]:
        figures["slices"] = _draw_slices(data["slices"])
    if len(history) > 1:
        figures["loss"] = _draw_loss(history)
    return figures


def _draw_accuracy(accuracy: dict[str, dict[str, Any]]) -> bytes:
    names = list(accuracy)[::-1]
    figure, axes = new_axes(7, 0.5 * len(names) + 1)
    for y, name in enumerate(names):
        p = accuracy[name]
        colour = COLOURS[name.split("/")[0]]
        axes.barh(y, p["frac"], color=colour, height=0.6)
        axes.plot([p["low"], p["high"]], [y, y], color=INK, linewidth=1.5)
        axes.text(min(1.0, p["high"]) + 0.015, y, f"{p['frac']:.0%}", va="center", fontsize=9, color=INK)
    axes.set_yticks(range(len(names)), [name.replace("/", ", ") for name in names])
    axes.set_xlim(0, 1.1)
    axes.set_xlabel("execution accuracy, with 95% interval", fontsize=9, color=INK)
    return save_png(figure)


def _draw_slices(slices: list[dict[str, Any]]) -> bytes:
    shown = slices[::-1]
    figure, axes = new_axes(7, 0.32 * len(shown) + 1)
    for y, s in enumerate(shown):
        axes.plot([s["low"], s["high"]], [y, y], color=COLOURS["base"], linewidth=2)
        axes.plot([s["frac"]], [y], "o", color=COLOURS["student"])
    axes.set_yticks(range(len(shown)), [f"{s['slice']} (n={s['n']})" for s in shown])
    axes.set_xlim(0, 1)
    axes.set_xlabel("student on the holdout, with 95% interval", fontsize=9, color=INK)
    return save_png(figure)


def _draw_loss(history: list[dict[str, float]]) -> bytes:
    figure, axes = new_axes(7, 2.6)
    axes.plot([row["step"] for row in history], [row["loss"] for row in history], color=COLOURS["student"])
    axes.set_xlabel("step", fontsize=9, color=INK)
    axes.set_ylabel("training loss", fontsize=9, color=INK)
    axes.set_ylim(bottom=0)
    return save_png(figure)
