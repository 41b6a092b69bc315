# ruff: noqa: E501 (phrases read best one a line)
"""Intents across tables: counts, lists, aggregates, groups, rankings, HAVING and never.

Belongs here: the questions that use the paths of `joining`. Does not belong here: finding paths and
their verbs.
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking, english
from distill_assets.clients.sql_grammar.aggregating import say_aggregate
from distill_assets.clients.sql_grammar.conditions import Condition, condition_on, draw_condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.grouping import pick_function
from distill_assets.clients.sql_grammar.joining import (
    Path,
    ask_did,
    attach,
    bridge,
    draw_target,
    event_verb,
    is_one_of_two,
    join_edges,
    object_verb,
    own_condition,
    own_query,
    pick_path,
)  # fmt: skip
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing
from distill_assets.clients.sql_grammar.phrases import (
    Draft,
    measure_noun,
    noun_of,
    noun_phrase,
    pick_measure,
    tests_of,
)  # fmt: skip
from distill_assets.clients.sql_grammar.query import COUNT, Item, Query, Test


def ask_joined_count(d: Draw, lexicon: Lexicon) -> Draft | None:
    """How many facts a named target, or targets of a kind, have."""
    path = pick_path(d, lexicon)
    target = draw_target(d, path) if path else None
    if not path or not target:
        return None
    tests, named, is_one = target
    extra = own_condition(d, path, 0.25)
    facts = noun_phrase(d, path.fact, extra)
    short = _short_form(d, path, tests, facts)
    text = short or ask_did(d, path, facts, named, is_one)
    return Draft("join_count", text, own_query(path, COUNT, (*tests_of(extra), *tests)))


def _short_form(d: Draw, path: Path, tests: tuple[Test, ...], facts: str) -> str:
    """Put a target's category value right before the facts: "electric bike trips", "cardiology visits"."""
    test = tests[0]
    if is_one_of_two(path):
        return ""
    if test.op != "=" or test.item.ref == path.target.label.ref or not test.literal.startswith("'") or not d.chance(0.25):
        return ""
    value = test.literal[1:-1].replace("''", "'")
    value = english.DEMONYMS.get(value, value)
    middle = "" if d.chance(0.5) else path.target.nouns[0] + " "
    return d.say(
        "(how many {v} {t} {f} (are there|were there|do we have|)?|number of {v} {t} {f}|count {v} {t} {f})",
        v=value,
        t=middle,
        f=facts,
    )


