"""Items into which no n-gram fits."""

from __future__ import annotations

import pytest

from tests.curate.decontaminate.world import list_hits, make_items

LONG = "and then a lot of other words follow here that say nothing of it at all"
CORING = make_items("What is 'coring'?", choices=["a nice pear", "taking out the middle"])
NETWORKS = make_items("neural networks", choices=["made of layers", "a kind of fish"])


@pytest.mark.parametrize(
    ("items", "text", "expected"),
    [
        (CORING, "what is coring", ("short_whole", "drop")),
        (CORING, "WHAT IS CORING??", ("short_whole", "drop")),
        (CORING, "tell me, what is coring?", ("short_text", "drop")),
        (CORING, f"### Instruction:\nAnswer this.\nWhat is 'coring'?\n### Response: {LONG}", ("short_sentence", "drop")),
        (CORING, f"Question: What is coring? Answer: {LONG}", ("short_sentence", "drop")),
        (
            CORING,
            f"<|im_start|>user\nwhat is coring<|im_end|>\n<|im_start|>assistant\n{LONG}<|im_end|>",
            ("short_sentence", "drop"),
        ),
        (CORING, f"[INST] what is coring [/INST] {LONG}", ("short_sentence", "drop")),
        (CORING, f"User: what is coring Assistant: {LONG}", ("short_sentence", "drop")),
        (CORING, f"what is coring (A) one (B) two {LONG}", ("short_sentence", "drop")),
        (CORING, f"I asked what is coring because {LONG}", None),
        (CORING, f"{LONG} I asked what is coring and they said taking out the middle because {LONG}", ("short_choice", "drop")),
        (CORING, f"{LONG} they said a nice pear when asked what is coring and {LONG}", ("short_choice", "drop")),
        (CORING, f"I asked what is coring and {'lorem ' * 51} a nice pear", None),
        (CORING, "what is coring for", None),
        (NETWORKS, "Neural networks", ("short_whole", "drop")),
        (NETWORKS, f"on neural networks and {LONG}", None),
        (NETWORKS, "on neural networks", None),
        (NETWORKS, f"Answer:\nneural networks\n{LONG}", ("short_head", "drop")),
        (NETWORKS, f"{LONG} {LONG}\nneural networks\n{LONG}", ("short_sentence", "review")),
        (NETWORKS, f"neural networks (a) made of layers (b) {LONG}", ("short_choice", "drop")),
        (make_items("the five words of this"), f"hold on, the five words of this are {LONG}", ("short_inside", "review")),
    ],
)
def test_a_short_item_is_found_where_more_than_common_words_tell(items, text: str, expected: tuple[str, str] | None):
    assert list_hits(items, text) == ([("i0", *expected)] if expected else [])


def test_a_choice_may_stand_in_the_answer_of_the_sample():
    text = f"I asked what is coring because {LONG}"
    assert list_hits(CORING, text, answer="It is taking out the middle.") == [("i0", "short_choice", "drop")]
    assert list_hits(CORING, text, answer="It is something else.") == []


def test_the_answer_of_an_item_counts_as_a_choice():
    items = make_items("total sales", answer="SELECT sum(amount) FROM sales")
    assert list_hits(items, f"total sales per city and {LONG}", answer="SELECT sum(amount) FROM sales") == [
        ("i0", "short_choice", "drop")
    ]
    assert list_hits(items, f"total sales per city and {LONG}", answer="SELECT city FROM sales") == []


def test_a_choice_within_the_item_itself_says_nothing():
    items = make_items("is it red or blue", choices=["red", "blue"])
    assert list_hits(items, f"they ask is it red or blue when {LONG}") == [("i0", "short_inside", "review")]


def test_an_item_of_common_words_alone_is_protected_as_a_short_one():
    frame = "which of the following statements about the world is true"
    items = make_items(frame, *(f"{frame} of {letter} and nothing else" for letter in "abcdefghijkl"))
    assert ("i0", "short_whole", "drop") in list_hits(items, frame)
