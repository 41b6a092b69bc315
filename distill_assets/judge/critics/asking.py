"""What critics are asked: one request a sample and critic, and pairs in both orders.

Belongs here: planning requests. Does not belong here: sending them (clients) or what replies mean (scoring).

Order of trust: executed checks, then deterministic ones, then critics. So critics are asked about what passed the checks
before them, and about a fixed share of what did not, so that their agreement with the checks can be measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import polars as pl

from distill_assets.clients.chat import ChatRequest
from distill_assets.identity import make_id, unit_interval
from distill_assets.judge.critics.canaries import Canary
from distill_assets.judge.critics.rubric import Rubric, describe_rubric
from distill_assets.prompts import Prompt, fill
from distill_assets.quoting import make_fence, quote_sample


class Judged(NamedTuple):
    """A sample as critics see it: its id (a generation's or a canary's), database and texts."""

    sample_id: str
    database: str
    question: str
    trace: str
    sql: str
    is_canary: bool = False


class Subject(NamedTuple):
    """What a request is about: a sample, or a pair in one of its two orders, and the critic."""

    critic: str
    sample_id: str
    other_id: str | None = None
    is_canary: bool = False


class Asking(NamedTuple):
    """All that one kind of question needs: the prompt, the rubric, and database -> schema card."""

    prompt: Prompt
    rubric: Rubric
    cards: Mapping[str, str]


def choose_samples(generations: pl.DataFrame, failed: frozenset[str], ask_failed_frac: float) -> list[Judged]:
    """The answered generations that critics are asked about, by id.

    Args:
        failed: ids that a cheaper check failed. ask_failed_frac: the share of those that is asked about all the same.
    """
    columns = ("generation_id", "database", "question", "trace", "completion")
    chosen = []
    for row in generations.filter(pl.col("generation_status") == "ok").sort("generation_id").select(columns).iter_rows():
        if row[0] not in failed or unit_interval("ask failed", row[0]) < ask_failed_frac:
            chosen.append(Judged(row[0], row[1], *(text or "" for text in row[2:])))
    return chosen


def join_canaries(samples: Iterable[Judged], canaries: Iterable[Canary]) -> list[Judged]:
    """Samples and canaries in one order that does not tell them apart."""
    known_bad = [Judged(c.canary_id, c.database, c.question, c.trace, c.sql, True) for c in canaries]
    return sorted([*samples, *known_bad], key=lambda sample: sample.sample_id)


def plan_judgements(samples: Iterable[Judged], critics: Iterable[str], asking: Asking) -> Iterator[ChatRequest]:
    """One request for each sample and critic."""
    names, rubric_text = list(critics), describe_rubric(asking.rubric)
    for sample in samples:
        quoted = quote(sample)
        values = {
            "rubric": rubric_text,
            "schema": asking.cards[sample.database],
            "fence": make_fence(quoted),
            "sample": quoted,
        }
        system, user = fill(asking.prompt.system, values), fill(asking.prompt.user, values)
        for name in names:
            subject = Subject(name, sample.sample_id, is_canary=sample.is_canary)
            yield ChatRequest(system, user, 0, 0, (name,), subject)


def quote(sample: Judged) -> str:
    """A sample as data inside a prompt."""
    return quote_sample({"question": sample.question, "reasoning": sample.trace, "sql": sample.sql})


def choose_pairs(samples: Iterable[Judged], passed: frozenset[str], failed: frozenset[str], n: int) -> list[tuple[Judged, Judged]]:
    """`n` pairs of one database, the better one first by what the checks say; fixed for the same samples.

    Args:
        passed, failed: ids that the verifiers passed and failed.
    """
    by_database: dict[str, tuple[list[Judged], list[Judged]]] = {}
    for sample in samples:
        good, bad = by_database.setdefault(sample.database, ([], []))
        if sample.sample_id in passed:
            good.append(sample)
        elif sample.sample_id in failed:
            bad.append(sample)
    pairs = []
    for good, bad in by_database.values():
        ordered = sorted(good, key=lambda s: unit_interval("pair", s.sample_id))
        pairs += zip(ordered, sorted(bad, key=lambda s: unit_interval("pair", s.sample_id)), strict=False)
    return sorted(pairs, key=lambda pair: make_id("pair", pair[0].sample_id, pair[1].sample_id))[:n]


def plan_comparisons(pairs: Iterable[tuple[Judged, Judged]], critics: Iterable[str], asking: Asking) -> Iterator[ChatRequest]:
    """Two requests for each pair and critic: one in each order."""
    names, rubric_text = list(critics), describe_rubric(asking.rubric)
    for pair in pairs:
        for first, second in (pair, pair[::-1]):
            texts = quote(first), quote(second)
            values = {
                "rubric": rubric_text,
                "schema": asking.cards[first.database],
                "fence": make_fence(*texts),
                "first": texts[0],
                "second": texts[1],
            }
            system, user = fill(asking.prompt.system, values), fill(asking.prompt.user, values)
            for name in names:
                yield ChatRequest(system, user, 0, 0, (name,), Subject(name, first.sample_id, second.sample_id))
