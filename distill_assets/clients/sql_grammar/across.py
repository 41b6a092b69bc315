"""Intents across tables: counts, lists, aggregates, groups, rankings, HAVING and never.

Belongs here: the questions that use the paths of `joining`. Does not belong here: finding paths and
their verbs.
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking, english
from distill_assets.clients.sql_grammar.conditions import Condition, draw_condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.grouping import count_comparison, pick_function, say_group_count, say_group_measure
from distill_assets.clients.sql_grammar.joining import (
    Path, ask_did, attach, bridge, draw_target, event_verb, is_one_of_two, join_edges, object_verb, own_query, pick_path,
)  # fmt: skip
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing
from distill_assets.clients.sql_grammar.phrases import (
    Dimension, Draft, measure_noun, noun_of, noun_phrase, own_dimensions, pick_measure, tests_of,
)  # fmt: skip
from distill_assets.clients.sql_grammar.query import Item, Query, Ref, Test, quote_text, quote_where_needed
from distill_assets.clients.sql_grammar.single import COUNT, say_aggregate


def ask_joined_count(d: Draw, lexicon: Lexicon) -> Draft | None:
    """How many facts a named target, or targets of a kind, have."""
    path = pick_path(d, lexicon)
    target = draw_target(d, path) if path else None
    if not path or not target:
        return None
    tests, named, is_one = target
    extra = _own_condition(d, path, 0.25)
    facts = noun_phrase(d, path.fact, extra)
    short = _short_form(d, path, tests, facts)
    text = short or ask_did(d, path, facts, named, is_one)
    return Draft("join_count", text, own_query(path, COUNT, (*tests_of(extra), *tests)))


def _own_condition(d: Draw, path: Path, probability: float) -> tuple[Condition, ...]:
    condition = draw_condition(d, path.fact) if d.chance(probability) else None
    return (condition,) if condition else ()


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
    return d.say("(how many {v} {t} {f} (are there|were there|do we have|)?|number of {v} {t} {f}|count {v} {t} {f})", v=value, t=middle, f=facts)


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
    extra = _own_condition(d, path, 0.2)
    rows = noun_phrase(d, path.fact, extra, noun=rows) if extra and extra[0].after else rows
    extra = extra if extra and extra[0].after else ()
    query = own_query(path, Item("", path.fact.label.ref), (*tests_of(extra), *tests))
    return Draft("join_list", d.say(d.pick(asking.LIST_FRAMES), n=rows), query)


def _list_targets(d: Draw, lexicon: Lexicon) -> Draft | None:
    path = pick_path(d, lexicon, lambda p: p.target.has_label)
    condition = draw_condition(d, path.fact) if path else None
    if not path or not condition:
        return None
    facts = noun_phrase(d, path.fact, (condition,), plural=d.chance(0.7))
    own = draw_condition(d, path.target, (), ("category",)) if d.chance(0.3) else None
    rows = noun_phrase(d, path.target, (own,) if own else ())
    item = Item("", path.target.label.ref)
    tests = (*tests_of((own,) if own else ()), *condition.tests)
    frames = _target_frames(d, path)
    if (direct := _direct_predicates(path, condition)) and d.chance(0.5):
        who = "who" if path.target.is_person else d.pick(("that", "which"))
        frames = ("(which|what) {n} {p}?", "(which|what) {n} {p}", f"{{n}} {who} {{p}}", f"(list|show me|find|give me) (all|the|) {{n}} {who} {{p}}")
        frames += ("who {p}?", "who all {p}?") if path.target.is_person and not own else ()
        text = d.say(d.pick(frames), n=rows, p=d.pick(direct))
    else:
        text = d.say(d.pick(frames), n=rows, f=facts)
    return Draft("join_distinct", text, Query((item,), path.fact.name, path.edges, tests, distinct=True))


def _direct_predicates(path: Path, condition: Condition) -> tuple[str, ...]:
    """Say a fact's condition of its target: products that "got 1 star", patients who "were prescribed ibuprofen"."""
    test = condition.tests[0]
    ref = test.item.ref
    column = next((c for c in path.fact.columns if c.ref == ref), None)
    if not column or len(condition.tests) > 1:
        return ()
    value = test.literal[1:-1].replace("''", "'")
    if column.family == "drug" and test.op == "=" and path.target.is_person:
        if english.is_performer(path.target.nouns):
            return (f"prescribed {value}", f"have prescribed {value}", f"prescribe {value}", f"prescribed {value}", f"wrote a {value} prescription")
        return (f"were prescribed {value}", f"were prescribed {value}", f"got {value}", f"take {value}", f"are on {value}", f"received {value}", f"have been given {value}", f"got a prescription for {value}")
    if column.family == "reason" and test.op == "=" and path.target.is_person and not english.is_performer(path.target.nouns):
        return (f"came in for {value}", f"came in because of {value}", f"came for {value}", f"had a visit for {value}", f"had {value}")
    if column.family in ("rating", "percent") and not path.target.is_person:
        return condition.predicate
    return ()


