# ruff: noqa: E501 (patterns read best one a line)
"""What a step says of the query that it leads to, held against what the query does.

Belongs here: wordings, and for each whether the query bears it out. Does not belong here: reading queries (facts) or
which steps there are (split).

A wording that is not known says nothing. What is known is held against the query, and contradicts it only where both
cannot be true: the same column compared the other way, an aggregate of another kind, a sort in the other direction. A
sentence that weighs alternatives ("instead of", "would be") claims nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from distill_assets.verifiers.steps.conditions import agree, find_contradiction, find_reversal
from distill_assets.verifiers.steps.facts import Aggregate, Condition, Expression, Facts, Order, read_condition, read_expression


class Finding(NamedTuple):
    """One claim: its words, and None when the query bears it out, else why not."""

    claim: str
    problem: str | None


class Reader(NamedTuple):
    """The query that claims are held against; `stated` are all conditions that the reasoning states somewhere."""

    facts: Facts
    dialect: str
    stated: tuple[Condition, ...] = ()

    def read(self, text: str) -> Expression | None:
        """Read an expression as the query's dialect writes it."""
        return read_expression(text, self.dialect, self.facts.tables)


_WEIGHS = re.compile(
    r"\b(?:instead of|rather than|unlike|would|wouldn['’]?t|should not|shouldn['’]?t|does not|doesn['’]?t|do not|don['’]?t|did not|is not needed"
    r"|isn['’]?t|no need|not needed|without|avoid|wrong|mistake|if (?:we|it|i|the|there)|unless|could|might|alternatively|another way)\b",
    re.IGNORECASE,
)
_NAME = r'(?:"[^"\n]{1,60}"|[A-Za-z_]\w{0,60})(?:\.(?:"[^"\n]{1,60}"|[A-Za-z_]\w{0,60}))?'
_CALL = rf"(?:[A-Za-z_]\w{{0,30}}\s*\((?:[^()\n]|\([^()\n]{{0,60}}\)){{0,120}}\)|{_NAME})"
_QUERY = r"\(\s*SELECT\b[^()\n]{1,300}(?:\([^()\n]{0,200}\)[^()\n]{0,300}){0,8}\)"
_LITERAL = r"(?:(?:DATE\s+|TIMESTAMP\s+)?'(?:[^'\n]|'')*'|-?\d[\d,]*(?:\.\d+)?(?![\w.]*\w)|(?:TRUE|FALSE|true|false)\b)"
_CONDITION = re.compile(
    rf"(?P<not>\bNOT\s+|\bnot\s+)?(?P<left>{_CALL})\s*(?:(?P<sign><>|!=|>=|<=|==|=|>|<|≥|≤|≠)\s*(?P<value>{_LITERAL}|{_QUERY})"
    rf"|(?P<null>\s(?:IS|is)\s+(?:NOT\s+|not\s+)?(?:NULL|null|TRUE|FALSE|true|false)\b)"
    rf"|\s(?P<set>(?:NOT\s+|not\s+)?(?:IN|in)\s*(?:{_QUERY}|\(\s*{_LITERAL}(?:\s*,\s*{_LITERAL}){{0,30}}\s*\)))"
    rf"|\s(?P<range>(?:NOT\s+|not\s+)?(?:BETWEEN|between)\s+{_LITERAL}\s+(?:AND|and)\s+{_LITERAL})"
    rf"|\s(?P<like>(?:NOT\s+|not\s+)?(?:I?LIKE|i?like)\s+'(?:[^'\n]|'')*'))"
)
_INNER_QUERY = re.compile(_QUERY)
_SIGNS = {"≥": ">=", "≤": "<=", "≠": "<>", "==": "=", "!=": "<>"}
_FILTER = re.compile(
    r"\b(?:filter(?:ed|s|ing)?(?:\s+\w+){0,3}?\s+(?:on|by|to|for|where|with)|where|rows?\s+(?:with|where|that have)|only\s+(?:rows\s+with|those\s+with|where)"
    r"|with\s+the\s+condition|restrict(?:ed)?\s+to|keep(?:ing)?\s+only)\s+(?P<rest>[^\n]{1,400})",
    re.IGNORECASE,
)
_BOOLEAN = re.compile(rf"\A\W*(?P<not>NOT\s+|not\s+)?(?P<name>{_NAME})(?:\s+(?:is\s+true|hold|count))?\W*\Z")
# What finds a largest or smallest without a sort.
_EXTREMES = {"max", "min", "arg_max", "arg_min", "argmax", "argmin"}
# Comparisons in words; of these "over 20" and "at least 20" are not told apart, for people do not.
_SAID = (
    ("<", r"not (?:more|greater|higher|larger|later) than|no (?:more|greater|higher|larger|later) than|at most|up to|(?:less|lower|smaller|fewer|earlier|shorter|cheaper) than|below|under|before"),
    (">", r"not (?:less|lower|smaller|fewer|earlier) than|no (?:less|lower|smaller|fewer|earlier) than|at least|(?:more|greater|higher|larger|later|longer) than|above|over|exceeds?|exceeding|after"),
    ("<>", r"(?:is |are |does )?not (?:equal(?: to)? |be )?(?=')|(?:is |are )?(?:different from|other than|unequal to)"),
    ("=", r"(?:is |are |was )?(?:exactly |equal to |equals )|is (?=')|equals"),
)  # fmt: skip
_SPOKEN_CONDITION = re.compile(
    rf"`?(?P<name>{_NAME})`?\s+(?:(?:is|are|was|be|being|must be|should be|has to be)\s+)?(?:{'|'.join(f'(?P<op{i}>{words})' for i, (_, words) in enumerate(_SAID))})\s*(?P<value>{_LITERAL})",
    re.IGNORECASE,
)  # fmt: skip
_CALLED = re.compile(
    r"\b(?P<fn>AVG|SUM|COUNT|MIN|MAX|avg|sum|count|min|max)\s*\(\s*(?P<distinct>DISTINCT\s+|distinct\s+)?(?P<of>[^()\n]{1,80})\)"
)
_VERB = (
    r"(?:take|takes|taking|compute|computes|calculate|calculates|find|finds|get|gets|return|returns|show|use|uses|apply|work out"
    r"|determine|pick|select|then|and)"
)
_OF = rf"(?:\s+(?:of|over|value of|value in|values? of))?(?:\s+(?:all|the|each|every|their|its)){{0,2}}\s+[`]?(?P<of>{_CALL})"
_SPOKEN: tuple[tuple[str, bool, str], ...] = (
    ("avg", False, rf"\b{_VERB}\s+(?:the\s+|an\s+)?(?:average|mean|avg){_OF}"),
    ("sum", False, rf"\b(?:add(?:s|ing)?\s+up|sum(?:s|ming)?(?:\s+up)?|total(?:s|ling)?\s+up|{_VERB}\s+(?:the\s+)?(?:sum|total)){_OF}"),
    ("max", False, rf"\b{_VERB}\s+(?:the\s+)?(?:largest|highest|greatest|maximum|biggest|latest|max|most recent){_OF}"),
    ("min", False, rf"\b{_VERB}\s+(?:the\s+)?(?:smallest|lowest|least|minimum|earliest|min|oldest){_OF}"),
    ("count", True, rf"\bcount(?:s|ing)?\s+(?:the\s+|all\s+|each\s+|how\s+many\s+|only\s+)?(?:different|distinct|unique){_OF}"),
    ("count", False, r"\bcount(?:s|ing)?\s+(?:up\s+)?(?:the|all|all the|these|those|matching|how many)\s+(?:\w+\s+)?(?P<of>rows|records|entries)\b"),
)  # fmt: skip
_SPOKEN_PATTERNS = tuple((name, is_distinct, re.compile(pattern, re.IGNORECASE)) for name, is_distinct, pattern in _SPOKEN)
_SORT = re.compile(
    r"(?<!the )(?<!each )(?<!an )(?<!per )(?<!one )\b(?:sort(?:ed|s|ing)?|order(?:ed|ing)?|rank(?:ed|s|ing)?)\s+(?:\w+\s+){0,4}?by\s+(?P<rest>[^\n]{1,200})",
    re.IGNORECASE,
)
_DOWN = (
    r"\b(?:desc(?:ending)?|(?:largest|highest|greatest|biggest|most|newest|latest|most recent|longest|dearest) (?:first|to)"
    r"|(?:from )?high(?:est)? to low|downwards|reverse)\b"
)
_UP = (
    r"\b(?:asc(?:ending)?|(?:smallest|lowest|least|fewest|oldest|earliest|shortest|cheapest) (?:first|to)"
    r"|(?:from )?low(?:est)? to high|upwards)\b"
)
_LIMIT = re.compile(
    r"\b(?:LIMIT|limit(?:ed|s|ing)?(?:\s+(?:it|the\s+\w+|to|results?))*|keep(?:s|ing)?(?:\s+only)?(?:\s+the)?(?:\s+(?:first|top|best))?"
    r"|take\s+(?:only\s+)?the\s+(?:first|top)|return\s+(?:only\s+)?the\s+(?:first|top)|pick\s+the\s+(?:first|top))\s+(?P<n>\d{1,6}|one|two|three|four|five|six|seven|eight|nine|ten)\b"
    r"(?!\s*(?:%|percent|decimal|digit|or more|groups?\s+with|years?|days?|months?))",
    re.IGNORECASE,
)
_DIGITS = dict(
    zip(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], map(str, range(1, 11)), strict=True)
)
_GROUP = re.compile(
    rf"\b(?:group(?:ed|s|ing)?(?:\s+\w+){{0,3}}?\s+by|(?:make\s+)?one\s+(?:group|row)\s+(?:per|for\s+each))\s+(?P<rest>`?{_CALL}`?(?:(?:\s*,\s*|\s+and\s+)`?{_CALL}`?)*)",
    re.IGNORECASE,
)
_RETURN = re.compile(
    rf"\b(?:return(?:s|ing)?|select(?:s|ing)?|output(?:s|ting)?)\s+(?:only\s+|just\s+|both\s+)?(?:the\s+|each\s+|all\s+)?(?P<unique>different\s+|distinct\s+|unique\s+)?"
    rf"(?:the\s+)?(?:columns?\s+|fields?\s+)?(?P<rest>`?{_CALL}`?(?:(?:\s*,\s*|\s+and\s+|,\s+and\s+)`?{_CALL}`?)*)",
    re.IGNORECASE,
)


