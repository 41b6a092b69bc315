"""Every table of the graph as data: the one place where stages meet.

Belongs here: names, keys, columns, dtypes, units, nullability, meaning, and the check that a frame
fits. Does not belong here: how a table is filled (stages), stored (storage) or judged good enough
(checks). Storage checks each frame on its way in and out; the Great Expectations suites, Dagster's
column metadata and the README's table of tables are derived from what stands here.

One thing, one name: asset = table = constant = heading.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from distill_assets.errors import TableShapeError, name_culprits
from distill_assets.identity import hash_row, join_digests


class Field(NamedTuple):
    """One column: polars dtype, meaning with unit, whether null is allowed, its closed set of values."""

    dtype: type[pl.DataType]
    meaning: str
    nullable: bool = False
    allowed: tuple[str, ...] | None = None


class TableSpec(NamedTuple):
    """One table: name, meaning, key columns, fields in column order, and columns outside its identity.

    `unversioned` columns say how a row came to be stored (where in which file, after how many
    attempts); two tables that differ in them alone have the same data version.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    fields: dict[str, Field]
    unversioned: tuple[str, ...] = ()


S, N, F, B = pl.String, pl.Int64, pl.Float64, pl.Boolean

DATABASES = TableSpec(
    "databases",
    "The databases that questions are asked about, each as a schema card and two or more differently filled instances.",
    ("database", "instance"),
    {
        "database": Field(S, "name of the database in the recipe"),
        "instance": Field(N, "0 is the database as written; 1 and up are refilled with other rows"),
        "schema_id": Field(S, "content id of the schema card"),
        "card": Field(S, "schema card as JSON: tables, documentation, types, keys, sample values"),
        "content_id": Field(S, "content id of all rows of this instance; also its file name"),
        "n_tables": Field(N, "tables in the database"),
        "n_rows": Field(N, "rows over all its tables"),
    },
)

SEED_CORPUS = TableSpec(
    "seed_corpus",
    "What prompts are made from: topics and example questions, normalised, one row a seed.",
    ("seed_id",),
    {
        "seed_id": Field(S, "content id of database, kind and text"),
        "database": Field(S, "database that the seed speaks of"),
        "kind": Field(S, "what the text is", allowed=("topic", "question", "document")),
        "text": Field(S, "the seed's text with white space folded"),
        "licence": Field(S, "licence of the seed's text"),
        "source_file": Field(S, "file inside the recipe that holds the seed"),
    },
    unversioned=("source_file",),
)

HOLDOUT = TableSpec(
    "holdout",
    "Real questions that are never trained on: they decontaminate the dataset and measure the student.",
    ("item_id",),
    {
        "item_id": Field(S, "content id of database and question"),
        "database": Field(S, "database that the question is asked about"),
        "question": Field(S, "the question as a person asked it"),
        "gold_sql": Field(S, "query whose result is the right answer"),
        "gold_checked": Field(N, "instances on which the query ran"),
    },
)

BENCHMARK_ITEMS = TableSpec(
    "benchmark_items",
    "Items of the benchmarks that the recipe names: none of them may leak into the dataset.",
    ("benchmark", "item_id"),
    {
        "benchmark": Field(S, "benchmark as the recipe names it"),
        "item_id": Field(S, "content id of benchmark and question"),
        "question": Field(S, "the item's question or prompt"),
        "answer": Field(S, "its right answer, when the benchmark gives one", nullable=True),
        "choices": Field(S, "the answers to choose from, as a JSON list", nullable=True),
        "version": Field(S, "version as the recipe or the data set's revision says"),
        "digest": Field(S, "SHA-256 of the file, or the data set's own fingerprint"),
    },
)

# ok; else no answer in it, cut short, refused by the model or a filter, not taken by the endpoint, from another
# model than the pinned one, or no whole reply at all.
GENERATION_STATES = ("ok", "invalid", "truncated", "refused", "rejected", "other_model", "error")

