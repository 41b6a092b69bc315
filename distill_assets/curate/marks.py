"""The curation_marks table: all findings about the samples, row by row reused where nothing changed.

Belongs here: putting the marks together and reusing earlier ones. Does not belong here: the rules
themselves (deduplicate, decontaminate) or dropping (select).

Only accepted samples are compared: a rejected row must not stand for an accepted one.
"""

from __future__ import annotations

import polars as pl

from distill_assets.curate.decontaminate import Contamination, build_holdout_index, find_contamination
from distill_assets.curate.deduplicate.first_rule import Duplicate, mark_duplicates
from distill_assets.curation import CurateSpec
from distill_assets.identity import make_id
from distill_assets.tables import CURATION_MARKS, HOLDOUT, build_frame, hash_frame

RULE_VERSION = 1
FINDING = ("contaminated_by", "contamination_rule", "contamination_span")


def build_marks(
    judged: pl.DataFrame, holdout: pl.DataFrame, spec: CurateSpec, previous: pl.DataFrame | None
) -> tuple[pl.DataFrame, int]:
    """Return curation_marks, one row for each accepted sample, and how many findings were reused.

    A sample's contamination depends on its own text and the holdout alone, so it is taken from
    `previous` where both are the same. Duplicates depend on all samples and are found anew.
    """
    accepted = judged.filter(pl.col("sample_status") == "accepted")
    duplicates = mark_duplicates(accepted, spec.duplicates.jaccard)
    rule_key = make_id("decontaminate", RULE_VERSION, spec.contamination.ngram, hash_frame(HOLDOUT, holdout))
    known = _known_findings(previous, rule_key)
    index = build_holdout_index(holdout, spec.contamination.ngram)
    rows, n_reused = [], 0
    for sample_id, question in accepted.select("sample_id", "question").iter_rows():
        n_reused += sample_id in known
        finding = known.get(sample_id) or _describe_finding(find_contamination(index, question))
        rows.append({"sample_id": sample_id, "rule_key": rule_key, **_describe_duplicate(duplicates.get(sample_id)), **finding})
    return build_frame(CURATION_MARKS, rows), n_reused


def _known_findings(previous: pl.DataFrame | None, rule_key: str) -> dict[str, dict[str, object]]:
    if previous is None:
        return {}
    same = previous.filter(pl.col("rule_key") == rule_key).select("sample_id", *FINDING)
    return {row.pop("sample_id"): row for row in same.iter_rows(named=True)}


def _describe_finding(hit: Contamination | None) -> dict[str, object]:
    return dict(zip(FINDING, hit or (None, None, None), strict=True))


def _describe_duplicate(mark: Duplicate | None) -> dict[str, object]:
    return dict(zip(("duplicate_of", "duplicate_kind", "similarity"), mark or (None, None, None), strict=True))
