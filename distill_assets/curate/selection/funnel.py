"""The funnel: how many rows each stage passed on, and why the others left.

Belongs here: counting a selection, and its picture. Does not belong here: selecting (curate/select.py).
"""

from __future__ import annotations

import polars as pl

from distill_assets.drawing import AMBER, BLUE, GREY, INK, RED, new_axes, save_png

# Each stage with the reasons for which rows leave in it. What no stage names leaves in the last one.
STAGES: dict[str, tuple[str, ...]] = {
    "generated": (),
    "judged": ("unscored", "rejected"),
    "unmarked": ("contaminated", "exact_duplicate", "normalized_duplicate", "near_duplicate", "semantic_duplicate"),
    "selected": ("over_best_of", "over_template", "over_quota", "over_tokens", "over_limit"),
}
KEPT = "kept"
COLOURS = {"judged": RED, "unmarked": AMBER, "selected": GREY}


def count_funnel(kept: pl.DataFrame, dropped: pl.DataFrame) -> pl.DataFrame:
    """Count rows by stage and reason.

    Args:
        kept, dropped: of a Selection; of the first only the height matters, of the second drop_reason.

    Returns:
        stage, reason, n: for each stage, in order, the rows that it passed on (reason kept), then each reason for which rows
        left there, the most first. A stage's rows sum to what the one before passed on.
    """
    counts = dict(dropped["drop_reason"].value_counts().iter_rows())
    n_left = kept.height + dropped.height
    rows: list[tuple[str, str, int]] = []
    for stage, reasons in STAGES.items():
        found = sorted(((counts[reason], reason) for reason in reasons if reason in counts), key=lambda pair: (-pair[0], pair[1]))
        n_left -= sum(n for n, _ in found)
        rows += [(stage, KEPT, n_left), *((stage, reason, n) for n, reason in found)]
    if n_left != kept.height:
        raise AssertionError(f"{kept.height} rows kept, the funnel counts {n_left}: a reason that no stage names")
    return pl.DataFrame(rows, schema={"stage": pl.String, "reason": pl.String, "n": pl.Int64}, orient="row")


def draw_funnel(funnel: pl.DataFrame) -> dict[str, bytes]:
    """The funnel as horizontal bars: what each stage passed on, and below it what left and why.

    Args:
        funnel: of `count_funnel`.
    """
    rows = [row for row in funnel.iter_rows() if row[1] == KEPT or row[2]]
    total = max((n for _, _, n in rows), default=0)
    if not total:
        return {}
    figure, axes = new_axes(7, 0.3 * len(rows) + 0.8)
    labels = [stage if reason == KEPT else f"− {reason.replace('_', ' ')}" for stage, reason, _ in rows]
    colours = [BLUE if reason == KEPT else COLOURS[stage] for stage, reason, _ in rows]
    places = range(len(rows))
    axes.barh(places, [n for _, _, n in rows], color=colours, height=0.65)
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    for place, (_, _, n) in zip(places, rows, strict=True):
        axes.text(n + total * 0.01, place, f"{n:,} ({n / total:.1%})", va="center", fontsize=8, color=INK)
    axes.set_xlim(0, total * 1.18)
    axes.set_xlabel("samples", fontsize=9, color=INK)
    return {"funnel": save_png(figure)}