RAW_GENERATIONS = TableSpec(
    "raw_generations",
    "One row a completion: what was asked, what came back, and which endpoint answered.",
    ("generation_id",),
    {
        "generation_id": Field(S, "content id of request_id and reply"),
        "request_id": Field(S, "content id of the request: endpoint, body, sample index"),
        "seed_id": Field(S, "seed that the request was made from"),
        "sample_ix": Field(N, "which of the samples of that seed and prompt"),
        "strategy": Field(S, "strategy that made the request"),
        "database": Field(S, "database that the question is asked about"),
        "prompt_id": Field(S, "prompt file with version and content hash"),
        "question": Field(S, "the question that the teacher wrote", nullable=True),
        "trace": Field(S, "the teacher's step-by-step reasoning, as the answer holds it", nullable=True),
        "completion": Field(S, "the SQL that the teacher wrote", nullable=True),
        "endpoint_trace": Field(S, "reasoning that the endpoint gave beside the answer", nullable=True),
        "endpoint_trace_field": Field(S, "where in the reply that reasoning stood", nullable=True),
        "generation_status": Field(S, "how the request ended", allowed=GENERATION_STATES),
        "error": Field(S, "what went wrong, redacted", nullable=True),
        "teacher": Field(S, "teacher that answered, as the recipe names it, with version"),
        "provider": Field(S, "host that was asked, or embedded"),
        "served_model": Field(S, "model that answered, by its own word", nullable=True),
        "upstream": Field(S, "who stood behind a router, by its own word", nullable=True),
        "system_fingerprint": Field(S, "the endpoint's fingerprint of its set-up", nullable=True),
        "endpoint_headers": Field(S, "headers that say who answered, as JSON; not those of one call", nullable=True),
        "response_id": Field(S, "the endpoint's id of the reply", nullable=True),
        "finish_reason": Field(S, "why the endpoint stopped writing", nullable=True),
        "prompt_tokens": Field(N, "tokens read over all calls, as billed"),
        "completion_tokens": Field(N, "tokens written over all calls, as billed"),
        "reasoning_tokens": Field(N, "of those, tokens of reasoning, as the endpoint tells"),
        "n_calls": Field(N, "calls whose replies were journaled for this request"),
        "cost_usd": Field(F, "what those calls cost, in USD; null when no price is known", nullable=True),
    },
    unversioned=("cost_usd", "endpoint_headers"),
)

PLANTED_ERRORS = TableSpec(
    "planted_errors",
    "The embedded teacher's own record of the errors it planted; judging never reads it.",
    ("generation_id",),
    {
        "generation_id": Field(S, "the generation that carries the error"),
        "planted_error": Field(S, "kind of the planted error"),
    },
)

VERDICT_STATES = ("passed", "failed", "unscored")

VERDICT_LAYERS = ("heuristic", "verifier", "steps", "critic", "filter")
# The criterion that there is an answer at all, and the judge that all critics are together.
ANSWERED, ALL_CRITICS = "answered", "critics"

VERDICTS = TableSpec(
    "verdicts",
    "One row a generation, judge and criterion: passed, failed or unscored, with the reason.",
    ("generation_id", "judge", "criterion"),
    {
        "generation_id": Field(S, "the generation judged, or the canary"),
        "layer": Field(S, "kind of judge, from the most trusted to the least", allowed=VERDICT_LAYERS),
        "judge": Field(S, "who judged, with version"),
        "criterion": Field(S, "what was judged"),
        "verdict_status": Field(S, "the verdict", allowed=VERDICT_STATES),
        "score": Field(F, "0 to 1; null when unscored", nullable=True),
        "reason": Field(S, "why, in words", nullable=True),
        "is_decisive": Field(B, "it settles the sample; the others are shown beside it"),
        "is_canary": Field(B, "it judges a known-bad answer that was mixed in, not a generation"),
        "evidence": Field(S, "what it was found by, as JSON", nullable=True),
        "judge_key": Field(S, "content id of all that decides this generation's verdicts"),
    },
    unversioned=("evidence",),  # a database's words on a failure can hold sizes and times
)

SAMPLE_STATES = ("accepted", "rejected", "unscored")
LABELS = ("accept", "reject")

