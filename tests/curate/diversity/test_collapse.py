"""Collapse: fires on each shape of it, not on varied text, and against the seeds and the build before."""

from __future__ import annotations

import random

import polars as pl
import pytest

from distill_assets.curate.difficulty import rate_samples
from distill_assets.curate.diversity.collapse import find_collapse, find_drops, find_losses
from distill_assets.curate.diversity.report import SCHEMA, measure_corpus
from distill_assets.curate.diversity.trend import collect_trend, draw_trend
from distill_assets.curate.templates import find_templates
from distill_assets.curation import CollapseSpec

SUBJECTS = ("orders", "customers", "products", "visits", "doctors", "patients", "bikes", "stations", "riders", "trips")
VERBS = ("cost", "bring in", "last", "weigh", "miss", "return", "need", "receive", "cover", "earn", "use", "take", "leave")
ENDS = ("by city", "each month", "on average", "without a note", "since the move", "for every brand", "at most", "per head")
OPENINGS = ("how much do", "which", "list the", "what share of", "name all", "count", "are there", "when did", "who saw the", "do")


def make_varied(n: int) -> list[str]:
    """Questions that begin alike now and then and go on with words drawn from 600."""
    draw = random.Random(7)
    words = [first + last for first in "bdfgklmnprst" for last in (a + b + c for a in "aeiou" for b in "lnrst" for c in "ks")]
    rows = []
    for _ in range(n):
        rest = draw.sample(words, draw.randint(3, 9))
        rows.append(" ".join([draw.choice(OPENINGS), draw.choice(SUBJECTS), draw.choice(VERBS), *rest, draw.choice(ENDS)]))
    return rows


def make_corpus(questions: list[str], teacher: str = "t") -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "sample_id": [f"{teacher}{i:05d}" for i in range(len(questions))],
            "question": questions,
            "sql": [f"SELECT a FROM t{i % 5} WHERE b = {i}" for i in range(len(questions))],
            "teacher": [teacher] * len(questions),
            "strategy": ["plain"] * len(questions),
            "database": ["shop"] * len(questions),
        }
    )
    return rows.join(find_templates(rows).drop("skeleton_id"), on="sample_id").join(rate_samples(rows), on="sample_id")


VARIED = make_varied(600)
SEEDS = make_varied(150)
SHAPES = {
    "copies": (VARIED[:60] * 10, {"repeated_frac", "nearest_frac", "compression_ratio", "template_effective_frac"}),
    "opening": ([f"Sure! Here is one for you: {text}" for text in VARIED], {"head_frac", "opening_frac"}),
    "families": ([f"{VARIED[i % 6]} above {i}" for i in range(600)], {"nearest_frac", "template_effective_frac"}),
}


def metrics_of(findings: pl.DataFrame, slice_by: str = "whole") -> set[str]:
    return set(findings.filter(pl.col("slice_by") == slice_by)["metric"])


def test_varied_text_is_no_collapse():
    measures = measure_corpus(make_corpus(VARIED), SEEDS)
    assert find_collapse(measures, CollapseSpec()).is_empty()
    assert find_losses(measures).is_empty()


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_of_collapse_is_found_and_named(shape):
    questions, metrics = SHAPES[shape]
    findings = find_collapse(measure_corpus(make_corpus(questions), SEEDS), CollapseSpec())
    assert metrics <= metrics_of(findings)
    assert metrics <= metrics_of(findings, "teacher")
    assert all(findings["words"].str.len_chars() > 20)


def test_the_words_of_a_finding_name_the_text():
    findings = find_collapse(measure_corpus(make_corpus(SHAPES["opening"][0]), []), CollapseSpec())
    words = findings.filter((pl.col("slice_by") == "whole") & (pl.col("metric") == "opening_frac"))["words"][0]
    assert words == "100% of the questions begin with the same four words ('sure here is one'); at most 0.4"


