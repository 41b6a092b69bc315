"""The same search as SQL: the definition of a near duplicate over words as strings, run by DuckDB, which spills to disk.

Belongs here: the query. Does not belong here: the search in memory (pairs), which must find the same pairs, and does by test.

Nothing is hashed here but what DuckDB hashes to join, so it is a check of the compiled search as well, and needs no compiler.
It takes several times the processor time, and as much memory as it is given.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from distill_assets.curate.words import normalise_texts

# Marks before the first and behind the last word, before a text without a word, and between group and shingle: no word has them.
QUERY = """
create temp table shingles as
with marked as (
    select document, grouped, raw,
           case when words = '' then [] else list_concat(list_concat([chr(2)], string_split(words, ' ')), [chr(3)]) end as words
    from documents
), spelled as (
    select document, grouped, case when len(words) = 0 then [chr(1) || raw] else list_transform(
        range(1, greatest(1, len(words) - {n} + 1) + 1), lambda p: array_to_string(words[p:p + {n} - 1], ' ')) end as spelled
    from marked
)
select distinct document, grouped || chr(31) || shingle as shingle
from (select document, grouped, unnest(spelled) as shingle from spelled);

create temp table sets as select document, count(*) as n, list(shingle) as shingles from shingles group by document;

create temp table prefixes as
with ranked as (
    select document, shingle, n, row_number() over (partition by document order by frequency, shingle) as place
    from shingles join (select shingle, count(*) as frequency from shingles group by shingle) using (shingle)
    join (select document, n from sets) using (document)
)
select document, shingle, n from ranked where place <= n - ceil({t} * n - 1e-9) + 1;

create temp table candidates as
select distinct a.document as l, b.document as r
from prefixes a join prefixes b on a.shingle = b.shingle and a.document < b.document
where least(a.n, b.n) >= {t} * greatest(a.n, b.n) - 1e-9;
"""
PAIRS = """
with counted as (
    select l, r, a.n as n_l, b.n as n_r, len(list_intersect(a.shingles, b.shingles)) as shared
    from candidates join sets a on a.document = l join sets b on b.document = r
)
select l::integer as "left", r::integer as "right", shared / (n_l + n_r - shared) as similarity
from counted where shared / (n_l + n_r - shared) >= {t}
"""


def find_pairs(
    texts: pl.Series,
    groups: pl.Series | None,
    n_words: int,
    threshold: float,
    memory_mb: int | None = None,
    spill: Path | None = None,
) -> pl.DataFrame:
    """All pairs of `texts` that are near duplicates: left, right (positions, left < right) and similarity, sorted.

    Args:
        groups: text a document; only documents of equal groups are alike. memory_mb: bound on DuckDB's memory; None is its own.
        spill: folder for what does not fit into it.
    """
    import duckdb

    documents = pl.DataFrame(
        {
            "document": pl.Series(range(len(texts)), dtype=pl.Int32),
            "grouped": groups if groups is not None else pl.repeat("", len(texts), dtype=pl.String, eager=True),
            "raw": texts,
            "words": normalise_texts(texts),
        }
    ).to_arrow()
    settings: dict[str, str | int] = {"preserve_insertion_order": "false"}
    if memory_mb is not None:
        settings["memory_limit"] = f"{memory_mb}MB"
    if spill is not None:
        settings["temp_directory"] = str(spill)
    with duckdb.connect(config=settings) as connection:
        connection.register("documents", documents)
        connection.execute(QUERY.format(n=int(n_words), t=f"{float(threshold)!r}::double"))
        found = connection.sql(PAIRS.format(t=f"{float(threshold)!r}::double")).to_arrow_table()
        return pl.DataFrame(found).sort("left", "right")