def _target_frames(d: Draw, path: Path) -> tuple[str, ...]:
    link = path.links[-1]
    who = "who" if path.target.is_person else "that"
    frames = ["(which|what) {n} (have|had|got) {f}?", "{n} with {f}", "(list|show me|find|give me) (all|the|) {n} with {f}", f"{{n}} {who} (have|had) {{f}}"]
    if path.target.is_person:
        verb = event_verb(d, path)
        frames += [f"(which|what) {{n}} {verb} {{f}}?", f"{{n}} who {verb} {{f}}", f"(list|show me|find) (all|the|) {{n}} who {verb} {{f}}", f"(which|what) {{n}} have {english.participle(verb)} {{f}}?"] * 2
    elif link.place_verb and path.target.is_place:
        verb = link.place_verb.removeprefix("was ")
        return (f"(at|from) which {{n}} have {{f}} {verb}?", f"{{n}} where {{f}} {verb}", f"which {{n}} had {{f}} {verb} there?", f"(list|show) (the|all|) {{n}} where {{f}} {verb}")
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
    tests, named, is_one = target
    if d.chance(0.15) and verb and not other.links[-1].place_verb:
        return _count_persons(d, person, named, verb, query._replace(tests=tests))
    done = english.participle(verb) if verb else ""
    what = named if not verb else f"{verb} {named}"
    if not verb:
        fact = noun_of(d, other.fact)
        what = f"{event_verb(d, person)} {fact} {attach(d, other, named)}"
    frames = ["who {w}?", "(which|what) {p} {w}?", "{p} who {w}", "(list|show me|find|give me) (all|the|) {p} who {w}", "(everyone|everybody|people) who {w}"]
    if done:
        frames += [f"(which|what) {{p}} (have|ever|have ever) {done} {named}?", f"who has (ever|) {done} {named}?"]
    if other.links[-1].place_verb and other.target.is_place:
        fact = other.fact.nouns[0]
        what = f"{event_verb(d, person)} {english.with_article(fact)} {attach(d, other, named)}"
    text = d.say(d.pick(frames), w=what, p=noun_of(d, person.target))
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
    frames = [f"(which|what) {{o}} did {{e}} {base}?", f"(which|what) {{o}} did {{e}} {base}", f"{{o}} {{e}} {verb}", f"(list|show me|find|give me) (all|the|) {{o}} {{e}} {verb}", f"(which|what) {{o}} (has|have) {{e}} {done}?", f"{{o}} {done} by {{e}}", f"(list|show me) (the|) {{o}} {done} by {{e}}"]
    if verb == "had":
        frames = ["{o} {fa}", "(which|what) {o} (did {e} use|are linked to {e}|does {e} have)?"]
    if other.links[-1].place_verb and other.target.is_place:
        fact = noun_of(d, other.fact)
        frames = [f"{{o}} where {{e}} {other.links[-1].place_verb.removeprefix('was ')} {fact}", f"(at which|from which) {{o}} did {{e}} {english.base_form(other.links[-1].place_verb.removeprefix('was '))} {fact}?"]
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
        text = d.say("({f} {m} (for|of|from|by) {e}|(what is|what's|whats|show me|give me) the {f} {m} (for|of|from) {e}?|{e} {f} {m}|{f} {m} {r}|{f} {m} (paid by|of) {e})" if path.target.is_person else "({f} {m} (for|of) {e}|(what is|what's|show me|give me) the {f} {m} (for|of) {e}?|{e} {f} {m})", f=word, m=noun, e=named, r=attach(d, path, named))
    else:
        text = say_aggregate(d, path.fact, fn, column, (), rows)
    return Draft("join_aggregate", text, own_query(path, Item(fn, column.ref), tests))


