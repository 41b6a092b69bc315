"""What a sample is about, and how hard its query is by its parts.

Belongs here: topic and difficulty by rules on one query. Does not belong here: taking a query apart (queries), or what a model
finds hard (judge's quality).

Source of the difficulty: T. Yu et al., "Spider", EMNLP 2018, section 4 (easy, medium, hard, extra hard), as counted by
`Evaluator.eval_hardness` in evaluation.py of taoyds/spider. Two things differ: every inner SELECT counts as nested, those in
FROM and WITH too, which Spider's grammar does not know; and DuckDB's ILIKE counts as LIKE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from distill_assets.curate.queries import list_tables, mask_query, parse_query

if TYPE_CHECKING:
    from sqlglot import Expression

# Raise it when a rule below changes.
DIFFICULTY_VERSION = "difficulty@1"
DIFFICULTIES = ("easy", "medium", "hard", "extra", "unparsed")
SCHEMA = {"sample_id": pl.String, "topic": pl.String, "difficulty": pl.String}


class Parts(NamedTuple):
    """How many components a query has: clauses, nested queries, and other things that are there more than once."""

    n_clauses: int
    n_nested: int
    n_repeated: int


def rate_samples(samples: pl.DataFrame) -> pl.DataFrame:
    """Find topic and difficulty of each sample.

    Args:
        samples: sample_id, database, sql; the last two may be null.

    Returns:
        sample_id, topic, difficulty, sorted by sample_id. The topic reads "database: tables"; it is null, and the difficulty
        unparsed, where there is no query that can be read.
    """
    masked = {sql: mask_query(sql).text for sql in samples["sql"].drop_nulls().unique()}
    found = {text: _rate_query(text) for text in sorted(set(masked.values()))}
    rows = []
    for sample_id, database, sql in samples.select("sample_id", "database", "sql").iter_rows():
        tables, difficulty = found[masked[sql]] if sql is not None else (None, "unparsed")
        topic = None if tables is None else ": ".join(part for part in (database, tables) if part)
        rows.append((sample_id, topic, difficulty))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("sample_id")


def rate_difficulty(sql: str) -> str:
    """Say how hard one query is: easy, medium, hard, extra or unparsed."""
    return _rate_query(mask_query(sql).text)[1]


def _rate_query(text: str) -> tuple[str | None, str]:
    """The tables of a masked query, joined, and its difficulty."""
    tree = parse_query(text)
    if tree is None:
        return None, "unparsed"
    return ", ".join(list_tables(tree)), rate_parts(count_parts(tree))


def rate_parts(parts: Parts) -> str:
    """Put the counts on Spider's scale."""
    clauses, nested, repeated = parts
    if nested == 0 and clauses <= 1 and repeated == 0:
        return "easy"
    if nested == 0 and ((clauses <= 1 and repeated <= 2) or (clauses <= 2 and repeated < 2)):
        return "medium"
    if nested == 0 and ((clauses <= 2 and repeated > 2) or (clauses == 3 and repeated <= 2)):
        return "hard"
    if nested <= 1 and clauses <= 1 and repeated == 0:
        return "hard"
    return "extra"


def count_parts(tree: Expression) -> Parts:
    """Count the components of a query; those of inner queries count as nested alone."""
    from sqlglot import expressions as e

    n_selects = len(list(tree.find_all(e.Select)))
    outer = tree
    while not isinstance(outer, e.Select) and isinstance(outer.args.get("this"), e.Expression):
        outer = outer.this  # the first SELECT of a UNION, or what stands in brackets
    own = _walk_own(outer)
    clauses = [outer.args.get(name) is not None for name in ("where", "group", "order", "limit")]
    where = outer.args.get("where")
    n_conditions = 0 if where is None else 1 + sum(isinstance(node, e.And | e.Or) for node in _walk_own(where))
    group = outer.args.get("group")
    repeated = (
        sum(isinstance(node, e.AggFunc) for node in own) > 1,
        len(getattr(outer, "expressions", ())) > 1,
        n_conditions > 1,
        group is not None and len(group.expressions) > 1,
    )
    n_clauses = sum(clauses) + sum(isinstance(node, e.Join | e.Or | e.Like | e.ILike) for node in own)
    return Parts(n_clauses, max(0, n_selects - 1), sum(repeated))


def _walk_own(part: Expression) -> list[Expression]:
    """A part of a query with all below it but inner queries."""
    from sqlglot import expressions as e

    def is_inner(node: Expression) -> bool:
        return isinstance(node, e.Query) and node is not part

    return [node for node in part.walk(prune=is_inner) if not is_inner(node)]
