"""Pictures of judging: rejections by rule, score histograms, calibration.

Belongs here: drawing from the stage's tables to PNG bytes. Does not belong here: counting (verdicts, calibration).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from distill_assets.drawing import AMBER, BLUE, GREEN, GREY, INK, RED, new_axes, save_png
from distill_assets.judge.calibration import find_truths, list_opinions
from distill_assets.tables import ALL_CRITICS

N_BINS = 10
MAX_BARS = 24
COLOURS = {"accepted": GREEN, "rejected": RED, "unscored": GREY}


def draw_rejects(rejects: pl.DataFrame) -> dict[str, bytes]:
    """Share of generations that each criterion failed, the most first; nothing when none failed any.

    Args:
        rejects: of `count_rejects`.
    """
    shown = rejects.filter(pl.col("n_failed") > 0).sort("failed_frac", "criterion", descending=[True, False]).head(MAX_BARS)
    if shown.is_empty():
        return {}
    figure, axes = new_axes(7, 0.28 * shown.height + 0.9)
    names = [f"{row['criterion']} ({row['layer']})" for row in shown.iter_rows(named=True)][::-1]
    axes.barh(names, shown["failed_frac"].to_list()[::-1], color=AMBER, height=0.6)
    axes.set_xlabel("share of generations that it failed", fontsize=9, color=INK)
    return {"rejections": save_png(figure)}


def draw_scores(samples: pl.DataFrame) -> dict[str, bytes]:
    """Histogram of the critics' score by what was settled; nothing without critics.

    Args:
        samples: judged_samples.
    """
    scored = samples.filter(pl.col("critic_score").is_not_null())
    if scored.is_empty():
        return {}
    figure, axes = new_axes(7, 2.6)
    states = [state for state in COLOURS if (scored["sample_status"] == state).any()]
    groups = [scored.filter(pl.col("sample_status") == state)["critic_score"].to_list() for state in states]
    axes.hist(groups, bins=20, range=(0, 1), stacked=True, color=[COLOURS[state] for state in states], label=states)
    axes.set_xlabel("score of all critics, 0 to 1", fontsize=9, color=INK)
    axes.set_ylabel("samples", fontsize=9, color=INK)
    axes.legend(frameon=False, fontsize=9)
    return {"critic scores": save_png(figure)}


def draw_calibration(verdicts: pl.DataFrame, labels: Mapping[str, str]) -> dict[str, bytes]:
    """How often samples of each critic score are good, by the verifiers and by people; nothing without critics."""
    opinions = list_opinions(verdicts.filter(~pl.col("is_canary") & pl.col("layer").is_in(["verifier", "critic"])))
    scored = next((found for (layer, judge, _), found in opinions.items() if layer == "critic" and judge == ALL_CRITICS), {})
    scores = {sample_id: decision.score for sample_id, decision in scored.items() if decision.score is not None}
    lines = {name: bin_scores(scores, truth) for name, truth in find_truths(opinions, labels).items()}
    if not any(lines.values()):
        return {}
    figure, axes = new_axes(4.6, 4)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    for (name, points), colour in zip(lines.items(), (BLUE, AMBER), strict=True):
        if points:
            axes.plot([x for x, _, _ in points], [y for _, y, _ in points], "o-", color=colour, label=f"good by {name}")
    axes.set_xlabel("score of all critics, mean of each tenth", fontsize=9, color=INK)
    axes.set_ylabel("share that is good", fontsize=9, color=INK)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(frameon=False, fontsize=9)
    return {"calibration": save_png(figure)}


def bin_scores(scores: Mapping[str, float], truth: Mapping[str, bool | None]) -> Sequence[tuple[float, float, int]]:
    """Reliability: (mean score, share that is good, n) for each tenth of the scale that holds samples."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for sample_id in sorted(scores):
        if (good := truth.get(sample_id)) is not None:
            bins.setdefault(min(N_BINS - 1, int(scores[sample_id] * N_BINS)), []).append((scores[sample_id], good))
    return [
        (sum(score for score, _ in found) / len(found), sum(good for _, good in found) / len(found), len(found))
        for _, found in sorted(bins.items())
    ]


def draw_quality(scores: pl.DataFrame) -> dict[str, bytes]:
    """Histograms of the learned filter's scores and of the instruction difficulty, of what has them.

    Args:
        scores: quality_scores.
    """
    pictures = {}
    for column, words in (("quality_score", "score of the learned filter"), ("instruction_difficulty", "instruction difficulty")):
        values = scores[column].drop_nulls().to_list()
        if values:
            figure, axes = new_axes(7, 2.4)
            axes.hist(values, bins=30, color=BLUE)
            axes.set_xlabel(words, fontsize=9, color=INK)
            axes.set_ylabel("samples", fontsize=9, color=INK)
            pictures[words] = save_png(figure)
    return pictures