JUDGED_SAMPLES = TableSpec(
    "judged_samples",
    "One row a generation with its settled verdict: accepted, rejected or unscored.",
    ("sample_id",),
    {
        "sample_id": Field(S, "the generation's id"),
        "seed_id": Field(S, "seed that it was made from"),
        "strategy": Field(S, "strategy that made the request"),
        "database": Field(S, "database that the question is asked about"),
        "question": Field(S, "the question", nullable=True),
        "trace": Field(S, "the reasoning", nullable=True),
        "sql": Field(S, "the query", nullable=True),
        "teacher": Field(S, "teacher as the recipe names it, with version"),
        "served_model": Field(S, "model that answered", nullable=True),
        "sample_status": Field(S, "the settled verdict, people's labels included", allowed=SAMPLE_STATES),
        "judged_status": Field(S, "what the judges alone settled", allowed=SAMPLE_STATES),
        "label": Field(S, "what people say of it; null when nobody looked or they differ", nullable=True, allowed=LABELS),
        "reason": Field(S, "first failed or unscored criterion, or who overruled; null when judges accepted", nullable=True),
        "critic_score": Field(F, "score of all critics together, 0 to 1; null when none scored", nullable=True),
        "is_shortcut": Field(B, "its answer holds and its reasoning does not lead there"),
        "quality_score": Field(F, "the learned filter's score, 0 to 1; null without a filter", nullable=True),
        "instruction_difficulty": Field(
            F, "how little its question helps to expect its answer; null without a filter", nullable=True
        ),
        "cost_usd": Field(F, "what its generation cost, in USD; null when no price is known", nullable=True),
    },
    unversioned=("cost_usd",),
)

JUDGE_CALIBRATION = TableSpec(
    "judge_calibration",
    "How far each judge agrees with the verifiers, with people, with itself in swapped order, and how it takes canaries.",
    ("layer", "judge", "criterion", "reference"),
    {
        "layer": Field(S, "kind of judge; all is what they settle together"),
        "judge": Field(S, "who judged, with version"),
        "criterion": Field(S, "what was judged"),
        "reference": Field(S, "what it is held against"),
        "n": Field(N, "samples, canaries or pairs on which both decided"),
        "agreement_frac": Field(F, "share of them on which both said the same", nullable=True),
        "kappa": Field(F, "Cohen's kappa; null where both always say one thing", nullable=True),
        "auc": Field(F, "probability that the score ranks a good sample above a bad one", nullable=True),
        "false_accept_frac": Field(F, "share of the reference's failed ones that the judge passed", nullable=True),
        "false_reject_frac": Field(F, "share of the reference's passed ones that the judge failed", nullable=True),
        "first_frac": Field(F, "share of choices for the sample shown first; 0.5 is no bias", nullable=True),
        "best_threshold": Field(F, "score that parts good from bad best, by Youden's J", nullable=True),
    },
)

REVIEW_LABELS = TableSpec(
    "review_labels",
    "What people say of samples: the last label of each person on each sample.",
    ("sample_id", "reviewer"),
    {
        "sample_id": Field(S, "the sample that was shown"),
        "reviewer": Field(S, "who labelled it"),
        "label": Field(S, "what they say", allowed=("accept", "reject", "unsure")),
        "comment": Field(S, "why, in their words; empty when they wrote none"),
        "labelled_at": Field(S, "when, in UTC"),
        "seen_status": Field(
            S, "what the judges said of the sample when it was shown", allowed=("accepted", "rejected", "unscored")
        ),
        "drawn": Field(S, "whether chance or a person chose the sample", allowed=("random", "chosen")),
        "text_id": Field(S, "content id of the question, reasoning and query that were shown"),
    },
    unversioned=("labelled_at",),
)

QUALITY_SCORES = TableSpec(
    "quality_scores",
    "What a small local model says of each answered generation: learned quality, and how hard its answer is to expect.",
    ("generation_id",),
    {
        "generation_id": Field(S, "the generation scored"),
        "quality_score": Field(F, "probability of being good, 0 to 1; null when unscored", nullable=True),
        "is_good": Field(B, "the score reaches the filter's threshold; null when unscored", nullable=True),
        "quality_label": Field(F, "label that it was given, 0 (bad) to 1 (good)", nullable=True),
        "quality_split": Field(S, "what the label is used for", nullable=True, allowed=("train", "heldout")),
        "instruction_difficulty": Field(
            F, "perplexity of the answer given the question over that of the answer alone; null when unknown", nullable=True
        ),
        "scorer": Field(S, "model that read and filter that scored, with versions"),
    },
)

