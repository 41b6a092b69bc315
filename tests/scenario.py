"""One awkward little world: a recipe folder over two small tables, where each part has a reason.

`write_scenario` makes it; nothing here is shared between tests but this function. The table name with
an odd column, the NULLs and the quote in a value are there because they break naive SQL.
"""

from __future__ import annotations

import json
from pathlib import Path

from distill_assets.config import RecipeFolder, built_in_recipe, load_recipe

DATABASE = """
CREATE TABLE singers (
    id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    country VARCHAR,
    born INTEGER NOT NULL
);
COMMENT ON TABLE singers IS 'a singer of the choir; also: performer';
COMMENT ON COLUMN singers.country IS 'country that the singer comes from; also: nation';
COMMENT ON COLUMN singers.born IS 'year of birth';
CREATE TABLE concerts (
    id INTEGER PRIMARY KEY,
    singer_id INTEGER NOT NULL REFERENCES singers (id),
    hall VARCHAR NOT NULL,
    held DATE NOT NULL,
    "seats sold" INTEGER NOT NULL
);
COMMENT ON TABLE concerts IS 'a concert that a singer gave; also: show, gig';
COMMENT ON COLUMN concerts.hall IS 'hall that it was held in; also: venue';
COMMENT ON COLUMN concerts."seats sold" IS 'seats that were sold; also: tickets';
INSERT INTO singers
SELECT i, ['Ada', 'Bo', 'Cleo', 'Dara', 'Emil', 'Fay', 'Gus', 'Hana'][1 + i % 8] || ' ' || ['O''Neill', 'Berg', 'Costa'][1 + i % 3],
       CASE WHEN i % 7 = 0 THEN NULL ELSE ['Norway', 'Brazil', 'Japan', 'Kenya'][1 + i % 4] END, 1960 + (i * 7) % 40
FROM range(1, 25) AS t (i);
INSERT INTO concerts
SELECT i, 1 + (i * 5) % 24, ['Grand Hall', 'Opera House', 'Town Square'][1 + i % 3],
       DATE '2022-01-05' + CAST(i * 9 AS INTEGER), 50 + (i * 37) % 400
FROM range(1, 91) AS t (i);
"""

SEEDS = [
    {"database": "choir", "kind": "topic", "text": "singers by country"},
    {"database": "choir", "kind": "topic", "text": "concerts per hall and the seats sold"},
    {"database": "choir", "kind": "topic", "text": "which singers were born before a year"},
    {"database": "choir", "kind": "question", "text": "how many concerts did singers from Norway give"},
    {"database": "choir", "kind": "question", "text": "what was the biggest show at the Opera House?"},
    {"database": "choir", "kind": "topic", "text": "average seats sold by singer"},
]

HOLDOUT = [
    {"question": "how many singers are from Brazil", "gold_sql": "SELECT COUNT(*) FROM singers WHERE country = 'Brazil'"},
    {
        "question": "total tickets for the Grand Hall",
        "gold_sql": "SELECT SUM(\"seats sold\") FROM concerts WHERE hall = 'Grand Hall'",
    },
    {"question": "who was born first?", "gold_sql": "SELECT name FROM singers ORDER BY born, name LIMIT 1"},
    {"question": "gigs per venue", "gold_sql": "SELECT hall, COUNT(*) FROM concerts GROUP BY hall"},
    {"question": "list singers born after 1990", "gold_sql": "SELECT name FROM singers WHERE born > 1990"},
    {"question": "singers with no country on file", "gold_sql": "SELECT COUNT(*) FROM singers WHERE country IS NULL"},
]

RECIPE = """
name: {name}
scale: tiny
databases: {{choir: databases/choir.sql}}
seeds: ["seeds/*.jsonl"]
holdout: holdout.jsonl
generate: {{samples_per_seed: {samples_per_seed}}}
evaluate: {{max_synthetic_items: 4, max_new_tokens: 8}}
thresholds: {{min_training_rows: 5, min_accept_frac: 0.3, max_unscored_frac: 0.2{thresholds}}}
{extra}
"""


def write_scenario(
    folder: Path, name: str = "choir", samples_per_seed: int = 12, thresholds: str = "", extra: str = ""
) -> RecipeFolder:
    """Write the recipe into `folder` and load it."""
    for part in ("databases", "seeds", "prompts", "rubrics"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "databases" / "choir.sql").write_text(DATABASE, encoding="utf-8")
    for file in (*built_in_recipe("text_to_sql").glob("prompts/*.md"), *built_in_recipe("text_to_sql").glob("rubrics/*.yaml")):
        (folder / file.parent.name / file.name).write_bytes(file.read_bytes())
    write_jsonl(folder / "seeds" / "seeds.jsonl", SEEDS)
    write_jsonl(folder / "holdout.jsonl", [{"database": "choir", **item} for item in HOLDOUT])
    text = RECIPE.format(name=name, samples_per_seed=samples_per_seed, thresholds=thresholds, extra=extra)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return load_recipe(folder)


def write_jsonl(file: Path, rows: list[dict]) -> None:
    """Write rows as JSONL."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
