"""A random little distillation, erased in two ways that must agree, and in a naive way that must not always.

The world has seeds, two teachers, chains of generations that were evolved from or shown other ones, clusters of near duplicates, and
samples that were judged twice. Incremental: the ledger says what is withdrawn, and the index of duplicates that knew all rows is brought
up to what is left. From scratch: plain Python follows the derivations, and everything is built anew. Naive: rows are deleted from the
finished dataset.

The pipeline's own functions do the work; only the texts are made up. Used by the tests and by benchmarks.lineage.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import NamedTuple

import polars as pl

from distill_assets.curate.duplicates import mark_duplicates
from distill_assets.curate.marks import Findings, build_marks
from distill_assets.curate.samples import gather_samples, take_accepted
from distill_assets.curate.select import select_samples
from distill_assets.curation import CurateSpec
from distill_assets.identity import make_id
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import root_of
from distill_assets.lineage.record import (
    Recording,
    Terms,
    build_terms,
    record_dataset,
    record_generations,
    record_judgments,
    record_seeds,
)
from distill_assets.lineage.tombstones import Selector
from distill_assets.lineage.withdrawals import read_withdrawals
from distill_assets.tables import (
    CONTAMINATION_HITS,
    JUDGED_SAMPLES,
    RAW_GENERATIONS,
    SEED_CORPUS,
    TRAINING_DATASET,
    VERDICTS,
    build_frame,
)

TEACHERS = ("big:gpt-x", "small:llama-y")
WORDS = (
    "show",
    "list",
    "count",
    "name",
    "price",
    "order",
    "shop",
    "customer",
    "year",
    "city",
    "total",
    "average",
    "open",
    "paid",
    "late",
    "first",
    "last",
    "red",
    "blue",
    "small",
    "large",
    "every",
    "oldest",
    "newest",
    "cheap",
    "product",
    "staff",
    "branch",
    "refund",
    "return",
)
LICENCES, SOURCES = ("CC-BY-4.0", "Apache-2.0"), ("seeds/a.jsonl", "seeds/b.jsonl")
AT = "2026-11-22T00:00:00Z"


class World(NamedTuple):
    """Tables of a made-up recipe: seeds, generations, derivations (child, parent, role), and two judgings of the samples."""

    seeds: pl.DataFrame
    generations: pl.DataFrame
    derivations: pl.DataFrame
    judged: tuple[pl.DataFrame, pl.DataFrame]
    spec: CurateSpec


class Outcome(NamedTuple):
    """Data version and Merkle root of the dataset by each way; and how many rows went and came.

    A data version holds the order of training too, which any deletion changes; the root holds the rows alone.
    """

    incremental: tuple[str, str]
    scratch: tuple[str, str]
    naive: tuple[str, str]
    n_out: int
    n_in: int


def make_world(seed: int, n_seeds: int = 12, n_generations: int = 60) -> World:
    """A world drawn from `seed`: about a third of the questions are near copies of earlier ones."""
    draw = random.Random(seed)
    seeds = [
        {
            "seed_id": make_id("seed", seed, i), "database": "shop", "kind": "topic", "text": f"topic {i}",
            "licence": draw.choice(LICENCES), "source_file": draw.choice(SOURCES),
        }
        for i in range(n_seeds)
    ]  # fmt: skip
    rows, edges, questions = [], [], []
    for i in range(n_generations):
        parent = draw.choice(seeds)["seed_id"]
        question = _write_question(draw, questions)
        questions.append(question)
        generation_id = make_id("generation", seed, i)
        rows.append(_write_generation(draw, generation_id, parent, i, question))
        edges.append((generation_id, parent, "seed"))
        for role in ("evolved_from", "few_shot", "revised_from"):
            if i and draw.random() < 0.15:
                edges.append((generation_id, rows[draw.randrange(i)]["generation_id"], role))
        if draw.random() < 0.1:
            edges.append((generation_id, draw.choice(seeds)["seed_id"], "few_shot"))
    generations = build_frame(RAW_GENERATIONS, rows)
    derivations = pl.DataFrame(sorted(set(edges)), schema=["child", "parent", "role"], orient="row")
    limit = draw.choice([None, None, n_generations // 3])
    spec = CurateSpec.model_validate({"max_samples": limit, "heldout_frac": 0.2} if limit else {"heldout_frac": 0.2})
    judged = (_judge(draw, generations, 0.4), _judge(draw, generations, 0.15))
    return World(build_frame(SEED_CORPUS, seeds), generations, derivations, judged, spec)


def _write_question(draw: random.Random, earlier: list[str]) -> str:
    if earlier and draw.random() < 0.45:
        words = draw.choice(earlier).split()
        words[draw.randrange(len(words))] = draw.choice(WORDS)
        return " ".join(words)
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(14, 22)))


def _write_generation(draw: random.Random, generation_id: str, seed_id: str, i: int, question: str) -> dict[str, object]:
    served = draw.choice(["2026-01", "2026-05"])
    teacher = draw.choice(TEACHERS)
    return {
        "generation_id": generation_id, "request_id": make_id("request", generation_id), "seed_id": seed_id, "sample_ix": i,
        "strategy": draw.choice(["write", "evolve"]), "database": "shop", "prompt_id": "write.v1#aa", "question": question,
        "trace": None, "completion": "select count(*) from orders", "endpoint_trace": None, "endpoint_trace_field": None,
        "generation_status": "ok", "error": None, "teacher": teacher, "provider": "host", "served_model": f"{teacher}-{served}",
        "upstream": None, "system_fingerprint": draw.choice([None, "fp_1", "fp_2"]), "endpoint_headers": None, "response_id": None,
        "finish_reason": "stop", "prompt_tokens": 10, "completion_tokens": 20, "reasoning_tokens": 0, "n_calls": 1, "cost_usd": 0.0,
    }  # fmt: skip


def _judge(draw: random.Random, generations: pl.DataFrame, rejected: float) -> pl.DataFrame:
    rows = []
    for row in generations.iter_rows(named=True):
        status = "rejected" if draw.random() < rejected else "accepted"
        score = draw.choice([None, 0.25, 0.5, 0.75, 1.0])
        rows.append({
            "sample_id": row["generation_id"], "seed_id": row["seed_id"], "strategy": row["strategy"], "database": row["database"],
            "question": row["question"], "trace": None, "sql": row["completion"], "teacher": row["teacher"],
            "served_model": row["served_model"], "sample_status": status, "judged_status": status, "label": None,
            "reason": None if status == "accepted" else "rule", "critic_score": score, "is_shortcut": False, "quality_score": None,
            "instruction_difficulty": None, "cost_usd": 0.0,
        })  # fmt: skip
    return build_frame(JUDGED_SAMPLES, rows)


def list_selectors(world: World, ledger: Ledger, draw: random.Random) -> Selector:
    """Something to withdraw: a seed, a generation, a teacher, a served model, a fingerprint, a licence or a source."""
    kind = draw.choice(["seed", "seed", "generation", "teacher", "served", "fingerprint", "licence", "source"])
    row = world.generations.row(draw.randrange(world.generations.height), named=True)
    seed = world.seeds.row(draw.randrange(world.seeds.height), named=True)
    from distill_assets.lineage.ids import salted

    salt = ledger.salt()
    values = {
        "seed": salted(salt, seed["seed_id"]), "generation": salted(salt, row["generation_id"]), "teacher": row["teacher"],
        "served": row["served_model"], "fingerprint": row["system_fingerprint"] or "fp_1", "licence": seed["licence"],
        "source": seed["source_file"],
    }  # fmt: skip
    return Selector(kind, values[kind])


def follow(world: World, ledger: Ledger, selector: Selector) -> set[str]:
    """The generations that a selector takes with it, by plain Python over the tables; apart from the ledger's own query."""
    from distill_assets.lineage.ids import salted

    salt = ledger.salt()
    columns = {"teacher": "teacher", "served": "served_model", "fingerprint": "system_fingerprint"}
    gone: set[str] = set()
    for seed in world.seeds.iter_rows(named=True):
        if selector.value in (seed["licence"], seed["source_file"]) and selector.kind in ("licence", "source"):
            gone.add(seed["seed_id"])
        if selector.kind == "seed" and salted(salt, seed["seed_id"]) == selector.value:
            gone.add(seed["seed_id"])
    for row in world.generations.iter_rows(named=True):
        if selector.kind in columns and row[columns[selector.kind]] == selector.value:
            gone.add(row["generation_id"])
        if selector.kind == "generation" and salted(salt, row["generation_id"]) == selector.value:
            gone.add(row["generation_id"])
    while True:
        more = {child for child, parent, _ in world.derivations.iter_rows() if parent in gone} - gone
        if not more:
            return gone
        gone |= more