REAL_SAMPLES = TableSpec(
    "real_samples",
    "Samples that people wrote, to be mixed in: their queries ran on every instance.",
    ("sample_id",),
    {
        "sample_id": Field(S, "content id of database, question and query"),
        "database": Field(S, "database that the question is asked about"),
        "question": Field(S, "the question as a person asked it"),
        "sql": Field(S, "the query as a person wrote it"),
        "licence": Field(S, "licence of the sample"),
        "source_file": Field(S, "file inside the recipe that holds it"),
    },
    unversioned=("source_file",),
)

TEXT_FIELDS = ("question", "answer", "both")
DUPLICATE_KINDS = ("exact", "normalized", "near", "semantic")

DUPLICATES = TableSpec(
    "duplicates",
    "Accepted samples that say the same as another one, which stands for them; one row a sample and field.",
    ("sample_id", "field"),
    {
        "sample_id": Field(S, "the sample marked"),
        "field": Field(S, "what was compared", allowed=TEXT_FIELDS),
        "duplicate_kind": Field(S, "same text, same words, many of the same word pairs, or same meaning", allowed=DUPLICATE_KINDS),
        "duplicate_of": Field(S, "the sample that stands for its cluster, which is no duplicate itself"),
        "similarity": Field(F, "Jaccard similarity of word n-grams, or cosine of embeddings, 0 to 1"),
    },
)

CONTAMINATION_ACTIONS = ("drop", "review")

CONTAMINATION_HITS = TableSpec(
    "contamination_hits",
    "Overlaps of accepted samples with holdout and benchmark items: which item, by which rule, which words.",
    ("sample_id", "field", "benchmark", "item_id", "rule"),
    {
        "sample_id": Field(S, "the sample that overlaps"),
        "field": Field(S, "what was compared", allowed=TEXT_FIELDS),
        "benchmark": Field(S, "holdout, or the benchmark as the recipe names it"),
        "item_id": Field(S, "the item that it overlaps"),
        "rule": Field(S, "the rule that fired; arbiter_failed when nobody could tell"),
        "action": Field(S, "whether the sample is kept out, or only shown to people", allowed=CONTAMINATION_ACTIONS),
        "coverage_frac": Field(F, "share of the item that stands in the sample, or cosine of embeddings; 0 to 1", nullable=True),
        "span": Field(S, "the words that overlap; null when the whole text is close", nullable=True),
        "reason": Field(S, "the arbiter's reason", nullable=True),
    },
)

DIFFICULTIES = ("easy", "medium", "hard", "extra", "unparsed")

CURATION_MARKS = TableSpec(
    "curation_marks",
    "All that selection goes by, one row an accepted sample; a mark drops nothing.",
    ("sample_id",),
    {
        "sample_id": Field(S, "the sample marked"),
        "duplicate_of": Field(S, "the sample that stands for its cluster, when it is another", nullable=True),
        "duplicate_kind": Field(S, "how they are alike", nullable=True, allowed=DUPLICATE_KINDS),
        "duplicate_field": Field(S, "what was compared", nullable=True, allowed=TEXT_FIELDS),
        "similarity": Field(F, "Jaccard similarity or cosine, 0 to 1", nullable=True),
        "contaminated_by": Field(S, "benchmark and item that it overlaps most", nullable=True),
        "contamination_rule": Field(S, "the rule that fired", nullable=True),
        "contamination_action": Field(S, "what follows", nullable=True, allowed=CONTAMINATION_ACTIONS),
        "contamination_span": Field(S, "the overlapping words", nullable=True),
        "template_id": Field(S, "content id of the template: the sample without names, numbers and values"),
        "template": Field(S, "the template"),
        "topic": Field(S, "database and tables that the query is about; null when it cannot be read", nullable=True),
        "difficulty": Field(S, "how hard the query is, by its parts", allowed=DIFFICULTIES),
        "n_tokens": Field(N, "tokens of question and query, in the student's own; null without a bound on them", nullable=True),
        "rule_key": Field(S, "content id of the rules for template, topic and difficulty"),
    },
)

