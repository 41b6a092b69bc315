"""Rules about the shape of any text: its length, its end, its form, and how much of it repeats or is copied.

Belongs here: rules that hold for any task and look at no particular words. Does not belong here: markers in words
(wording), the language (language), SQL's meaning (sql).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from distill_assets.judge.heuristics.generation import Generation, drop_quoted, name_texts
from distill_assets.judging import HeuristicsSpec

# Words of the endpoints for an answer that met its limit of tokens.
CUT_REASONS = ("length", "max_tokens", "max_output_tokens", "model_length")
PAIRS = {"(": ")", "[": "]", "{": "}", "“": "”", "«": "»"}
ENDINGS = ".!?:;…)]}>\"'`”’»。！？*"
# A text that ends in one of these was going on. Prepositions may end an English question, so it has a list of its own.
DANGLING = {
    "question": "a an the and or nor than whose every",
    "trace": "a an the and or nor than whose every of by with to from where for on in at as is are that which because so if",
    "sql": (
        "select from where and or not join on by group order having limit as in like between is set inner left union with"
        " case when then else distinct"
    ),
    "python": "",
    "json": "",
}
STEP = re.compile(r"(?:^|\s)(?:step\s+)?\d{1,2}[.):]\s+|\n+", re.IGNORECASE)
NGRAM_WORDS, COPY_WORDS = 5, 3
MIN_COPIED_WORDS, MIN_REPEATED_WORDS, MIN_COMPRESSED_CHARS = 6, 30, 300
MAX_SAME_LINES = 3


def check_length(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """Question, reasoning and answer lie within the recipe's bounds, in characters."""
    question, trace, answer = len(generation.question), len(generation.trace), len(generation.answer)
    if not spec.min_question_chars <= question <= spec.max_question_chars:
        return f"question of {question} characters, allowed {spec.min_question_chars} to {spec.max_question_chars}"
    if not spec.min_trace_chars <= trace <= spec.max_trace_chars:
        return f"reasoning of {trace} characters, allowed {spec.min_trace_chars} to {spec.max_trace_chars}"
    if answer > spec.max_sql_chars:
        return f"{_call_answer(spec)} of {answer} characters, allowed {spec.max_sql_chars}"
    if answer < spec.min_answer_chars:
        return f"{_call_answer(spec)} of {answer} characters, at least {spec.min_answer_chars} are wanted"
    return None


def _call_answer(spec: HeuristicsSpec) -> str:
    return "query" if spec.answer_form == "sql" else "answer"


