# ruff: noqa: E501 (phrases read best one a line)
"""The frames around a noun phrase: how people open and close a question.

Belongs here: templates of wording that carry no meaning of their own. Does not belong here: SQL.
The one idea: many frames per intent, since a student that saw few answers few.
"""

from __future__ import annotations

COUNT_FRAMES = (
    "how many {n} (are there|do we have|are there in total|have we got|exist|are in the system|are there altogether|do we have in total|are on record|are in the database|are listed|)?",
    "how many {n} (are there|do we have)?",
    "how many {n}?",
    "(number|count|total number|amount|total count|total) of {n}",
    "number of {n}",
    "(what is|what's|whats|tell me|give me|show me|i need|find|get) the (number|total number|count) of {n}",
    "(count|count the|count all|count all the|count up) {n}",
    "how many of our {n} are there?",
    "(tell me|can you tell me|i want to know|do you know) how many {n} (there are|we have|exist)",
)
SHORT_COUNT_FRAMES = (
    "{n} count",
    "{n}, how many (are there|do we have|)?",
    "(do we have|are there) (any|many) {n}? how many?",
    "(size|length) of the {n} list",
    "{n} total",
)
INVERTED_FRAMES = ("how many {n} {i}?", "how many {n} {i}?", "how many {n} {i}", "(tell me|) how many {n} {i}")
ALL_COUNT_FRAMES = (
    "how many {n} (are in the system|are registered|are there overall|are in the database|do we have on file|are on our books|are in our records|are in the catalogue|are recorded)?",
    "how many {n} are (in|on|in) (the|our) (system|database|books|records|catalogue|register|list|file)?",
)
COUNT_PREDICATE_FRAMES = (
    "how many {n} {p}?",
    "how many {n} {p}?",
    "how many {n} {p}?",
    "how many of (the|our|all|all the) {n} {p}?",
    "(tell me|can you tell me|i want to know|show me) how many {n} {p}",
    "(number|count) of {n} {w} {p}",
    "count (the|all|) {n} {w} {p}",
    "{n} {w} {p}, how many (are there|)?",
)
LIST_FRAMES = (
    "{n}",
    "{n}",
    "{n}",
    "(all|our|all our|all the|the|every one of our) {n}",
    "(list|show|show me|give me|find|get|display|name) (all|the|all the|all our|our|) {n}",
    "(list|show|show me|give me|find|get) {n}",
    "(i need|i want|i'd like|i am looking for|looking for|need) (all|the|a list of|a list of all|to see|) {n}",
    "(list|a list) of {n}",
    "(which|what) {n} (are there|do we have)?",
    "(what|which) are (the|our) {n}?",
    "(do we have|are there) any {n}? (which|which ones|list them|)",
    "(names|name|titles) of {n}",
    "{n}, (list them|show them|which ones|names please|all of them)",
    "pull up {n}",
    "can you (show me|list|find|give me) (all|) {n}",
)
WHO_LIST_FRAMES = (
    "who are (our|the|all the|) {n}?",
    "who are the {n}?",
    "(names|the names|names of all|full names) of {n}",
    "(show|give me|list) the names of (all|the|) {n}",
)
WHICH_FRAMES = (
    "which {n} {p}?",
    "which {n} {p}?",
    "(what|which) {n} {p}?",
    "(which|which of our|which of the) {n} {p}?",
    "(list|show|show me|give me|find|get) (all|the|all the|) {n} {w} {p}",
    "{n} {w} {p}",
    "(tell me|show me|i want to know) which {n} {p}",
    "(all|any) {n} {w} {p}",
)
WHO_FRAMES = (
    "who {p}?",
    "who {p}?",
    "(list everyone|everyone|everybody|all the people|people|show me everyone|anyone) who {p}",
    "(names|list|show me the names) of (everyone|people|those) who {p}",
    "who all {p}?",
)
AVERAGE_FRAMES = (
    "average {m} (of|for|of|of all|across|over) {n}",
    "(what is|what's|whats|show me|give me|find|calculate|tell me|compute|i need) the average {m} (of|for|of all|across) {n}?",
    "(avg|mean|average) {m} {n}",
    "avg {m} (of|for) {n}",
    "what (is|was) the (mean|average) {m} (of|for) {n}?",
    "(what's|what is) the {m} of {n} on average?",
    "{n}: average {m}",
    "{n} average {m}",
    "average {m} (of|for|per) {a}",
    "{m} of {n} on average",
    "what {m} do {n} have on average?",
)
SUM_FRAMES = (
    "total {m} (of|for|of|of all|across|over|from) {n}",
    "(what is|what's|whats|show me|give me|find|calculate|tell me|i need) the (total|sum of the|total|overall|combined) {m} (of|for|of all|across|from) {n}?",
    "(sum of|sum up|add up|sum) (the|) {m} (of|for|over) {n}",
    "{n}: total {m}",
    "{n} total {m}",
    "(what do|how much do) the {m} of {n} add up to?",
    "overall {m} of {n}",
    "{m} of {n} (in total|altogether|overall|summed up|combined)",
    "how much {m} (is there in total|do we have in total) for {n}?",
)
MANY_SUM_FRAMES = (
    "how many {m} do {n} have (in total|altogether|overall|together|combined)?",
    "how many {m} (are there in total|in total|altogether) for {n}?",
    "how many {m} in total over all {n}?",
)
EXTREME_FRAMES = (
    "{x} {m} (of|for|among|of any of the|across|of all) {n}",
    "(what is|what's|whats|what was|show me|give me|find|tell me) the {x} {m} (of|for|among|across|of all|of any) {n}?",
    "{n}: {x} {m}",
    "{x} {m} of {n}",
    "(what|which) is the {x} {m} {n} have?",
    "{x} {m} (we have|on record|we have ever had|ever|) for {n}",
    "the {x} {m} of {n}",
)
GROUP_FRAMES = (
    "{n} (per|by|by|for each|in each|for every|per) {g}",
    "(number|count|total number|no) of {n} (per|by|for each|in each|for every|grouped by|broken down by|of each) {g}",
    "how many {n} (are there|do we have|) (per|in each|for each|for every|by|of each) {g}?",
    "how many {n} (per|for each|in each|by|of each|of every) {g}?",
    "how many {n} does each {g} have?",
    "(count|show|show me|give me|list|display|get) (the number of|the count of|) {n} (per|by|for each|for every|in each) {g}",
    "(show me|give me|i need|i'd like) (the number of|the count of|a count of|a breakdown of) {n} (per|by|for each|for every) {g}",
    "(for each|for every|per) {g}, (how many {n} are there|the number of {n}|count the {n}|how many {n})?",
    "(break down|split|group) (the|our|) {n} by {g}",
    "{n} (count|numbers|totals) (by|per) {g}",
    "each {g} and (its|the) (number of|count of) {n}",
    "(what is|what's) the number of {n} (per|by|for each|in each) {g}?",
    "how are {n} (split|distributed|spread) (by|over|across) {g}?",
    "{g} and number of {n}",
    "how many {n} of each {g} (do we have|are there|)?",
    "how many {n} of every {g} (do we have|are there)?",
    "{n} grouped by {g}",
    "distribution of {n} (by|over) {g}",
)
GROUP_MEASURE_FRAMES = (
    "{f} {m} (per|by|for each|by|of each|for every|in each) {g}",
    "{f} {m} of {n} (per|by|for each|by|for every|in each) {g}",
    "(what is|what's|whats|show me|give me|find|list|i need|calculate|please show me) the {f} {m} (per|by|for each|for every|of each|in each) {g}?",
    "(what is|what's|show me|give me|list|get) the {f} {m} of {n} (per|by|for each|for every|in each) {g}?",
    "(for each|per|for every) {g}, (the|what is the|show the|) {f} {m} (of {n}|)?",
    "{f} {m} for {n} (by|per|in each|for every) {g}",
    "{n}: {f} {m} (by|per) {g}",
    "what (is|was) the {f} {m} (by|per|for each|in every) {g}?",
    "{g} and {f} {m}",
    "each {g} with its {f} {m}",
    "what {f} {m} does each {g} have?",
    "{f} {m} grouped by {g}",
    "compare the {f} {m} (across|of|between) {gs}",
)
GROUP_PREDICATE_FRAMES = (
    "how many {n} (of each|in each|per|for each|of every) {g} {p}?",
    "how many {n} {p}, (by|per|for each) {g}?",
    "how many {n} {p} (per|in each|for each) {g}?",
    "for each {g}, how many {n} {p}?",
)
FUNCTION_WORDS = {
    "AVG": ("average", "average", "average", "avg", "mean"),
    "SUM": ("total", "total", "total", "overall", "combined", "summed"),
    "MAX": ("highest", "maximum", "max", "largest", "biggest", "top"),
    "MIN": ("lowest", "minimum", "min", "smallest"),
}
TOP_FRAMES = (
    "(top|the top|our top|show me the top|give me the top|list the top) {k} {n} by {m}",
    "(the|show me the|give me the|list the|which are the|what are the|find the|) {k} {n} with the {o} {m}",
    "(which|what) {k} {n} have the {o} {m}?",
    "{n} with the {k} {h} {ms}",
    "{k} {n} with the {o} {m}",
    "{n} by {m}, {top} {k}",
)
