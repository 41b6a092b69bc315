"""Planted edits: which copies are found, by kind and setting, and whether rows that differ in a number stay apart.

Belongs here: making the edits, recall, false pairs, through mark_duplicates as a run calls it. Does not belong here: speed.

2,000 clean questions of the data folder that are far from each other (word 2-gram Jaccard below 0.35), each with one copy a kind;
a kind is measured by itself. Found: the copy is marked as a duplicate of its own question. A false pair is any other mark.
A share of the words is rounded down, so 5% is planted in texts of 20 words or more; one word in all, and told by length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from distill_assets.curate.deduplicate.pairs import keep_documents
from distill_assets.curate.deduplicate.shingles import build_shingles
from distill_assets.curate.duplicates import mark_duplicates
from distill_assets.curate.words import normalise_texts
from distill_assets.curation import DuplicatesSpec
from distill_assets.identity import make_id

N_BASE, SEED, FAR = 2_000, 17, 0.35
DEFAULT = "default"
SPECS = {
    DEFAULT: DuplicatesSpec(),
    "at_0.5": DuplicatesSpec(jaccard=0.5),
    "one_word_grams": DuplicatesSpec(shingle_words=1),
}
NUMBER = re.compile(r"\d+(?:\.\d+)?")
# Words of a text: one replaced word in so many is at most 5% of it; word 2-grams at 0.7 bear one in 11.
BANDS = {"under_11_words": (0, 11), "11_to_19_words": (11, 20), "from_20_words": (20, 10**6)}
Edit = Callable[[str, Any, list[str]], str | None]  # None: the text is too short for this edit


def measure(data: Path) -> dict[str, Any]:
    """Recall by kind and setting; false pairs among those copies and among questions of which only a number differs."""
    clean = pl.read_parquet(data / "clean_dev.parquet")
    base = choose_base(clean["text"])
    vocabulary = sorted(set(normalise_texts(base).str.split(" ").explode().to_list()))
    recall: dict[str, dict[str, float]] = {name: {} for name in SPECS}
    by_words: dict[str, dict[str, float | None]] = {}
    n_false, n_copies = dict.fromkeys(SPECS, 0), {}
    for kind, edit in EDITS.items():
        rng = np.random.default_rng(SEED)
        copies = pl.Series([edit(text, rng, vocabulary) for text in base], dtype=pl.String)
        able, copies = base.filter(copies.is_not_null()), copies.drop_nulls()
        n_copies[kind] = len(copies)
        for name, spec in SPECS.items():
            found, false = find_copies(able, copies, spec)
            recall[name][kind] = round(sum(found) / len(found), 4)
            n_false[name] += false
            if name == DEFAULT:
                by_words[kind] = recall_by_words(able, found)
    return {
        "edits_recall": recall[DEFAULT],
        "edits_recall_by_setting": recall,
        "edits_recall_by_words": by_words,
        "edits_n": n_copies,
        "edits_n_by_words": {band: int(_is_between(base, *bounds).sum()) for band, bounds in BANDS.items()},
        "edits_false_pairs": n_false,
        "edits_n_base": len(base),
        **count_number_pairs(clean.filter(pl.col("kind") == "gsm8k_train")["text"]),
    }


def choose_base(texts: pl.Series) -> pl.Series:
    """Questions no two of which are alike, of at least two words."""
    texts = texts.unique(maintain_order=True)
    texts = texts.filter(normalise_texts(texts).str.count_matches(" ") > 0)
    order = np.random.default_rng(SEED).permutation(len(texts)).astype(np.uint64)
    keep = keep_documents(build_shingles(texts, None, 2), FAR, order)
    chosen = np.flatnonzero(keep.representative == np.arange(len(texts)))
    return texts.gather(chosen[np.argsort(order[chosen])][:N_BASE])


def find_copies(base: pl.Series, copies: pl.Series, spec: DuplicatesSpec) -> tuple[list[bool], int]:
    """Which copies are found, and how many marks are false. What people wrote stands for the rest, so a base for its copy."""
    base_ids, copy_ids = (_make_ids(side, len(base)) for side in ("base", "copy"))
    samples = pl.concat([make_samples(base_ids, base.to_list(), True), make_samples(copy_ids, copies.to_list(), False)])
    marks = mark_duplicates(samples, spec).frame
    right = dict(zip(copy_ids, base_ids, strict=True))
    marked = dict(marks.select("sample_id", "duplicate_of").iter_rows())
    found = [marked.get(copy) == right[copy] for copy in copy_ids]
    return found, marks.height - sum(found)


def make_samples(ids: list[str], questions: list[str], is_real: bool, sql: list[str] | None = None) -> pl.DataFrame:
    """Rows as a run marks them; without `sql`, a query without literals."""
    return pl.DataFrame({"sample_id": ids, "question": questions, "sql": sql or ["SELECT a FROM t"] * len(ids)}).with_columns(
        database=pl.lit("d"), is_real=pl.lit(is_real), critic_score=pl.lit(None, pl.Float64), quality_score=pl.lit(None, pl.Float64)
    )


def count_number_pairs(questions: pl.Series) -> dict[str, Any]:
    """Marks between maths questions and their copies with one other number, when queries hold the numbers as literals."""
    rng = np.random.default_rng(SEED)
    base = questions.filter(questions.str.contains(NUMBER.pattern)).unique(maintain_order=True).head(N_BASE)
    copies = [_change_number(text, rng) for text in base]
    ids = _make_ids("number", 2 * len(base))
    texts = [*base, *copies]
    queries = [f"SELECT {', '.join(NUMBER.findall(text))}" for text in texts]
    n_marks = {}
    for literals in ("strict", "free"):
        rows = make_samples(ids, texts, False, queries)
        marks = mark_duplicates(rows, DuplicatesSpec(literals=literals)).frame
        n_marks[literals] = marks.height
    return {"number_false_pairs": n_marks["strict"], "number_pairs_if_free": n_marks["free"], "number_n": len(base)}


def _make_ids(name: str, n: int) -> list[str]:
    return [make_id(name, number) for number in range(n)]


def recall_by_words(base: pl.Series, found: list[bool]) -> dict[str, float | None]:
    """Recall by how many words a text has; None where there is none."""
    shares = {band: pl.Series(found).filter(_is_between(base, *bounds)).mean() for band, bounds in BANDS.items()}
    return {band: None if share is None else round(float(share), 4) for band, share in shares.items()}


def _is_between(texts: pl.Series, low: int, high: int) -> pl.Series:
    n_words = normalise_texts(texts).str.split(" ").list.len()
    return (n_words >= low) & (n_words < high)


def _change_number(text: str, rng: Any) -> str:
    """One of the numbers replaced by another."""
    places = list(NUMBER.finditer(text))
    place = places[int(rng.integers(len(places)))]
    value = next(v for v in map(str, rng.integers(2, 1000, 9)) if v != place.group())
    return text[: place.start()] + value + text[place.end() :]


def _replace_words(frac: float, least: int = 0) -> Edit:
    """So many words, rounded down, replaced by others."""

    def edit(text: str, rng: Any, vocabulary: list[str]) -> str | None:
        words = text.split()
        n = max(least, int(frac * len(words)))
        for place in rng.choice(len(words), n, replace=False):
            words[place] = next(w for w in rng.choice(vocabulary, 9) if w != words[place].lower())
        return " ".join(words) if n else None

    return edit


def _change_case(text: str, rng: Any, vocabulary: list[str]) -> str:
    """Other case; punctuation gone, but for that inside a word or number, which would make another word."""
    bare = re.sub(r"""[.,:;!?"](?!\w)|(?<!\w)[.,:;!?"]""", "", text)
    return bare.upper() if rng.random() < 0.5 else f"{bare.lower()} !!"


def _delete_punctuation(text: str, rng: Any, vocabulary: list[str]) -> str:
    """All of it gone, inside words too: "3.5" becomes another number."""
    return re.sub(r"""[.,:;!?'"]""", "", text)


def _reorder(text: str, rng: Any, vocabulary: list[str]) -> str:
    """Two neighbouring sentences swapped; else two clauses, else the halves."""
    for mark in (r"(?<=[.!?])\s+", r"(?<=,)\s+"):
        parts = re.split(mark, text.strip())
        if len(parts) > 1:
            place = int(rng.integers(len(parts) - 1))
            parts[place], parts[place + 1] = parts[place + 1], parts[place]
            return " ".join(parts)
    words = text.split()
    return " ".join([*words[len(words) // 2 :], *words[: len(words) // 2]])


def _add_sentence(text: str, rng: Any, vocabulary: list[str]) -> str:
    """A sentence of eight words behind."""
    return f"{text} {' '.join(rng.choice(vocabulary, 8)).capitalize()}."


EDITS: dict[str, Edit] = {
    "exact": lambda text, rng, vocabulary: text,
    "case_punctuation": _change_case,
    "punctuation_deleted": _delete_punctuation,
    "one_word": _replace_words(0, least=1),
    "words_5": _replace_words(0.05),
    "words_10": _replace_words(0.10),
    "words_20": _replace_words(0.20),
    "reordered": _reorder,
    "sentence_added": _add_sentence,
}


def report(figures: dict[str, Any]) -> str:
    """The figures in words."""
    kinds = ", ".join(f"{kind} {share:.3f}" for kind, share in figures["edits_recall"].items())
    return (
        f"{kinds}; {figures['edits_false_pairs'][DEFAULT]} false pairs, {figures['number_false_pairs']} among "
        f"{figures['number_n']} that differ in a number ({figures['number_pairs_if_free']} without the rule on literals)"
    )
