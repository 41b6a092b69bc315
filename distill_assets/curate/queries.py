"""What curation reads in a query: its literals, its text without them, its tree and its skeleton.

Belongs here: taking a query apart, whatever its text is. Does not belong here: what the parts are used for (templates,
difficulty).

Literals are taken out before parsing, so that queries which differ in them alone are parsed once. A query that is longer than
MAX_PARSED_CHARS, or that the parser refuses, has no tree; its skeleton is then its text without literals.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from distill_assets.identity import hash_text

if TYPE_CHECKING:
    from sqlglot import Expression

# A query of people or models has tens to hundreds of characters; the parser takes about 9 microseconds for each character.
MAX_PARSED_CHARS = 20_000
# A string, quoted name, comment or number; an open string or comment ends with the text, so that one pass is enough.
_TOKEN = re.compile(
    r"'[^']*(?:''[^']*)*(?:'|\Z)|\"[^\"]*(?:\"|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)|(?<![\w.$])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?",
    re.DOTALL,
)
_SPACES = re.compile(r"\s+")


class MaskedQuery(NamedTuple):
    """A query's text with each string as '0' and each number as 0, without comments, and the literals that stood there."""

    text: str
    literals: tuple[str, ...]


def mask_query(sql: str) -> MaskedQuery:
    """Take the literals out of a query.

    Args:
        sql: any text. Of more than MAX_PARSED_CHARS, the rest stands as its hash.
    """
    literals: list[str] = []

    def replace(match: re.Match[str]) -> str:
        token = match.group()
        if token[0] == '"':
            return token
        if token[0] in "-/":
            return " "
        literals.append(token[1:].removesuffix("'").replace("''", "'") if token[0] == "'" else token)
        return "'0'" if token[0] == "'" else "0"

    text = _SPACES.sub(" ", _TOKEN.sub(replace, sql[:MAX_PARSED_CHARS])).strip().rstrip("; ")
    rest = f" {hash_text(sql[MAX_PARSED_CHARS:])}" if len(sql) > MAX_PARSED_CHARS else ""
    return MaskedQuery(text + rest, tuple(literals))


def parse_query(text: str) -> Expression | None:
    """Parse one query in DuckDB's dialect; None where that is not possible."""
    import sqlglot
    from sqlglot import expressions as e
    from sqlglot.errors import SqlglotError

    if len(text) > MAX_PARSED_CHARS:
        return None
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except (SqlglotError, RecursionError, ValueError):
        return None
    return tree if isinstance(tree, e.Query) else None


def make_skeleton(text: str) -> str:
    """Write a masked query with `?` for each literal, aliases named alike and names in lower case.

    Args:
        text: of `mask_query`. What cannot be parsed comes back in lower case.
    """
    tree = parse_query(text)
    if tree is None:
        return text.lower()
    try:
        _lower_names(tree)
        _name_tables(tree)
        _name_columns(tree)
        _replace_literals(tree)
        return tree.sql(dialect="duckdb", comments=False)
    except (RecursionError, ValueError):  # a tree that could be read can still be too deep to be written
        return text.lower()


def list_tables(tree: Expression) -> list[str]:
    """Names of the stored tables that a query reads, in lower case, each once, sorted."""
    from sqlglot import expressions as e

    made = {cte.alias.lower() for cte in tree.find_all(e.CTE)}
    return sorted({table.name.lower() for table in tree.find_all(e.Table) if table.name} - made)


def _lower_names(tree: Expression) -> None:
    """DuckDB's names know no case, quoted or not."""
    from sqlglot import expressions as e

    for name in tree.find_all(e.Identifier):
        name.set("this", str(name.this).lower())
        name.set("quoted", False)


def _name_tables(tree: Expression) -> None:
    """Call a table by its own name where that is clear, else by name and number; leave names out where there is one table."""
    from sqlglot import expressions as e

    tables = list(tree.find_all(e.Table))
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    n_of = {table.name: sum(other.name == table.name for other in tables) for table in tables[:100]}
    for table in tables:
        counts[table.name] = counts.get(table.name, 0) + 1
        is_alone = n_of.get(table.name, 2) == 1
        name = table.name if is_alone else f"{table.name}_{counts[table.name]}"
        names.setdefault(table.alias_or_name, name)
        table.set("alias", None if is_alone else e.TableAlias(this=e.to_identifier(name)))
    only = len(tables) == 1
    for column in tree.find_all(e.Column):
        if column.table and column.table in names:
            column.set("table", None if only else e.to_identifier(names[column.table]))


def _name_columns(tree: Expression) -> None:
    """Number the names that a query gives to its columns, unless a column of a table has the same name."""
    from sqlglot import expressions as e

    given = {alias.alias: alias for alias in tree.find_all(e.Alias)}
    read = {column.name for alias in given.values() for column in alias.find_all(e.Column)}
    numbers = {name: f"name_{number}" for number, name in enumerate(given, start=1) if name not in read}
    for alias in tree.find_all(e.Alias):
        if alias.alias in numbers:
            alias.set("alias", e.to_identifier(numbers[alias.alias]))
    for column in tree.find_all(e.Column):
        if column.name in numbers:
            column.set("this", e.to_identifier(numbers[column.name]))


def _replace_literals(tree: Expression) -> None:
    """`?` for each literal, one for its minus sign too, and one for a whole list of them."""
    from sqlglot import expressions as e

    for among in list(tree.find_all(e.In)):
        if among.expressions and all(isinstance(item, e.Literal) for item in among.expressions):
            among.set("expressions", [e.Placeholder()])
    for literal in list(tree.find_all(e.Literal)):
        target = literal.parent if isinstance(literal.parent, e.Neg) else literal
        target.replace(e.Placeholder())
