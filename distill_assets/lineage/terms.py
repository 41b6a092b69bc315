"""What a recipe says of its teachers and critics beside what they say of themselves: family, origin, licence, terms.

Belongs here: reading that from the specs. Does not belong here: what follows from it (checks, obligations).
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from distill_assets.clients.endpoints import name_teacher
from distill_assets.families import name_families
from distill_assets.lineage.record import Terms, build_terms
from distill_assets.teachers import TeacherSpec

CHECKPOINT = "checkpoint:"


def describe_terms(named: Iterable[tuple[str, TeacherSpec]]) -> pl.DataFrame:
    """The terms of teachers or critics, each under the name that it has in the tables."""
    return build_terms(_describe(name, spec) for name, spec in named)


def describe_teachers(teachers: Iterable[TeacherSpec]) -> pl.DataFrame:
    """The terms of a recipe's teachers."""
    return describe_terms((name_teacher(teacher), teacher) for teacher in teachers)


def _describe(name: str, spec: TeacherSpec) -> Terms:
    terms = spec.terms
    origin = (*terms.base_lineage, *([CHECKPOINT + terms.checkpoint] if terms.checkpoint else []))
    accepted = terms.accepted_on.isoformat() if terms.accepted_on else None
    families = ",".join(sorted(name_families(spec, [], {})))
    return Terms(name, families or None, origin, terms.licence, terms.url, terms.sha256, accepted)
