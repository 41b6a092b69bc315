"""What n-gram decontamination finds, and how fast: `python -m benchmarks.curate.decontamination FOLDER`.

Belongs here: recall on labelled leaks and flagged shares of clean texts, by rule; throughput beside open-r1's algorithm. Does not
belong here: rephrased items (neighbours by meaning).

FOLDER holds benchmarks.parquet (idx, bench, text), altered_dev.parquet (kind, bench, idx, text) and clean_dev.parquet (kind, text).
Three more sets are made from them: all items of fewer than 8 words verbatim, with case and punctuation changed, and wrapped in a
chat as the labelled wrapped ones are. A hit counts for recall when it names the right item, or one with the very same words.

Throughput: both sides scan the same 100,000 documents in one process, chunk by chunk in turn, in processor seconds; one
thread. Documents are clean texts drawn with a fixed seed and joined until there are 550 characters or more, and one in a hundred
also holds a labelled leak. Open-r1's side is its algorithm in plain Python, written anew, twice: as its script
runs it, which makes a document's n-grams anew for each benchmark (as_written), and with all benchmarks in one lookup, which is the
most that could be made of it (reference). The ratio is to the latter.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args

if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "1")

import polars as pl

from distill_assets.curate.decontaminate import ItemIndex, build_item_index, scan_documents
from distill_assets.curate.words import normalise_texts
from distill_assets.curation import ContaminationSpec, NgramRule

SEED = 17
N_DOCUMENTS, N_CHUNKS, LEAST_CHARS, LEAK_EVERY = 100_000, 4, 550, 100
NGRAM = 8
SHORT_WORDS = 8
DELETED = r"""[.,:;!?'"]"""
WRAPPED = (
    "### Instruction:\nPlease answer the following question carefully.\n{item}\n### Response:\nLet's think step by step. {other}"
)
AFTER = "step by step. "
ALIKE = ("verbatim", "wrapped", "casepunct", "short")


Lookup = dict[str, set[int]]


class Data(NamedTuple):
    """items as decontaminate wants them; leaks: document_id, kind, text, item_id, words of the item; clean: document_id, kind, text."""

    items: pl.DataFrame
    leaks: pl.DataFrame
    clean: pl.DataFrame


def load_data(folder: Path) -> Data:
    """Read the labelled sets of `folder` and make those of short items and of general texts."""
    items = pl.read_parquet(folder / "benchmarks.parquet")
    altered, clean = pl.read_parquet(folder / "altered_dev.parquet"), pl.read_parquet(folder / "clean_dev.parquet")
    wrapped = altered.filter(pl.col("kind").str.starts_with("wrapped"))
    others = wrapped["text"].str.split(AFTER).list.last().unique().sort()
    leaks = pl.concat([altered.select("kind", "bench", "idx", "text"), alter_short(items, others)])
    words = items.select("bench", "idx", words=normalise_texts(items["text"]))
    leaks = leaks.join(words, on=["bench", "idx"], how="left", maintain_order="left")
    clean = pl.concat([clean.select("kind", "text"), pl.DataFrame({"text": others}).select(kind=pl.lit("general"), text="text")])
    named = items.select(
        benchmark="bench", item_id=pl.col("idx").cast(pl.String), question="text",
        answer=pl.lit(None, pl.String), choices=pl.lit(None, pl.String),
    )  # fmt: skip
    return Data(named, number_rows(leaks), number_rows(clean))


def number_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Add a document_id."""
    return frame.with_columns(document_id=pl.int_range(pl.len()).cast(pl.String).str.zfill(8))


def alter_short(items: pl.DataFrame, others: pl.Series) -> pl.DataFrame:
    """Every item of fewer than 8 words, three ways."""
    short = items.filter(normalise_texts(items["text"]).str.count_matches(" ") + 1 < SHORT_WORDS)
    rows = []
    for number, (index, bench, text) in enumerate(short.select("idx", "bench", "text").iter_rows()):
        bare = pl.Series([text]).str.replace_all(DELETED, "")[0]
        texts = {
            "short_verbatim": text,
            "short_casepunct": bare.upper() if number % 2 else bare.lower(),
            "short_wrapped": WRAPPED.format(item=text, other=others[number % others.len()]),
        }
        rows += [(kind, bench, index, changed) for kind, changed in texts.items()]
    return pl.DataFrame(rows, schema={"kind": pl.String, "bench": pl.String, "idx": pl.Int64, "text": pl.String}, orient="row")


def measure_recall(folder: Path) -> dict[str, Any]:
    """Recall by kind of leak and flagged share by kind of clean text, for each rule; the default's under the headline names."""
    data = load_data(folder)
    by_rule = {
        rule: measure_rule(data, ContaminationSpec(rule=rule, abstract_numbers=rule == "cover")) for rule in get_args(NgramRule)
    }
    own = by_rule["cover"]
    alike = {kind: figures["found"] for kind, figures in own["recall"].items() if kind.startswith(ALIKE)}
    return {
        "recall_by_set": {kind: figures["found"] for kind, figures in own["recall"].items()},
        "recall_alike_least": min(alike.values()),
        "recall_alike_drop_least": min(own["recall"][kind]["drop"] for kind in alike),
        "decon_clean_drop_frac": {kind: figures["drop"] for kind, figures in own["clean"].items()},
        "decon_clean_review_frac": {kind: figures["review"] for kind, figures in own["clean"].items()},
        "decon_by_rule": by_rule,
    }


def measure_rule(data: Data, spec: ContaminationSpec) -> dict[str, dict[str, dict[str, float]]]:
    """Of one rule: recall (found: dropped or for review) and what it says of clean texts. Published rules count by themselves,
    without the exact features that protect short items under any rule."""
    index = build_item_index(data.items, spec)
    hits = [_own_hits(scan_documents(index, documents), spec.rule) for documents in (data.leaks, data.clean)]
    words = data.items.select("benchmark", "item_id", hit_words=normalise_texts(data.items["question"]))
    named = data.leaks.join(hits[0].join(words, on=["benchmark", "item_id"]), on="document_id", how="left")
    is_right = (pl.col("bench") == pl.col("benchmark")) & (pl.col("words") == pl.col("hit_words"))
    recall = _share_flags(named.with_columns(is_right=is_right.fill_null(False)))
    flagged = data.clean.join(hits[1], on="document_id", how="left").with_columns(is_right=pl.col("action").is_not_null())
    return {"recall": recall, "clean": _share_flags(flagged)}


def _own_hits(hits: pl.DataFrame, rule: NgramRule) -> pl.DataFrame:
    return hits if rule == "cover" else hits.filter(pl.col("rule") == rule)


def _share_flags(frame: pl.DataFrame) -> dict[str, dict[str, float]]:
    by_document = frame.group_by("kind", "document_id").agg(
        found=pl.col("is_right").any(), drop=(pl.col("is_right") & (pl.col("action") == "drop").fill_null(False)).any()
    )
    shares = by_document.group_by("kind").agg(
        n=pl.len(), found=pl.col("found").mean().round(4), drop=pl.col("drop").mean().round(4),
        review=(pl.col("found") & ~pl.col("drop")).mean().round(4),
    )  # fmt: skip
    return {row.pop("kind"): row for row in shares.sort("kind").iter_rows(named=True)}


def make_documents(data: Data, n_documents: int = N_DOCUMENTS) -> list[str]:
    """Draw the documents that both sides scan."""
    chance = random.Random(SEED)
    clean = data.clean.filter(pl.col("kind") != "mmlu_valdev")[
        "text"
    ].to_list()  # a quarter of those share passages with test items
    leaks = data.leaks.filter(pl.col("kind").str.contains("verbatim|casepunct"))["text"].to_list()
    documents = []
    for number in range(n_documents):
        parts = [chance.choice(leaks)] if number % LEAK_EVERY == 0 else []
        while sum(map(len, parts)) < LEAST_CHARS:
            parts.insert(0, chance.choice(clean))
        documents.append("\n".join(parts))
    return documents


def list_spaced_ngrams(text: str) -> set[str]:
    """open-r1's n-grams: lower case, white space folded, punctuation kept (huggingface/open-r1, scripts/decontaminate.py)."""
    words = " ".join(text.lower().strip().split()).split()
    return set([" ".join(words[place : place + NGRAM]) for place in range(len(words) - NGRAM + 1)])  # noqa: C403 - as there


def find_spaced(lookup: dict[str, set[int]], texts: list[str]) -> list[bool]:
    """Whether each text shares an n-gram with `lookup`; all its n-grams are looked up, as there."""
    return [any(set(ngram in lookup for ngram in list_spaced_ngrams(text))) for text in texts]  # noqa: C401


def build_lookup(questions: list[str]) -> dict[str, set[int]]:
    """N-gram to the numbers of the items that hold it."""
    lookup: dict[str, set[int]] = {}
    for number, question in enumerate(questions):
        for ngram in list_spaced_ngrams(question):
            lookup.setdefault(ngram, set()).add(number)
    return lookup


def measure_throughput(folder: Path, n_documents: int = N_DOCUMENTS) -> dict[str, Any]:
    """Documents per processor second of open-r1's algorithm, of its rule here, of the default, and of the default without
    altered numbers, on the same documents."""
    data = load_data(folder)
    texts = make_documents(data, n_documents)
    specs = {
        "open_r1": ContaminationSpec(rule="open_r1", abstract_numbers=False),
        "cover_words": ContaminationSpec(abstract_numbers=False),
        "cover": ContaminationSpec(),
    }
    for spec in specs.values():  # compile first
        scan_documents(build_item_index(data.items.head(100), spec), data.leaks.head(100))
    lookup, build_reference = _time_call(lambda: build_lookup(data.items["question"].to_list()))
    lookups = [build_lookup(rows["question"].to_list()) for _, rows in data.items.group_by("benchmark", maintain_order=True)]
    indexes, build = {}, {}
    for name, spec in specs.items():
        indexes[name], build[name] = _time_call(lambda spec=spec: build_item_index(data.items, spec))
    gc.freeze()  # or the collector walks open-r1's table on both sides' time
    seconds, is_same = _take_turns([lookup], lookups, indexes, texts)
    rates = {name: round(len(texts) / spent) for name, spent in seconds.items()}
    whole = {name: seconds[name] + build.get(name, build_reference) for name in seconds}
    return {
        "decon_ratio_vs_openr1": round(rates["cover"] / rates["reference"], 1),
        "decon_ratio_vs_openr1_as_written": round(rates["cover"] / rates["as_written"], 1),
        "decon_ratio_words_only": round(rates["cover_words"] / rates["reference"], 1),
        "decon_ratio_same_rule": round(rates["open_r1"] / rates["reference"], 1),
        "decon_ratio_with_index": round(whole["reference"] / whole["cover"], 1),
        "decon_docs_per_cpu_s": rates,
        "decon_index_cpu_s": {name: round(spent, 2) for name, spent in {"reference": build_reference, **build}.items()},
        "decon_flags_equal_reference": is_same,
        "decon_documents": len(texts),
        "decon_mean_chars": round(sum(map(len, texts)) / len(texts)),
    }


def _take_turns(
    single: list[Lookup], lookups: list[Lookup], indexes: dict[str, ItemIndex], texts: list[str]
) -> tuple[dict[str, float], bool]:
    """Processor seconds of each side, and whether open-r1's rule flags the same documents on both."""
    seconds = dict.fromkeys(("reference", "as_written", *indexes), 0.0)
    is_same, size = True, -(-len(texts) // N_CHUNKS)
    for begin in range(0, len(texts), size):
        chunk = texts[begin : begin + size]
        frame = number_rows(pl.DataFrame({"text": chunk}))
        flags, spent = _time_call(lambda chunk=chunk: find_spaced(single[0], chunk))
        seconds["reference"] += spent
        _, spent = _time_call(lambda chunk=chunk: [find_spaced(lookup, chunk) for lookup in lookups])
        seconds["as_written"] += spent
        for name, index in indexes.items():
            hits, spent = _time_call(lambda index=index, frame=frame: scan_documents(index, frame))
            seconds[name] += spent
            if name == "open_r1":
                flagged = set(hits.filter(pl.col("rule") == name)["document_id"])
                is_same &= [document in flagged for document in frame["document_id"]] == flags
    return seconds, is_same


def _time_call(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = call()
    return result, time.process_time() - began


if __name__ == "__main__":
    where = Path(sys.argv[1])
    print(json.dumps(measure_recall(where) | measure_throughput(where)))
