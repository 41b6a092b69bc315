"""The ledger's own tables as data: what is recorded of endpoints, seeds, generations, verdicts, datasets and checkpoints.

Belongs here: names, keys, columns, DuckDB types, meaning, and which columns may be null. Does not belong here: how a row
is stored (segments) or what is asked of it (audits). No column holds a text of a seed or a generation: every id is salted
(ids), so that the ledger can stay when what it speaks of has to go.
"""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column: DuckDB type, meaning with unit, whether null is allowed."""

    type: str
    meaning: str
    nullable: bool = False


class Kind(NamedTuple):
    """One table of the ledger: name, meaning, key columns (rows are sorted by them, no two rows of a segment share one), columns."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: dict[str, Column]


ID, TEXT, TEXTS, COUNT, SMALL = "UUID", "VARCHAR", "VARCHAR[]", "BIGINT", "INTEGER"

_GENERATION = Column(ID, "salted generation_id")
_SNAPSHOT = Column(ID, "salted data version of the dataset")
_CHECKPOINT = Column(ID, "salted id of the checkpoint")
_EVENT_SEQ = Column(SMALL, "line of the chain that recorded it")
_ORIGINS = {
    "endpoint_id": Column(ID, "endpoint that wrote the rows", nullable=True),
    "prompt_key": Column(ID, "prompt they were asked with", nullable=True),
    "panel_id": Column(ID, "judges that settled them", nullable=True),
    "licence": Column(TEXT, "licence of their seeds", nullable=True),
    "source": Column(TEXT, "file of their seeds", nullable=True),
}

