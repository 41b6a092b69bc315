"""Rephrased items found by embedding: `python -m benchmarks.curate.rephrasing --data FOLDER [--vectors FOLDER] [--threads 1]`.

Belongs here: recall on labelled rephrasings, the share of clean questions that is marked, and both by threshold. Does not
belong here: n-gram rules or speed of the whole.

FOLDER holds benchmarks.parquet (bench, idx, text), altered*.parquet (kind, bench, idx, text) and clean*.parquet (kind, text).
A hit counts only when it names the right item. The first run reads about 26,000 texts, some minutes of processor time;
--vectors keeps what was read.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from distill_assets.clients.base_model import EMBEDDING_NAME, FETCHERS
from distill_assets.config import cache_folder
from distill_assets.curate.neighbours import find_near_items
from distill_assets.curate.paraphrases import Texts, judge_closeness
from distill_assets.curate.vectors.store import join_vectors, plan_reader, read_vectors
from distill_assets.curation import ContaminationSpec, EmbeddingSpec
from distill_assets.processes import constructed_environment
from distill_assets.storage import Workspace

# These kinds keep an item's words, and n-grams find them.
WORDS_KEPT = ("verbatim_", "wrapped_", "casepunct_")
LEAST = 0.70
THRESHOLDS = tuple(round(LEAST + 0.025 * step, 3) for step in range(11))


class World(NamedTuple):
    """Items (benchmark, item_id, text) and documents (document_id, kind, is_leak, benchmark, item_id, text)."""

    items: pl.DataFrame
    documents: pl.DataFrame


def load_world(data: Path) -> World:
    """Read the labelled sets of a folder; all altered and clean files in it count."""
    items = pl.read_parquet(data / "benchmarks.parquet").select(
        pl.col("bench").alias("benchmark"), pl.col("idx").cast(pl.String).alias("item_id"), "text"
    )
    altered = pl.concat([pl.read_parquet(file) for file in sorted(data.glob("altered*.parquet"))], how="diagonal")
    altered = altered.filter(~pl.any_horizontal(pl.col("kind").str.starts_with(prefix) for prefix in WORDS_KEPT))
    clean = pl.concat([pl.read_parquet(file) for file in sorted(data.glob("clean*.parquet"))], how="diagonal")
    columns = ["kind", pl.col("bench").alias("benchmark"), pl.col("idx").cast(pl.String).alias("item_id"), "text"]
    leaks = altered.select(*columns, pl.lit(True).alias("is_leak"))
    others = clean.select("kind", "text", pl.lit(False).alias("is_leak"))
    documents = pl.concat([leaks, others], how="diagonal").with_row_index()
    return World(items, documents.with_columns(pl.format("d{}", "index").alias("document_id")).drop("index"))


def measure_rephrasing(data: Path, cache: Path, n_threads: int) -> dict[str, Any]:
    """Recall of rephrased items and the share of clean questions marked, by the default rule and by threshold.

    Args:
        cache: folder that keeps the vectors. n_threads: of the model.
    """
    FETCHERS[EMBEDDING_NAME](cache_folder())
    world, spec = load_world(data), ContaminationSpec()
    reader = plan_reader(EmbeddingSpec(), n_threads, cache_folder())
    read = read_vectors(
        Workspace(cache), "rephrasing", reader, pl.concat([world.items["text"], world.documents["text"]]), _run_child
    )
    started_s = time.process_time()
    documents = join_vectors(world.documents.select("document_id", "text"), read.frame)
    items = join_vectors(world.items, read.frame)
    near = find_near_items(documents, items, LEAST, spec.n_neighbours)
    search_s = time.process_time() - started_s
    marked = _mark(world, near, spec)
    by_rule = _share_by_kind(world, marked)
    rows = [{"cosine": threshold, **_share_by_kind(world, near.filter(pl.col("cosine") >= threshold))} for threshold in THRESHOLDS]
    return {
        "recall_rephrased": by_rule["gsm8k_rephrase"],
        "clean_gsm8k_frac": by_rule["gsm8k_train"],
        "by_kind": by_rule,
        "by_kind_with_review": _share_by_kind(world, near.filter(pl.col("cosine") >= spec.review_cosine)),
        "curve": rows,
        "rule": {"cosine": spec.cosine, "review_cosine": spec.review_cosine, "model": reader.model.revision[:12]},
        "n_by_kind": dict(world.documents.group_by("kind").len().sort("kind").iter_rows()),
        "n_read": read.n_read,
        "search_cpu_s": round(search_s, 2),
    }


def _mark(world: World, near: pl.DataFrame, spec: ContaminationSpec) -> pl.DataFrame:
    """The pairs that the default rule drops a document for."""
    texts = Texts(
        dict(world.documents.select("document_id", "text").iter_rows()),
        {(benchmark, item_id): text for benchmark, item_id, text in world.items.iter_rows()},
    )
    return judge_closeness(near, spec, texts).filter(pl.col("rule").is_not_null())


def _share_by_kind(world: World, pairs: pl.DataFrame) -> dict[str, float]:
    """Kind -> share of its documents that a pair names: the right item of a leak, any item of a clean one."""
    hit = pairs.rename({"benchmark": "hit_benchmark", "item_id": "hit_item"}).join(world.documents, on="document_id")
    right = (pl.col("hit_benchmark") == pl.col("benchmark")) & (pl.col("hit_item") == pl.col("item_id"))
    found = hit.filter(~pl.col("is_leak") | right)["document_id"].unique()
    marked = world.documents.with_columns(pl.col("document_id").is_in(found.implode()).alias("is_marked"))
    shares = marked.group_by("kind").agg(pl.col("is_marked").mean()).sort("kind")
    return {kind: round(share, 4) for kind, share in shares.iter_rows()}


def _run_child(module: str, spec_file: Path) -> None:
    command = [sys.executable, "-m", module, "--spec", str(spec_file)]
    subprocess.run(command, env=constructed_environment(), check=True, stdout=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Print the curve, and as the last line everything as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curate.rephrasing", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure_rephrasing(asked.data, asked.vectors or Path(scratch), asked.threads)
    for row in figures["curve"]:
        print(", ".join(f"{name} {value:.3f}" for name, value in row.items()))
    print(f"default rule: {figures['by_kind']}")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
