"""Who comes first: the order of preference, the order of training, and the held-out split.

Belongs here: orders that depend on a sample's own columns and a seed. Does not belong here: how many stay (quotas) and dropping
(select).

Chance is a hash of the seed and the sample's id. So no sample's place depends on another sample, on the row order, or on when
it came; and with another seed only chance differs, not what scores decide.
"""

from __future__ import annotations

import polars as pl

from distill_assets.curate.difficulty import DIFFICULTIES
from distill_assets.curation import CurateSpec
from distill_assets.identity import unit_interval


def add_chance(samples: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Add `chance`, a fixed number in [0, 1) for each sample_id."""
    chance = [unit_interval("limit", seed, sample_id) for sample_id in samples["sample_id"]]
    return samples.with_columns(pl.Series("chance", chance, dtype=pl.Float64))


def sort_by_score(samples: pl.DataFrame) -> pl.DataFrame:
    """The best first: by the critics' score, then the learned filter's, then chance; samples without a score last.

    Args:
        samples: critic_score, quality_score, chance, sample_id.
    """
    return samples.sort(
        "critic_score", "quality_score", "chance", "sample_id", descending=[True, True, False, False], nulls_last=True
    )


def sort_by_preference(samples: pl.DataFrame, prefer: str) -> pl.DataFrame:
    """The order in which samples are taken when not all can be: by chance, the hardest first, or the best first.

    Difficult: the hardest first, as long as the question helps at all; then those where it does not, then those that nobody
    read, by chance where equal.

    Args:
        samples: instruction_difficulty and the columns of `sort_by_score`. prefer: of CurateSpec.

    Source: M. Li et al., "Superfiltering", ACL 2024 (arXiv 2402.00530), section 3: the highest scores below 1.
    """
    if prefer == "best":
        return sort_by_score(samples)
    if prefer == "any":
        return samples.sort("chance", "sample_id")
    value = pl.col("instruction_difficulty")
    group = pl.when(value.is_null()).then(2).when(value < 1).then(0).otherwise(1)
    return samples.sort(group, pl.when(value < 1).then(-value).otherwise(value), "chance", "sample_id")


def add_split(kept: pl.DataFrame, spec: CurateSpec) -> pl.DataFrame:
    """Add `split`: train, or heldout for the synthetic evaluation, by a hash of the sample's id.

    What people wrote is always trained on: the held-out split measures how well the student learns what the teacher made.
    """
    splits = [
        "heldout" if not is_real and unit_interval("split", spec.seed, sample_id) < spec.heldout_frac else "train"
        for sample_id, is_real in kept.select("sample_id", "is_real").iter_rows()
    ]
    return kept.with_columns(pl.Series("split", splits, dtype=pl.String))


def add_position(kept: pl.DataFrame, spec: CurateSpec) -> pl.DataFrame:
    """Add `position`, the place in the order of training from 0 on: by chance, or by difficulty and then by chance.

    Samples whose query cannot be read come last either way.

    Args:
        kept: sample_id, difficulty. spec: `order` and `seed`.
    """
    rising = {name: place for place, name in enumerate(DIFFICULTIES)}
    falling = {name: -place for name, place in rising.items()} | {"unparsed": 1}
    place_of: dict[str, int] = {"any": {}, "easy_first": rising, "hard_first": falling}[spec.order]
    chance = {sample_id: unit_interval("order", spec.seed, sample_id) for sample_id in kept["sample_id"]}
    order = sorted(
        kept.select("sample_id", "difficulty").iter_rows(),
        key=lambda row: (place_of.get(row[1], len(place_of)), chance[row[0]], row[0]),
    )
    position = {sample_id: place for place, (sample_id, _) in enumerate(order)}
    return kept.with_columns(pl.Series("position", [position[i] for i in kept["sample_id"]], dtype=pl.Int64))
