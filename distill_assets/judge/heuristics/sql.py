"""Rules about a question and its SQL: what the one names and the other does.

Belongs here: rules that compare the question, the query and the reasoning by their words. Does not belong here: rules
that hold for any task (text, wording, language), or a query that is run (verdicts).
"""

from __future__ import annotations

import re

from distill_assets.judge.heuristics.generation import Generation, Rule, drop_quoted
from distill_assets.judging import HeuristicsSpec

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
AGGREGATE_WORDS = {
    "AVG": r"\b(average|averages|avg|mean|typical|typically|on average)\b",
    "SUM": r"\b(total|totals|sum|altogether|combined|overall|in all)\b",
}
COMPARISON_WORDS = {
    "more": (
        r"(?<!no )(?<!not )\b(more than|over|above|greater than|at least|or more|exceed\w*|higher than|longer than|"
        r"larger than|bigger than|since|after)\b"
    ),
    "less": (
        r"(?<!no )(?<!not )\b(less than|under|below|fewer than|at most|or less|or fewer|up to|lower than|shorter than|"
        r"smaller than|cheaper than|before|prior to)\b"
    ),
}
COMPARISON_SIGNS = {"more": r">", "less": r"<"}
# Words of rank in one direction only: "oldest" is the greatest age and the smallest year of birth.
RANK_WORDS = {
    "most": r"\b(highest(?![ -]rank)|largest|biggest|greatest|most(?! (?:affordable|junior))|top|maximum|newest|latest|priciest)\b",
    "least": r"\b(lowest(?![ -]rank)|smallest|fewest|cheapest|bottom|minimum|earliest|(?<!at )least)\b",
}
NEGATION = (
    r"\b(not|no|non|none|never|nothing|nobody|without|except|excluding|exclude|excludes|other|"
    r"besides|apart|aside|but|outside|lack\w*|missing|un\w+|zero|neither|cannot|anything|anyone|rather|different|minus)\b|n['’]?t\b"
)
STRONG_NEGATION = (
    r"\b(except|excluding|other than|besides|apart from|never|without|"
    r"(?<!or )(?<!if )not (?!only|more|less|over|under|above|below|fewer|later|earlier))\b"
)
NEGATED = r"<>|!=|\bNOT\b|\bNULL\b|\bEXCEPT\b|\bFALSE\b|= 0\b"
STEM_CHARS = 4
SMALL_NUMBERS = ("0", "1")


