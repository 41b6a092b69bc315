# ruff: noqa: E501 (phrases read best one a line)
"""Intents across tables with a group: counts and aggregates per target, rankings, HAVING, never.

Belongs here: grouped questions over the paths of `joining`, and rows without any fact. Does not
belong here: counts, lists and single aggregates (across).
"""

from __future__ import annotations

from distill_assets.clients.sql_grammar import asking_across, english
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
    is_top, limit, _ = shape
    fn, m = measure
    link, target = path.links[-1], path.target
    verb = event_verb(d, path) if target.is_person else link.place_verb.removeprefix("was ")
    frames = _rank_measure_frames(target, fn, shape) if m else _rank_count_frames(path, shape)
    return d.say(
        d.pick(frames), g=noun, gs=english.pluralize(noun), k=english.NUMBER_WORDS[limit] if d.chance(0.35) else str(limit), m=m, f=rows,
        w={"SUM": "total", "AVG": "average", "": ""}[fn], h=d.pick(("highest", "highest", "biggest", "largest") if is_top else ("lowest", "smallest")),
        o="most" if is_top else d.pick(("fewest", "least")), x="most" if is_top else "least", verb=verb, base=english.base_form(verb),
        done=english.participle(verb), role=d.lean(link.roles), place=noun_of(d, target, False), passive=link.passive_verb or "used",
    )  # fmt: skip


def _rank_measure_frames(target: Thing, fn: str, shape: tuple[bool, int, bool]) -> tuple[str, ...]:
    is_top, limit, is_label = shape
    if limit > 1:
        return asking_across.TOP_BY_MEASURE if is_top else asking_across.BOTTOM_BY_MEASURE
    frames = asking_across.BY_MEASURE + (asking_across.BY_SUM if fn == "SUM" else ())
    return frames + (asking_across.WHO_BY_MEASURE if target.is_person and is_label else ())


def _rank_count_frames(path: Path, shape: tuple[bool, int, bool]) -> tuple[str, ...]:
    is_top, limit, is_label = shape
    target = path.target
    if limit > 1:
        return asking_across.TOP_BY_COUNT if is_top else asking_across.BOTTOM_BY_COUNT
    if not is_label:
        return asking_across.BY_COUNT
    if target.is_person:
        return asking_across.BY_COUNT + asking_across.WHO_BY_COUNT
    if path.links[-1].place_verb and target.is_place and is_top:
        return asking_across.PLACE_BY_COUNT
    if is_one_of_two(path):
        return asking_across.ROLE_BY_COUNT
    if is_top and len(path.fact.links) > 1:
        return asking_across.BY_COUNT + (asking_across.POPULAR_PLACE if target.is_place else asking_across.POPULAR_THING)
    return asking_across.BY_COUNT


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
    text = _say_never(d, path, noun_phrase(d, target, (own,) if own else ()))
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


def _never_frames(path: Path) -> tuple[str, ...]:
    link, target = path.links[0], path.target
    if target.is_person:
        return asking_across.NEVER + asking_across.NEVER_PERSON
    if link.place_verb and target.is_place:
        return asking_across.NEVER_PLACE
    return asking_across.NEVER + asking_across.NEVER_THING


def _say_never(d: Draw, path: Path, rows: str) -> str:
    link, target = path.links[0], path.target
    verb = event_verb(d, path) if target.is_person else link.place_verb.removeprefix("was ")
    sold = ("sold", "ordered", "bought") if {"product", "item"} & set(target.nouns) else ()
    return d.say(
        d.pick(_never_frames(path)), n=rows, f=noun_of(d, path.fact), a=english.with_article(noun_of(d, path.fact, False)),
        one=noun_of(d, path.fact, False), who="who" if target.is_person else "that", verb=verb, base=english.base_form(verb),
        done=english.participle(verb), role=d.lean(link.roles), passive=d.pick((link.passive_verb or "used", *sold)),
    )  # fmt: skip
