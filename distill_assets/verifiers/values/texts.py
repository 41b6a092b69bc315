"""Texts held against a text: as they are, or with case, articles and punctuation taken out.

Belongs here: equality of texts. Does not belong here: what a text means (numeric, math, choice).
"""

from __future__ import annotations

import unicodedata

from distill_assets.verifiers.registry import Verdict

ARTICLES = ("a", "an", "the")
MAX_SHOWN_CHARS = 200


class ExactVerifier:
    """Passes an answer that equals the gold text, white space around both aside."""

    def verify(self, answer: str, gold: str | None) -> Verdict:
        """Compare character by character."""
        return _compare(answer.strip(), None if gold is None else gold.strip())


class NormalizedTextVerifier:
    """Passes an answer that equals the gold text once both are normalised."""

    def verify(self, answer: str, gold: str | None) -> Verdict:
        """Compare what `normalize` leaves of both."""
        return _compare(normalize(answer), None if gold is None else normalize(gold))


def normalize(text: str) -> str:
    """Fold case, take out punctuation and articles, and leave single spaces.

    Source: `normalize_answer` of SQuAD's official evaluation (Rajpurkar et al. 2016), in the same order; here over all
    of Unicode: NFKC first, casefold for lower, and the general categories P and S for ASCII punctuation.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(character for character in folded if unicodedata.category(character)[0] not in "PSC" or character.isspace())
    return " ".join(word for word in bare.split() if word not in ARTICLES)


def _compare(found: str, expected: str | None) -> Verdict:
    evidence: dict[str, object] = {"found": found[:MAX_SHOWN_CHARS]}
    if expected == "":
        return Verdict("unscored", None, "gold is empty", evidence)
    if not found:
        return Verdict("failed", 0.0, "the answer is empty", evidence)
    if expected is None:
        return Verdict("unscored", None, "no gold to compare with", evidence)
    evidence["expected"] = expected[:MAX_SHOWN_CHARS]
    if found == expected:
        return Verdict("passed", 1.0, "equal texts", evidence)
    return Verdict("failed", 0.0, f"{found[:40]!r} is not {expected[:40]!r}", evidence)
