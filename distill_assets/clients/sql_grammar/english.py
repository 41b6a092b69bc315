"""English as far as the grammar needs it: word forms and what everybody knows.

Belongs here: plurals, verb forms, number words, months, nationalities, words that name persons.
Does not belong here: anything about one database.
"""

from __future__ import annotations

import re

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_IRREGULAR_PLURALS = {
    "person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "foot": "feet",
    "staff": "staff", "series": "series", "status": "statuses", "stock": "stock", "equipment": "equipment",
    "inventory": "inventory", "information": "information", "specialty": "specialties",
}  # fmt: skip
_SINGULARS = {plural: single for single, plural in _IRREGULAR_PLURALS.items()} | {"series": "series"}

# past -> (base, participle)
_VERBS = {
    "went": ("go", "gone"), "took": ("take", "taken"), "paid": ("pay", "paid"), "gave": ("give", "given"),
    "bought": ("buy", "bought"), "cost": ("cost", "cost"), "had": ("have", "had"), "began": ("begin", "begun"),
    "came": ("come", "come"), "left": ("leave", "left"), "sold": ("sell", "sold"), "wrote": ("write", "written"),
    "rode": ("ride", "ridden"), "made": ("make", "made"), "sent": ("send", "sent"), "built": ("build", "built"),
    "held": ("hold", "held"), "won": ("win", "won"), "lost": ("lose", "lost"), "got": ("get", "got"),
    "saw": ("see", "seen"), "met": ("meet", "met"), "led": ("lead", "led"), "taught": ("teach", "taught"),
    "did": ("do", "done"), "flew": ("fly", "flown"), "drove": ("drive", "driven"), "ran": ("run", "run"), "was": ("be", "been"),
}  # fmt: skip
_PARTICIPLES = frozenset(participle for _, participle in _VERBS.values()) | {"born", "founded", "put", "set"}

# Column names of which the row itself is the doer ("the customer joined"); of others it is the object.
ACTIVE_PASTS = frozenset(
    [
        "joined",
        "registered",
        "started",
        "ended",
        "opened",
        "closed",
        "arrived",
        "departed",
        "expired",
        "died",
        "retired",
        "left",
        "began",
        "signed",
        "finished",
        "subscribed",
        "enrolled",
        "graduated",
        "returned",
        "happened",
        "occurred",
        "visited",
        "moved",
    ]
)

DEMONYMS = {
    "France": "French", "Germany": "German", "Ireland": "Irish", "Norway": "Norwegian", "Poland": "Polish",
    "United Kingdom": "British", "UK": "British", "USA": "American", "United States": "American", "Spain": "Spanish",
    "Italy": "Italian", "Portugal": "Portuguese", "Sweden": "Swedish", "Denmark": "Danish", "Finland": "Finnish",
    "Netherlands": "Dutch", "Belgium": "Belgian", "Austria": "Austrian", "Switzerland": "Swiss", "Greece": "Greek",
    "Turkey": "Turkish", "Russia": "Russian", "Ukraine": "Ukrainian", "China": "Chinese", "Japan": "Japanese",
    "India": "Indian", "Brazil": "Brazilian", "Mexico": "Mexican", "Canada": "Canadian", "Australia": "Australian",
    "Argentina": "Argentinian", "Egypt": "Egyptian", "South Korea": "Korean", "Czechia": "Czech", "Hungary": "Hungarian",
}  # fmt: skip
OTHER_NAMES = {"United Kingdom": ("the UK", "UK", "Britain"), "United States": ("the US", "the USA", "America")}

_PERSONS = frozenset(
    [
        "person",
        "customer",
        "client",
        "doctor",
        "physician",
        "patient",
        "rider",
        "member",
        "user",
        "employee",
        "student",
        "teacher",
        "author",
        "driver",
        "staff",
        "player",
        "agent",
        "guest",
        "passenger",
        "worker",
        "manager",
        "artist",
        "actor",
        "owner",
        "subscriber",
        "buyer",
        "shopper",
        "cyclist",
        "practitioner",
        "nurse",
        "contact",
        "supplier",
        "vendor",
        "seller",
        "tenant",
        "borrower",
        "reader",
        "pilot",
        "engineer",
        "analyst",
        "participant",
        "donor",
        "candidate",
        "applicant",
        "resident",
        "citizen",
        "lecturer",
        "professor",
        "instructor",
        "coach",
        "singer",
        "director",
        "writer",
        "people",
        "men",
        "women",
    ]
)
_PERFORMERS = frozenset(
    ["doctor", "physician", "practitioner", "nurse", "teacher", "instructor", "author", "seller", "agent", "manager", "employee"]
)
_PLACES = frozenset(
    [
        "station",
        "store",
        "warehouse",
        "city",
        "location",
        "branch",
        "hotel",
        "office",
        "stop",
        "shop",
        "site",
        "room",
        "building",
        "airport",
        "venue",
        "school",
        "restaurant",
        "library",
        "museum",
        "clinic",
        "hospital",
        "country",
        "region",
        "dock",
        "department",
    ]
)