def _say_spending(d: Draw, path: Path, fn: str, noun: str, named: str, is_one: bool) -> str:
    do, have = ("does", "has") if is_one else ("do", "have")
    if english.is_performer(path.target.nouns):
        frames = "(how much (did|{do}) {e} (charge|earn|bring in) {x}?|total {ms} (charged|earned) by {e}|what (did|{do}) {e} (charge|bring in) {x}?)" if fn == "SUM" else "(how much {do} {e} charge on average?|what {do} {e} charge on average (per|for a) {s}?|average {m} charged by {e})"
    elif fn == "SUM":
        frames = "(how much (did|{do}) {e} (pay|spend) (in|on) {m} {x}?|how much (money|) {have} {e} (paid|spent) {x}?|total {ms} paid by {e}|what (did|{do}) {e} pay (in {m}|) {x}?|{m} {e} paid {x}|how much did {e} pay for (all|their|) {f}?)"
    else:
        frames = "(how much {do} {e} pay (on average|) (per|for a|for each) {s} on average?|what {do} {e} pay on average (per|for a) {s}?|average {m} paid by {e}|average {m} per {s} for {e})"
    return d.say(frames, e=named, m=noun, ms=english.pluralize(noun), x=d.pick(("in total", "altogether", "overall", "in all")), s=noun_of(d, path.fact, False), f=noun_of(d, path.fact), do=do, have=have)


def _target_dimension(d: Draw, path: Path, p_label: float) -> Dimension | None:
    target, role = path.target, path.links[-1].roles[0]
    nouns = target.nouns if role in target.nouns else (role, *path.links[-1].roles)
    plain = {c.ref for c in target.columns if c.kind in ("category", "year")}
    dims = [dim for dim in own_dimensions(target) if not dim.item.fn and dim.item.ref in plain]
    if target.has_label and (not dims or d.chance(p_label)):
        return Dimension(Item("", target.label.ref), nouns)
    if not dims:
        return None
    dim = d.focus(dims, lambda x: str(x.item.ref))
    owner = target.nouns[0] if role in target.nouns else role
    extra = tuple(n if n.startswith(owner) else f"{owner} {n}" for n in dim.nouns[:2])
    return dim._replace(nouns=extra if is_one_of_two(path) else (*dim.nouns, *extra))


def group_items(target: Thing, dimension: Dimension) -> tuple[Item, ...]:
    """Group by the label alone where it is unique, by key and label otherwise."""
    is_label = dimension.item.ref == target.label.ref
    if is_label and target.label.n_distinct < target.n_rows and target.key:
        return (Item("", target.key), dimension.item)
    return (dimension.item,)


