"""One person's review: what was drawn for them, saving what they say, and what all labels amount to.

Belongs here: what terminal and page have in common. Does not belong here: how either looks, or the labels' journal
(reviews.labels).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl
import pydantic

from distill_assets.commands.review.samples import JudgedWorld, Shown, find_samples, show_samples
from distill_assets.errors import ReviewError
from distill_assets.judging import ReviewSpec
from distill_assets.resources import read_wall_clock_s
from distill_assets.reviews.drawing import STATUSES, draw_samples, share_out
from distill_assets.reviews.labels import (
    Label,
    append_labels,
    check_reviewer,
    describe_mistakes,
    format_time,
    labels_file,
    name_text,
    read_labels,
)
from distill_assets.reviews.measuring import ReviewFigures, Stratum, measure_review, settle_labels


class Asked(NamedTuple):
    """What to review: so many in all (None: as the recipe says), one status or all, or named samples.

    `with_others` draws samples that other people labelled already too, which shows where people disagree.
    `is_blind` keeps the judges' word back until a sample is labelled.
    """

    n: int | None = None
    status: str = "all"
    sample_ids: tuple[str, ...] = ()
    with_others: bool = False
    is_blind: bool = False


class Review(NamedTuple):
    """One person's review: samples in the order in which they are shown; `drawn` is random or chosen."""

    world: JudgedWorld
    reviewer: str
    drawn: str
    samples: dict[str, Shown]
    is_blind: bool = False


def name_user() -> str:
    """The person who runs this, by the system's word."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def open_review(world: JudgedWorld, spec: ReviewSpec, reviewer: str, asked: Asked) -> Review:
    """Draw what a person is shown.

    Raises:
        ReviewError: the name is none, or a named sample is not there.
    """
    reviewer = check_reviewer(reviewer)
    if asked.sample_ids:
        ids = list(dict.fromkeys(find_samples(world, asked.sample_ids)))
        return Review(world, reviewer, "chosen", show_samples(world, ids), asked.is_blind)
    labels = read_labels(world.workspace, world.recipe).frame
    # What a person chose is drawn like any other: left out, it would be missing from what chance shows.
    done = labels.filter(pl.col("drawn") == "random")
    if asked.with_others:
        done = done.filter(pl.col("reviewer") == reviewer)
    labelled = set(done["sample_id"])
    pool = world.samples if asked.status == "all" else world.samples.filter(pl.col("sample_status") == asked.status)
    sizes = spec.model_dump(include=set(STATUSES)) if asked.n is None else share_out(pool, asked.n, labelled)
    shown = show_samples(world, draw_samples(pool, sizes, spec.seed, labelled))
    return Review(world, reviewer, "random", shown, asked.is_blind)


def save_label(review: Review, sample_id: str, label: str, comment: str, drawn: str) -> Label:
    """Put a label on the disk and return it.

    Args:
        drawn: `chosen` where the person picked this sample among the drawn ones.

    Raises:
        ReviewError: the sample was not shown, or the label is none. StorageError: it was not saved.
    """
    shown = review.samples.get(sample_id)
    if shown is None:
        raise ReviewError(f"sample {sample_id[:40]!r} is not in this review. Nothing was saved.")
    [text] = review.world.samples.filter(pl.col("sample_id") == sample_id).select("question", "trace", "sql").rows()
    try:
        made = Label(
            sample_id=sample_id,
            reviewer=review.reviewer,
            label=label,
            comment=comment,
            labelled_at=format_time(read_wall_clock_s()),
            seen_status=shown.status,
            drawn="chosen" if review.drawn == "chosen" else drawn,
            text_id=name_text(*text),
        )
    except pydantic.ValidationError as error:
        raise ReviewError(f"{describe_mistakes(error)}. Nothing was saved.") from error
    append_labels(review.world.workspace, review.world.recipe, [made])
    return made


def read_own_labels(review: Review) -> dict[str, dict[str, str]]:
    """This person's labels on the samples shown: sample_id -> label, comment."""
    own = read_labels(review.world.workspace, review.world.recipe).frame.filter(pl.col("reviewer") == review.reviewer)
    rows = own.select("sample_id", "label", "comment").iter_rows(named=True)
    return {
        row["sample_id"]: {"label": row["label"], "comment": row["comment"]} for row in rows if row["sample_id"] in review.samples
    }


def summarize_review(world: JudgedWorld, given: Mapping[str, str]) -> str:
    """Say what was labelled, and what all labels say of the judges.

    Args:
        given: sample_id -> label, of this review.
    """
    read = read_labels(world.workspace, world.recipe)
    figures = measure_review(read.frame, world.samples)
    counts = Counter(given.values())
    said = ", ".join(f"{counts[label]} {label}" for label in ("accept", "reject", "unsure"))
    lines = [f"Labelled in this review: {len(given)} ({said})"] if given else []
    lines += [_say_people(read.frame), *_say_rates(figures)]
    lines += [f"Not counted: {problem}" for problem in read.problems]
    return "\n".join([*lines, f"Labels: {labels_file(world.workspace, world.recipe)}"])


def _say_people(labels: pl.DataFrame) -> str:
    settled = settle_labels(labels)
    shared = [answer for answer in settled.values() if answer.n_reviewers > 1]
    differ = sum(answer.n_disagree > 0 for answer in shared)
    people = f"{labels['reviewer'].n_unique()} people" if labels["reviewer"].n_unique() != 1 else "1 person"
    agreement = f"; {len(shared)} by more than one, who differ on {differ}" if shared else ""
    samples = "1 sample" if len(settled) == 1 else f"{len(settled)} samples"
    return f"In all: {samples} by {people}{agreement}"


def _say_rates(figures: ReviewFigures) -> list[str]:
    head = f"{'status':<10}{'samples':>9}{'labelled':>10}{'unsure':>8}{'wrong':>7}  error rate (95% interval)"
    rows = [_say_stratum(stratum) for stratum in figures.strata if stratum.n_samples]
    weighted = _say_rate(figures.error_frac, figures.low, figures.high)
    if figures.error_frac is None:
        weighted = "unknown until accepted and rejected samples are both labelled"
    tail = [f"{'weighted':<44}  {weighted}", "Rates are of randomly drawn samples, by the judges' own status."]
    if figures.n_moved or figures.n_gone:
        tail.append(
            f"Left out: {figures.n_moved} that have another status now, {figures.n_gone} that are gone or have another text."
        )
    return [head, *rows, *tail]


def _say_stratum(stratum: Stratum) -> str:
    wrong = "-" if stratum.n_wrong is None else str(stratum.n_wrong)
    rate = _say_rate(stratum.error_frac, stratum.low, stratum.high)
    if stratum.n_wrong is None and stratum.n_reviewed:
        rate = f"people accept {stratum.n_accept} of {stratum.n_reviewed}"
    return f"{stratum.status:<10}{stratum.n_samples:>9}{stratum.n_reviewed:>10}{stratum.n_unsure:>8}{wrong:>7}  {rate}"


def _say_rate(frac: float | None, low: float | None, high: float | None) -> str:
    return "unknown" if frac is None else f"{frac:.1%} ({low:.1%} to {high:.1%})"