def check_claims(prose: str, reader: Reader) -> list[Finding]:
    """Every claim of a step's prose about the query, with what contradicts it."""
    findings = []
    for sentence in _split(prose):
        outer = _INNER_QUERY.sub("(...)", sentence)  # what an inner query returns, the outer one need not
        findings += [*_check_conditions(sentence, reader), *(finding for check in CHECKS for finding in check(outer, reader))]
    return list({finding.claim: finding for finding in sorted(findings, key=lambda finding: finding.problem is not None)}.values())


def list_stated(prose: str, reader: Reader) -> list[Condition]:
    """All conditions that a step's prose states."""
    return [condition for sentence in _split(prose) for _, condition in _read_conditions(sentence, reader)]


def _split(prose: str) -> list[str]:
    """Sentences that claim something."""
    quiet = (
        re.sub(r"(?<!\d)\.(?=\s+[A-Z])(?<!Dr\.)(?<!St\.)(?<!Mr\.)(?<!Ms\.)(?<!Mrs\.)", ".\n", prose) if "'" not in prose else prose
    )
    bare = re.compile(r"'(?:[^'\n]|'')*'")
    return [part for part in quiet.split("\n") if part.strip() and not _WEIGHS.search(bare.sub("''", part))]


def _read_conditions(sentence: str, reader: Reader) -> Iterator[tuple[str, Condition]]:
    for match in _CONDITION.finditer(sentence):
        if (text := _write_condition(match)) is not None:
            for condition in read_condition(text, reader.dialect, reader.facts.tables):
                yield match[0].strip(), condition
    rest = _FILTER.search(sentence)
    for part in re.split(r"\s+(?:and|or|AND|OR)\s+|,", re.sub(_CONDITION, "\x00", rest["rest"]).rstrip(". ")) if rest else ():
        found = _BOOLEAN.match(part.split("\x00")[0] if "\x00" not in part else part)
        if found and (expression := reader.read(found["name"])) and _is_code(found["name"], reader):
            yield part.strip(" ."), Condition(expression, "false" if found["not"] else "true", ())