def check_complete(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """Nothing was cut short: the endpoint's word, brackets and quotes that close, an end that is one."""
    if (generation.finish_reason or "").lower() in CUT_REASONS:
        return f"the endpoint stopped at its limit ({generation.finish_reason})"
    for name, text in name_texts(generation, "question", "trace"):
        if found := _find_open(text) or _find_hanging(text, DANGLING[name]):
            return f"the {name} {found}"
    if generation.trace and (step := _find_cut_step(generation.trace)):
        return f"the trace's last step is cut short: {step[-40:]!r}"
    if spec.answer_form in ("sql", "json", "python"):
        found = _find_open_code(generation.answer) or _find_hanging(generation.answer, DANGLING[spec.answer_form])
        return f"the answer {found}" if found else None
    found = _find_open(generation.answer) or _find_hanging(generation.answer, DANGLING["trace"])
    return f"the answer {found}" if found else None


def _find_open(text: str) -> str | None:
    """Brackets of prose may close without opening, as in `a)`, but not open without closing."""
    for opening, closing in PAIRS.items():
        if text.count(opening) > text.count(closing):
            return f"opens {opening!r} and does not close it"
    if text.count("```") % 2:
        return "opens a code fence and does not close it"
    return "opens '\"' and does not close it" if text.count('"') % 2 and not re.search(r'\d"', text) else None


def _find_open_code(text: str) -> str | None:
    bare = drop_quoted(text)
    if "'" in bare.replace("''", "") or '"' in bare:
        return "opens a quote and does not close it"
    for opening, closing in (("(", ")"), ("[", "]"), ("{", "}")):
        if bare.count(opening) != bare.count(closing):
            return f"has {bare.count(opening)} {opening!r} and {bare.count(closing)} {closing!r}"
    return None


def _find_hanging(text: str, words: str) -> str | None:
    end = text.rstrip()[-40:]
    last = re.search(r"([^\W\d_]+)\Z", end)
    if last and last[1].lower() in words.split() and not re.search(r"[.\d]\Z", end[: last.start()]):
        return f"ends in {last[1]!r}"
    return f"ends in {end[-1]!r}" if end and end[-1] in ",(=<&" else None


def _find_cut_step(trace: str) -> str | None:
    """The last step, when it alone has no full stop: whoever ends each step with one ends the last one so too."""
    steps = [step.strip() for step in STEP.split(trace) if step and step.strip()]
    if len(steps) < 2 or any(step[-1] not in ENDINGS for step in steps[:-1]) or steps[-1][-1] in ENDINGS:
        return None
    is_code = re.match(r"(select|with)\b", steps[-1], re.IGNORECASE) or re.search(r"[\d;]\Z", steps[-1])
    return None if is_code and re.search(r"[\w;)]\Z", steps[-1]) and "```" not in steps[-1] else steps[-1]


def check_format(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """The answer is what the task wants and nothing else, and matches the recipe's pattern."""
    problem = FORMS[spec.answer_form](generation.answer)
    if problem is None and spec.answer_pattern and not re.search(spec.answer_pattern, generation.answer, re.DOTALL):
        return f"the answer does not match {spec.answer_pattern[:60]!r}"
    return problem


def _check_sql(answer: str) -> str | None:
    if "```" in answer:
        return "the query stands in a code fence"
    bare = re.sub(r"--[^\n]*|/\*.*?(?:\*/|\Z)", " ", drop_quoted(answer), flags=re.DOTALL).strip()
    if not re.match(r"[(\s]*(select|with)\b", bare, re.IGNORECASE):
        return f"the query begins with {answer.strip()[:30]!r}, not with SELECT or WITH"
    return "the query is more than one statement" if ";" in bare.rstrip("; \n\t") else None


def _check_python(answer: str) -> str | None:
    import ast
    import warnings

    if "```" in answer:
        return "the code stands in a code fence"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(answer)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"the code is no Python: {type(error).__name__}: {str(error)[:80]}"
    return None


def _check_json(answer: str) -> str | None:
    import json

    try:
        json.loads(answer)
    except (ValueError, RecursionError) as error:
        return f"the answer is no JSON: {str(error)[:80]}"
    return None


def _check_text(answer: str) -> str | None:
    return None if answer.strip() else "the answer is empty"


FORMS: dict[str, Callable[[str], str | None]] = {
    "sql": _check_sql,
    "python": _check_python,
    "json": _check_json,
    "text": _check_text,
}


def check_overlap(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """The answer neither copies the question nor, where a least share is set, speaks of something else."""
    question, answer = _split_words(generation.question), _split_words(generation.answer)
    if not answer:
        return None
    if spec.max_overlap_frac is not None and len(answer) >= MIN_COPIED_WORDS:
        there = set(_runs(question, COPY_WORDS))
        runs = _runs(answer, COPY_WORDS)
        share = sum(run in there for run in runs) / len(runs)
        if share > spec.max_overlap_frac:
            return f"{share:.0%} of the answer is copied from the question, allowed {spec.max_overlap_frac:.0%}"
    if spec.min_overlap_frac is not None:
        share = len(set(answer) & set(question)) / len(set(answer))
        if share < spec.min_overlap_frac:
            return f"{share:.0%} of the answer's words are in the question, at least {spec.min_overlap_frac:.0%} are wanted"
    return None


def check_repetition(generation: Generation, spec: HeuristicsSpec) -> str | None:
    """No text goes round in circles: lines, words and runs of words again and again, or one that compresses too well.

    The idea of bounds on repeated n-grams is that of Gopher's filters (Rae et al. 2021, table A1), made for long
    documents; the bounds here are for short texts.
    """
    for name, text in name_texts(generation, "question", "trace", "answer"):
        if found := _find_repetition(text, spec):
            return f"the {name} {found}"
    return None


def _find_repetition(text: str, spec: HeuristicsSpec) -> str | None:
    words = _split_words(text)
    run = re.search(r"(?<![^\W_])([^\W\d_]{2,40})(?:\W+\1(?![^\W_])){4,}", text, re.IGNORECASE)
    if run:
        return f"says {run[1]!r} again and again"
    lines = [line.strip() for line in text.splitlines() if len(line.strip()) > 3]
    most = max(lines, key=lines.count, default="") if len(lines) < 200 else ""
    if lines.count(most) > MAX_SAME_LINES:
        return f"has the line {most[:40]!r} {lines.count(most)} times"
    if spec.max_repeated_frac is not None and len(words) >= MIN_REPEATED_WORDS:
        runs = _runs(words, NGRAM_WORDS)
        share = 1 - len(set(runs)) / len(runs)
        if share > spec.max_repeated_frac:
            return f"repeats {share:.0%} of its runs of {NGRAM_WORDS} words, allowed {spec.max_repeated_frac:.0%}"
    if spec.max_compression_ratio is not None and len(text) >= MIN_COMPRESSED_CHARS:
        raw = text.encode(errors="replace")
        ratio = len(raw) / len(zlib.compress(raw))
        if ratio > spec.max_compression_ratio:
            return f"gets {ratio:.1f} times smaller when compressed, allowed {spec.max_compression_ratio:g}"
    return None


def _split_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _runs(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))]