def compare(seed: int) -> Outcome | None:
    """Erase something from the world `seed` in the three ways; None when nothing would be left of it."""
    world = make_world(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = record_world(world, folder / "ledger")
        selector = list_selectors(world, ledger, random.Random(seed + 1))
        before = curate(world, world.generations["generation_id"].to_list(), folder / "index")
        withdrawals = read_withdrawals(ledger.root, only=[selector])
        marks = withdrawals.mark_generations(world.generations, dict.fromkeys(TEACHERS))
        left = world.generations.filter(~marks)["generation_id"].to_list()
        gone = follow(world, ledger, selector)
        kept = [i for i in world.generations["generation_id"] if i not in gone]
        if not _has_accepted(world, kept) or not _has_accepted(world, left):
            return None
        incremental, scratch = curate(world, left, folder / "index"), curate(world, kept, None)
        naive = before.filter(~pl.col("sample_id").is_in(list(gone)))
        moved = set(incremental["sample_id"]) - set(before["sample_id"])
        digests = [digest(ledger, frame) for frame in (incremental, scratch, naive)]
        return Outcome(*digests, len(set(before["sample_id"]) & gone), len(moved))


def _has_accepted(world: World, ids: list[str]) -> bool:
    return world.judged[1].filter(pl.col("sample_id").is_in(ids) & (pl.col("sample_status") == "accepted")).height > 0


def record_world(world: World, root: Path) -> Ledger:
    """A ledger that was told of the world, with both judgings."""
    ledger = Ledger.open(root, create=True)
    verdicts = build_frame(VERDICTS, [])
    terms = build_terms([Terms(name, licence=None) for name in TEACHERS])
    for recording in (
        record_seeds(world.seeds, "world"),
        record_generations(world.generations, terms, world.derivations),
        record_judgments(world.judged[0], verdicts, terms),
        record_judgments(world.judged[1], verdicts, terms),
    ):
        write(ledger, recording)
    return ledger


def write(ledger: Ledger, recording: Recording) -> None:
    """Put a recording into a ledger."""
    ledger.record(recording.kind, "world", AT, recording.segments, recording.frames, {}, recording.facts)


def curate(world: World, ids: list[str], index: Path | None) -> pl.DataFrame:
    """The dataset that is made of some of the generations; `index` is a folder with an index of duplicates, or None to build none."""
    judged = world.judged[1].filter(pl.col("sample_id").is_in(ids))
    samples = gather_samples(judged, None)
    accepted = take_accepted(samples)
    marked = mark_duplicates(accepted, world.spec.duplicates, index)
    hits = build_frame(CONTAMINATION_HITS, [])
    marks = build_marks(accepted, Findings(marked.frame, hits), world.spec, None)
    kept = select_samples(samples, marks.frame, world.spec).kept
    rendered = kept.with_columns(prompt=pl.concat_str(pl.lit("Q: "), "question"), completion="sql")
    return rendered.select(list(TRAINING_DATASET.fields)).sort("sample_id")


def digest(ledger: Ledger, dataset: pl.DataFrame) -> tuple[str, str]:
    """The dataset's data version and the Merkle root of its rows as the ledger has them."""
    from distill_assets.tables import hash_frame

    version = hash_frame(TRAINING_DATASET, dataset)
    dropped = pl.DataFrame(schema={"sample_id": pl.String, "drop_reason": pl.String})
    write(ledger, record_dataset(dataset, dropped, version, {}))
    with ledger.connect() as connection:
        [[snapshot]] = connection.execute("select salted(?)", [version]).fetchall()
        return version, root_of(connection, snapshot.hex)
