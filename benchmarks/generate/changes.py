"""After a complete run of 1,000 rows, one thing changes: are exactly the affected requests sent, and is nothing stale?

Belongs here: the changes, and what must follow from each. Does not belong here: timing, or how rows are taken over.

The real graph runs up to training_dataset and dropped_samples, on the tests' recipe with a teacher at the tests'
server. After each change every table is held against that of an empty workspace which is given the same recipe and
a copy of the journal: it knows no earlier table, so equal versions mean that no row is stale, orphaned or missing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.hostile_server import HostileServer, serve_hostile
from tests.scenario import write_jsonl, write_scenario

N_SEEDS, PER_SEED = 100, 10
ALL = N_SEEDS * PER_SEED
RECIPE = "choir"
WANTED = ("training_dataset", "dropped_samples")
COMPARED = ("raw_generations", "verdicts", "judged_samples", "curation_marks", "training_dataset", "dropped_samples")
KEY_VARIABLE = "BENCH_TEACHER_KEY"


class State(NamedTuple):
    """What the recipe says of what is changed."""

    seeds: tuple[str, ...]
    model: str = "teacher-a"
    temperature: float = 0.9
    prompt: str = "write_sample.v1"
    max_question_chars: int = 240


class Change(NamedTuple):
    """One change, laid over all earlier ones, and how many requests it must send."""

    name: str
    make: Callable[[State], State]
    requests: int


CHANGES = (
    Change("nothing", lambda s: s, 0),
    Change("append one seed", lambda s: s._replace(seeds=(*s.seeds, "a topic that was not there before")), PER_SEED),
    Change("edit one seed", lambda s: s._replace(seeds=("concerts of the first year, edited", *s.seeds[1:])), PER_SEED),
    Change("delete one seed", lambda s: s._replace(seeds=s.seeds[:50] + s.seeds[51:]), 0),
    Change("change the model", lambda s: s._replace(model="teacher-b"), ALL),
    Change("change the system prompt", lambda s: s._replace(prompt="write_sample.v2"), ALL),
    Change("change the judge's settings", lambda s: s._replace(max_question_chars=110), 0),
    Change("change the temperature", lambda s: s._replace(temperature=0.7), ALL),
)


def measure(root: Path) -> dict[str, Any]:
    """A complete run, then change by change."""
    state = State(tuple(f"concerts per hall, seen from seat {number}" for number in range(N_SEEDS)))
    with serve_hostile(latency_s=0.01) as server, use_key():
        folder, home = root / "recipe", root / "home"
        versions, rows = bring_up_to_date(folder, server, state, home)
        first = {"requests": server.stats()["requests"], "rows": rows}
        results = []
        for change in CHANGES:
            state = change.make(state)
            results.append(_apply(change, folder, server, state, home, versions))
            versions = results[-1].pop("versions")
            print(f"  {results[-1]}", flush=True)
    passed = sum(result["passed"] for result in results)
    return {"first": first, "change_tests": len(results), "change_tests_passed": passed, "changes": results}


def _apply(change: Change, folder: Path, server: HostileServer, state: State, home: Path, before: dict[str, str]) -> dict[str, Any]:
    asked = server.stats()["requests"]
    versions, rows = bring_up_to_date(folder, server, state, home)
    sent = server.stats()["requests"] - asked
    fresh = home.with_name("fresh")
    shutil.copytree(home / "journal", fresh / "journal")
    expected, _ = bring_up_to_date(folder, server, state, fresh)
    sent_by_fresh = server.stats()["requests"] - asked - sent
    shutil.rmtree(fresh)
    stale = [name for name in COMPARED if versions[name] != expected[name]]
    planned = len(state.seeds) * PER_SEED
    is_whole = rows["raw_generations"] == planned == rows["training_dataset"] + rows["dropped_samples"]
    return {
        "change": change.name,
        "requests": sent,
        "expected": change.requests,
        "stale": stale,
        "rebuilt": [name for name in COMPARED if versions[name] != before[name]],
        "rows": rows,
        "passed": sent == change.requests and not stale and is_whole and sent_by_fresh == 0,
        "versions": versions,
    }


def bring_up_to_date(folder: Path, server: HostileServer, state: State, home: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Write the recipe and run its graph in a workspace; return versions and rows of the tables."""
    import polars as pl

    from distill_assets.commands.instance import open_instance
    from distill_assets.commands.run import run_recipe
    from distill_assets.commands.tables import find_versions
    from distill_assets.storage import Workspace

    recipe = write_recipe(folder, server.base_url, state)
    with use_workspace(home), open_instance() as instance:
        report = run_recipe(recipe, instance, list(WANTED), lambda _: None)
        if report.errors:
            raise RuntimeError("\n".join(report.errors))
        versions = {name: version for name, version in find_versions(recipe, instance).items() if name in COMPARED}
    files = {name: Workspace(home).table_file(RECIPE, name, version) for name, version in versions.items()}
    return versions, {name: pl.scan_parquet(file).select(pl.len()).collect().item() for name, file in files.items()}


def write_recipe(folder: Path, base_url: str, state: State) -> Any:
    """The tests' recipe as the state has it."""
    from distill_assets.config import load_recipe

    teacher = f"{{model: {state.model}, temperature: {state.temperature}, base_url: '{base_url}', api_key_env: {KEY_VARIABLE}}}"
    extra = f"teacher: {teacher}\njudge: {{max_question_chars: {state.max_question_chars}}}"
    write_scenario(folder, RECIPE, PER_SEED, extra=extra)
    file = folder / "recipe.yaml"
    text = file.read_text(encoding="utf-8")
    text = text.replace(f"{{samples_per_seed: {PER_SEED}}}", f"{{samples_per_seed: {PER_SEED}, prompt: {state.prompt}}}")
    file.write_text(text.replace("min_accept_frac: 0.3", "min_accept_frac: 0.01"), encoding="utf-8")
    write_jsonl(folder / "seeds" / "seeds.jsonl", [{"database": "choir", "kind": "topic", "text": text} for text in state.seeds])
    prompt = (folder / "prompts" / "write_sample.v1.md").read_text(encoding="utf-8")
    second = prompt.replace("# system\n", "# system\nBe exact.\n")
    (folder / "prompts" / "write_sample.v2.md").write_text(second, encoding="utf-8")
    return load_recipe(folder)


@contextmanager
def use_workspace(home: Path) -> Iterator[None]:
    """Point the environment to a workspace for a while."""
    before = {name: os.environ.pop(name, None) for name in ("DISTILL_HOME", "DAGSTER_HOME")}
    os.environ["DISTILL_HOME"] = str(home)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def use_key() -> Iterator[None]:
    """A key in the environment for a while; any text will do."""
    os.environ[KEY_VARIABLE] = "sk-bench-teacher"
    try:
        yield
    finally:
        del os.environ[KEY_VARIABLE]


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return f"{figures['change_tests_passed']} of {figures['change_tests']} changes send what they must and leave nothing stale"
