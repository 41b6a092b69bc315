"""`distill check-recipe`: everything that is wrong with a recipe folder, before anything is built.

Belongs here: looking at each part with the code that will read it, and going on after a problem. Does
not belong here: the rules themselves (config, seed, prompts, verifiers).

Nothing is written but to a temporary folder, and nothing is sent.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from distill_assets.clients.base_model import resolve_base_model
from distill_assets.clients.endpoints import name_teacher, plan_endpoint
from distill_assets.config import RecipeFolder, cache_folder, load_recipe, read_secret
from distill_assets.errors import BaseModelError, DistillError, SeedError
from distill_assets.judge.critics.rubric import load_rubric
from distill_assets.judge.critics.run import check_families
from distill_assets.prompts import fill, load_prompt
from distill_assets.seed.benchmarks import load_benchmarks
from distill_assets.seed.corpus import read_seed, refuse_repeat
from distill_assets.seed.databases import prepare_databases
from distill_assets.seed.files import FileRow, find_files, read_rows
from distill_assets.seed.holdout import read_item
from distill_assets.seed.real_samples import load_real_samples
from distill_assets.storage import Workspace, find_instances
from distill_assets.verifiers.sql.check_items import check_gold

MAX_PROBLEMS = 50
PROMPT_VALUES = {"schema": "", "kind": "", "text": ""}
JUDGING_VALUES = {"rubric": "", "schema": "", "fence": "", "sample": ""}
COMPARING_VALUES = {"rubric": "", "schema": "", "fence": "", "first": "", "second": ""}
ARBITER_VALUES = {"fence": "", "sample": "", "item": ""}
Instances = dict[str, list[Path]]


class Rows(NamedTuple):
    """What was read of one or more files: the good rows with their places, and what is wrong."""

    places: list[FileRow]
    values: list[dict[str, object]]
    problems: list[str]


def check(path: Path) -> tuple[list[str], str]:
    """Return the problems of the recipe at `path`, and a summary in words for when there is none."""
    try:
        folder = load_recipe(path)
    except DistillError as error:
        return str(error).splitlines(), ""
    recipe = folder.recipe
    problems = [*_check_prompt(folder), *_check_teacher(folder), *_check_critics(folder), *_check_curation(folder)]
    seeds = _read_seeds(folder)
    problems += seeds.problems
    if not seeds.problems and len(seeds.values) < recipe.thresholds.min_seeds:
        problems.append(
            f"{path}: {len(seeds.values)} seeds, at least {recipe.thresholds.min_seeds} are wanted (thresholds.min_seeds)"
        )
    with tempfile.TemporaryDirectory() as temporary:
        instances, found = _build_databases(folder, Workspace(Path(temporary)))
        items, wrong = _check_holdout(folder, instances)
        real = list(_check_real_samples(folder, instances))
    problems += [*found, *wrong, *real]
    shown = problems[:MAX_PROBLEMS] + ([f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else [])
    return shown, _summarize(folder, len(seeds.values), items)


def _check_prompt(folder: RecipeFolder) -> Iterator[str]:
    try:
        _fill_prompt(folder.path, folder.recipe.generate.prompt, PROMPT_VALUES)
    except DistillError as error:
        yield str(error)


def _check_teacher(folder: RecipeFolder) -> Iterator[str]:
    for teacher in folder.recipe.list_teachers():
        try:
            plan_endpoint(teacher, read_secret)
        except DistillError as error:
            yield str(error)


def _check_critics(folder: RecipeFolder) -> Iterator[str]:
    """Rubric, prompts and endpoints of the critics, and whether one is kin to what it judges."""
    recipe, path = folder
    spec = recipe.judge.critics
    if not spec.judges:
        return
    for check_one in (
        lambda: load_rubric(path, spec.rubric),
        lambda: _fill_prompt(path, spec.prompt, JUDGING_VALUES),
        lambda: _fill_prompt(path, spec.pair_prompt, COMPARING_VALUES),
        lambda: check_families(spec, recipe.list_teachers(), recipe.student.base_model, {}, {}),
        *(functools.partial(plan_endpoint, critic, read_secret) for critic in spec.judges),
    ):
        try:
            check_one()
        except DistillError as error:
            yield str(error)


def _check_curation(folder: RecipeFolder) -> Iterator[str]:
    """Files of benchmarks, the arbiter, the embedding model; a benchmark of the hub is not asked for here."""
    recipe, path = folder
    spec, embedding = recipe.curate.contamination, recipe.curate.embedding
    files = {name: benchmark for name, benchmark in spec.benchmarks.items() if benchmark.file}
    checks: list[Callable[[], object]] = [
        functools.partial(load_benchmarks, path, {name: benchmark}) for name, benchmark in sorted(files.items())
    ]
    if embedding is not None:
        checks.append(lambda: resolve_base_model(embedding.model, cache_folder()))
    if spec.arbiter is not None:
        checks.append(lambda: _fill_prompt(path, spec.prompt, ARBITER_VALUES))
        checks.append(functools.partial(plan_endpoint, spec.arbiter, read_secret))
    for check_one in checks:
        try:
            check_one()
        except DistillError as error:
            yield str(error)


def _check_real_samples(folder: RecipeFolder, instances: Instances) -> Iterator[str]:
    """Samples that people wrote, their queries run; only when all databases are there to run them on."""
    recipe, path = folder
    if not recipe.curate.mix.real_samples or set(instances) != set(recipe.databases):
        return
    check_all = lambda items: check_gold(items, instances)  # noqa: E731
    try:
        load_real_samples(path, recipe.curate.mix.real_samples, sorted(recipe.databases), recipe.seed_licence, check_all)
    except DistillError as error:
        yield str(error)


def _fill_prompt(path: Path, name: str, values: dict[str, str]) -> None:
    prompt = load_prompt(path, name)
    fill(prompt.system + prompt.user, values)


def _read_seeds(folder: RecipeFolder) -> Rows:
    recipe, path = folder
    names = sorted(recipe.databases)
    rows = Rows([], [], [])
    files: list[Path] = []
    for pattern in recipe.seeds:
        try:
            files += [file for file in find_files(path, (pattern,)) if file not in files]
        except SeedError as error:
            rows.problems.append(str(error))
    seen: dict[str, FileRow] = {}
    for file in files:
        _read_file(file, lambda row: read_seed(row, names, recipe.seed_licence), "seed_id", seen, rows)
    return rows


def _read_file(file: Path, read: Callable[[FileRow], dict], id_name: str, seen: dict[str, FileRow], into: Rows) -> None:
    """Add a file's rows to `into`; a bad row is a problem, a file that cannot be read on is another."""
    try:
        for row in read_rows(file):
            try:
                values = read(row)
                refuse_repeat(seen, values[id_name], row)
            except SeedError as error:
                into.problems.append(str(error))
            else:
                into.places.append(row)
                into.values.append(values)
    except SeedError as error:
        into.problems.append(str(error))


