"""A multiple-choice answer held against a letter.

Belongs here: which letter a text chooses. Does not belong here: what the choices say.

Nothing is guessed: a text that leaves two letters open has chosen none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from distill_assets.errors import RecipeError
from distill_assets.verifiers.registry import Verdict
from distill_assets.verifiers.values.numbers import find_boxed

LETTERS = "ABCDE"


class Choice(NamedTuple):
    """The letter chosen, or None and why there is none."""

    letter: str | None
    reason: str = ""


class ChoiceVerifier:
    """Compares the chosen letter with the gold letter.

    Args:
        letters: the letters that there are to choose from.
    """

    def __init__(self, letters: str = LETTERS) -> None:
        if not re.fullmatch(r"[A-Za-z]{2,26}", letters):
            raise RecipeError(f"letters {letters!r} must be 2 to 26 letters, such as {LETTERS!r}. Nothing was verified.")
        self._letters = letters.upper()

    def verify(self, answer: str, gold: str | None) -> Verdict:
        """Compare; an answer that chooses none or several letters fails with the reason."""
        chosen = find_choice(answer, self._letters)
        evidence: dict[str, object] = {"found": chosen.letter}
        expected = None if gold is None else find_choice(gold, self._letters).letter
        if gold is not None and expected is None:
            return Verdict("unscored", None, f"gold names no letter of {self._letters}: {gold[:40]!r}", evidence)
        if chosen.letter is None:
            return Verdict("failed", 0.0, chosen.reason, evidence)
        if expected is None:
            return Verdict("unscored", None, "no gold to compare with", evidence)
        evidence["expected"] = expected
        if chosen.letter == expected:
            return Verdict("passed", 1.0, f"chooses {expected}", evidence)
        return Verdict("failed", 0.0, f"chooses {chosen.letter}, not {expected}", evidence)


def find_choice(text: str, letters: str = LETTERS) -> Choice:
    r"""Which of `letters` a text chooses.

    In this order: the last \boxed{}; the last "the answer is ..." that denies nothing; a last line that is a letter or
    begins with one; else all letters in brackets or after "option", when they are one and the same.
    """
    text = text[-20_000:].strip()
    if not text:
        return Choice(None, "the answer is empty")
    if (boxed := find_boxed(text)) is not None:
        return _settle(_list_bare(boxed, letters), boxed)
    clauses = _find_statements(text, letters)
    if clauses:
        return _settle(_list_bare(clauses[-1], letters), clauses[-1])
    text = re.sub(rf"\b(?:not|never|isn['’]t|rule out|eliminate)\s+(?:option\s+)?\(?[{letters}]\b\)?", "", text).strip()
    last = text.splitlines()[-1].strip() if text else ""
    if found := re.match(rf"[*\s]*\(?([{letters}{letters.lower()}])\)?[*\s]*(?:[.):]|\Z)", last):
        others = set(_list_marked(text, letters)) - {found[1].upper()}
        return Choice(found[1].upper()) if not others or len(last) < 4 else _settle(sorted({found[1].upper(), *others}), last)
    return _settle(_list_marked(text, letters), text[-60:])


def _find_statements(text: str, letters: str) -> list[str]:
    """What stands after each "the answer is", up to the end of the clause; denials left out."""
    pattern = (
        r"\b(?:answer|choice|option|solution|pick|choose|select|go with)\b(?:\s+(?:here|choice|option))?"
        r"\s*(?:is|are|was|:|=|would be|must be|should be|with)*\s*(?P<said>(?:(?!\.\s)[^\n;]){1,80})"
    )
    found = []
    for match in re.finditer(pattern, text, re.IGNORECASE):
        said = re.split(r"\.\s|,\s(?:because|since|as|not)\b|\b(?:because|since)\b", match["said"], maxsplit=1)[0]
        if re.match(r"\W*(?:not|never|neither|cannot|can't|isn't)\b", said, re.IGNORECASE):
            continue
        if (
            re.fullmatch(rf"\W*[{letters.lower()}]\W*", said)
            or re.match(rf"\W*(?:(?:option|choice|answer|letter)\s+)?\W*[{letters}](?![\w'’])(?!\s+[a-z]{{3,}})", said)
            or re.match(rf"\W*(?:(?:option|choice|answer|letter)\s+)?[(*]+[{letters}{letters.lower()}][)*]", said)
        ):
            found.append(said)
    return found


def _list_bare(clause: str, letters: str) -> list[str]:
    """Letters of a clause that stand alone; small ones in brackets only, or as the whole clause."""
    if re.fullmatch(rf"\W*[{letters.lower()}]\W*", clause):
        return [re.sub(r"\W", "", clause).upper()]
    first = re.match(rf"\W*(?:(?:\\text|\\mathrm|option|choice|letter)\W*)*([{letters}])\W*(?:[.):]|\}}|\Z)", clause)
    joined = re.search(rf"(?:\bor\b|\band\b|/|,|&)\s*\W*(?:option\s+)?\(?[{letters}](?!\w)", clause)
    if first and not joined:
        return [first[1]]
    found = re.findall(rf"(?<![\w'’])([{letters}])(?![\w'’])", clause)
    return sorted(set(found)) or sorted({letter.upper() for letter in re.findall(rf"\(([{letters.lower()}])\)", clause)})


def _list_marked(text: str, letters: str) -> list[str]:
    pattern = rf"\(([{letters}])\)|\b(?:option|choice|letter)\s+\(?([{letters}])\b|(?:^|\n)\s*\**([{letters}])[.)](?=\s|\Z)"
    return sorted({letter for groups in re.findall(pattern, text) for letter in groups if letter})


def _settle(found: list[str], where: str) -> Choice:
    if len(found) == 1:
        return Choice(found[0])
    if found:
        return Choice(None, f"ambiguous: {' and '.join(found)} are both named")
    return Choice(None, f"no letter is chosen in {where[:40]!r}")
