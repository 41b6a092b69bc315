"""The curation_marks table: all that selection goes by, a row for each accepted sample.

Belongs here: putting findings together, and reusing what was found of a sample before. Does not belong here: the findings
themselves (duplicates, contamination, templates, difficulty) or dropping (select).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import NamedTuple

import polars as pl

from distill_assets.curate.contamination import summarise_hits
from distill_assets.curate.difficulty import DIFFICULTY_VERSION, rate_samples
from distill_assets.curate.templates import TEMPLATE_VERSION, find_templates
from distill_assets.curate.words import NORMALISER
from distill_assets.curation import CurateSpec
from distill_assets.identity import make_id
from distill_assets.tables import CURATION_MARKS

OWN = ("template_id", "template", "topic", "difficulty")


class Findings(NamedTuple):
    """What was found of all samples: the tables duplicates and contamination_hits, and tokens (sample_id, n_tokens) if counted."""

    duplicates: pl.DataFrame
    hits: pl.DataFrame
    tokens: pl.DataFrame | None = None


class Marks(NamedTuple):
    """curation_marks, and how many samples' own marks were taken from the table before."""

    frame: pl.DataFrame
    n_reused: int


def build_marks(samples: pl.DataFrame, findings: Findings, spec: CurateSpec, previous: pl.DataFrame | None) -> Marks:
    """Build curation_marks.

    Template, topic and difficulty depend on the sample alone, so they are taken from `previous` where the rules are the same.

    Args:
        samples: accepted ones: sample_id, database, question, sql.
    """
    rule_key = make_id("marks", TEMPLATE_VERSION, DIFFICULTY_VERSION, NORMALISER, version("sqlglot"))
    known = _find_known(samples, rule_key, previous)
    new = samples.join(known, on="sample_id", how="anti")
    own = find_templates(new).join(rate_samples(new), on="sample_id").select("sample_id", *OWN)
    place = pl.col("field").replace_strict(
        list(spec.duplicates.fields), list(range(len(spec.duplicates.fields))), return_dtype=pl.Int32
    )
    first = findings.duplicates.sort("sample_id", place).unique("sample_id", keep="first").rename({"field": "duplicate_field"})
    tokens = (
        findings.tokens if findings.tokens is not None else samples.select("sample_id", pl.lit(None, pl.Int64).alias("n_tokens"))
    )
    frame = (
        samples.select("sample_id")
        .join(first, on="sample_id", how="left")
        .join(summarise_hits(findings.hits, spec.contamination.fields), on="sample_id", how="left")
        .join(pl.concat([known, own]), on="sample_id", how="left")
        .join(tokens, on="sample_id", how="left")
        .with_columns(pl.lit(rule_key).alias("rule_key"))
    )
    schema = {name: field.dtype for name, field in CURATION_MARKS.fields.items()}
    return Marks(frame.select(list(schema)).cast(schema).sort("sample_id"), known.height)


def _find_known(samples: pl.DataFrame, rule_key: str, previous: pl.DataFrame | None) -> pl.DataFrame:
    if previous is None:
        return pl.DataFrame(schema=dict.fromkeys(("sample_id", *OWN), pl.String))
    same = previous.filter(pl.col("rule_key") == rule_key).select("sample_id", *OWN)
    return same.join(samples, on="sample_id", how="semi")