def _build_databases(folder: RecipeFolder, workspace: Workspace) -> tuple[Instances, list[str]]:
    """Build and refill each database by itself, so that one that fails hides no other."""
    recipe, path = folder
    instances: Instances = {}
    problems = []
    for name, source in sorted(recipe.databases.items()):
        try:
            frame = prepare_databases(workspace, recipe.name, path, {name: source}, recipe.instances)
            found = find_instances(workspace, recipe.name, frame)[name]
            instances[name] = [found[number] for number in sorted(found)]
        except DistillError as error:
            problems.append(str(error))
    return instances, problems


def _check_holdout(folder: RecipeFolder, instances: Instances) -> tuple[int, list[str]]:
    """Return the number of items and what is wrong with them; gold queries run where the database was built."""
    recipe, path = folder
    file = path / recipe.holdout
    rows = Rows([], [], [])
    _read_file(file, lambda row: read_item(row, sorted(recipe.databases)), "item_id", {}, rows)
    problems = list(rows.problems)
    wanted = recipe.thresholds.min_holdout_items
    if not problems and len(rows.values) < wanted:
        problems.append(f"{file}: {len(rows.values)} items, at least {wanted} are wanted. Add real questions with their query.")
    runnable = [(row, item) for row, item in zip(rows.places, rows.values, strict=True) if item["database"] in instances]
    try:
        found = (
            check_gold([{name: str(value) for name, value in item.items()} for _, item in runnable], instances) if runnable else []
        )
    except DistillError as error:
        return len(rows.values), [*problems, str(error)]
    for problem in found:
        where = problem.database if problem.row is None else f"{runnable[problem.row - 1][0].line}"
        problems.append(f"{file}:{where}: {problem.problem}")
    return len(rows.values), problems


def _summarize(folder: RecipeFolder, n_seeds: int, n_items: int) -> str:
    recipe = folder.recipe
    return (
        f"{recipe.name}: well. {len(recipe.databases)} databases ({', '.join(sorted(recipe.databases))}), {n_seeds} seeds, "
        f"{n_items} holdout items whose queries ran on {recipe.instances} instances of each, "
        f"prompt {', '.join(strategy.prompt for strategy in recipe.generate.list_strategies().values())}, "
        f"teacher {', '.join(name_teacher(teacher) for teacher in recipe.list_teachers())}.\n{_describe_base_model(folder)}"
    )


def _describe_base_model(folder: RecipeFolder) -> str:
    name = folder.recipe.student.base_model
    try:
        return f"Base model {name} is at {resolve_base_model(name, cache_folder()).path}."
    except BaseModelError as error:
        return f"Note: base model {name} is not here yet: {error}"
