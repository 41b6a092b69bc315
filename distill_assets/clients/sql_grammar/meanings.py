"""What kinds of column there are, and how people talk about each.

Belongs here: families of meaning (a price, a duration, a town, a maker) found by the words of a
column's name and documentation, and the adjectives that go with them. Does not belong here:
anything about one database, or questions.
"""

from __future__ import annotations

from typing import NamedTuple

TEXT_FAMILIES: dict[str, str] = {
    "place": "city town country district neighbourhood area quarter region location county province borough venue",
    "maker": "maker brand manufacturer producer publisher vendor supplier",
    "gender": "gender sex",
    "blood": "blood",
    "status": "status outcome condition state stage",
    "field": "specialty speciality field department discipline subject major division team",
    "channel": "channel source medium",
    "payment": "payment paying",
    "insurer": "insurer insurance",
    "plan": "plan subscription membership tariff tier",
    "kind": "kind type category genre class cuisine species breed",
    "group": "segment group role position job title",
    "reason": "reason complaint purpose cause topic",
    "drug": "drug medicine medication substance",
    "form": "form format shape",
    "language": "language",
    "color": "color colour",
}
NUMBER_FAMILIES: dict[str, str] = {
    "rating": "rating stars score review grade",
    "percent": "percent discount percentage reduction",
    "year": "year",
    "pay": "salary wage hourly pay",
    "price": "price cost fee fare charge shipping amount total revenue postage sum tuition rent premium",
    "duration": "minutes duration hours seconds length days weeks time",
    "distance": "distance km kilometers miles mileage",
    "height": "elevation altitude height depth tall",
    "weight": "weight mass kg",
    "age": "age",
    "dose": "dose strength dosage",
    "size": "docks capacity seats size rooms beds area population pages floors employees",
    "count": "points stock inventory quantity refills units pieces credits goals votes copies balance credit number count",
}
DATE_FAMILIES: dict[str, str] = {
    "birth": "birth born birthday",
    "join": "signed sign-up registered registration joined hired hire joining member",
    "event": "",
}


class Degree(NamedTuple):
    """How one end of a measure is named: of the row ("cheapest"), of the value ("lowest"), "with the fewest"."""

    rows: tuple[str, ...]
    values: tuple[str, ...]
    most: tuple[str, ...]


_HIGH = ("highest", "highest", "biggest", "largest", "maximum", "top")
_LOW = ("lowest", "lowest", "smallest", "minimum")
_D = Degree
# family -> (the largest value, the smallest value)
DEGREES: dict[str, tuple[Degree, Degree]] = {
    "price": (
        _D(("most expensive", "priciest", "most costly", "dearest", "highest priced"), _HIGH, ("highest", "biggest")),
        _D(("cheapest", "cheapest", "least expensive", "most affordable", "lowest priced"), _LOW, ("lowest", "smallest")),
    ),
    "pay": (
        _D(("best paid", "highest paid", "most expensive", "top earning"), _HIGH, ("highest",)),
        _D(("lowest paid", "worst paid", "cheapest"), _LOW, ("lowest",)),
    ),
    "birth": (
        _D(("youngest",), ("latest", "most recent"), ("latest",)),
        _D(("oldest",), ("earliest",), ("earliest",)),
    ),
    "join": (
        _D(("newest", "most recent", "latest", "most recently joined"), ("latest", "most recent", "last"), ("latest", "most recent")),
        _D(("oldest", "longest-standing", "first", "earliest"), ("earliest", "first"), ("earliest",)),
    ),
    "event": (
        _D(("newest", "latest", "most recent", "last"), ("latest", "most recent", "last"), ("latest", "most recent")),
        _D(("oldest", "first", "earliest"), ("earliest", "first", "oldest"), ("earliest",)),
    ),
    "duration": (
        _D(("longest",), ("longest", "longest", "highest", "maximum"), ("longest",)),
        _D(("shortest", "quickest"), ("shortest", "shortest", "minimum"), ("shortest",)),
    ),
    "distance": (
        _D(("furthest", "farthest"), ("longest", "longest", "greatest", "biggest", "maximum"), ("longest", "greatest")),
        _D((), ("shortest", "shortest", "smallest", "minimum"), ("shortest",)),
    ),
    "height": (
        _D(("highest", "tallest"), ("highest", "greatest", "maximum"), ("highest", "greatest")),
        _D(("lowest",), ("lowest", "minimum"), ("lowest",)),
    ),
    "weight": (
        _D(("heaviest",), ("heaviest", "highest", "biggest"), ("highest", "biggest")),
        _D(("lightest",), ("lightest", "lowest", "smallest"), ("lowest", "smallest")),
    ),
    "age": (
        _D(("oldest",), ("highest", "oldest"), ("highest",)),
        _D(("youngest",), ("lowest", "youngest"), ("lowest",)),
    ),
    "rating": (
        _D(("best rated", "highest rated", "top rated", "best"), ("best", "highest", "top", "maximum"), ("best", "highest")),
        _D(("worst rated", "lowest rated", "worst"), ("worst", "lowest", "minimum"), ("worst", "lowest")),
    ),
    "size": (
        _D(("biggest", "largest"), _HIGH, ("most", "most", "highest")),
        _D(("smallest",), _LOW, ("fewest", "fewest", "least", "lowest")),
    ),
    "count": (
        _D((), ("highest", "largest", "biggest", "most", "maximum"), ("most", "most", "highest", "largest", "biggest")),
        _D((), ("lowest", "smallest", "fewest", "minimum"), ("fewest", "least", "lowest", "smallest")),
    ),
    "dose": (
        _D(("strongest",), ("highest", "strongest", "largest"), ("highest", "largest")),
        _D(("weakest",), ("lowest", "smallest"), ("lowest", "smallest")),
    ),
    "percent": (
        _D((), ("highest", "biggest", "largest", "maximum"), ("highest", "biggest", "largest")),
        _D((), ("lowest", "smallest", "minimum"), ("lowest", "smallest")),
    ),
    "": (
        _D((), ("highest", "largest", "biggest", "maximum"), ("highest", "most", "largest", "biggest")),
        _D((), ("lowest", "smallest", "minimum"), ("lowest", "least", "smallest")),
    ),
}  # fmt: skip

