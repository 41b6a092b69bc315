"""From seeds to planned requests, and from replies to rows of raw_generations.

Belongs here: which requests a seed makes, their ids, and what a reply's row looks like. Does not
belong here: transport (clients), durability (journal) or quality (judge).

A request's id covers all that decides its answer (provider, model, messages, sampling, sample index)
and nothing else, so an unchanged seed is never asked about twice, and a changed one always is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.journal import Journal
from distill_assets.clients.journaled_chat import Counts, Progress, ask_through_journal
from distill_assets.clients.openai_chat import Endpoint, teacher_identity
from distill_assets.config import GenerateSpec, TeacherSpec
from distill_assets.identity import make_id, unit_interval
from distill_assets.prompts import Prompt, fill
from distill_assets.tables import PLANTED_ERRORS, RAW_GENERATIONS, build_frame

REQUEST_FORMAT = 1
REQUEST_SEED_SPAN = 2**31 - 1


class SqlSample(BaseModel):
    """The form of a teacher's answer."""

    model_config = ConfigDict(extra="ignore")

    question: str = Field(min_length=1, max_length=2_000)
    reasoning: str = Field(max_length=8_000)
    sql: str = Field(min_length=1, max_length=8_000)


class PlannedRequest(NamedTuple):
    """One request with the seed row and sample index that it stands for."""

    request: ChatRequest
    seed_id: str
    sample_ix: int
    database: str


def plan_requests(
    seeds: pl.DataFrame, cards: dict[str, str], prompt: Prompt, teacher: TeacherSpec, generate: GenerateSpec, provider: str
) -> list[PlannedRequest]:
    """Plan `samples_per_seed` requests for each seed.

    Args:
        cards: database -> schema card as JSON. provider: the host asked, part of the request's id.
    """
    identity = teacher_identity(teacher, provider)
    planned = []
    for seed in seeds.iter_rows(named=True):
        values = {"schema": cards[seed["database"]], "kind": seed["kind"], "text": seed["text"]}
        system, user = fill(prompt.system, values), fill(prompt.user, values)
        messages_id = make_id(system, user)
        for ix in range(generate.samples_per_seed):
            number = int(unit_interval("request", generate.seed, seed["seed_id"], ix) * REQUEST_SEED_SPAN)
            request_id = make_id("request", REQUEST_FORMAT, identity, messages_id, number, ix)
            planned.append(PlannedRequest(ChatRequest(request_id, system, user, number), seed["seed_id"], ix, seed["database"]))
    return planned


def generate_rows(
    planned: list[PlannedRequest], journal: Journal, endpoint: Endpoint, on_progress: Progress
) -> tuple[dict[str, ChatReply], Counts]:
    """Answer each planned request, from the journal where it is known.

    Raises:
        TeacherError: the endpoint refused for good; what was answered is kept.
    """
    return ask_through_journal([p.request for p in planned], SqlSample, journal, endpoint, on_progress)


def build_generations(
    planned: Iterable[PlannedRequest], replies: dict[str, ChatReply], prompt_id: str, teacher: str, provider: str
) -> pl.DataFrame:
    """Return raw_generations: one row a planned request."""
    rows = [
        _build_row(p, replies[p.request.request_id], prompt_id, teacher, provider)
        for p in planned
    ]  # fmt: skip
    return build_frame(RAW_GENERATIONS, rows)


def name_generation(reply: ChatReply) -> str:
    """A generation's id: the request and what came back for it."""
    return make_id("generation", reply.request_id, reply.status, reply.answer)


def _build_row(p: PlannedRequest, reply: ChatReply, prompt_id: str, teacher: str, provider: str) -> dict[str, object]:
    answer = reply.answer or {}
    return {
        "generation_id": name_generation(reply),
        "request_id": reply.request_id,
        "seed_id": p.seed_id,
        "sample_ix": p.sample_ix,
        "database": p.database,
        "prompt_id": prompt_id,
        "question": answer.get("question"),
        "trace": answer.get("reasoning"),
        "completion": answer.get("sql"),
        "generation_status": reply.status,
        "error": reply.error,
        "teacher": teacher,
        "provider": provider,
        "served_model": reply.served_model,
        "system_fingerprint": reply.system_fingerprint,
        "response_id": reply.response_id,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
    }


def build_planted_errors(replies: Iterable[ChatReply]) -> pl.DataFrame:
    """Return what the embedded teacher recorded of its own planted errors, apart from the answers."""
    rows = [
        {"generation_id": name_generation(reply), "planted_error": str((reply.extra or {})["planted_error"])}
        for reply in replies
        if (reply.extra or {}).get("planted_error")
    ]
    return build_frame(PLANTED_ERRORS, rows)