def _write_condition(match: re.Match[str]) -> str | None:
    left = match["left"]
    if left.split("(")[0].strip().lower() in ("and", "or", "where", "on", "with", "not", "in", "is", "by", "limit", "equals", "to"):
        return None
    tail = next((match[name] for name in ("null", "set", "range", "like") if match[name]), None)
    if tail is None:
        tail = f"{_SIGNS.get(match['sign'], match['sign'])} {match['value'].replace(',', '') if match['value'][0].isdigit() else match['value']}"
    return f"{'NOT ' if match['not'] else ''}{left} {tail}"


def _is_code(text: str, reader: Reader) -> bool:
    """Whether a word names a column: written as code, or a column of the query."""
    return "." in text or "_" in text or '"' in text or text.lower() in reader.facts.names


def _check_conditions(sentence: str, reader: Reader) -> Iterator[Finding]:
    for words, condition in _read_conditions(sentence, reader):
        same = [found for found in reader.facts.conditions if agree(found.expression, condition.expression)]
        if not same:
            absent = condition.expression.columns - reader.facts.names
            is_code = "." in words.split(condition.op)[0] or "_" in words
            yield (
                Finding(words, f"the query has no {sorted(absent)[0]}")
                if absent and is_code and not reader.facts.words & {"star"}
                else Finding(words, None)
            )
            continue
        problem = find_contradiction(condition, same)
        is_mended = problem and any(
            find_contradiction(other, same) is None and other.op == found.op
            for other in reader.stated
            if agree(other.expression, condition.expression)
            for found in same
        )
        yield Finding(words, None if is_mended else problem)


