"""Questions across tables: facts by an attribute of what they refer to, and what they refer to by facts.

Belongs here: paths along foreign keys, their verbs, and the intents that use them. Does not belong
here: questions over one table. The one idea: every join starts at the table with the foreign key
and climbs, so that one meaning has one order of tables.
"""

from __future__ import annotations

from typing import NamedTuple

from distill_assets.clients.sql_grammar import asking_across, english, meanings, values
from distill_assets.clients.sql_grammar.conditions import Condition, draw_condition
from distill_assets.clients.sql_grammar.draw import Draw
from distill_assets.clients.sql_grammar.lexicon import Lexicon, Link, Thing
from distill_assets.clients.sql_grammar.phrases import noun_phrase
from distill_assets.clients.sql_grammar.query import Edge, Item, Query, Test, quote_text


class Path(NamedTuple):
    """A climb from a fact's table to the thing it refers to, over one or more keys."""

    fact: Thing
    links: tuple[Link, ...]
    target: Thing

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The join steps, in order."""
        return tuple(link.edge for link in self.links)


def climb(lexicon: Lexicon, fact: Thing, max_steps: int = 3) -> list[Path]:
    """List all paths up from a table that meet no table twice."""
    found: list[Path] = []
    open_paths = [((), fact)]
    for _ in range(max_steps):
        grown = []
        for links, at in open_paths:
            seen = {fact.name, *(link.edge.parent.table for link in links)}
            grown += [((*links, k), lexicon.things[k.edge.parent.table]) for k in at.links if k.edge.parent.table not in seen]
        found += [Path(fact, links, target) for links, target in grown]
        open_paths = grown
    nearest = {}
    for path in found:
        nearest[path.target.name] = min(len(path.links), nearest.get(path.target.name, 9))
    return [path for path in found if len(path.links) == nearest[path.target.name]]


def is_one_of_two(path: Path) -> bool:
    """Tell whether the fact refers to the target by several keys, so that the role must be named."""
    return sum(link.edge.parent.table == path.target.name for link in path.fact.links) > 1


def pick_path(d: Draw, lexicon: Lexicon, fits: object = None) -> Path | None:
    """Pick a path, short ones and those whose tables the seed names being likelier."""
    paths = [p for t in lexicon.things.values() for p in climb(lexicon, t) if fits is None or fits(p)]  # type: ignore[operator]
    if not paths:
        return None
    length = {1: 4.0, 2: 1.1, 3: 0.3}
    weights = {
        i: length[len(p.links)] * d.weight_of(p.fact.name) * d.weight_of(p.target.name) * d.weight_of(str(p.links[-1].edge.child))
        for i, p in enumerate(paths)
    }
    return paths[d.weigh(weights)]


def bridge(d: Draw, lexicon: Lexicon) -> tuple[Path, Path] | None:
    """Pick a person and another thing that meet in one fact: rider - trip - bike."""
    pairs = [
        (one, two)
        for paths in (climb(lexicon, fact) for fact in lexicon.things.values())
        for one in paths
        for two in paths
        if one.target.is_person and one.target.has_label and two.target.has_label and one.target.name != two.target.name
        if not shares_wrongly(one, two) and one.links[0] != two.links[0]  # else they meet nearer, in what that key names
    ]
    if not pairs:
        return None
    weights = {
        i: d.weight_of(a.target.name) * d.weight_of(b.target.name) * (1.0 if len(a.links) + len(b.links) < 4 else 0.5)
        for i, (a, b) in enumerate(pairs)
    }
    return pairs[d.weigh(weights)]


def shares_wrongly(one: Path, two: Path) -> bool:
    """Tell whether joining both paths would meet a table by two different keys."""
    by_table = {e.parent.table: e for e in one.edges}
    return any(by_table.get(e.parent.table, e) != e for e in two.edges)


def join_edges(*paths: Path) -> tuple[Edge, ...]:
    """Merge the steps of several paths from one fact."""
    return tuple(dict.fromkeys(edge for path in paths for edge in path.edges))


def event_verb(d: Draw, path: Path) -> str:
    """Say in the past what the target does to the fact: a customer "placed" an order."""
    link = path.links[-1]
    if link.actor_verb and len(path.links) == 1:
        return link.actor_verb
    known = meanings.EVENT_VERBS | (meanings.PERFORMER_VERBS if english.is_performer(path.target.nouns) else {})
    for noun in path.fact.nouns:
        if noun.split()[-1] in known:
            return d.lean(known[noun.split()[-1]])
    return "had"


def object_verb(d: Draw, person: Path, other: Path) -> str:
    """Say in the past what the person does with the other thing: "bought", "rode", "saw"."""
    for noun in other.target.nouns:
        if noun.split()[-1] in meanings.OBJECT_VERBS and person.target.name != other.target.name:
            return d.lean(meanings.OBJECT_VERBS[noun.split()[-1]])
    return ""


def attach(d: Draw, path: Path, named: str) -> str:
    """Attach a target to its facts, after the noun: "by Ann", "that started at Hill", "with the Pelican"."""
    link, target = path.links[-1], path.target
    place_verb = link.place_verb.removeprefix("was ")
    verb = event_verb(d, path) if target.is_person else place_verb
    if target.is_person:
        frames = {"wrote": asking_across.BY_WRITER, "issued": asking_across.BY_WRITER}.get(verb, asking_across.BY_PERSON)
        frames = asking_across.FOR_RECEIVER if verb in ("got", "received") else frames
    elif place_verb and target.is_place:
        frames = asking_across.AT_PLACE + ((f"{link.joint} {{e}}",) * 3 if link.joint else ())
    elif len(link.roles[0].split()) > 1 and link.roles[0].endswith(target.nouns[0]):
        frames = asking_across.IN_ROLE
    else:
        frames = asking_across.OF_PLACE if target.is_place else asking_across.OF_THING
        frames += asking_across.OF_OBJECT if link.passive_verb and not target.is_place else ()
    by = "made by" if verb == "had" else f"{english.participle(verb)} by"
    return d.say(d.pick(frames), e=named, verb=verb, by=by, ing=_ing(verb), role=d.lean(link.roles), passive=link.passive_verb)


def _ing(verb: str) -> str:
    base, _, rest = english.base_form(verb).partition(" ")
    stem = base[:-1] if base.endswith("e") and not base.endswith("ee") else base
    return f"{stem}ing {rest}".strip()


def ask_did(d: Draw, path: Path, facts: str, named: str, is_one: bool) -> str:
    """Ask how many facts a target has, with its verb: "how many orders did Ann place?"."""
    link, target = path.links[-1], path.target
    verb = event_verb(d, path) if target.is_person else link.place_verb
    done = english.participle(verb)
    frames = asking_across.DID_PLACE if verb and target.is_place else asking_across.DID_THING
    if target.is_person:
        frames = asking_across.DID_PERSON + (asking_across.DID_ONE_PERSON if is_one else ())
    return d.say(
        d.pick(frames), f=facts, e=named, base=english.base_form(verb), done=done, verb=verb.replace("was ", "were "),
        has="has" if is_one else "have", does="does" if is_one else "do", a=english.with_article(path.fact.nouns[0]),
        by="of" if verb == "had" else f"{done} by", were="are there for" if verb == "had" else f"were {done} by",
        ing=_ing(verb.removeprefix("was ")), attached="" if target.is_person else attach(d, path, named),
    )  # fmt: skip


def name_target(d: Draw, path: Path, value: str) -> str:
    """Name one target by its label."""
    target, value = path.target, values.spell(d, value)
    if target.is_person or target.is_place:
        return value if d.chance(0.85) or values.has_title(value) else f"{target.nouns[0]} {value}"
    return d.pick((value, f"the {value}", f"the {value}", f"{target.nouns[0]} {value}"))


def draw_target(d: Draw, path: Path, p_label: float = 0.5) -> tuple[tuple[Test, ...], str, bool] | None:
    """Draw a condition on a path's target: its tests, how it is named, and whether it is one row."""
    target = path.target
    if target.has_label and target.label.values and d.chance(p_label):
        value = d.focus(target.label.values, str.lower)
        return (Test(Item("", target.label.ref), "=", quote_text(value)),), name_target(d, path, value), True
    condition = draw_condition(d, target, (), ("category", "flag", "number", "year") if d.chance(0.25) else ("category", "flag"))
    if not condition:
        return None
    return condition.tests, say_group_of(d, target, condition), False


def say_group_of(d: Draw, target: Thing, condition: Condition) -> str:
    """Name the targets under a condition, with or without an article."""
    phrase = noun_phrase(d, target, (condition,))
    return d.pick((phrase, phrase, f"the {phrase}" if d.chance(0.2) else phrase))


def own_query(path: Path, item: Item, tests: tuple[Test, ...]) -> Query:
    """Select one item of the fact under tests on the target."""
    return Query((item,), path.fact.name, path.edges, tests)


def own_condition(d: Draw, path: Path, probability: float) -> tuple[Condition, ...]:
    """Draw, sometimes, a condition on the fact itself."""
    condition = draw_condition(d, path.fact) if d.chance(probability) else None
    return (condition,) if condition else ()
