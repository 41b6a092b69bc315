"""What a query does, as facts that words can be held against.

Belongs here: reading a query, or a piece of one, with sqlglot: conditions, aggregates, groups, order, limits, columns.
Does not belong here: words (claims) or running anything (verify).

Expressions are compared by a text of their own: columns without their table, lower case, casts and case folding of
values left out, because a reasoning writes `year(o.placed)` where the query has `EXTRACT(year FROM orders.placed)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

MAX_SQL_CHARS = 20_000
OPPOSITE = {
    "=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in", "between": "not between",
    "not between": "between", "like": "not like", "not like": "like", "null": "not null", "not null": "null", "true": "false",
    "false": "true",
}  # fmt: skip
# The value of a condition whose other side is a query of its own.
QUERY = "(query)"
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>"}


class Expression(NamedTuple):
    """An expression's own text, its columns' names, and the tables that they are said to be of."""

    text: str
    columns: frozenset[str]
    tables: frozenset[str]


class Condition(NamedTuple):
    """`expression op values`: op is one of OPPOSITE, values are canonical literals."""

    expression: Expression
    op: str
    values: tuple[str, ...]


class Aggregate(NamedTuple):
    """One aggregate: its name, what it is taken of (None for COUNT(*)), and whether of different values."""

    name: str
    of: Expression | None
    is_distinct: bool


class Order(NamedTuple):
    """One sort key of an ORDER BY: what it stands for, and the name or expression as written."""

    expression: Expression
    is_descending: bool
    written: str


class Facts(NamedTuple):
    """What a query does. `select` has the returned expressions and all in them; `names` every column of the query."""

    tables: dict[str, str]
    conditions: tuple[Condition, ...]
    aggregates: tuple[Aggregate, ...]
    groups: tuple[Expression, ...]
    order: tuple[Order, ...]
    select: frozenset[str]
    select_columns: frozenset[str]
    names: frozenset[str]
    numbers: frozenset[str]
    limits: frozenset[str]
    words: frozenset[str]


@lru_cache(maxsize=64)
def read_query(sql: str, dialect: str) -> Facts | None:
    """Read a whole query; None when it cannot be read. `words` names what it has: distinct, group, order, star, join, ..."""
    from sqlglot import expressions as e

    tree = _parse(sql, dialect)
    if tree is None or not isinstance(tree, e.Query):
        return None
    named = list(tree.find_all(e.Table))
    tables = {table.name.lower(): table.name.lower() for table in named} | {t.alias_or_name.lower(): t.name.lower() for t in named}
    aliases = {alias.alias.lower(): alias.this for alias in tree.find_all(e.Alias)}
    top = tree.find(e.Select) or tree
    returned = [node.unalias() for node in top.expressions]
    return Facts(
        tables,
        tuple(_list_conditions(tree, tables)),
        tuple(_list_aggregates(tree, tables)),
        tuple(_list_groups(tree, tables, aliases, returned)),
        tuple(_list_order(tree, tables, aliases, returned)),
        frozenset(canon(part, tables).text for node in returned for part in node.walk() if isinstance(part, e.Column | e.Func)),
        frozenset(column.name.lower() for node in returned for column in node.find_all(e.Column)),
        frozenset({column.name.lower() for column in tree.find_all(e.Column)} | set(aliases)),
        frozenset(_canon_value(number) for number in tree.find_all(e.Literal) if not number.is_string),
        frozenset(_canon_value(n) for limit in tree.find_all(e.Limit, e.Fetch) for n in limit.find_all(e.Literal)),
        frozenset(_name_parts(tree)),
    )


def read_condition(text: str, dialect: str, tables: dict[str, str]) -> list[Condition]:
    """Read a piece such as `o.total > 5`; [] when it is no condition on a literal."""
    from sqlglot import expressions as e

    tree = _parse(f"SELECT 1 WHERE {text}", dialect)
    return [] if tree is None else [c for c in _list_conditions(tree, tables) if isinstance(tree.find(e.Where), e.Where)]


@lru_cache(maxsize=4096)
def _parse_expression(text: str, dialect: str):
    tree = _parse(f"SELECT {text}", dialect)
    return tree.expressions[0] if tree is not None and len(tree.expressions) == 1 else None


def read_expression(text: str, dialect: str, tables: dict[str, str]) -> Expression | None:
    """Read a piece such as `orders.total` or `COUNT(*)`; None when it is none."""
    from sqlglot import expressions as e

    node = _parse_expression(text, dialect)
    return canon(node, tables) if isinstance(node, e.Column | e.Func | e.Binary) else None


@lru_cache(maxsize=1024)
def _parse(sql: str, dialect: str):
    """Read with sqlglot; None when it cannot. The tree is shared: whoever changes one copies it."""
    import sqlglot

    if len(sql) > MAX_SQL_CHARS:
        return None
    try:
        trees = sqlglot.parse(sql, dialect=dialect)
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError, AttributeError, TypeError, IndexError):
        return None
    return trees[0] if len(trees) == 1 else None


def canon(node, tables: dict[str, str]) -> Expression:
    """The text of its own that expressions are compared by; see the module."""
    from sqlglot import expressions as e

    while isinstance(node, e.Paren | e.Cast | e.TryCast | e.Lower | e.Upper | e.Trim):
        node = node.this
    columns = list(node.find_all(e.Column))
    bare = node.copy()
    for column in [bare] if isinstance(bare, e.Column) else list(bare.find_all(e.Column)):
        column.set("table", None)
    for wrapped in list(bare.find_all(e.Cast, e.Paren)):
        if wrapped is not bare:
            wrapped.replace(wrapped.this)
    is_extract = isinstance(bare, e.Extract)
    text = f"{bare.this.name}({bare.expression.sql()})" if is_extract else bare.sql(normalize_functions="lower")
    owners = frozenset(tables[column.table.lower()] for column in columns if column.table.lower() in tables)
    return Expression(text.replace('"', "").lower(), frozenset(column.name.lower() for column in columns), owners)


def _canon_value(node) -> str:
    text = node.name.strip().casefold()
    if node.is_string:
        return text
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def _read_value(node) -> str | None:
    from sqlglot import expressions as e

    while (
        isinstance(node, e.Paren | e.Cast | e.TryCast | e.Lower | e.Upper | e.Trim | e.Date | e.TsOrDsToDate)
        and node.this is not None
    ):
        node = node.this
    if isinstance(node, e.Subquery | e.Query):
        return QUERY
    if isinstance(node, e.Neg) and isinstance(node.this, e.Literal):
        return f"-{_canon_value(node.this)}"
    if isinstance(node, e.Literal):
        return _canon_value(node)
    return str(node.this).lower() if isinstance(node, e.Boolean) else None


def _list_conditions(tree, tables: dict[str, str]) -> Iterator[Condition]:
    """Every condition on literals in WHERE, HAVING, ON, QUALIFY or a filter, with NOT taken into its operator."""
    from sqlglot import expressions as e

    roots = [clause.this for clause in tree.find_all(e.Where, e.Having, e.Qualify)]
    roots += [join.args["on"] for join in tree.find_all(e.Join) if join.args.get("on")]
    roots += [case.this for case in tree.find_all(e.If)]
    for root in roots:
        yield from _walk_condition(root, False, tables)


def _walk_condition(node, is_negated: bool, tables: dict[str, str]) -> Iterator[Condition]:
    from sqlglot import expressions as e

    if isinstance(node, e.Paren):
        yield from _walk_condition(node.this, is_negated, tables)
    elif isinstance(node, e.Not):
        yield from _walk_condition(node.this, not is_negated, tables)
    elif isinstance(node, e.And | e.Or):
        for side in (node.this, node.expression):
            yield from _walk_condition(side, is_negated, tables)
    elif (found := _read_test(node, tables)) is not None:
        is_turned = is_negated != bool(node.args.get("negate"))  # newer versions of sqlglot keep NOT LIKE as one node
        yield found._replace(op=OPPOSITE[found.op]) if is_turned else found


def _read_test(node, tables: dict[str, str]) -> Condition | None:
    from sqlglot import expressions as e

    signs = {e.EQ: "=", e.NEQ: "<>", e.GT: ">", e.GTE: ">=", e.LT: "<", e.LTE: "<="}
    if type(node) in signs:
        return _read_comparison(node, signs[type(node)], tables)
    if isinstance(node, e.Column):
        return Condition(canon(node, tables), "true", ())
    if isinstance(node, e.Is):
        wanted = node.expression
        if isinstance(wanted, e.Null):
            return Condition(canon(node.this, tables), "null", ())
        return Condition(canon(node.this, tables), str(wanted.this).lower(), ()) if isinstance(wanted, e.Boolean) else None
    if isinstance(node, e.In) and node.args.get("query") is not None:
        return Condition(canon(node.this, tables), "in", (QUERY,))
    if isinstance(node, e.In):
        values = [_read_value(value) for value in node.expressions]
        return None if not values or None in values else Condition(canon(node.this, tables), "in", tuple(sorted(values)))
    if isinstance(node, e.Between):
        values = [_read_value(node.args["low"]), _read_value(node.args["high"])]
        return None if None in values else Condition(canon(node.this, tables), "between", tuple(values))
    if isinstance(node, e.Like | e.ILike):
        value = _read_value(node.expression)
        return None if value is None else Condition(canon(node.this, tables), "like", (value,))
    return None


def _read_comparison(node, sign: str, tables: dict[str, str]) -> Condition | None:
    left, right = node.this, node.expression
    value = _read_value(right)
    if value is None and (value := _read_value(left)) is not None:
        left, sign = right, FLIPPED[sign]
    if value is None or _read_value(left) is not None:
        return None
    expression = canon(left, tables)
    if not expression.columns and "(" not in expression.text:
        return None
    if value in ("true", "false") and sign in ("=", "<>"):
        return Condition(expression, value if sign == "=" else OPPOSITE[value], ())
    return Condition(expression, sign, (value,))


def _list_aggregates(tree, tables: dict[str, str]) -> Iterator[Aggregate]:
    from sqlglot import expressions as e

    for node in tree.find_all(e.AggFunc):
        inner = node.this
        if isinstance(inner, e.Distinct):
            first = inner.expressions[0] if inner.expressions else None
            yield Aggregate(node.sql_name().lower(), canon(first, tables) if first is not None else None, True)
        else:
            is_star = inner is None or isinstance(inner, e.Star) or not hasattr(inner, "find_all")
            yield Aggregate(node.sql_name().lower(), None if is_star else canon(inner, tables), False)


def _list_groups(tree, tables: dict[str, str], aliases: dict, returned: list) -> Iterator[Expression]:
    from sqlglot import expressions as e

    for group in tree.find_all(e.Group):
        for node in group.expressions:
            yield canon(_resolve(node, aliases, returned), tables)


def _list_order(tree, tables: dict[str, str], aliases: dict, returned: list) -> Iterator[Order]:
    from sqlglot import expressions as e

    for order in tree.find_all(e.Order):
        for term in order.expressions:
            node = term.this if isinstance(term, e.Ordered) else term
            yield Order(canon(_resolve(node, aliases, returned), tables), bool(term.args.get("desc")), canon(node, tables).text)


def _resolve(node, aliases: dict, returned: list):
    """What a place (ORDER BY 2) or a name given in the SELECT stands for."""
    from sqlglot import expressions as e

    if isinstance(node, e.Literal) and not node.is_string and node.name.isdigit() and 0 < int(node.name[:4]) <= len(returned):
        return returned[int(node.name[:4]) - 1]
    if isinstance(node, e.Column) and not node.table and node.name.lower() in aliases:
        return aliases[node.name.lower()]
    return node


def _name_parts(tree) -> Iterator[str]:
    from sqlglot import expressions as e

    kinds = {
        "distinct": e.Distinct, "group": e.Group, "order": e.Order, "limit": e.Limit, "join": e.Join, "in": e.In,
        "exists": e.Exists, "union": e.SetOperation, "window": e.Window, "case": e.Case, "if": e.If, "division": e.Div,
        "subquery": e.Subquery, "fetch": e.Fetch, "qualify": e.Qualify,
    }  # fmt: skip
    yield from (name for name, kind in kinds.items() if tree.find(kind) is not None)
    if any(node.is_star for select in tree.find_all(e.Select) for node in select.expressions):
        yield "star"
