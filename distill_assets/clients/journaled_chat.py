"""Asking an endpoint through the journal: what was answered once is never asked again.

Belongs here: which requests are missing, and making replies durable as they come. Does not belong here:
the call itself (openai_chat), the journal's file (journal) or what is asked (stages).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.journal import Journal
from distill_assets.clients.openai_chat import Endpoint, ask_all

SYNC_EVERY = 64
Progress = Callable[[int, int, int], None]


class Counts(NamedTuple):
    """What asking did: requests in the plan, reused replies, and calls sent."""

    planned: int
    reused: int
    sent: int


def ask_through_journal(
    requests: list[ChatRequest], answer_model: type, journal: Journal, endpoint: Endpoint, on_progress: Progress
) -> tuple[dict[str, ChatReply], Counts]:
    """Answer each request from the journal, or by a call whose reply is journaled first.

    Args:
        answer_model: pydantic class of an answer. on_progress: called with (done, total, failed) after each
            group of replies.

    Raises:
        TeacherError: the endpoint refused for good; what was answered is kept.
    """
    replies = {r.request_id: journal.replies[r.request_id] for r in requests if r.request_id in journal.replies}
    missing = [request for request in requests if request.request_id not in replies]
    reused = len(replies)
    if missing:
        asyncio.run(_ask_missing(missing, answer_model, journal, endpoint, replies, len(requests), on_progress))
    return replies, Counts(len(requests), reused, len(missing))


async def _ask_missing(
    missing: list[ChatRequest], answer_model: type, journal: Journal, endpoint: Endpoint,
    replies: dict[str, ChatReply], total: int, on_progress: Progress,
) -> None:  # fmt: skip
    failed = unsynced = 0
    try:
        async for reply in ask_all(endpoint, answer_model, missing):
            journal.append(reply)
            replies[reply.request_id] = reply
            failed += not reply.is_final
            unsynced += 1
            if unsynced >= SYNC_EVERY:
                journal.sync()
                unsynced = 0
                on_progress(len(replies), total, failed)
    finally:
        journal.sync()
    on_progress(len(replies), total, failed)