def check_no_leak(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """The question speaks of things, not of SQL or technical names."""
    question = generation.question
    found = re.search(r"\bSELECT\b.+\bFROM\b|\b\w+_\w+\b|\b\w+\.\w+\s*=", question, flags=re.IGNORECASE | re.DOTALL)
    return f"question gives the query away: {found[0][:40]!r}" if found else None


def check_literals(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """Each literal of the query is named in the question; LIMIT and small constants aside."""
    question, sql = generation.question, generation.answer
    folded = question.lower()
    body = re.sub(r"\bLIMIT\s+\d+", "", sql, flags=re.IGNORECASE)
    for text in re.findall(r"'((?:[^']|'')*)'", body):
        if not _names_text(folded, text.replace("''", "'").lower()):
            return f"the query filters by {text[:40]!r}, which the question does not name"
    for number in re.findall(r"(?<![\w.'])\d+(?:\.\d+)?(?![\w.'])", re.sub(r"'(?:[^']|'')*'", "", body)):
        if not _names_number(folded, number):
            return f"the query uses {number}, which the question does not name"
    return None


def _names_text(question: str, value: str) -> bool:
    if re.match(r"\d{4}-\d{2}-\d{2}", value):
        return value[:4] in question or value[2:4] in question
    words = re.findall(r"\w+", value) or [value]
    return any(word[:STEM_CHARS] in question for word in words)


def _names_number(question: str, number: str) -> bool:
    if number in SMALL_NUMBERS or re.search(rf"(?<!\d){re.escape(number)}(?!\d)", question.replace(",", "")):
        return True
    if len(number) > 2 or not number.isdigit() or int(number) > len(MONTHS):
        return False
    names = (MONTHS[int(number) - 1], MONTHS[int(number) - 1][:3], NUMBER_WORDS[int(number)])
    return any(re.search(rf"\b{name}", question) for name in names)


def check_aggregate(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """A question that says average, and not total, is answered by AVG, and the reverse."""
    question, sql = generation.question, generation.answer
    said = {name for name, words in AGGREGATE_WORDS.items() if re.search(words, question, flags=re.IGNORECASE)}
    if said == {"AVG"} and not re.search(r"\bAVG\s*\(", sql, flags=re.IGNORECASE):
        return "the question asks for an average, the query takes none"
    if said == {"SUM"} and re.search(r"\b(AVG|MIN|MAX)\s*\(", sql, flags=re.IGNORECASE):
        return "the question asks for a total, the query takes another aggregate"
    return None


def check_comparison(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """A question that speaks of more alone is not answered by less, nor one of the highest by the lowest."""
    question, sql = generation.question, generation.answer
    body = re.sub(r"<>|'(?:[^']|'')*'", "", sql)
    for said, words in COMPARISON_WORDS.items():
        other = "less" if said == "more" else "more"
        is_alone = re.search(words, question, re.IGNORECASE) and not re.search(COMPARISON_WORDS[other], question, re.IGNORECASE)
        if is_alone and re.search(COMPARISON_SIGNS[other], body) and not re.search(COMPARISON_SIGNS[said], body):
            return f"the question asks for {said}, the query compares the other way"
    return None


def check_rank(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """The highest few are sorted downwards, the lowest few upwards; a question that names both is left alone."""
    question, sql = generation.question, generation.answer
    said = {name for name, words in RANK_WORDS.items() if re.search(words, question, re.IGNORECASE)}
    order = re.search(r"\bORDER BY\b((?:(?!ORDER BY).)+?)\bLIMIT\b", sql, re.IGNORECASE | re.DOTALL)
    if len(said) != 1 or not order:
        return None
    is_descending = bool(re.search(r"\bDESC\b", order[1], re.IGNORECASE))
    if is_descending == (said == {"most"}):
        return None
    return f"the question asks for the {said.pop()}, the query sorts {'downwards' if is_descending else 'upwards'}"


def check_negation(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """What the query leaves out, the question leaves out, and the reverse."""
    question, sql = generation.question, generation.answer
    body = re.sub(r"'(?:[^']|'')*'", "''", sql)
    if re.search(r"<>|!=|\bNOT (?!NULL)", re.sub(r"\bIS NOT NULL\b", "", body)) and not re.search(
        NEGATION, question, re.IGNORECASE
    ):
        return "the query leaves something out, the question does not"
    if re.search(STRONG_NEGATION, question, re.IGNORECASE) and not re.search(NEGATED, body):
        return "the question leaves something out, the query does not"
    return None


def check_answer(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """The query returns more than the one value that it filters by."""
    sql = generation.answer
    chosen = re.match(r"SELECT\s+(?:DISTINCT\s+)?([\w.\"]+)\s+FROM\b", sql, re.IGNORECASE)
    if chosen and re.search(rf"(?<![\w.\"]){re.escape(chosen[1])} = ", sql.partition("WHERE")[2]) and " OR " not in sql:
        return f"the query returns {chosen[1]}, whose one value it filters by"
    return None


def check_reads_data(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """The query reads a table: a constant answers no question about a database."""
    body = re.sub(r"--[^\n]*|/\*.*?\*/", " ", drop_quoted(generation.answer), flags=re.DOTALL)
    return None if re.search(r"\bFROM\b", body, re.IGNORECASE) else "the query reads no table"


SQL_RULES: dict[str, Rule] = {
    "reads_data": check_reads_data,
    "no_leak": check_no_leak,
    "literals_named": check_literals,
    "aggregate_named": check_aggregate,
    "comparison_agrees": check_comparison,
    "rank_agrees": check_rank,
    "negation_agrees": check_negation,
    "answer_is_open": check_answer,
}
