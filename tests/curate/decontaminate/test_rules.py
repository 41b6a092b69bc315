"""Each n-gram rule on cases that tell it from the others; w0, w1 ... stand for words of an item, x for others."""

from __future__ import annotations

import pytest

from distill_assets.curate.decontaminate.rules import percentile_ngram
from tests.curate.decontaminate.world import count_words, list_hits, make_items

ITEM = count_words(0, 40)
X = "alpha beta gamma delta"
PUBLISHED = ("gpt3", "llama", "phi4", "tulu3", "open_r1")


def find_rules(text: str, *questions: str) -> set[str]:
    """The published rules that call `text` a leak of the first question."""
    items = make_items(*(questions or (ITEM,)))
    return {rule for rule in PUBLISHED if ("i0", rule, "drop") in list_hits(items, text, rule=rule, abstract_numbers=False)}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (f"{X} {ITEM} {X}", {"gpt3", "llama", "phi4", "tulu3", "open_r1"}),
        (f"{X} {count_words(0, 8)} {X}", {"open_r1"}),  # GPT-3's N is 13 for an item of 40 words
        (f"{X} {count_words(0, 13)} {X}", {"gpt3", "phi4", "open_r1"}),
        (f"{X} {count_words(0, 12)} {X}", {"open_r1"}),
        (f"{X} {count_words(0, 20)} {X}", {"gpt3", "phi4", "open_r1"}),  # half is not more than half
        (f"{X} {count_words(0, 21)} {X}", {"gpt3", "phi4", "open_r1", "tulu3"}),
        (f"{X} {count_words(0, 32)} {X}", {"gpt3", "phi4", "open_r1", "tulu3"}),  # 80% is not more than 80%
        (f"{X} {count_words(0, 33)} {X}", {"gpt3", "phi4", "open_r1", "tulu3", "llama"}),
        # runs of ten: 8-grams cover all of it, 11- and 13-grams none, and 7-grams 16 of 34
        (f" {X} ".join(count_words(at, at + 10) for at in range(0, 40, 10)), {"tulu3", "open_r1"}),
        # runs of twelve: 7-grams 21 of 34
        (f" {X} ".join([count_words(0, 12), count_words(12, 24), count_words(24, 36)]), {"tulu3", "phi4", "open_r1", "llama"}),
        (f"{X} {count_words(0, 7)} {X} {count_words(8, 15)} {X}", set()),
    ],
)
def test_published_rules_are_told_apart(text: str, rules: set[str]):
    assert find_rules(text) == rules


def test_only_open_r1_keeps_punctuation_and_all_fold_case():
    marked = ", ".join(ITEM.split())
    assert find_rules(marked) == {"gpt3", "llama", "phi4", "tulu3"}
    assert find_rules(ITEM.upper()) == set(PUBLISHED)
    assert find_rules(marked, marked) == set(PUBLISHED)


def test_open_r1_parts_by_any_white_space():
    assert "open_r1" in find_rules("\n".join(ITEM.split()))
    assert "open_r1" in find_rules("\u00a0\t".join(ITEM.split()))


@pytest.mark.parametrize(
    ("lengths", "n"), [([3] * 100, 8), ([40] * 100, 13), ([10] * 100, 10), ([9] * 5 + [30] * 95, 9), ([12], 12)]
)
def test_gpt3_takes_n_from_the_benchmark(lengths: list[int], n: int):
    assert percentile_ngram(lengths) == n


