"""Texts, choices and JSON values held against gold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.errors import RecipeError
from distill_assets.verifiers.registry import STATUSES, get_verifier

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ["numeric", "json", "exact", "normalized_text", "choice"])
@given(answer=st.text(), gold=st.one_of(st.none(), st.text()))
def test_no_text_breaks_a_verifier_and_evidence_is_json(name: str, answer: str, gold: str | None):
    verdict = get_verifier(name)().verify(answer, gold)
    assert verdict.status in STATUSES and verdict.reason and (verdict.score is None) == (verdict.status == "unscored")
    json.dumps(verdict.evidence)


@pytest.mark.parametrize(
    ("name", "answer", "gold", "status"),
    [
        ("exact", " Paris\n", "Paris", "passed"), ("exact", "paris", "Paris", "failed"), ("exact", "", "Paris", "failed"),
        ("exact", "Paris", " ", "unscored"), ("exact", "Paris", None, "unscored"),
        ("normalized_text", "The  “Eiffel-Tower”!", "eiffeltower", "passed"), ("normalized_text", "Ａ ｃａｔ", "cat", "passed"),
        ("normalized_text", "STRASSE", "straße", "passed"), ("normalized_text", "The", "cat", "failed"),
        ("normalized_text", "cat", "the", "unscored"), ("normalized_text", "cats", "cat", "failed"),
    ],
)  # fmt: skip
def test_texts(name: str, answer: str, gold: str | None, status: str):
    assert get_verifier(name)().verify(answer, gold).status == status


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("The answer is (B)", "B"), ("B.", "B"), (r"\boxed{B}", "B"), (r"so \boxed{\text{C}}", "C"), ("**Answer:** (d)", "D"), ("b", "B"),
        ("Answer: b", "B"), ("C) because it is red", "C"), ("(C) Paris", "C"), ("The answer is (A). Wait. The answer is (C).", "C"),
        ("The answer is not A. The answer is D", "D"), ("Let me see.\nA) x\nB) y\nThe correct option is B.", "B"), ("I choose C", "C"),
        ("The answer is B, because A is wrong", "B"), ("The correct answer is option A: Paris", "A"), ("It must be (E).", "E"),
        ("The answer is A.\n", "A"), ("Thinking of (B) again, (B) it is", "B"),
    ],
)  # fmt: skip
def test_choices(answer: str, letter: str):
    verdict = get_verifier("choice")().verify(answer, f"({letter})")
    assert (verdict.status, verdict.evidence["found"]) == ("passed", letter)
    assert get_verifier("choice")().verify(answer, "ABCDE".replace(letter, "")[0]).status == "failed"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("The answer is A or B", "ambiguous: A and B"), ("I think (A), no, (B)", "ambiguous"), (r"\boxed{A, C}", "ambiguous"),
        ("A cat is an animal", "no letter"), ("The answer is not (A)", "no letter"), ("", "empty"), ("42", "no letter"),
    ],
)  # fmt: skip
def test_what_chooses_nothing_fails(answer: str, words: str):
    verdict = get_verifier("choice")().verify(answer, "A")
    assert (verdict.status, verdict.score) == ("failed", 0.0) and words in verdict.reason


def test_choices_of_a_recipe_and_golds_that_name_none():
    assert get_verifier("choice")(letters="WXYZ").verify("The answer is (Y)", "Y").status == "passed"
    assert get_verifier("choice")().verify("A", "7").status == "unscored"
    with pytest.raises(RecipeError, match="2 to 26 letters"):
        get_verifier("choice")(letters="1")


@given(JSON)
def test_a_value_equals_itself_in_any_order_and_form(value: object):
    turned = json.dumps(value, sort_keys=True, indent=1)
    assert get_verifier("json")().verify(f"```json\n{turned}\n```", json.dumps(value)).status == "passed"


@pytest.mark.parametrize(
    ("answer", "gold", "status", "words"),
    [
        ('{"a": 1, "b": [2]}', '{"b": [2.0], "a": 1}', "passed", ""), ('{"a": 1.0000000001}', '{"a": 1}', "passed", ""),
        ('{"a": 1.1}', '{"a": 1}', "failed", "/a: '1.1' is not '1'"), ('{"a": true}', '{"a": 1}', "failed", "/a"),
        ('{"a": 1, "c": 2}', '{"a": 1}', "failed", "'c' is one too many"), ("{}", '{"a": 1}', "failed", "'a' is missing"),
        ("[1, 2]", "[2, 1]", "failed", "/0"), ("[1]", "[1, 2]", "failed", "1 items, not 2"), ('{"a": 1, "a": 1}', '{"a": 1}', "failed", "twice"),
        ("NaN", "1", "failed", "no JSON number"), ("", "1", "failed", "no JSON"), ("[" * 100_000, "1", "failed", "nested"),
        ("1", "{", "unscored", "gold"), ("9" * 5_000, "1", "failed", "no JSON"), ("1e999", "1", "failed", "not"),
        (f"{10**400}", "1.5", "failed", "not"), ('"1"', "1", "failed", "not"),
    ],
)  # fmt: skip
def test_json_values(answer: str, gold: str, status: str, words: str):
    verdict = get_verifier("json")().verify(answer, gold)
    assert verdict.status == status and words in verdict.reason


def test_json_schema_and_paths():
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer", "minimum": 1}}}
    verifier = get_verifier("json")(schema=schema, paths=["/id", "/tags/0"])
    assert verifier.verify('{"id": 1, "tags": ["x"], "note": "n"}', '{"id": 1, "tags": ["x", "y"]}').status == "passed"
    assert "tags/0 is missing" in verifier.verify('{"id": 1}', '{"id": 1, "tags": ["x"]}').reason
    assert "$.id" in verifier.verify('{"id": 0}', None).reason
    assert verifier.verify('{"id": 2}', None).status == "passed"
    with pytest.raises(RecipeError, match="no JSON Schema"):
        get_verifier("json")(schema={"type": "thing"})
    with pytest.raises(RecipeError, match="no JSON pointer"):
        get_verifier("json")(paths=["id"])
