"""Protected items: one frame of holdout and benchmarks, or the run stops."""

from __future__ import annotations

import polars as pl
import pytest

from distill_assets.curate.decontaminate import build_item_index, find_overlaps, gather_items
from distill_assets.curation import ContaminationSpec
from distill_assets.errors import ContaminationError
from distill_assets.tables import BENCHMARK_ITEMS, HOLDOUT, build_frame


def holdout(*questions: str) -> pl.DataFrame:
    rows = [{"item_id": f"h{i}", "database": "shop", "question": q, "gold_sql": f"SELECT {i}"} for i, q in enumerate(questions)]
    return build_frame(HOLDOUT, [row | {"gold_checked": 2} for row in rows])


def benchmark(*questions: str, choices: str | None = None) -> pl.DataFrame:
    rows = [{"benchmark": "mmlu", "item_id": f"m{i}", "question": q, "answer": None} for i, q in enumerate(questions)]
    return build_frame(BENCHMARK_ITEMS, [row | {"choices": choices, "version": "v1", "digest": "d"} for row in rows])


def test_holdout_and_benchmarks_stand_in_one_frame():
    items = gather_items(holdout("how many lamps"), benchmark("what is coring", choices='["a"]'))
    assert items.rows() == [
        ("holdout", "h0", "how many lamps", "SELECT 0", None),
        ("mmlu", "m0", "what is coring", None, '["a"]'),
    ]
    assert gather_items(holdout("how many lamps")).height == 1


@pytest.mark.parametrize("question", ["", "?!", " \n", "\u200b\u200b"])
def test_an_item_without_a_word_stops_the_run(question: str):
    with pytest.raises(ContaminationError, match=r"1 of 2 items have no word.*mmlu item m0.*does not skip rows"):
        gather_items(holdout("how many lamps"), benchmark(question))


def test_no_item_stops_the_run():
    with pytest.raises(ContaminationError, match="hold no item"):
        gather_items(holdout())


@pytest.mark.parametrize("choices", ["yes", "{}", "[1]", "[null]"])
def test_choices_that_are_no_list_of_texts_stop_the_run(choices: str):
    with pytest.raises(ContaminationError, match="no JSON list of texts"):
        gather_items(holdout("how many lamps"), benchmark("what is coring", choices=choices))


def test_an_id_that_stands_there_twice_stops_the_run():
    items = gather_items(holdout("how many lamps"))
    with pytest.raises(ContaminationError, match="holdout item h0 stands there twice"):
        build_item_index(pl.concat([items, items]), ContaminationSpec())


def test_the_key_names_items_and_rule_whatever_the_order():
    items = gather_items(holdout("how many lamps", "how many chairs are there"))
    key = build_item_index(items, ContaminationSpec()).key
    assert build_item_index(items.reverse(), ContaminationSpec()).key == key
    others = [ContaminationSpec(rule="gpt3"), ContaminationSpec(ngram=9), ContaminationSpec(min_coverage=0.6)]
    keys = {build_item_index(items, spec).key for spec in [*others, ContaminationSpec(abstract_numbers=False)]}
    keys.add(build_item_index(gather_items(holdout("how many lamps")), ContaminationSpec()).key)
    assert len(keys | {key}) == 6


@pytest.mark.parametrize("rule", ["cover", "gpt3", "llama", "phi4", "tulu3", "open_r1"])
@pytest.mark.parametrize("n_words", [1, 2, 3, 5, 7, 8, 10, 13, 40])
def test_an_item_of_any_length_is_protected_under_any_rule(rule: str, n_words: int):
    question = " ".join(f"w{i}" for i in range(n_words))
    items = gather_items(holdout(question, "another question that is here so that there are two of them"))
    end = "" if rule == "open_r1" else "?!"  # which takes "word?!" for another word
    for text in (question, question.upper() + end, f"  {question}\n"):
        hits = find_overlaps(items, pl.DataFrame({"document_id": ["d"], "text": [text]}), ContaminationSpec(rule=rule))
        assert hits.select("item_id", "action").rows() == [("h0", "drop")]