# What subjects of an event do: noun of the event -> past verbs (first is the commonest).
EVENT_VERBS: dict[str, tuple[str, ...]] = {
    "order": ("placed", "made"), "purchase": ("made",), "sale": ("made",), "trip": ("took", "made"),
    "ride": ("took", "had"), "journey": ("made", "took"), "rental": ("had", "made"), "hire": ("had", "made"),
    "visit": ("had", "made"), "appointment": ("had",), "consultation": ("had",), "prescription": ("got", "received"),
    "payment": ("made",), "booking": ("made",), "reservation": ("made",), "loan": ("took", "had"), "review": ("wrote",),
    "ticket": ("bought", "got"), "session": ("had",), "game": ("played",), "match": ("played",), "flight": ("took",),
    "course": ("took",), "enrollment": ("had",), "invoice": ("got", "received"), "call": ("made",), "lesson": ("took",),
}  # fmt: skip

# The same for persons who do a thing for others: a doctor "wrote" a prescription.
PERFORMER_VERBS: dict[str, tuple[str, ...]] = {
    "prescription": ("wrote", "issued"), "visit": ("had", "did", "handled"), "appointment": ("had",), "order": ("handled", "took"),
    "course": ("taught",), "lesson": ("taught", "gave"), "sale": ("made", "closed"), "book": ("wrote",), "call": ("handled", "took"),
}  # fmt: skip

# What a person does with the other thing of an event: the person "bought" a product, "rode" a bike.
OBJECT_VERBS: dict[str, tuple[str, ...]] = {
    "product": ("bought", "ordered", "purchased"), "item": ("bought", "ordered"), "article": ("bought", "ordered"),
    "bike": ("rode", "used", "took"), "bicycle": ("rode", "used"), "doctor": ("saw", "visited"), "physician": ("saw",),
    "patient": ("saw", "treated"), "book": ("borrowed", "read"), "movie": ("rented", "watched"), "film": ("rented", "watched"),
    "course": ("took", "attended"), "car": ("rented", "drove"), "room": ("booked",), "song": ("played",), "game": ("played", "bought"),
    "event": ("attended",), "dish": ("ordered",), "track": ("bought",), "album": ("bought",), "vehicle": ("used", "drove"),
}  # fmt: skip


def find_family(families: dict[str, str], *texts: str) -> str:
    """Return the first family one of whose words is in the texts; earlier texts decide first."""
    for text in texts:
        words = text.lower().replace(",", " ").split()
        for family, known in families.items():
            if any(word in known.split() for word in words):
                return family
    return ""