def pluralize(phrase: str) -> str:
    """Make a noun phrase plural at its head: "kind of bike" -> "kinds of bike"."""
    head, joint, rest = _split_head(phrase)
    words = head.split(" ")
    words[-1] = _pluralize_word(words[-1])
    return " ".join(words) + joint + rest


def _split_head(phrase: str) -> tuple[str, str, str]:
    for joint in (" of ", " on ", " in ", " per ", " for "):
        head, found, rest = phrase.partition(joint)
        if found:
            return head, found, rest
    return phrase, "", ""


def _pluralize_word(word: str) -> str:
    low = word.lower()
    if low in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[low]
    if low.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es" if not low.endswith("s") or low.endswith(("ss", "us")) else word
    if low.endswith("y") and low[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def singularize(phrase: str) -> str:
    """Make the last word of a table's name singular."""
    words = phrase.split(" ")
    low = words[-1].lower()
    if low in _SINGULARS:
        words[-1] = _SINGULARS[low]
    elif low.endswith("ies") and len(low) > 4:
        words[-1] = words[-1][:-3] + "y"
    elif low.endswith(("sses", "xes", "ches", "shes", "uses", "zes")):
        words[-1] = words[-1][:-2]
    elif low.endswith("s") and not low.endswith(("ss", "us", "is")):
        words[-1] = words[-1][:-1]
    return " ".join(words)


def is_plural(word: str) -> bool:
    """Tell whether a noun phrase already reads as plural ("points", "minutes")."""
    head = _split_head(word)[0].split(" ")[-1].lower()
    return head in _SINGULARS or (head.endswith("s") and not head.endswith(("ss", "us", "is")))


def split_name(name: str) -> str:
    """Turn an identifier into words: `order_date`, `OrderDate` -> "order date"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[^0-9A-Za-zÀ-ɏ]+", " ", spaced).strip().lower()


def is_past(word: str) -> bool:
    """Tell whether a one-word column name is a past form such as `joined`, `born`, `bought`."""
    return word in _VERBS or word in _PARTICIPLES or (word.endswith("ed") and len(word) > 4)


def base_form(phrase: str) -> str:
    """Bring a past verb phrase to its base: "signed up" -> "sign up"."""
    verb, space, rest = phrase.partition(" ")
    return (_VERBS[verb][0] if verb in _VERBS else _strip_ed(verb)) + space + rest


def participle(phrase: str) -> str:
    """Bring a past verb phrase to its participle: "took" -> "taken"."""
    verb, space, rest = phrase.partition(" ")
    return (_VERBS[verb][1] if verb in _VERBS else verb) + space + rest


def _strip_ed(verb: str) -> str:
    if not verb.endswith("ed"):
        return verb
    stem = verb[:-2]
    if len(stem) > 3 and stem[-1] == stem[-2] and (stem[-1] in "pgtnmrb" or stem.endswith("cell")):
        return stem[:-1]
    if stem.endswith("i"):
        return stem[:-1] + "y"
    silent = (
        "ir",
        "at",
        "ic",
        "uc",
        "as",
        "iv",
        "os",
        "ut",
        "ag",
        "rg",
        "iz",
        "ov",
        "us",
        "ur",
        "rv",
        "is",
        "dg",
        "ul",
        "ot",
        "ac",
        "su",
        "dl",
        "let",
        "giv",
        "tl",
    )
    return stem + "e" if stem.endswith(silent) else stem


def with_article(phrase: str) -> str:
    """Put a or an before a noun phrase."""
    low = phrase.lower()
    is_vowel = low[:1] in "aeiou" and not low.startswith(("uni", "use", "eu", "one"))
    return ("an " if is_vowel else "a ") + phrase


def is_person(nouns: tuple[str, ...]) -> bool:
    """Tell whether one of a table's nouns names persons."""
    return any(word in _PERSONS for noun in nouns for word in noun.lower().split())


def is_performer(nouns: tuple[str, ...]) -> bool:
    """Tell whether a table's persons do a thing for others: doctors, teachers, sellers."""
    return any(noun.split()[-1] in _PERFORMERS for noun in nouns)


def is_place(nouns: tuple[str, ...]) -> bool:
    """Tell whether one of a table's nouns names places."""
    return any(noun.lower().split()[-1] in _PLACES for noun in nouns if noun)
