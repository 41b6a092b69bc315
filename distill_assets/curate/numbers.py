"""Which numbers a text names, however they are written.

Belongs here: digits and English number words as one form, and how alike two sets of numbers are. Does not belong here: what
follows from that (paraphrases).
"""

from __future__ import annotations

import re
import unicodedata

# A number in digits, with commas between thousands and a fraction.
DIGITS = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
WORD = re.compile(r"[a-z]+")
WORDS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "dozen": "12", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50",
    "hundred": "100", "half": "0.5", "quarter": "0.25", "twice": "2", "double": "2", "thrice": "3", "triple": "3",
}  # fmt: skip


def list_numbers(text: str) -> frozenset[str]:
    """The different numbers of a text: without commas, leading and trailing zeros; words as digits."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    in_digits = {_trim(match) for match in DIGITS.findall(plain)}
    return frozenset(in_digits | {WORDS[word] for word in WORD.findall(plain) if word in WORDS})


def _trim(digits: str) -> str:
    whole, _, fraction = digits.replace(",", "").partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def share_numbers(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard similarity of two sets of numbers; 0 without any."""
    return len(left & right) / len(left | right) if left or right else 0.0