def _check_spoken_conditions(sentence: str, reader: Reader) -> Iterator[Finding]:
    for match in _SPOKEN_CONDITION.finditer(sentence):
        op = next(op for i, (op, _) in enumerate(_SAID) if match[f"op{i}"])
        value = match["value"].replace(",", "") if match["value"][0].isdigit() else match["value"]
        for claim in read_condition(f"{match['name']} {op} {value}", reader.dialect, reader.facts.tables):
            same = [found for found in reader.facts.conditions if agree(found.expression, claim.expression)]
            if same:
                yield Finding(match[0], find_contradiction(claim, same) if op in ("=", "<>") else find_reversal(claim, same))


def _check_called(sentence: str, reader: Reader) -> Iterator[Finding]:
    for match in _CALLED.finditer(sentence):
        of = None if match["of"].strip() == "*" else reader.read(match["of"].strip())
        if of is not None or match["of"].strip() == "*":
            yield _hold(match[0], Aggregate(match["fn"].lower(), of, bool(match["distinct"])), reader)


def _check_spoken(sentence: str, reader: Reader) -> Iterator[Finding]:
    for name, is_distinct, pattern in _SPOKEN_PATTERNS:
        for match in pattern.finditer(sentence):
            of = reader.read(match["of"]) if _is_code(match["of"], reader) else None
            is_rows = match["of"].lower() in ("rows", "records", "entries")
            yield _hold(match[0], Aggregate("rows" if is_rows else name, of, is_distinct), reader)


def _hold(words: str, claim: Aggregate, reader: Reader) -> Finding:
    """Hold an aggregate against those of the query; what gives the same by other means is borne out."""
    facts = reader.facts
    name = "count" if claim.name == "rows" else claim.name
    same = [found for found in facts.aggregates if found.name == name]
    if not same:
        return Finding(words, None if _is_by_other_means(name, claim, facts) else f"the query takes no {name.upper()}")
    if claim.name == "rows" and all(found.is_distinct for found in same):
        return Finding(words, "the query counts different values, not rows")
    if name == "count" and claim.is_distinct and not facts.words & {"distinct", "group"}:
        return Finding(words, "the query counts rows, not different values")
    if claim.of is not None and claim.of.columns and not any(_covers(found, claim.of) for found in same):
        return Finding(words, f"the query takes {name.upper()} of {_show(same[0])}")
    return Finding(words, None)


def _covers(found: Aggregate, of: Expression) -> bool:
    return found.of is None or agree(found.of, of) or bool(of.columns & found.of.columns)


def _show(aggregate: Aggregate) -> str:
    return aggregate.of.text if aggregate.of else "all rows"


def _is_by_other_means(name: str, claim: Aggregate, facts: Facts) -> bool:
    names = {found.name for found in facts.aggregates}
    if name == "avg":
        return bool(names & {"median", "quantile", "mean"}) or ("sum" in names and "division" in facts.words)
    if name in ("max", "min"):
        wanted = name == "max"
        by_order = any(o.is_descending == wanted for o in facts.order) and bool(
            facts.words & {"limit", "fetch", "window", "qualify"}
        )
        return by_order or bool(names & {f"arg_{name}", f"{name}_by", "argmax", "argmin", "first", "last", "quantile"})
    if name == "count":
        return bool(names & {"count_if", "countif", "approx_distinct", "sum"}) or (
            claim.is_distinct and bool(facts.words & {"distinct", "group"})
        )
    return ("count" in names and "sum" not in names and claim.of is None) or bool(names & {"fsum", "count_if", "countif"})


