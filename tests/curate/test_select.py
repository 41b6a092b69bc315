"""Mark, then select: every row is kept or dropped with one reason, whatever the order of the rows."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.marks import build_marks
from distill_assets.curate.select import select_samples
from distill_assets.curation import ContaminationSpec, CurateSpec
from distill_assets.errors import NothingSurvivedError
from distill_assets.tables import DROP_REASONS, DROPPED_SAMPLES, HOLDOUT, JUDGED_SAMPLES, build_frame, check_frame

WORDS = ("how", "many", "orders", "did", "we", "ship", "in", "2023", "2024", "to", "York", "list", "customers")
STATES = ("accepted", "rejected", "unscored")


def judged(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    """Rows of (sample_id, status, question, sql)."""
    fixed = {"seed_id": "s", "database": "shop", "trace": None, "teacher": "t", "served_model": None}
    return build_frame(
        JUDGED_SAMPLES,
        [
            fixed
            | {"sample_id": id_, "sample_status": status, "question": question, "sql": sql}
            | {"reason": None if status == "accepted" else f"rule: {status}"}
            for id_, status, question, sql in rows
        ],
    )


def holdout(*questions: str) -> pl.DataFrame:
    rows = [{"item_id": f"h{i}", "database": "shop", "question": q, "gold_sql": "SELECT 1"} for i, q in enumerate(questions)]
    return build_frame(HOLDOUT, [row | {"gold_checked": 2} for row in rows])


def curate(samples: pl.DataFrame, items: pl.DataFrame, **spec: object):
    settings_ = CurateSpec(**spec)
    return select_samples(samples, build_marks(samples, items, settings_, None)[0], settings_)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(STATES),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join),
        st.sampled_from(["SELECT 1", "SELECT a FROM b WHERE c = 2023", "SELECT a FROM b WHERE c = 2024"]),
    ),
    min_size=1,
    max_size=14,
).map(lambda rows: [(f"{i:02d}", *row) for i, row in enumerate(rows)])


@settings(deadline=None, max_examples=60)
@given(ROWS, st.randoms(), st.integers(1, 6))
def test_rows_in_are_rows_out_each_with_one_reason_in_any_order(rows, random, limit):
    items = holdout("how many orders did we ship", "list customers")
    shuffled = random.sample(rows, len(rows))
    try:
        first = curate(judged(*rows), items, max_samples=limit)
    except NothingSurvivedError:
        with pytest.raises(NothingSurvivedError):
            curate(judged(*shuffled), items, max_samples=limit)
        return
    second = curate(judged(*shuffled).sample(fraction=1, shuffle=True, seed=1), items, max_samples=limit)
    kept, dropped = set(first.kept["sample_id"]), set(first.dropped["sample_id"])
    assert kept | dropped == {row[0] for row in rows}
    assert not kept & dropped
    assert 1 <= len(kept) <= limit
    check_frame(DROPPED_SAMPLES, first.dropped)
    assert first.dropped["drop_reason"].is_in(list(DROP_REASONS)).all()
    assert first.dropped["evidence"].is_not_null().all()
    assert first.kept.sort("sample_id").equals(second.kept.sort("sample_id"))
    assert first.dropped.equals(second.dropped)


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_what_is_kept_is_accepted_unlike_each_other_and_unlike_the_holdout(rows):
    items = holdout("how many orders did we ship", "list customers")
    try:
        kept = curate(judged(*rows), items).kept
    except NothingSurvivedError:
        return
    assert set(kept["sample_status"]) == {"accepted"}
    questions = kept["question"].to_list()
    assert len({question.lower() for question in questions}) == len(questions)
    assert not {question.lower() for question in questions} & set(items["question"])


def test_the_reason_is_the_first_that_applies():
    rows = judged(
        ("a", "accepted", "how many orders did we ship", "SELECT 1"),
        ("b", "accepted", "how many orders did we ship", "SELECT 1"),
        ("c", "rejected", "how many orders did we ship", "SELECT 1"),
        ("d", "unscored", "how many orders did we ship", "SELECT 1"),
        ("e", "accepted", "list the customers of York by name", "SELECT 2"),
    )
    found = curate(rows, holdout("how many orders did we ship"))
    assert dict(found.dropped.select("sample_id", "drop_reason").iter_rows()) == {
        "a": "contaminated", "b": "contaminated", "c": "rejected", "d": "unscored",
    }  # fmt: skip
    assert found.dropped.filter(pl.col("sample_id") == "a")["evidence"][0] == "h0: how many orders did we ship"
    assert found.kept["sample_id"].to_list() == ["e"]


def test_a_rejected_row_does_not_stand_for_an_accepted_one():
    rows = judged(
        ("a", "rejected", "who ships", "SELECT 1"),
        ("b", "unscored", "who ships", "SELECT 1"),
        ("c", "accepted", "who ships", "SELECT 1"),
    )
    assert curate(rows, holdout("other")).kept["sample_id"].to_list() == ["c"]


def test_nothing_kept_is_an_error_that_counts_the_reasons():
    rows = judged(("a", "rejected", "x y", "S"), ("b", "rejected", "x z", "S"), ("c", "accepted", "how many", "S"))
    with pytest.raises(NothingSurvivedError, match=r"3 judged samples, 0 kept: 2 rejected, 1 contaminated\. .*was not replaced"):
        curate(rows, holdout("How many?"))


def test_the_limit_drops_the_same_rows_when_others_come():
    rows = [(f"{i:03d}", "accepted", f"question number {i} about thing {i}", f"SELECT {i}") for i in range(60)]
    few = curate(judged(*rows[:40]), holdout("x"), max_samples=20)
    many = curate(judged(*rows), holdout("x"), max_samples=20)
    assert few.kept.height == many.kept.height == 20
    assert set(few.dropped["drop_reason"]) == {"over_limit"}
    assert set(many.kept["sample_id"]) & {row[0] for row in rows[:40]} <= set(few.kept["sample_id"])


def test_a_row_never_changes_its_split_when_others_come():
    rows = [(f"{i:03d}", "accepted", f"question number {i} about thing {i}", f"SELECT {i}") for i in range(80)]
    few = dict(curate(judged(*rows[:40]), holdout("x"), heldout_frac=0.3).kept.select("sample_id", "split").iter_rows())
    many = dict(curate(judged(*rows), holdout("x"), heldout_frac=0.3).kept.select("sample_id", "split").iter_rows())
    assert set(few.values()) == {"train", "heldout"}
    assert {id_: many[id_] for id_ in few} == few


def test_contamination_is_reused_while_rule_and_holdout_are_the_same():
    rows = judged(("a", "accepted", "how many orders", "S"), ("b", "accepted", "who ships to York", "S"))
    spec, items = CurateSpec(), holdout("how many orders")
    first, n_first = build_marks(rows, items, spec, None)
    again, n_again = build_marks(rows, items, spec, first)
    assert (n_first, n_again) == (0, 2)
    assert again.equals(first)
    mended, n_mended = build_marks(rows, holdout("who ships to York"), spec, first)
    assert n_mended == 0
    assert mended["contaminated_by"].to_list() == [None, "h0"]
    assert build_marks(rows, items, CurateSpec(contamination=ContaminationSpec(ngram=3)), first)[1] == 0


def test_the_hardest_stay_as_long_as_their_question_helps():
    difficulties = {"a": 0.9, "b": 0.2, "c": 1.4, "d": 0.6, "e": None, "f": 1.1}
    questions = dict(
        zip(
            difficulties,
            ("how many orders", "list customers", "what in 2023", "ship to York", "did we in 2024", "orders"),
            strict=True,
        )
    )
    samples = judged(*((id_, "accepted", questions[id_], f"SELECT {id_}") for id_ in difficulties))
    known = samples.with_columns(
        pl.Series("instruction_difficulty", [difficulties[i] for i in samples["sample_id"]], dtype=pl.Float64)
    )
    kept = [
        set(curate(known, holdout("something else entirely"), max_samples=n, prefer="difficult").kept["sample_id"])
        for n in (1, 2, 3, 4, 5)
    ]
    assert kept == [{"a"}, {"a", "d"}, {"a", "d", "b"}, {"a", "d", "b", "f"}, {"a", "d", "b", "f", "c"}]
