"""What judging catches of errors that were planted: `python -m benchmarks.judge.planted [--samples 2000] [--json]`.

Belongs here: each layer's verdict on each sample of `plants`, recall and precision by kind. Does not belong here: making
the samples (plants).

The layers: rules on the text (heuristics), verifiers with a gold answer (verifier_gold) and without (verifier_alone), steps of
the reasoning (steps), and all but the gold together (without_gold), which is what a recipe's own samples get. Recall is the
share of a kind's samples that a layer fails; precision the share of that kind among what it fails of that kind and of clean
samples of the same task. A wrong answer changes the result when it differs from gold on one of eight fillings of its database;
the verifier with gold sees two, as a recipe does by default.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.judge.plants import SHARES, Plant, call, make_plants
from distill_assets.config import Recipe, built_in_recipe
from distill_assets.databases import Schema, read_schema
from distill_assets.judge.heuristics import Generation, apply_rules
from distill_assets.judging import HeuristicsSpec
from distill_assets.verifiers.registry import VERIFIERS, Verifier, get_verifier
from distill_assets.verifiers.sql.execution import SqlRunner
from distill_assets.verifiers.sql.instances import build_database, refill_database
from distill_assets.verifiers.steps.verify import verify_steps

N_SAMPLES, SEED, N_FILLINGS = 2000, 17, 8
N_INSTANCES = Recipe.model_fields["instances"].default
LAYERS = ("heuristics", "verifier_gold", "verifier_alone", "steps", "without_gold")
CLEAN = {"sql": "clean", "python": "clean_python"}


class World(NamedTuple):
    """What samples are judged with: (task, database) -> verifier as a recipe has it, and as the truth knows it."""

    schemas: dict[str, Schema]
    verifiers: dict[tuple[str, str], Verifier]
    truths: dict[str, Verifier]


class Judged(NamedTuple):
    """One sample, which layers fail it, and whether its answer gives another result than gold's."""

    plant: Plant
    failed: frozenset[str]
    changes_result: bool


