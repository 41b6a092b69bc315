"""Duplicates of samples: kinds, who stands for whom, fields, engines; and that no order, batch or engine changes a mark."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.duplicates import list_documents, mark_duplicates
from distill_assets.curation import DuplicatesSpec
from distill_assets.identity import make_id
from tests.curate.deduplicate.test_pairs import make_texts

SCHEMA = {
    "sample_id": pl.String, "database": pl.String, "question": pl.String, "sql": pl.String,
    "critic_score": pl.Float64, "quality_score": pl.Float64, "is_real": pl.Boolean,
}  # fmt: skip


def frame(*rows: tuple[str, str], database: str = "shop", **columns: list) -> pl.DataFrame:
    """Samples of (question, sql); ids are hashes of their place."""
    samples = [
        {"sample_id": make_id("s", i), "database": database, "question": q, "sql": sql, "is_real": False}
        for i, (q, sql) in enumerate(rows)
    ]
    made = pl.DataFrame(samples, schema=SCHEMA)
    return made.with_columns(**{name: pl.Series(values, dtype=SCHEMA[name]) for name, values in columns.items()})


def kinds(*rows: tuple[str, str], **spec: object) -> list[str]:
    return mark_duplicates(frame(*rows), DuplicatesSpec(**spec)).frame["duplicate_kind"].to_list()


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        ("how many  orders ", "exact"),
        ("How many orders?", "normalized"),
        ("how, MANY: orders!", "normalized"),
        ("h\u200bow mаny orders", "normalized"),
    ],
)
def test_same_words_are_duplicates_whatever_the_queries(other, kind):
    assert kinds(("how many orders", "SELECT 1"), (other, "SELECT 2")) == [kind]


LONG = "how many orders did we ship to York in the year {}"


@pytest.mark.parametrize(
    ("one", "two", "found"),
    [
        (("how many orders did we ship to York", "S"), ("how many orders did we ship to York now", "S"), ["near"]),
        ((LONG.format(2023), "WHERE y = 2023"), (LONG.format(2024), "WHERE y = 2024"), []),
        ((LONG.format("2023"), "WHERE y = 2023"), (LONG.format("2023 please"), "WHERE 2023 = y"), ["near"]),
        (("list the orders that went to York", "c = 'York'"), ("list the orders that went to Bath", "c = 'Bath'"), []),
        (("how many orders", "S"), ("list all customers by name", "S"), []),
    ],
)
def test_near_duplicates_are_alike_in_words_and_equal_in_literals(one, two, found):
    assert kinds(one, two) == found


def test_free_literals_compare_words_only():
    rows = (LONG.format(2023), "WHERE y = 2023"), (LONG.format(2024), "WHERE y = 2024")
    assert kinds(*rows, literals="free") == ["near"]


def test_another_database_is_another_task():
    samples = pl.concat(
        [frame(("how many", "S")), frame(("how many", "S"), database="clinic").with_columns(sample_id=pl.lit("f" * 32))]
    )
    assert mark_duplicates(samples, DuplicatesSpec()).frame.is_empty()


def test_fields_are_compared_each_by_itself():
    rows = ("how many orders", "SELECT count(*) FROM orders"), ("number of orders", "select COUNT(*)  from orders")
    assert kinds(*rows) == []
    marks = mark_duplicates(frame(*rows), DuplicatesSpec(fields=("question", "answer", "both"))).frame
    assert marks.select("field", "duplicate_kind").rows() == [("answer", "normalized")]


def test_people_then_score_then_id_stand_for_the_others():
    rows = [("how many orders", f"SELECT {i}") for i in range(4)]
    by_id = sorted(frame(*rows)["sample_id"])
    assert set(mark_duplicates(frame(*rows), DuplicatesSpec()).frame["duplicate_of"]) == {by_id[0]}
    scored = frame(*rows, critic_score=[0.2, None, 0.9, 0.4])
    assert set(mark_duplicates(scored, DuplicatesSpec()).frame["duplicate_of"]) == {scored["sample_id"][2]}
    real = scored.with_columns(is_real=pl.Series([False, True, False, False]))
    assert set(mark_duplicates(real, DuplicatesSpec()).frame["duplicate_of"]) == {scored["sample_id"][1]}


def test_a_mark_names_a_sample_that_stays_so_there_are_no_chains():
    chain = ["a b c d e f g h", "A b c d e f g h", "a b c d e f g i", "a b c d e f j i", "a b c d e k j i", "a b c d l k j i"]
    marks = mark_duplicates(frame(*[(q, "S") for q in chain]), DuplicatesSpec(jaccard=0.5)).frame
    assert marks.height
    assert not set(marks["duplicate_of"]) & set(marks["sample_id"])
    assert marks["similarity"].min() >= 0.5


def make_samples(n: int, seed: int) -> pl.DataFrame:
    rng = random.Random(seed)
    rows = [(text, f"SELECT {rng.randrange(2)}") for text in make_texts(n, 300, seed)]
    scores = [rng.choice([None, round(rng.random(), 2)]) for _ in rows]
    return frame(*rows, critic_score=scores)


@settings(deadline=None, max_examples=25)
@given(st.randoms(use_true_random=False))
def test_marks_are_free_of_row_order(random_):
    samples = make_samples(120, seed=2)
    order = random_.sample(range(samples.height), samples.height)
    spec = DuplicatesSpec(jaccard=0.6, fields=("question", "both"))
    assert mark_duplicates(samples[order], spec).frame.equals(mark_duplicates(samples, spec).frame)


@pytest.mark.parametrize("engine", ["duckdb", "daft"])
def test_every_engine_marks_the_same(engine, tmp_path):
    """The same marks, so the same digest of the table, whichever engine found them."""
    samples = make_samples(900, seed=3)
    compiled = mark_duplicates(samples, DuplicatesSpec(engine="compiled", jaccard=0.6)).frame
    other = mark_duplicates(samples, DuplicatesSpec(engine=engine, jaccard=0.6), tmp_path).frame
    assert compiled.height > 100
    assert make_id(other.rows()) == make_id(compiled.rows())


def test_minhash_makes_up_no_pair_and_misses_few():
    samples = make_samples(900, seed=4)
    exact = mark_duplicates(samples, DuplicatesSpec()).frame
    found = mark_duplicates(samples, DuplicatesSpec(method="minhash")).frame
    assert found["similarity"].min() >= 0.7
    assert exact.height - 3 <= found.height <= exact.height


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_marks_after_any_changes_equal_marks_from_nothing(tmp_path_factory, data):
    """Rows come, go and change their score in any batches; the index on disk is carried from one to the next."""
    samples, folder = make_samples(80, seed=6), tmp_path_factory.mktemp("index")
    spec = DuplicatesSpec(jaccard=0.5, fields=("question", "answer"))
    for _ in range(3):
        rows = samples.filter(pl.Series(data.draw(st.lists(st.booleans(), min_size=samples.height, max_size=samples.height))))
        moved = data.draw(st.integers(0, 100)) / 100
        rows = rows.with_columns(
            pl.when(pl.int_range(pl.len()) % 7 == 0).then(moved).otherwise("critic_score").alias("critic_score")
        )
        assert mark_duplicates(rows, spec, folder).frame.equals(mark_duplicates(rows, spec).frame)


def test_only_new_rows_are_read_again(tmp_path):
    samples = make_samples(300, seed=8)
    assert mark_duplicates(samples[:290], DuplicatesSpec(), tmp_path).n_new > 200
    n_heads = list_documents(samples[290:], "question", DuplicatesSpec())["words"].n_unique()
    assert mark_duplicates(samples, DuplicatesSpec(), tmp_path).n_new <= n_heads
    assert mark_duplicates(samples, DuplicatesSpec(), tmp_path).n_new == 0


@pytest.mark.parametrize(
    "text", ["", "one", "!!!", "\u202e\u200f", "word " * 2_000_000, "a" * 10_000_000, "\x00", "𝔸🙂", "a'b\x1e\x1f\x1d"]
)
def test_no_text_breaks_it(text):
    marks = mark_duplicates(frame((text, "S"), ("another text altogether", "S"), (text, "S")), DuplicatesSpec()).frame
    assert marks["duplicate_kind"].to_list() == ["exact"]


def test_a_hundred_thousand_equal_samples():
    """No pair of them is ever listed: that would be five billion."""
    marks = mark_duplicates(frame(*[("how many orders are there", "S")] * 100_000), DuplicatesSpec()).frame
    assert marks.height == 99_999
    assert marks["duplicate_of"].n_unique() == 1


def test_one_giant_family_is_marked_in_one_pass():
    head = " ".join(f"word{i}" for i in range(20))
    marks = mark_duplicates(frame(*[(f"{head} tail{i}", "S") for i in range(50_000)]), DuplicatesSpec()).frame
    assert marks.height == 49_999
    assert set(marks["duplicate_kind"]) == {"near"}


@pytest.mark.parametrize(
    ("sql", "literals"),
    [
        ("SELECT a1 FROM t2 WHERE b = 'it''s' AND c > 3.5", "'it''s'\x1f3.5"),
        ("SELECT 'a b', 'A'", "'A'\x1f'a b'"),
        ("SELECT x FROM t LIMIT 10", "10"),
        ("SELECT x FROM t", ""),
    ],
)
def test_literals_are_strings_and_numbers_but_not_names(sql: str, literals: str):
    grouped = list_documents(frame(("q", sql)), "question", DuplicatesSpec())["grouped"][0]
    assert grouped == f"shop\x1e{literals}"