TRAINING_DATASET = TableSpec(
    "training_dataset",
    "What the student learns from, rendered as prompt and completion, with a synthetic held-out split.",
    ("sample_id",),
    {
        "sample_id": Field(S, "the sample's id"),
        "seed_id": Field(S, "seed that it was made from; null when a person wrote it", nullable=True),
        "strategy": Field(S, "strategy that made it; real when a person wrote it"),
        "database": Field(S, "database that the question is asked about"),
        "question": Field(S, "the question"),
        "sql": Field(S, "the query"),
        "prompt": Field(S, "text before the answer, as the student sees it"),
        "completion": Field(S, "text that the student learns to write"),
        "teacher": Field(S, "teacher as the recipe names it, with version; people when a person wrote it"),
        "topic": Field(S, "database and tables that the query is about", nullable=True),
        "difficulty": Field(S, "how hard the query is, by its parts", allowed=DIFFICULTIES),
        "split": Field(S, "train, or heldout for the synthetic evaluation", allowed=("train", "heldout")),
        "position": Field(N, "place in the order of training, from 0"),
    },
)

DROP_REASONS = (
    "unscored", "rejected", "contaminated", "exact_duplicate", "normalized_duplicate", "near_duplicate", "semantic_duplicate",
    "over_best_of", "over_template", "over_quota", "over_tokens", "over_limit",
)  # fmt: skip

DROPPED_SAMPLES = TableSpec(
    "dropped_samples",
    "The quarantine: every judged or real sample that is not in training_dataset, each with exactly one reason.",
    ("sample_id",),
    {
        "sample_id": Field(S, "the sample's id"),
        "seed_id": Field(S, "seed that it was made from; null when a person wrote it", nullable=True),
        "database": Field(S, "database that the question is asked about"),
        "question": Field(S, "the question", nullable=True),
        "sql": Field(S, "the query", nullable=True),
        "drop_reason": Field(S, "why it left; the first that applies in this order", allowed=DROP_REASONS),
        "evidence": Field(S, "the failed criterion, the sample that stands for it, the item, or the bound", nullable=True),
    },
)

CORPUS_DIVERSITY = TableSpec(
    "corpus_diversity",
    "How varied the training data is: measures of the whole, of each teacher, strategy and database, and of the seeds beside it.",
    ("slice_by", "slice_value", "metric"),
    {
        "slice_by": Field(
            S, "what was measured: whole or a slice of the dataset; accepted: before curation; whole_at: so many rows of it",
            allowed=("whole", "teacher", "strategy", "database", "seeds", "whole_at_seeds", "whole_at", "accepted"),
        ),
        "slice_value": Field(S, "which slice, or how many rows"),
        "metric": Field(S, "the measure"),
        "value": Field(F, "its value; a share is 0 to 1"),
        "n": Field(N, "rows that it was measured on"),
        "example": Field(S, "the text that the figure speaks of", nullable=True),
        "problem": Field(S, "what is wrong with it, in words; null when it is within its bound", nullable=True),
    },
)  # fmt: skip

EVAL_RESULTS = TableSpec(
    "eval_results",
    "One row an item and model: the answer, whether it is right, and if not why.",
    ("item_id", "model_role"),
    {
        "item_id": Field(S, "holdout item, or held-out sample"),
        "source": Field(S, "who wrote the question", allowed=("human", "synthetic")),
        "model_role": Field(S, "who answered", allowed=("student", "base", "teacher")),
        "model_name": Field(S, "model with revision"),
        "database": Field(S, "database that the question is asked about"),
        "question": Field(S, "the question"),
        "gold_sql": Field(S, "query whose result is the right answer"),
        "answer_sql": Field(S, "query that the model wrote"),
        "is_valid": Field(B, "the query ran on every instance"),
        "is_correct": Field(B, "its result equals the gold result on every instance"),
        "error_kind": Field(S, "why it is wrong", nullable=True),
        "is_seen_value": Field(B, "every literal of the gold query is in the training split"),
        "features": Field(S, "SQL features of the gold query, sorted, comma-separated"),
        "n_prompt_tokens": Field(N, "tokens of the prompt"),
        "n_completion_tokens": Field(N, "tokens of the answer"),
        "answer_key": Field(S, "content id of model revision, prompt and decoding"),
    },
)