def ask_joined_list(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Facts of a target; or targets by their facts; or persons by what they used."""
    branch = d.weigh({"facts": 2.0, "targets": 3.0, "bridge": 3.6})
    return {"facts": _list_facts, "targets": _list_targets, "bridge": _list_bridge}[branch](d, lexicon)


def _list_facts(d: Draw, lexicon: Lexicon) -> Draft | None:
    path = pick_path(d, lexicon)
    target = draw_target(d, path, 0.6) if path else None
    if not path or not target:
        return None
    tests, named, _ = target
    rows = f"{noun_phrase(d, path.fact)} {attach(d, path, named)}"
    if path.target.is_person and target[2] and d.chance(0.2):
        rows = f"{named}'s {noun_of(d, path.fact)}"
    extra = own_condition(d, path, 0.2)
    rows = noun_phrase(d, path.fact, extra, noun=rows) if extra and extra[0].after else rows
    extra = extra if extra and extra[0].after else ()
    query = own_query(path, Item("", path.fact.label.ref), (*tests_of(extra), *tests))
    return Draft("join_list", d.say(d.pick(asking.LIST_FRAMES), n=rows), query)


def _list_targets(d: Draw, lexicon: Lexicon) -> Draft | None:
    path = pick_path(d, lexicon, lambda p: p.target.has_label)
    condition = _telling_condition(d, path.fact) if path else None
    if not path or not condition:
        return None
    facts = noun_phrase(d, path.fact, (condition,))
    if d.chance(0.3):
        facts = english.with_article(noun_phrase(d, path.fact, (condition,), plural=False))
    own = draw_condition(d, path.target, (), ("category",)) if d.chance(0.3) else None
    rows = noun_phrase(d, path.target, (own,) if own else ())
    item = Item("", path.target.label.ref)
    tests = (*tests_of((own,) if own else ()), *condition.tests)
    frames = _target_frames(d, path)
    if (direct := _direct_predicates(path, condition)) and d.chance(0.5):
        who = "who" if path.target.is_person else d.pick(("that", "which"))
        frames = (
            "(which|what) {n} {p}?",
            "(which|what) {n} {p}",
            f"{{n}} {who} {{p}}",
            f"(list|show me|find|give me) (all|the|) {{n}} {who} {{p}}",
        )
        frames += ("who {p}?", "who all {p}?") if path.target.is_person and not own else ()
        text = d.say(d.pick(frames), n=rows, p=d.pick(direct))
    else:
        text = d.say(d.pick(frames), n=rows, f=facts)
    return Draft("join_distinct", text, Query((item,), path.fact.name, path.edges, tests, distinct=True))


def _telling_condition(d: Draw, fact: Thing) -> Condition | None:
    """Prefer a condition that can be said of the target itself: a drug, a reason, a rating."""
    columns = [
        c for c in fact.columns if c.family in ("drug", "reason", "rating") and c.values and c.kind in ("category", "number")
    ]
    if columns and d.chance(0.5):
        return condition_on(d, fact, d.pick(columns))
    return draw_condition(d, fact)


def _direct_predicates(path: Path, condition: Condition) -> tuple[str, ...]:
    """Say a fact's condition of its target: products that "got 1 star", patients who "were prescribed ibuprofen"."""
    test = condition.tests[0]
    ref = test.item.ref
    column = next((c for c in path.fact.columns if c.ref == ref), None)
    if not column or len(condition.tests) > 1 or is_one_of_two(path):
        return ()
    value = test.literal[1:-1].replace("''", "'")
    if column.family == "drug" and test.op == "=" and path.target.is_person:
        if english.is_performer(path.target.nouns):
            return (
                f"prescribed {value}",
                f"have prescribed {value}",
                f"prescribe {value}",
                f"prescribed {value}",
                f"wrote a {value} prescription",
            )
        return (
            f"were prescribed {value}",
            f"were prescribed {value}",
            f"got {value}",
            f"take {value}",
            f"are on {value}",
            f"received {value}",
            f"have been given {value}",
            f"got a prescription for {value}",
        )
    if column.family == "reason" and test.op == "=" and path.target.is_person and not english.is_performer(path.target.nouns):
        return (
            f"came in for {value}",
            f"came in because of {value}",
            f"came for {value}",
            f"had a visit for {value}",
            f"had {value}",
        )
    if column.family in ("rating", "percent") and not path.target.is_person:
        return condition.predicate
    return ()


def _target_frames(d: Draw, path: Path) -> tuple[str, ...]:
    link = path.links[-1]
    who = "who" if path.target.is_person else "that"
    frames = [
        "(which|what) {n} (have|had|got) {f}?",
        "{n} with {f}",
        "(list|show me|find|give me) (all|the|) {n} with {f}",
        f"{{n}} {who} (have|had) {{f}}",
    ]
    if path.target.is_person:
        verb = event_verb(d, path)
        frames += [
            f"(which|what) {{n}} {verb} {{f}}?",
            f"{{n}} who {verb} {{f}}",
            f"(list|show me|find) (all|the|) {{n}} who {verb} {{f}}",
            f"(which|what) {{n}} have {english.participle(verb)} {{f}}?",
        ] * 2
    elif link.place_verb and path.target.is_place:
        verb = link.place_verb.removeprefix("was ")
        return (
            f"(at|from) which {{n}} have {{f}} {verb}?",
            f"{{n}} where {{f}} {verb}",
            f"which {{n}} had {{f}} {verb} there?",
            f"(list|show) (the|all|) {{n}} where {{f}} {verb}",
        )
    elif link.passive_verb:
        frames += [f"(which|what) {{n}} were {link.passive_verb} in {{f}}?", f"{{n}} {link.passive_verb} in {{f}}"]
    return tuple(frames)


def _list_bridge(d: Draw, lexicon: Lexicon) -> Draft | None:
    pair = bridge(d, lexicon)
    if not pair:
        return None
    person, other = pair
    verb = object_verb(d, person, other)
    if other.target.is_person and person.target.is_person and not verb:
        return None
    root, edges = person.fact.name, join_edges(person, other)
    if d.chance(0.6):
        return _persons_by_object(d, person, other, verb, Query((Item("", person.target.label.ref),), root, edges, distinct=True))
    return _objects_by_person(d, person, other, verb, Query((Item("", other.target.label.ref),), root, edges, distinct=True))


def _persons_by_object(d: Draw, person: Path, other: Path, verb: str, query: Query) -> Draft | None:
    target = draw_target(d, other, 0.62)
    if not target:
        return None
    tests, named, _ = target
    if d.chance(0.15) and verb and not other.links[-1].place_verb:
        return _count_persons(d, person, named, verb, query._replace(tests=tests))
    done = english.participle(verb) if verb else ""
    what = named if not verb else f"{verb} {named}"
    if not verb:
        fact = noun_of(d, other.fact)
        what = f"{event_verb(d, person)} {fact} {attach(d, other, named)}"
    frames = [
        "who {w}?",
        "(which|what) {p} {w}?",
        "{p} who {w}",
        "(list|show me|find|give me) (all|the|) {p} who {w}",
        "(everyone|everybody|people) who {w}",
    ]
    if done:
        frames += [f"(which|what) {{p}} (have|ever|have ever) {done} {{e}}?", f"who has (ever|) {done} {{e}}?"]
    if other.links[-1].place_verb and other.target.is_place:
        fact = other.fact.nouns[0]
        what = f"{event_verb(d, person)} {english.with_article(fact)} {attach(d, other, named)}"
    text = d.say(d.pick(frames), w=what, p=noun_of(d, person.target), e=named)
    return Draft("join_bridge", text, query._replace(tests=tests))


def _count_persons(d: Draw, person: Path, named: str, verb: str, query: Query) -> Draft:
    key = Item("COUNT DISTINCT", person.links[-1].edge.child)
    edges = tuple(e for e in query.edges if e != person.links[-1].edge)
    base, done = english.base_form(verb), english.participle(verb)
    text = d.say(
        f"(how many (different|) {{p}} {verb} {{e}}?|how many {{p}} (have|ever) {done} {{e}}?|number of {{p}} who {verb} {{e}}"
        f"|how many people {verb} {{e}}?|count {{p}} who {verb} {{e}}|how many {{p}} did {base} {{e}}?)",
        p=noun_of(d, person.target), e=named,
    )  # fmt: skip
    return Draft("join_bridge_count", text, query._replace(select=(key,), edges=edges, distinct=False))


def _objects_by_person(d: Draw, person: Path, other: Path, verb: str, query: Query) -> Draft | None:
    target = draw_target(d, person, 0.8)
    if not target:
        return None
    tests, named, is_one = target
    things = noun_of(d, other.target)
    verb = verb or "had"
    base, done = english.base_form(verb), english.participle(verb)
    frames = [
        f"(which|what) {{o}} did {{e}} {base}?",
        f"(which|what) {{o}} did {{e}} {base}",
        f"{{o}} {{e}} {verb}",
        f"(list|show me|find|give me) (all|the|) {{o}} {{e}} {verb}",
        f"(which|what) {{o}} (has|have) {{e}} {done}?",
        f"{{o}} {done} by {{e}}",
        f"(list|show me) (the|) {{o}} {done} by {{e}}",
    ]
    if verb == "had":
        frames = ["{o} {fa}", "(which|what) {o} (did {e} use|are linked to {e}|does {e} have)?"]
    if other.links[-1].place_verb and other.target.is_place:
        fact = noun_of(d, other.fact)
        frames = [
            f"{{o}} where {{e}} {other.links[-1].place_verb.removeprefix('was ')} {fact}",
            f"(at which|from which) {{o}} did {{e}} {english.base_form(other.links[-1].place_verb.removeprefix('was '))} {fact}?",
        ]
    text = d.say(d.pick(frames), o=things, e=named, fa=f"in {noun_of(d, other.fact)} {attach(d, person, named)}")
    if not is_one:
        text = text.replace(" has ", " have ", 1)
    return Draft("join_bridge", text, query._replace(tests=tests))


def ask_joined_aggregate(d: Draw, lexicon: Lexicon) -> Draft | None:
    """A measure of facts under a condition on their target."""
    path = pick_path(d, lexicon, lambda p: any(c.kind == "number" for c in p.fact.columns))
    target = draw_target(d, path, 0.45) if path else None
    column = pick_measure(d, path.fact) if path else None
    if not path or not target or not column:
        return None
    tests, named, is_one = target
    fn = pick_function(d, column)
    noun, rows = measure_noun(d, column), f"{noun_phrase(d, path.fact)} {attach(d, path, named)}"
    value = tests[0].literal[1:-1] if tests[0].literal.startswith("'") and not is_one else ""
    if value and tests[0].op == "=" and not is_one_of_two(path) and d.chance(0.35):
        value = english.DEMONYMS.get(value, value)
        rows = d.pick((f"{value} {noun_of(d, path.fact)}", f"{value} {path.target.nouns[0]} {noun_of(d, path.fact)}"))
    if column.family == "price" and fn in ("SUM", "AVG") and path.target.is_person and d.chance(0.4):
        text = _say_spending(d, path, fn, noun, named, is_one)
    elif d.chance(0.35):
        word = d.pick(asking.FUNCTION_WORDS[fn])
        noun = english.pluralize(noun) if fn == "SUM" and not english.is_plural(noun) and d.chance(0.4) else noun
        text = d.say(
            "({f} {m} (for|of|from|by) {e}|(what is|what's|whats|show me|give me) the {f} {m} (for|of|from) {e}?|{e} {f} {m}|{f} {m} {r}|{f} {m} (paid by|of) {e})"
            if path.target.is_person
            else "({f} {m} (for|of) {e}|(what is|what's|show me|give me) the {f} {m} (for|of) {e}?|{e} {f} {m})",
            f=word,
            m=noun,
            e=named,
            r=attach(d, path, named),
        )
    else:
        text = say_aggregate(d, path.fact, fn, column, (), rows)
    return Draft("join_aggregate", text, own_query(path, Item(fn, column.ref), tests))


def _say_spending(d: Draw, path: Path, fn: str, noun: str, named: str, is_one: bool) -> str:
    do, have = ("does", "has") if is_one else ("do", "have")
    if english.is_performer(path.target.nouns):
        frames = (
            "(how much (did|{do}) {e} (charge|earn|bring in) {x}?|total {ms} (charged|earned) by {e}|what (did|{do}) {e} (charge|bring in) {x}?)"
            if fn == "SUM"
            else "(how much {do} {e} charge on average?|what {do} {e} charge on average (per|for a) {s}?|average {m} charged by {e})"
        )
    elif fn == "SUM":
        frames = "(how much (did|{do}) {e} (pay|spend) (in|on) {m} {x}?|how much (money|) {have} {e} (paid|spent) {x}?|total {ms} paid by {e}|what (did|{do}) {e} pay (in {m}|) {x}?|{m} {e} paid {x}|how much did {e} pay for (all|their|) {f}?)"
    else:
        frames = "(how much {do} {e} pay (on average|) (per|for a|for each) {s} on average?|what {do} {e} pay on average (per|for a) {s}?|average {m} paid by {e}|average {m} per {s} for {e})"
    return d.say(
        frames,
        e=named,
        m=noun,
        ms=english.pluralize(noun),
        x=d.pick(("in total", "altogether", "overall", "in all")),
        s=noun_of(d, path.fact, False),
        f=noun_of(d, path.fact),
        do=do,
        have=have,
    )
