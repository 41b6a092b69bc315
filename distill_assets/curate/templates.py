"""The latent template of a sample: what is left of it when names, numbers and values are taken out.

Belongs here: masking a question, and putting it together with its query's skeleton. Does not belong here: taking a query apart
(queries), counting templates (diversity) or dropping (selection).

Two samples of one template ask the same of the same database with other names and numbers; a corpus of few templates teaches
little however many rows it has. A template depends on its own sample alone, so it never changes when others come or go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from distill_assets.curate.queries import make_skeleton, mask_query
from distill_assets.curate.words import normalise_texts
from distill_assets.identity import hash_text, make_id

# Raise it when a rule below changes: templates that were found by the old rules are then found anew.
TEMPLATE_VERSION = "templates@1"
SLOT = "___"
# A question of people or models has up to some thousands of characters; of longer ones the rest stands as its hash.
MAX_MASKED_CHARS = 20_000
# More than this share of capitalised words is a title or shouting, where a capital says nothing of names.
MAX_CAPITAL_FRAC = 0.5

SCHEMA = {"sample_id": pl.String, "template_id": pl.String, "template": pl.String, "skeleton_id": pl.String}

# A number ends where a unit begins: 10kg has the words 10 and kg.
_WORD = re.compile(r"\d+(?:(?:st|nd|rd|th)\b)?|[^\W\d]\w*")
_QUOTED = re.compile(r'"[^"\n]{1,200}"|“[^”\n]{1,200}”|(?<!\w)\'[^\'\n]{1,200}\'(?!\w)|`[^`\n]{1,200}`')
_ENDS_SENTENCE = re.compile(r"[.!?:\n]")
_SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {
    **{word: str(number) for number, word in enumerate(_SMALL)},
    **{word: str(number) for number, word in zip(range(20, 100, 10), _TENS, strict=True)},
    **{"hundred": "100", "thousand": "1000", "million": "1000000"},
}
_MONTHS = frozenset(
    ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
) | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}


def find_templates(samples: pl.DataFrame) -> pl.DataFrame:
    """Find the template of each sample.

    Args:
        samples: sample_id, database, question, sql; all but the first may be null.

    Returns:
        sample_id, template_id, template, skeleton_id, sorted by sample_id. `template` reads "database | masked question |
        skeleton"; a sample without a query has no skeleton_id.
    """
    texts = samples.select("database", "question", "sql").unique().sort("database", "question", "sql")
    masked_queries = {sql: mask_query(sql) for sql in texts["sql"].drop_nulls().unique().sort()}
    skeletons = {text: make_skeleton(text) for text in sorted({masked.text for masked in masked_queries.values()})}
    questions, found = [], []
    for row in texts.iter_rows(named=True):
        masked = masked_queries.get(row["sql"])
        questions.append(mask_question(row["question"] or "", masked.literals if masked else ()))
        found.append(skeletons[masked.text] if masked else None)
    masked_texts = _fold_slots(pl.Series(questions, dtype=pl.String))
    rows = [
        _name_template(row, question, skeleton)
        for row, question, skeleton in zip(texts["database"], masked_texts, found, strict=True)
    ]
    named = pl.concat([texts, pl.DataFrame(rows, schema=list(SCHEMA.items())[1:], orient="row")], how="horizontal")
    joined = samples.select("sample_id", "database", "question", "sql").join(
        named, on=["database", "question", "sql"], how="left", nulls_equal=True, maintain_order="left"
    )
    return joined.select(list(SCHEMA)).sort("sample_id")


def mask_question(question: str, literals: Sequence[str] = ()) -> str:
    """Replace what a question could say with other words: quoted text, numbers, dates, names and the query's literals.

    A name is a word with a capital inside a sentence, and then wherever else it stands; not in a title, where most words
    have one.

    Args:
        question: any text; of more than MAX_MASKED_CHARS, the rest stands as its hash.
        literals: of the question's query.
    """
    rest = f" {hash_text(question[MAX_MASKED_CHARS:])}" if len(question) > MAX_MASKED_CHARS else ""
    text = _QUOTED.sub(f" {SLOT} ", question[:MAX_MASKED_CHARS])
    spans = list(_WORD.finditer(text))
    words = [span.group() for span in spans]
    lower = [word.lower() for word in words]
    names = _find_names(text, spans)
    is_slot = [word in names or _is_value(low) for word, low in zip(words, lower, strict=True)]
    _mark_literals(literals, lower, is_slot)
    return " ".join(SLOT if slot else word for word, slot in zip(words, is_slot, strict=True)) + rest


def _find_names(text: str, spans: Sequence[re.Match[str]]) -> frozenset[str]:
    """The words with a capital that do not begin a sentence."""
    capital = [span for span in spans if span.group()[0].isupper()]
    if len(capital) > MAX_CAPITAL_FRAC * len(spans):
        return frozenset()
    ends = [0, *(span.end() for span in spans)]
    number = {span.start(): place for place, span in enumerate(spans)}
    return frozenset(
        span.group()
        for span in capital
        if (place := number[span.start()]) and not _ENDS_SENTENCE.search(text, ends[place], span.start()) and span.group() != "I"
    )


def _is_value(word: str) -> bool:
    """Whether a word in lower case says a number or a date; `one`, `may` and `march` have other uses and count only as literals."""
    if word in ("one", "may", "march"):
        return False
    return word[0].isdigit() or word in _NUMBERS or word in _MONTHS


def _mark_literals(literals: Sequence[str], words: Sequence[str], is_slot: list[bool]) -> None:
    """Mark the words of each literal wherever they stand in a row; a number also where it is written out."""
    wanted: dict[str, set[tuple[str, ...]]] = {}
    for literal in set(literals):
        if parts := tuple(_WORD.findall(literal[:MAX_MASKED_CHARS].lower())):
            wanted.setdefault(parts[0], set()).add(parts)
    for place, word in enumerate(words):
        if (_NUMBERS.get(word),) in wanted.get(_NUMBERS.get(word, ""), ()):
            is_slot[place] = True
        for parts in wanted.get(word, ()):
            if tuple(words[place : place + len(parts)]) == parts:
                is_slot[place : place + len(parts)] = [True] * len(parts)


def _fold_slots(masked: pl.Series) -> pl.Series:
    """Fold the words between slots as everywhere in curation, and slots that stand in a row into one."""
    return normalise_texts(masked).str.replace_all(rf"{SLOT}(?: {SLOT})+", SLOT)


def _name_template(database: str | None, question: str, skeleton: str | None) -> tuple[str, str, str | None]:
    template = " | ".join(part for part in (database, question, skeleton) if part is not None)
    skeleton_id = None if skeleton is None else make_id(TEMPLATE_VERSION, "skeleton", database, skeleton)
    return make_id(TEMPLATE_VERSION, database, question, skeleton), template, skeleton_id
