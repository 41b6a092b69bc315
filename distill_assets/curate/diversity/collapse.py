"""What counts as collapse: figures beyond a bound, below the seeds, or worse than in the build before.

Belongs here: bounds, and findings in words. Does not belong here: measuring (report) and stopping a build (checks).

The bounds are set between two kinds of corpora, measured by `python -m benchmarks.curate.diversity`. Varied ones: the built-in
recipe's accepted samples (1,577 and 4,707 rows, and each of its databases), GSM8K train (7,473 questions), MMLU dev (1,816), and
the questions of three benchmarks (15,525). Collapsed ones, made from the recipe and from GSM8K: each question three and ten times,
one opening before all and before half of the questions, and 20 and 200 questions again and again with other numbers. In brackets:
the worst varied one, then the best collapsed one of a shape that the measure is there for.

    repeated_frac           0.20  (0.012; 0.52 copies x3)
    compression_ratio       6.0   (3.6; 8.0 copies x10, 6.5 families)
    head_frac               0.40  (0.25 "which of the following"; 0.50 half opening)
    opening_frac            0.40  (0.10; 0.50 half opening)
    nearest_frac            0.30  (0.08; 0.71 copies x10, 0.97 families)
    template_effective_frac 0.25  (0.98; 0.15 copies x10, 0.10 families)
    template_frac           0.10  (0.004; one family that is a tenth of the corpus, which the measures above do not see)
"""

from __future__ import annotations

import polars as pl

from distill_assets.curate.diversity.report import AT_SEEDS, SEEDS
from distill_assets.curation import CollapseSpec

# Below this many rows a figure says too little to stop a build.
MIN_JUDGED_ROWS = 100
SCHEMA = {
    "slice_by": pl.String, "slice_value": pl.String, "metric": pl.String, "value": pl.Float64, "bound": pl.Float64,
    "words": pl.String,
}  # fmt: skip
# What each measure says, with a place for the figure.
WORDS = {
    "repeated_frac": "{:.0%} of the questions repeat another one",
    "compression_ratio": "the questions pack to 1/{:.1f} of their size",
    "head_frac": "{:.0%} of the questions hold the same four words",
    "opening_frac": "{:.0%} of the questions begin with the same four words",
    "nearest_frac": "{:.0%} of the questions share half their word pairs with another one",
    "template_frac": "{:.0%} of the samples have the same template",
    "template_effective_frac": "the templates are as varied as if only {:.0%} of the samples had one of their own",
}
# Measures of which a build can have less than the one before; True where the number of rows does not matter.
COMPARED = {
    "distinct_2": False, "opening_bits": False, "compression_ratio": False, "nearest_frac": False, "repeated_frac": False,
    "template_effective_frac": False, "head_frac": True, "opening_frac": True, "topic_effective": True,
    "difficulty_effective": True, "vendi": False,
}  # fmt: skip
# Measures that can be held against the seeds: those that do not change with the length of a text.
HELD_AGAINST_SEEDS = ("opening_bits", "opening_frac", "head_frac", "nearest_frac", "repeated_frac")
SAME_SIZE_FRAC = 0.1


def find_collapse(measures: pl.DataFrame, bounds: CollapseSpec) -> pl.DataFrame:
    """Find figures of the corpus and its slices that are beyond their bound.

    Args:
        measures: of `measure_corpus`. bounds: the recipe's; its defaults are the module's.

    Returns:
        slice_by, slice_value, metric, value, bound, words; in the order of `measures`, empty when all is well.
    """
    judged = measures.filter((pl.col("n") >= MIN_JUDGED_ROWS) & ~pl.col("slice_by").is_in([SEEDS, AT_SEEDS, "whole_at"]))
    found = []
    for name, bound in bounds.model_dump(exclude={"max_loss_frac"}, exclude_none=True).items():
        side, metric = name[:3], name[4:]
        is_beyond = pl.col("value") > bound if side == "max" else pl.col("value") < bound
        for row in judged.filter((pl.col("metric") == metric) & is_beyond).iter_rows(named=True):
            words = f"{WORDS[metric].format(row['value'])}{_quote(row['example'])}; {'at most' if side == 'max' else 'at least'} {bound:g}"
            found.append((row["slice_by"], row["slice_value"], metric, row["value"], bound, words))
    return _make_findings(found)


def find_losses(measures: pl.DataFrame, max_loss_frac: float = 0.5) -> pl.DataFrame:
    """Find where the corpus is less varied than the seeds that it was made from, on equally many rows.

    Args:
        measures: of `measure_corpus`. max_loss_frac: how much of the seeds' variety may be lost, 0 to 1.

    Returns:
        As `find_collapse`; the bound is the seeds' own figure.
    """
    seeds = measures.filter(pl.col("slice_by") == SEEDS)
    whole = measures.filter(pl.col("slice_by") == AT_SEEDS)
    lost = _compare(whole, seeds.with_columns(slice_by=pl.lit(AT_SEEDS)), HELD_AGAINST_SEEDS, max_loss_frac)
    return _make_findings(
        [(*row[:5], f"{row[2]} is {row[3]:.3g}, and {row[4]:.3g} among the seeds{_quote(row[5])}") for row in lost]
    )


def find_drops(now: pl.DataFrame, before: pl.DataFrame, max_drop_frac: float) -> pl.DataFrame:
    """Find where a build is less varied than the one before.

    Only figures on equally many rows are compared, within 10%, where their number matters; the slices whole_at have the same
    numbers in each build.

    Args:
        now, before: of `measure_corpus`. max_drop_frac: how much variety may be lost, 0 to 1.

    Returns:
        As `find_collapse`; the bound is the figure before.
    """
    kept = now.filter((pl.col("slice_by") != SEEDS) & (pl.col("n") >= MIN_JUDGED_ROWS))
    lost = _compare(kept, before, tuple(COMPARED), max_drop_frac)
    return _make_findings([(*row[:5], f"{row[2]} is {row[3]:.3g}, and was {row[4]:.3g} before{_quote(row[5])}") for row in lost])


def _compare(now: pl.DataFrame, before: pl.DataFrame, metrics: tuple[str, ...], max_frac: float) -> list[tuple]:
    """Rows of (slice_by, slice_value, metric, value, value before, example) that lost more than `max_frac` of their variety."""
    keys = ["slice_by", "slice_value", "metric"]
    both = now.join(before.select(*keys, "value", "n"), on=keys, suffix="_before").filter(pl.col("metric").is_in(metrics))
    lost = []
    for row in both.sort(keys).iter_rows(named=True):
        is_same_size = abs(row["n"] - row["n_before"]) <= SAME_SIZE_FRAC * max(row["n"], row["n_before"])
        had = as_variety(row["metric"], row["value_before"])
        has = as_variety(row["metric"], row["value"])
        if (is_same_size or COMPARED[row["metric"]]) and has < had * (1 - max_frac):
            lost.append((*(row[key] for key in keys), row["value"], row["value_before"], row["example"]))
    return lost


def as_variety(metric: str, value: float) -> float:
    """The figure turned so that more is more varied."""
    if metric == "compression_ratio":
        return 1 / value
    return 1 - value if metric.endswith("_frac") and not metric.endswith("effective_frac") else value


def _quote(example: str | None) -> str:
    return f" ({example[:80]!r})" if example else ""


def _make_findings(rows: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("slice_by", "slice_value", "metric")
