"""A ledger of ten times as many rows, for the questions that read the roll-up.

Belongs here: writing it in pieces, and asking it. Does not belong here: recording as the graph does it (world).

Frames of 10 million rows do not fit in little memory, so their rows are made inside the ledger's own query, a million a line of the
chain: endpoints, prompts, panels, rows of two datasets, exposure and roll-ups as the recording functions would have written them.
Generations, judgments and derivations are left out: no question that is asked here reads them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks.lineage.asking import measure_alone, measure_commands
from benchmarks.lineage.processes import run_measured
from benchmarks.lineage.world import (
    AT,
    FACTS_FILE,
    RECIPE,
    TEACHERS,
    describe_ledger,
    make_facts,
    name_checkpoint,
    name_dataset,
)
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.record import Terms
from distill_assets.lineage.withdrawals import LEDGER_FOLDER

PIECE = 1_000_000
QUESTIONS = ("show", "taint", "taint_source", "diff_teachers", "diff")
COMMANDS = ("show", "taint", "diff")
N_SOURCES, N_PROMPTS, N_PANELS, N_VERSIONS = 8, 6, 3, 3

_ENDPOINT = """select salted('endpoint' || teacher || version) as endpoint_id, 'teacher' as role, 'host' as provider, teacher as requested_model,
  'served-' || version as served_model, null::varchar as upstream, 'fp_' || version as system_fingerprint, null::varchar as headers, family,
  []::varchar[] as base_lineage, licence, null::varchar as terms_url, null::varchar as terms_sha256, null::varchar as terms_accepted_on
  from (values {teachers}) t(teacher, family, licence), range({n_versions}) v(version)"""
_PROMPT = (
    "select salted('prompt' || p) as prompt_key, 'write.v' || p as prompt_id, 'write' as strategy from range({n_prompts}) t(p)"
)
_PANEL = """select salted('panel' || p) as panel_id, unnest(['rules:1', 'judge-' || p]) as judge, unnest(['heuristic', 'critic']) as layer,
  null::uuid as endpoint_id from range({n_panels}) t(p)"""
_SNAPSHOT_ROW = """select salted('{version}') as snapshot_id, salted('generation' || i) as generation_id, salted('text {version}' || i) as row_digest,
  'train' as split, getvariable('event_seq')::integer as event_seq from range({first}, {last}) t(i)"""
_EXPOSURE = """select salted('{checkpoint}') as checkpoint_id, salted('generation' || i) as generation_id, 1::integer as n_times,
  (100 + i % 300)::bigint as n_tokens, (30 + i % 100)::bigint as n_loss_tokens, false as is_truncated, (1 + i // 32)::integer as first_step
  from range({first}, {last}) t(i)"""
_MIX = """select salted('{checkpoint}') as checkpoint_id, salted('{version}') as snapshot_id,
  salted('endpoint' || teacher || version) as endpoint_id, salted('prompt' || prompt) as prompt_key, salted('panel' || panel) as panel_id,
  if(source % 2 = 0, 'CC-BY-4.0', 'Apache-2.0') as licence, 'seeds/topics-' || source || '.jsonl' as source,
  count(*) as n_rows, count(*) as n_rows_seen, sum(100 + i % 300)::bigint as n_tokens, sum(30 + i % 100)::bigint as n_loss_tokens
  from (select i, if(i % 3 = 0, '{small}', '{big}') as teacher, {n_versions} * i // {n} as version, hash(i, 1) % {n_prompts} as prompt,
    hash(i, 2) % {n_panels} as panel, hash(i, 3) % {n_sources} as source from range({n}) t(i)) group by all"""


def build_large(home: Path, n_rows: int) -> dict[str, Any]:
    """Record a dataset of `n_rows` rows and an older one of half as many, each with its checkpoint."""
    ledger = Ledger.open(home / LEDGER_FOLDER, create=True, at=AT)
    values = {"n_versions": N_VERSIONS, "n_prompts": N_PROMPTS, "n_panels": N_PANELS, "n_sources": N_SOURCES}
    values |= {
        "big": TEACHERS[0].name,
        "small": TEACHERS[1].name,
        "teachers": ", ".join(_write_teacher(teacher) for teacher in TEACHERS),
    }
    origins = {"endpoint": _ENDPOINT, "prompt": _PROMPT, "panel": _PANEL}
    _write(ledger, "generations", {kind: sql.format(**values) for kind, sql in origins.items()}, {"n_generations": 2 * n_rows})
    for wave, n in (("older", n_rows // 2), ("newer", n_rows)):
        version, checkpoint = name_dataset(wave), name_checkpoint(wave)
        named = {**values, "version": version, "checkpoint": checkpoint, "n": n}
        facts = {"data_version": version, "n_rows": n, "dropped": {}, "by_split": {"train": n}}
        for first in range(0, n, PIECE):
            bounds = {"first": first, "last": min(first + PIECE, n)}
            _write(ledger, "dataset", {"snapshot_row": _SNAPSHOT_ROW.format(**named, **bounds)}, facts)
            _write(ledger, "materialization", {"exposure": _EXPOSURE.format(**named, **bounds)}, {})
        own = {"checkpoint": checkpoint, "data_version": version, **make_facts(ledger, checkpoint, version, None)}
        _write(ledger, "checkpoint", {"mix": _MIX.format(**named)}, own)
    figures = describe_ledger(ledger, n_rows)
    (home / FACTS_FILE).write_text("{}", encoding="utf-8")
    return figures


def _write_teacher(teacher: Terms) -> str:
    licence = "null" if teacher.licence is None else f"'{teacher.licence}'"
    return f"('{teacher.name}', '{teacher.family}', {licence})"


def _write(ledger: Ledger, kind: str, segments: dict[str, str], facts: dict[str, Any]) -> None:
    ledger.record(kind, RECIPE, AT, segments, {}, {"run_id": "benchmark"}, facts)


def measure(home: Path, n_rows: int) -> dict[str, Any]:
    """Ask a ledger of `n_rows` trained rows, which is built if it is not there; all names begin with `large_`."""
    figures: dict[str, Any] = {"rows": n_rows}
    if not (home / FACTS_FILE).exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        built = run_measured(["benchmarks.lineage.large", str(home), str(n_rows)], home)
        figures |= {"build_cpu_s": round(built.cpu_s), "build_wall_s": round(built.wall_s), "build_peak_mib": built.peak_mib}
    figures |= measure_alone(home, QUESTIONS) | measure_commands(home, COMMANDS)
    return {f"large_{name}": value for name, value in figures.items()}


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    return (
        f"{figures['large_rows']} rows, CPU seconds: show {figures['large_show_cpu_s']}, taint of a teacher {figures['large_taint_cpu_s']}, "
        f"diff of teachers {figures['large_diff_teachers_alone_cpu_s']} alone, diff of all rows {figures['large_diff_cpu_s']}"
    )


if __name__ == "__main__":
    import sys

    build_large(Path(sys.argv[1]), int(sys.argv[2]))
