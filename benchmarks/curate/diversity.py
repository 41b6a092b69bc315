"""Where varied text ends and collapse begins: `python -m benchmarks.curate.diversity FOLDER SAMPLES`.

Belongs here: the figures behind the bounds of diversity/collapse, and the speed of templates and of selection. Does not belong
here: duplicates and contamination.

FOLDER holds clean_dev.parquet (kind, text) and benchmarks.parquet (bench, text); SAMPLES is a judged_samples table of the built-in
recipe. Collapsed corpora are made from these: copies, one opening before all or half of the questions, and a few questions with
other numbers. Processor seconds of one thread.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "1")

import polars as pl

from distill_assets.curate.difficulty import rate_samples
from distill_assets.curate.diversity.collapse import find_collapse
from distill_assets.curate.diversity.report import measure_corpus
from distill_assets.curate.select import select_samples
from distill_assets.curate.templates import find_templates
from distill_assets.curation import CollapseSpec, CurateSpec

SEED = 17
N_ROWS = 100_000
MIX = {
    "quotas": [
        {"by": "teacher", "value": "a", "max_frac": 0.5},
        {"by": "teacher", "value": "c", "min_frac": 0.15},
        {"by": "difficulty", "value": "hard", "min_frac": 0.25},
        {"by": "difficulty", "value": "easy", "max_frac": 0.33},
    ],
    "max_per_template": 3,
}


def make_corpus(questions: list[str], queries: list[str] | None = None) -> pl.DataFrame:
    """Samples of one teacher, strategy and database."""
    fixed = {"teacher": "a", "strategy": "plain", "database": "d"}
    rows = pl.DataFrame({"question": questions, "sql": queries or [None] * len(questions)}, schema_overrides={"sql": pl.String})
    rows = rows.with_columns(pl.lit(value).alias(name) for name, value in fixed.items())
    rows = rows.with_columns(sample_id=pl.int_range(pl.len()).cast(pl.String).str.zfill(7))
    return rows.join(find_templates(rows), on="sample_id").join(rate_samples(rows), on="sample_id")


def vary_numbers(text: str, draw: random.Random) -> str:
    """The same text with other numbers."""
    return re.sub(r"\d+", lambda _: str(draw.randrange(2, 999)), text)


def make_shapes(name: str, questions: list[str]) -> dict[str, list[str]]:
    """Collapsed corpora made from varied questions, by shape."""
    draw = random.Random(SEED)
    numbered = [text for text in questions if re.search(r"\d", text)]
    opening = "Sure! Here is a question about the data: "
    return {
        f"copies x3, {name}": [questions[i % (len(questions) // 3)] for i in range(len(questions))],
        f"copies x10, {name}": [questions[i % (len(questions) // 10)] for i in range(len(questions))],
        f"opening, {name}": [opening + text for text in questions],
        f"half opening, {name}": [opening * (i % 2) + text for i, text in enumerate(questions)],
        f"20 families, {name}": [vary_numbers(numbered[i % 20], draw) for i in range(2000)],
        f"200 families, {name}": [vary_numbers(numbered[i % 200], draw) for i in range(2000)],
    }


def measure_bounds(folder: Path, samples: Path) -> dict[str, dict[str, object]]:
    """For each corpus the figures that have a bound, and which bounds it is beyond."""
    clean, items = (pl.read_parquet(folder / f"{name}.parquet") for name in ("clean_dev", "benchmarks"))
    accepted = pl.read_parquet(samples).filter(pl.col("sample_status") == "accepted")
    maths = clean.filter(pl.col("kind") == "gsm8k_train")["text"].to_list()
    asked = accepted["question"].to_list()
    corpora = {
        "the recipe": make_corpus(asked, accepted["sql"].to_list()),
        "GSM8K train": make_corpus(maths),
        "MMLU dev": make_corpus(clean.filter(pl.col("kind") == "mmlu_valdev")["text"].to_list()),
        "benchmarks": make_corpus(items["text"].to_list()),
    }
    shapes = make_shapes("the recipe", asked) | make_shapes("GSM8K train", maths)
    corpora |= {name: make_corpus(questions) for name, questions in shapes.items()}
    bounded = [name[4:] for name in CollapseSpec.model_fields if name != "max_loss_frac"]
    found = {}
    for name, corpus in corpora.items():
        measures = measure_corpus(corpus, []).filter(pl.col("slice_by") == "whole")
        values = {row["metric"]: round(row["value"], 4) for row in measures.iter_rows(named=True) if row["metric"] in bounded}
        found[name] = {"n": corpus.height, **values, "beyond": sorted(find_collapse(measures, CollapseSpec())["metric"])}
    return found


def measure_speed(samples: Path) -> dict[str, float]:
    """Rows per processor second of templates, over queries as they are and where no skeleton occurs twice, and of selection."""
    accepted = pl.read_parquet(samples).filter(pl.col("sample_status") == "accepted")
    other = accepted.with_columns(
        sql="SELECT a" + pl.int_range(pl.len()).cast(pl.String) + " FROM t JOIN u ON t.b = u.c WHERE d = 1"
    )
    many = pl.concat([accepted] * (N_ROWS // accepted.height + 1)).head(N_ROWS)
    numbers = pl.int_range(pl.len()).cast(pl.String)
    many = many.with_columns(sample_id=numbers, question=pl.col("question") + " " + numbers)
    draw = random.Random(SEED)
    marks = pl.DataFrame(
        {
            "sample_id": many["sample_id"],
            "template_id": [str(draw.randrange(N_ROWS // 3)) for _ in range(N_ROWS)],
            "difficulty": draw.choices(["easy", "medium", "hard", "extra"], [0.5, 0.3, 0.15, 0.05], k=N_ROWS),
        }
    )
    judged = many.with_columns(teacher=pl.Series(draw.choices("abc", [0.7, 0.2, 0.1], k=N_ROWS)))
    plain, mixed = CurateSpec(max_samples=N_ROWS // 2), CurateSpec(max_samples=N_ROWS // 4, mix=MIX)
    return {
        "templates_rows_per_cpu_s": round(accepted.height / clock(lambda: find_templates(accepted))),
        "templates_distinct_rows_per_cpu_s": round(other.height / clock(lambda: find_templates(other))),
        "templates_100k_cpu_s": round(clock(lambda: find_templates(many)), 2),
        "select_100k_cpu_s": round(clock(lambda: select_samples(judged, marks, plain)), 2),
        "select_100k_mix_cpu_s": round(clock(lambda: select_samples(judged, marks, mixed)), 2),
    }


def clock(work: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main(folder: Path, samples: Path) -> None:
    """Print the figures as one JSON object."""
    print(json.dumps({"corpora": measure_bounds(folder, samples), "speed": measure_speed(samples)}, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
