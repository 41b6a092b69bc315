"""The `distill` command: arguments, exit codes, and errors without a traceback.

Belongs here: parsing and printing. Does not belong here: what a command does (commands).
Exit codes: 0 done, 1 a DistillError or a failed run, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from pathlib import Path

import click

from distill_assets.commands.lineage.command import lineage
from distill_assets.errors import DistillError

RECIPE = click.option(
    "--recipe", "recipe_path", type=click.Path(path_type=Path), help="Recipe folder. Default: the built-in text_to_sql."
)


class FriendlyGroup(click.Group):
    """A click group that shows a DistillError as its message alone."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn a DistillError into exit code 1."""
        try:
            return super().invoke(ctx)
        except DistillError as error:
            raise click.ClickException(f"{type(error).__name__}: {error}") from error


@click.group(cls=FriendlyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="distill-assets", prog_name="distill")
def main() -> None:
    """Distil a teacher model into a small student, as one lineage graph."""


main.add_command(lineage)


def _load(recipe_path: Path | None):
    from distill_assets.config import BUILT_IN_RECIPE, built_in_recipe, load_recipe

    return load_recipe(recipe_path or built_in_recipe(BUILT_IN_RECIPE))


def _load_all(recipe_path: Path | None):
    from distill_assets.config import find_recipe_folders, load_recipe

    return [load_recipe(path) for path in ([recipe_path] if recipe_path else find_recipe_folders())]


@main.command()
@RECIPE
@click.option("--select", "-s", multiple=True, metavar="ASSET", help="Bring only this asset and what it needs up to date.")
@click.option("--quiet", "-q", is_flag=True, help="Print errors only, and what is waited for.")
@click.option("--wait", "is_patient", is_flag=True, help="Stay while a batch has calls, and go on when it has ended.")
@click.option("--poll-s", default=30.0, type=click.FloatRange(0.01), hidden=True)
def run(recipe_path: Path | None, select: tuple[str, ...], quiet: bool, is_patient: bool, poll_s: float) -> None:
    """Bring a recipe's graph up to date; sends and trains only what changed."""
    from distill_assets.commands.batches import wait_for_batches
    from distill_assets.commands.instance import open_instance
    from distill_assets.commands.progress import show_progress
    from distill_assets.commands.run import run_recipe
    from distill_assets.commands.summary import summarize

    folder = _load(recipe_path)
    instance = open_instance()
    with show_progress(quiet) as say:
        wait = (lambda: wait_for_batches(folder.recipe, poll_s, say)) if is_patient else None
        report = run_recipe(folder, instance, list(select), say, wait)
    if report.errors:
        raise click.ClickException("\n".join(report.errors))
    if report.waiting is not None:
        click.echo(f"{report.waiting}; run again later, or: distill run --wait")
    elif not quiet:
        click.echo(summarize(folder, instance, report.waves))


@main.command()
@RECIPE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(recipe_path: Path | None, as_json: bool) -> None:
    """Say what a run would ask of its teachers: requests, tokens, money, time, and what is paid for already."""
    import json

    from distill_assets.commands.plan import plan_as_data, plan_recipe, render_plan

    planned = plan_recipe(_load(recipe_path))
    click.echo(json.dumps(plan_as_data(planned)) if as_json else render_plan(planned))


@main.command()
@click.option("--recipe", "recipe_paths", multiple=True, type=click.Path(path_type=Path), help="Recipe folder; may be given again.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--no-daemon", is_flag=True, help="Without sensors: materialize by hand only.")
def ui(recipe_paths: tuple[Path, ...], port: int, no_daemon: bool) -> None:
    """Open the Dagster UI on loopback, guarded against other sites."""
    from distill_assets.commands.ui import serve

    serve(list(recipe_paths), port, with_daemon=not no_daemon, say=click.echo)


@main.command()
@RECIPE
@click.option("--reap", is_flag=True, help="Mark runs whose process is gone as failed.")
def doctor(recipe_path: Path | None, reap: bool) -> None:
    """Look at the environment, keys, base models and lost runs."""
    from distill_assets.commands.doctor import examine, reap_runs
    from distill_assets.commands.instance import open_instance

    folders = _load_all(recipe_path)
    instance = open_instance()
    if reap:
        reaped = reap_runs(instance)
        click.echo(f"{len(reaped)} lost runs marked as failed" + "".join(f"\n  {run_id}" for run_id in reaped))
    found = examine(instance, folders)
    for item in found:
        click.echo(f"{'ok  ' if item.is_well else 'BAD '} {item.subject:<24} {item.words}")
    if any(not item.is_well for item in found):
        raise SystemExit(1)


@main.command()
@click.argument("sample_id")
@RECIPE
def explain(sample_id: str, recipe_path: Path | None) -> None:
    """Tell the whole past of a sample, also of a dropped one. A unique beginning of the id will do."""
    from distill_assets.commands.explain import explain_sample
    from distill_assets.commands.instance import open_instance

    click.echo(explain_sample(_load(recipe_path), open_instance(), sample_id))


