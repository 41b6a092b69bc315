"""Questions over one table: counts, lists, look-ups, aggregates.

Belongs here: intents whose query reads a single table without grouping. Does not belong here:
groups (grouping), order and top n (ranking), joins (joining).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking, english, meanings
from distill_assets.clients.sql_grammar.conditions import Condition, draw_condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing, Words
from distill_assets.clients.sql_grammar.phrases import (
    ADDITIVE, Draft, measure_noun, noun_phrase, pick_measure, pick_thing, predicate_of, tests_of, to_singular,
)  # fmt: skip
from distill_assets.clients.sql_grammar.query import Item, Query, Test, quote_text

COUNT = Item("COUNT")


def draw_conditions(d: Draw, thing: Thing, n: int, avoid: tuple[str, ...] = ()) -> tuple[Condition, ...]:
    """Draw up to n conditions on different columns."""
    out: list[Condition] = []
    for _ in range(n):
        used = tuple(t.item.ref.column for c in out for t in c.tests if t.item.ref)
        condition = draw_condition(d, thing, avoid + used)
        if condition:
            out.append(condition)
    return tuple(out)


def ask_count(d: Draw, lexicon: Lexicon) -> Draft | None:
    """How many rows, under up to two conditions."""
    thing = pick_thing(d, lexicon)
    if not thing:
        return None
    if d.chance(0.07):
        return _count_distinct(d, thing)
    conditions = draw_conditions(d, thing, d.weigh({0: 1.6, 1: 7.0, 2: 1.4}))
    query = Query((COUNT,), thing.name, tests=tests_of(conditions))
    if conditions and d.chance(0.45):
        who = "who" if thing.is_person else "that"
        rest = noun_phrase(d, thing, conditions[1:], noun="people" if thing.is_person and d.chance(0.12) else "")
        text = d.say(d.pick(asking.COUNT_PREDICATE_FRAMES), n=rest, p=predicate_of(d, conditions[0]), w=who)
    else:
        text = _say_count(d, thing, conditions)
    return Draft("count", text, query)


def _say_count(d: Draw, thing: Thing, conditions: tuple[Condition, ...]) -> str:
    if conditions and conditions[0].inverted and d.chance(0.45):
        return d.say(d.pick(asking.INVERTED_FRAMES), n=noun_phrase(d, thing, conditions[1:]), i=d.pick(conditions[0].inverted))
    rows = noun_phrase(d, thing, conditions)
    frames = asking.COUNT_FRAMES + (asking.ALL_COUNT_FRAMES * 3 if not conditions else ())
    if len(rows.split()) < 4:
        frames += asking.SHORT_COUNT_FRAMES
    return d.say(d.pick(frames), n=rows)


def _count_distinct(d: Draw, thing: Thing) -> Draft | None:
    columns = [c for c in thing.columns if c.kind in ("category", "ref") and c.n_distinct > 1]
    if not columns:
        return None
    column = d.focus(columns, lambda c: str(c.ref))
    things = english.pluralize(d.lean(column.nouns))
    conditions = draw_conditions(d, thing, d.weigh({0: 3, 1: 1}), (column.ref.column,))
    rows = noun_phrase(d, thing, conditions)
    text = d.say(
        "(how many (different|distinct|unique|) {g} (are there|do we have|appear|) (among|for|in|across) {n}?"
        "|number of (different|distinct|unique) {g} (of|among|in) {n}|count (the|) (distinct|different) {g} of {n}"
        "|how many different {g} do {n} have?|in how many (different|) {g} are {n}?|how many (different|) {g} do {n} come from?)",
        g=things, n=rows,
    )  # fmt: skip
    return Draft("count_distinct", text, Query((Item("COUNT DISTINCT", column.ref),), thing.name, tests=tests_of(conditions)))


def ask_list(d: Draw, lexicon: Lexicon) -> Draft | None:
    """List the rows under conditions, by label or key."""
    thing = pick_thing(d, lexicon, lambda t: t.has_label or d.chance(0.45))
    if not thing:
        return None
    if d.chance(0.2):
        return _look_up(d, thing)
    if d.chance(0.1):
        return _list_attributes(d, thing)
    conditions = draw_conditions(d, thing, d.weigh({0: 0.35, 1: 6.0, 2: 3.0}))
    query = Query((Item("", thing.label.ref),), thing.name, tests=tests_of(conditions))
    return Draft("list", say_list(d, thing, conditions), query)


def say_list(d: Draw, thing: Thing, conditions: tuple[Condition, ...]) -> str:
    """Word a list of rows under conditions."""
    who = "who" if thing.is_person else d.pick(("that", "that", "which"))
    if thing.is_person and conditions and d.chance(0.3):
        rest = conditions[1:]
        extra = "".join(f" and {predicate_of(d, c)}" for c in rest)
        return d.say(d.pick(asking.WHO_FRAMES), p=_who_form(d, conditions[0]) + extra)
    if conditions and d.chance(0.42):
        return d.say(d.pick(asking.WHICH_FRAMES), n=noun_phrase(d, thing, conditions[1:]), p=predicate_of(d, conditions[0]), w=who)
    frames = asking.WHO_LIST_FRAMES if thing.is_person and d.chance(0.2) else asking.LIST_FRAMES
    return d.say(d.pick(frames), n=noun_phrase(d, thing, conditions))


def _who_form(d: Draw, condition: Condition) -> str:
    phrase = predicate_of(d, condition)
    return to_singular(phrase) if d.chance(0.75) else phrase


def _look_up(d: Draw, thing: Thing) -> Draft | None:
    columns = [c for c in thing.columns if c.kind not in ("key", "ref", "label", "other")]
    if not columns or not thing.has_label or len(thing.label.values) < 2:
        return None
    column = d.focus(columns, lambda c: str(c.ref))
    value = d.focus(thing.label.values, str.lower)
    query = Query((Item("", column.ref),), thing.name, tests=(Test(Item("", thing.label.ref), "=", quote_text(value)),))
    return Draft("lookup", say_look_up(d, thing, column, value), query)


def say_look_up(d: Draw, thing: Thing, column: Words, value: str) -> str:
    """Word a question for one attribute of one named row."""
    noun, named = measure_noun(d, column), value if thing.is_person else d.pick((value, f"the {value}", value, f"{thing.nouns[0]} {value}"))
    frames = ["{m} of {v}", "what (is|was) the {m} of {v}?", "(what's|what is|whats) {v}'s {m}?", "{v} {m}", "(show|give me|find|tell me|get|i need) the {m} (of|for) {v}", "{v}'s {m}", "what {m} (does {v} have|is {v}|is {v} on)?", "which {m} (does {v} have|is {v} in)?"]
    if column.clause and column.kind in ("date", "year"):
        clause = column.clause
        if clause.startswith("was "):
            frames = [f"when was {{v}} {clause[4:]}?", f"when was {{v}} {clause[4:]}", f"(what day|what date|on which date) was {{v}} {clause[4:]}?"] * 2 + frames[:3]
        else:
            frames = [f"when did {{v}} {english.base_form(clause)}?", f"since when (has {{v}} {english.participle(clause)}|is {{v}} with us)?" if thing.is_person else f"when did {{v}} {english.base_form(clause)}", f"on (what|which) (date|day) did {{v}} {english.base_form(clause)}?"] * 2 + frames[:3]
    elif column.kind == "number":
        frames += ["how many {m} does {v} have?"] * 2 if english.is_plural(noun) else ["how much {m} does {v} have?"]
        if column.family == "price":
            frames += ["how much (does|did) {v} cost?", "how much is {v}?"]
    elif column.family == "place":
        frames += ["where (does {v} live|is {v} from|is {v})?", "(what|which) {m} is {v} (from|in)?", "(what|which) {m} does {v} live in?"] if thing.is_person else ["where is {v}?", "(what|which) {m} is {v} in?"]
    elif column.family == "maker":
        frames += ["who (makes|made) {v}?", "(which|what) {m} is {v} (from|by)?"]
    elif column.kind == "flag":
        frames = ["does {v} have (a|) {m}?", "is there {m} at {v}?", "{v} {m}?"]
    return d.say(d.pick(frames), m=noun, v=named)


def _list_attributes(d: Draw, thing: Thing) -> Draft | None:
    columns = [c for c in thing.columns if c.kind not in ("key", "ref", "label", "other", "flag")]
    if not columns:
        return None
    column = d.focus(columns, lambda c: str(c.ref))
    conditions = draw_conditions(d, thing, 1, (column.ref.column,))
    rows, noun = noun_phrase(d, thing, conditions), measure_noun(d, column)
    items = (Item("", column.ref),)
    if d.chance(0.65):
        first = "names" if thing.has_label and thing.label.ref.column != "title" else ("titles" if thing.has_label else d.pick(("ids", "numbers")))
        items = (Item("", thing.label.ref), *items)
        frame = "((list|show|show me|give me|get|) (the|) {l} and {ms} of {n}|{l} and {ms} (of|for) {n}|{n} (with|and) their {ms}|(show|list|give me) {n} (with|and|along with) their {m})"
    else:
        first = ""
        frame = "((show|show me|list|give me|get) (the|) {ms} of {n}|{ms} of {n}|(show|list|give me) the {m} of (every|each|all) {n}|what are the {ms} of {n}?)"
    text = d.say(frame, l=first, n=rows, m=noun, ms=noun if english.is_plural(noun) else english.pluralize(noun))
    return Draft("list_attributes", text, Query(items, thing.name, tests=tests_of(conditions)))


def ask_aggregate(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Average, total or extreme of a measure, under up to two conditions."""
    thing = pick_thing(d, lexicon, lambda t: any(c.kind in ("number", "date") for c in t.columns))
    if not thing:
        return None
    if d.chance(0.1) and (draft := _date_extreme(d, thing)):
        return draft
    fn = d.weigh({"AVG": 4.0, "SUM": 3.0, "MAX": 2.2, "MIN": 1.6, "RANGE": 0.12})
    column = pick_measure(d, thing, (lambda c: c.family in ADDITIVE) if fn == "SUM" else None)
    if not column:
        return None
    conditions = draw_conditions(d, thing, d.weigh({0: 2.6, 1: 6.0, 2: 1.0}), (column.ref.column,))
    query = Query((Item(fn, column.ref),), thing.name, tests=tests_of(conditions))
    return Draft(f"aggregate_{fn.lower()}", say_aggregate(d, thing, fn, column, conditions), query)