_KINDS = (
    Kind(
        "endpoint",
        "What answered: a teacher, a judge, or people.",
        ("endpoint_id",),
        {
            "endpoint_id": Column(ID, "salted id of all that is known of it"),
            "role": Column(TEXT, "teacher, judge or people"),
            "provider": Column(TEXT, "who runs it", nullable=True),
            "requested_model": Column(TEXT, "model that was asked for"),
            "served_model": Column(TEXT, "model that said it answered", nullable=True),
            "upstream": Column(TEXT, "provider behind a router", nullable=True),
            "system_fingerprint": Column(TEXT, "fingerprint that came with the answer", nullable=True),
            "headers": Column(TEXT, "telling response headers as JSON", nullable=True),
            "family": Column(TEXT, "model family", nullable=True),
            "base_lineage": Column(TEXTS, "models that it descends from, nearest first", nullable=True),
            "licence": Column(TEXT, "licence of the model", nullable=True),
            "terms_url": Column(TEXT, "where the accepted terms stand", nullable=True),
            "terms_sha256": Column(TEXT, "SHA-256 of the accepted terms", nullable=True),
            "terms_accepted_on": Column(TEXT, "date on which they were accepted, ISO 8601", nullable=True),
        },
    ),
    Kind(
        "prompt",
        "Prompt files that generations were made with.",
        ("prompt_key",),
        {
            "prompt_key": Column(ID, "salted prompt_id and strategy"),
            "prompt_id": Column(TEXT, "file of the prompt and hash of its content"),
            "strategy": Column(TEXT, "how seeds became prompts", nullable=True),
        },
    ),
    Kind(
        "seed",
        "Seeds that prompts were made from; the last row of one counts, of a licence that was put right.",
        ("seed_id",),
        {
            "seed_id": Column(ID, "salted seed_id"),
            "recipe": Column(TEXT, "recipe that holds it"),
            "source": Column(TEXT, "file of the recipe that holds it"),
            "kind": Column(TEXT, "topic, question or document"),
            "licence": Column(TEXT, "licence of the text", nullable=True),
            "event_seq": _EVENT_SEQ,
        },
    ),
    Kind(
        "generation",
        "Every row a teacher wrote, trained on or not.",
        ("generation_id",),
        {
            "generation_id": _GENERATION,
            "request_id": Column(ID, "salted request_id", nullable=True),
            "endpoint_id": Column(ID, "endpoint that answered"),
            "prompt_key": Column(ID, "prompt it was asked with", nullable=True),
            "status": Column(TEXT, "how the call ended"),
            "sample_ix": Column(SMALL, "number of the sample among those of its request", nullable=True),
            "prompt_tokens": Column(SMALL, "tokens of the prompt as the endpoint counted them", nullable=True),
            "completion_tokens": Column(SMALL, "tokens of the answer as the endpoint counted them", nullable=True),
            "event_seq": _EVENT_SEQ,
        },
    ),
    Kind(
        "derivation",
        "What a generation was made from; many to many.",
        ("child", "parent", "role"),
        {
            "child": Column(ID, "salted generation_id"),
            "parent": Column(ID, "salted seed_id or generation_id"),
            "role": Column(TEXT, "seed, few_shot, evolved_from, revised_from, retrieved or persona"),
        },
    ),
    Kind(
        "panel",
        "Which judges settled a sample together; one row a judge.",
        ("panel_id", "judge", "layer", "endpoint_id"),
        {
            "panel_id": Column(ID, "salted names of its judges"),
            "judge": Column(TEXT, "name of the judge"),
            "layer": Column(TEXT, "heuristic, verifier, steps, critic, filter or people"),
            "endpoint_id": Column(ID, "endpoint of a judge that is a model", nullable=True),
        },
    ),
    Kind(
        "judgment",
        "How a generation was settled.",
        ("generation_id", "panel_id", "event_seq"),
        {
            "generation_id": _GENERATION,
            "panel_id": Column(ID, "judges that settled it"),
            "status": Column(TEXT, "accepted, rejected or unscored"),
            "score": Column("FLOAT", "quality in 0..1", nullable=True),
            "by_people": Column("BOOLEAN", "whether a person's label settled it"),
            "event_seq": _EVENT_SEQ,
        },
    ),
    Kind(
        "duplicate",
        "Samples that another one stands for.",
        ("run", "generation_id"),
        {
            "generation_id": _GENERATION,
            "stands_for": Column(ID, "the sample that stands for it"),
            "duplicate_kind": Column(TEXT, "how they are alike"),
            "run": Column(ID, "salted data version of the duplicates table"),
        },
    ),
    Kind(
        "hit",
        "Samples that give an item of a benchmark away.",
        ("run", "generation_id", "benchmark", "item", "rule"),
        {
            "generation_id": _GENERATION,
            "benchmark": Column(TEXT, "name of the benchmark"),
            "item": Column(ID, "salted id of the item"),
            "rule": Column(TEXT, "rule that found it"),
            "action": Column(TEXT, "what was done about it"),
            "run": Column(ID, "salted data version of the table of hits"),
        },
    ),
    Kind(
        "snapshot_row",
        "Rows of a dataset.",
        ("snapshot_id", "generation_id"),
        {
            "snapshot_id": _SNAPSHOT,
            "generation_id": _GENERATION,
            "row_digest": Column(ID, "salted hash of the row as it is trained on"),
            "split": Column(TEXT, "train or heldout"),
            "event_seq": _EVENT_SEQ,
        },
    ),
    Kind(
        "dropped",
        "How many rows did not make it into a dataset, by where they came from.",
        ("snapshot_id", *_ORIGINS, "reason"),
        {
            "snapshot_id": _SNAPSHOT,
            **_ORIGINS,
            "reason": Column(TEXT, "why they were dropped"),
            "n_rows": Column(COUNT, "rows"),
        },
    ),
    Kind(
        "exposure",
        "What the optimizer saw of each row.",
        ("checkpoint_id", "generation_id"),
        {
            "checkpoint_id": _CHECKPOINT,
            "generation_id": _GENERATION,
            "n_times": Column(SMALL, "how often it was trained on"),
            "n_tokens": Column(COUNT, "tokens trained on, over all times"),
            "n_loss_tokens": Column(COUNT, "tokens that counted in the loss, over all times"),
            "is_truncated": Column("BOOLEAN", "whether a part was cut off"),
            "first_step": Column(SMALL, "optimizer step that first saw it", nullable=True),
        },
    ),
    Kind(
        "mix",
        "What a checkpoint was trained on, rolled up, so that a question about shares reads no single row.",
        ("checkpoint_id", "snapshot_id", *_ORIGINS),
        {
            "checkpoint_id": _CHECKPOINT,
            "snapshot_id": _SNAPSHOT,
            **_ORIGINS,
            "n_rows": Column(COUNT, "rows of the dataset"),
            "n_rows_seen": Column(COUNT, "rows that were trained on"),
            "n_tokens": Column(COUNT, "tokens trained on, over all times"),
            "n_loss_tokens": Column(COUNT, "tokens that counted in the loss, over all times"),
        },
    ),
    Kind(
        "evaluation",
        "Figures of a checkpoint on a benchmark.",
        ("evaluation_id", "benchmark", "source", "model_role", "metric"),
        {
            "evaluation_id": Column(ID, "salted id of the evaluation"),
            "checkpoint_id": _CHECKPOINT,
            "benchmark": Column(TEXT, "name of the benchmark"),
            "version": Column(TEXT, "version of the benchmark", nullable=True),
            "digest": Column(TEXT, "digest of its items", nullable=True),
            "source": Column(TEXT, "human or synthetic", nullable=True),
            "model_role": Column(TEXT, "student, base or teacher"),
            "metric": Column(TEXT, "what was measured"),
            "value": Column("DOUBLE", "the figure"),
            "low": Column("DOUBLE", "lower end of its interval", nullable=True),
            "high": Column("DOUBLE", "upper end of its interval", nullable=True),
            "n": Column(COUNT, "items it is over"),
        },
    ),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}

# What a line of the chain can be about; `facts` of a line are JSON.
EVENTS: dict[str, str] = {
    "genesis": "the ledger was begun (format, id of the salt)",
    "seeds": "seeds were read",
    "generations": "teachers answered",
    "verdicts": "samples were judged",
    "duplicates": "duplicates were marked",
    "decontamination": "samples were held against benchmarks (their versions and digests)",
    "dataset": "a dataset was selected",
    "checkpoint": "a student was trained (its base, its parent)",
    "evaluation": "a checkpoint was measured",
    "manifest": "a lineage.json was written (checkpoint and sha256)",
    "tombstone": "something was withdrawn (selector and reason)",
    "tombstone_lifted": "a withdrawal was taken back",
    "erasure": "something was erased, with proof",
    "materialization": "a table was built again without news for the ledger",
}
