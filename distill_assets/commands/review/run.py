"""What `distill review` does with its options: a review on a page or in a terminal, labels out, labels in.

Belongs here: choosing among them, and the words at the end. Does not belong here: any of the four (page, terminal,
reviews.exchange).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import dagster as dg

from distill_assets.commands.review.page import serve_page
from distill_assets.commands.review.samples import JudgedWorld, load_judged
from distill_assets.commands.review.session import Asked, name_user, open_review, summarize_review
from distill_assets.commands.review.terminal import open_console, review_in_terminal
from distill_assets.config import RecipeFolder, home_folder
from distill_assets.errors import ReviewError
from distill_assets.resources import read_wall_clock_s
from distill_assets.reviews.exchange import export_labels, pick_new, read_import
from distill_assets.reviews.labels import append_labels, check_reviewer, format_time, name_text, read_journal
from distill_assets.storage import Workspace, write_text

Say = Callable[[str], object]


class ReviewOptions(NamedTuple):
    """The command's options as they were given."""

    terminal: bool
    n: int | None
    status: str
    sample_ids: tuple[str, ...]
    with_others: bool
    is_blind: bool
    only_summary: bool
    reviewer: str | None
    port: int
    export_file: Path | None
    import_file: Path | None


def review_recipe(folder: RecipeFolder, instance: dg.DagsterInstance, options: ReviewOptions, say: Say) -> None:
    """Do what the options ask.

    Raises:
        click.UsageError: they contradict each other. ReviewError: there is nothing to review, or a name, id or file is none.
        StorageError: labels cannot be written or read.
    """
    _check_options(options)
    if options.export_file is not None:
        say(export_to(Workspace(home_folder()), folder.recipe.name, options.export_file))
        return
    reviewer = check_reviewer(name_user() if options.reviewer is None else options.reviewer)
    world = load_judged(folder, instance)
    if options.only_summary:
        say(summarize_review(world, {}))
        return
    if options.import_file is not None:
        say(import_from(world, options.import_file, reviewer))
        say(summarize_review(world, {}))
        return
    asked = Asked(options.n, options.status, options.sample_ids, options.with_others, options.is_blind)
    opened = open_review(world, folder.recipe.judge.review, reviewer, asked)
    if not opened.samples:
        say("Nothing is left to review: all samples that were asked for are labelled, or there are none of them.")
        given = {}
    elif options.terminal:
        given = review_in_terminal(opened, open_console())
    else:
        given = serve_page(opened, options.port, say)
    say(summarize_review(world, given))


def _check_options(options: ReviewOptions) -> None:
    if options.sample_ids and (options.n is not None or options.status != "all" or options.with_others):
        raise click.UsageError("--sample names the samples itself; leave out -n, --status and --with-others.")
    if options.export_file is not None and options.import_file is not None:
        raise click.UsageError("give either --export or --import.")
    is_exchange = options.export_file is not None or options.import_file is not None
    if is_exchange and (options.terminal or options.sample_ids or options.n is not None or options.status != "all"):
        raise click.UsageError("--export and --import take no samples to show.")
    if options.only_summary and (is_exchange or options.terminal):
        raise click.UsageError("--summary shows no sample and takes no file; leave out the other options.")


def export_to(workspace: Workspace, recipe: str, file: Path) -> str:
    """Write all labels, earlier ones too, into a new file, and say how many.

    Raises:
        ReviewError: there is none, or the file is there already.
    """
    journal = read_journal(workspace, recipe)
    if not journal.labels:
        raise ReviewError(f"recipe '{recipe}' has no label yet. {file} was not written. Make some: distill review")
    if file.exists():
        raise ReviewError(f"{file} is there already and was left as it is. Name a new file.")
    write_text(file.absolute(), export_labels(journal.labels))
    lost = [f"Not counted: {problem}" for problem in journal.problems]
    return "\n".join([f"{len(journal.labels)} labels written to {file}", *lost])


def import_from(world: JudgedWorld, file: Path, reviewer: str) -> str:
    """Take the labels of a file, all or none, and say how many.

    Raises:
        ReviewError: a row is no label. StorageError: they cannot be saved.
    """
    rows = world.samples.select("sample_id", "sample_status", "question", "trace", "sql").iter_rows()
    known = {sample_id: {"seen_status": status, "text_id": name_text(*text)} for sample_id, status, *text in rows}
    defaults = {"reviewer": reviewer, "labelled_at": format_time(read_wall_clock_s())}
    read = read_import(file, known, defaults)
    picked = pick_new(read, read_journal(world.workspace, world.recipe).labels)
    if picked.new:
        append_labels(world.workspace, world.recipe, picked.new)
    gone = sum(label.sample_id not in known for label in picked.new)
    return (
        f"{len(picked.new)} labels taken from {file}; {picked.n_known} were there, {picked.n_older} are older than their "
        f"person's label here; {gone} are of samples that are not here now"
    )
