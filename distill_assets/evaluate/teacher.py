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
from distill_assets.clients.openai_chat import teacher_identity
from distill_assets.config import TeacherSpec
from distill_assets.errors import TeacherError
from distill_assets.evaluate.items import ANSWER_SCHEMA
from distill_assets.identity import make_id
from distill_assets.prompts import Prompt, fill

QUESTION_FORMAT = 1


class SqlAnswer(BaseModel):
    """The form of a teacher's answer to a question."""

    model_config = ConfigDict(extra="ignore")

    sql: str = Field(min_length=1, max_length=8_000)


def plan_questions(
    items: pl.DataFrame, cards: dict[str, str], prompt: Prompt, teacher: TeacherSpec, provider: str
) -> tuple[pl.DataFrame, list[ChatRequest]]:
    """Return the items with their `answer_key`, and one request for each different key.

    Args:
        cards: database -> schema card as JSON. provider: the host asked, part of a request's id.
    """
    greedy = teacher_identity(teacher, provider) | {"temperature": 0}
    requests, keys = {}, []
    for item in items.iter_rows(named=True):
        values = {"schema": cards[item["database"]], "question": item["question"]}
        system, user = fill(prompt.system, values), fill(prompt.user, values)
        key = make_id("question", QUESTION_FORMAT, greedy, system, user)
        requests[key] = ChatRequest(key, system, user, 0)
        keys.append(key)
    return items.with_columns(pl.Series("answer_key", keys, dtype=pl.String)), [requests[key] for key in sorted(requests)]


def read_replies(replies: dict[str, ChatReply]) -> pl.DataFrame:
    """Return the answers by key, as scoring reads them.

    Raises:
        TeacherError: a call failed, so that nobody knows what the teacher would have answered.
    """
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