TABLES: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        DATABASES, SEED_CORPUS, HOLDOUT, BENCHMARK_ITEMS, REAL_SAMPLES, RAW_GENERATIONS, PLANTED_ERRORS, VERDICTS, REVIEW_LABELS,
        JUDGE_CALIBRATION, QUALITY_SCORES, JUDGED_SAMPLES, DUPLICATES, CONTAMINATION_HITS, CURATION_MARKS, TRAINING_DATASET,
        DROPPED_SAMPLES, CORPUS_DIVERSITY, EVAL_RESULTS,
    )
}  # fmt: skip


def build_frame(spec: TableSpec, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Make a frame of `rows` with the table's dtypes, sorted by its key."""
    frame = pl.DataFrame(rows, schema={name: field.dtype for name, field in spec.fields.items()}, orient="row")
    return frame.sort(list(spec.key))


def check_frame(spec: TableSpec, frame: pl.DataFrame) -> None:
    """Refuse a frame that is not this table.

    Raises:
        TableShapeError: a column is missing, extra or of another dtype, a null stands where none
            may, a value is outside its closed set, or a key occurs twice.
    """
    problems = _dtype_problems(spec, frame) or _content_problems(spec, frame)
    if problems:
        raise TableShapeError(f"{spec.name}: {name_culprits(problems)}. Fix the function that built it; nothing was written.")


def _dtype_problems(spec: TableSpec, frame: pl.DataFrame) -> list[str]:
    got = dict(frame.schema)
    wrong = [
        f"column '{name}' (expected {field.dtype.__name__}, got {got.get(name, 'nothing')})"
        for name, field in spec.fields.items()
        if got.get(name) != field.dtype
    ]
    return wrong + [f"column '{name}' (expected nothing)" for name in got if name not in spec.fields]


def _content_problems(spec: TableSpec, frame: pl.DataFrame) -> list[str]:
    problems = []
    for name, field in spec.fields.items():
        if not field.nullable and (n := frame[name].null_count()):
            problems.append(f"column '{name}' has {n} nulls")
        if field.allowed is not None:
            stray = frame.filter(pl.col(name).is_not_null() & ~pl.col(name).is_in(list(field.allowed)))
            if stray.height:
                problems.append(f"column '{name}' holds {stray[name][0]!r}")
    if n := frame.height - frame.select(spec.key).n_unique():
        problems.append(f"key {spec.key} repeats {n} times")
    return problems


def hash_frame(spec: TableSpec, frame: pl.DataFrame) -> str:
    """Return the table's data version: 32 hex characters, free of row order and unversioned columns."""
    return version_of(digest_rows(spec, frame))


def digest_rows(spec: TableSpec, frame: pl.DataFrame) -> list[str]:
    """Return a digest for each row, of its versioned columns."""
    columns = [name for name in spec.fields if name not in spec.unversioned]
    return [hash_row(row) for row in frame.select(columns).iter_rows(named=True)]


def version_of(digests: list[str]) -> str:
    """Return a table's data version from its rows' digests."""
    return join_digests(digests)[:32]


def describe_tables() -> str:
    """Return the table of tables as markdown, as it stands in docs/tables.md."""
    parts = ["# Tables", "", "Made by `make docs` from `distill_assets/tables.py`.", ""]
    for spec in TABLES.values():
        parts += [f"## {spec.name}", "", f"{spec.meaning} Key: {', '.join(f'`{k}`' for k in spec.key)}.", ""]
        parts += ["| column | type | null | meaning |", "|---|---|---|---|"]
        for name, field in spec.fields.items():
            allowed = f" (one of {', '.join(field.allowed)})" if field.allowed else ""
            parts.append(f"| `{name}` | {field.dtype.__name__} | {'yes' if field.nullable else 'no'} | {field.meaning}{allowed} |")
        parts.append("")
    return "\n".join(parts)
