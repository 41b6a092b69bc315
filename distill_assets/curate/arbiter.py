"""The arbiter: an LLM that says whether a sample gives an item away, where closeness alone cannot tell.

Belongs here: which pairs it is asked about, its question, and what its reply means. Does not belong here: what follows from a
verdict (paraphrases) or calls (clients).

It is reached like a teacher. Its replies are in the journal under a key that covers both texts and the prompt, so a second
run asks nobody. It has three answers: leak, clean, and unscored. What is unscored, whatever the reason, is never passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from distill_assets.clients.bench import Bench
from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import open_desks
from distill_assets.clients.endpoints import teacher_identity
from distill_assets.clients.engine import Counts, ask
from distill_assets.curate.paraphrases import KEYS, Texts
from distill_assets.curate.words import fold_texts
from distill_assets.judging import CriticSpec
from distill_assets.prompts import Prompt, fill
from distill_assets.quoting import make_fence, quote_sample

MAX_REASONING_CHARS = 2_000
# A longer sample is shown around the window that is close, so much before and after it.
WHOLE_CHARS = 4_000
MARGIN_CHARS = 500
VERDICT_SCHEMA = {**dict.fromkeys(KEYS, pl.String), "verdict": pl.String, "reason": pl.String}


class Question(NamedTuple):
    """What is sent about a pair."""

    system: str
    user: str


class Verdicts(NamedTuple):
    """What the arbiter said (VERDICT_SCHEMA), how asking went, and the models that answered, by their own word."""

    frame: pl.DataFrame
    counts: Counts
    served: list[str]


def choose_pairs(judged: pl.DataFrame) -> pl.DataFrame:
    """The near pairs that need a judgement.

    Args:
        judged: as paraphrases.judge_closeness gives it; leave out documents that another rule drops, to ask less.
    """
    return judged.filter(pl.col("rule").is_null()).sort(KEYS)


def arbiter_identity(arbiter: CriticSpec, prompt: Prompt) -> dict[str, object]:
    """The literals that decide the arbiter's verdicts; how its endpoint is reached is not among them."""
    return {"arbiter": teacher_identity(arbiter), "prompt": prompt.prompt_id}


def ask_arbiter(arbiter: CriticSpec, pairs: pl.DataFrame, texts: Texts, prompt: Prompt, bench: Bench) -> Verdicts:
    """Have the arbiter judge each pair; pairs of equal texts are one question.

    Raises:
        TeacherError: the endpoint refused for good. BudgetError: the budget is used up. What was answered is kept in the
            journal, and no pair counts as clean.
    """
    replies: dict[Question, ChatReply] = {}

    def take(request: ChatRequest, reply: ChatReply) -> None:
        replies[Question(request.system, request.user)] = reply

    rows = pairs.rows(named=True)
    questions = [write_question(row, texts, prompt) for row in rows]
    requests = (ChatRequest(*question, 0, 0, (arbiter.called,)) for question in sorted(set(questions)))
    desks = open_desks([arbiter], build_same_model(), bench.read_secret)
    counts = ask(requests, desks, bench.journal, bench.cap, take, bench.tell, bench.read_wall_clock)
    verdicts = []
    for row, question in zip(rows, questions, strict=True):
        verdict, reason = read_reply(replies.get(question))
        verdicts.append({**{key: row[key] for key in KEYS}, "verdict": verdict, "reason": reason})
    served = sorted({reply.served_model for reply in replies.values() if reply.served_model})
    return Verdicts(pl.DataFrame(verdicts, schema=VERDICT_SCHEMA), counts, served)


def build_same_model() -> type:
    """The form of the arbiter's answer: its reasons first, then whether the sample gives the item away."""
    from pydantic import Field, create_model

    return create_model("SameItem", reasoning=(str, Field(max_length=MAX_REASONING_CHARS)), same=(bool, ...))


def write_question(pair: Mapping[str, Any], texts: Texts, prompt: Prompt) -> Question:
    """What the arbiter reads of a pair: both texts as data between fences."""
    document = cut_excerpt(texts.documents[pair["document_id"]], pair["start_chars"], pair["end_chars"])
    sample = quote_sample({"text": document})
    item = quote_sample({"text": texts.items[pair["benchmark"], pair["item_id"]]})
    values = {"fence": make_fence(sample, item), "sample": sample, "item": item}
    return Question(fill(prompt.system, values), fill(prompt.user, values))


def cut_excerpt(text: str, start_chars: int, end_chars: int) -> str:
    """A text as the arbiter sees it: whole, or, when it is long, around the window that is close."""
    if len(text) <= WHOLE_CHARS:
        return text
    folded = str(fold_texts(pl.Series([text], dtype=pl.String))[0])
    return folded[max(0, start_chars - MARGIN_CHARS) : end_chars + MARGIN_CHARS]


def read_reply(reply: ChatReply | None) -> tuple[str, str]:
    """What a reply means: leak, clean or unscored, and why."""
    if reply is None or reply.status != "ok" or reply.answer is None:
        said = "there is none" if reply is None else f"{reply.status}: {reply.error or 'no answer in it'}"
        return "unscored", f"the arbiter's reply: {said}"
    answer: Mapping[str, Any] = reply.answer
    return ("leak" if answer["same"] else "clean"), str(answer["reasoning"])