def say_aggregate(d: Draw, thing: Thing, fn: str, column: Words, conditions: tuple[Condition, ...], rows: str = "") -> str:
    """Word one aggregate of one measure."""
    noun, n_slot = measure_noun(d, column), rows or noun_phrase(d, thing, conditions)
    one = rows or noun_phrase(d, thing, conditions, plural=False)
    article = one if rows else english.with_article(one)
    spoken = _spoken_aggregates(d, thing, fn, column)
    if conditions and not rows and d.chance(0.3) and (adverb := _adverb(d, conditions)):
        return _say_timed(d, fn, column, noun, adverb)
    if spoken and d.chance(0.4):
        return d.say(d.pick(spoken), n=n_slot, a=article, s=one, m=noun)
    if fn == "RANGE":
        return d.say("((what is|what's|) (the|) (difference|gap|spread) between the (highest|largest) and (the|) (lowest|smallest) {m} (of|for) {n}|range of {m} (of|for) {n})", n=n_slot, m=noun)
    if fn in ("MAX", "MIN"):
        high, low = meanings.DEGREES.get(column.family, meanings.DEGREES[""])
        words = (high if fn == "MAX" else low).values + (("max", "maximum") if fn == "MAX" else ("min", "minimum"))
        return d.say(d.pick(asking.EXTREME_FRAMES if conditions or rows or d.chance(0.6) else ("{x} {m}", "what (is|was) the {x} {m}?", "{x} {s} {m}", "{x} {m} (ever|of all|overall|so far|we have)")), x=d.pick(words), m=noun, n=n_slot, s=one)
    frames = asking.AVERAGE_FRAMES if fn == "AVG" else asking.SUM_FRAMES
    if fn == "SUM" and english.is_plural(noun) and d.chance(0.4):
        frames = asking.MANY_SUM_FRAMES
    if not conditions and not rows and d.chance(0.15):
        frames = ("average {m}", "avg {m}", "what's the average {m}?") if fn == "AVG" else ("total {m}", "what's the total {m}?", "sum of all {m}")
    return d.say(d.pick(frames), m=noun, n=n_slot, a=article)


