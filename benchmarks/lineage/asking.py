"""What a question to a ledger costs: as a command, and alone.

Belongs here: show, taint, why, diff, the digest and verifying, each timed. Does not belong here: the ledger that is asked (world, large).

CPU seconds, user and system. A command is a whole process, from the interpreter's start to its last line; alone means that modules are
loaded: from opening the ledger, whose chain is checked, to the answer. `python -m benchmarks.lineage.asking FOLDER` prints those as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.lineage.processes import read_peak_mib, run_measured
from benchmarks.lineage.world import BENCHMARK, RECIPE, TEACHERS, name_checkpoint, name_dataset, read_facts
from distill_assets.lineage.audits.diff import compare_checkpoints
from distill_assets.lineage.audits.query import find_checkpoint
from distill_assets.lineage.audits.taint import find_taint
from distill_assets.lineage.audits.why import find_row
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.manifest import build_manifest
from distill_assets.lineage.merkle import root_of
from distill_assets.lineage.tombstones import Selector
from distill_assets.lineage.verify import verify_ledger
from distill_assets.lineage.withdrawals import LEDGER_FOLDER

NEWER, OLDER = f"{RECIPE}@{name_checkpoint('newer')[:12]}", f"{RECIPE}@{name_checkpoint('older')[:12]}"
ANSWERS = (0, 3)  # 3: something was found


def list_commands(row: str) -> dict[str, list[str]]:
    """Words after `distill lineage` by question; `row` is a generation's id."""
    return {
        "show": ["show", NEWER],
        "taint": ["taint", "--teacher", TEACHERS[0].name],
        "taint_source": ["taint", "--source", "seeds/topics-3.jsonl"],
        "taint_generation": ["taint", "--generation", row],
        "taint_benchmark": ["taint", "--benchmark", str(BENCHMARK["name"])],
        "diff": ["diff", OLDER, NEWER],
        "why": ["why", "--row", row],
    }


def measure_commands(home: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """CPU seconds of whole commands: <name>_cpu_s, and the largest peak of memory."""
    commands = list_commands(read_facts(home).get("row", ""))
    for _ in range(2):  # the second time counts: modules are compiled and files were read
        ended = {name: run_measured(["distill_assets.cli", "lineage", *commands[name], "--json"], home, ANSWERS) for name in names}
    for process in ended.values():
        json.loads(process.out)  # an answer, not only an end
    return {f"{name}_cpu_s": round(process.cpu_s, 2) for name, process in ended.items()} | {
        "commands_peak_mib": max(process.peak_mib for process in ended.values())
    }


def measure_alone(home: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """CPU seconds of the questions `names` alone, each the second time in a process of its own."""
    return json.loads(run_measured(["benchmarks.lineage.asking", str(home), *names], home).out)


def list_questions(ledger: Ledger, row: str) -> dict[str, Callable[[], Any]]:
    """The questions by name."""
    salt = ledger.salt()
    generation = salted(salt, row)

    def ask(question: Callable[[Any, Any], Any]) -> Any:
        events = ledger.events()
        with ledger.connect() as connection:
            return question(connection, events)

    def taint(selector: Selector) -> Callable[[], Any]:
        return lambda: ask(lambda connection, events: find_taint(connection, events, selector))

    def build(connection: Any, events: Any, named: str) -> dict[str, Any]:
        return build_manifest(connection, events, find_checkpoint(events, named))

    def diff_checkpoints(connection: Any, events: Any) -> dict[str, Any]:
        return compare_checkpoints(connection, *(build(connection, events, named) for named in (OLDER, NEWER)))

    with ledger.connect() as connection:
        sql = "select parent from derivation where child = ?::uuid and role = 'seed'"
        seed = next((parent.hex for (parent,) in connection.execute(sql, [generation]).fetchall()), generation)
    return {
        "show": lambda: ask(lambda connection, events: build(connection, events, NEWER)),
        "taint": taint(Selector("teacher", TEACHERS[0].name)),
        "taint_source": taint(Selector("source", "seeds/topics-3.jsonl")),
        "taint_generation": taint(Selector("generation", generation)),
        "taint_benchmark": taint(Selector("benchmark", str(BENCHMARK["name"]))),
        "taint_seed": taint(Selector("seed", seed)),
        "diff": lambda: ask(diff_checkpoints),
        "diff_teachers": lambda: ask(lambda connection, events: [build(connection, events, named) for named in (OLDER, NEWER)]),
        "why": lambda: ask(lambda connection, events: find_row(connection, events, generation)),
        "digest": lambda: ask(lambda connection, _: root_of(connection, salted(salt, name_dataset("newer")))),
        "verify": lambda: check_well(ledger.root),
    }


def check_well(root: Path) -> None:
    """Verify a ledger of which nothing was changed.

    Raises:
        RuntimeError: something is found all the same.
    """
    if found := verify_ledger(root):
        raise RuntimeError(f"verify found {found[0].where}: {found[0].words}")


def main() -> None:
    """Ask each question that is named twice, and print the CPU seconds of the second time."""
    home = Path(sys.argv[1])
    questions = list_questions(Ledger.open(home / LEDGER_FOLDER), read_facts(home).get("row", ""))
    figures: dict[str, Any] = {}
    for name in sys.argv[2:]:
        for _ in range(1 if name in ("digest", "verify") else 2):
            cpu, wall = time.process_time(), time.monotonic()
            questions[name]()
            figures |= {
                f"{name}_alone_cpu_s": round(time.process_time() - cpu, 3),
                f"{name}_alone_wall_s": round(time.monotonic() - wall, 3),
            }
    print(json.dumps(figures | {"alone_peak_mib": read_peak_mib()}))


if __name__ == "__main__":
    main()
