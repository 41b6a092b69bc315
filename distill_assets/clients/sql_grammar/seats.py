# ruff: noqa: E501 (phrases read best one a line)
"""How `column = value` is said, by the family of the column.

Belongs here: the phrases of equality on text for each of the four grammatical seats. Does not belong
here: drawing values, or conditions on numbers and dates.
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import english, values
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Thing, Words


def say_inverted(column: Words, value: str) -> tuple[str, ...]:
    """Return what follows "how many products" in an inverted question: "does Haddon make"."""
    if column.family == "maker":
        return (
            f"does {value} make",
            f"do we have from {value}",
            f"does {value} have",
            f"do we have by {value}",
            f"come from {value}",
        )
    if column.family == "status" and value.endswith("ed") and column.ref.column == "status":
        return (f"did we have {value}", f"did we {english.base_form(value)}", f"ended up {value}")
    if column.family in ("place", "kind"):
        return (
            f"do we have in {value}",
            f"are there in {value}",
            f"does {value} have",
            f"do we have in the {column.nouns[0]} {value}",
        )
    return ()


def text_seats(d: Draw, thing: Thing, column: Words, value: str) -> tuple[tuple[str, ...], ...]:
    """Return the seats of `column = value`: before, after, predicate, nouns."""
    v, noun, row = values.spell(d, value, column.family), d.lean(column.nouns), thing.nouns[0]
    plain = (
        f"with {noun} {v}",
        f"whose {noun} is {v}",
        f"with the {noun} {v}",
        f"where {noun} is {v}",
        f"of {noun} {v}",
        f"having {noun} {v}",
    )
    family = column.family
    before, after, predicate, nouns = _SEATS.get(family, _SEATS[""])
    fill = lambda seats: tuple(s.format(v=v, n=noun, t=row) for s in seats)  # noqa: E731
    before, after, predicate, nouns = fill(before), fill(after), fill(predicate), fill(nouns)
    before = tuple(phrase.replace(v, value) for phrase in before) if family == "reason" else before
    if family == "place" and thing.is_person:
        after += (f"living in {v}", f"who live in {v}", f"from {v}", f"who are from {v}", f"based in {v}")
        predicate = (f"live in {v}", f"live in {v}", f"are from {v}", f"come from {v}", f"are based in {v}")
    if v in english.DEMONYMS:
        before = (english.DEMONYMS[v],) * 2
        predicate += (f"are {english.DEMONYMS[v]}",)
        after += tuple(f"{p} {o}" for o in english.OTHER_NAMES.get(v, ()) for p in ("from", "in"))
    if value.endswith("ed") and " " not in v and family == "status":
        predicate = (f"were {v}", f"were {v}", f"have been {v}", f"are {v}", f"got {v}")
        after = (f"that were {v}", f"that got {v}", f"with status {v}", f"{v}", f"with the {noun} {v}", f"marked as {v}")
    if family == "field" and v.endswith("ics"):
        before += (v[:-1], v[:-1])
    if thing.is_person:
        nouns += _person_nouns(column, v)
    elif column.family in ("form", "status", "drug") and "-" in v:
        nouns += (english.pluralize(v),)
    chosen = plain if family == "" else plain[:2]
    return before, after + chosen, predicate, nouns


def _person_nouns(column: Words, value: str) -> tuple[str, ...]:
    low = value.lower()
    if column.family == "gender":
        return {"female": ("women", "females"), "male": ("men", "males")}.get(low, ())
    if column.family == "field":
        if low.endswith("ology"):
            return (english.pluralize(low[:-1] + "ist"),) * 2
        known = {
            "pediatrics": "pediatrician",
            "orthopedics": "orthopedist",
            "general practice": "general practitioner",
            "psychiatry": "psychiatrist",
            "surgery": "surgeon",
            "radiology": "radiologist",
        }
        return (english.pluralize(known[low]),) * 2 if low in known else ()
    if column.family == "group" and " " not in low and not low.endswith("s") and "\0" not in low:
        return (english.pluralize(low),) * 2
    return ()


# family -> before the noun, after it, as predicate, instead of it
_SEATS: dict[str, tuple[tuple[str, ...], ...]] = {
    "place": (("{v}",), ("in {v}", "in {v}", "in the {v} {n}", "from {v}", "located in {v}", "that are in {v}"), ("are in {v}", "are located in {v}", "are there in {v}", "lie in {v}"), ()),
    "maker": (("{v}", "{v}"), ("by {v}", "from {v}", "made by {v}", "of {v}", "of the {n} {v}", "by the {n} {v}"), ("are made by {v}", "are by {v}", "are from {v}", "come from {v}", "were made by {v}"), ()),
    "gender": (("{v}", "{v}", "{v}"), ("who are {v}", "of {n} {v}"), ("are {v}", "are {v}"), ()),
    "blood": (("{v}",), ("with blood type {v}", "with {v} blood", "with {n} {v}", "of blood type {v}", "who are {v}"), ("have blood type {v}", "have {v} blood", "have {n} {v}", "are {v}"), ()),
    "status": (("{v}", "{v}", "{v}"), ("in {v} {n}", "that are {v}", "with {n} {v}", "marked {v}", "that are still {v}", "with the status {v}"), ("are {v}", "are in {v} {n}", "have the {n} {v}", "are marked {v}", "ended up {v}"), ()),
    "field": (("{v}", "{v}"), ("in {v}", "specialised in {v}", "specializing in {v}", "working in {v}", "who do {v}"), ("work in {v}", "specialise in {v}", "specialize in {v}", "are in {v}", "do {v}", "practice {v}"), ()),
    "channel": (("{v}", "{v}"), ("via {v}", "via the {v}", "through the {v}", "from the {v} {n}", "that came in by {v}", "made through the {v}", "by {v}"), ("came in via {v}", "came through the {v}", "were made via {v}", "came in by {v}", "came from the {v} {n}"), ()),
    "payment": (("{v}",), ("paid by {v}", "paid with {v}", "paid by {v}", "paid via {v}", "with {v} as {n}", "using {v}", "with payment by {v}"), ("were paid by {v}", "were paid with {v}", "were paid for with {v}", "used {v}"), ()),
    "insurer": (("{v}", "{v}-insured"), ("with {v}", "insured by {v}", "insured with {v}", "covered by {v}", "with {v} as {n}", "who have {v}"), ("are insured by {v}", "are insured with {v}", "have {v}", "are with {v}", "are covered by {v}", "have {v} insurance"), ()),
    "plan": (("{v}", "{v}", "{v}-plan"), ("on the {v} {n}", "with a {v} {n}", "on a {v} {n}", "with the {v} {n}", "who have a {v} {n}"), ("are on the {v} {n}", "have a {v} {n}", "use the {v} {n}", "are on a {v} {n}", "have the {v} {n}"), ()),
    "kind": (("{v}", "{v}", "{v}"), ("in the {v} {n}", "in {v}", "of type {v}", "of the {v} {n}", "from the {v} {n}", "from {v}"), ("are {v}", "are in the {v} {n}", "belong to {v}", "are {v} ones", "fall under {v}"), ()),
    "group": (("{v}", "{v}", "{v}"), ("in the {v} {n}", "of the {v} {n}", "who are {v} {t}s", "of type {v}", "that are {v}"), ("are {v}", "are in the {v} {n}", "belong to the {v} {n}", "are of type {v}"), ()),
    "reason": (("{v}", "{v}"), ("for {v}", "for {v}", "because of {v}", "due to {v}", "about {v}", "with {v} as the {n}"), ("were for {v}", "were for {v}", "were because of {v}", "were due to {v}", "were about {v}"), ()),
    "drug": (("{v}", "{v}", "{v}"), ("for {v}", "of {v}", "with {v}", "that are for {v}", "containing {v}"), ("were for {v}", "are for {v}", "were written for {v}", "contain {v}", "are {v}"), ()),
    "form": (("{v}",), ("in {v} form", "as {v}", "for {v}s", "as {v}s", "that are {v}s", "for a {v}", "in the form of {v}"), ("are {v}s", "were for {v}s", "come as {v}", "are in {v} form", "were for a {v}"), ()),
    "": (("{v}",), ("with {n} {v}",), ("have {n} {v}", "have the {n} {v}", "are {v}", "have {v} as {n}"), ()),
}  # fmt: skip
