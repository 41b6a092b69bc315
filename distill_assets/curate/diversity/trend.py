"""How varied the corpus was from build to build.

Belongs here: choosing figures of several builds that can be compared, and their picture. Does not belong here: which builds there
are (assets) and what is too large a drop (collapse).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from distill_assets.curate.diversity.collapse import COMPARED, as_variety
from distill_assets.curate.diversity.report import AT, WHOLE
from distill_assets.drawing import GREY, INK, new_axes, save_png

SCHEMA = {"build": pl.String, "metric": pl.String, "value": pl.Float64}
# Okabe and Ito, "Color Universal Design", 2008: colours that people with any colour vision can tell apart.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#B8A800")
STYLES = ("-", "--")


def collect_trend(builds: Sequence[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    """Take the figures of the whole corpus from several builds, those that change with its size on equally many rows.

    Args:
        builds: name and `measure_corpus` of each, the oldest first.

    Returns:
        build, metric, value; in the order of `builds`, then by metric. A figure that not all builds have is left out.
    """
    sizes = [set(measures.filter(pl.col("slice_by") == AT)["slice_value"]) for _, measures in builds]
    common = max(set.intersection(*sizes), default=None) if sizes else None
    rows: list[tuple[str, str, float]] = []
    for build, measures in builds:
        for metric, is_free_of_size in sorted(COMPARED.items()):
            place = (WHOLE, "") if is_free_of_size else (AT, common)
            found = measures.filter(
                (pl.col("slice_by") == place[0]) & pl.col("slice_value").eq_missing(pl.lit(place[1])) & (pl.col("metric") == metric)
            )
            rows += [(build, metric, value) for value in found["value"]]
    trend = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return trend.filter(pl.col("build").n_unique().over("metric") == len(builds))


def draw_trend(trend: pl.DataFrame) -> dict[str, bytes]:
    """Variety of each build over that of the first, a line for each measure; nothing before there are two builds.

    Args:
        trend: of `collect_trend`.
    """
    builds = trend["build"].unique(maintain_order=True).to_list()
    if len(builds) < 2:
        return {}
    figure, axes = new_axes(8, 3.6)
    axes.axhline(1, color=GREY, linewidth=0.8)
    for number, (metric, of_metric) in enumerate(sorted(trend.group_by("metric", maintain_order=True), key=lambda item: item[0])):
        values = of_metric["value"].to_list()
        first = as_variety(metric[0], values[0])
        heights = [as_variety(metric[0], value) / first if first else 1.0 for value in values]
        colour, style = PALETTE[number % len(PALETTE)], STYLES[number // len(PALETTE) % len(STYLES)]
        label = f"{metric[0].replace('_', ' ')}: {values[0]:.3g} → {values[-1]:.3g}"
        axes.plot(range(len(builds)), heights, style, marker="o", markersize=4, color=colour, label=label)
    axes.set_xticks(range(len(builds)), [build[:12] for build in builds], rotation=30 if len(builds) > 6 else 0)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("variety; first build = 1", fontsize=9, color=INK)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return {"diversity by build": save_png(figure)}