def _adverb(d: Draw, conditions: tuple[Condition, ...]) -> str:
    """Return the adverb of a lone date condition: "in 2024"."""
    if len(conditions) != 1:
        return ""
    bare = [a for a in conditions[0].after if a.split()[0] in ("in", "during", "before", "after", "since", "until", "between", "from") and any(c.isdigit() for c in a)]
    return d.pick(bare) if bare and conditions[0].tests[0].item.fn in ("year", "month", "") and "DATE" in (conditions[0].tests[0].literal + "DATE" * bool(conditions[0].tests[0].item.fn)) else ""


def _say_timed(d: Draw, fn: str, column: Words, noun: str, adverb: str) -> str:
    high, low = meanings.DEGREES.get(column.family, meanings.DEGREES[""])
    words = {"MAX": high.values, "MIN": low.values, "RANGE": ("range of",)}.get(fn) or asking.FUNCTION_WORDS[fn]
    many = english.pluralize(noun) if fn == "SUM" and not english.is_plural(noun) and d.chance(0.3) else noun
    frame = "({f} {m} {t}|(what was|what is|what's|show me|give me) the {f} {m} {t}?|{t}, what was the {f} {m}?|{f} {m} (charged|recorded|we had|paid|booked) {t}|{f} {m} {t})"
    return d.say(frame, f=d.pick(words), m=many, t=adverb)