def _check_sort(sentence: str, reader: Reader) -> Iterator[Finding]:
    facts = reader.facts
    for match in _SORT.finditer(sentence):
        claim, words = match[0][:80], match["rest"]
        named = _find_sort_key(words, reader)
        ways = {way for way, pattern in (("down", _DOWN), ("up", _UP)) if re.search(pattern, words, re.IGNORECASE)}
        if named is None and not ways:
            continue
        if not facts.order:
            is_other = facts.words & {"window", "qualify"} or {found.name for found in facts.aggregates} & _EXTREMES
            yield Finding(claim, None if is_other else "the query does not sort")
            continue
        terms = [term for term in facts.order if named is None or _is_sorted_by(named, term)]
        if not terms:
            yield Finding(claim, f"the query sorts by {facts.order[0].expression.text}")
        elif len(ways) == 1 and all(term.is_descending != (ways == {"down"}) for term in (terms if named else terms[:1])):
            yield Finding(claim, f"the query sorts {'downwards' if terms[0].is_descending else 'upwards'}")
        else:
            yield Finding(claim, None)


def _find_sort_key(words: str, reader: Reader) -> Expression | None:
    """The first key, when it is written as code or is the one word there; a name within a phrase may mean something else."""
    first = re.match(rf"(?:the\s+)?`?(?P<key>{_CALL})`?(?P<after>\s*(?:$|[,.;]|(?:in\s+)?(?:asc|desc)))?", words, re.IGNORECASE)
    if first is None or not (re.search(r"[._(]", first["key"]) or (first["after"] is not None and _is_code(first["key"], reader))):
        return None
    return reader.read(first["key"])


def _is_sorted_by(key: Expression, term: Order) -> bool:
    return agree(term.expression, key) or term.written == key.text or bool(term.expression.columns & key.columns)


def _check_limit(sentence: str, reader: Reader) -> Iterator[Finding]:
    for match in _LIMIT.finditer(sentence):
        n = _DIGITS.get(match["n"].lower(), match["n"])
        if n in reader.facts.numbers:
            yield Finding(match[0], None)
        elif reader.facts.limits:
            yield Finding(match[0], f"the query keeps {sorted(reader.facts.limits)[0]}")
        elif n != "1":
            yield Finding(match[0], "the query keeps all")


def _check_group(sentence: str, reader: Reader) -> Iterator[Finding]:
    facts = reader.facts
    for match in _GROUP.finditer(sentence):
        if not facts.words & {"group", "distinct", "window"}:
            yield Finding(match[0][:80], "the query does not group")
            continue
        wrong = [text for text, found in _list_named(match["rest"], reader) if facts.groups and not _is_among(found, facts.groups)]
        yield Finding(match[0][:80], f"the query does not group by {wrong[0]}" if wrong else None)


def _check_return(sentence: str, reader: Reader) -> Iterator[Finding]:
    facts = reader.facts
    for match in _RETURN.finditer(sentence):
        named = _list_named(match["rest"], reader)
        if not named or facts.words & {"star", "union"}:
            continue
        wrong = [text for text, found in named if found.text not in facts.select and not found.columns & facts.select_columns]
        problem = f"the query does not return {wrong[0]}" if wrong else None
        if match["unique"] and not facts.words & {"distinct", "group", "in", "exists", "union"}:
            problem = problem or "the query does not make its rows different"
        yield Finding(match[0][:80], problem)


def _list_named(words: str, reader: Reader) -> list[tuple[str, Expression]]:
    """The columns and calls of a list in words, as far as they are written as code; conditions and prose left out."""
    found = []
    for text in re.findall(rf"{_CALL}(?!\s*(?:[<>=!]|IS\b|IN\b|BETWEEN\b|LIKE\b))", words):
        if (
            ("." in text or "_" in text or "(" in text)
            and (expression := reader.read(text)) is not None
            and (expression.columns or "(" in text)
        ):
            found.append((text, expression))
    return found


def _is_among(expression: Expression, others: tuple[Expression, ...]) -> bool:
    return any(agree(expression, other) or expression.columns & other.columns for other in others)


CHECKS: tuple[Callable[[str, Reader], Iterator[Finding]], ...] = (
    _check_spoken_conditions,
    _check_called,
    _check_spoken,
    _check_sort,
    _check_limit,
    _check_group,
    _check_return,
)
