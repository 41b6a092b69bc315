"""How people write a stored value: without accents, dots, hyphens or titles, in the plural.

Belongs here: loose spellings of text values; the SQL keeps the stored form. Does not belong here:
the phrases around a value (seats).
"""

from __future__ import annotations

import re
import unicodedata

from distill_assets.clients.sql_grammar import english
from distill_assets.clients.sql_grammar.draw import Draw

_TITLED = re.compile(r"(Dr|Prof|Mr|Mrs|Ms)\. (.+)")
_BLOOD = re.compile(r"(A|B|AB|O)([+-])\Z")
_COUNTABLE = "reason"


def has_title(value: str) -> bool:
    """Tell whether a name carries a title, so that no noun goes before it."""
    return bool(re.match(r"(?:Dr|Prof|Mr|Mrs|Ms)\b", value))


def spell(d: Draw, value: str, family: str = "") -> str:
    """Write a value as a person might."""
    if (titled := _TITLED.match(value)) and d.chance(0.55):
        title, name = titled.groups()
        last = name.split()[-1]
        return d.pick((f"{title} {name}", name, f"{title}. {last}", f"{title} {last}", f"{title} {last}"))
    if (blood := _BLOOD.match(value)) and d.chance(0.2):
        return f"{blood[1]} {'positive' if blood[2] == '+' else 'negative'}"
    if "-" in value[1:-1] and value.islower() and d.chance(0.3):
        value = value.replace("-", d.pick((" ", "")))
    if family == _COUNTABLE and value.isalpha() and d.chance(0.2):
        return d.pick((english.pluralize(value), english.with_article(value)))
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    return plain if plain and plain != value and d.chance(0.4) else value