def _spoken_aggregates(d: Draw, thing: Thing, fn: str, column: Words) -> tuple[str, ...]:
    family = column.family
    extreme = {"AVG": "on average", "SUM": "in total"}.get(fn)
    if family == "duration":
        long = "longest" if fn == "MAX" else "shortest"
        if fn == "AVG":
            return ("how long (is|was) {a} on average?", "how long do {n} (take|last) on average?", "average length of {a}", "how long does {a} (take|last) on average?", "average time of {n}")
        return ("how much time (did {n} take|was spent on {n}) in total?", "total time (spent on|of) {n}") if fn == "SUM" else (f"how long (is|was) the {long} {{s}}?", f"length of the {long} {{s}}")
    if family == "price" and column.ref.column in ("price", "cost", "fare", "fee", "charge", "amount", "total"):
        if fn == "SUM" and d.chance(0.4):
            return ("(what's|what is|) the total (we paid|paid|charged|spent|cost) (for|on|of) (all|all our|all the|our) {n}?", "total (paid|spent|charged) (for|on) (all|our|) {n}", "how much (money|) (did|have) we (spend|pay|spent|paid) on (all|) {n}?", "what did (all|all our) {n} cost (together|in total|altogether)?")
        if extreme:
            return (f"how much (do|did) {{n}} cost {extreme}?", f"what (does|did) {{a}} cost {extreme}?" if fn == "AVG" else f"how much did we (spend on|pay for|charge for) (all|all our|) {{n}} {extreme}?", f"how much (is|was) (paid|charged) for {{n}} {extreme}?", f"what do {{n}} cost {extreme}?")
        if d.chance(0.4):
            return ("(whats|what's|what is|) the (biggest|highest|largest) {m} (anyone|anybody|someone) (ever|has ever|) paid (for {a}|)?", "(biggest|highest|largest) {m} ever (paid|charged) for {a}") if fn == "MAX" else ("(what's|what is|) the (smallest|lowest) {m} (anyone|anybody|someone) (ever|has ever|) paid (for {a}|)?", "(smallest|lowest) {m} ever (paid|charged) for {a}")
        word = ("most expensive", "priciest") if fn == "MAX" else ("cheapest", "least expensive")
        return tuple(f"{opening} the {w} {{s}}{end}" for w in word for opening, end in (("how much (does|did)", " cost?"), ("price of", ""), ("what does", " cost?"))) + (("(what is|what's) the most (anyone|someone|we) (ever|) (paid|charged) for {a}?", "most ever (paid|charged) for {a}") if fn == "MAX" else ("(what is|what's) the least (anyone|someone|we) (ever|) (paid|charged) for {a}?",))
    if family == "rating":
        return ("how (well|good) (are|were) {n} rated on average?", "average rating of {n}", "how many stars do {n} get on average?") if fn == "AVG" else ()
    if family == "height" and fn in ("MAX", "MIN", "AVG"):
        word = {"MAX": "the highest {s}", "MIN": "the lowest {s}", "AVG": "{a}"}[fn]
        return (f"how (high|tall) is {word}{' on average' if fn == 'AVG' else ''}?", f"{{m}} of {word}")
    if family == "distance" and fn in ("MAX", "AVG", "SUM"):
        return {"MAX": ("how (far|long) was the longest {s}?", "longest {s} in {m}"), "AVG": ("how (far|long) (is|was) {a} on average?", "how far do {n} go on average?"), "SUM": ("how (far|many km) did {n} go in total?", "how far in total for {n}?")}[fn]
    if fn == "SUM" and family in ("count", "size"):
        return ("how many {m} (do we have|are there) in total for {n}?", "how many {m} do all {n} have together?", "how many {m} altogether in {n}?")
    if fn in ("MAX", "MIN") and family in ("count", "size", "percent", ""):
        word = "most" if fn == "MAX" else "fewest"
        big = "(largest|biggest|highest)" if fn == "MAX" else "(smallest|lowest)"
        return (f"(what is|what's) the {word} {{m}} (any {{s}} has|of any {{s}})?", f"{word} {{m}} (any|a single|one) {{s}} has", f"{big} {{m}} (of|on|in|for) (a single|any|one) {{s}}", f"{big} {{m}} (anyone has|we have|ever|of all)")
    return ()


