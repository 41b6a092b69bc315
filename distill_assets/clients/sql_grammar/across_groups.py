# ruff: noqa: E501 (phrases read best one a line)
"""Intents across tables with a group: counts and aggregates per target, rankings, HAVING, never.

Belongs here: grouped questions over the paths of `joining`, and rows without any fact. Does not
belong here: counts, lists and single aggregates (across).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import english
from distill_assets.clients.sql_grammar.conditions import draw_condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.grouping import count_comparison, pick_function, say_group_count, say_group_measure
from distill_assets.clients.sql_grammar.joining import (
    Path,
    event_verb,
    is_one_of_two,
    own_condition,
    pick_path,
)  # fmt: skip
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Thing
from distill_assets.clients.sql_grammar.phrases import (
    Dimension,
    Draft,
    measure_noun,
    noun_of,
    noun_phrase,
    own_dimensions,
    pick_measure,
    tests_of,
)  # fmt: skip
from distill_assets.clients.sql_grammar.query import COUNT, Item, Query, Test, quote_where_needed, render_item


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
    extra = own_condition(d, path, 0.15)
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
    is_top, limit = d.chance(0.74), d.pick((2, 3, 3, 5, 5, 10)) if d.chance(0.25) else 1
    column = pick_measure(d, path.fact) if d.chance(0.42) else None
    fn = (
        d.weigh({"SUM": 3.0 if column and column.family not in ("rating", "percent", "dose") else 0.0, "AVG": 2.0})
        if column
        else ""
    )
    extra = own_condition(d, path, 0.12) if not column else ()
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
        return d.say(
            f"(who (has|) (spent|paid) (the|) {most} (in total|overall|money|)?|which {{g}} (spent|paid) (the|) {most} (in total|overall|)?|{{g}} who (spent|paid) (the|) {most})",
            g=noun,
        )
    return d.say(
        f"((which|what) {{g}} (brings in|brought in|generates|makes|earned us|made us) the {most} (money|revenue|)?|{{g}} with the {'highest' if is_top else 'lowest'} (revenue|income|total income|takings)|{most} (profitable|lucrative) {{g}})",
        g=noun,
    )


def _say_joined_ranking(d: Draw, path: Path, noun: str, rows: str, shape: tuple[bool, int, bool], measure: tuple[str, str]) -> str:
    is_top, limit, is_label = shape
    fn, m = measure
    most, least = ("most", "the most") if is_top else (d.pick(("fewest", "least")), "the least")
    many = english.pluralize(noun)
    k = english.NUMBER_WORDS[limit] if d.chance(0.35) else str(limit)
    word = {"SUM": "total", "AVG": "average", "": ""}[fn]
    high = d.pick(("highest", "highest", "biggest", "largest") if is_top else ("lowest", "smallest"))
    if m and limit > 1:
        frames = (
            [
                "(top|the top|show me the top|our top) {k} {gs} by {f} {m}",
                "{k} {gs} with the {h} {f} {m}",
                "(which|what) {k} {gs} have the {h} {f} {m}?",
            ]
            if is_top
            else ["{k} {gs} with the {h} {f} {m}", "(the|) bottom {k} {gs} by {f} {m}"]
        )
        frames += ["top {k} {gs} by {m}"] if is_top else []
    elif m:
        frames = [
            "(which|what) {g} has the {h} {f} {m}?",
            "{g} with the {h} {f} {m}",
            "(find|show me|tell me) the {g} with the {h} {f} {m}",
            "{h} {f} {m}: which {g}?",
        ]
        if fn == "SUM":
            frames += [
                f"(which|what) {{g}} has {least} {{m}} (in total|overall|altogether)?",
                f"{{g}} with {least} {{m}} (in total|overall|)",
            ]
        if path.target.is_person and is_label:
            frames += ["who has the {h} {f} {m}?", "who has the {h} {f} {m}"]
    elif limit > 1:
        frames = ["(the|) {k} {gs} with the {o} {r}", "(which|what) {k} {gs} have the {o} {r}?"] + (
            ["top {k} {gs} by (number of|) {r}", "(top|the top|show the top) {k} {gs} by {r}"] if is_top else []
        )
    else:
        frames = [
            "(which|what) {g} has the {o} {r}?",
            "{g} with the {o} {r}",
            "(find|show me|tell me) the {g} with (the|) {o} {r}",
            "(which|what) {g} had (the|) {o} {r}?",
            "{o} {r}: which {g}?",
        ]
        if path.target.is_person and is_label:
            verb = event_verb(d, path)
            frames += [
                f"who {verb} the {{o}} {{r}}?",
                f"which {{g}} {verb} (the|) {{o}} {{r}}?",
                f"who has {english.participle(verb)} (the|) {{o}} {{r}}?",
                "who has the {o} {r}?",
            ]
        link = path.links[-1]
        if is_one_of_two(path):
            frames = (
                [f"(which|what) {{g}} has the {most} {{r}}?", "{g} with the {o} {r}"]
                if not is_label
                else [f"{d.lean(link.roles)} with the {most} {{r}}"]
            )
        if link.place_verb and path.target.is_place and is_top and is_label:
            base, place = english.base_form(link.place_verb.removeprefix("was ")), noun_of(d, path.target, False)
            frames = [
                f"(which|what) {place} do most {{r}} {base} (at|from|in)?",
                f"where do most {{r}} {base}?",
                f"{place} where most {{r}} {base}",
                f"{d.lean(link.roles)} with the most {{r}}",
                f"(busiest|most popular|most common|most used) {d.lean(link.roles)}",
            ]
        elif is_top and is_label and not path.target.is_person and len(path.fact.links) > 1:
            passive = link.passive_verb or "used"
            frames += [
                "(busiest|most popular|most used) {g}"
                if path.target.is_place
                else f"most (popular|{passive}|often {passive}|frequently {passive}) {{g}}",
                f"(which|what) {{g}} (is|was) (the|) most (popular|{passive})?",
                f"(which|what) {{g}} (is|was) {passive} (the|) most (often|)?",
            ]
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
    frames = [
        "{n} with {t} {f}",
        "(which|what) {n} have {t} {f}?",
        f"(list|show me|find|give me) (all|the|) {{n}} (with|{who} have) {{t}} {{f}}",
        f"{{n}} {who} (have|had) {{t}} {{f}}",
        "(which|what) {n} had {t} {f}?",
    ]
    if is_one_of_two(path) and path.links[-1].place_verb:
        verb = path.links[-1].place_verb.removeprefix("was ")
        frames = [
            f"{{n}} where {{t}} {{f}} {verb}",
            f"(which|what) {{n}} had {{t}} {{f}} {verb} there?",
            f"(at|from) which {{n}} did {{t}} {{f}} {english.base_form(verb)}?",
            f"{{n}} with {{t}} {{f}} {verb} there",
        ]
    if path.target.is_person:
        verb = event_verb(d, path)
        frames += [
            f"{{n}} who {verb} {{t}} {{f}}",
            f"(which|what) {{n}} {verb} {{t}} {{f}}?",
            f"who {verb} {{t}} {{f}}?",
            "who has {t} {f}?",
        ]
    text = d.say(d.pick(frames), n=things, t=than, f=facts)
    query = Query((item.item,), path.fact.name, path.edges, group=group_items(path.target, item), having=Test(COUNT, op, literal))
    return Draft("join_having", text, query)


def ask_never(d: Draw, lexicon: Lexicon) -> Draft | None:
    """Rows that no fact refers to."""
    path = pick_path(d, lexicon, lambda p: len(p.links) == 1 and p.target.has_label and p.target.key is not None)
    if not path or not path.target.key:
        return None
    link, target = path.links[0], path.target
    child = link.edge.child
    column = render_item(Item("", child))
    where = f" WHERE {column} IS NOT NULL" if link.is_nullable else ""
    inner = f"(SELECT {column} FROM {quote_where_needed(child.table)}{where})"
    own = draw_condition(d, target, (), ("category",)) if d.chance(0.12) else None
    text = d.say(
        d.pick(_never_frames(d, path)),
        n=noun_phrase(d, target, (own,) if own else ()),
        f=noun_of(d, path.fact),
        a=english.with_article(noun_of(d, path.fact, False)),
        one=noun_of(d, path.fact, False),
    )
    is_count = d.chance(0.15)
    if is_count:
        text = d.say(
            "(how many {n} (have no|have never had any|are without) {f}?|number of {n} without (any|) {f})",
            n=noun_phrase(d, target, (own,) if own else ()),
            f=noun_of(d, path.fact),
        )
    tests = (*tests_of((own,) if own else ()), Test(Item("", target.key), "NOT IN", inner))
    item = COUNT if is_count else Item("", target.label.ref)
    return Draft("never", text, Query((item,), target.name, tests=tests))


def _never_frames(d: Draw, path: Path) -> list[str]:
    link, target = path.links[0], path.target
    who = "who" if target.is_person else "that"
    frames = [
        "{n} without (any|a single|) {f}",
        "(which|what) {n} have no {f}?",
        "{n} with no {f} (at all|)",
        "{n} with zero {f}",
        f"(list|show me|find|give me) (all|the|) {{n}} (without (any|) {{f}}|with no {{f}}|{who} have no {{f}})",
        f"{{n}} {who} have never had {{a}}",
        "(is there|are there) any {n} without (a single|any|) {f}? (which|which ones|)",
        "(is there|are there) any {n} who (has|have) not had (a single|any) {one}? (who|which|)"
        if target.is_person
        else "(are there|do we have) any {n} that never had {a}?",
        "(which|what) {n} don't have (any|a single) {f}?",
    ]
    if target.is_person:
        verb = event_verb(d, path)
        base, done = english.base_form(verb), english.participle(verb)
        frames += [f"did any {{n}} {base} no {{one}}? (names please|who|which|)"] if target.nouns else []
        frames += [
            f"who has never {done} {{a}}?",
            f"who (has not|hasn't) {done} (any {{f}}|{{a}})?",
            f"{{n}} who (have never|never|have not yet|haven't) {done} {{a}}",
            f"(which|what) {{n}} (have never|never|haven't) {done} {{a}}?",
            f"who never {verb} {{a}}?",
            f"(which|what) {{n}} did not {base} any {{f}}?",
            f"{{n}} that didn't {base} (anything|any {{f}})",
            "inactive {n} (with no {f}|without {f})",
        ]
    elif link.place_verb and target.is_place:
        base, verb = english.base_form(link.place_verb.removeprefix("was ")), link.place_verb.removeprefix("was ")
        frames = [
            f"{{n}} where no {{one}} (has ever|ever|has) {verb}",
            f"(which|what) {{n}} have had no {{f}} {verb}?",
            f"at which {{n}} did no {{one}} {base}?",
            f"{{n}} where (nobody|no one|nobody has ever) {verb} {{a}}",
            f"(which|what) {{n}} never had {{a}} {verb} there?",
            f"(list|show) {{n}} where no {{one}} {verb}",
            f"{{n}} never used as {d.lean(link.roles)}",
        ]
    else:
        passive = (link.passive_verb or "used",) + (
            ("sold", "ordered", "bought") if "product" in target.nouns or "item" in target.nouns else ()
        )
        word = d.pick(passive)
        frames += [
            f"{{n}} never {word}",
            f"(which|what) {{n}} (were|have|are) never (been|) {word}?".replace("have|", "").replace("(been|) ", ""),
            f"(which|what) {{n}} have (never|not) been {word}?",
            f"{{n}} that (were never|have never been|nobody ever|no one has|haven't been) {word}",
            f"(list|show me|find) {{n}} that (were never|have not been) {word}",
            f"(which|what) {{n}} has nobody {word} (yet|so far|)?",
        ]
    return frames