def test_gpt3_takes_n_from_each_benchmark_by_itself():
    import polars as pl

    short = make_items(*[count_words(at, at + 9) for at in range(100, 200, 10)]).with_columns(benchmark=pl.lit("short"))
    items = pl.concat([make_items(ITEM), short])
    assert list_hits(items, f"{X} {count_words(0, 9)} {X}", rule="gpt3", abstract_numbers=False) == []
    assert list_hits(items, f"{X} {count_words(100, 109)} {X}", rule="gpt3", abstract_numbers=False) == [("i0", "gpt3", "drop")]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        (f"{X} {count_words(0, 21)} {X}", "drop"),
        (f"{X} {count_words(0, 20)} {X}", "review"),  # half is not more than half
        (f"{X} {count_words(3, 11)} {X}", "review"),  # one 8-gram
        (f"{X} {count_words(3, 10)} {X}", None),  # seven words in a row
        (" alpha ".join(count_words(at, at + 6) for at in range(0, 36, 6)), "drop"),  # a word put in now and then
        (" alpha ".join(count_words(at, at + 5) for at in range(0, 40, 5)), None),
        (f" {'lorem ipsum ' * 200} ".join(count_words(at, at + 10) for at in range(0, 40, 10)), "review"),  # far apart
    ],
)
def test_cover_counts_the_words_in_shared_runs(text: str, action: str | None):
    assert list_hits(make_items(ITEM), text) == ([("i0", "cover", action)] if action else [])


@pytest.mark.parametrize(
    ("least", "n_words", "action"), [(0.5, 21, "drop"), (0.9, 21, "review"), (0.9, 37, "drop"), (1, 39, "review"), (1, 40, "drop")]
)
def test_min_coverage_says_how_much_is_a_leak(least: float, n_words: int, action: str):
    assert list_hits(make_items(ITEM), f"{X} {count_words(0, n_words)}", min_coverage=least) == [("i0", "cover", action)]


@pytest.mark.parametrize(("ngram", "expected"), [(8, "review"), (11, None), (4, "review")])
def test_ngram_says_which_run_is_shown(ngram: int, expected: str | None):
    hits = list_hits(make_items(ITEM), f"{X} {count_words(0, 9)} {X}", ngram=ngram)
    assert hits == ([("i0", "cover", expected)] if expected else [])


def test_an_item_barely_longer_than_an_ngram_needs_most_of_its_ngrams():
    item = "which of these is not a type of primate"
    assert list_hits(make_items(item), "which of these is not a type of research that is done for evaluation") == [
        ("i0", "cover", "review")
    ]
    assert list_hits(make_items(item), f"{X} {item}") == [("i0", "cover", "drop")]


def test_words_that_many_items_share_tell_of_none():
    frame = count_words(100, 112)
    items = make_items(*(f"{frame} {count_words(at, at + 9)}" for at in range(0, 100, 9)))
    assert list_hits(items, f"{frame} {X}") == []
    assert list_hits(items, f"{frame} {count_words(9, 18)}") == [("i1", "cover", "drop")]
    assert list_hits(items.head(3), f"{frame} {X}") != []


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("the tank's pump moves water from Wanda's pond at 1.5 feet", "THE TANKS PUMP MOVES WATER FROM WANDAS POND AT 15 FEET"),
        ("the tank’s pump moves water from Wanda’s pond at two feet", "the tanks pump moves water from wandas pond at two feet"),
        ("what is the owner's share of it", "what is the owners share of it"),  # short
        ("is it x.y, or (x)", "IS IT XY OR (X)"),
    ],
)
def test_a_copy_whose_punctuation_was_deleted_is_found(item: str, text: str):
    assert [hit[2] for hit in list_hits(make_items(item), text, abstract_numbers=False)] == ["drop"]


ALTERED = (
    "A train leaves with 12 red cars and 30 blue cars, drives 4 hours, and loses 3 cars at each of 2 stops. How many are left?"
)
CHANGED = "A train leaves with 7 red cars and 1,250 blue cars, drives nine hours, and loses 2.5 cars at each of 40 stops. How many are left?"


def test_changed_numbers_are_found_and_said_so():
    items = make_items(ALTERED)
    assert ("i0", "numbers_changed", "drop") in list_hits(items, CHANGED)
    assert all(rule != "numbers_changed" for _, rule, _ in list_hits(items, CHANGED, abstract_numbers=False))
    assert list_hits(items, ALTERED) == [("i0", "cover", "drop")]  # the strongest finding alone is named
    assert ("i0", "numbers_changed", "drop") in list_hits(items, CHANGED, rule="gpt3")


def test_items_without_numbers_are_compared_by_their_words_alone():
    text = ITEM.replace("wac", "7")
    assert {hit[1] for hit in list_hits(make_items(ITEM), text)} == {"cover"}
