# ruff: noqa: E501 (phrases read best one a line)
"""Frames of questions across tables.

Belongs here: wording with slots. Does not belong here: choosing a frame or a query. Slots: {n} the
targets, {g} and {gs} one and many of a group, {f} the facts, {e} a named target, {one} and {a} one
fact, {verb}, {base}, {done} forms of the verb between them, {role} a role such as "start station".
"""

from __future__ import annotations

DID_PERSON = (
    "how many {f} did {e} {base}?", "how many {f} did {e} {base}?", "how many {f} {has} {e} {done}?", "how often did {e} {base} {a}?",
    "(number|count|total number) of {f} (by|from|for|of|{by}) {e}", "how many {f} ({were}|are from|by|for) {e}?", "{e}: how many {f}?", "how many {f} {does} {e} have?",
)  # fmt: skip
DID_ONE_PERSON = ("{e}'s number of {f}", "count {e}'s {f}", "how many {f} are {e}'s?")
DID_PLACE = ("how many {f} {verb} (at|in) {e}?", "(number|count) of {f} {ing} (at|in) {e}", "how many {f} {attached}?")
DID_THING = (
    "how many {f} {attached} (are there|do we have|were there|)?",
    "(number|count) of {f} {attached}",
    "how many {f} {does} {e} have?",
)

BY_PERSON = ("by {e}", "by {e}", "of {e}", "from {e}", "for {e}", "{by} {e}", "{e} {verb}", "that {e} {verb}", "that belong to {e}")
BY_WRITER = ("by {e}", "by {e}", "from {e}", "{by} {e}", "that {e} {verb}", "{e} {verb}")
FOR_RECEIVER = ("for {e}", "of {e}", "for {e}", "{e} {verb}", "that {e} {verb}", "written for {e}", "given to {e}")
AT_PLACE = ("that {verb} (at|in) {e}", "{ing} (at|in) {e}", "with {e} as {role}", "whose {role} is {e}")
IN_ROLE = ("with {e} as {role}", "whose {role} is {e}", "with {role} {e}", "that have {e} as {role}")
OF_PLACE = ("at {e}", "in {e}", "from {e}", "of {e}")
OF_THING = ("for {e}", "of {e}", "with {e}", "for {e}", "on {e}", "involving {e}")
OF_OBJECT = ("where {e} was {passive}", "containing {e}")

TOP_BY_MEASURE = (
    "(top|the top|show me the top|our top) {k} {gs} by {w} {m}",
    "{k} {gs} with the {h} {w} {m}",
    "(which|what) {k} {gs} have the {h} {w} {m}?",
    "top {k} {gs} by {m}",
)
BOTTOM_BY_MEASURE = ("{k} {gs} with the {h} {w} {m}", "(the|) bottom {k} {gs} by {w} {m}")
BY_MEASURE = (
    "(which|what) {g} has the {h} {w} {m}?",
    "{g} with the {h} {w} {m}",
    "(find|show me|tell me) the {g} with the {h} {w} {m}",
    "{h} {w} {m}: which {g}?",
)
BY_SUM = ("(which|what) {g} has the {x} {m} (in total|overall|altogether)?", "{g} with the {x} {m} (in total|overall|)")
WHO_BY_MEASURE = ("who has the {h} {w} {m}?", "who has the {h} {w} {m}")
TOP_BY_COUNT = (
    "(the|) {k} {gs} with the {o} {f}",
    "(which|what) {k} {gs} have the {o} {f}?",
    "top {k} {gs} by (number of|) {f}",
    "(top|the top|show the top) {k} {gs} by {f}",
)
BOTTOM_BY_COUNT = TOP_BY_COUNT[:2]
BY_COUNT = (
    "(which|what) {g} has the {o} {f}?",
    "{g} with the {o} {f}",
    "(find|show me|tell me) the {g} with (the|) {o} {f}",
    "(which|what) {g} had (the|) {o} {f}?",
    "{o} {f}: which {g}?",
)
WHO_BY_COUNT = (
    "who {verb} the {o} {f}?",
    "which {g} {verb} (the|) {o} {f}?",
    "who has {done} (the|) {o} {f}?",
    "who has the {o} {f}?",
)
ROLE_BY_COUNT = ("{role} with the {o} {f}",)
PLACE_BY_COUNT = (
    "(which|what) {place} do most {f} {base} (at|from|in)?", "where do most {f} {base}?", "{place} where most {f} {base}", "{role} with the most {f}",
    "(busiest|most popular|most common|most used) {role}",
)  # fmt: skip
POPULAR_PLACE = ("(busiest|most popular|most used) {g}", "(which|what) {g} (is|was) (the|) most (popular|used)?")
POPULAR_THING = (
    "most (popular|{passive}|often {passive}|frequently {passive}) {g}",
    "(which|what) {g} (is|was) (the|) most (popular|{passive})?",
    "(which|what) {g} (is|was) {passive} (the|) most (often|)?",
)

NEVER = (
    "{n} without (any|a single|) {f}", "(which|what) {n} have no {f}?", "{n} with no {f} (at all|)", "{n} with zero {f}",
    "(list|show me|find|give me) (all|the|) {n} (without (any|) {f}|with no {f}|{who} have no {f})", "{n} {who} have never had {a}",
    "(is there|are there) any {n} without (a single|any|) {f}? (which|which ones|)", "(which|what) {n} don't have (any|a single) {f}?",
)  # fmt: skip
NEVER_PERSON = (
    "(is there|are there) any {n} who (has|have) not had (a single|any) {one}? (who|which|)", "did any {n} {base} no {one}? (names please|who|which|)", "who has never {done} {a}?",
    "who (has not|hasn't) {done} (any {f}|{a})?", "{n} who (have never|never|have not yet|haven't) {done} {a}", "(which|what) {n} (have never|never|haven't) {done} {a}?",
    "who never {verb} {a}?", "(which|what) {n} did not {base} any {f}?", "{n} that didn't {base} (anything|any {f})", "inactive {n} (with no {f}|without {f})",
)  # fmt: skip
NEVER_PLACE = (
    "{n} where no {one} (has ever|ever|has) {verb}", "(which|what) {n} have had no {f} {verb}?", "at which {n} did no {one} {base}?",
    "{n} where (nobody|no one|nobody has ever) {verb} {a}", "(which|what) {n} never had {a} {verb} there?", "(list|show) {n} where no {one} {verb}", "{n} never used as {role}",
)  # fmt: skip
NEVER_THING = (
    "{n} never {passive}", "(which|what) {n} (were|are) never {passive}?", "(which|what) {n} have (never|not) been {passive}?",
    "{n} that (were never|have never been|nobody ever|no one has|haven't been) {passive}", "(list|show me|find) {n} that (were never|have not been) {passive}",
    "(which|what) {n} has nobody {passive} (yet|so far|)?", "(are there|do we have) any {n} that never had {a}?",
)  # fmt: skip
