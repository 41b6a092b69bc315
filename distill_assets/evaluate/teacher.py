"""The teacher as an answerer: the holdout's questions, asked of a real endpoint.

Belongs here: the requests, and replies as answers. Does not belong here: calls and their durability
(clients) or what an answer is worth (scoring).

A teacher reads the whole schema, not the student's short prompt. A reply that is refused, cut or no
answer counts as a wrong answer; a call that failed counts as none, and the run stops: half a teacher's
accuracy would be no figure.
"""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.errors import TeacherError
from distill_assets.evaluate.items import ANSWER_SCHEMA
from distill_assets.prompts import Prompt, fill


class SqlAnswer(BaseModel):
    """The form of a teacher's answer to a question."""

    model_config = ConfigDict(extra="ignore")

    sql: str = Field(min_length=1, max_length=8_000)


def plan_questions(items: pl.DataFrame, cards: dict[str, str], prompt: Prompt, teacher: str) -> list[ChatRequest]:
    """One request for each item; its `subject` is the item's id.

    Args:
        cards: database -> schema card as JSON. teacher: name of the one that is asked.
    """
    requests = []
    for item in items.sort("item_id").iter_rows(named=True):
        values = {"schema": cards[item["database"]], "question": item["question"]}
        system, user = fill(prompt.system, values), fill(prompt.user, values)
        requests.append(ChatRequest(system, user, 0, 0, (teacher,), item["item_id"]))
    return requests


def key_items(items: pl.DataFrame, replies: dict[str, ChatReply]) -> pl.DataFrame:
    """The items with their `answer_key`: the id of the request that each was asked with.

    Args:
        replies: item id -> reply.
    """
    keys = [replies[item_id].request_id for item_id in items["item_id"]]
    return items.with_columns(pl.Series("answer_key", keys, dtype=pl.String))


def read_replies(replies: dict[str, ChatReply]) -> pl.DataFrame:
    """Return the answers by key, as scoring reads them.

    Args:
        replies: item id -> reply; two items with one question and schema share a key.

    Raises:
        TeacherError: a call failed, so that nobody knows what the teacher would have answered.
    """
    replies = {reply.request_id: reply for reply in replies.values()}
    failed = [reply for _, reply in sorted(replies.items()) if not reply.is_final]
    if failed:
        raise TeacherError(
            f"{len(failed)} of {len(replies)} questions to the teacher failed, the first with: {failed[0].error}. eval_results was "
            "not replaced; all other answers are kept. Run again: only what is missing is asked for."
        )
    rows = [
        {
            "answer_key": key,
            "text": (reply.answer or {}).get("sql", ""),
            "finish_reason": reply.finish_reason or reply.status,
            "n_prompt_tokens": reply.prompt_tokens,
            "n_completion_tokens": reply.completion_tokens,
        }
        for key, reply in sorted(replies.items())
    ]
    return pl.DataFrame(rows, schema=ANSWER_SCHEMA)
