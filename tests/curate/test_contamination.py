"""Samples held against items: by words, then by meaning, all in one table; what could not be read or judged is kept out."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from distill_assets.curate.arbiter import VERDICT_SCHEMA
from distill_assets.curate.contamination import CUT_RULE, Hits, find_hits, summarise_hits
from distill_assets.curate.paraphrases import Texts
from distill_assets.curate.vectors.frames import VECTOR_SCHEMA, build_vectors
from distill_assets.curate.vectors.reading import Window
from distill_assets.curate.vectors.store import Vectors, name_texts
from distill_assets.curation import ContaminationSpec
from distill_assets.tables import CONTAMINATION_HITS, build_frame, check_frame

FERRY = "how many people took the late ferry across the river on the last Sunday of May"
BREAD = "which of the bakers sold most bread of all in the winter that followed the flood"
ROWS = {
    "copy": (f"Please tell me: {FERRY}", "SELECT 1"),
    "close": ("on the last Sunday of May, people across the river took how many late", "SELECT 2"),
    "near": ("people on the ferry across the river", "SELECT 3"),
    "clean": ("list all products that cost nothing", "SELECT 4"),
}
SPEC = ContaminationSpec(cosine=0.85, review_cosine=0.5, n_neighbours=2)


def samples(rows: dict[str, tuple[str, str]]) -> pl.DataFrame:
    schema = dict.fromkeys(("sample_id", "question", "sql"), pl.String)
    return pl.DataFrame([(id_, *texts) for id_, texts in rows.items()], schema=schema, orient="row")


def items(*questions: str) -> pl.DataFrame:
    schema = dict.fromkeys(("benchmark", "item_id", "question", "answer", "choices"), pl.String)
    return pl.DataFrame([("quiz", f"i{n}", text, None, None) for n, text in enumerate(questions)], schema=schema, orient="row")


ITEMS = items(FERRY, BREAD)
WORDS = sorted({word for text in (FERRY, BREAD, *(row[0] for row in ROWS.values())) for word in text.lower().split()})


class Reader:
    """An encoder by counting words: a cosine that can be reckoned by hand. It remembers what it was given."""

    def __init__(self, longest: int = 1_000) -> None:
        self.longest, self.read = longest, []

    def __call__(self, texts: pl.Series) -> Vectors:
        self.read.append(set(texts))
        distinct = texts.unique().sort()
        rows = [[text.lower().split().count(word) for word in WORDS] for text in distinct]
        vectors = np.array(rows, np.int8).reshape(len(rows), len(WORDS))
        windows = [Window(n, 0, [], 0, len(text)) for n, text in enumerate(distinct)]
        cut = distinct.filter(distinct.str.len_chars() > self.longest)
        return Vectors(build_vectors(name_texts(distinct).to_list(), windows, vectors), len(rows), frozenset(name_texts(cut)))


def rules(hits: Hits) -> dict[str, set[tuple[str, str]]]:
    check_frame(CONTAMINATION_HITS, hits.frame)
    return {id_: set(group.select("rule", "action").iter_rows()) for (id_,), group in hits.frame.group_by("sample_id")}


def judge_as(verdict: str | None) -> Callable[[pl.DataFrame, Texts], pl.DataFrame]:
    """An arbiter of one mind; with None it says nothing at all."""

    def judge(judged: pl.DataFrame, texts: Texts) -> pl.DataFrame:
        asked = judged.filter(pl.col("rule").is_null())
        assert set(asked["document_id"]) <= set(texts.documents)
        said = [(*row, verdict, "because") for row in asked.select("document_id", "benchmark", "item_id").iter_rows()]
        return pl.DataFrame(said if verdict else [], schema=VERDICT_SCHEMA, orient="row")

    return judge


def test_without_a_model_words_alone_are_compared():
    hits = find_hits(samples(ROWS), ITEMS, SPEC)
    assert set(rules(hits)) == {"copy"}
    [row] = hits.frame.rows(named=True)
    assert (row["benchmark"], row["item_id"], row["action"], row["coverage_frac"]) == ("quiz", "i0", "drop", 1.0)
    assert row["span"] in FERRY.lower() and hits.near.is_empty()


def test_what_words_settle_is_not_read_and_the_rest_is_judged_by_closeness():
    reader = Reader()
    hits = find_hits(samples(ROWS), ITEMS, SPEC, reader)
    found = rules(hits)
    assert found["close"] == {("embedding", "drop")} and found["near"] == {("embedding", "review")} and "clean" not in found
    assert reader.read == [{FERRY, BREAD, *(text for id_, (text, _) in ROWS.items() if id_ != "copy")}]
    assert set(hits.near["document_id"]) == {"close", "near"} and hits.near["cosine"].is_between(0.5, 1).all()


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("leak", {("arbiter", "drop")}),
        ("clean", None),
        ("unscored", {("arbiter_failed", "drop")}),
        (None, {("arbiter_failed", "drop")}),
    ],
)
def test_the_arbiter_settles_what_lies_in_between_and_its_silence_clears_nobody(verdict: str | None, expected: set | None):
    hits = find_hits(samples(ROWS), ITEMS, SPEC, Reader(), judge_as(verdict))
    assert rules(hits).get("near") == expected
    assert rules(hits)["close"] == {("embedding", "drop")}


def test_a_text_that_was_read_in_part_is_kept_out_though_nothing_near_was_found():
    far = " ".join(["nothing"] * 40)
    hits = find_hits(samples({"long": (far, "SELECT 1"), "short": ("nothing", "SELECT 1")}), ITEMS, SPEC, Reader(longest=100))
    assert rules(hits) == {"long": {(CUT_RULE, "drop")}}
    assert hits.frame.select("benchmark", "item_id", "coverage_frac", "span").row(0) == ("any", "any", None, None)


def test_each_field_is_compared_by_itself():
    rows = {"a": ("list all products", FERRY), "b": (FERRY, "SELECT 1")}
    found = find_hits(samples(rows), ITEMS, ContaminationSpec(fields=("question", "answer", "both"))).frame
    assert {(row["sample_id"], row["field"]) for row in found.iter_rows(named=True)} == {
        ("a", "answer"), ("a", "both"), ("b", "question"), ("b", "both"),
    }  # fmt: skip


@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("rows", [{}, {"copy": (FERRY, "")}, {"empty": ("", ""), "signs": ("?!", "…")}])
def test_no_samples_and_no_words_and_nothing_left_to_read(rows: dict, with_model: bool):
    hits = find_hits(samples(rows), ITEMS, SPEC, Reader() if with_model else None, judge_as("leak") if with_model else None)
    assert set(rules(hits)) == ({"copy"} & set(rows))
    assert dict(hits.near.schema) == {"document_id": pl.String, "cosine": pl.Float64}


def test_a_leak_in_the_middle_of_ten_megabytes_is_found():
    rng = random.Random(3)
    noise = " ".join(f"w{rng.randrange(100_000)}" for _ in range(800_000))
    rows = {"big": (f"{noise} {FERRY} {noise}", "SELECT 1"), "same": ("a" * 10_000_000, "SELECT 1")}
    assert len(rows["big"][0]) > 10_000_000
    hits = find_hits(samples(rows), ITEMS, SPEC)
    assert set(rules(hits)) == {"big"} and hits.frame["span"].str.len_chars().max() <= 200


def test_the_order_of_samples_and_items_decides_nothing():
    found = find_hits(samples(ROWS), ITEMS, SPEC, Reader(), judge_as("leak")).frame
    again = find_hits(samples(dict(reversed(ROWS.items()))), ITEMS.reverse(), SPEC, Reader(), judge_as("leak")).frame
    assert found.equals(again)


def hit(
    item: str, action: str = "drop", share: float | None = 0.6, field: str = "question", rule: str = "cover", **other: object
) -> dict:
    row = {"sample_id": "a", "field": field, "benchmark": "quiz", "item_id": item, "rule": rule, "action": action}
    return row | {"coverage_frac": share, "span": f"words of {item}"} | other


@pytest.mark.parametrize(
    ("hits", "first"),
    [
        ([hit("i1", "review", 1.0), hit("i2", "drop", 0.5)], "quiz:i2"),
        ([hit("i1", share=0.5), hit("i2", share=0.9)], "quiz:i2"),
        ([hit("i1", share=None), hit("i2", share=0.1)], "quiz:i2"),
        ([hit("i1", field="answer"), hit("i2", field="question")], "quiz:i2"),
        ([hit("i2"), hit("i1"), hit("i1", benchmark="zoo")], "quiz:i1"),
        ([hit("any", share=None, rule=CUT_RULE, benchmark="any")], "any:any"),
    ],
)
def test_the_strongest_hit_stands_for_a_sample(hits: list[dict], first: str):
    for rows in (hits, hits[::-1]):
        [row] = summarise_hits(pl.DataFrame(rows), ("question", "answer")).rows(named=True)
        assert row["contaminated_by"] == first
        assert row["contamination_span"] == f"words of {first.split(':')[1]}"


def test_no_hits_are_no_rows():
    summary = summarise_hits(build_frame(CONTAMINATION_HITS, []), ("question",))
    assert summary.is_empty() and set(summary.columns) == {
        "sample_id", "contaminated_by", "contamination_rule", "contamination_action", "contamination_span",
    }  # fmt: skip
    assert dict(Reader()(pl.Series("text", ["x"])).frame.schema) == VECTOR_SCHEMA
