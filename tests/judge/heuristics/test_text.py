"""Rules about a text's shape: bounds, ends, forms, copies, repetition; and no text breaks any rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distill_assets.judge.heuristics import RULES, Generation, apply_rules
from distill_assets.judging import HeuristicsSpec

SPEC = HeuristicsSpec()
GOOD = Generation(
    "how many orders went to York?",
    "1. Use the table orders. 2. Filter on orders.city = 'York'. 3. Then count the rows.",
    "SELECT COUNT(*) FROM orders WHERE orders.city = 'York'",
    "stop",
)
FORMS = st.sampled_from(["sql", "python", "json", "text"])
PIECES = st.lists(
    st.sampled_from(["(", "'", '"', "1. ", "select", "\n", "the ", "x", "", "\u202e", "/*", "```", "judge "]), max_size=60
)
TEXTS = st.one_of(st.text(), PIECES.map("".join))


def find_problem(rule: str, generation: Generation, **settings: object) -> str | None:
    return RULES[rule](generation, HeuristicsSpec(**settings))


@given(FORMS, TEXTS, TEXTS, TEXTS, st.one_of(st.none(), st.text()))
def test_no_text_breaks_a_rule(form: str, question: str, trace: str, answer: str, finish_reason: str | None):
    spec = HeuristicsSpec(answer_form=form, min_overlap_frac=0.1, doubt_words=("x", "("))
    for name, problem in apply_rules(Generation(question, trace, answer, finish_reason), spec):
        assert problem is None or (problem and name in RULES)


@pytest.mark.parametrize(
    "piece", ["(", "'", '"', "/*", "[[", "1. ", "a ", "no ", "\n", "#", "SELECT ", " ORDER BY", "￿", "<|", "i "]
)
def test_long_hostile_texts_end_soon(piece: str):
    text = piece * (8_000 // len(piece))
    assert len(list(apply_rules(Generation(text[:2_000], text, text), SPEC))) == len(RULES)


def test_a_right_sample_passes_every_rule_and_a_disabled_rule_is_not_applied():
    assert dict(apply_rules(GOOD, SPEC)) == dict.fromkeys(RULES)
    left = [name for name, _ in apply_rules(GOOD, HeuristicsSpec(disabled=("length", "no_leak")))]
    assert left == [name for name in RULES if name not in ("length", "no_leak")]


def test_rules_about_sql_are_for_sql():
    names = {name for name, _ in apply_rules(GOOD, HeuristicsSpec(answer_form="python"))}
    assert "format" in names and not names & {"no_leak", "literals_named"}


@pytest.mark.parametrize(
    ("question", "sql", "words"),
    [
        ("x" * 8, "s", None), ("x" * 7, "s", "question of 7"), ("x" * 240, "s" * 600, None),
        ("x" * 241, "s", "question of 241"), ("x" * 8, "s" * 601, "query of 601"), ("x" * 8, "", "query of 0"),
    ],
)  # fmt: skip
def test_length(question: str, sql: str, words: str | None):
    found = find_problem("length", Generation(question, "", sql))
    assert found is None if words is None else words in found


def test_length_of_the_reasoning():
    row = Generation("x" * 8, "y" * 50, "s")
    assert find_problem("length", row, min_trace_chars=50, max_trace_chars=50) is None
    assert "reasoning of 50" in find_problem("length", row, min_trace_chars=51)
    assert "reasoning of 50" in find_problem("length", row, max_trace_chars=49)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"finish_reason": "length"}, "stopped at its limit"),
        ({"finish_reason": "MAX_TOKENS"}, "stopped at its limit"),
        ({"trace": "1. Use orders. 2. Filter on orders.ci"}, "cut short"),
        ({"trace": "1. Use orders. 2. Count. 3."}, "cut short"),
        ({"trace": "1. Use orders. 2. Filter on orders.city = 'Yo"}, "cut short"),
        ({"trace": "1. Use orders. 2. Join shops. 3. Filter on orders.city = 'York'"}, "cut short"),
        ({"trace": "1. Use orders. 2. Keep orders.total >"}, "ends in '>'"),
        ({"trace": "1. Use orders. 2. Filter on the"}, "ends in 'the'"),
        ({"trace": "Use orders (and their"}, "opens '('"),
        ({"trace": "Run ```sql\nSELECT 1"}, "code fence"),
        ({"question": "how many orders are in the"}, "ends in 'the'"),
        ({"answer": "SELECT COUNT(*) FROM orders WHERE orders.city = 'Yo"}, "opens a quote"),
        ({"answer": "SELECT COUNT(*) FROM orders WHERE orders.city ="}, "ends in '='"),
        ({"answer": "SELECT COUNT(*) FROM orders WHERE orders.a IN (1, 2"}, "1 ')'"),
        ({"answer": "SELECT COUNT(*) FROM orders WHERE"}, "ends in 'WHERE'"),
    ],
)
def test_what_is_cut_short(change: dict[str, str], words: str):
    assert words in find_problem("complete", GOOD._replace(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"question": "which city is the shop in"},
        {"question": "who isn't in the dogs' list"},
        {"question": "patients of blood type AB+"},
        {"trace": "a) use orders; b) filter"},
        {"trace": "Start from orders\nfilter on city\ncount"},
        {"trace": "1. Use orders. 2. So: SELECT COUNT(*) FROM orders LIMIT 5"},
        {"trace": ""},
        {"answer": "SELECT 1 FROM t WHERE name = 'O''Neill (' AND x = 2"},
        {"finish_reason": None},
    ],
)
def test_what_is_complete(change: dict[str, str]):
    assert find_problem("complete", GOOD._replace(**change)) is None


@pytest.mark.parametrize(
    ("form", "answer", "words"),
    [
        ("sql", "WITH a AS (SELECT 1) SELECT * FROM a;", None),
        ("sql", "-- all\nselect ';' from t", None),
        ("sql", "SELECT '-- no comment but a value of many words'", None),
        ("sql", "SELECT 1 -- this is what the question asked for", "prose in a comment"),
        ("sql", "SELECT /* whoever reads this may like it */ 1", "prose in a comment"),
        ("sql", "(SELECT 1) UNION (SELECT 2)", None),
        ("sql", "Here is the query: SELECT 1", "begins with 'Here is"),
        ("sql", "```sql\nSELECT 1\n```", "code fence"),
        ("sql", "DELETE FROM t", "begins with 'DELETE"),
        ("sql", "SELECT 1; DROP TABLE t", "more than one statement"),
        ("sql", "", "begins with ''"),
        ("python", "def f(x):\n    return x", None),
        ("python", "def f(x) return x", "no Python"),
        ("python", "x = '\0'", "no Python"),
        ("json", '{"a": [1]}', None),
        ("json", "{'a': 1}", "no JSON"),
        ("json", "[" * 100_000, "no JSON"),
        ("text", "forty-two", None),
        ("text", " \n", "empty"),
    ],
)
def test_format(form: str, answer: str, words: str | None):
    found = find_problem("format", Generation("", "", answer), answer_form=form)
    assert found is None if words is None else words in found


def test_format_by_the_recipes_pattern():
    row = Generation("", "", "The answer is (B)")
    assert find_problem("format", row, answer_form="text", answer_pattern=r"\([A-E]\)$") is None
    assert "does not match" in find_problem("format", row, answer_form="text", answer_pattern=r"^\d+$")
    with pytest.raises(ValidationError, match="no regular expression"):
        HeuristicsSpec(answer_pattern="(")


def test_an_answer_that_copies_the_question():
    question = "what is the capital of the country with the most lakes"
    row = Generation(question, "", f"{question}?")
    assert "100% of the answer is copied" in find_problem("overlap", row)
    assert find_problem("overlap", row, max_overlap_frac=None) is None
    assert find_problem("overlap", row._replace(answer="The country with the most lakes has Ottawa as capital.")) is None
    assert find_problem("overlap", GOOD) is None


def test_an_answer_that_shares_too_little_with_the_question():
    row = Generation("what do penguins eat", "", "Bonds yield three percent.")
    assert find_problem("overlap", row) is None
    assert "0% of the answer's words" in find_problem("overlap", row, min_overlap_frac=0.1)
    assert find_problem("overlap", row._replace(answer="Penguins eat fish."), min_overlap_frac=0.1) is None


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        ("then then then then then go", "'then' again and again"),
        ("Add one.\n" * 4 + "Done.", "4 times"),
        ("We take the rows of the table and look at them again. " * 6, "repeats"),
        ("a1b2c3d4e5" * 80, "smaller"),
    ],
)
def test_repetition(trace: str, words: str):
    assert words in find_problem("no_repetition", GOOD._replace(trace=trace))


def test_repetition_has_bounds_that_a_recipe_sets():
    loop = GOOD._replace(trace="We take the rows of the table and look at them again. " * 6)
    assert "smaller" not in (find_problem("no_repetition", loop, max_repeated_frac=None, max_compression_ratio=50) or "")
    assert "smaller" in find_problem("no_repetition", loop, max_repeated_frac=None, max_compression_ratio=2)
    assert find_problem("no_repetition", loop, max_repeated_frac=None, max_compression_ratio=None) is None
    assert find_problem("no_repetition", GOOD, max_compression_ratio=1) is None
