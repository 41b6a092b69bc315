"""`python -m distill_assets.evaluate.child --spec FILE.json`: one model answers all prompts, in a process of its own.

Belongs here: reading prompts, asking the model, writing answers. Does not belong here: decoding
(clients.student_chat) or which prompts are asked (answering).

The spec's keys: `model` (folder), `prompts` (Parquet: answer_key, prompt), `answers` (Parquet to write),
`max_new_tokens`, `threads`. The answers appear in one step, when all are there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pydantic

from distill_assets.processes import Say, read_spec, run_as_child


class AnswerSpec(pydantic.BaseModel):
    """What one answering process is told."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    model: Path
    prompts: Path
    answers: Path
    max_new_tokens: int = pydantic.Field(ge=1)
    threads: int = pydantic.Field(ge=1)


def main(arguments: list[str] | None = None) -> int:
    """Answer as the spec file says; exit status 1 with the reason on stderr when that fails."""
    return run_as_child(
        "distill_assets.evaluate.child",
        lambda file, say: answer_prompts(read_spec(file, AnswerSpec, "eval_results"), say),
        arguments,
    )


def answer_prompts(spec: AnswerSpec, say: Say) -> dict[str, Any]:
    """Ask the model every prompt, write the answers, and return the figures of it."""
    import polars as pl

    from distill_assets.clients.student_chat import StudentChat
    from distill_assets.storage import replace_atomically

    asked = pl.read_parquet(spec.prompts).select("answer_key", "prompt")
    started_s = time.monotonic()
    chat = StudentChat(spec.model, spec.threads)
    loaded_s = time.monotonic()
    say(f"{spec.model.name}: loaded in {loaded_s - started_s:.1f} s, {asked.height} prompts")

    def tell(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - loaded_s, 1e-9)
        say(f"{spec.model.name}: {done}/{total} answered, {rate:.1f} a second, {(total - done) / rate:.0f} s left")

    answers = chat.answer(asked["prompt"].to_list(), spec.max_new_tokens, tell)
    rows = [{"answer_key": key, **answer._asdict()} for key, answer in zip(asked["answer_key"], answers, strict=True)]
    with replace_atomically(spec.answers) as temporary:
        pl.DataFrame(rows).write_parquet(temporary)
    n_tokens = sum(answer.n_completion_tokens for answer in answers)
    return {"n_prompts": asked.height, "answer_s": round(time.monotonic() - loaded_s, 1), "n_tokens": n_tokens}


if __name__ == "__main__":
    sys.exit(main())
