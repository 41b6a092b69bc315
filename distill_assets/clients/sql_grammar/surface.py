"""How a question is typed: case, punctuation, politeness, slips.

Belongs here: changes of form that leave the meaning alone. Does not belong here: wording of intents.
The one idea: numbers, quotes and names survive; everything else may be typed carelessly.
"""

from __future__ import annotations

import re

from distill_assets.clients.sql_grammar.draw import Draw

_OPENERS = (
    "please", "please", "can you tell me", "could you tell me", "hi,", "hey,", "quick question:", "i'd like to know", "i want to know",
    "i was wondering", "do you know", "tell me", "just", "ok,", "for the report:", "could you check", "can you check", "also,",
)  # fmt: skip
_CLOSERS = (
    "please",
    "please",
    "thanks",
    "in our database",
    "right now",
    "so far",
    "in the system",
    "at the moment",
    "for me",
    "in our catalogue",
    "in the records",
    "on our books",
)
_SHORT = {
    "what is": "what's",
    "who is": "who's",
    "do not": "don't",
    "what are": "what're",
    "number of": "no of",
    "average": "avg",
    "and": "&",
    "you": "u",
}
_QUESTION = re.compile(
    r"(how|which|what|who|whose|where|when|do|does|did|is|are|has|have|at which|from which|in which|can|could)\b", re.IGNORECASE
)
_NOUN_STARTS = ("number of", "average", "total", "count of", "top ", "highest", "lowest", "names of", "avg")
_SPLITTABLE = re.compile(r"\b(?!count|shirt|shift)[a-z]{5,}")


def roughen(d: Draw, text: str) -> str:
    """Type a question as a person does."""
    is_question = bool(_QUESTION.match(text))
    text = text.rstrip("? ").strip()
    if d.chance(0.09):
        text = _open(d, text, is_question)
    if d.chance(0.05):
        text = f"{text} {d.pick(_CLOSERS)}"
    if d.chance(0.07):
        text = _shorten(d, text)
    if d.chance(0.035):
        text = _slip(d, text)
    style = d.weigh({"lower": 0.3, "plain": 0.28, "proper": 0.42})
    if style == "lower":
        text = text.lower()
    elif style == "proper":
        text = text[:1].upper() + text[1:]
    end = "?" if is_question else d.weigh({"": 0.85, ".": 0.15})
    return text + (end if d.chance(0.72 if style != "lower" else 0.3) else "")


def _open(d: Draw, text: str, is_question: bool) -> str:
    opener = d.pick(_OPENERS)
    if not is_question and opener not in ("please", "hi,", "hey,", "just", "ok,", "for the report:", "also,"):
        opener = "i need the" if text.startswith(_NOUN_STARTS) else "please"
    return f"{opener} {text}"


def _shorten(d: Draw, text: str) -> str:
    found = [long for long in _SHORT if re.search(rf"\b{long}\b", text)]
    if not found:
        return text
    long = d.pick(found)
    short = _SHORT[long].replace("'", "" if d.chance(0.4) else "'")
    return re.sub(rf"\b{long}\b", short, text, count=1)


def _slip(d: Draw, text: str) -> str:
    spans = [m.span() for m in _SPLITTABLE.finditer(text)]
    if not spans:
        return text
    start, end = d.pick(spans)
    at = d.whole(start + 1, end - 3)
    kind = d.pick(("swap", "drop", "double"))
    if kind == "swap":
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :] if kind == "drop" else text[:at] + text[at] + text[at:]