def ask_joined_group(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Counts or aggregates of facts per label or category of their target."""
    path = pick_path(d, lexicon)
    dimension = _target_dimension(d, path, 0.4) if path else None
    if not path or not dimension:
        return None
    extra = _own_condition(d, path, 0.15)
    rows = noun_phrase(d, path.fact, extra)
    column = pick_measure(d, path.fact) if d.chance(0.5) else None
    group = group_items(path.target, dimension)
    if column:
        fn = pick_function(d, column)
        text = say_group_measure(d, fn, column, rows, dimension, bool(extra) or d.chance(0.4))
        item = Item(fn, column.ref)
    else:
        text, item = say_group_count(d, rows, dimension), COUNT
    return Draft("join_group", text, Query((dimension.item, item), path.fact.name, path.edges, tests_of(extra), group=group))


def ask_joined_ranking(d: Draw, lexicon: Lexicon) -> Draft | None:
    """The target, or the n targets, with the most facts or the largest measure."""
    path = pick_path(d, lexicon, lambda p: p.target.has_label or any(c.kind == "category" for c in p.target.columns))
    dimension = _target_dimension(d, path, 0.65) if path else None
    if path and not path.target.has_label and path.target.key and d.chance(0.35):
        dimension = Dimension(Item("", path.target.key), path.target.nouns)
    if not path or not dimension:
        return None
    is_top, limit = d.chance(0.8), d.pick((2, 3, 3, 5, 5, 10)) if d.chance(0.25) else 1
    column = pick_measure(d, path.fact) if d.chance(0.42) else None
    fn = d.weigh({"SUM": 3.0 if column and column.family not in ("rating", "percent", "dose") else 0.0, "AVG": 2.0}) if column else ""
    extra = _own_condition(d, path, 0.12) if not column else ()
    is_label = dimension.item.ref == path.target.label.ref
    tests = tests_of(extra)
    rows, noun = noun_phrase(d, path.fact, extra), d.lean(dimension.nouns)
    text = _say_joined_ranking(d, path, noun, rows, (is_top, limit, is_label), (fn, measure_noun(d, column) if column else ""))
    if column and fn == "SUM" and column.family == "price" and limit == 1 and d.chance(0.3):
        text = _say_revenue(d, path, noun, is_top, is_label)
    query = Query(
        (dimension.item,), path.fact.name, path.edges, tests, group=group_items(path.target, dimension),
        order=Item(fn, column.ref) if column else COUNT, descending=is_top, limit=limit,
    )  # fmt: skip
    return Draft("join_ranking", text, query)


def _say_revenue(d: Draw, path: Path, noun: str, is_top: bool, is_label: bool) -> str:
    most = "most" if is_top else "least"
    if path.target.is_person and is_label and not english.is_performer(path.target.nouns):
        return d.say(f"(who (has|) (spent|paid) (the|) {most} (in total|overall|money|)?|which {{g}} (spent|paid) (the|) {most} (in total|overall|)?|{{g}} who (spent|paid) (the|) {most})", g=noun)
    return d.say(f"((which|what) {{g}} (brings in|brought in|generates|makes|earned us|made us) the {most} (money|revenue|)?|{{g}} with the {'highest' if is_top else 'lowest'} (revenue|income|total income|takings)|{most} (profitable|lucrative) {{g}})", g=noun)


def _say_joined_ranking(d: Draw, path: Path, noun: str, rows: str, shape: tuple[bool, int, bool], measure: tuple[str, str]) -> str:
    is_top, limit, is_label = shape
    fn, m = measure
    most, least = ("most", "the most") if is_top else (d.pick(("fewest", "least")), "the least")
    many = english.pluralize(noun)
    k = english.NUMBER_WORDS[limit] if d.chance(0.35) else str(limit)
    word = {"SUM": "total", "AVG": "average", "": ""}[fn]
    high = d.pick(("highest", "highest", "biggest", "largest") if is_top else ("lowest", "smallest"))
    if m and limit > 1:
        frames = ["(top|the top|show me the top|our top) {k} {gs} by {f} {m}", "{k} {gs} with the {h} {f} {m}", "(which|what) {k} {gs} have the {h} {f} {m}?"] if is_top else ["{k} {gs} with the {h} {f} {m}", "(the|) bottom {k} {gs} by {f} {m}"]
        frames += ["top {k} {gs} by {m}"] if is_top else []
    elif m:
        frames = ["(which|what) {g} has the {h} {f} {m}?", "{g} with the {h} {f} {m}", "(find|show me|tell me) the {g} with the {h} {f} {m}", "{h} {f} {m}: which {g}?"]
        if fn == "SUM":
            frames += [f"(which|what) {{g}} has {least} {{m}} (in total|overall|altogether)?", f"{{g}} with {least} {{m}} (in total|overall|)"]
        if path.target.is_person and is_label:
            frames += ["who has the {h} {f} {m}?", "who has the {h} {f} {m}"]
    elif limit > 1:
        frames = ["(the|) {k} {gs} with the {o} {r}", "(which|what) {k} {gs} have the {o} {r}?"] + (["top {k} {gs} by (number of|) {r}", "(top|the top|show the top) {k} {gs} by {r}"] if is_top else [])
    else:
        frames = ["(which|what) {g} has the {o} {r}?", "{g} with the {o} {r}", "(find|show me|tell me) the {g} with (the|) {o} {r}", "(which|what) {g} had (the|) {o} {r}?", "{o} {r}: which {g}?"]
        if path.target.is_person and is_label:
            verb = event_verb(d, path)
            frames += [f"who {verb} the {{o}} {{r}}?", f"which {{g}} {verb} (the|) {{o}} {{r}}?", f"who has {english.participle(verb)} (the|) {{o}} {{r}}?", "who has the {o} {r}?"]
        link = path.links[-1]
        if is_one_of_two(path):
            frames = [f"(which|what) {{g}} has the {most} {{r}}?", "{g} with the {o} {r}"] if not is_label else [f"{d.lean(link.roles)} with the {most} {{r}}"]
        if link.place_verb and path.target.is_place and is_top and is_label:
            base, place = english.base_form(link.place_verb.removeprefix("was ")), noun_of(d, path.target, False)
            frames = [f"(which|what) {place} do most {{r}} {base} (at|from|in)?", f"where do most {{r}} {base}?", f"{place} where most {{r}} {base}", f"{d.lean(link.roles)} with the most {{r}}", f"(busiest|most popular|most common|most used) {d.lean(link.roles)}"]
        elif is_top and is_label and not path.target.is_person and len(path.fact.links) > 1:
            passive = link.passive_verb or "used"
            frames += ["(busiest|most popular|most used) {g}" if path.target.is_place else f"most (popular|{passive}|often {passive}|frequently {passive}) {{g}}", f"(which|what) {{g}} (is|was) (the|) most (popular|{passive})?", f"(which|what) {{g}} (is|was) {passive} (the|) most (often|)?"]
    return d.say(d.pick(frames), g=noun, gs=many, k=k, f=word, m=m, h=high, o=most, r=rows)


def ask_joined_having(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Targets with a number of facts beyond a bound."""
    path = pick_path(d, lexicon, lambda p: p.target.has_label and len(p.links) < 3)
    if not path:
        return None
    op, literal, than = count_comparison(d, path.fact.n_rows / max(1, path.target.n_rows))
    item = Dimension(Item("", path.target.label.ref), ())
    things, facts = noun_of(d, path.target), noun_of(d, path.fact)
    if literal == "1" and op != ">":
        facts = english.singularize(facts)
    who = "who" if path.target.is_person else "that"
    frames = ["{n} with {t} {f}", "(which|what) {n} have {t} {f}?", f"(list|show me|find|give me) (all|the|) {{n}} (with|{who} have) {{t}} {{f}}", f"{{n}} {who} (have|had) {{t}} {{f}}", "(which|what) {n} had {t} {f}?"]
    if is_one_of_two(path) and path.links[-1].place_verb:
        verb = path.links[-1].place_verb.removeprefix("was ")
        frames = [f"{{n}} where {{t}} {{f}} {verb}", f"(which|what) {{n}} had {{t}} {{f}} {verb} there?", f"(at|from) which {{n}} did {{t}} {{f}} {english.base_form(verb)}?", f"{{n}} with {{t}} {{f}} {verb} there"]
    if path.target.is_person:
        verb = event_verb(d, path)
        frames += [f"{{n}} who {verb} {{t}} {{f}}", f"(which|what) {{n}} {verb} {{t}} {{f}}?", f"who {verb} {{t}} {{f}}?", "who has {t} {f}?"]
    text = d.say(d.pick(frames), n=things, t=than, f=facts)
    query = Query(
        (item.item,), path.fact.name, path.edges, group=group_items(path.target, item), having=Test(COUNT, op, literal)
    )
    return Draft("join_having", text, query)


def ask_never(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Rows that no fact refers to."""
    path = pick_path(d, lexicon, lambda p: len(p.links) == 1 and p.target.has_label and p.target.key is not None)
    if not path or not path.target.key:
        return None
    link, target = path.links[0], path.target
    child = link.edge.child
    where = f" WHERE {quote_where_needed(child.column)} IS NOT NULL" if link.is_nullable else ""
    inner = f"(SELECT {quote_where_needed(child.column)} FROM {quote_where_needed(child.table)}{where})"
    own = draw_condition(d, target, (), ("category",)) if d.chance(0.12) else None
    text = d.say(d.pick(_never_frames(d, path)), n=noun_phrase(d, target, (own,) if own else ()), f=noun_of(d, path.fact), a=english.with_article(noun_of(d, path.fact, False)), one=noun_of(d, path.fact, False))
    is_count = d.chance(0.15)
    if is_count:
        text = d.say("(how many {n} (have no|have never had any|are without) {f}?|number of {n} without (any|) {f})", n=noun_phrase(d, target, (own,) if own else ()), f=noun_of(d, path.fact))
    tests = (*tests_of((own,) if own else ()), Test(Item("", target.key), "NOT IN", inner))
    item = COUNT if is_count else Item("", target.label.ref)
    return Draft("never", text, Query((item,), target.name, tests=tests))


def _never_frames(d: Draw, path: Path) -> list[str]:
    link, target = path.links[0], path.target
    who = "who" if target.is_person else "that"
    frames = ["{n} without (any|a single|) {f}", "(which|what) {n} have no {f}?", "{n} with no {f} (at all|)", "{n} with zero {f}", f"(list|show me|find|give me) (all|the|) {{n}} (without (any|) {{f}}|with no {{f}}|{who} have no {{f}})", f"{{n}} {who} have never had {{a}}", "(is there|are there) any {n} without (a single|any|) {f}? (which|which ones|)", "(is there|are there) any {n} who (has|have) not had (a single|any) {one}? (who|which|)" if target.is_person else "(are there|do we have) any {n} that never had {a}?", "(which|what) {n} don't have (any|a single) {f}?"]
    if target.is_person:
        verb = event_verb(d, path)
        base, done = english.base_form(verb), english.participle(verb)
        frames += [f"did any {{n}} {base} no {{one}}? (names please|who|which|)"] if target.nouns else []
        frames += [f"who has never {done} {{a}}?", f"who (has not|hasn't) {done} (any {{f}}|{{a}})?", f"{{n}} who (have never|never|have not yet|haven't) {done} {{a}}", f"(which|what) {{n}} (have never|never|haven't) {done} {{a}}?", f"who never {verb} {{a}}?", f"(which|what) {{n}} did not {base} any {{f}}?", f"{{n}} that didn't {base} (anything|any {{f}})", "inactive {n} (with no {f}|without {f})"]
    elif link.place_verb and target.is_place:
        base, verb = english.base_form(link.place_verb.removeprefix("was ")), link.place_verb.removeprefix("was ")
        frames = [f"{{n}} where no {{one}} (has ever|ever|has) {verb}", f"(which|what) {{n}} have had no {{f}} {verb}?", f"at which {{n}} did no {{one}} {base}?", f"{{n}} where (nobody|no one|nobody has ever) {verb} {{a}}", f"(which|what) {{n}} never had {{a}} {verb} there?", f"(list|show) {{n}} where no {{one}} {verb}", f"{{n}} never used as {d.lean(link.roles)}"]
    else:
        passive = (link.passive_verb or "used",) + (("sold", "ordered", "bought") if "product" in target.nouns or "item" in target.nouns else ())
        word = d.pick(passive)
        frames += [f"{{n}} never {word}", f"(which|what) {{n}} (were|have|are) never (been|) {word}?".replace("have|", "").replace("(been|) ", ""), f"(which|what) {{n}} have (never|not) been {word}?", f"{{n}} that (were never|have never been|nobody ever|no one has|haven't been) {word}", f"(list|show me|find) {{n}} that (were never|have not been) {word}", f"(which|what) {{n}} has nobody {word} (yet|so far|)?"]
    return frames
