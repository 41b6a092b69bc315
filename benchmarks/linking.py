"""How much of a query its question's hints hold: `python -m benchmarks.linking --json`.

Gold queries of the built-in recipe's development set, and samples that the embedded teacher writes without
errors. Counts are sums over queries of distinct literals, columns outside of joins, and joins: those that
the hints hold, those that they lack, and (false) those that only the hints hold.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from distill_assets.clients.sql_grammar.writer import write_sample
from distill_assets.config import built_in_recipe, load_recipe
from distill_assets.databases import read_schema
from distill_assets.linking import LinkIndex, build_index, link_question
from distill_assets.verifiers.sql.instances import build_database


def list_facts(sql: str, tables: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Return (kind, text) of a query's literals, columns and joins; columns are qualified by the tables' columns."""
    import sqlglot
    from sqlglot import expressions as e

    tree = sqlglot.parse_one(sql, dialect="duckdb")
    named = {table.alias_or_name: table.name for table in tree.find_all(e.Table)}
    joins = [join.args["on"] for join in tree.find_all(e.Join) if join.args.get("on")]
    joined = {id(column) for on in joins for column in on.find_all(e.Column)}

    def qualify(column: e.Column) -> str:
        owner = named.get(column.table) or next((table for table in named.values() if column.name in tables.get(table, ())), "")
        return f"{owner}.{column.name}"

    facts = {
        ("literal", literal.this) for literal in tree.find_all(e.Literal) if literal.is_string and not literal.find_ancestor(e.Cast)
    }
    facts |= {("column", qualify(column)) for column in tree.find_all(e.Column) if id(column) not in joined}
    return facts | {("join", " = ".join(sorted(qualify(column) for column in on.find_all(e.Column)))) for on in joins}


def read_hints(hints: Iterable[str], tables: dict[str, set[str]]) -> set[tuple[str, str]]:
    """The same facts as told by hints."""
    keys = {f"{table}.{column}" for table, columns in tables.items() for column in columns}
    facts: set[tuple[str, str]] = set()
    for hint in hints:
        left, _, right = hint.partition(" = ")
        if right in keys:
            facts.add(("join", " = ".join(sorted((left, right)))))
            continue
        facts |= {("column", name) for name in left.split(" or ") if name in keys}
        if right:
            facts.add(("literal", right.strip("'").replace("''", "'")))
    return facts


def measure(
    items: Iterable[tuple[str, str, str]], indexes: dict[str, LinkIndex], tables: dict[str, dict[str, set[str]]]
) -> dict[str, int]:
    """Counts over (database, question, sql)."""
    counts: Counter[str] = Counter()
    for database, question, sql in items:
        hints = link_question(indexes[database], question)
        gold, found = list_facts(sql, tables[database]), read_hints(hints, tables[database])
        counts["queries"] += 1
        counts["hints"] += len(hints)
        for kind in ("literal", "column", "join"):
            one, other = {fact for fact in gold if fact[0] == kind}, {fact for fact in found if fact[0] == kind}
            counts[f"{kind}_held"] += len(one & other)
            counts[f"{kind}_lacking"] += len(one - other)
            counts[f"{kind}_false"] += len(other - one)
    return dict(sorted(counts.items()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=500, help="synthetic samples a database")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    args = parser.parse_args()
    recipe, path = load_recipe(built_in_recipe("text_to_sql"))
    lines = (path / "development.jsonl").read_text(encoding="utf-8").splitlines()
    development = [(item["database"], item["question"], item["gold_sql"]) for item in map(json.loads, lines)]
    with tempfile.TemporaryDirectory(prefix="distill-linking-") as folder:
        files = {name: Path(folder) / f"{name}.duckdb" for name in sorted(recipe.databases)}
        for name, file in files.items():
            build_database(path / recipe.databases[name], file)
        schemas = {name: read_schema(name, file) for name, file in files.items()}
        indexes = {name: build_index(file) for name, file in files.items()}
    tables = {name: {table.name: {c.name for c in table.columns} for table in schema.tables} for name, schema in schemas.items()}
    drawn = [
        (name, write_sample(schema, "", "topic", seed, 0.0)) for name, schema in schemas.items() for seed in range(args.samples)
    ]
    figures = {
        "development": measure(development, indexes, tables),
        "synthetic": measure([(name, sample.question, sample.sql) for name, sample in drawn], indexes, tables),
    }
    print(json.dumps(figures) if args.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