@main.command()
@click.argument("query", required=False)
@RECIPE
def sql(query: str | None, recipe_path: Path | None) -> None:
    """Query the recipe's tables by name; without QUERY, list them."""
    from distill_assets.commands.instance import open_instance
    from distill_assets.commands.tables import query_tables

    click.echo(query_tables(_load(recipe_path), open_instance(), query))


@main.command()
@RECIPE
@click.option("--terminal", is_flag=True, help="Here, instead of on a local page.")
@click.option("-n", "n", type=click.IntRange(1), metavar="N", help="How many samples. Default: as the recipe says.")
@click.option("--status", type=click.Choice(["accepted", "rejected", "unscored", "all"]), default="all", show_default=True)
@click.option("--sample", "sample_ids", multiple=True, metavar="ID", help="This sample; may be given again. A beginning will do.")
@click.option("--with-others", is_flag=True, help="Also draw what other people labelled, to see where you differ.")
@click.option("--blind", "is_blind", is_flag=True, help="Keep back what the judges say until you have labelled.")
@click.option("--summary", "only_summary", is_flag=True, help="Only say what all labels amount to.")
@click.option("--reviewer", metavar="NAME", help="Who labels. Default: your user name.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the page. Default: a free one.")
@click.option("--export", "export_file", type=click.Path(path_type=Path), metavar="FILE", help="Write all labels as JSONL.")
@click.option("--import", "import_file", type=click.Path(path_type=Path), metavar="FILE", help="Take labels made elsewhere.")
def review(recipe_path: Path | None, **options: object) -> None:
    """Look at judged samples and label them: accept, reject or unsure."""
    from distill_assets.commands.instance import open_instance
    from distill_assets.commands.review.run import ReviewOptions, review_recipe

    review_recipe(_load(recipe_path), open_instance(), ReviewOptions(**options), say=click.echo)


@main.command("new-recipe")
@click.argument("name")
@click.option("--database", type=click.Path(path_type=Path), help="Your own DuckDB or SQLite file, or an SQL script.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("recipes"), show_default=True, help="Where to put it.")
def new_recipe(name: str, database: Path | None, folder: Path) -> None:
    """Write a commented starting folder for a recipe of your own."""
    from distill_assets.commands.new_recipe import write_recipe

    click.echo(write_recipe(name, folder, database))


@main.command("check-recipe")
@click.argument("recipe_path", type=click.Path(path_type=Path))
def check_recipe(recipe_path: Path) -> None:
    """Say what is wrong with a recipe, by file and line."""
    from distill_assets.commands.check_recipe import check

    problems, words = check(recipe_path)
    if problems:
        raise click.ClickException("\n".join(problems))
    click.echo(words)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--verifier", required=True, metavar="NAME", help="sql, python, numeric, math, json, exact, normalized_text or choice."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write one verdict a row as JSONL.")
@click.option("--database", type=click.Path(path_type=Path), help="For sql: a DuckDB or SQLite file, or an SQL script.")
@click.option("--instances", default=2, show_default=True, type=click.IntRange(1, 10), help="For sql: differently filled copies.")
@click.option("--option", "-o", "pairs", multiple=True, metavar="NAME=VALUE", help="Argument of the verifier; @FILE reads JSON.")
def verify(file: Path, verifier: str, out: Path | None, database: Path | None, instances: int, pairs: tuple[str, ...]) -> None:
    """Hold a JSONL file of {answer, gold} rows against a verifier; exit code 1 when a row cannot be read."""
    from distill_assets.commands.verify import parse_options, show_problems, summarize, verify_file, write_verdicts

    report = verify_file(file, verifier, parse_options(pairs), database, instances)
    if out is not None:
        write_verdicts(report, out)
    click.echo(summarize(report))
    if report.problems:
        raise click.ClickException(show_problems(report.problems))


@main.command("serve-teacher")
@click.option("--gguf", type=click.Path(path_type=Path), metavar="FILE", help="Any GGUF model. Default: SmolLM2-135M-Instruct.")
@click.option("--port", default=8089, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--slots", default=2, show_default=True, type=click.IntRange(1), help="Requests answered side by side.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads that compute; fewer than cores.")
@click.option("--context", default=8192, show_default=True, type=click.IntRange(256), help="Tokens of a prompt and its answer.")
@click.option("--api-key-env", metavar="NAME", help="Variable that holds the key to require. Default: any key passes.")
def serve_teacher(gguf: Path | None, port: int, slots: int, threads: int, context: int, api_key_env: str | None) -> None:
    """Serve a local model as a teacher, on loopback, and print what a recipe needs to use it."""
    from distill_assets.commands.serve_teacher import ServerSettings, serve

    serve(gguf, ServerSettings(port, slots, threads, context, api_key_env), say=click.echo)


if __name__ == "__main__":
    main()
