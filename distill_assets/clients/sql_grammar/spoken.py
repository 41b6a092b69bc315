# ruff: noqa: E501 (phrases read best one a line)
"""How people say it without naming the measure: "how long is a visit on average", "cheapest bike".

Belongs here: frames that depend on the family of a column. Does not belong here: frames that fit any
column (asking), or choosing a query. Slots: {n} rows, {s} one row, {a} one row with its article,
{m} the measure, {v} a named row, {r} an adjective, {x} "most" or "least".
"""

from __future__ import annotations

AGGREGATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("duration", "AVG"): ("how long (is|was) {a} on average?", "how long do {n} (take|last) on average?", "average length of {a}", "how long does {a} (take|last) on average?", "average time of {n}"),
    ("duration", "SUM"): ("how much time (did {n} take|was spent on {n}) in total?", "total time (spent on|of) {n}"),
    ("duration", "MAX"): ("how long (is|was) the longest {s}?", "length of the longest {s}"),
    ("duration", "MIN"): ("how long (is|was) the shortest {s}?", "length of the shortest {s}"),
    ("distance", "AVG"): ("how (far|long) (is|was) {a} on average?", "how far do {n} go on average?"),
    ("distance", "SUM"): ("how (far|many km) did {n} go in total?", "how far in total for {n}?"),
    ("distance", "MAX"): ("{m} of the furthest {s}", "how far was the furthest {s}?", "longest {s} in {m}"),
    ("height", "AVG"): ("how (high|tall) is {a} on average?", "{m} of {a} on average"),
    ("height", "MAX"): ("how (high|tall) is the highest {s}?", "{m} of the highest {s}", "how (high|tall) is the highest {s}?"),
    ("height", "MIN"): ("how (high|tall) is the lowest {s}?", "{m} of the lowest {s}", "how (high|low) is the lowest {s}?"),
    ("rating", "AVG"): ("how (well|good) (are|were) {n} rated on average?", "average rating of {n}", "how many stars do {n} get on average?"),
    ("count", "SUM"): ("how many {m} (do we have|are there) in total for {n}?", "how many {m} do all {n} have together?", "how many {m} altogether in {n}?"),
    ("price", "AVG"): ("how much (do|did) {n} cost on average?", "what (does|did) {a} cost on average?", "how much (is|was) (paid|charged) for {n} on average?", "what do {n} cost on average?"),
    ("price", "SUM"): (
        "(what's|what is|) the total (we paid|paid|charged|spent|cost) (for|on|of) (all|all our|all the|our) {n}?", "total (paid|spent|charged) (for|on) (all|our|) {n}",
        "how much (money|) (did|have) we (spend|pay|spent|paid) on (all|) {n}?", "what did (all|all our) {n} cost (together|in total|altogether)?", "how much (do|did) {n} cost in total?",
        "how much did we (spend on|pay for|charge for) (all|all our|) {n} in total?", "how much (is|was) (paid|charged) for {n} in total?",
    ),
    ("price", "MAX"): (
        "(whats|what's|what is|) the (biggest|highest|largest) {m} (anyone|anybody|someone) (ever|has ever|) paid (for {a}|)?", "(biggest|highest|largest) {m} ever (paid|charged) for {a}",
        "how much (does|did) the (most expensive|priciest) {s} cost?", "price of the (most expensive|priciest) {s}", "what does the most expensive {s} cost?",
        "(what is|what's) the most (anyone|someone|we) (ever|) (paid|charged) for {a}?", "most ever (paid|charged) for {a}",
    ),
    ("price", "MIN"): (
        "(what's|what is|) the (smallest|lowest) {m} (anyone|anybody|someone) (ever|has ever|) paid (for {a}|)?", "(smallest|lowest) {m} ever (paid|charged) for {a}",
        "how much (does|did) the (cheapest|least expensive) {s} cost?", "price of the (cheapest|least expensive) {s}", "what does the cheapest {s} cost?",
        "(what is|what's) the least (anyone|someone|we) (ever|) (paid|charged) for {a}?",
    ),
}  # fmt: skip
# Families that share the frames of "the most docks any station has".
COUNTED = ("count", "size", "percent", "")
COUNTED_EXTREMES: dict[str, tuple[str, ...]] = {
    "MAX": ("(what is|what's) the most {m} (any {s} has|of any {s})?", "most {m} (any|a single|one) {s} has", "(largest|biggest|highest) {m} (of|on|in|for) (a single|any|one) {s}", "(largest|biggest|highest) {m} (anyone has|we have|ever|of all)"),
    "MIN": ("(what is|what's) the fewest {m} (any {s} has|of any {s})?", "fewest {m} (any|a single|one) {s} has", "(smallest|lowest) {m} (of|on|in|for) (a single|any|one) {s}", "(smallest|lowest) {m} (anyone has|we have|ever|of all)"),
}  # fmt: skip
# Names of money columns that are the price of the row itself, not one amount among others.
PRICE_NAMES = frozenset(("price", "cost", "fare", "fee", "charge", "amount", "total"))

