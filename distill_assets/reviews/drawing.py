"""Which samples people see: some of each judged status, by chance that nothing can move.

Belongs here: the drawing. Does not belong here: what is done with the samples (commands) or with labels (measuring).

A sample's place in the drawing is a hash of its id and the seed, so it stays where it is when samples are added, and
two people draw the same. Within a status, whatever is labelled first is a random part of that status: stop at any time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from distill_assets.identity import unit_interval

STATUSES = ("accepted", "rejected", "unscored")
WEIGHTS: Mapping[str, int] = {"accepted": 2, "rejected": 1, "unscored": 1}


def draw_samples(samples: pl.DataFrame, sizes: Mapping[str, int], seed: int, leave_out: Collection[str] = ()) -> list[str]:
    """Return the ids of randomly drawn samples, the statuses mixed evenly from first to last.

    Args:
        samples: has sample_id and sample_status. sizes: status -> how many; a status with fewer gives all it has.
        seed: another number, another drawing. leave_out: ids that are not drawn, such as those already labelled.
    """
    left_out = frozenset(leave_out)
    placed: list[tuple[float, str]] = []
    for status, ids in _group_ids(samples).items():
        open_ids = [sample_id for sample_id in ids if sample_id not in left_out]
        drawn = sorted(open_ids, key=lambda sample_id: unit_interval("review", seed, sample_id))[: sizes.get(status, 0)]
        placed += [((place + 0.5) / len(drawn), sample_id) for place, sample_id in enumerate(drawn)]
    return [sample_id for _, sample_id in sorted(placed)]


def share_out(samples: pl.DataFrame, n: int, leave_out: Collection[str] = ()) -> dict[str, int]:
    """Share `n` samples among the statuses, accepted twice the others; what one lacks goes to the rest."""
    left_out = frozenset(leave_out)
    there = {status: sum(sample_id not in left_out for sample_id in ids) for status, ids in _group_ids(samples).items()}
    sizes = dict.fromkeys(STATUSES, 0)
    for _ in range(min(n, sum(there.values()))):
        short = [status for status in STATUSES if sizes[status] < there.get(status, 0)]
        sizes[min(short, key=lambda status: (sizes[status] / WEIGHTS[status], STATUSES.index(status)))] += 1
    return sizes


def _group_ids(samples: pl.DataFrame) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for sample_id, status in samples.select("sample_id", "sample_status").sort("sample_id").iter_rows():
        grouped.setdefault(status, []).append(sample_id)
    return grouped