@contextmanager
def open_world(n_fillings: int = N_FILLINGS) -> Iterator[World]:
    """Build the built-in recipe's databases with all fillings, and the Python sandbox where there is one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files: dict[str, list[Path]] = {}
        for script in sorted((built_in_recipe("text_to_sql") / "databases").glob("*.sql")):
            files[script.stem] = [folder / f"{script.stem}.{i}.duckdb" for i in range(n_fillings)]
            build_database(script, files[script.stem][0])
            for seed, target in enumerate(files[script.stem][1:], 1):
                refill_database(files[script.stem][0], target, seed)
        runner = stack.enter_context(
            SqlRunner({f"{name}#{i}": file for name, some in files.items() for i, file in enumerate(some)})
        )
        make = get_verifier("sql")
        verifiers = {("sql", name): make(runner, [f"{name}#{i}" for i in range(N_INSTANCES)]) for name in files}
        truths = {name: make(runner, [f"{name}#{i}" for i in range(n_fillings)]) for name in files}
        if "python" in VERIFIERS:
            from distill_assets.verifiers.sandbox.box import Sandbox

            verifiers["python", ""] = get_verifier("python")(stack.enter_context(Sandbox()))
        yield World({name: read_schema(name, some[0]) for name, some in files.items()}, verifiers, truths)


def measure(n_samples: int = N_SAMPLES, seed: int = SEED, n_fillings: int = N_FILLINGS) -> dict[str, object]:
    """Judge about `n_samples` planted samples and return the figures."""
    seconds: dict[str, float] = defaultdict(float)
    with open_world(n_fillings) as world:
        plants = [plant for plant in make_plants(world.schemas, n_samples, seed) if (plant.task, plant.database) in world.verifiers]
        judged = [_judge(plant, world, seconds) for plant in plants]
    changing = [one for one in judged if one.changes_result]
    missed = [one for one in changing if "verifier_gold" not in one.failed]
    return {
        "n_samples": len(judged),
        "n_by_kind": {kind: sum(one.plant.kind == kind for one in judged) for kind in SHARES},
        "recall_by_kind": _count_recall(judged),
        "precision_by_kind": _count_precision(judged),
        "false_alarms": _count_false_alarms(judged),
        "n_result_changing": len(changing),
        "result_changing_recall": round(1 - len(missed) / max(1, len(changing)), 4),
        "result_changing_missed": [[one.plant.kind, one.plant.answer, one.plant.gold] for one in missed[:10]],
        "seconds": {layer: round(seconds[layer], 2) for layer in LAYERS if layer in seconds},
    }


def _judge(plant: Plant, world: World, seconds: dict[str, float]) -> Judged:
    verifier = world.verifiers[plant.task, plant.database]
    rules = HeuristicsSpec(answer_form="python" if plant.task == "python" else "sql")
    generation = Generation(plant.question, plant.trace, plant.answer, plant.finish_reason)
    dialect = "duckdb" if plant.task == "sql" else None
    checks = {
        "heuristics": lambda: any(problem for _, problem in apply_rules(generation, rules)),
        "verifier_gold": lambda: verifier.verify(plant.answer, plant.gold).status == "failed",
        "verifier_alone": lambda: verifier.verify(plant.answer, None).status == "failed",
        "steps": lambda: verify_steps(plant.trace, plant.answer, None, None, dialect).status == "failed",
    }
    failed = set()
    for layer, check in checks.items():
        start = time.perf_counter()
        if check():
            failed.add(layer)
        seconds[layer] += time.perf_counter() - start
    if failed - {"verifier_gold"}:
        failed.add("without_gold")
    return Judged(plant, frozenset(failed), _changes_result(plant, world))


def _changes_result(plant: Plant, world: World) -> bool:
    """Whether the answer gives something else than gold anywhere: on all fillings, or in the calls of its cases."""
    if plant.task == "sql":
        return world.truths[plant.database].verify(plant.answer, plant.gold).status == "failed"
    gold = json.loads(plant.gold)
    return any(call(plant.answer, gold["entry"], case["args"]) != case["expected"] for case in gold["cases"])


def _count_recall(judged: list[Judged]) -> dict[str, dict[str, float]]:
    return {
        kind: {layer: _share([layer in one.failed for one in judged if one.plant.kind == kind]) for layer in LAYERS}
        for kind in SHARES
        if kind not in CLEAN.values()
    }


def _count_precision(judged: list[Judged]) -> dict[str, dict[str, float | None]]:
    figures: dict[str, dict[str, float | None]] = {}
    for kind in _count_recall(judged):
        task = (
            next(one.plant.task for one in judged if one.plant.kind == kind) if any(o.plant.kind == kind for o in judged) else "sql"
        )
        figures[kind] = {}
        for layer in LAYERS:
            caught = sum(layer in one.failed for one in judged if one.plant.kind == kind)
            false = sum(layer in one.failed for one in judged if one.plant.kind == CLEAN[task])
            figures[kind][layer] = round(caught / (caught + false), 4) if caught + false else None
    return figures


def _count_false_alarms(judged: list[Judged]) -> dict[str, dict[str, float]]:
    """Share of the clean samples that a layer fails, by task."""
    return {
        task: {layer: _share([layer in one.failed for one in judged if one.plant.kind == kind]) for layer in LAYERS}
        for task, kind in CLEAN.items()
    }


def _share(flags: list[bool]) -> float:
    return round(sum(flags) / len(flags), 4) if flags else 0.0


def render(figures: Mapping[str, object]) -> str:
    """The figures as a table."""
    recall, counts = figures["recall_by_kind"], figures["n_by_kind"]
    lines = [f"{'recall':<26}{'n':>6}" + "".join(f"{layer:>16}" for layer in LAYERS)]
    lines += [f"{kind:<26}{counts[kind]:>6}" + "".join(f"{row[layer]:>16.1%}" for layer in LAYERS) for kind, row in recall.items()]
    for task, row in figures["false_alarms"].items():
        lines.append(f"{'false alarms, ' + task:<26}{counts[CLEAN[task]]:>6}" + "".join(f"{row[layer]:>16.1%}" for layer in LAYERS))
    lines.append(
        f"{figures['n_result_changing']} change the result; verifiers with gold fail {figures['result_changing_recall']:.2%} of them"
    )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=N_SAMPLES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    arguments = parser.parse_args()
    figures = measure(arguments.samples, arguments.seed)
    print(json.dumps(figures) if arguments.json else render(figures))


if __name__ == "__main__":
    main()