ADJECTIVES = (
    "(which|what|which) {s} (is|was) (the|our|) {r}?", "(which|what|which) {s} (is|was) the {r}?", "(what is|what's|show me|give me|find|name|tell me) (the|our|) {r} {s}",
    "{r} {s}", "{r} {s}", "{r} {s}?", "the {r} {s}", "(our|) {r} {s} (we have|in the database|right now|please|)", "{s} that is the {r}",
    "(which|what) {s} is {r}?", "(our|the) {r} {s}: which one?", "(which|what) of (the|our) {n} is the {r}?",
)  # fmt: skip
PERSON_ADJECTIVES = ("(who is|who's|whos|who is) (the|our) {r} {s}?",) * 4
DEGREES = (
    "(which|what|which) {s} has the {o} {m}?", "{s} with (the|) {o} {m}", "(find|show me|give me|tell me) the {s} with the {o} {m}", "{o} {m}: which {s}?",
    "(which|what|which) {s} has (the|) {o} {m}",
)  # fmt: skip
PERSON_DEGREES = ("who has (got|) the {o} {m}?", "who has {o} {m}")
AMONG_DEGREES = ("who has the {o} {m} (among|of|of all) (our|the|) {n}?",)
FAMILY_DEGREES: dict[str, tuple[str, ...]] = {
    "price": ("(which|what) {s} costs (the|) {x}?",), "rating": ("(which|what) {s} is rated {b}?",),
    "pay": ("(which|what) {s} (earns|gets|charges|makes) the {x}?", "who (earns|makes|charges) the {x}?"),
}  # fmt: skip

LOOK_UPS = (
    "{m} of {v}", "what (is|was) the {m} of {v}?", "(what's|what is|whats) {v}'s {m}?", "{v} {m}", "(show|give me|find|tell me|get|i need) the {m} (of|for) {v}",
    "{v}'s {m}", "what {m} (does {v} have|is {v}|is {v} on)?", "which {m} (does {v} have|is {v} in)?",
)  # fmt: skip
PASSIVE_WHEN = ("when was {v} {verb}?", "when was {v} {verb}", "(what day|what date|on which date) was {v} {verb}?")
ACTIVE_WHEN = ("when did {v} {base}?", "when did {v} {base}", "on (what|which) (date|day) did {v} {base}?")
PERSON_SINCE = ("since when (has {v} {done}|is {v} with us)?",)
FAMILY_LOOK_UPS: dict[str, tuple[str, ...]] = {
    "price": ("how much (does|did) {v} cost?", "how much is {v}?"), "place": ("where is {v}?", "(what|which) {m} is {v} in?"),
    "maker": ("who (makes|made) {v}?", "(which|what) {m} is {v} (from|by)?"),
}  # fmt: skip
PERSON_PLACE = (
    "where (does {v} live|is {v} from|is {v})?",
    "(what|which) {m} is {v} (from|in)?",
    "(what|which) {m} does {v} live in?",
)
FLAGS = ("does {v} have (a|) {m}?", "is there {m} at {v}?", "{v} {m}?")
