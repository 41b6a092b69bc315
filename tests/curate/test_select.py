"""Mark, then select: every row is kept or dropped with one reason, whatever the order of the rows."""

from __future__ import annotations

from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.curate.select import Selection, select_samples
from distill_assets.curation import CurateSpec
from distill_assets.errors import NothingSurvivedError, SelectionError
from distill_assets.tables import DROP_REASONS, JUDGED_SAMPLES, build_frame

S = pl.String
EXTRA = {"strategy": S, "is_real": pl.Boolean}
MARKS = {
    "sample_id": S, "duplicate_of": S, "duplicate_kind": S, "contaminated_by": S, "contamination_span": S,
    "contamination_action": S, "template_id": S, "topic": S, "difficulty": S, "n_tokens": pl.Int64,
}  # fmt: skip
SAMPLE = {
    "seed_id": "s", "database": "shop", "teacher": "t", "strategy": "plain", "is_real": False, "sample_status": "accepted",
    "question": "q", "sql": "SELECT 1", "critic_score": None, "quality_score": None, "instruction_difficulty": None,
}  # fmt: skip
MARK = {"difficulty": "easy", "topic": "shop: t", "n_tokens": 10}


def world(*rows: dict[str, object]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Samples and marks, each row with its sample_id; columns of either, the others as usual."""
    full = [SAMPLE | {"reason": None} | MARK | dict.fromkeys(set(MARKS) - set(MARK)) | row for row in rows]
    for row in full:
        row["reason"] = None if row["sample_status"] == "accepted" else f"rule: {row['sample_status']}"
    judged = build_frame(JUDGED_SAMPLES, [{name: row.get(name) for name in JUDGED_SAMPLES.fields} for row in full])
    more = {name: dtype for name, dtype in EXTRA.items() if name not in JUDGED_SAMPLES.fields}
    extra = pl.DataFrame([{name: row[name] for name in ("sample_id", *more)} for row in full], schema={"sample_id": S, **more})
    accepted = [{name: row[name] for name in MARKS} for row in full if row["sample_status"] == "accepted"]
    return judged.join(extra, on="sample_id", how="left"), pl.DataFrame(accepted, schema=MARKS)


def select(*rows: dict[str, object], **spec: object) -> Selection:
    return select_samples(*world(*rows), CurateSpec(**spec))


def many(n: int, **columns: object) -> list[dict[str, object]]:
    return [{"sample_id": f"{i:03d}"} | columns for i in range(n)]


def reasons_of(selection: Selection) -> dict[str, str]:
    return dict(selection.dropped.select("sample_id", "drop_reason").iter_rows())


def ids_of(selection: Selection) -> set[str]:
    return set(selection.kept["sample_id"])


FRACS = st.sampled_from([0.0, 0.2, 0.3333, 0.5])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "seed_id": st.sampled_from(["s1", "s2", "s3"]),
            "sample_status": st.sampled_from(["accepted"] * 6 + ["rejected", "unscored"]),
            "teacher": st.sampled_from(["t", "u"]),
            "is_real": st.sampled_from([False, False, True]),
            "critic_score": st.sampled_from([None, 0.2, 0.9]),
            "instruction_difficulty": st.sampled_from([None, 0.5, 1.5]),
            "difficulty": st.sampled_from(["easy", "hard"]),
            "n_tokens": st.integers(1, 40),
            "template_id": st.sampled_from([None, "a", "b"]),
            "duplicate_kind": st.sampled_from([None] * 8 + ["exact", "normalized", "near", "semantic"]),
            "contaminated_by": st.sampled_from([None] * 8 + ["holdout:h1"]),
            "contamination_action": st.sampled_from(["drop", "review", None]),
        }
    ),
    min_size=1,
    max_size=16,
).map(lambda rows: [{"sample_id": f"{i:02d}", "duplicate_of": row["duplicate_kind"] and "99"} | row for i, row in enumerate(rows)])
SPECS = st.fixed_dictionaries(
    {
        "best_of": st.sampled_from([None, 1, 3]),
        "max_samples": st.integers(1, 20),
        "max_tokens": st.sampled_from([None, 30, 150]),
        "prefer": st.sampled_from(["any", "best", "difficult"]),
        "order": st.sampled_from(["any", "easy_first", "hard_first"]),
        "mix": st.tuples(FRACS, FRACS, FRACS, st.sampled_from([None, 1, 4])).map(
            lambda drawn: {
                "quotas": [
                    {"by": "teacher", "value": "t", "max_frac": 1 - drawn[0]},
                    {"by": "difficulty", "value": "hard", "min_frac": drawn[1]},
                ],
                "min_real_frac": drawn[2],
                "real_samples": ["real.jsonl"],
                "max_per_template": drawn[3],
            }
        ),
    }
)


@settings(deadline=None, max_examples=60)
@given(ROWS, SPECS, st.randoms())
def test_rows_in_are_rows_out_each_with_one_reason_in_any_order_and_all_bounds_hold(rows, spec, random):
    samples, marks = world(*rows)
    shuffled = [frame.sample(fraction=1, shuffle=True, seed=random.randrange(99)) for frame in (samples, marks)]
    try:
        first = select_samples(samples, marks, CurateSpec(**spec))
    except (NothingSurvivedError, SelectionError) as error:
        with pytest.raises(type(error)) as again:
            select_samples(*shuffled, CurateSpec(**spec))
        assert str(again.value) == str(error)
        return
    second = select_samples(*shuffled, CurateSpec(**spec))
    assert first.kept.equals(second.kept)
    assert first.dropped.equals(second.dropped)
    assert sorted([*first.kept["sample_id"], *first.dropped["sample_id"]]) == [row["sample_id"] for row in rows]
    assert first.dropped["drop_reason"].is_in(list(DROP_REASONS)).all()
    assert first.dropped["evidence"].is_not_null().all()
    assert sorted(first.kept["position"]) == list(range(first.kept.height))
    check_bounds(first.kept.drop("topic", "difficulty").join(marks, on="sample_id"), spec)


def check_bounds(kept: pl.DataFrame, spec: dict) -> None:
    n, mix = kept.height, spec["mix"]
    assert 1 <= n <= spec["max_samples"]
    assert spec["max_tokens"] is None or kept["n_tokens"].sum() <= spec["max_tokens"]
    assert (kept["teacher"] == "t").sum() <= Fraction(str(mix["quotas"][0]["max_frac"])) * n
    assert (kept["difficulty"] == "hard").sum() >= Fraction(str(mix["quotas"][1]["min_frac"])) * n
    assert kept["is_real"].sum() >= Fraction(str(mix["min_real_frac"])) * n
    assert kept["duplicate_kind"].null_count() == n
    assert kept.filter(pl.col("contaminated_by").is_not_null() & (pl.col("contamination_action") != "review")).is_empty()
    assert set(kept["sample_status"]) == {"accepted"}
    if mix["max_per_template"]:
        assert (kept.drop_nulls("template_id")["template_id"].value_counts()["count"] <= mix["max_per_template"]).all()
    if spec["best_of"]:
        groups = kept.filter(~pl.col("is_real")).group_by("seed_id", "strategy").len()
        assert (groups["len"] <= spec["best_of"]).all()


def test_the_reason_is_the_first_that_applies():
    leak = {"contaminated_by": "holdout:h0", "contamination_span": "how many orders", "contamination_action": "drop"}
    rows = [
        {"sample_id": "a", "sample_status": "unscored"},
        {"sample_id": "b", "sample_status": "rejected"},
        {"sample_id": "c", "duplicate_of": "z", "duplicate_kind": "exact"} | leak,
        {"sample_id": "d", "duplicate_of": "z", "duplicate_kind": "normalized", "critic_score": 1.0},
        {"sample_id": "e", "duplicate_of": "z", "duplicate_kind": "near"},
        {"sample_id": "f", "duplicate_of": "z", "duplicate_kind": "semantic"},
        {"sample_id": "g", "critic_score": 0.1, "template_id": "x"},
        {"sample_id": "h", "critic_score": 0.9, "template_id": "x"},
        {"sample_id": "i", "critic_score": 0.8, "template_id": "x", "seed_id": "s2"},
        {"sample_id": "k", "contaminated_by": "holdout:h1", "contamination_action": "review", "seed_id": "s3"},
    ]
    found = select(*rows, best_of=1, mix={"max_per_template": 1})
    assert reasons_of(found) == {
        "a": "unscored", "b": "rejected", "c": "contaminated", "d": "normalized_duplicate", "e": "near_duplicate",
        "f": "semantic_duplicate", "g": "over_best_of", "i": "over_template",
    }  # fmt: skip
    assert ids_of(found) == {"h", "k"}
    evidence = dict(found.dropped.select("sample_id", "evidence").iter_rows())
    assert evidence["a"] == "rule: unscored"
    assert evidence["c"] == "holdout:h0: how many orders"
    assert evidence["d"] == "z"


def test_a_finding_without_an_action_is_dropped():
    found = select({"sample_id": "a", "contaminated_by": "holdout:h0"}, {"sample_id": "b"})
    assert reasons_of(found) == {"a": "contaminated"}


def test_nothing_kept_is_an_error_that_counts_the_reasons():
    rows = [{"sample_id": id_, "sample_status": "rejected"} for id_ in "ab"]
    with pytest.raises(NothingSurvivedError, match=r"3 judged samples, 0 kept: 2 rejected, 1 contaminated\. .*was not replaced"):
        select(*rows, {"sample_id": "c", "contaminated_by": "holdout:h0"})


def test_marks_of_a_sample_that_is_not_there_change_nothing():
    samples, marks = world(*many(3))
    assert select_samples(samples.head(2), marks, CurateSpec()).kept.height == 2


def test_the_limit_drops_the_same_rows_when_others_come():
    few, many_rows = select(*many(40), max_samples=20), select(*many(60), max_samples=20)
    assert few.kept.height == many_rows.kept.height == 20
    assert set(few.dropped["drop_reason"]) == {"over_limit"}
    assert ids_of(many_rows) & {row["sample_id"] for row in many(40)} <= ids_of(few)


def test_another_seed_of_a_sample_leaves_the_others_where_they_were():
    """One sample gone: at most one takes its place, and the order of training of the others stays."""
    before = select(*many(200), max_samples=100)
    gone = before.kept["sample_id"][0]
    after = select(*(row for row in many(200) if row["sample_id"] != gone), max_samples=100)
    assert len(ids_of(after) - ids_of(before)) == 1
    both = ids_of(before) & ids_of(after)
    orders = [[i for i in found.kept.sort("position")["sample_id"] if i in both] for found in (before, after)]
    assert orders[0] == orders[1]


def test_a_row_never_changes_its_split_when_others_come():
    few = dict(select(*many(40), heldout_frac=0.3).kept.select("sample_id", "split").iter_rows())
    later = dict(select(*many(80), heldout_frac=0.3).kept.select("sample_id", "split").iter_rows())
    assert set(few.values()) == {"train", "heldout"}
    assert {id_: later[id_] for id_ in few} == few


def test_what_people_wrote_is_always_trained_on():
    assert set(select(*many(40, is_real=True), heldout_frac=0.9).kept["split"]) == {"train"}


def test_the_hardest_stay_as_long_as_their_question_helps():
    difficulties = {"a": 0.9, "b": 0.2, "c": 1.4, "d": 0.6, "e": None, "f": 1.1}
    rows = [{"sample_id": id_, "instruction_difficulty": value} for id_, value in difficulties.items()]
    kept = [ids_of(select(*rows, max_samples=n, prefer="difficult")) for n in (1, 2, 3, 4, 5)]
    assert kept == [{"a"}, {"a", "d"}, {"a", "d", "b"}, {"a", "d", "b", "f"}, {"a", "d", "b", "f", "c"}]


def test_the_best_stay_and_those_without_a_score_leave_first():
    scores = {"a": (0.9, 0.1), "b": (0.9, 0.8), "c": (0.2, 1.0), "d": (None, 1.0), "e": (None, None)}
    rows = [{"sample_id": id_, "critic_score": critic, "quality_score": quality} for id_, (critic, quality) in scores.items()]
    kept = [ids_of(select(*rows, max_samples=n, prefer="best")) for n in (1, 2, 3, 4)]
    assert kept == [{"b"}, {"b", "a"}, {"b", "a", "c"}, {"b", "a", "c", "d"}]
    assert ids_of(select(*rows, best_of=2)) == {"a", "b"}


def test_best_of_counts_each_strategy_by_itself_and_leaves_what_people_wrote():
    rows = [*many(3, strategy="a"), {"sample_id": "x", "strategy": "b"}, {"sample_id": "r", "is_real": True, "strategy": "a"}]
    found = select(*rows, best_of=1)
    assert found.kept.height == 3
    assert {"x", "r"} <= ids_of(found)
    assert set(found.dropped["drop_reason"]) == {"over_best_of"}


def test_what_people_wrote_comes_first_in_its_template():
    rows = [*many(3, template_id="x", critic_score=1.0), {"sample_id": "r", "is_real": True, "template_id": "x"}]
    assert ids_of(select(*rows, mix={"max_per_template": 1})) == {"r"}


def test_quotas_keep_as_many_rows_as_they_allow():
    rows = [*many(80, teacher="t"), *({"sample_id": f"u{i:02d}", "teacher": "u"} for i in range(20))]
    found = select(*rows, mix={"quotas": [{"by": "teacher", "value": "t", "max_frac": 0.5}]})
    assert found.kept["teacher"].value_counts().sort("teacher").rows() == [("t", 20), ("u", 20)]
    assert found.dropped["evidence"].unique().to_list() == ["40 samples: teacher t at most 0.5"]


def test_a_least_share_that_is_short_makes_the_whole_smaller():
    rows = [*many(90), *({"sample_id": f"h{i}", "difficulty": "hard"} for i in range(5))]
    found = select(*rows, mix={"quotas": [{"by": "difficulty", "value": "hard", "min_frac": 0.25}]})
    assert found.kept.height == 20
    assert {f"h{i}" for i in range(5)} <= ids_of(found)
    assert found.dropped["evidence"].unique().to_list() == ["20 samples: difficulty hard at least 0.25"]


def test_a_least_share_without_any_row_is_an_error_with_the_numbers():
    with pytest.raises(SelectionError, match=r"difficulty extra: 0\.1 to 1, 0 of 9 rows.*was not replaced"):
        select(*many(9), mix={"quotas": [{"by": "difficulty", "value": "extra", "min_frac": 0.1}]})
    with pytest.raises(SelectionError, match=r"written by people: 0\.5 to 1, 0 of 9 rows"):
        select(*many(9), mix={"min_real_frac": 0.5, "real_samples": ["real.jsonl"]})


def test_a_quota_of_an_unknown_value_names_the_known_ones():
    with pytest.raises(SelectionError, match=r"no sample has teacher 'gpt'; there are: t, u\."):
        select(*many(3), {"sample_id": "x", "teacher": "u"}, mix={"quotas": [{"by": "teacher", "value": "gpt"}]})


def test_tokens_cut_by_preference_and_drop_what_is_longer_than_all():
    rows = [{"sample_id": f"{i}", "critic_score": 1 - i / 10, "n_tokens": n} for i, n in enumerate([40, 50, 30, 5, 101])]
    found = select(*rows, max_tokens=100, prefer="best")
    assert ids_of(found) == {"0", "1"}
    assert set(reasons_of(found).values()) == {"over_tokens"}
    evidence = dict(found.dropped.select("sample_id", "evidence").iter_rows())
    assert evidence["4"] == "longer by itself than max_tokens, 100"
    assert evidence["3"] == "more than 100 tokens"


def test_a_budget_of_tokens_needs_counted_tokens():
    with pytest.raises(SelectionError, match="tokens of 2 of 3 samples are not counted"):
        select(*many(2, n_tokens=None), {"sample_id": "x"}, max_tokens=100)


def test_the_reasons_of_shares_tokens_and_limit():
    rows = [{"sample_id": f"{i:02d}", "teacher": "t" if i < 30 else "u", "n_tokens": 10} for i in range(40)]
    mix = {"quotas": [{"by": "teacher", "value": "t", "max_frac": 0.5}]}
    found = select(*rows, mix=mix, max_tokens=160, max_samples=10)
    assert found.kept["teacher"].value_counts().sort("teacher").rows() == [("t", 5), ("u", 5)]
    assert found.dropped["drop_reason"].value_counts().sort("drop_reason").rows() == [
        ("over_limit", 6), ("over_quota", 20), ("over_tokens", 4),
    ]  # fmt: skip


def test_the_order_of_training():
    levels = ["hard", "easy", "unparsed", "extra", "medium", "easy", None]
    rows = [{"sample_id": f"{i}", "difficulty": level} for i, level in enumerate(levels)]
    by_order = {}
    for order in ("any", "easy_first", "hard_first"):
        kept = select(*rows, order=order).kept.sort("position")
        by_order[order] = [levels[int(id_)] for id_ in kept["sample_id"]]
    assert by_order["easy_first"] == ["easy", "easy", "medium", "hard", "extra", "unparsed", None]
    assert by_order["hard_first"] == ["extra", "hard", "medium", "easy", "easy", "unparsed", None]
    assert by_order["any"] not in (by_order["easy_first"], by_order["hard_first"])


def test_another_seed_changes_chance_and_nothing_else():
    rows = [{"sample_id": f"{i:02d}", "critic_score": i / 100} for i in range(60)]
    assert ids_of(select(*rows, max_samples=30)) != ids_of(select(*rows, max_samples=30, seed=18))
    assert ids_of(select(*rows, max_samples=30, prefer="best")) == ids_of(select(*rows, max_samples=30, prefer="best", seed=18))