def test_one_teacher_that_collapsed_is_found_among_others():
    corpus = pl.concat([make_corpus(VARIED * 2), make_corpus(SHAPES["opening"][0][:200], teacher="u")])
    findings = find_collapse(measure_corpus(corpus, []), CollapseSpec(max_repeated_frac=None, max_nearest_frac=None))
    assert findings.filter(pl.col("slice_by") == "teacher")["slice_value"].unique().to_list() == ["u"]
    assert "opening_frac" not in metrics_of(findings)


def test_a_bound_that_is_off_finds_nothing():
    off = CollapseSpec(**dict.fromkeys(CollapseSpec.model_fields))
    assert find_collapse(measure_corpus(make_corpus(SHAPES["copies"][0]), []), off).is_empty()


def test_few_rows_say_nothing():
    measures = measure_corpus(make_corpus(["the same question again"] * 60), [])
    assert measures.height > 0
    assert find_collapse(measures, CollapseSpec()).is_empty()
    assert measure_corpus(make_corpus(["one"] * 5), []).is_empty()


def test_less_variety_than_the_seeds():
    found = find_losses(measure_corpus(make_corpus(SHAPES["opening"][0]), SEEDS))
    assert {"opening_bits", "opening_frac"} <= set(found["metric"])
    assert found.filter(pl.col("metric") == "opening_frac")["words"][0].startswith("opening_frac is 1, and 0.0")


def test_less_variety_than_the_build_before():
    before, now = (measure_corpus(make_corpus(rows), []) for rows in (VARIED, SHAPES["families"][0]))
    assert find_drops(before, before, 0.01).is_empty()
    assert find_drops(before, now, 0.3).is_empty()
    assert "nearest_frac" in set(find_drops(now, before, 0.3)["metric"])


def test_a_larger_build_is_compared_on_as_many_rows():
    """distinct_2 falls with the number of rows alone; on as many rows it does not."""
    small, large = (measure_corpus(make_corpus(VARIED[:n]), []) for n in (150, 600))
    whole = pl.col("slice_by") == "whole"
    falls = [m.filter(whole & (pl.col("metric") == "distinct_2"))["value"][0] for m in (large, small)]
    assert falls[0] < 0.95 * falls[1]
    assert "distinct_2" not in set(find_drops(large, small, 0.05)["metric"])


def test_measures_do_not_depend_on_the_order_of_rows():
    corpus = make_corpus(VARIED[:200] + VARIED[:50])
    shuffled = corpus.sample(fraction=1, shuffle=True, seed=5)
    measures = measure_corpus(corpus, SEEDS)
    assert dict(measures.schema) == SCHEMA
    assert measure_corpus(shuffled, SEEDS[::-1]).equals(measures)


def test_vectors_are_measured_where_they_are_given():
    corpus = make_corpus(VARIED[:100])
    vectors = pl.DataFrame(
        {"sample_id": corpus["sample_id"], "vector": [[float(i % 4 == j) for j in range(4)] for i in range(100)]}
    )
    measures = measure_corpus(corpus, [], vectors)
    found = measures.filter((pl.col("slice_by") == "whole") & (pl.col("metric") == "vendi"))
    assert found["value"][0] == pytest.approx(4)
    assert found["n"][0] == 100
    typed = vectors.with_columns(pl.col("vector").cast(pl.Array(pl.Float32, 4)))
    assert measure_corpus(corpus, [], typed).equals(measures)


def test_the_trend_takes_figures_on_as_many_rows_in_each_build():
    builds = [("a", measure_corpus(make_corpus(VARIED[:150]), [])), ("b", measure_corpus(make_corpus(VARIED), []))]
    trend = collect_trend(builds)
    distinct = trend.filter(pl.col("metric") == "distinct_2")["value"].to_list()
    assert distinct[1] == pytest.approx(distinct[0], rel=0.1)
    assert trend["build"].unique(maintain_order=True).to_list() == ["a", "b"]
    assert draw_trend(trend)["diversity by build"].startswith(b"\x89PNG")
    assert draw_trend(collect_trend(builds[:1])) == {}
    assert draw_trend(collect_trend([])) == {}