def _date_extreme(d: Draw, thing: Thing) -> Draft | None:
    columns = [c for c in thing.columns if c.kind == "date"]
    if not columns:
        return None
    column = d.focus(columns, lambda c: str(c.ref))
    fn = d.pick(("MIN", "MAX"))
    conditions = draw_conditions(d, thing, d.weigh({0: 3, 1: 2}), (column.ref.column,))
    one = noun_phrase(d, thing, conditions, plural=False)
    noun = d.lean(column.nouns)
    word = d.pick(("first", "earliest", "oldest") if fn == "MIN" else ("last", "latest", "most recent", "newest"))
    frames = ["{w} {m} of {n}", "(what is|what's|what was|when is|when was) the {w} {m} (of|for) {n}?", "{w} {m}" if not conditions else "{w} {m} for {n}"]
    if column.clause:
        clause = column.clause
        ask = "when was the {w} {s} " + clause[4:] + "?" if clause.startswith("was ") else "when did the {w} {s} " + english.base_form(clause) + "?"
        frames += [ask, ask, "date of the {w} {s}"]
    else:
        frames += ["when was the {w} {s}?", "date of the {w} {s}"]
    text = d.say(d.pick(frames), w=word, m=noun, n=noun_phrase(d, thing, conditions), s=one)
    return Draft("aggregate_date", text, Query((Item(fn, column.ref),), thing.name, tests=tests_of(conditions)))
